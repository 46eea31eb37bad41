-- One stream filled by several queries, and streams built on streams.

--@test: two sources, one stream
CREATE STREAM web (id INT KEY, amount INT) WITH (KAFKA_TOPIC = 'web', VALUE_FORMAT = 'JSON');
CREATE STREAM shop (id INT KEY, total INT, till VARCHAR) WITH (KAFKA_TOPIC = 'shop', VALUE_FORMAT = 'JSON');
CREATE STREAM sales (id INT KEY, amount INT, place VARCHAR) WITH (KAFKA_TOPIC = 'sales', VALUE_FORMAT = 'JSON');
INSERT INTO sales SELECT id, amount, 'web' AS place FROM web;
INSERT INTO sales SELECT id, total AS amount, till AS place FROM shop WHERE total > 0;
INSERT INTO web (id, amount) VALUES (1, 10);
INSERT INTO shop (id, total, till) VALUES (2, 20, 't7');
INSERT INTO shop (id, total, till) VALUES (3, 0, 't7');
INSERT INTO sales (id, amount, place) VALUES (4, 40, 'by hand');
ASSERT VALUES sales (id, amount, place) VALUES (1, 10, 'web');
ASSERT VALUES sales (id, amount, place) VALUES (2, 20, 't7');
ASSERT VALUES sales (id, amount, place) VALUES (4, 40, 'by hand');
ASSERT NO MORE VALUES sales;

--@test: a chain of streams
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM even AS SELECT k, v FROM s WHERE v % 2 = 0;
CREATE STREAM squared AS SELECT k, v * v AS v FROM even;
CREATE TABLE sums AS SELECT k, SUM(v) AS total FROM squared GROUP BY k;
INSERT INTO s (k, v) VALUES (1, 2);
INSERT INTO s (k, v) VALUES (1, 3);
INSERT INTO s (k, v) VALUES (1, 4);
ASSERT VALUES sums (k, total) VALUES (1, 4);
ASSERT VALUES sums (k, total) VALUES (1, 20);
ASSERT NO MORE VALUES sums;

--@test: the columns must fit
--@expected.message: column
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM d (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'd', VALUE_FORMAT = 'JSON');
INSERT INTO d SELECT k, v FROM s;

--@test: a table is not inserted into by a query
--@expected.message: table
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE d (k INT PRIMARY KEY, v INT) WITH (KAFKA_TOPIC = 'd', VALUE_FORMAT = 'JSON');
INSERT INTO d SELECT k, v FROM s;
