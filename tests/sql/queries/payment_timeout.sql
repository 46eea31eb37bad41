-- queries/payment_timeout.sql: one order per checkout, whatever the interleaving.

--@test: done at once, and only once
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status, total_price) VALUES ('c1', '2026-01-01T10:00:00Z', 'done', 5.00);
ASSERT VALUES order_decided (checkout_id, `payment_id`, `status`, `timestamp`) VALUES ('c1', 'c1', 'done', '2026-01-01T10:00:00.000Z');
INSERT INTO payment (checkout_id, timestamp, payment_status, total_price) VALUES ('c1', '2026-01-01T10:00:00Z', 'done', 5.00);
INSERT INTO payment (checkout_id, timestamp, payment_status, total_price) VALUES ('c1', '2026-01-01T10:00:07Z', 'done', 5.00);
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: waiting, then done within five minutes
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
ASSERT NO MORE VALUES order_decided;
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:05:00Z', 'done');
ASSERT VALUES order_decided (checkout_id, `status`, `timestamp`) VALUES ('c1', 'done', '2026-01-01T10:05:00.000Z');
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: waiting and nothing else ever: failed after five minutes
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
ADVANCE TIME BY 5 MINUTES;
ASSERT NO MORE VALUES order_decided;
ADVANCE TIME BY 1 MILLISECOND;
ASSERT VALUES order_decided (checkout_id, `status`, `timestamp`) VALUES ('c1', 'failed', '2026-01-01T10:05:00.000Z');
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: waiting, then another status: failed after five minutes
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:02:00Z', 'refused');
-- Another checkout's record moves the time on.
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c2', '2026-01-01T10:05:01Z', 'done');
ASSERT VALUES order_decided (checkout_id, `status`, `timestamp`) VALUES ('c1', 'failed', '2026-01-01T10:05:00.000Z');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c2', 'done');
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: a done after failed was written changes nothing
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:05:01Z', 'done');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c1', 'failed');
ASSERT NO MORE VALUES order_decided;
-- It shows in the table of decisions.
ASSERT VALUES payment_decision (checkout_id, status, outcomes) VALUES ('c1', 'failed', 1);
ASSERT VALUES payment_decision (checkout_id, status, outcomes) VALUES ('c1', 'failed', 2);

--@test: out of order: done arrives before its waiting
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:01:00Z', 'done');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'waiting');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c1', 'done');
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: late: records far behind stream time still get their order
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c9', '2026-01-01T12:00:00Z', 'done');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c9', 'done');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T10:00:00Z', 'done');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c1', 'done');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c2', '2026-01-01T10:00:00Z', 'waiting');
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c2', 'failed');
ADVANCE TIME BY 1 HOUR;
ASSERT NO MORE VALUES order_decided;

--@test: timestamps with zone, with milliseconds, and without zone
RUN SCRIPT '../../../queries/payment_timeout.sql';
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c1', '2026-01-01T12:00:00.250+02:00', 'done');
ASSERT VALUES order_decided (checkout_id, `timestamp`) VALUES ('c1', '2026-01-01T10:00:00.250Z');
INSERT INTO payment (checkout_id, timestamp, payment_status) VALUES ('c2', '2026-01-01T10:00:01', 'done');
ASSERT VALUES order_decided (checkout_id, `timestamp`) VALUES ('c2', '2026-01-01T10:00:01.000Z');

--@test: malformed and incomplete records
RUN SCRIPT '../../../queries/payment_timeout.sql';
CREATE STREAM payment_raw (value VARCHAR) WITH (KAFKA_TOPIC = 'payment', VALUE_FORMAT = 'KAFKA');
INSERT INTO payment_raw (value) VALUES ('done');
INSERT INTO payment_raw (value) VALUES ('{"checkout_id": "c1", "timestamp": "yesterday", "payment_status": "done"}');
INSERT INTO payment_raw (value) VALUES ('{"checkout_id": "c2", "payment_status": "done"}');
INSERT INTO payment_raw (value) VALUES ('{"timestamp": "2026-01-01T10:00:00Z", "payment_status": "done"}');
ASSERT NO MORE VALUES order_decided;
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 0);
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 1);
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 2);
-- Without a status there is no done.
INSERT INTO payment_raw (value) VALUES ('{"checkout_id": "c3", "timestamp": "2026-01-01T10:00:00Z"}');
ADVANCE TIME BY 6 MINUTES;
ASSERT VALUES order_decided (checkout_id, `status`) VALUES ('c3', 'failed');
ASSERT NO MORE VALUES order_decided;
