-- PARTITION BY: a new key for the rows of a stream.

--@test: by a column
CREATE STREAM s (k VARCHAR KEY, a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM p AS SELECT * FROM s PARTITION BY a;
ASSERT STREAM p (a INT KEY, b INT, k VARCHAR) WITH (KAFKA_TOPIC = 'P', VALUE_FORMAT = 'JSON');
INSERT INTO s (k, a, b, ROWTIME) VALUES ('x', 1, 2, 77);
-- A NULL key is a key of a stream's record.
INSERT INTO s (k, b) VALUES ('y', 3);
ASSERT VALUES p (a, b, k, ROWTIME) VALUES (1, 2, 'x', 77);
ASSERT VALUES p (a, b, k) VALUES (NULL, 3, 'y');
ASSERT NO MORE VALUES p;

--@test: by an expression
CREATE STREAM s (k VARCHAR KEY, a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM p AS SELECT a + b AS c, k, a FROM s PARTITION BY a + b;
INSERT INTO s (k, a, b) VALUES ('x', 1, 2);
-- The key cannot be computed: the row stays, without one.
INSERT INTO s (k, a) VALUES ('y', 1);
ASSERT VALUES p (c, k, a) VALUES (3, 'x', 1);
ASSERT VALUES p (c, k, a) VALUES (NULL, 'y', 1);
ASSERT NO MORE VALUES p;

--@test: by several columns
CREATE STREAM s (k VARCHAR KEY, a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM p WITH (KEY_FORMAT = 'JSON') AS SELECT b, a, k FROM s PARTITION BY b, a;
CREATE STREAM p_raw (k VARCHAR KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'P', VALUE_FORMAT = 'KAFKA');
INSERT INTO s (k, a, b) VALUES ('x', 1, 2);
ASSERT VALUES p_raw (k, v) VALUES ('{"B":2,"A":1}', '{"K":"x"}');
ASSERT NO MORE VALUES p_raw;

--@test: by nothing
CREATE STREAM s (k VARCHAR KEY, a INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM p AS SELECT a, k FROM s PARTITION BY NULL;
INSERT INTO s (k, a) VALUES ('x', 1);
ASSERT VALUES p (a, k) VALUES (1, 'x');
ASSERT NO MORE VALUES p;

--@test: a table has the key that it has
--@expected.message: PARTITION BY
CREATE TABLE t (k VARCHAR PRIMARY KEY, a INT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON');
CREATE TABLE p AS SELECT a, k FROM t PARTITION BY a;

--@test: the key must be selected
--@expected.message: key
CREATE STREAM s (k VARCHAR KEY, a INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM p AS SELECT k FROM s PARTITION BY a;

--@test: keys as the projection selects them, where that is asked for
SET 'ksql.new.query.planner.enabled' = 'true';
CREATE STREAM parcels (city VARCHAR KEY, number INT KEY, grams INT) WITH (KAFKA_TOPIC = 'parcels', FORMAT = 'JSON');
CREATE STREAM turned AS SELECT number, city, grams FROM parcels;
CREATE STREAM weights AS SELECT grams FROM parcels;
INSERT INTO parcels VALUES ('Oslo', 4, 750);
ASSERT STREAM turned (number INT KEY, city VARCHAR KEY, grams INT) WITH (KAFKA_TOPIC = 'TURNED', FORMAT = 'JSON');
ASSERT VALUES turned (number, city, grams) VALUES (4, 'Oslo', 750);
ASSERT STREAM weights (grams INT) WITH (KAFKA_TOPIC = 'WEIGHTS', KEY_FORMAT = 'NONE', VALUE_FORMAT = 'JSON');
ASSERT VALUES weights (grams) VALUES (750);
