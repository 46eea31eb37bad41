-- Headers of records as columns.

--@test: records without headers have none
CREATE STREAM s (k INT KEY, v INT, all_of_them ARRAY<STRUCT<key STRING, value BYTES>> HEADERS)
  WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v, ARRAY_LENGTH(all_of_them) AS n FROM s;
INSERT INTO s (k, v) VALUES (1, 2);
ASSERT VALUES c (k, v, n) VALUES (1, 2, 0);
ASSERT NO MORE VALUES c;

--@test: one header by name is NULL when it is not there
CREATE STREAM s (k INT KEY, v INT, trace BYTES HEADER('trace-id')) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, trace IS NULL AS untraced FROM s;
INSERT INTO s (k, v) VALUES (1, 2);
ASSERT VALUES c (k, untraced) VALUES (1, true);
ASSERT NO MORE VALUES c;

--@test: headers cannot be inserted
--@expected.message: header
CREATE STREAM s (k INT KEY, v INT, trace BYTES HEADER('trace-id')) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
INSERT INTO s (k, v, trace) VALUES (1, 2, NULL);

--@test: headers have their own types
--@expected.message: HEADER
CREATE STREAM s (k INT KEY, v INT, trace INT HEADER('trace-id')) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
