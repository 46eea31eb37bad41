-- Numbers: Java's arithmetic for INT, BIGINT and DOUBLE; decimals exact or NULL.

--@test: integers wrap around and divide downwards to zero
CREATE STREAM s (k INT KEY, a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, a + 1 AS more, a / b AS quotient, a % b AS rest, -a AS negated FROM s;
INSERT INTO s (k, a, b) VALUES (1, 2147483647, 2);
INSERT INTO s (k, a, b) VALUES (2, -7, 3);
ASSERT VALUES c (k, more, quotient, rest, negated) VALUES (1, -2147483648, 1073741823, 1, -2147483647);
ASSERT VALUES c (k, more, quotient, rest, negated) VALUES (2, -6, -2, -1, 7);
-- A column that cannot be computed is NULL, and the processing log says why.
INSERT INTO s (k, a, b) VALUES (3, 1, 0);
ASSERT VALUES c (k, more, quotient, rest, negated) VALUES (3, 2, NULL, NULL, -1);
ASSERT VALUES processing_log (kind, topic_offset) VALUES ('expression', 2);
ASSERT NO MORE VALUES c;

--@test: doubles know infinity
CREATE STREAM s (k INT KEY, a DOUBLE, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, a / b AS q, a / b > 1e300 AS huge, CAST(a AS STRING) AS t FROM s;
INSERT INTO s (k, a, b) VALUES (1, 1, 4);
INSERT INTO s (k, a, b) VALUES (2, 12345678, 0);
ASSERT VALUES c (k, q, huge, t) VALUES (1, 0.25, false, '1.0');
ASSERT VALUES c (k, huge, t) VALUES (2, true, '1.2345678E7');
ASSERT NO MORE VALUES c;

--@test: types of decimal results, and results that are not exact
CREATE STREAM s (k INT KEY, a DECIMAL(5, 2), b DECIMAL(4, 1)) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, a + b AS total, a * b AS product, a / b AS quotient, a > b AS larger FROM s;
ASSERT STREAM c (k INT KEY, total DECIMAL(6, 2), product DECIMAL(10, 3), quotient DECIMAL(11, 7), larger BOOLEAN)
  WITH (KAFKA_TOPIC = 'C', VALUE_FORMAT = 'JSON');
INSERT INTO s (k, a, b) VALUES (1, 1.25, 0.5);
INSERT INTO s (k, a, b) VALUES (2, 1.00, 3.0);
ASSERT VALUES c (k, total, product, quotient, larger) VALUES (1, 1.75, 0.625, 2.5000000, true);
-- A third cannot be written exactly.
ASSERT VALUES c (k, total, product, quotient, larger) VALUES (2, 4.00, 3.000, NULL, false);
ASSERT NO MORE VALUES c;

--@test: casts
CREATE STREAM s (k INT KEY, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, CAST(t AS INT) AS i, CAST(t AS DECIMAL(4, 1)) AS d, CAST(t AS BOOLEAN) AS b,
  CAST(CAST(t AS DOUBLE) AS INT) AS truncated FROM s;
INSERT INTO s (k, t) VALUES (1, ' 12 ');
INSERT INTO s (k, t) VALUES (2, '2.25');
INSERT INTO s (k, t) VALUES (3, 'Ye');
INSERT INTO s (k, t) VALUES (4, '-1.9');
ASSERT VALUES c (k, i, d, b, truncated) VALUES (1, 12, 12.0, false, 12);
-- Rounded half up; no INT.
ASSERT VALUES c (k, i, d, b, truncated) VALUES (2, NULL, 2.3, false, 2);
ASSERT VALUES c (k, i, d, b, truncated) VALUES (3, NULL, NULL, true, NULL);
ASSERT VALUES c (k, i, d, b, truncated) VALUES (4, NULL, -1.9, false, -1);
ASSERT NO MORE VALUES c;

--@test: functions of numbers
CREATE STREAM s (k INT KEY, v DOUBLE) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, ABS(v) AS a, CEIL(v) AS up, FLOOR(v) AS down, ROUND(v) AS r, ROUND(v, 1) AS r1, SIGN(v) AS sgn,
  GREATEST(v, 0.0, 2.0) AS g FROM s;
INSERT INTO s (k, v) VALUES (1, -2.55);
INSERT INTO s (k, v) VALUES (2, 2.5);
ASSERT VALUES c (k, a, up, down, r, sgn, g) VALUES (1, 2.55, -2.0, -3.0, -3, -1, 2.0);
ASSERT VALUES c (k, a, up, down, r, r1, sgn, g) VALUES (2, 2.5, 3.0, 2.0, 3, 2.5, 1, 2.5);
ASSERT NO MORE VALUES c;
