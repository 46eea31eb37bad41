-- Stream-stream join by the topics' key.
DEFINE prefix = '';
DEFINE output = 'q_join';

CREATE STREAM orders (
  k VARCHAR KEY, order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DOUBLE, quantity INT, status VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE STREAM payments (
  k VARCHAR KEY, payment_id VARCHAR, order_id VARCHAR, user_id VARCHAR,
  amount DOUBLE, status VARCHAR, method VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}payments', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE STREAM result WITH (KAFKA_TOPIC = '${output}') AS
  SELECT o.k AS k, o.order_id AS order_id, o.amount AS amount, p.status AS status
  FROM orders o
  JOIN payments p WITHIN 5 MINUTES GRACE PERIOD 5 MINUTES ON o.k = p.k;
