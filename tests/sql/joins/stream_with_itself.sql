-- Beyond ksqlDB: a stream joined with itself, and conditions on one side next to the equality.

--@test: each click with the clicks of the same user in the five seconds after it
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE STREAM pairs AS SELECT a.usr AS usr, a.page AS first, b.page AS second
  FROM clicks a JOIN clicks b WITHIN (0 SECONDS, 5 SECONDS) GRACE PERIOD 0 SECONDS ON a.usr = b.usr;
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'cart', 1000);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('bob', 'home', 2000);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'pay', 6000);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'done', 6001);
-- A click is within five seconds of itself.
ASSERT VALUES pairs (usr, first, second) VALUES ('ann', 'cart', 'cart');
ASSERT VALUES pairs (usr, first, second) VALUES ('bob', 'home', 'home');
ASSERT VALUES pairs (usr, first, second) VALUES ('ann', 'cart', 'pay');
ASSERT VALUES pairs (usr, first, second) VALUES ('ann', 'pay', 'pay');
ASSERT VALUES pairs (usr, first, second) VALUES ('ann', 'pay', 'done');
ASSERT VALUES pairs (usr, first, second) VALUES ('ann', 'done', 'done');
ASSERT NO MORE VALUES pairs;

--@test: a condition on the right side decides what a left row may meet
-- In WHERE it would decide after the join, and unmatched rows would be lost.
CREATE STREAM calls (id INT KEY, what VARCHAR) WITH (KAFKA_TOPIC = 'calls', VALUE_FORMAT = 'JSON');
CREATE STREAM answered AS SELECT c.id AS id, c.what AS what, a.what AS answer
  FROM calls c LEFT JOIN calls a WITHIN (0 SECONDS, 5 SECONDS) GRACE PERIOD 0 SECONDS
    ON c.id = a.id AND a.what = 'answer';
INSERT INTO calls (id, what, ROWTIME) VALUES (1, 'ring', 0);
INSERT INTO calls (id, what, ROWTIME) VALUES (2, 'ring', 1000);
INSERT INTO calls (id, what, ROWTIME) VALUES (1, 'answer', 2000);
ASSERT VALUES answered (id, what, answer) VALUES (1, 'ring', 'answer');
ASSERT VALUES answered (id, what, answer) VALUES (1, 'answer', 'answer');
ASSERT NO MORE VALUES answered;
ADVANCE TIME BY 10 SECONDS;
ASSERT VALUES answered (id, what, answer, ROWTIME) VALUES (2, 'ring', NULL, 1000);
ASSERT NO MORE VALUES answered;

--@test: conditions on a table's side
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr VARCHAR PRIMARY KEY, tier VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM gold AS SELECT c.usr AS usr, page, tier
  FROM clicks c LEFT JOIN users u ON c.usr = u.usr AND u.tier = 'gold';
INSERT INTO users (usr, tier) VALUES ('ann', 'gold');
INSERT INTO users (usr, tier) VALUES ('bob', 'tin');
INSERT INTO clicks (usr, page) VALUES ('ann', 'a');
INSERT INTO clicks (usr, page) VALUES ('bob', 'b');
ASSERT VALUES gold (usr, page, tier) VALUES ('ann', 'a', 'gold');
ASSERT VALUES gold (usr, page, tier) VALUES ('bob', 'b', NULL);
-- Who loses the tier is gone from the table's side.
INSERT INTO users (usr, tier) VALUES ('ann', 'tin');
INSERT INTO clicks (usr, page) VALUES ('ann', 'c');
ASSERT VALUES gold (usr, page, tier) VALUES ('ann', 'c', NULL);
ASSERT NO MORE VALUES gold;
