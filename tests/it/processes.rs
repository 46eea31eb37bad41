//! Several engines with one service id, as several processes are: they share the command log and the work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddyline::broker::Broker;
use eddyline::broker::memory::MemoryBroker;
use eddyline::change::pretty::pretty_value;
use eddyline::engine::{Engine, EngineConfig, Outcome, QueryState, Session};
use eddyline::time::SystemClock;

fn process(broker: &Arc<dyn Broker>) -> Arc<Engine> {
    process_with(broker, &[])
}

fn process_with(broker: &Arc<dyn Broker>, properties: &[(&str, &str)]) -> Arc<Engine> {
    let config = EngineConfig {
        service_id: "shared".into(),
        workers: 1,
        default_partitions: 4,
        properties: properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..EngineConfig::default()
    };
    Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine")
}

fn memory() -> Arc<dyn Broker> {
    Arc::new(MemoryBroker::new())
}

fn run(session: &mut dyn Session, sql: &str) {
    session.execute(sql, &mut |_| Ok(())).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
}

fn rows(session: &mut dyn Session, sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let each = &mut |outcome| {
        if let Outcome::Table(result) = outcome {
            found.extend(result.rows.iter().map(|row| row.iter().map(pretty_value).collect::<Vec<_>>().join(" ")));
        }
        Ok(())
    };
    session.execute(sql, each).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    found.sort();
    found
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const ORDERS: &str = "CREATE STREAM orders (id VARCHAR KEY, user VARCHAR, amount INT)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 4);
  CREATE TABLE spent AS SELECT user, SUM(amount) AS total FROM orders GROUP BY user;";

const TOTALS: &str = "SELECT user, total FROM spent;";

#[test]
fn what_one_process_does_the_others_do() {
    let broker = memory();
    let (one, two) = (process(&broker), process(&broker));
    let (mut at_one, mut at_two) = (one.session(), two.session());
    run(at_one.as_mut(), ORDERS);
    wait_until("the second process has the query", || two.queries().len() == 1);
    let id = two.queries()[0].id.clone();
    assert_eq!(one.queries()[0].id, id);
    // Statements of the second build on those of the first, at once.
    run(at_two.as_mut(), "CREATE STREAM large AS SELECT id, amount FROM orders WHERE amount > 10;");
    wait_until("the first process has the query", || one.queries().len() == 2);

    run(at_one.as_mut(), &format!("PAUSE {id};"));
    wait_until("paused at both", || {
        let paused =
            |engine: &Arc<Engine>| engine.queries().iter().any(|q| q.id == id && q.state == QueryState::Paused);
        paused(&one) && paused(&two)
    });
    run(at_two.as_mut(), &format!("RESUME {id}; DROP STREAM large DELETE TOPIC; DROP TABLE spent DELETE TOPIC;"));
    wait_until("dropped at both", || one.queries().is_empty() && two.queries().is_empty());
    let refused = at_one.execute("SELECT * FROM spent;", &mut |_| Ok(())).expect_err("no table");
    assert!(refused.to_string().to_lowercase().contains("spent"), "{refused}");

    // A name can be used again, and a start after all this brings back only what is left.
    run(at_two.as_mut(), "CREATE TABLE spent AS SELECT user, COUNT(*) AS total FROM orders GROUP BY user;");
    one.shutdown();
    two.shutdown();
    let three = process(&broker);
    assert_eq!(three.queries().len(), 1);
    assert!(broker.topic("SPENT").expect("topics").is_some(), "the topic of the living query is there");
    let mut at_three = three.session();
    run(at_three.as_mut(), "INSERT INTO orders VALUES ('o1', 'ann', 5);");
    wait_until("the count", || rows(at_three.as_mut(), "SELECT user, total FROM spent;") == ["'ann' 1"]);
    three.shutdown();
}

#[test]
fn processes_share_the_work_and_take_over_from_one_that_ends() {
    let broker = memory();
    let (one, two) = (process(&broker), process(&broker));
    let mut at_one = one.session();
    run(at_one.as_mut(), ORDERS);
    wait_until("the second process has the query", || two.queries().len() == 1);
    let mut sent = std::collections::BTreeMap::new();
    let mut send = |session: &mut dyn Session, from: i32| {
        for i in from..from + 40 {
            run(session, &format!("INSERT INTO orders VALUES ('o{i}', 'user{}', {i});", i % 7));
            *sent.entry(format!("'user{}'", i % 7)).or_insert(0) += i;
        }
        sent.iter().map(|(user, total)| format!("{user} {total}")).collect::<Vec<_>>()
    };
    let expected = send(at_one.as_mut(), 0);
    wait_until("all totals", || rows(at_one.as_mut(), TOTALS) == expected);
    let read = |engine: &Arc<Engine>| engine.queries()[0].rows_in;
    wait_until("both work", || read(&one) > 0 && read(&two) > 0);
    two.shutdown();
    let expected = send(at_one.as_mut(), 40);
    wait_until("all totals", || rows(at_one.as_mut(), TOTALS) == expected);
    // A third one joins; the totals go on from what the others left.
    let three = process(&broker);
    let mut at_three = three.session();
    let expected = send(at_three.as_mut(), 80);
    wait_until("all totals", || rows(at_three.as_mut(), TOTALS) == expected);
    one.shutdown();
    let expected = send(at_three.as_mut(), 120);
    wait_until("all totals", || rows(at_three.as_mut(), TOTALS) == expected);
    three.shutdown();
}

#[test]
fn files_deployed_by_several_processes_at_once_run_once() {
    let broker = memory();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.sql"), ORDERS).expect("a file");
    std::fs::write(
        folder.path().join("b.sql"),
        "CREATE STREAM large AS SELECT id, amount FROM orders WHERE amount > 10;",
    )
    .expect("a file");
    let deployments: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = [1, 2, 3]
            .map(|_| {
                let (broker, path) = (&broker, folder.path());
                scope.spawn(move || {
                    let engine = process(broker);
                    let deployment = engine.deploy(path, false, false).expect("a deployment");
                    (engine, deployment)
                })
            })
            .into_iter()
            .collect();
        starts.into_iter().map(|start| start.join().expect("no panic")).collect()
    });
    let started: usize = deployments.iter().map(|(_, deployment)| deployment.started.len()).sum();
    let resumed: usize = deployments.iter().map(|(_, deployment)| deployment.resumed.len()).sum();
    assert_eq!((started, resumed), (2, 4));
    for (engine, _) in &deployments {
        assert_eq!(engine.queries().len(), 2);
        engine.shutdown();
    }
}

#[test]
fn a_standby_takes_over_with_little_left_to_read() {
    let broker = memory();
    let standby = [("num.standby.replicas", "1")];
    let one = process_with(&broker, &standby);
    let mut at_one = one.session();
    run(at_one.as_mut(), ORDERS);
    let orders: Vec<String> =
        (0..300).map(|i| format!("INSERT INTO orders VALUES ('o{i}', 'user{i}', {i});")).collect();
    run(at_one.as_mut(), &orders.concat());
    wait_until("all users", || rows(at_one.as_mut(), TOTALS).len() == 300);

    // The second process gets half of the tasks and copies the other half, as the first one does.
    let two = process_with(&broker, &standby);
    let numbers = |engine: &Arc<Engine>| engine.queries()[0].numbers.clone();
    wait_until("copies at both", || {
        let ready = |engine: &Arc<Engine>| {
            let numbers = numbers(engine);
            numbers.standby_tasks == 2 && numbers.standby_behind == 0 && numbers.state_rows() > 100
        };
        ready(&one) && ready(&two)
    });
    let restored = numbers(&two).restore.total;
    one.shutdown();
    let mut at_two = two.session();
    run(at_two.as_mut(), "INSERT INTO orders VALUES ('o', 'user1', 1000);");
    wait_until("the new total", || rows(at_two.as_mut(), TOTALS).contains(&"'user1' 1001".to_owned()));
    wait_until("all tasks", || numbers(&two).state_rows() >= 600);
    assert_eq!(numbers(&two).standby_tasks, 0);
    // What the first process held was not read again: a record or two may have been missing.
    let read = numbers(&two).restore.total - restored;
    assert!(read < 20, "{read} records were read from changelogs");
    two.shutdown();
}

#[test]
fn a_prompt_without_workers_talks_and_leaves_the_work_to_others() {
    let broker = memory();
    let config = EngineConfig { service_id: "shared".into(), workers: 0, ..EngineConfig::default() };
    let prompt = Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine");
    let mut at_prompt = prompt.session();
    run(at_prompt.as_mut(), ORDERS);
    run(at_prompt.as_mut(), "INSERT INTO orders VALUES ('o1', 'ann', 5);");
    assert!(rows(at_prompt.as_mut(), TOTALS).is_empty(), "nobody works yet");
    let worker = process(&broker);
    wait_until("the total", || rows(at_prompt.as_mut(), TOTALS) == ["'ann' 5"]);
    assert_eq!(prompt.queries()[0].rows_in, 0);
    worker.shutdown();
    prompt.shutdown();
}
