-- Aggregate functions: what each does with NULL, and with values as they come.

--@test: counts, sums and extremes
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, COUNT(*) AS n, COUNT(v) AS nv, SUM(v) AS total, AVG(v) AS mean, MIN(v) AS low, MAX(v) AS high,
  COUNT_DISTINCT(v) AS differing FROM s GROUP BY k;
INSERT INTO s (k, v) VALUES ('a', NULL);
INSERT INTO s (k, v) VALUES ('a', 3);
INSERT INTO s (k, v) VALUES ('a', 1);
INSERT INTO s (k, v) VALUES ('a', 3);
-- A sum and a mean of nothing are zero, an extreme of nothing is NULL.
ASSERT VALUES t (k, n, nv, total, mean, low, high, differing) VALUES ('a', 1, 0, 0, 0.0, NULL, NULL, 0);
ASSERT VALUES t (k, n, nv, total, mean, low, high, differing) VALUES ('a', 2, 1, 3, 3.0, 3, 3, 1);
ASSERT VALUES t (k, n, nv, total, mean, low, high, differing) VALUES ('a', 3, 2, 4, 2.0, 1, 3, 2);
ASSERT VALUES t (k, n, nv, total, mean, low, high, differing) VALUES ('a', 4, 3, 7, 2.3333333333333335, 1, 3, 2);
ASSERT NO MORE VALUES t;

--@test: lists, sets and the largest values
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS l, COLLECT_SET(v) AS s, TOPK(v, 2) AS top, TOPKDISTINCT(v, 2) AS topd
  FROM s GROUP BY k;
INSERT INTO s (k, v) VALUES ('a', 3);
INSERT INTO s (k, v) VALUES ('a', NULL);
INSERT INTO s (k, v) VALUES ('a', 1);
INSERT INTO s (k, v) VALUES ('a', 3);
ASSERT VALUES t (k, l, s, top, topd) VALUES ('a', ARRAY[3], ARRAY[3], ARRAY[3], ARRAY[3]);
ASSERT VALUES t (k, l, s, top, topd) VALUES ('a', ARRAY[3, NULL], ARRAY[3, NULL], ARRAY[3], ARRAY[3]);
ASSERT VALUES t (k, l, s, top, topd) VALUES ('a', ARRAY[3, NULL, 1], ARRAY[3, NULL, 1], ARRAY[3, 1], ARRAY[3, 1]);
ASSERT VALUES t (k, l, s, top, topd) VALUES ('a', ARRAY[3, NULL, 1, 3], ARRAY[3, NULL, 1], ARRAY[3, 3], ARRAY[3, 1]);
ASSERT NO MORE VALUES t;

--@test: first and last by order of arrival, not of time
CREATE STREAM s (k VARCHAR KEY, v VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, EARLIEST_BY_OFFSET(v) AS first, LATEST_BY_OFFSET(v) AS last, LATEST_BY_OFFSET(v, 2) AS last2,
  LATEST_BY_OFFSET(v, false) AS last_or_null FROM s GROUP BY k;
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 'x', 10);
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 'y', 5);
INSERT INTO s (k, v, ROWTIME) VALUES ('a', NULL, 20);
ASSERT VALUES t (k, first, last, last2, last_or_null) VALUES ('a', 'x', 'x', ARRAY['x'], 'x');
ASSERT VALUES t (k, first, last, last2, last_or_null) VALUES ('a', 'x', 'y', ARRAY['x', 'y'], 'y');
ASSERT VALUES t (k, first, last, last2, last_or_null) VALUES ('a', 'x', 'y', ARRAY['x', 'y'], NULL);
ASSERT NO MORE VALUES t;

--@test: decimals stay exact
CREATE STREAM s (k VARCHAR KEY, v DECIMAL(10, 2)) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, SUM(v) AS total, MAX(v) AS high FROM s GROUP BY k;
INSERT INTO s (k, v) VALUES ('a', 0.10);
INSERT INTO s (k, v) VALUES ('a', 0.20);
ASSERT VALUES t (k, total, high) VALUES ('a', 0.10, 0.10);
ASSERT VALUES t (k, total, high) VALUES ('a', 0.30, 0.20);
ASSERT NO MORE VALUES t;

--@test: groups of several expressions, one of them computed
CREATE STREAM s (k VARCHAR KEY, city VARCHAR, amount INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON', KEY_FORMAT = 'JSON');
CREATE TABLE t WITH (KEY_FORMAT = 'JSON') AS SELECT UCASE(city) AS c, (amount > 10) AS large, COUNT(*) AS n, SUM(amount) * 2 AS twice
  FROM s GROUP BY UCASE(city), (amount > 10);
INSERT INTO s (k, city, amount) VALUES ('1', 'Rome', 5);
INSERT INTO s (k, city, amount) VALUES ('2', 'rome', 6);
INSERT INTO s (k, city, amount) VALUES ('3', 'ROME', 11);
ASSERT VALUES t (c, large, n, twice) VALUES ('ROME', false, 1, 10);
ASSERT VALUES t (c, large, n, twice) VALUES ('ROME', false, 2, 22);
ASSERT VALUES t (c, large, n, twice) VALUES ('ROME', true, 1, 22);
ASSERT NO MORE VALUES t;

--@test: the key can be copied into the value
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, AS_VALUE(k) AS who, COUNT(*) AS n FROM s GROUP BY k;
INSERT INTO s (k, v) VALUES ('a', 1);
ASSERT VALUES t (k, who, n) VALUES ('a', 'a', 1);
ASSERT NO MORE VALUES t;

--@test: what is neither grouped nor aggregated has no value
--@expected.message: GROUP BY
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, v, COUNT(*) AS n FROM s GROUP BY k;
