-- Filter, windowed aggregation by another key, HAVING.
DEFINE prefix = '';
DEFINE output = 'q_failed';

CREATE STREAM payments (
  k VARCHAR KEY, payment_id VARCHAR, order_id VARCHAR, user_id VARCHAR,
  amount DOUBLE, status VARCHAR, method VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}payments', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE TABLE result WITH (KAFKA_TOPIC = '${output}') AS
  SELECT user_id, COUNT(*) AS failures
  FROM payments
  WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 5 MINUTES)
  WHERE status = 'FAILED'
  GROUP BY user_id
  HAVING COUNT(*) >= 3;
