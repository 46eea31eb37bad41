-- Stream-table join by another key than the topic's.
DEFINE prefix = '';
DEFINE output = 'q_enrich';

CREATE STREAM orders (
  k VARCHAR KEY, order_id VARCHAR, user_id VARCHAR, product_id VARCHAR,
  amount DOUBLE, quantity INT, status VARCHAR, ts BIGINT
) WITH (KAFKA_TOPIC = '${prefix}orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');

CREATE TABLE users (user_id VARCHAR PRIMARY KEY, name VARCHAR, country VARCHAR, tier VARCHAR)
  WITH (KAFKA_TOPIC = '${prefix}users', VALUE_FORMAT = 'JSON');

CREATE STREAM result WITH (KAFKA_TOPIC = '${output}') AS
  SELECT o.user_id AS user_id, o.order_id AS order_id, o.amount AS amount, u.name AS name, u.tier AS tier
  FROM orders o
  LEFT JOIN users u ON o.user_id = u.user_id;
