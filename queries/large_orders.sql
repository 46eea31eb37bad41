-- Orders above a threshold, as they come.
--
-- in:  orders        {order_id, user_id, product_id, amount, quantity, status, timestamp}   timestamp: epoch milliseconds
-- out: large_orders  {order_id, user_id, amount, status}, event time of the order
--
-- A message repeated in `orders` is repeated in `large_orders`: the filter keeps no state.

DEFINE large_order_threshold = '500.00';

CREATE STREAM IF NOT EXISTS orders (
  order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DECIMAL(12, 2), quantity INT, status VARCHAR, timestamp BIGINT
) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'timestamp');

CREATE STREAM large_orders WITH (KAFKA_TOPIC = 'large_orders') AS
  SELECT order_id, user_id, amount, status
  FROM orders
  WHERE amount > ${large_order_threshold}
  EMIT CHANGES;
