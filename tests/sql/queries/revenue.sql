-- queries/revenue.sql: per user with country and in total, with late, repeated, out-of-order, malformed and incomplete
-- records. Windows are one minute with 10 minutes of grace.

RUN SCRIPT '../../../queries/revenue.sql';
CREATE STREAM orders_raw (value VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'KAFKA');

INSERT INTO users (user_id, name, country, tier) VALUES ('ann', 'Ann', 'AT', 'GOLD');

INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o1', 'ann', 10.50, 1, 'CREATED', 60000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, WINDOWEND, country, orders, revenue, window_start, window_end)
  VALUES ('ann', 60000, 120000, 'AT', 1, 10.50, 60000, 120000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, country, orders, revenue) VALUES ('TOTAL', 60000, '*', 1, 10.50);

-- A user whom nobody knows has no country; the total goes on.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o2', 'bob', 2.00, 1, 'CREATED', 61000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, country, orders, revenue) VALUES ('bob', 60000, NULL, 1, 2.00);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, country, orders, revenue) VALUES ('TOTAL', 60000, '*', 2, 12.50);

-- Cancelled, without amount, no JSON: no revenue.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o3', 'ann', 99.00, 1, 'CANCELLED', 62000);
INSERT INTO orders_raw (value) VALUES ('{"order_id": "o4", "user_id": "ann", "status": "CREATED", "timestamp": 62000}');
INSERT INTO orders_raw (value) VALUES ('[1, 2');
ASSERT NO MORE VALUES aggregated_revenue;

-- A repeated message counts again.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o2', 'bob', 2.00, 1, 'CREATED', 61000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders, revenue) VALUES ('bob', 60000, 2, 4.00);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders, revenue) VALUES ('TOTAL', 60000, 3, 14.50);

-- Another minute, then one that is late but within the grace: its own minute is corrected.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o5', 'ann', 1.00, 1, 'CREATED', 600000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders, revenue) VALUES ('ann', 600000, 1, 1.00);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders, revenue) VALUES ('TOTAL', 600000, 1, 1.00);
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o6', 'ann', 5.00, 1, 'CREATED', 119999);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, country, orders, revenue) VALUES ('ann', 60000, 'AT', 2, 15.50);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders, revenue) VALUES ('TOTAL', 60000, 4, 19.50);

-- Later than the grace: dropped.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o7', 'ann', 1.00, 1, 'CREATED', 720000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders) VALUES ('ann', 720000, 1);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, orders) VALUES ('TOTAL', 720000, 1);
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o8', 'ann', 5.00, 1, 'CREATED', 119999);
ASSERT NO MORE VALUES aggregated_revenue;

-- The country is that of the moment: later orders see the move, earlier windows keep what they had.
INSERT INTO users (user_id, name, country, tier) VALUES ('ann', 'Ann', 'PT', 'GOLD');
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o9', 'ann', 1.00, 1, 'CREATED', 721000);
ASSERT VALUES aggregated_revenue (account, WINDOWSTART, country, orders) VALUES ('ann', 720000, 'PT', 2);
