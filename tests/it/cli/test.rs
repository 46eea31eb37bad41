//! `eddyline test`: what passes and what fails, and how it says so.

use super::program::Machine;

const CASES: &str = "\
--@test: sums
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE TABLE t AS SELECT k, SUM(v) AS total FROM s GROUP BY k;
INSERT INTO s VALUES ('a', 1);
INSERT INTO s VALUES ('a', 2);
ASSERT VALUES t (k, total) VALUES ('a', 1);
ASSERT VALUES t (k, total) VALUES ('a', 4);

--@test: refused
--@expected.message: unknown column NOPE
CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');
CREATE STREAM x AS SELECT k, nope FROM s;
";

#[test]
fn failures_show_place_expectation_and_record() {
    let machine = Machine::new();
    machine.write("cases/sums.sql", CASES);
    let said = machine.run(&["test", "cases"]).expect(1);
    for words in ["FAIL  cases/sums.sql: sums", "cases/sums.sql:7:1", "TOTAL: expected 4, got 3", "1 passed, 1 failed"]
    {
        assert!(said.out.contains(words), "{words} is not in {}", said.all());
    }
}

#[test]
fn passing_tests_are_counted_and_named_when_asked() {
    let machine = Machine::new();
    machine.write("cases/sums.sql", CASES);
    let said = machine.run(&["test", "cases", "--filter", "refused", "-v"]).expect(0);
    assert!(said.out.contains("ok    cases/sums.sql: refused"), "{}", said.all());
    assert!(said.out.contains("1 passed, 0 failed"), "{}", said.all());
}

#[test]
fn what_cannot_be_run_is_an_error() {
    let machine = Machine::new();
    machine.write("cases/sums.sql", CASES);
    machine.run(&["test", "nowhere"]).expect(1);
    machine.run(&["test", "cases", "--filter", "no such test"]).expect(2);
    machine.run(&["test"]).expect(2);
}
