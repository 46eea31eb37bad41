//! `eddyline demo` without a terminal.

use super::program::Machine;

#[test]
fn results_of_all_four_queries_are_shown() {
    let machine = Machine::new();
    // A five-minute window and its grace pass within three seconds, with some two thousand records in it.
    let said = machine.run(&["demo", "--duration", "8s", "--speed", "150", "--rate", "1000"]).expect(0);
    let results = said.out.lines().find(|line| line.starts_with("Results: ")).unwrap_or_default();
    for topic in ["aggregated_revenue", "large_orders", "failed_payments", "frequent_failed_payments", "order"] {
        let of_topic = |part: &&str| part.trim_start_matches("Results: ").split(' ').nth(1) == Some(topic);
        let count = results.split(" · ").find(of_topic).unwrap_or_else(|| panic!("no {topic} in {}", said.all()));
        assert!(!count.trim_start_matches("Results: ").starts_with("0 "), "no results in {topic}: {}", said.all());
    }
    assert!(!said.out.contains("ERROR "), "{}", said.all());
}

#[test]
fn a_data_directory_is_kept_and_resumed() {
    let machine = Machine::new();
    for _ in 0..2 {
        let said = machine.run(&["demo", "--duration", "2s", "--data-dir", "data"]).expect(0);
        assert!(said.out.contains("Kept in data"), "{}", said.all());
    }
    let orders = machine.sql("json", "SELECT COUNT(*) AS n FROM orders;").expect(0).out;
    assert!(orders.starts_with("{\"N\":") && orders != "{\"N\":0}\n", "{orders}");
}
