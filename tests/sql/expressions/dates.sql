-- Dates, times and timestamps.

--@test: patterns and zones
CREATE STREAM s (k INT KEY, ms BIGINT, t VARCHAR) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, FORMAT_TIMESTAMP(FROM_UNIXTIME(ms), 'yyyy-MM-dd HH:mm:ss.SSS', 'UTC') AS utc,
  FORMAT_TIMESTAMP(FROM_UNIXTIME(ms), 'yyyy-MM-dd''T''HH:mmXXX', 'Europe/Berlin') AS berlin,
  UNIX_TIMESTAMP(PARSE_TIMESTAMP(t, 'dd.MM.yyyy HH:mm', 'UTC')) AS parsed,
  STRINGTOTIMESTAMP(t, 'dd.MM.yyyy HH:mm', 'Europe/Berlin') AS parsed_berlin,
  TIMESTAMPTOSTRING(ms, 'EEE d MMM', 'UTC') AS words FROM s;
-- 1 July 2021, 12:00 UTC: summer in Berlin.
INSERT INTO s (k, ms, t) VALUES (1, 1625140800123, '01.07.2021 12:00');
ASSERT VALUES c (k, utc, berlin, parsed, parsed_berlin, words)
  VALUES (1, '2021-07-01 12:00:00.123', '2021-07-01T14:00+02:00', 1625140800000, 1625133600000, 'Thu 1 Jul');
ASSERT NO MORE VALUES c;

--@test: arithmetic and comparison
CREATE STREAM s (k INT KEY, ts TIMESTAMP, d DATE, t TIME) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM c AS SELECT k, TIMESTAMPADD(MINUTES, 5, ts) AS later, DATEADD(DAYS, 1, d) AS tomorrow, DATESUB(DAYS, 1, d) AS yesterday,
  TIMEADD(HOURS, 2, t) AS two, ts > '2020-02-28' AS after_it, UNIX_DATE(d) AS days FROM s;
INSERT INTO s (k, ts, d, t) VALUES (1, '2020-02-28T23:58:00', '2020-02-28', '23:00');
ASSERT VALUES c (k, later, tomorrow, yesterday, two, after_it, days)
  VALUES (1, '2020-02-29T00:03:00', '2020-02-29', '2020-02-27', '01:00', true, 18320);
ASSERT NO MORE VALUES c;
