-- queries/large_orders.sql: late, repeated, out-of-order, malformed and incomplete records.

RUN SCRIPT '../../../queries/large_orders.sql';

-- The topic as bytes, for records that are no orders.
CREATE STREAM orders_raw (value VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'KAFKA');

INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o1', 'u1', 500.00, 1, 'CREATED', 1000);
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o2', 'u1', 500.01, 1, 'CREATED', 2000);
-- Repeated, and far out of order: a filter has no memory and no window.
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o2', 'u1', 500.01, 1, 'CREATED', 2000);
INSERT INTO orders (order_id, user_id, amount, quantity, status, timestamp) VALUES ('o3', 'u2', 9999.99, 3, 'PAID', 5);
-- No JSON, no amount, an amount that is no number, a field nobody declared, no timestamp.
INSERT INTO orders_raw (value) VALUES ('{"order_id": "bad", "amount": 700');
INSERT INTO orders_raw (value) VALUES ('{"order_id": "o4", "user_id": "u3", "timestamp": 3000}');
INSERT INTO orders_raw (value) VALUES ('{"order_id": "o5", "amount": "much", "timestamp": 3000}');
INSERT INTO orders_raw (value) VALUES ('{"order_id": "o6", "amount": 600.5, "timestamp": 3000, "coupon": "x"}');
INSERT INTO orders_raw (value) VALUES ('{"order_id": "o7", "amount": 600.5}');

ASSERT VALUES large_orders (order_id, user_id, amount, status, ROWTIME) VALUES ('o2', 'u1', 500.01, 'CREATED', 2000);
ASSERT VALUES large_orders (order_id, user_id, amount, status, ROWTIME) VALUES ('o2', 'u1', 500.01, 'CREATED', 2000);
ASSERT VALUES large_orders (order_id, user_id, amount, status, ROWTIME) VALUES ('o3', 'u2', 9999.99, 'PAID', 5);
ASSERT VALUES large_orders (order_id, user_id, amount, status, ROWTIME) VALUES ('o6', NULL, 600.50, NULL, 3000);
ASSERT NO MORE VALUES large_orders;

-- What could not be read is in the processing log, with its place.
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 'orders', 4);
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 'orders', 6);
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 'orders', 8);
ASSERT NO MORE VALUES processing_log;
