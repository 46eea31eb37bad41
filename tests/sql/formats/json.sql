-- JSON: what is read from a field of which type, and what is written.

--@test: numbers and texts stand in for one another, wrong values cost the record
CREATE STREAM s (i INT, b BIGINT, d DOUBLE, t VARCHAR, f BOOLEAN) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c AS SELECT * FROM s;
INSERT INTO raw (v) VALUES ('{"i": "12", "b": 13, "d": "1.5", "t": 7, "f": true}');
INSERT INTO raw (v) VALUES ('{"t": {"x": [1, 2]}}');
INSERT INTO raw (v) VALUES ('{"i": "many"}');
INSERT INTO raw (v) VALUES ('{"f": "yes, please"}');
INSERT INTO raw (v) VALUES ('{"i": 1');
INSERT INTO raw (v) VALUES ('{"i": 5, "unknown": {"deep": [{}]}}');
ASSERT VALUES c (i, b, d, t, f) VALUES (12, 13, 1.5, '7', true);
ASSERT VALUES c (i, t) VALUES (NULL, '{"x":[1,2]}');
ASSERT VALUES c (i, b, d, t, f) VALUES (5, NULL, NULL, NULL, NULL);
ASSERT NO MORE VALUES c;
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 's', 2);
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 's', 3);
ASSERT VALUES processing_log (kind, topic, topic_offset) VALUES ('deserialization', 's', 4);
ASSERT NO MORE VALUES processing_log;

--@test: fields are found by their name, and by their name in capitals
CREATE STREAM s (first_name VARCHAR, `lastName` VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c AS SELECT * FROM s;
INSERT INTO raw (v) VALUES ('{"first_name": "Ann", "lastName": "Lee"}');
INSERT INTO raw (v) VALUES ('{"FIRST_NAME": "Bob", "LASTNAME": "Ray"}');
INSERT INTO raw (v) VALUES ('{"First_Name": "Cat"}');
ASSERT VALUES c (first_name, `lastName`) VALUES ('Ann', 'Lee');
ASSERT VALUES c (first_name, `lastName`) VALUES ('Bob', NULL);
ASSERT VALUES c (first_name, `lastName`) VALUES ('Cat', NULL);
ASSERT NO MORE VALUES c;

--@test: every column is written, in order, decimals with their scale
CREATE STREAM s (i INT, d DECIMAL(6, 2), f DOUBLE, t VARCHAR, a ARRAY<INT>, m MAP<VARCHAR, INT>, st STRUCT<x INT, y VARCHAR>)
  WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM written (v VARCHAR) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (KAFKA_TOPIC = 'c') AS SELECT * FROM s;
INSERT INTO s (i, d, f, t, a, m, st)
  VALUES (1, 1.10, 2.5, 'é "q"', ARRAY[1, 2], MAP('k' := 1), STRUCT(x := 1, y := CAST(NULL AS VARCHAR)));
INSERT INTO s (i) VALUES (2);
ASSERT VALUES written (v) VALUES ('{"I":1,"D":1.10,"F":2.5,"T":"é \"q\"","A":[1,2],"M":{"k":1},"ST":{"X":1,"Y":null}}');
ASSERT VALUES written (v) VALUES ('{"I":2,"D":null,"F":null,"T":null,"A":null,"M":null,"ST":null}');
ASSERT NO MORE VALUES written;

--@test: decimals must fit
CREATE STREAM s (d DECIMAL(4, 2), i INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c AS SELECT * FROM s;
INSERT INTO raw (v) VALUES ('{"d": 12.34}');
INSERT INTO raw (v) VALUES ('{"d": 12.3}');
INSERT INTO raw (v) VALUES ('{"d": "1.5"}');
INSERT INTO raw (v) VALUES ('{"d": 123.4}');
INSERT INTO raw (v) VALUES ('{"d": 1.234}');
ASSERT VALUES c (d) VALUES (12.34);
ASSERT VALUES c (d) VALUES (12.30);
ASSERT VALUES c (d) VALUES (1.50);
ASSERT NO MORE VALUES c;

--@test: a single column may stand alone
CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON', WRAP_SINGLE_VALUE = false);
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM written (v VARCHAR) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (KAFKA_TOPIC = 'c', WRAP_SINGLE_VALUE = true) AS SELECT v * 10 AS v FROM s;
INSERT INTO raw (v) VALUES ('7');
ASSERT VALUES written (v) VALUES ('{"V":70}');
ASSERT NO MORE VALUES written;

--@test: several key columns are one object
CREATE STREAM s (a INT KEY, b VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', FORMAT = 'JSON');
CREATE STREAM raw (k VARCHAR KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c AS SELECT a, b, v FROM s;
INSERT INTO raw (k, v) VALUES ('{"a": 1, "b": "x"}', '{"v": 3}');
ASSERT VALUES c (a, b, v) VALUES (1, 'x', 3);
ASSERT NO MORE VALUES c;
