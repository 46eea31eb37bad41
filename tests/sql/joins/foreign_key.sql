-- A table joined with another table's key through any of its own columns.

--@test: updates on both sides reach every row that they concern
CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR, amount INT) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE customers (name VARCHAR PRIMARY KEY, city VARCHAR) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
CREATE STREAM orders_raw (id INT KEY, v VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'KAFKA');
CREATE TABLE j AS SELECT o.id AS id, amount, city FROM orders o JOIN customers c ON o.customer = c.name;
INSERT INTO orders (id, customer, amount) VALUES (1, 'ann', 10);
INSERT INTO orders (id, customer, amount) VALUES (2, 'ann', 20);
ASSERT NO MORE VALUES j;
INSERT INTO customers (name, city) VALUES ('ann', 'Rome');
ASSERT VALUES j (id, amount, city) VALUES (1, 10, 'Rome');
ASSERT VALUES j (id, amount, city) VALUES (2, 20, 'Rome');
INSERT INTO orders (id, customer, amount) VALUES (1, 'ann', 11);
ASSERT VALUES j (id, amount, city) VALUES (1, 11, 'Rome');
-- To a customer who is not there: nothing is joined any more.
INSERT INTO orders (id, customer, amount) VALUES (1, 'bob', 11);
ASSERT NULL VALUES j (id) KEY (1);
INSERT INTO customers (name, city) VALUES ('bob', 'Oslo');
ASSERT VALUES j (id, amount, city) VALUES (1, 11, 'Oslo');
INSERT INTO orders_raw (id, v) VALUES (2, NULL);
ASSERT NULL VALUES j (id) KEY (2);
ASSERT NO MORE VALUES j;

--@test: a left join keeps rows that point nowhere
CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE customers (name VARCHAR PRIMARY KEY, city VARCHAR) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
CREATE TABLE j AS SELECT o.id AS id, customer, city FROM orders o LEFT JOIN customers c ON o.customer = c.name;
INSERT INTO orders (id, customer) VALUES (1, 'ann');
INSERT INTO orders (id) VALUES (2);
INSERT INTO customers (name, city) VALUES ('ann', 'Rome');
ASSERT VALUES j (id, customer, city) VALUES (1, 'ann', NULL);
ASSERT VALUES j (id, customer, city) VALUES (2, NULL, NULL);
ASSERT VALUES j (id, customer, city) VALUES (1, 'ann', 'Rome');
ASSERT NO MORE VALUES j;

--@test: the right side has nothing to keep its rows by
--@expected.message: RIGHT
CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
CREATE TABLE customers (name VARCHAR PRIMARY KEY, city VARCHAR) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
CREATE TABLE j AS SELECT o.id AS id, city FROM orders o RIGHT JOIN customers c ON o.customer = c.name;
