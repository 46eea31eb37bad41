-- CREATE OR REPLACE … AS SELECT: the query goes on where it stands, with the state it has.

--@test: a filter comes, changes and goes
CREATE STREAM orders (id INT KEY, item VARCHAR, price INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM seen AS SELECT id, item FROM orders;
INSERT INTO orders VALUES (1, 'pen', 2);
ASSERT VALUES seen (id, item) VALUES (1, 'pen');
CREATE OR REPLACE STREAM seen AS SELECT id, item FROM orders WHERE price > 10;
INSERT INTO orders VALUES (2, 'ink', 3);
INSERT INTO orders VALUES (3, 'desk', 200);
ASSERT VALUES seen (id, item) VALUES (3, 'desk');
CREATE OR REPLACE STREAM seen AS SELECT id, item FROM orders;
INSERT INTO orders VALUES (4, 'cap', 5);
ASSERT VALUES seen (id, item) VALUES (4, 'cap');
ASSERT NO MORE VALUES seen;

--@test: columns are appended
CREATE STREAM orders (id INT KEY, item VARCHAR, price INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE STREAM seen AS SELECT item, id FROM orders PARTITION BY item;
CREATE OR REPLACE STREAM seen AS SELECT item, id, price, price * 2 AS twice FROM orders PARTITION BY item;
INSERT INTO orders VALUES (1, 'pen', 2);
ASSERT VALUES seen (item, id, price, twice) VALUES ('pen', 1, 2, 4);

--@test: rows of a table that were kept without a column
CREATE TABLE prices (item VARCHAR PRIMARY KEY, price INT, stock INT) WITH (KAFKA_TOPIC = 'prices', VALUE_FORMAT = 'JSON');
CREATE TABLE shown AS SELECT item, price FROM prices;
INSERT INTO prices VALUES ('pen', 2, 9);
ASSERT VALUES shown (item, price) VALUES ('pen', 2);
ALTER TABLE prices ADD COLUMN place VARCHAR;
CREATE OR REPLACE TABLE shown AS SELECT item, price, stock, place FROM prices WHERE stock > 5;
-- It was shown before, and is not any more.
INSERT INTO prices (item, price, stock) VALUES ('pen', 3, 4);
ASSERT NULL VALUES shown (item) KEY ('pen');
INSERT INTO prices VALUES ('pen', 3, 7, 'left');
ASSERT VALUES shown (item, price, stock, place) VALUES ('pen', 3, 7, 'left');

--@test: an aggregation keeps counting
CREATE STREAM orders (id INT KEY, item VARCHAR, price INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE sold AS SELECT item, COUNT(*) AS n, SUM(price) AS total FROM orders GROUP BY item;
INSERT INTO orders VALUES (1, 'pen', 2);
ASSERT VALUES sold (item, n, total) VALUES ('pen', 1, 2);
CREATE OR REPLACE TABLE sold AS
  SELECT item, COUNT(*) AS n, SUM(price) AS total, SUM(price) / COUNT(*) AS mean FROM orders WHERE price > 1 GROUP BY item;
INSERT INTO orders VALUES (2, 'pen', 1);
INSERT INTO orders VALUES (3, 'pen', 6);
ASSERT VALUES sold (item, n, total, mean) VALUES ('pen', 2, 8, 4);
CREATE OR REPLACE TABLE sold AS
  SELECT item, COUNT(*) AS n, SUM(price) AS total, SUM(price) / COUNT(*) AS mean FROM orders GROUP BY item HAVING COUNT(*) > 5;
INSERT INTO orders VALUES (4, 'pen', 6);
ASSERT NO MORE VALUES sold;

--@test: an aggregation goes on with the same columns
--@expected.message: uses other columns
CREATE STREAM orders (id INT KEY, item VARCHAR, price INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE sold AS SELECT item, COUNT(*) AS n FROM orders GROUP BY item;
CREATE OR REPLACE TABLE sold AS SELECT item, COUNT(*) AS n FROM orders WHERE price > 1 GROUP BY item;

--@test: an aggregation computes the same
--@expected.message: would keep other columns
CREATE STREAM orders (id INT KEY, item VARCHAR, price INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE sold AS SELECT item, SUM(price) AS n FROM orders GROUP BY item;
CREATE OR REPLACE TABLE sold AS SELECT item, MAX(price) AS n FROM orders GROUP BY item;

--@test: joins are not replaced
--@expected.message: a join of streams
CREATE STREAM a (id INT KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (id INT KEY, w INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT a.id AS id, v, w FROM a JOIN b WITHIN 1 HOUR ON a.id = b.id;
CREATE OR REPLACE STREAM j AS SELECT a.id AS id, v, w FROM a JOIN b WITHIN 1 HOUR ON a.id = b.id WHERE v > 1;

--@test: another source is another query
--@expected.message: other sources
CREATE STREAM a (id INT KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (id INT KEY, v INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT * FROM a;
CREATE OR REPLACE STREAM c AS SELECT * FROM b;

--@test: times of results stay where they are
--@expected.message: take their time
CREATE STREAM a (id INT KEY, v BIGINT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT * FROM a;
CREATE OR REPLACE STREAM c WITH (TIMESTAMP = 'v') AS SELECT * FROM a;

--@test: two queries fill it
--@expected.message: filled by
CREATE STREAM a (id INT KEY, v BIGINT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT * FROM a;
INSERT INTO c SELECT * FROM a;
CREATE OR REPLACE STREAM c AS SELECT id, v + 1 AS v FROM a;

--@test: windowed sources have a key
--@expected.message: without a key
CREATE STREAM w (v INT) WITH (KAFKA_TOPIC = 'w', VALUE_FORMAT = 'JSON', WINDOW_TYPE = 'SESSION');

--@test: patterns of times are checked when they are declared
--@expected.message: invalid date pattern
CREATE STREAM w (v VARCHAR) WITH (KAFKA_TOPIC = 'w', VALUE_FORMAT = 'JSON', TIMESTAMP = 'v', TIMESTAMP_FORMAT = 'yyyy-{');

--@test: a lambda hides no column
--@expected.message: name of a column
CREATE STREAM w (k INT KEY, a ARRAY<INT>, v INT) WITH (KAFKA_TOPIC = 'w', VALUE_FORMAT = 'JSON');
CREATE STREAM o AS SELECT k, TRANSFORM(a, v => v + 1) AS a FROM w;
