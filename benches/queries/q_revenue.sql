-- Windowed aggregation by another key than the topic's: every order goes over a repartition topic or is added up before.
DEFINE prefix = '';
DEFINE output = 'q_revenue';
DEFINE window = '1 MINUTE';

CREATE STREAM orders (
  k VARCHAR KEY, order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DOUBLE, quantity INT, status VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE TABLE result WITH (KAFKA_TOPIC = '${output}') AS
  SELECT product_id, COUNT(*) AS orders, SUM(amount * quantity) AS revenue
  FROM orders
  WINDOW TUMBLING (SIZE ${window}, GRACE PERIOD 5 MINUTES)
  GROUP BY product_id;
