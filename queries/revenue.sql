-- Revenue per user, and in total, per minute; each user's line carries the user's country.
--
-- in:  orders              {order_id, user_id, product_id, amount, quantity, status, timestamp}  epoch milliseconds
--      users               {user_id, name, country, tier}, the message's key is the user_id
-- out: aggregated_revenue  key: account (a user_id, or TOTAL) and the window
--                          value: {country, orders, revenue, window_start, window_end}
--
-- An order counts once per message: `amount` is the price of the whole order. CANCELLED orders do not count.
-- Orders up to 10 minutes late still correct their minute; later ones are dropped and counted as late.

CREATE STREAM IF NOT EXISTS orders (
  order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DECIMAL(12, 2), quantity INT, status VARCHAR, timestamp BIGINT
) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'timestamp');

CREATE TABLE IF NOT EXISTS users (
  user_id VARCHAR PRIMARY KEY, name VARCHAR, country VARCHAR, tier VARCHAR
) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');

-- Each order twice: on its user's account, and on the account of all.
CREATE STREAM revenue_lines WITH (KAFKA_TOPIC = 'revenue_lines') AS
  SELECT o.user_id AS user_id,
         EXPLODE(ARRAY[o.user_id, 'TOTAL']) AS account,
         u.country AS user_country,
         o.amount AS amount
  FROM orders o
  LEFT JOIN users u ON o.user_id = u.user_id
  WHERE o.amount IS NOT NULL AND o.status <> 'CANCELLED'
  EMIT CHANGES;

CREATE TABLE aggregated_revenue WITH (KAFKA_TOPIC = 'aggregated_revenue') AS
  SELECT account,
         LATEST_BY_OFFSET(CASE WHEN account = 'TOTAL' THEN '*' ELSE user_country END) AS country,
         COUNT(*) AS orders,
         SUM(amount) AS revenue,
         WINDOWSTART AS window_start,
         WINDOWEND AS window_end
  FROM revenue_lines
  WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 10 MINUTES)
  GROUP BY account
  EMIT CHANGES;
