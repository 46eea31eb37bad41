-- Mistakes are refused before anything runs, with words that help.

--@test: an unknown column
--@expected.message: Did you mean AMOUNT?
CREATE STREAM s (k INT KEY, amount INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, amuont FROM s;

--@test: an unknown source
--@expected.message: Did you mean ORDERS?
CREATE STREAM orders (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT * FROM ordres;

--@test: an unknown function
--@expected.message: Did you mean UCASE?
CREATE STREAM s (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, UCAS(v) AS v FROM s;

--@test: a function of other arguments
--@expected.message: UCASE
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, UCASE(v) AS v FROM s;

--@test: types that do not compare
--@expected.message: compare
CREATE STREAM s (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s WHERE v > 5;

--@test: a condition that is none
--@expected.message: BOOLEAN
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s WHERE v + 1;

--@test: the key is not selected
--@expected.message: key
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT v FROM s;

--@test: a name that is taken
--@expected.message: exists already
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's2', VALUE_FORMAT = 'JSON');

--@test: a table without primary key
--@expected.message: PRIMARY KEY
CREATE TABLE t (k INT, v INT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON');

--@test: a stream with a primary key
--@expected.message: KEY
CREATE STREAM s (k INT PRIMARY KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');

--@test: no format
--@expected.message: VALUE_FORMAT
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's');

--@test: an unknown property
--@expected.message: Did you mean VALUE_FORMAT?
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMT = 'JSON');

--@test: an unknown format
--@expected.message: JSN
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSN');

--@test: text as a timestamp needs its format
--@expected.message: TIMESTAMP_FORMAT
CREATE STREAM s (k INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON', TIMESTAMP = 'v');

--@test: a stream of an aggregation is a table
--@expected.message: TABLE
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;

--@test: a table of a stream is a stream
--@expected.message: STREAM
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE c AS SELECT k, v FROM s;

--@test: streams meet within a time
--@expected.message: WITHIN
CREATE STREAM a (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (k INT KEY, w INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT a.k, v, w FROM a JOIN b ON a.k = b.k;

--@test: joins need an equality
--@expected.message: equality
CREATE STREAM a (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (k INT KEY, w INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT a.k, v, w FROM a JOIN b WITHIN 1 HOUR ON a.k > b.k;

--@test: names that both sides have
--@expected.message: ambiguous
CREATE STREAM a (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON');
CREATE STREAM b (k INT KEY, v INT) WITH (KAFKA_TOPIC = 'b', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT a.k, v FROM a JOIN b WITHIN 1 HOUR ON a.k = b.k;

--@test: an aggregate without group
--@expected.message: GROUP BY
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE c AS SELECT COUNT(*) AS n FROM s;

--@test: an aggregate in WHERE
--@expected.message: WHERE
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE c AS SELECT k, COUNT(*) AS n FROM s WHERE COUNT(*) > 1 GROUP BY k;

--@test: a window without group
--@expected.message: GROUP BY
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s WINDOW TUMBLING (SIZE 1 MINUTE);

--@test: what others read is not dropped
--@expected.message: C
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v FROM s;
DROP STREAM s;

--@test: values for columns that there are not
--@expected.message: W
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
INSERT INTO s (k, w) VALUES (1, 2);

--@test: a value of another type
--@expected.message: V
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
INSERT INTO s (k, v) VALUES (1, 'many');

--@test: a misspelt word
--@expected.message: Did you mean CREATE?
CRAETE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');

--@test: clauses in the wrong order
--@expected.message: WHERE
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE c AS SELECT k, COUNT(*) AS n FROM s GROUP BY k WHERE v > 1;

--@test: a property of the session that is none
--@expected.message: auto.offset.reset
SET 'auto.offset.rest' = 'earliest';
