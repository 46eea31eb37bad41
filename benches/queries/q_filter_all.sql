-- Stateless: every order passes, one column is computed.
DEFINE prefix = '';
DEFINE output = 'q_filter_all';

CREATE STREAM orders (
  k VARCHAR KEY, order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DOUBLE, quantity INT, status VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE STREAM result WITH (KAFKA_TOPIC = '${output}') AS
  SELECT k, order_id, user_id, amount * quantity AS total
  FROM orders;
