-- A stream enriched from a table: the stream's rows drive, the table's rows wait.

--@test: a left join sees the table as it is at that moment
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr VARCHAR PRIMARY KEY, country VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM users_raw (usr VARCHAR KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'KAFKA');
CREATE STREAM j AS SELECT c.usr AS usr, page, country FROM clicks c LEFT JOIN users u ON c.usr = u.usr;
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'p1', 10);
INSERT INTO users (usr, country, ROWTIME) VALUES ('ann', 'DE', 20);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'p2', 30);
-- An update alone brings nothing; the newest record counts, whatever its time.
INSERT INTO users (usr, country, ROWTIME) VALUES ('ann', 'FR', 15);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'p3', 40);
INSERT INTO users_raw (usr, v) VALUES ('ann', NULL);
INSERT INTO clicks (usr, page, ROWTIME) VALUES ('ann', 'p4', 50);
ASSERT VALUES j (usr, page, country, ROWTIME) VALUES ('ann', 'p1', NULL, 10);
ASSERT VALUES j (usr, page, country, ROWTIME) VALUES ('ann', 'p2', 'DE', 30);
ASSERT VALUES j (usr, page, country, ROWTIME) VALUES ('ann', 'p3', 'FR', 40);
ASSERT VALUES j (usr, page, country, ROWTIME) VALUES ('ann', 'p4', NULL, 50);
ASSERT NO MORE VALUES j;

--@test: an inner join drops what it does not find
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr VARCHAR PRIMARY KEY, country VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT c.usr AS usr, page, country FROM clicks c JOIN users u ON c.usr = u.usr;
INSERT INTO users (usr, country) VALUES ('ann', 'DE');
INSERT INTO clicks (usr, page) VALUES ('bob', 'p1');
INSERT INTO clicks (usr, page) VALUES ('ann', 'p2');
INSERT INTO clicks (page) VALUES ('without a key');
ASSERT VALUES j (usr, page, country) VALUES ('ann', 'p2', 'DE');
ASSERT NO MORE VALUES j;

--@test: an expression of the stream may meet the table's key
CREATE STREAM clicks (id INT KEY, usr VARCHAR, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr VARCHAR PRIMARY KEY, country VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT u.usr AS usr, id, country FROM clicks c JOIN users u ON LCASE(c.usr) = u.usr;
INSERT INTO users (usr, country) VALUES ('ann', 'DE');
INSERT INTO clicks (id, usr, page) VALUES (1, 'Ann', 'p');
ASSERT VALUES j (usr, id, country) VALUES ('ann', 1, 'DE');
ASSERT NO MORE VALUES j;

--@test: a table is joined by its primary key only
--@expected.message: primary key
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT c.usr, page FROM clicks c JOIN users u ON c.usr = u.name;

--@test: WITHIN makes no sense with a table
--@expected.message: WITHIN
CREATE STREAM clicks (usr VARCHAR KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr VARCHAR PRIMARY KEY, country VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT c.usr, page FROM clicks c JOIN users u WITHIN 1 HOUR ON c.usr = u.usr;

--@test: keys of different types never meet
--@expected.message: different types
CREATE STREAM clicks (usr INT KEY, page VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON');
CREATE TABLE users (usr BIGINT PRIMARY KEY, country VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON');
CREATE STREAM j AS SELECT c.usr, page FROM clicks c JOIN users u ON c.usr = u.usr;
