-- A table's topic: the newest record of a key is its row, a record without value deletes it.

--@test: upserts and deletions pass through a projection
CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM users_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'KAFKA');
CREATE TABLE names AS SELECT id, UCASE(name) AS name FROM users;
INSERT INTO users (id, name) VALUES (1, 'ann');
INSERT INTO users (id, name) VALUES (1, 'anna');
INSERT INTO users_raw (id, v) VALUES (1, NULL);
-- NULL columns are a row, not a deletion.
INSERT INTO users (id, name) VALUES (1, NULL);
-- A row without key has no place.
INSERT INTO users_raw (v) VALUES ('{"name": "nobody"}');
ASSERT VALUES names (id, name) VALUES (1, 'ANN');
ASSERT VALUES names (id, name) VALUES (1, 'ANNA');
ASSERT NULL VALUES names (id) KEY (1);
ASSERT VALUES names (id, name) VALUES (1, NULL);
ASSERT NO MORE VALUES names;

--@test: a row that no longer passes the filter is deleted, one that never did is not
CREATE TABLE users (id INT PRIMARY KEY, age INT) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM users_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'KAFKA');
CREATE TABLE adults AS SELECT id, age FROM users WHERE age >= 18;
INSERT INTO users (id, age) VALUES (1, 17);
INSERT INTO users (id, age) VALUES (1, 18);
INSERT INTO users (id, age) VALUES (1, 16);
INSERT INTO users (id, age) VALUES (1, 15);
INSERT INTO users (id, age) VALUES (2, 40);
INSERT INTO users_raw (id, v) VALUES (2, NULL);
INSERT INTO users_raw (id, v) VALUES (3, NULL);
ASSERT VALUES adults (id, age) VALUES (1, 18);
ASSERT NULL VALUES adults (id) KEY (1);
ASSERT VALUES adults (id, age) VALUES (2, 40);
ASSERT NULL VALUES adults (id) KEY (2);
-- Nothing is known of this row, so nothing is known against it either: its deletion passes.
ASSERT NULL VALUES adults (id) KEY (3);
ASSERT NO MORE VALUES adults;

--@test: a stream passes records without value on, and filters drop them
CREATE STREAM s (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM s_raw (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM copied AS SELECT k, UCASE(v) AS v FROM s;
CREATE STREAM filtered AS SELECT k, v FROM s WHERE k > 0;
INSERT INTO s_raw (k, v) VALUES (1, NULL);
INSERT INTO s (k, v) VALUES (1, 'x');
ASSERT NULL VALUES copied (k) KEY (1);
ASSERT VALUES copied (k, v) VALUES (1, 'X');
ASSERT NO MORE VALUES copied;
ASSERT VALUES filtered (k, v) VALUES (1, 'x');
ASSERT NO MORE VALUES filtered;

--@test: a table needs its key in every row that is inserted
--@expected.message: key
CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
INSERT INTO users (name) VALUES ('nobody');
