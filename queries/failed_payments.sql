-- Failed payments one by one, and users with three or more of them in five minutes.
--
-- in:  payments                       {payment_id, order_id, user_id, amount, status, method, timestamp}
--                                     timestamp: epoch milliseconds
-- out: failed_payments                {payment_id, order_id, user_id, amount, method}, one a failed payment
--      frequent_failed_payments_live  key: user_id and the window; {failures, amount}: from the third failure on, updated
--                                     with each further one
--      frequent_failed_payments       the same, once per user and window, when the window is over
--
-- Windows close 30 seconds of event time after their end, or of wall-clock time when nothing else arrives. A failure
-- that comes later than that is dropped from the windows and counted as late; `failed_payments` has it all the same.
-- A repeated message counts as often as it comes.

CREATE STREAM IF NOT EXISTS payments (
  payment_id VARCHAR, order_id VARCHAR, user_id VARCHAR,
  amount DECIMAL(12, 2), status VARCHAR, method VARCHAR, timestamp BIGINT
) WITH (KAFKA_TOPIC = 'payments', VALUE_FORMAT = 'JSON', TIMESTAMP = 'timestamp');

CREATE STREAM failed_payments WITH (KAFKA_TOPIC = 'failed_payments') AS
  SELECT payment_id, order_id, user_id, amount, method
  FROM payments
  WHERE status = 'FAILED'
  EMIT CHANGES;

CREATE TABLE frequent_failed_payments_live WITH (KAFKA_TOPIC = 'frequent_failed_payments_live') AS
  SELECT user_id, COUNT(*) AS failures, SUM(amount) AS amount
  FROM failed_payments
  WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 30 SECONDS)
  GROUP BY user_id
  HAVING COUNT(*) >= 3
  EMIT CHANGES;

CREATE TABLE frequent_failed_payments WITH (KAFKA_TOPIC = 'frequent_failed_payments') AS
  SELECT user_id, COUNT(*) AS failures, SUM(amount) AS amount
  FROM failed_payments
  WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 30 SECONDS)
  GROUP BY user_id
  HAVING COUNT(*) >= 3
  EMIT FINAL;
