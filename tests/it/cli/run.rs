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
