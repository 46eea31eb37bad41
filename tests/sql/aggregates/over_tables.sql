-- Aggregates over a table follow its updates: what a row contributed before is taken back.

--@test: updates, changed groups and deletions
CREATE TABLE players (id INT PRIMARY KEY, region VARCHAR, score INT) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'JSON');
CREATE STREAM players_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'KAFKA');
CREATE TABLE r AS SELECT region, COUNT(*) AS n, SUM(score) AS total, AVG(score) AS mean FROM players GROUP BY region;
INSERT INTO players (id, region, score) VALUES (1, 'eu', 10);
INSERT INTO players (id, region, score) VALUES (2, 'eu', 5);
ASSERT VALUES r (region, n, total, mean) VALUES ('eu', 1, 10, 10.0);
ASSERT VALUES r (region, n, total, mean) VALUES ('eu', 2, 15, 7.5);
-- The group stays: one result.
INSERT INTO players (id, region, score) VALUES (1, 'eu', 12);
ASSERT VALUES r (region, n, total, mean) VALUES ('eu', 2, 17, 8.5);
-- The group changes: first what it left, then what it joined.
INSERT INTO players (id, region, score) VALUES (1, 'us', 12);
ASSERT VALUES r (region, n, total, mean) VALUES ('eu', 1, 5, 5.0);
ASSERT VALUES r (region, n, total, mean) VALUES ('us', 1, 12, 12.0);
-- Empty groups stay, with zero.
INSERT INTO players_raw (id, v) VALUES (2, NULL);
ASSERT VALUES r (region, n, total) VALUES ('eu', 0, 0);
-- Deleting what never was brings nothing.
INSERT INTO players_raw (id, v) VALUES (9, NULL);
-- A row without a group counts nowhere; it leaves the one it had.
INSERT INTO players (id, score) VALUES (1, 12);
ASSERT VALUES r (region, n, total) VALUES ('us', 0, 0);
ASSERT NO MORE VALUES r;

--@test: HAVING takes groups back
CREATE TABLE players (id INT PRIMARY KEY, region VARCHAR) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'JSON');
CREATE STREAM players_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'KAFKA');
CREATE TABLE r AS SELECT region, COUNT(*) AS n FROM players GROUP BY region HAVING COUNT(*) > 1;
INSERT INTO players (id, region) VALUES (1, 'eu');
INSERT INTO players (id, region) VALUES (2, 'eu');
INSERT INTO players_raw (id, v) VALUES (2, NULL);
INSERT INTO players_raw (id, v) VALUES (1, NULL);
ASSERT VALUES r (region, n) VALUES ('eu', 2);
ASSERT NULL VALUES r (region) KEY ('eu');
ASSERT NO MORE VALUES r;

--@test: lists forget what is taken back
CREATE TABLE players (id INT PRIMARY KEY, region VARCHAR, name VARCHAR) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'JSON');
CREATE TABLE r AS SELECT region, COLLECT_LIST(name) AS names FROM players GROUP BY region;
INSERT INTO players (id, region, name) VALUES (1, 'eu', 'ann');
INSERT INTO players (id, region, name) VALUES (2, 'eu', 'bob');
INSERT INTO players (id, region, name) VALUES (1, 'us', 'ann');
ASSERT VALUES r (region, names) VALUES ('eu', ARRAY['ann']);
ASSERT VALUES r (region, names) VALUES ('eu', ARRAY['ann', 'bob']);
ASSERT VALUES r (region, names) VALUES ('eu', ARRAY['bob']);
ASSERT VALUES r (region, names) VALUES ('us', ARRAY['ann']);
ASSERT NO MORE VALUES r;

--@test: a maximum cannot be taken back
--@expected.message: MAX cannot aggregate a table
CREATE TABLE players (id INT PRIMARY KEY, region VARCHAR, score INT) WITH (KAFKA_TOPIC = 'players', VALUE_FORMAT = 'JSON');
CREATE TABLE r AS SELECT region, MAX(score) AS best FROM players GROUP BY region;
