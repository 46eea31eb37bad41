//! `eddyline run`: query files as persistent jobs, over several starts.

use super::program::Machine;

const QUERIES: [&str; 10] = [
    "CSAS_FAILED_PAYMENTS_",
    "CTAS_FREQUENT_FAILED_PAYMENTS_",
    "CTAS_FREQUENT_FAILED_PAYMENTS_LIVE_",
    "CSAS_LARGE_ORDERS_",
    "CSAS_PAYMENT_BY_CHECKOUT_",
    "CSAS_PAYMENT_OUTCOME_",
    "CTAS_PAYMENT_DECISION_",
    "CSAS_ORDER_DECIDED_",
    "CSAS_REVENUE_LINES_",
    "CTAS_AGGREGATED_REVENUE_",
];

const RUN: [&str; 4] = ["run", "queries", "--data-dir", "data"];

/// With the queries of the repository and some data in their topics.
fn shop() -> Machine {
    let machine = Machine::new();
    machine.copy_queries();
    generate(&machine, 2000);
    machine
}

fn generate(machine: &Machine, count: u32) {
    machine.run(&["datagen", "all", "--count", &count.to_string(), "--rate", "0", "--data-dir", "data"]).expect(0);
}

/// Rows of a stream, or of a part of it.
fn count(machine: &Machine, stream: &str) -> u64 {
    let out = machine.sql("json", &format!("SELECT COUNT(*) AS n FROM {stream};")).expect(0).out;
    out.trim().trim_start_matches("{\"N\":").trim_end_matches('}').parse().expect("a count")
}

/// Starts the queries, and ends them with SIGTERM a second after they said this.
fn run_for_a_while(machine: &Machine, said: &str) -> String {
    let mut running = machine.start(&RUN);
    running.wait_for(said);
    running.wait_for("queries on embedded");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (status, said) = running.terminate();
    assert!(status.success(), "{said}");
    assert!(said.contains("committed and stopped"), "{said}");
    said
}

/// Starts and ends the queries until every large order has its result: no more, no less.
fn run_until_complete(machine: &Machine) {
    let wanted = count(machine, "orders WHERE amount > 500.00");
    assert!(wanted > 0, "no large orders");
    for _ in 0..30 {
        let there = count(machine, "large_orders");
        assert!(there <= wanted, "{there} results of {wanted} large orders");
        if there == wanted {
            return;
        }
        run_for_a_while(machine, "resumed");
    }
    panic!("{} results of {wanted} large orders after many starts", count(machine, "large_orders"));
}

#[test]
fn check_validates_and_starts_nothing() {
    let machine = shop();
    let said = machine.run(&[&RUN[..], &["--check"]].concat()).expect(0);
    for query in QUERIES {
        // The number of a query is known when it starts.
        let sink = query[5..].trim_end_matches('_');
        assert!(said.out.lines().any(|line| line == format!("would start  {sink}")), "{sink}: {}", said.all());
    }
    assert!(said.out.contains("All files are valid."), "{}", said.all());
    let queries = machine.sql("json", "SHOW QUERIES;").expect(0).out;
    assert_eq!(queries, "", "nothing was deployed");
    machine.write("queries/broken.sql", "CREATE STREAM x AS\n  SELECT amont FROM large_orders;\n");
    let said = machine.run(&[&RUN[..], &["--check"]].concat()).expect(1);
    assert!(said.err.contains("broken.sql:2:10"), "{}", said.all());
    assert!(said.err.contains("Did you mean AMOUNT?"), "{}", said.all());
}

#[test]
fn a_second_start_resumes_where_the_first_stood() {
    let machine = shop();
    let said = run_for_a_while(&machine, "started");
    for query in QUERIES {
        assert!(said.lines().any(|line| line.starts_with("started") && line.contains(query)), "{said}");
    }
    run_until_complete(&machine);
    // Nothing new came: nothing is written twice.
    let said = run_for_a_while(&machine, "resumed");
    assert_eq!(said.lines().filter(|line| line.starts_with("resumed")).count(), QUERIES.len(), "{said}");
    assert!(!said.lines().any(|line| line.starts_with("started")), "{said}");
    assert_eq!(count(&machine, "large_orders"), count(&machine, "orders WHERE amount > 500.00"));
    generate(&machine, 2000);
    run_until_complete(&machine);
}

#[test]
fn changed_files_are_refused_and_removed_ones_reported() {
    let machine = shop();
    run_for_a_while(&machine, "started");
    let path = machine.path("queries/large_orders.sql");
    let text = std::fs::read_to_string(&path).expect("readable").replace("'500.00'", "'600.00'");
    std::fs::write(&path, text).expect("writable");
    std::fs::remove_file(machine.path("queries/revenue.sql")).expect("removable");
    let check = machine.run(&[&RUN[..], &["--check"]].concat()).expect(1);
    let said = run_for_a_while(&machine, "resumed");
    for said in [&check.out, &said] {
        for words in [
            "refused  large_orders.sql changed since it was deployed:",
            "- DEFINE large_order_threshold = '500.00';",
            "+ DEFINE large_order_threshold = '600.00';",
            "removed  revenue.sql is deployed but its file is gone",
        ] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
    }
    // What is deployed still runs with its old text.
    let queries = machine.sql("json", "SHOW QUERIES;").expect(0).out;
    assert!(queries.contains("CSAS_LARGE_ORDERS_") && queries.contains("CTAS_AGGREGATED_REVENUE_"), "{queries}");
    let replaced = machine.run(&[&RUN[..], &["--replace", "--duration", "1s"]].concat()).expect(0);
    assert!(replaced.out.contains("replaced  large_orders.sql"), "{}", replaced.all());
    machine.run(&[&RUN[..], &["--check"]].concat()).expect(0);
}

#[test]
fn until_caught_up_ends_when_everything_is_read_and_committed() {
    let machine = shop();
    // A query behind a query behind a repartition topic: none of them may be left out.
    machine.write(
        "queries/chain.sql",
        "CREATE TABLE per_user WITH (PARTITIONS = 2) AS SELECT user_id, COUNT(*) AS n FROM large_orders GROUP BY user_id;\n\
         CREATE TABLE users_by_orders AS SELECT n, COUNT(*) AS users FROM per_user GROUP BY n;\n",
    );
    let run = [&RUN[..], &["--workers", "2", "--until-caught-up"]].concat();
    let said = machine.run(&run).expect(0);
    assert!(said.all().contains("caught up, committed and stopped"), "{}", said.all());
    let wanted = count(&machine, "orders WHERE amount > 500.00");
    assert!(wanted > 0, "no large orders");
    assert_eq!(count(&machine, "large_orders"), wanted);
    let sum = "SELECT SUM(n * users) AS n FROM users_by_orders;";
    assert_eq!(machine.sql("json", sum).expect(0).out.trim(), format!("{{\"N\":{wanted}}}"));
    // The next run takes up what came since, and nothing twice.
    generate(&machine, 1000);
    machine.run(&run).expect(0);
    let wanted = count(&machine, "orders WHERE amount > 500.00");
    assert_eq!(count(&machine, "large_orders"), wanted);
    assert_eq!(machine.sql("json", sum).expect(0).out.trim(), format!("{{\"N\":{wanted}}}"));
}

#[test]
fn until_caught_up_fails_when_its_time_is_over() {
    let machine = Machine::new();
    machine.write(
        "queries/one.sql",
        "CREATE STREAM a (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'JSON', PARTITIONS = 1);\n\
         CREATE STREAM b AS SELECT k, v + 1 AS v FROM a;\n",
    );
    machine.run(&[&RUN[..], &["--until-caught-up"]].concat()).expect(0);
    machine.sql("json", "INSERT INTO a VALUES ('x', 1);").expect(0);
    let said = machine.run(&[&RUN[..], &["--until-caught-up", "--duration", "0s"]].concat()).expect(1);
    assert!(said.err.contains("not caught up when the time was over"), "{}", said.all());
    assert!(said.err.contains("--duration is the limit"), "{}", said.all());
}

#[test]
fn variables_of_the_command_line_hold_over_the_file_s_own() {
    let machine = shop();
    let define = |value: &str| {
        let limit = format!("large_order_threshold={value}");
        let run = [&RUN[..], &["--until-caught-up", "-D", &limit]].concat();
        machine.run(&run)
    };
    define("700.00").expect(0);
    assert_eq!(count(&machine, "large_orders"), count(&machine, "orders WHERE amount > 700.00"));
    // Another value is another text.
    let said = define("800.00").expect(0);
    for words in ["- -- with LARGE_ORDER_THRESHOLD = '700.00'", "+ -- with LARGE_ORDER_THRESHOLD = '800.00'"] {
        assert!(said.out.contains(words), "{}", said.all());
    }
    assert_eq!(count(&machine, "large_orders"), count(&machine, "orders WHERE amount > 700.00"));
}
