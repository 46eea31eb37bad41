-- Arrays, maps and structs: reading, building, changing.

--@test: access
CREATE STREAM s (k INT KEY, a ARRAY<INT>, m MAP<VARCHAR, INT>, st STRUCT<x INT, inner_st STRUCT<y VARCHAR>>)
  WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, a[1] AS first, a[-1] AS last, a[0] AS zeroth, a[9] AS ninth, m['p'] AS p, m['q'] AS q,
  st->x AS x, st->inner_st->y AS y FROM s;
INSERT INTO s (k, a, m, st) VALUES (1, ARRAY[10, 20, 30], MAP('p' := 5), STRUCT(x := 7, inner_st := STRUCT(y := 'deep')));
INSERT INTO s (k) VALUES (2);
ASSERT VALUES c (k, first, last, zeroth, ninth, p, q, x, y) VALUES (1, 10, 30, NULL, NULL, 5, NULL, 7, 'deep');
ASSERT VALUES c (k, first, last, zeroth, ninth, p, q, x, y) VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
ASSERT NO MORE VALUES c;

--@test: construction
CREATE STREAM s (k INT KEY, v INT, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, ARRAY[v, v + 1] AS a, MAP(t := v, 'z' := 0) AS m, STRUCT(n := v, u := UCASE(t)) AS st FROM s;
INSERT INTO s (k, v, t) VALUES (1, 5, 'q');
ASSERT VALUES c (k, a, m, st) VALUES (1, ARRAY[5, 6], MAP('q' := 5, 'z' := 0), STRUCT(n := 5, u := 'Q'));
ASSERT NO MORE VALUES c;

--@test: all fields of a struct
CREATE STREAM s (k INT KEY, st STRUCT<x INT, y VARCHAR>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, st->* FROM s;
INSERT INTO s (k, st) VALUES (1, STRUCT(x := 2, y := 'z'));
ASSERT VALUES c (k, x, y) VALUES (1, 2, 'z');
ASSERT NO MORE VALUES c;

--@test: functions with lambdas
CREATE STREAM s (k INT KEY, a ARRAY<INT>, m MAP<VARCHAR, INT>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, TRANSFORM(a, x => x * x) AS squares, FILTER(a, x => x > 1) AS large,
  REDUCE(a, 0, (total, x) => total + x) AS total, TRANSFORM(m, (n, v) => UCASE(n), (n, v) => v + 1) AS m FROM s;
INSERT INTO s (k, a, m) VALUES (1, ARRAY[1, 2, 3], MAP('p' := 5));
ASSERT VALUES c (k, squares, large, total, m) VALUES (1, ARRAY[1, 4, 9], ARRAY[2, 3], 6, MAP('P' := 6));
ASSERT NO MORE VALUES c;

--@test: functions of arrays and maps
CREATE STREAM s (k INT KEY, a ARRAY<INT>, b ARRAY<INT>, m MAP<VARCHAR, INT>) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, ARRAY_LENGTH(a) AS n, ARRAY_CONTAINS(a, 2) AS has2, ARRAY_DISTINCT(a) AS differing,
  ARRAY_UNION(a, b) AS u, ARRAY_EXCEPT(a, b) AS e, ARRAY_SORT(a, 'DESC') AS sorted, ARRAY_MAX(a) AS high,
  SLICE(a, 2, 3) AS sliced, ARRAY_JOIN(a, '-') AS joined, MAP_KEYS(m) AS ks FROM s;
INSERT INTO s (k, a, b, m) VALUES (1, ARRAY[3, 1, 3], ARRAY[1, 7], MAP('p' := 5));
ASSERT VALUES c (k, n, has2, differing, u, e, sorted, high, sliced, joined, ks)
  VALUES (1, 3, false, ARRAY[3, 1], ARRAY[3, 1, 7], ARRAY[3], ARRAY[3, 3, 1], 3, ARRAY[1, 3], '3-1-3', ARRAY['p']);
ASSERT NO MORE VALUES c;

--@test: maps are walked by the hash codes of their keys, as in Java
CREATE STREAM bags (id INT KEY, bag MAP<VARCHAR, INT>) WITH (KAFKA_TOPIC = 'bags', VALUE_FORMAT = 'JSON');
CREATE STREAM walked AS SELECT id, REDUCE(bag, '', (said, k, v) => CONCAT(said, k)) AS said, MAP_KEYS(bag) AS ks, MAP_VALUES(bag) AS vs FROM bags;
INSERT INTO bags VALUES (1, MAP('c' := 3, 'b' := 2, 'a' := 1));
ASSERT VALUES walked (id, said, ks, vs) VALUES (1, 'abc', ARRAY['a', 'b', 'c'], ARRAY[1, 2, 3]);
