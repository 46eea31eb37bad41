//! A build that meets what another one left: local checkpoints and changelogs of another format.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{
    Broker, CommittedOffset, Consumer, ConsumerOptions, OutRecord, ProducerOptions, Start, TopicInfo, TopicPartition,
};
use eddyline::engine::{Engine, EngineConfig, Outcome, QueryState, Session};
use eddyline::runtime::progress::STATE_FORMAT;
use eddyline::state::{STATE_VERSION, StateDir, StateEnv};
use eddyline::time::SystemClock;
use eddyline::types::Value;

/// `@` stands for the name of the service.
const QUERIES: &str = "CREATE STREAM orders (user VARCHAR, amount INT)
    WITH (KAFKA_TOPIC = '@-orders', VALUE_FORMAT = 'JSON', PARTITIONS = 1);
  CREATE TABLE spent WITH (KAFKA_TOPIC = '@-spent') AS SELECT user, SUM(amount) AS total FROM orders GROUP BY user;
  CREATE STREAM large WITH (KAFKA_TOPIC = '@-large') AS SELECT * FROM orders WHERE amount > 10;";

fn engine(broker: &Arc<dyn Broker>, service: &str, state: StateEnv) -> Arc<Engine> {
    let config = EngineConfig { service_id: service.to_owned(), state, ..EngineConfig::default() };
    Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine")
}

fn on_disk(root: &Path) -> StateEnv {
    StateEnv::on_disk(StateDir::open(root, "t").expect("a slot"), 64 << 20, 1)
}

fn run(session: &mut dyn Session, sql: &str) {
    session.execute(sql, &mut |_| Ok(())).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
}

fn write(broker: &dyn Broker, service: &str, user: &str, amount: u32) {
    let topic = &format!("{service}-orders");
    let mut producer = broker.producer(&ProducerOptions::default()).expect("a producer");
    let value = format!("{{\"USER\":\"{user}\",\"AMOUNT\":{amount}}}");
    let value = Some(value.as_bytes());
    producer.send(OutRecord { topic, partition: 0, key: None, value, timestamp: 1, headers: &[] }).expect("sent");
    producer.flush(Duration::from_secs(30)).expect("written");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} within 60 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn total(session: &mut dyn Session, user: &str) -> Option<i64> {
    let mut found = None;
    let each = &mut |outcome| {
        if let Outcome::Table(result) = outcome {
            found = match result.rows.first().and_then(|row| row.first()) {
                Some(Value::Int(total)) => Some(i64::from(*total)),
                Some(Value::BigInt(total)) => Some(*total),
                _ => None,
            };
        }
        Ok(())
    };
    let asked = session.execute(&format!("SELECT total FROM spent WHERE user = '{user}';"), each);
    asked.ok().and(found)
}

/// Records in a topic.
fn count(broker: &dyn Broker, topic: &str) -> usize {
    let partitions = broker.topic(topic).expect("an answer").expect("the topic").partitions;
    let all: Vec<_> = (0..partitions).map(|at| (TopicPartition::new(topic, at), Start::Earliest)).collect();
    let mut consumer = broker.consumer(&ConsumerOptions::default()).expect("a consumer");
    consumer.assign(&all).expect("assigned");
    let mut next = vec![0; all.len()];
    let mut count = 0;
    let is_over = |consumer: &dyn Consumer, next: &[i64]| {
        let mut each = all.iter().zip(next);
        each.all(|((partition, _), next)| consumer.end_offset(partition).is_some_and(|end| end <= *next))
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_over(consumer.as_ref(), &next) {
        assert!(Instant::now() < deadline, "{topic} has no end");
        for set in consumer.poll(1000, Duration::from_millis(100)).expect("a poll").sets {
            count += set.len();
            next[set.partition as usize] = set.offsets.last().map_or(0, |last| last + 1);
        }
    }
    count
}

/// Topics and queries are made, "ann" has spent 30, and the engine has ended.
fn begin(broker: &Arc<dyn Broker>, service: &str, state: StateEnv) -> Vec<String> {
    let engine = engine(broker, service, state);
    let mut session = engine.session();
    run(session.as_mut(), &QUERIES.replace('@', service));
    write(broker.as_ref(), service, "ann", 10);
    write(broker.as_ref(), service, "ann", 20);
    wait_until("the total", || total(session.as_mut(), "ann") == Some(30));
    wait_until("the copy", || count(broker.as_ref(), &format!("{service}-large")) == 1);
    let queries = engine.queries().into_iter().map(|query| query.id).collect();
    engine.shutdown();
    queries
}

fn topics_of(broker: &dyn Broker, service: &str) -> Vec<TopicInfo> {
    let topics = broker.topics().expect("an answer");
    topics.into_iter().filter(|topic| topic.name.contains(service)).collect()
}

/// The offsets of all queries look as if a build of another format had committed them.
fn commit_as(broker: &dyn Broker, service: &str, queries: &[String], format: &str) {
    let topics = topics_of(broker, service);
    let partitions = topics.iter().flat_map(|topic| (0..topic.partitions).map(|at| (topic.name.clone(), at)));
    let partitions: Vec<_> = partitions.map(|(topic, at)| TopicPartition::new(topic, at)).collect();
    for query in queries {
        let group = format!("eddyline-{service}-{query}");
        let committed = broker.committed(&group, &partitions).expect("an answer");
        assert!(!committed.is_empty(), "{group} has committed");
        let other = |offset: CommittedOffset| {
            let (_, rest) = offset.metadata.split_once(';').expect("a format and more");
            CommittedOffset { metadata: format!("{format};{rest}"), ..offset }
        };
        let others: Vec<_> = committed.into_iter().map(other).collect();
        let options = ConsumerOptions { group: Some(group), ..ConsumerOptions::default() };
        let consumer = broker.consumer(&options).expect("a consumer");
        let nobody = consumer.group_metadata();
        let mut producer = broker.producer(&ProducerOptions::default()).expect("a producer");
        producer.commit(&others, nobody.as_ref()).expect("committed");
    }
}

fn error_of(engine: &Engine, prefix: &str) -> Option<String> {
    let query = engine.queries().into_iter().find(|query| query.id.starts_with(prefix)).expect("the query");
    match query.state {
        QueryState::Error(reason) => Some(reason),
        _ => None,
    }
}

#[test]
fn a_changelog_of_another_format_ends_its_query_with_words() {
    refuse_other_formats(Arc::new(MemoryBroker::new()), "t");
}

mod kafka {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kafka::world::bootstrap;
    use crate::support::unique;

    #[test]
    fn a_changelog_of_another_format_ends_its_query_with_words() {
        let broker = eddyline::broker::kafka::KafkaBroker::connect(&bootstrap(), &BTreeMap::new());
        refuse_other_formats(Arc::new(broker.expect("a connection")), &unique("upgrade"));
    }
}

fn refuse_other_formats(broker: Arc<dyn Broker>, service: &str) {
    let queries = begin(&broker, service, StateEnv::memory());
    // One that came before, and one that comes later.
    for format in ["1", "99"] {
        commit_as(broker.as_ref(), service, &queries, format);
        let mut changelogs: Vec<String> =
            topics_of(broker.as_ref(), service).into_iter().map(|topic| topic.name).collect();
        changelogs.retain(|name| name.ends_with("-changelog") || name.ends_with("-spent"));
        assert!(changelogs.len() > 1, "{changelogs:?}");
        let counts = || changelogs.iter().map(|topic| count(broker.as_ref(), topic)).collect::<Vec<_>>();
        let before = counts();
        let engine = engine(&broker, service, StateEnv::memory());
        write(broker.as_ref(), service, "ann", 40);
        wait_until("the error", || error_of(&engine, "CTAS_SPENT").is_some());
        let reason = error_of(&engine, "CTAS_SPENT").expect("an error");
        for words in [
            "CTAS_SPENT",
            &format!("state of format {format}"),
            &format!("reads format {STATE_FORMAT}"),
            "Run the build that wrote it",
            "DROP",
        ] {
            assert!(reason.contains(words), "{words} in {reason}");
        }
        // What keeps nothing goes on; what does not go on has touched nothing.
        let copied = if format == "1" { 2 } else { 3 };
        wait_until("the copy goes on", || count(broker.as_ref(), &format!("{service}-large")) == copied);
        assert_eq!(error_of(&engine, "CSAS_LARGE"), None);
        assert_eq!(counts(), before);
        engine.shutdown();
    }
    // The build that wrote it goes on where it stood.
    commit_as(broker.as_ref(), service, &queries, &STATE_FORMAT.to_string());
    let engine = engine(&broker, service, StateEnv::memory());
    let mut session = engine.session();
    wait_until("the total", || total(session.as_mut(), "ann") == Some(110));
    engine.shutdown();
}

#[test]
fn a_local_checkpoint_of_another_format_is_thrown_away() {
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let (root, service) = (tempfile::tempdir().expect("a folder"), "t");
    begin(&broker, service, on_disk(root.path()));
    let mut databases = Vec::new();
    find_databases(root.path(), &mut databases);
    assert_eq!(databases.len(), 1, "{databases:?}");
    let changed = make_other(&databases[0]);
    assert!(changed > 0, "there were checkpoints");

    let engine = engine(&broker, service, on_disk(root.path()));
    let mut session = engine.session();
    write(broker.as_ref(), service, "ann", 40);
    wait_until("the total", || total(session.as_mut(), "ann") == Some(70));
    let restored: u64 =
        engine.lock().live.queries.values().map(|query| query.metrics.restored.load(Ordering::Relaxed)).sum();
    assert!(restored > 0, "from the changelog");
    engine.shutdown();
}

fn find_databases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable").flatten().filter(|entry| entry.path().is_dir()) {
        let is_database = entry.file_name().to_string_lossy().starts_with("db-");
        if is_database { found.push(entry.path()) } else { find_databases(&entry.path(), found) }
    }
}

/// Marks say another version, and rows are such as only that version can read.
fn make_other(path: &Path) -> usize {
    let database = fjall::Database::builder(path).open().expect("opens");
    let open = |name: &str| database.keyspace(name, fjall::KeyspaceCreateOptions::default).expect("opens");
    let names: Vec<String> = database.list_keyspace_names().iter().map(|name| name.to_string()).collect();
    let mut changed = 0;
    for name in names {
        let keyspace = open(&name);
        let rows: Vec<_> = keyspace.iter().map(|row| row.into_inner().expect("readable")).collect();
        for (key, value) in rows {
            let other = match name.as_str() {
                "marks" => {
                    let mut mark = value.to_vec();
                    assert_eq!(mark[..2], STATE_VERSION.to_be_bytes());
                    mark[..2].copy_from_slice(&(STATE_VERSION + 1).to_be_bytes());
                    changed += 1;
                    mark
                }
                _ => b"of another version".to_vec(),
            };
            keyspace.insert(key, other).expect("written");
        }
    }
    database.persist(fjall::PersistMode::SyncAll).expect("synced");
    changed
}
