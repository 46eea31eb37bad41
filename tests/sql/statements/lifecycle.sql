-- Sources and queries come, change and go.

--@test: IF NOT EXISTS keeps what is there
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM IF NOT EXISTS s (k INT KEY, other VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
ASSERT STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');

--@test: a dropped stream takes its query along
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s;
INSERT INTO s (k, v) VALUES (1, 1);
DROP STREAM c;
INSERT INTO s (k, v) VALUES (2, 2);
CREATE STREAM c_again (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'C', VALUE_FORMAT = 'JSON');
ASSERT VALUES c_again (k, v) VALUES (1, 1);
ASSERT NO MORE VALUES c_again;
-- Now nothing reads it any more.
DROP STREAM s;

--@test: a terminated query leaves its stream
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s;
INSERT INTO s (k, v) VALUES (1, 1);
TERMINATE ALL;
INSERT INTO s (k, v) VALUES (2, 2);
ASSERT VALUES c (k, v) VALUES (1, 1);
ASSERT NO MORE VALUES c;

--@test: variables are put in before a statement is read
DEFINE topic = 'numbers';
DEFINE least = '10';
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = '${topic}', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s WHERE v >= ${least};
INSERT INTO s (k, v) VALUES (1, 9);
INSERT INTO s (k, v) VALUES (2, 10);
ASSERT VALUES c (k, v) VALUES (2, 10);
ASSERT NO MORE VALUES c;

--@test: properties give what statements leave out
SET 'ksql.persistence.default.format.value' = 'JSON';
SET 'ksql.output.topic.name.prefix' = 'out-';
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's');
CREATE STREAM c AS SELECT k, v FROM s;
ASSERT STREAM c (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'out-C', VALUE_FORMAT = 'JSON');

--@test: names in backticks keep their case
CREATE STREAM `Mixed Case` (`Key` INT KEY, `a value` INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT `Key`, `a value` + 1 AS `one more` FROM `Mixed Case`;
INSERT INTO `Mixed Case` (`Key`, `a value`) VALUES (1, 2);
ASSERT VALUES c (`Key`, `one more`) VALUES (1, 3);
ASSERT NO MORE VALUES c;

--@test: columns without a name get one
CREATE STREAM s (k INT KEY, v INT, st STRUCT<x INT>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v + 1, v * 2, st->x FROM s;
ASSERT STREAM c (k INT KEY, KSQL_COL_0 INT, KSQL_COL_1 INT, x INT) WITH (KAFKA_TOPIC = 'C', VALUE_FORMAT = 'JSON');

--@test: all columns of a join carry the name of their source
CREATE STREAM a (k INT KEY, v INT, x INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE TABLE b (k INT PRIMARY KEY, v INT, y INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT * FROM a JOIN b ON a.k = b.k;
ASSERT STREAM c (a_k INT KEY, a_v INT, a_x INT, b_k INT, b_v INT, b_y INT) WITH (KAFKA_TOPIC = 'C', VALUE_FORMAT = 'JSON');

--@test: a filter is replaced, the sum goes on
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, SUM(v) AS total FROM s GROUP BY k;
INSERT INTO s (k, v) VALUES (1, 10);
CREATE OR REPLACE TABLE t AS SELECT k, SUM(v) AS total FROM s WHERE v > 5 GROUP BY k;
INSERT INTO s (k, v) VALUES (1, 5);
INSERT INTO s (k, v) VALUES (1, 6);
ASSERT VALUES t (k, total) VALUES (1, 10);
ASSERT VALUES t (k, total) VALUES (1, 16);
ASSERT NO MORE VALUES t;

--@test: what a script relies on is asserted first
ASSERT NOT EXISTS TOPIC parcels;
CREATE STREAM parcels (id INT KEY, grams INT) WITH (KAFKA_TOPIC = 'parcels', PARTITIONS = 3, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'AVRO');
ASSERT TOPIC parcels WITH (PARTITIONS = 3) TIMEOUT 5 SECONDS;
ASSERT SCHEMA SUBJECT 'parcels-value';
ASSERT NOT EXISTS SCHEMA SUBJECT 'parcels-key';
ASSERT SCHEMA SUBJECT 'parcels-value' ID 1;
ASSERT NOT EXISTS SCHEMA ID 2;
-- A new column is a new version of the schema.
ALTER STREAM parcels ADD COLUMN city VARCHAR;
ASSERT SCHEMA ID 2;

--@test: an assertion about a schema names one
--@expected.error: ASSERT SCHEMA without
ASSERT SCHEMA;
