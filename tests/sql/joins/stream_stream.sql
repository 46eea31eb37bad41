-- Joins of two streams within a time window.

--@test: the window's bounds belong to it
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT o.id AS id, item, truck
  FROM orders o JOIN shipments s WITHIN 10 SECONDS GRACE PERIOD 1 MINUTE ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 100000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'A', 110000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'B', 110001);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'C', 90000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'D', 89999);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (2, 'E', 100000);
-- A result has the later time of its two records.
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', 'A', 110000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', 'C', 100000);
-- A later record of the left side meets what is there, in order of time.
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'pen', 100500);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'pen', 'A', 110000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'pen', 'B', 110001);
ASSERT NO MORE VALUES j;

--@test: a left join waits until the window and its grace are over
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT o.id AS id, item, truck
  FROM orders o LEFT JOIN shipments s WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 0);
INSERT INTO orders (id, item, ROWTIME) VALUES (2, 'pen', 1000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (2, 'A', 2000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (2, 'pen', 'A', 2000);
INSERT INTO orders (id, item, ROWTIME) VALUES (3, 'cup', 15000);
ASSERT NO MORE VALUES j;
INSERT INTO orders (id, item, ROWTIME) VALUES (4, 'hat', 15001);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', NULL, 0);
ASSERT NO MORE VALUES j;
-- Without any further record time moves on all the same.
ADVANCE TIME BY 1 MINUTE;
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (3, 'cup', NULL, 15000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (4, 'hat', NULL, 15001);
-- Nobody can match a record any more that comes after its window: its row comes at once.
INSERT INTO orders (id, item, ROWTIME) VALUES (5, 'old', 1000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (5, 'old', NULL, 1000);
ASSERT NO MORE VALUES j;

--@test: without GRACE PERIOD the row of the left side comes at once
-- The row is corrected by the match that follows.
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT o.id AS id, item, truck FROM orders o LEFT JOIN shipments s WITHIN 10 SECONDS ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 0);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', NULL, 0);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'A', 5000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', 'A', 5000);
ASSERT NO MORE VALUES j;

--@test: a full join keeps both sides
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT ROWKEY AS id, item, truck
  FROM orders o FULL OUTER JOIN shipments s WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 0);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (2, 'A', 1000);
INSERT INTO orders (id, item, ROWTIME) VALUES (3, 'pen', 2000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (3, 'B', 3000);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (3, 'pen', 'B', 3000);
ASSERT NO MORE VALUES j;
ADVANCE TIME BY 1 MINUTE;
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (1, 'book', NULL, 0);
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (2, NULL, 'A', 1000);
ASSERT NO MORE VALUES j;

--@test: a right join keeps the right side
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT s.id AS id, item, truck
  FROM orders o RIGHT JOIN shipments s WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 0);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (2, 'A', 1000);
ADVANCE TIME BY 1 MINUTE;
ASSERT VALUES j (id, item, truck, ROWTIME) VALUES (2, NULL, 'A', 1000);
ASSERT NO MORE VALUES j;

--@test: bounds before and after may differ
CREATE STREAM orders (id INT KEY, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT o.id AS id, truck
  FROM orders o JOIN shipments s WITHIN (1 SECOND, 5 SECONDS) GRACE PERIOD 1 MINUTE ON o.id = s.id;
INSERT INTO orders (id, item, ROWTIME) VALUES (1, 'book', 10000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'too early', 8999);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'first', 9000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'last', 15000);
INSERT INTO shipments (id, truck, ROWTIME) VALUES (1, 'too late', 15001);
ASSERT VALUES j (id, truck) VALUES (1, 'first');
ASSERT VALUES j (id, truck) VALUES (1, 'last');
ASSERT NO MORE VALUES j;

--@test: columns that are no keys move their rows first
CREATE STREAM orders (k VARCHAR KEY, ref INT, item VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM shipments (id INT KEY, truck VARCHAR) WITH (KAFKA_TOPIC = 'shipments', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT o.ref AS ref, k, item, truck
  FROM orders o JOIN shipments s WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON o.ref = s.id;
INSERT INTO shipments (id, truck) VALUES (7, 'A');
INSERT INTO orders (k, ref, item) VALUES ('x', 7, 'book');
-- NULL equals nothing.
INSERT INTO orders (k, item) VALUES ('y', 'pen');
INSERT INTO shipments (truck) VALUES ('B');
ASSERT VALUES j (ref, k, item, truck) VALUES (7, 'x', 'book', 'A');
ASSERT NO MORE VALUES j;

--@test: three streams
CREATE STREAM a (id INT KEY, x VARCHAR) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (id INT KEY, y VARCHAR) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c (id INT KEY, z VARCHAR) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT a.id AS id, x, y, z FROM a
  JOIN b WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON a.id = b.id
  JOIN c WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON a.id = c.id;
INSERT INTO c (id, z, ROWTIME) VALUES (1, 'c1', 1000);
INSERT INTO a (id, x, ROWTIME) VALUES (1, 'a1', 2000);
INSERT INTO b (id, y, ROWTIME) VALUES (1, 'b1', 3000);
INSERT INTO c (id, z, ROWTIME) VALUES (1, 'c2', 4000);
ASSERT VALUES j (id, x, y, z, ROWTIME) VALUES (1, 'a1', 'b1', 'c1', 3000);
ASSERT VALUES j (id, x, y, z, ROWTIME) VALUES (1, 'a1', 'b1', 'c2', 4000);
ASSERT NO MORE VALUES j;

--@test: windowed streams of different sizes meet where their windows begin
CREATE STREAM hops (id INT KEY, v INT) WITH (KAFKA_TOPIC = 'hops', VALUE_FORMAT = 'JSON', WINDOW_TYPE = 'HOPPING', WINDOW_SIZE = '4 SECONDS');
CREATE STREAM tumbles (id INT KEY, v INT) WITH (KAFKA_TOPIC = 'tumbles', VALUE_FORMAT = 'JSON', WINDOW_TYPE = 'TUMBLING', WINDOW_SIZE = '1 SECOND');
-- The windows' ends are each source's own, the result has those of the left one.
CREATE STREAM met AS SELECT h.id, h.WINDOWEND AS hop_end, t.WINDOWEND AS tumble_end FROM hops h JOIN tumbles t WITHIN 1 MINUTE ON h.id = t.id;
ASSERT STREAM met (h_id INT KEY, hop_end BIGINT, tumble_end BIGINT) WITH (KAFKA_TOPIC = 'MET', VALUE_FORMAT = 'JSON', WINDOW_TYPE = 'HOPPING', WINDOW_SIZE = '4 SECONDS');
