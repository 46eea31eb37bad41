-- Table functions: one row becomes many.

--@test: a row per item
CREATE STREAM orders (id INT KEY, items ARRAY<STRUCT<sku VARCHAR, quantity INT>>)
  WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM lines AS SELECT id, EXPLODE(items) AS item FROM orders;
CREATE STREAM sold AS SELECT id, item->sku AS sku, item->quantity AS quantity FROM lines WHERE item->quantity > 1;
INSERT INTO orders (id, items, ROWTIME) VALUES (1, ARRAY[STRUCT(sku := 'a', quantity := 1), STRUCT(sku := 'b', quantity := 2)], 9);
-- Nothing to explode, no row.
INSERT INTO orders (id, items) VALUES (2, NULL);
INSERT INTO orders (id, items) VALUES (3, ARRAY[STRUCT(sku := 'c', quantity := 3)]);
ASSERT VALUES lines (id, item, ROWTIME) VALUES (1, STRUCT(sku := 'a', quantity := 1), 9);
ASSERT VALUES lines (id, item, ROWTIME) VALUES (1, STRUCT(sku := 'b', quantity := 2), 9);
ASSERT VALUES lines (id, item) VALUES (3, STRUCT(sku := 'c', quantity := 3));
ASSERT NO MORE VALUES lines;
ASSERT VALUES sold (id, sku, quantity) VALUES (1, 'b', 2);
ASSERT VALUES sold (id, sku, quantity) VALUES (3, 'c', 3);
ASSERT NO MORE VALUES sold;

--@test: several side by side, the shorter ones with NULL
CREATE STREAM s (k INT KEY, a ARRAY<INT>, b ARRAY<VARCHAR>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM x AS SELECT k, EXPLODE(a) AS a, EXPLODE(b) AS b FROM s;
INSERT INTO s (k, a, b) VALUES (1, ARRAY[1, 2, 3], ARRAY['x']);
ASSERT VALUES x (k, a, b) VALUES (1, 1, 'x');
ASSERT VALUES x (k, a, b) VALUES (1, 2, NULL);
ASSERT VALUES x (k, a, b) VALUES (1, 3, NULL);
ASSERT NO MORE VALUES x;

--@test: aggregated afterwards
CREATE STREAM s (k INT KEY, tags ARRAY<VARCHAR>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM x AS SELECT k, EXPLODE(tags) AS tag FROM s;
CREATE TABLE t AS SELECT tag, COUNT(*) AS n FROM x GROUP BY tag;
INSERT INTO s (k, tags) VALUES (1, ARRAY['a', 'b', 'a']);
ASSERT VALUES t (tag, n) VALUES ('a', 1);
ASSERT VALUES t (tag, n) VALUES ('b', 1);
ASSERT VALUES t (tag, n) VALUES ('a', 2);
ASSERT NO MORE VALUES t;

--@test: not in WHERE
--@expected.message: EXPLODE
CREATE STREAM s (k INT KEY, a ARRAY<INT>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM x AS SELECT k FROM s WHERE EXPLODE(a) = 1;
