//! A broker of the test's own, which is killed under load, comes back, and then refuses.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eddyline::engine::QueryState;
use serde_json::Value;

use super::faults::Service;
use super::world::{fresh_topics, produce, read_committed, read_json, use_broker, wait_for};
use crate::support::unique;

/// Ended with its data when dropped.
struct OwnBroker {
    dir: tempfile::TempDir,
    address: String,
}

impl OwnBroker {
    fn up(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut args = vec!["up"];
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        let said = script(dir.path(), &args);
        let address = said.trim().strip_prefix("EDDYLINE_TEST_BOOTSTRAP=").expect("an address").to_owned();
        use_broker(&address);
        Self { dir, address }
    }

    fn kill(&self) {
        script(self.dir.path(), &["kill"]);
    }

    fn start(&self) {
        script(self.dir.path(), &["start"]);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        script(self.dir.path(), &["down"]);
    }
}

fn script(dir: &Path, args: &[&str]) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    let output = Command::new(path).args(args).arg("--dir").arg(dir.join("kafka")).output().expect("scripts/kafka");
    assert!(output.status.success(), "kafka {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_broker_that_dies_under_load_and_comes_back_loses_and_repeats_nothing() {
    let broker = OwnBroker::up(&[]);
    let source = unique("outage");
    fresh_topics(&[&source], 3);
    let service = Service::start(&unique("outage"));
    service.run(&format!(
        "CREATE STREAM inp (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC = '{source}', VALUE_FORMAT = 'JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC = 'copied') AS SELECT * FROM inp;
         CREATE TABLE sums WITH (KAFKA_TOPIC = 'sums') AS
           SELECT n % 7 AS m, COUNT(*) AS c, SUM(n) AS s FROM inp GROUP BY n % 7;"
    ));
    // The load: records in small portions while the broker lives, dies and lives again.
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (stop, address, topic) = (stop.clone(), broker.address.clone(), source.clone());
        std::thread::spawn(move || {
            use_broker(&address);
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                let portion: Vec<_> = (n..n + 200)
                    .map(|n: i64| (Some(format!("k{n}")), format!(r#"{{"N":{n}}}"#), 1_700_000_000_000 + n))
                    .collect();
                // Waits for the acknowledgements, so through the outage.
                produce(&topic, &portion);
                n += 200;
                std::thread::sleep(Duration::from_millis(20));
            }
            n
        })
    };
    wait_for("the first results", 30, || read_json("copied").len() > 1000);
    broker.kill();
    for sink in ["COPIED", "SUMS"] {
        let reason = service.wait_for_error(sink, "");
        assert!(!reason.is_empty());
    }
    std::thread::sleep(Duration::from_secs(2));
    broker.start();
    for sink in ["COPIED", "SUMS"] {
        service.wait_for_running(sink);
    }
    std::thread::sleep(Duration::from_secs(2));
    stop.store(true, Ordering::SeqCst);
    let total = load.join().expect("the load");

    let mut wanted: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for n in 0..total {
        let entry = wanted.entry(n % 7).or_default();
        *entry = (entry.0 + 1, entry.1 + n);
    }
    let number = |row: &Value, field: &str| row[field].as_i64().expect("a number");
    wait_for("every record", 60, || read_json("copied").len() as i64 >= total);
    let mut copied: Vec<i64> = read_json("copied").iter().map(|row| number(row, "N")).collect();
    copied.sort_unstable();
    assert_eq!(copied, (0..total).collect::<Vec<_>>());
    let sums = || {
        let newest = read_committed("sums").into_iter().map(|seen| {
            let row: Value = serde_json::from_str(&seen.value.expect("no group goes away")).expect("JSON");
            (seen.key.expect("a key"), (number(&row, "C"), number(&row, "S")))
        });
        let newest: BTreeMap<Vec<u8>, (i64, i64)> = newest.collect();
        let by_number = newest.into_iter().map(|(key, row)| {
            let key: [u8; 8] = key.try_into().expect("8 bytes");
            (i64::from_be_bytes(key), row)
        });
        by_number.collect::<BTreeMap<i64, (i64, i64)>>()
    };
    wait_for("all sums", 60, || sums() == wanted);
    assert_eq!(service.query("COPIED").state, QueryState::Running);
}

impl OwnBroker {
    fn acl(&self, args: &[&str]) {
        let mut all = vec!["tool", "--dir"];
        let dir = self.dir.path().join("kafka");
        all.extend([dir.to_str().expect("a path"), "--", "AclCommand"]);
        all.extend(args);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
        let output = Command::new(path).args(&all).output().expect("scripts/kafka");
        assert!(output.status.success(), "{all:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Everybody, who is nobody in particular here, may not do this any more.
    fn deny(&self, what: &[&str]) {
        self.acl(&[&["--add", "--deny-principal", "User:ANONYMOUS"], what].concat());
    }

    fn allow_again(&self, what: &[&str]) {
        self.acl(&[&["--remove", "--force", "--deny-principal", "User:ANONYMOUS"], what].concat());
    }
}

#[test]
fn what_the_authorizer_refuses_is_told_and_goes_on_when_it_is_allowed() {
    let broker = OwnBroker::up(&[
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found=true",
    ]);
    let source = unique("refused");
    fresh_topics(&[&source], 2);
    let service = Service::start("refused");
    service.run(&format!(
        "CREATE STREAM inp (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC = '{source}', VALUE_FORMAT = 'JSON');
         CREATE STREAM out WITH (KAFKA_TOPIC = 'refused-out') AS SELECT * FROM inp;"
    ));
    let record = |n: usize| (None, format!(r#"{{"N":{n}}}"#), 1_700_000_000_000);
    let mut records = 10;
    produce(&source, &(0..records).map(record).collect::<Vec<_>>());
    wait_for("the first records", 60, || read_json("refused-out").len() == records);
    let group = ["--operation", "Read", "--group", "eddyline-refused-", "--resource-pattern-type", "prefixed"];
    let id = ["--operation", "Write", "--transactional-id", "eddyline-", "--resource-pattern-type", "prefixed"];
    for (what, hint) in [
        (&["--operation", "Read", "--topic", &source][..], "(Allow READ and DESCRIBE on the topics"),
        (&["--operation", "Write", "--topic", "refused-out"], "(Allow READ and DESCRIBE on the topics"),
        (&group, "(Allow READ, DESCRIBE and DELETE on consumer groups"),
        (&id, "(Allow WRITE and DESCRIBE on transactional ids"),
    ] {
        broker.deny(what);
        // Once there is a rule for a topic, what it does not allow is refused, to the producer too.
        let writable = !what.contains(&source.as_str());
        if writable {
            produce(&source, &[record(records)]);
        }
        service.wait_for_error("OUT", hint);
        broker.allow_again(what);
        if !writable {
            produce(&source, &[record(records)]);
        }
        records += 1;
        wait_for("the record that was refused", 60, || read_json("refused-out").len() >= records);
        assert_eq!(read_json("refused-out").len(), records, "{what:?}");
        service.wait_for_running("OUT");
    }
}
