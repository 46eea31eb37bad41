-- Conditions have two values: what compares with NULL is false.

--@test: comparisons with NULL
CREATE STREAM s (k INT KEY, a INT, b INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, a = b AS eq, a <> b AS ne, NOT (a = b) AS not_eq, a IS DISTINCT FROM b AS differs,
  a IS NULL AS absent, a > 0 OR b > 0 AS either FROM s;
INSERT INTO s (k, a, b) VALUES (1, 1, 1);
INSERT INTO s (k, a, b) VALUES (2, NULL, 1);
INSERT INTO s (k, a, b) VALUES (3, NULL, NULL);
ASSERT VALUES c (k, eq, ne, not_eq, differs, absent, either) VALUES (1, true, false, false, false, false, true);
ASSERT VALUES c (k, eq, ne, not_eq, differs, absent, either) VALUES (2, false, false, true, true, true, true);
ASSERT VALUES c (k, eq, ne, not_eq, differs, absent, either) VALUES (3, false, false, true, false, true, false);
ASSERT NO MORE VALUES c;

--@test: BETWEEN, IN and LIKE
CREATE STREAM s (k INT KEY, v INT, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, v BETWEEN 2 AND 4 AS mid, v NOT IN (1, 5) AS inner_part, t LIKE 'a_c%' AS alike,
  t LIKE '100!%' ESCAPE '!' AS hundred FROM s;
INSERT INTO s (k, v, t) VALUES (1, 2, 'abcdef');
INSERT INTO s (k, v, t) VALUES (2, 5, 'ac');
INSERT INTO s (k, v, t) VALUES (3, 4, '100%');
INSERT INTO s (k, v, t) VALUES (4, 1, '1000');
-- The whole text is meant, capitals are not small letters.
INSERT INTO s (k, v, t) VALUES (5, 3, 'xabc');
INSERT INTO s (k, v, t) VALUES (6, 3, 'ABC');
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (1, true, true, true, false);
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (2, false, false, false, false);
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (3, true, true, false, true);
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (4, false, false, false, false);
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (5, true, true, false, false);
ASSERT VALUES c (k, mid, inner_part, alike, hundred) VALUES (6, true, true, false, false);
ASSERT NO MORE VALUES c;

--@test: CASE, COALESCE, IFNULL and NULLIF
CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k,
  CASE WHEN v > 10 THEN 'large' WHEN v > 5 THEN 'middling' ELSE 'small' END AS size,
  CASE v WHEN 1 THEN 'one' WHEN 11 THEN 'eleven' END AS word,
  COALESCE(v, 0) AS some, IFNULL(v, -1) AS other, NULLIF(v, 1) AS unless_one FROM s;
INSERT INTO s (k, v) VALUES (1, 11);
INSERT INTO s (k, v) VALUES (2, 6);
INSERT INTO s (k, v) VALUES (3, 1);
INSERT INTO s (k, v) VALUES (4, NULL);
ASSERT VALUES c (k, size, word, some, other, unless_one) VALUES (1, 'large', 'eleven', 11, 11, 11);
ASSERT VALUES c (k, size, word, some, other, unless_one) VALUES (2, 'middling', NULL, 6, 6, 6);
ASSERT VALUES c (k, size, word, some, other, unless_one) VALUES (3, 'small', 'one', 1, 1, NULL);
ASSERT VALUES c (k, size, word, some, other, unless_one) VALUES (4, 'small', NULL, 0, -1, NULL);
ASSERT NO MORE VALUES c;
