-- Sessions: records of a key with no gap between them longer than the given one.

--@test: sessions grow and merge
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s WINDOW SESSION (10 SECONDS) GROUP BY k;
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 1, 0);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('a', 0, 0, 1, 1);
-- A session that takes a record in is told anew: the old row goes first. The gap itself still belongs.
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 2, 10000);
ASSERT NULL VALUES t (k, WINDOWSTART, WINDOWEND) KEY ('a', 0, 0);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('a', 0, 10000, 2, 3);
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 4, 30000);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('a', 30000, 30000, 1, 4);
INSERT INTO s (k, v, ROWTIME) VALUES ('b', 8, 20000);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('b', 20000, 20000, 1, 8);
-- Between two sessions, within reach of both.
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 16, 20000);
ASSERT NULL VALUES t (k, WINDOWSTART, WINDOWEND) KEY ('a', 0, 10000);
ASSERT NULL VALUES t (k, WINDOWSTART, WINDOWEND) KEY ('a', 30000, 30000);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('a', 0, 30000, 4, 23);
-- Also when its bounds stay.
INSERT INTO s (k, v, ROWTIME) VALUES ('a', 32, 15000);
ASSERT NULL VALUES t (k, WINDOWSTART, WINDOWEND) KEY ('a', 0, 30000);
ASSERT VALUES t (k, WINDOWSTART, WINDOWEND, n, total) VALUES ('a', 0, 30000, 5, 55);
ASSERT NO MORE VALUES t;

--@test: a session takes records until its gap and its grace are over
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s
  WINDOW SESSION (10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k;
INSERT INTO s (k, ROWTIME) VALUES ('a', 100000);
INSERT INTO s (k, ROWTIME) VALUES ('b', 84999);
INSERT INTO s (k, ROWTIME) VALUES ('c', 85000);
ASSERT VALUES t (k, WINDOWSTART, n) VALUES ('a', 100000, 1);
ASSERT VALUES t (k, WINDOWSTART, n) VALUES ('c', 85000, 1);
ASSERT NO MORE VALUES t;
