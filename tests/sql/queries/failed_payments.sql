-- queries/failed_payments.sql: one by one, live and final, with late, repeated, out-of-order, malformed and incomplete
-- records. Windows are five minutes (300000 ms) with 30 s of grace.

RUN SCRIPT '../../../queries/failed_payments.sql';
CREATE STREAM payments_raw (value VARCHAR) WITH (KAFKA_TOPIC = 'payments', VALUE_FORMAT = 'KAFKA');

INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p1', 'o1', 'ann', 10.00, 'FAILED', 'CARD', 10000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p2', 'o1', 'ann', 10.00, 'DONE', 'CARD', 11000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p3', 'o2', 'bob', 5.00, 'FAILED', 'BANK', 12000);
-- Out of order within the window.
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p4', 'o3', 'ann', 20.00, 'FAILED', 'CARD', 200000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p5', 'o4', 'ann', 30.00, 'FAILED', 'CARD', 100000);
-- A repeated message counts again.
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p5', 'o4', 'ann', 30.00, 'FAILED', 'CARD', 100000);
-- No JSON, no status, no user.
INSERT INTO payments_raw (value) VALUES ('FAILED');
INSERT INTO payments_raw (value) VALUES ('{"payment_id": "p6", "user_id": "ann", "timestamp": 110000}');
INSERT INTO payments_raw (value) VALUES ('{"payment_id": "p7", "status": "FAILED", "amount": 1, "timestamp": 120000}');
-- After the window's end but within its grace.
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p8', 'o5', 'cat', 1.00, 'FAILED', 'CARD', 320000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p9', 'o6', 'bob', 6.00, 'FAILED', 'CARD', 130000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p10', 'o7', 'bob', 7.00, 'FAILED', 'CARD', 140000);
-- The window closes; what comes for it now is late.
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p11', 'o8', 'cat', 1.00, 'FAILED', 'CARD', 330000);
INSERT INTO payments (payment_id, order_id, user_id, amount, status, method, timestamp) VALUES ('p12', 'o9', 'ann', 9.00, 'FAILED', 'CARD', 150000);

-- Every failed payment, late or not, but not the one without a status.
ASSERT VALUES failed_payments (payment_id, user_id, amount, method, ROWTIME) VALUES ('p1', 'ann', 10.00, 'CARD', 10000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p3', 'bob', 12000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p4', 'ann', 200000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p5', 'ann', 100000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p5', 'ann', 100000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p7', NULL, 120000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p8', 'cat', 320000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p9', 'bob', 130000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p10', 'bob', 140000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p11', 'cat', 330000);
ASSERT VALUES failed_payments (payment_id, user_id, ROWTIME) VALUES ('p12', 'ann', 150000);
ASSERT NO MORE VALUES failed_payments;

-- Live: from the third failure on.
ASSERT VALUES frequent_failed_payments_live (user_id, WINDOWSTART, WINDOWEND, failures, amount) VALUES ('ann', 0, 300000, 3, 60.00);
ASSERT VALUES frequent_failed_payments_live (user_id, WINDOWSTART, WINDOWEND, failures, amount) VALUES ('ann', 0, 300000, 4, 90.00);
ASSERT VALUES frequent_failed_payments_live (user_id, WINDOWSTART, WINDOWEND, failures, amount) VALUES ('bob', 0, 300000, 3, 18.00);
ASSERT NO MORE VALUES frequent_failed_payments_live;

-- Final: once each, when the window and its grace are over.
ASSERT VALUES frequent_failed_payments (user_id, WINDOWSTART, WINDOWEND, failures, amount) VALUES ('ann', 0, 300000, 4, 90.00);
ASSERT VALUES frequent_failed_payments (user_id, WINDOWSTART, WINDOWEND, failures, amount) VALUES ('bob', 0, 300000, 3, 18.00);
ASSERT NO MORE VALUES frequent_failed_payments;

-- The next window closes without another record.
INSERT INTO payments (payment_id, user_id, amount, status, timestamp) VALUES ('p13', 'cat', 1.00, 'FAILED', 340000);
ASSERT NO MORE VALUES frequent_failed_payments;
ADVANCE TIME BY 5 MINUTES;
ASSERT VALUES frequent_failed_payments (user_id, WINDOWSTART, failures, amount) VALUES ('cat', 300000, 3, 3.00);
ASSERT NO MORE VALUES frequent_failed_payments;
