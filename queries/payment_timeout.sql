-- One order per checkout: `done` as soon as its payment is done, `failed` when it is not within five minutes.
--
-- in:  checkout  {checkout_id, timestamp, status, user_id, items: [{item_id, quantity, price}], total_price}
--      payment   {checkout_id, timestamp, payment_status, total_price}; timestamp: ISO-8601, with or without zone
--                (UTC when without)
-- out: order     {payment_id, status, timestamp}, key: the checkout_id, which is the payment's id too
--
-- The rules:
--   * a payment that is `done` makes the order `done` at once, however late it comes;
--   * any other status (`waiting`, `failed`, …) waits five minutes of event time for a `done` of the same checkout,
--     counted from that message's own timestamp, then makes the order `failed`. Stream time moves with the wall clock
--     when nothing else arrives, so the time-out does not need another record;
--   * the first outcome of a checkout is its order. Repeated messages, and a `done` after `failed` was written, change
--     nothing: a merchant who was told `failed` has released the goods. `payment_decision` counts such outcomes.

-- Every outcome counts here: no update may be merged into a later one.
SET 'cache.max.bytes.buffering' = '0';

CREATE STREAM IF NOT EXISTS checkout (
  checkout_id VARCHAR, timestamp VARCHAR, status VARCHAR, user_id VARCHAR,
  items ARRAY<STRUCT<item_id VARCHAR, quantity INT, price DECIMAL(12, 2)>>, total_price DECIMAL(12, 2)
) WITH (KAFKA_TOPIC = 'checkout', VALUE_FORMAT = 'JSON',
        TIMESTAMP = 'timestamp', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ss[.SSS][XXX]');

CREATE STREAM IF NOT EXISTS payment (
  checkout_id VARCHAR, timestamp VARCHAR, payment_status VARCHAR, total_price DECIMAL(12, 2)
) WITH (KAFKA_TOPIC = 'payment', VALUE_FORMAT = 'JSON',
        TIMESTAMP = 'timestamp', TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ss[.SSS][XXX]');

-- All messages of a checkout in one partition.
CREATE STREAM payment_by_checkout WITH (KAFKA_TOPIC = 'payment_by_checkout') AS
  SELECT checkout_id, payment_status
  FROM payment
  WHERE checkout_id IS NOT NULL
  PARTITION BY checkout_id
  EMIT CHANGES;

-- Every message looks for a `done` of its checkout from its own time to five minutes later. Both sides read one topic
-- and so move together.
CREATE STREAM payment_outcome WITH (KAFKA_TOPIC = 'payment_outcome') AS
  SELECT p.checkout_id AS checkout_id,
         CASE WHEN p.payment_status = 'done' OR d.payment_status = 'done' THEN 'done' ELSE 'failed' END AS status
  FROM payment_by_checkout p
  LEFT JOIN payment_by_checkout d
    WITHIN (0 SECONDS, 5 MINUTES) GRACE PERIOD 0 SECONDS
    ON p.checkout_id = d.checkout_id AND d.payment_status = 'done'
  EMIT CHANGES;

-- The first outcome decides.
CREATE TABLE payment_decision WITH (KAFKA_TOPIC = 'payment_decision') AS
  SELECT checkout_id,
         EARLIEST_BY_OFFSET(status) AS status,
         EARLIEST_BY_OFFSET(ROWTIME) AS decided_at,
         COUNT(*) AS outcomes
  FROM payment_outcome
  GROUP BY checkout_id
  EMIT CHANGES;

CREATE STREAM payment_decision_log (checkout_id VARCHAR KEY, status VARCHAR, decided_at BIGINT, outcomes BIGINT)
  WITH (KAFKA_TOPIC = 'payment_decision', VALUE_FORMAT = 'JSON');

CREATE STREAM order_decided WITH (KAFKA_TOPIC = 'order') AS
  SELECT checkout_id,
         AS_VALUE(checkout_id) AS `payment_id`,
         status AS `status`,
         FORMAT_TIMESTAMP(FROM_UNIXTIME(CASE WHEN status = 'done' THEN decided_at ELSE decided_at + 300000 END),
                          'yyyy-MM-dd''T''HH:mm:ss.SSSXXX', 'UTC') AS `timestamp`
  FROM payment_decision_log
  WHERE outcomes = 1
  EMIT CHANGES;
