//! Two processes of one service, of which one or the other is killed twenty times under load: transfers between accounts
//! are copied record for record, and added up to balances whose sum is zero. The test computes both on its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::queries::Dice;
use super::world::{Process, delete_topics, exists, fresh_topics, produce, read_committed, wait_for};

const KILLS: usize = 20;
const ACCOUNTS: u64 = 40;

const QUERIES: &str = "
CREATE STREAM bank_transfers (id VARCHAR KEY, payer VARCHAR, payee VARCHAR, amount BIGINT)
  WITH (KAFKA_TOPIC = 'bank_transfers', VALUE_FORMAT = 'JSON');

CREATE STREAM bank_copy WITH (KAFKA_TOPIC = 'bank_copy') AS
  SELECT id, payer, amount FROM bank_transfers;

CREATE STREAM bank_legs WITH (KAFKA_TOPIC = 'bank_legs') AS
  SELECT id,
         EXPLODE(ARRAY[STRUCT(account := payer, amount := -amount), STRUCT(account := payee, amount := amount)]) AS leg
  FROM bank_transfers;

CREATE TABLE bank_balances WITH (KAFKA_TOPIC = 'bank_balances', KEY_FORMAT = 'KAFKA') AS
  SELECT leg->account AS account, SUM(leg->amount) AS balance, COUNT(*) AS legs
  FROM bank_legs GROUP BY leg->account;
";

/// What is sent, and what must come of it.
#[derive(Default)]
struct Books {
    sent: Vec<String>,
    /// Account to balance and number of legs.
    balances: BTreeMap<String, (i64, i64)>,
}

impl Books {
    fn transfers(&mut self, count: usize, dice: &mut Dice) -> Vec<(Option<String>, String, i64)> {
        let mut records = Vec::with_capacity(count);
        for _ in 0..count {
            let id = format!("t{:07}", self.sent.len());
            let (payer, payee) = (format!("a{}", dice.roll(ACCOUNTS)), format!("a{}", dice.roll(ACCOUNTS)));
            let amount = 1 + dice.roll(1000) as i64;
            for (account, amount) in [(&payer, -amount), (&payee, amount)] {
                let entry = self.balances.entry(account.clone()).or_default();
                *entry = (entry.0 + amount, entry.1 + 1);
            }
            let value = json!({"payer": payer, "payee": payee, "amount": amount});
            records.push((Some(id.clone()), value.to_string(), 1_700_000_000_000 + self.sent.len() as i64));
            self.sent.push(id);
        }
        records
    }
}

/// Newest balance and number of legs of each account. The number may only grow: a result that is written twice, or
/// from state that was lost, shows here.
fn balances_seen() -> BTreeMap<String, (i64, i64)> {
    let mut seen: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    if !exists("bank_balances") {
        return seen;
    }
    for record in read_committed("bank_balances") {
        let account = String::from_utf8(record.key.expect("a key")).expect("text");
        let row: Value = serde_json::from_str(&record.value.expect("no row is taken back")).expect("JSON");
        let row = (row["BALANCE"].as_i64().expect("a number"), row["LEGS"].as_i64().expect("a number"));
        if let Some(before) = seen.insert(account.clone(), row) {
            assert!(before.1 < row.1, "{account} went from {} to {} legs", before.1, row.1);
        }
    }
    seen
}

#[test]
fn two_processes_lose_and_repeat_nothing_when_killed_again_and_again() {
    delete_topics(&["bank_transfers", "bank_copy", "bank_legs", "bank_balances"]);
    fresh_topics(&["bank_transfers"], 4);
    let folder = tempfile::tempdir().expect("a folder");
    let queries = folder.path().join("bank.sql");
    std::fs::write(&queries, QUERIES).expect("a file");
    let service = format!("bank{}", std::process::id());
    let start = |number: usize| {
        let data = folder.path().join(format!("data{number}"));
        Process::start(&[
            "run",
            queries.to_str().expect("a path"),
            "--workers=1",
            "--service-id",
            &service,
            "--data-dir",
            data.to_str().expect("a path"),
            "--set=kafka.session.timeout.ms=1500",
            "--set=kafka.heartbeat.interval.ms=300",
            "--set=state.checkpoint.interval.ms=500",
            "--log-level=error",
        ])
    };
    let mut processes = [Some(start(0)), Some(start(1))];
    wait_for("the query", 60, || exists("bank_balances"));

    let over = AtomicBool::new(false);
    let books = std::thread::scope(|scope| {
        let feed = scope.spawn(|| {
            let (mut books, mut dice) = (Books::default(), Dice(7));
            while !over.load(Ordering::SeqCst) {
                produce("bank_transfers", &books.transfers(150, &mut dice));
                std::thread::sleep(Duration::from_millis(100));
            }
            books
        });
        let mut dice = Dice(std::process::id().into());
        for _ in 0..KILLS {
            // Long enough for a rebalance to end at times, short enough to hit the middle of others.
            std::thread::sleep(Duration::from_millis(300 + dice.roll(4500)));
            let victim = dice.roll(2) as usize;
            processes[victim].take().expect("it runs").kill();
            processes[victim] = Some(start(victim));
        }
        over.store(true, Ordering::SeqCst);
        feed.join().expect("no panic")
    });

    wait_for("all balances", 120, || balances_seen() == books.balances);
    assert_eq!(balances_seen().values().map(|(balance, _)| balance).sum::<i64>(), 0);
    let mut copied: Vec<String> = Vec::new();
    let mut copies = || {
        copied = read_committed("bank_copy")
            .into_iter()
            .map(|record| String::from_utf8(record.key.expect("a key")).expect("text"))
            .collect();
        copied.len()
    };
    wait_for("all copies", 60, || copies() >= books.sent.len());
    copied.sort();
    assert!(copied == books.sent, "{} transfers were sent, {} copied", books.sent.len(), copied.len());
    for process in processes.into_iter().flatten() {
        process.terminate();
    }
}
