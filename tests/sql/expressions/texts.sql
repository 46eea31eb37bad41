-- Functions of text, JSON and URLs.

--@test: parts and positions count from one
CREATE STREAM s (k INT KEY, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, SUBSTRING(t, 2) AS from2, SUBSTRING(t, 2, 3) AS three, SUBSTRING(t, -3) AS ending, LEN(t) AS n,
  INSTR(t, 'e') AS e, UCASE(t) AS u, INITCAP(t) AS i, LPAD(t, 8, '*') AS l, REPLACE(t, 'ea', '-') AS r, t || '!' AS loud FROM s;
INSERT INTO s (k, t) VALUES (1, 'stream');
INSERT INTO s (k, t) VALUES (2, NULL);
ASSERT VALUES c (k, from2, three, ending, n, e, u, i, l, r, loud)
  VALUES (1, 'tream', 'tre', 'eam', 6, 4, 'STREAM', 'Stream', '**stream', 'str-m', 'stream!');
ASSERT VALUES c (k, from2, three, ending, n, e, u, i, l, r) VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
ASSERT NO MORE VALUES c;

--@test: splitting, joining and patterns
CREATE STREAM s (k INT KEY, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, SPLIT(t, ',') AS parts, TRIM(t) AS trimmed, CONCAT_WS('/', 'a', NULL, t) AS path,
  REGEXP_EXTRACT('([a-z]+)([0-9]+)', t, 2) AS digits, REGEXP_REPLACE(t, '[0-9]', '#') AS hidden, MASK(t) AS masked FROM s;
INSERT INTO s (k, t) VALUES (1, ' ab12,C ');
ASSERT VALUES c (k, parts, trimmed, path, digits, hidden, masked)
  VALUES (1, ARRAY[' ab12', 'C '], 'ab12,C', 'a/ ab12,C ', '12', ' ab##,C ', '-xxnn-X-');
ASSERT NO MORE VALUES c;

--@test: JSON in text
CREATE STREAM s (k INT KEY, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, EXTRACTJSONFIELD(t, '$.a.b') AS b, EXTRACTJSONFIELD(t, '$.list[1]') AS second, IS_JSON_STRING(t) AS ok,
  JSON_KEYS(t) AS names FROM s;
INSERT INTO s (k, t) VALUES (1, '{"a": {"b": 7}, "list": [1, 2]}');
INSERT INTO s (k, t) VALUES (2, '{"a": ');
ASSERT VALUES c (k, b, second, ok, names) VALUES (1, '7', '2', true, ARRAY['a', 'list']);
ASSERT VALUES c (k, b, second, ok, names) VALUES (2, NULL, NULL, false, NULL);
ASSERT NO MORE VALUES c;

--@test: addresses
CREATE STREAM s (k INT KEY, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, URL_EXTRACT_HOST(t) AS host, URL_EXTRACT_PATH(t) AS path, URL_EXTRACT_PARAMETER(t, 'q') AS q,
  URL_EXTRACT_PORT(t) AS port FROM s;
INSERT INTO s (k, t) VALUES (1, 'https://example.org:8443/a/b?q=x%20y&z=1#top');
ASSERT VALUES c (k, host, path, q, port) VALUES (1, 'example.org', '/a/b', 'x y', 8443);
ASSERT NO MORE VALUES c;
