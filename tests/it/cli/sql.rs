//! `eddyline sql` without a prompt: statements in, results and errors out.

use super::program::Machine;

const ORDERS: &str = "\
CREATE STREAM orders (order_id VARCHAR KEY, user_id VARCHAR, amount DECIMAL(10, 2), items ARRAY<VARCHAR>)
  WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 1);
INSERT INTO orders VALUES ('o1', 'ann', 5.50, ARRAY['a', 'b']);
INSERT INTO orders VALUES ('o2', 'bob', 7.00, NULL);
INSERT INTO orders VALUES ('o3', 'say \"hi\", ok', NULL, ARRAY['c']);
";

/// With the stream ORDERS and three rows in it.
fn shop() -> Machine {
    let machine = Machine::new();
    machine.write("orders.sql", ORDERS);
    let said = machine.run(&["sql", "--data-dir", "data", "-f", "orders.sql"]).expect(0);
    assert!(said.out.contains("ORDERS created"), "{}", said.all());
    machine
}

#[test]
fn results_as_table_json_and_csv() {
    let machine = shop();
    let answer = |format: &str, statement: &str| machine.sql(format, statement).expect(0).out;
    assert_eq!(
        answer("table", "SELECT * FROM orders;"),
        "\
ORDER_ID  USER_ID       AMOUNT  ITEMS
--------- ------------- ------- -------
o1        ann             5.50  [a, b]
o2        bob             7.00  NULL
o3        say \"hi\", ok    NULL  [c]
"
    );
    assert_eq!(
        answer("json", "SELECT * FROM orders;"),
        r#"{"ORDER_ID":"o1","USER_ID":"ann","AMOUNT":5.50,"ITEMS":["a","b"]}
{"ORDER_ID":"o2","USER_ID":"bob","AMOUNT":7.00,"ITEMS":null}
{"ORDER_ID":"o3","USER_ID":"say \"hi\", ok","AMOUNT":null,"ITEMS":["c"]}
"#
    );
    assert_eq!(
        answer("csv", "SELECT * FROM orders;"),
        r#"ORDER_ID,USER_ID,AMOUNT,ITEMS
o1,ann,5.50,"[""a"",""b""]"
o2,bob,7.00,
o3,"say ""hi"", ok",,"[""c""]"
"#
    );
}

#[test]
fn push_queries_from_stdin_end_with_their_limit() {
    let machine = shop();
    let input = "SET 'auto.offset.reset' = 'earliest';\nSELECT order_id, amount * 2 AS twice\nFROM orders\nWHERE amount > 0\nEMIT CHANGES LIMIT 2;\n";
    let said = machine.run_with_input(&["sql", "--data-dir", "data", "--output", "json"], input).expect(0);
    // Programs read stdout: only rows are there.
    assert_eq!(said.out, "{\"ORDER_ID\":\"o1\",\"TWICE\":11.00}\n{\"ORDER_ID\":\"o2\",\"TWICE\":14.00}\n");
    assert!(said.err.contains("Limit Reached (2 rows)"), "{}", said.all());
}

#[test]
fn a_table_is_kept_looked_up_and_asked_ad_hoc() {
    let machine = shop();
    let create =
        "CREATE TABLE spent AS SELECT user_id, SUM(amount) AS total FROM orders GROUP BY user_id EMIT CHANGES;";
    assert!(machine.sql("table", create).expect(0).out.contains("CTAS_SPENT_"));
    // The query belongs to the data directory: every later start goes on with it.
    let found = machine.sql_until("SELECT total FROM spent WHERE user_id = 'ann';", |out| !out.is_empty());
    assert_eq!(found, "{\"TOTAL\":5.50}\n");
    let ad_hoc = "SELECT COUNT(*) AS n, MAX(amount) AS highest FROM orders WHERE amount IS NOT NULL ORDER BY n;";
    assert_eq!(machine.sql("json", ad_hoc).expect(0).out, "{\"N\":2,\"HIGHEST\":7.00}\n");
    // As everywhere, `*` has no system columns.
    let all = machine.sql("json", "SELECT * FROM orders ORDER BY order_id DESC LIMIT 1;").expect(0).out;
    assert_eq!(all, "{\"ORDER_ID\":\"o3\",\"USER_ID\":\"say \\\"hi\\\", ok\",\"AMOUNT\":null,\"ITEMS\":[\"c\"]}\n");
    let newest = "SELECT order_id, MAX(ROWTIME) > 0 AS timed FROM orders GROUP BY order_id ORDER BY order_id LIMIT 1;";
    assert_eq!(machine.sql("json", newest).expect(0).out, "{\"ORDER_ID\":\"o1\",\"TIMED\":true}\n");
    let unnamed = "SELECT UCASE(user_id), COUNT(*) FROM orders WHERE user_id = 'ann' GROUP BY UCASE(user_id);";
    assert_eq!(machine.sql("json", unnamed).expect(0).out, "{\"KSQL_COL_0\":\"ANN\",\"KSQL_COL_1\":1}\n");
    let joined = "SELECT o.order_id, s.total FROM orders o JOIN spent s ON o.user_id = s.user_id ORDER BY o.order_id;";
    let rows = machine.sql("csv", joined).expect(0).out;
    assert!(rows.contains("o1,5.50\no2,7.00\n"), "{rows}");
    assert!(machine.sql("table", "SHOW QUERIES;").expect(0).out.contains("CTAS_SPENT_"));
    assert!(machine.sql("table", "DROP TABLE spent;").expect(0).out.to_lowercase().contains("dropped"));
    machine.sql("table", "SELECT * FROM spent;").expect(1);
}

#[test]
fn mistakes_are_underlined_with_place_and_hint() {
    let machine = shop();
    let input = "SHOW STREAMS;\nSELECT order_id,\n  amont\nFROM orders\nEMIT CHANGES;\nSHOW TABLES;\n";
    let said = machine.run_with_input(&["sql", "--data-dir", "data"], input).expect(1);
    assert!(said.out.contains("ORDERS"), "what stands before the mistake was done: {}", said.all());
    assert_eq!(
        said.err,
        "\
error: unknown column AMONT in SELECT
 --> stdin:3:3
  |
3 |   amont
  |   ^^^^^
hint: Did you mean AMOUNT?
"
    );
    let mistakes = [
        ("SELEC 1;", "-e:1:1", "Did you mean SELECT?"),
        ("SELECT * FROM ordrs;", "-e:1:15", "Did you mean ORDERS?"),
        ("SELECT UCAS(user_id) FROM orders;", "-e:1:8", "Did you mean UCASE?"),
        ("SELECT user_id + 1 FROM orders;", "-e:1:8", ""),
    ];
    for (statement, place, hint) in mistakes {
        let said = machine.sql("table", statement).expect(1);
        assert!(said.err.contains(&format!("--> {place}")) && said.err.contains('^'), "{statement}: {}", said.all());
        assert!(said.err.contains(hint), "{statement}: {}", said.all());
        assert!(said.out.is_empty(), "{statement}: {}", said.all());
    }
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let machine = Machine::new();
    machine.sql("table", "SHOW TOPICS;").expect(0);
    machine.sql("table", "SHOW NOTHING;").expect(1);
    machine.run(&["sql", "--nonsense"]).expect(2);
    let said = machine.run(&["sql", "--set", "workerz=3", "-e", "SHOW TOPICS;"]).expect(2);
    assert!(said.err.contains("Did you mean workers?"), "{}", said.all());
    // Nothing listens at port 1.
    let said = machine.run(&["sql", "--bootstrap-servers", "127.0.0.1:1", "-e", "SHOW TOPICS;"]).expect(3);
    assert!(said.err.contains("hint:"), "{}", said.all());
    machine.write("file", "");
    machine.run(&["sql", "--data-dir", "file", "-e", "SHOW TOPICS;"]).expect(5);
}

#[test]
fn settings_come_from_file_environment_and_flags_in_this_order() {
    let machine = Machine::new();
    machine.write("eddyline.toml", "data-dir = 'data'\noutput = 'csv'\nservice-id = 'from-file'\n");
    let topic_of_log = |args: &[&str], environment: &[(&str, &str)]| {
        let mut command = machine.command(&[args, &["-e", "SHOW STREAMS;"]].concat());
        command.envs(environment.iter().copied());
        let output = command.output().expect("eddyline starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let from_file = topic_of_log(&["sql"], &[]);
    assert!(from_file.contains(",eddyline-from-file-processing-log,"), "{from_file}");
    let from_environment = topic_of_log(&["sql"], &[("EDDYLINE_SERVICE_ID", "from-env")]);
    assert!(from_environment.contains(",eddyline-from-env-processing-log,"), "{from_environment}");
    let from_flag = topic_of_log(&["sql", "--service-id", "from-flag"], &[("EDDYLINE_SERVICE_ID", "from-env")]);
    assert!(from_flag.contains(",eddyline-from-flag-processing-log,"), "{from_flag}");
}
