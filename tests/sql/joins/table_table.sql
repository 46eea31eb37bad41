-- Two tables joined by key: a table again, kept up to date from both sides.

--@test: an inner join appears, changes and goes
CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE TABLE b (id INT PRIMARY KEY, y INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM b_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'KAFKA');
CREATE TABLE j AS SELECT a.id AS id, x, y FROM a JOIN b ON a.id = b.id;
INSERT INTO a (id, x, ROWTIME) VALUES (1, 10, 1);
INSERT INTO b (id, y, ROWTIME) VALUES (1, 20, 5);
INSERT INTO a (id, x, ROWTIME) VALUES (1, 11, 3);
-- A row's time is the later of its two sides'.
ASSERT VALUES j (id, x, y, ROWTIME) VALUES (1, 10, 20, 5);
ASSERT VALUES j (id, x, y, ROWTIME) VALUES (1, 11, 20, 5);
INSERT INTO b_raw (id, v, ROWTIME) VALUES (1, NULL, 7);
ASSERT NULL VALUES j (id) KEY (1);
-- Deleted again, and never joined: nothing to take back.
INSERT INTO b_raw (id, v, ROWTIME) VALUES (1, NULL, 8);
INSERT INTO b_raw (id, v, ROWTIME) VALUES (2, NULL, 9);
ASSERT NO MORE VALUES j;

--@test: a left join keeps the left rows
CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE TABLE b (id INT PRIMARY KEY, y INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM a_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'KAFKA');
CREATE STREAM b_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'KAFKA');
CREATE TABLE j AS SELECT a.id AS id, x, y FROM a LEFT JOIN b ON a.id = b.id;
INSERT INTO b (id, y) VALUES (2, 5);
INSERT INTO a (id, x) VALUES (1, 10);
INSERT INTO b (id, y) VALUES (1, 20);
INSERT INTO b_raw (id, v) VALUES (1, NULL);
INSERT INTO a_raw (id, v) VALUES (1, NULL);
ASSERT VALUES j (id, x, y) VALUES (1, 10, NULL);
ASSERT VALUES j (id, x, y) VALUES (1, 10, 20);
ASSERT VALUES j (id, x, y) VALUES (1, 10, NULL);
ASSERT NULL VALUES j (id) KEY (1);
ASSERT NO MORE VALUES j;

--@test: a full join keeps the rows of both
CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE TABLE b (id INT PRIMARY KEY, y INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM a_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'KAFKA');
CREATE STREAM b_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'KAFKA');
CREATE TABLE j AS SELECT ROWKEY AS id, x, y FROM a FULL OUTER JOIN b ON a.id = b.id;
INSERT INTO b (id, y) VALUES (1, 20);
INSERT INTO a (id, x) VALUES (1, 10);
INSERT INTO b_raw (id, v) VALUES (1, NULL);
INSERT INTO a_raw (id, v) VALUES (1, NULL);
ASSERT VALUES j (id, x, y) VALUES (1, NULL, 20);
ASSERT VALUES j (id, x, y) VALUES (1, 10, 20);
ASSERT VALUES j (id, x, y) VALUES (1, 10, NULL);
ASSERT NULL VALUES j (id) KEY (1);
ASSERT NO MORE VALUES j;

--@test: WHERE after the join takes rows back that no longer pass
CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE TABLE b (id INT PRIMARY KEY, y INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE TABLE j AS SELECT a.id AS id, x, y FROM a JOIN b ON a.id = b.id WHERE y > 5;
INSERT INTO a (id, x) VALUES (1, 10);
INSERT INTO b (id, y) VALUES (1, 1);
INSERT INTO b (id, y) VALUES (1, 6);
INSERT INTO b (id, y) VALUES (1, 2);
INSERT INTO b (id, y) VALUES (1, 3);
ASSERT VALUES j (id, x, y) VALUES (1, 10, 6);
ASSERT NULL VALUES j (id) KEY (1);
ASSERT NO MORE VALUES j;
