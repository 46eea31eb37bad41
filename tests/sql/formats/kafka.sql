-- KAFKA: one value as Kafka's own serializers write it.

--@test: numbers are big-endian bytes of exactly their length
CREATE STREAM bytes (v BYTES) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (VALUE_FORMAT = 'JSON') AS SELECT v + 1 AS v FROM s;
INSERT INTO bytes (v) VALUES (TO_BYTES('0000000A', 'hex'));
INSERT INTO bytes (v) VALUES (TO_BYTES('FFFFFFFF', 'hex'));
INSERT INTO bytes (v) VALUES (TO_BYTES('00000000000000000A', 'hex'));
ASSERT VALUES c (v) VALUES (11);
ASSERT VALUES c (v) VALUES (0);
ASSERT NO MORE VALUES c;
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('deserialization', 2);

--@test: a BIGINT is written as eight bytes
CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM written (k VARCHAR KEY, v BYTES) WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA');
CREATE STREAM c WITH (KAFKA_TOPIC = 'c', VALUE_FORMAT = 'KAFKA') AS SELECT k, v FROM s;
INSERT INTO s (k, v) VALUES ('a', 258);
ASSERT VALUES written (k, v) VALUES ('a', TO_BYTES('0000000000000102', 'hex'));
ASSERT NO MORE VALUES written;

--@test: one value only
--@expected.message: KAFKA
CREATE STREAM s (a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'KAFKA');
