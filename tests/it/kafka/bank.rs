//! Processes of one service that are killed, join and leave under load: transfers between accounts are copied record for
//! record, and added up to balances whose sum is zero. The tests compute both on their own.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::queries::Dice;
use super::world::{Process, delete_topics, exists, fresh_topics, produce, read_committed, wait_for};

const ACCOUNTS: u64 = 40;

/// `@` stands for the name of the bank.
const QUERIES: &str = "
CREATE STREAM transfers (id VARCHAR KEY, payer VARCHAR, payee VARCHAR, amount BIGINT)
  WITH (KAFKA_TOPIC = '@_transfers', VALUE_FORMAT = 'JSON');

CREATE STREAM copy WITH (KAFKA_TOPIC = '@_copy') AS
  SELECT id, payer, amount FROM transfers;

CREATE STREAM legs WITH (KAFKA_TOPIC = '@_legs') AS
  SELECT id,
         EXPLODE(ARRAY[STRUCT(account := payer, amount := -amount), STRUCT(account := payee, amount := amount)]) AS leg
  FROM transfers;

CREATE TABLE balances WITH (KAFKA_TOPIC = '@_balances', KEY_FORMAT = 'KAFKA') AS
  SELECT leg->account AS account, SUM(leg->amount) AS balance, COUNT(*) AS legs
  FROM legs GROUP BY leg->account;
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

/// A service whose processes come and go.
struct Bank {
    name: &'static str,
    folder: tempfile::TempDir,
    service: String,
}

impl Bank {
    fn open(name: &'static str) -> Self {
        let topics = ["transfers", "copy", "legs", "balances"].map(|topic| format!("{name}_{topic}"));
        delete_topics(&topics.each_ref().map(String::as_str));
        fresh_topics(&[&topics[0]], 4);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("bank.sql"), QUERIES.replace('@', name)).expect("a file");
        Self { name, folder, service: format!("{name}{}", std::process::id()) }
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}_{topic}", self.name)
    }

    /// Starts a process; one of the same number finds what the last one left on its disk.
    fn start(&self, number: usize) -> Process {
        self.start_with(number, &["--log-level=error"], Stdio::inherit())
    }

    fn start_with(&self, number: usize, more: &[&str], log: Stdio) -> Process {
        let path = |name: String| self.folder.path().join(name).to_str().expect("a path").to_owned();
        let (queries, data) = (path("bank.sql".to_owned()), path(format!("data{number}")));
        let mut args = vec!["run", &queries, "--workers=1", "--service-id", &self.service, "--data-dir", &data];
        args.extend([
            // The dead are missed soon: the broker of scripts/kafka allows it.
            "--set=kafka.session.timeout.ms=1500",
            "--set=kafka.heartbeat.interval.ms=300",
            "--set=state.checkpoint.interval.ms=500",
        ]);
        args.extend(more);
        Process::start_telling(&args, log)
    }

    /// Waits until everything that is written now, in whatever partition, is copied.
    fn wait_for_copies(&self, seconds: u64) {
        let written = read_committed(&self.topic("transfers")).len();
        wait_for("copies of all partitions", seconds, || self.copies().len() >= written);
    }

    /// Feeds transfers while `disturb` goes on, and checks what has become of them in the end.
    fn run(&self, disturb: impl FnOnce()) {
        let over = AtomicBool::new(false);
        let books = std::thread::scope(|scope| {
            let feed = scope.spawn(|| {
                let (mut books, mut dice) = (Books::default(), Dice(7));
                while !over.load(Ordering::SeqCst) {
                    produce(&self.topic("transfers"), &books.transfers(150, &mut dice));
                    std::thread::sleep(Duration::from_millis(100));
                }
                books
            });
            disturb();
            over.store(true, Ordering::SeqCst);
            feed.join().expect("no panic")
        });
        wait_for("all balances", 120, || self.balances() == books.balances);
        assert_eq!(self.balances().values().map(|(balance, _)| balance).sum::<i64>(), 0);
        wait_for("all copies", 60, || self.copies().len() >= books.sent.len());
        let mut copied = self.copies();
        copied.sort();
        assert!(copied == books.sent, "{} transfers were sent, {} copied", books.sent.len(), copied.len());
    }

    fn copies(&self) -> Vec<String> {
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.expect("a key")).expect("text");
        read_committed(&self.topic("copy")).into_iter().map(|record| text(record.key)).collect()
    }

    /// Newest balance and number of legs of each account. The number may only grow: a result that is written twice, or
    /// from state that was lost, shows here.
    fn balances(&self) -> BTreeMap<String, (i64, i64)> {
        let mut seen: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        if !exists(&self.topic("balances")) {
            return seen;
        }
        for record in read_committed(&self.topic("balances")) {
            let account = String::from_utf8(record.key.expect("a key")).expect("text");
            let row: Value = serde_json::from_str(&record.value.expect("no row is taken back")).expect("JSON");
            let row = (row["BALANCE"].as_i64().expect("a number"), row["LEGS"].as_i64().expect("a number"));
            if let Some(before) = seen.insert(account.clone(), row) {
                assert!(before.1 < row.1, "{account} went from {} to {} legs", before.1, row.1);
            }
        }
        seen
    }
}

#[test]
fn two_processes_lose_and_repeat_nothing_when_killed_twenty_times() {
    let bank = Bank::open("bank");
    let mut processes = [Some(bank.start(0)), Some(bank.start(1))];
    wait_for("the query", 60, || exists("bank_balances"));
    bank.run(|| {
        let mut dice = Dice(std::process::id().into());
        for _ in 0..20 {
            // Long enough for a rebalance to end at times, short enough to hit the middle of others.
            std::thread::sleep(Duration::from_millis(300 + dice.roll(4500)));
            let victim = dice.roll(2) as usize;
            processes[victim].take().expect("it runs").kill();
            processes[victim] = Some(bank.start(victim));
        }
    });
    processes.into_iter().flatten().for_each(Process::terminate);
}

#[test]
fn processes_that_join_and_leave_all_the_time_lose_and_repeat_nothing() {
    let bank = Bank::open("storm");
    let mut processes = [Some(bank.start(0)), None, None, None];
    wait_for("the query", 60, || exists("storm_balances"));
    bank.run(|| {
        let mut dice = Dice(std::process::id().into());
        for _ in 0..24 {
            std::thread::sleep(Duration::from_millis(200 + dice.roll(800)));
            let number = 1 + dice.roll(3) as usize;
            match processes[number].take() {
                Some(process) => process.terminate(),
                None => processes[number] = Some(bank.start(number)),
            }
        }
    });
    processes.into_iter().flatten().for_each(Process::terminate);
}

/// One that stands still for longer than its group waits does not know that others have its partitions. It is the only one
/// that can do the work when the other stands still: so it must come back.
#[test]
fn a_process_that_stands_still_is_fenced_and_comes_back() {
    let bank = Bank::open("still");
    // Readers wait for what was open when it stopped, and so does the next owner: not for long here. Commits are so rare
    // that something is open at any moment.
    let more = ["--set=kafka.transaction.timeout.ms=2000", "--set=commit.interval.ms=1000", "--log-level=warn"];
    let log = |number: usize| bank.folder.path().join(format!("log{number}"));
    let start =
        |number: usize| bank.start_with(number, &more, std::fs::File::create(log(number)).expect("a file").into());
    let processes = [start(0), start(1)];
    wait_for("the query", 60, || exists("still_balances"));
    bank.run(|| {
        std::thread::sleep(Duration::from_secs(3));
        for still in &processes {
            still.signal("STOP");
            std::thread::sleep(Duration::from_secs(3));
            bank.wait_for_copies(30);
            still.signal("CONT");
            std::thread::sleep(Duration::from_secs(3));
        }
    });
    processes.into_iter().for_each(Process::terminate);
    let said: String = (0..2).map(|number| std::fs::read_to_string(log(number)).expect("a log")).collect();
    assert!(said.contains("worker was fenced"), "{said}");
}
