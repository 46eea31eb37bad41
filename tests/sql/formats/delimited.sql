-- DELIMITED: a line of fields.

--@test: reading lines
CREATE STREAM s (i INT, t VARCHAR, d DECIMAL(5, 2), f BOOLEAN) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'DELIMITED');
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (VALUE_FORMAT = 'JSON') AS SELECT * FROM s;
INSERT INTO raw (v) VALUES ('1,ann,2.50,true');
INSERT INTO raw (v) VALUES ('2,"a, b ""c""",,no');
-- Too few, too many, no number.
INSERT INTO raw (v) VALUES ('3,x');
INSERT INTO raw (v) VALUES ('4,x,1.00,true,y');
INSERT INTO raw (v) VALUES ('five,x,1.00,true');
ASSERT VALUES c (i, t, d, f) VALUES (1, 'ann', 2.50, true);
ASSERT VALUES c (i, t, d, f) VALUES (2, 'a, b "c"', NULL, false);
ASSERT NO MORE VALUES c;
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 2);
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 3);
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 4);
ASSERT NO MORE VALUES processing_log;

--@test: writing lines
CREATE STREAM s (i INT, t VARCHAR, d DOUBLE) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM written (v VARCHAR) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'DELIMITED') AS SELECT i, t, d FROM s;
INSERT INTO s (i, t, d) VALUES (1, 'a, b', 1.5);
INSERT INTO s (i, t, d) VALUES (2, NULL, 1e10);
ASSERT VALUES written (v) VALUES ('1,"a, b",1.5');
ASSERT VALUES written (v) VALUES ('2,,1.0E10');
ASSERT NO MORE VALUES written;

--@test: other delimiters
CREATE STREAM s (i INT, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'DELIMITED', VALUE_DELIMITER = '|');
CREATE STREAM written (v VARCHAR) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (KAFKA_TOPIC = 'c', VALUE_DELIMITER = 'SPACE') AS SELECT i, t FROM s;
CREATE STREAM raw (v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
INSERT INTO raw (v) VALUES ('1|a,b');
ASSERT VALUES written (v) VALUES ('1 a,b');
ASSERT NO MORE VALUES written;

--@test: lines hold plain values only
--@expected.message: DELIMITED
CREATE STREAM s (i INT, a ARRAY<INT>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'DELIMITED');
