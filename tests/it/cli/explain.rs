//! `eddyline explain`: topologies as text, with nothing started.

use super::program::{Machine, repository};

#[test]
fn a_query_file_is_explained() {
    let machine = Machine::new();
    let file = repository("queries/large_orders.sql");
    let said = machine.run(&["explain", &file.to_string_lossy()]).expect(0);
    let topology = "\
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON), timestamp TIMESTAMP
      -> STREAM (ORDER_ID STRING, USER_ID STRING, AMOUNT DECIMAL(12, 2), STATUS STRING)
  Filter <- Source: AMOUNT > 500.00
  Sink <- Filter: topic large_orders (key KAFKA, value JSON)
result: STREAM (ORDER_ID STRING, USER_ID STRING, AMOUNT DECIMAL(12, 2), STATUS STRING)
";
    assert!(said.out.contains(topology), "{}", said.all());
    assert!(!machine.path("home/eddyline/data").exists(), "explain needs no data directory");
}

#[test]
fn a_mistake_in_a_file_has_its_place() {
    let machine = Machine::new();
    machine.write(
        "q.sql",
        "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');\n\nCREATE STREAM x AS\n  SELECT w FROM s;\n",
    );
    let said = machine.run(&["explain", "q.sql"]).expect(1);
    assert!(said.err.contains("q.sql:4:10") && said.err.contains("unknown column W"), "{}", said.all());
}
