//! [`Case`]: what a seed stands for before anything runs: queries, settings, data.

use super::dice::Dice;
use super::disk::DiskSettings;
use super::shapes::{Input, Keys, Mode, SHAPES, Shape, Upfront};
use eddyline::broker::murmur2::partition_for;
use eddyline::runtime::throttle::QueueLimits;

/// Event time of the first records.
const START_MS: i64 = 1_600_000_000_000;
/// Waves of data are so far apart that time that passes between them makes nothing late.
const WAVE_MS: i64 = 60 * 24 * 3_600_000;
/// Tables that are written first have happened long before.
const EARLIER_MS: i64 = 7 * 24 * 3_600_000;

/// A record of an input topic.
#[derive(Debug, Clone)]
pub struct Row {
    pub topic: &'static str,
    pub partition: i32,
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: Value,
}

/// Its value.
#[derive(Debug, Clone)]
pub enum Value {
    Tombstone,
    Bad,
    Columns { g: Option<String>, v: i64, n: i64 },
}

impl Value {
    /// As it is written.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tombstone => None,
            Self::Bad => Some(b"{\"G\": ".to_vec()),
            Self::Columns { g, v, n } => {
                let g = g.as_ref().map_or("null".to_owned(), |g| format!("\"{g}\""));
                Some(format!("{{\"G\":{g},\"V\":{v},\"N\":{n}}}").into_bytes())
            }
        }
    }
}

/// How the run goes.
#[derive(Debug, Clone)]
pub struct Settings {
    pub exactly_once: bool,
    pub commit_interval_ms: i64,
    pub commit_records_max: u64,
    pub poll_records_max: usize,
    pub steps: usize,
    pub processes_max: usize,
    pub workers_max: usize,
    /// Whether processes have a disk for their state.
    pub disks: Option<DiskSettings>,
    /// Whether processes keep copies of what others work on.
    pub standbys: bool,
    /// How many of a hundred commits partitions learn of late.
    pub unseen: usize,
    /// How much of the schedule is trouble, in per mille of the steps.
    pub trouble: usize,
    /// How far inputs are read ahead.
    pub queue_limits: QueueLimits,
    /// How often a process stands still for a while, in per mille of the steps.
    pub standstill: usize,
}

impl Settings {
    /// Without what the simulation learned later: seeds that once found something stay the runs that they were.
    pub fn plain(self) -> Self {
        Self { queue_limits: QueueLimits::default(), standstill: 0, ..self }
    }
}

/// What a seed stands for.
pub struct Case {
    pub shape: &'static Shape,
    pub mode: Mode,
    pub settings: Settings,
    /// Partition counts of the inputs.
    pub partitions: Vec<i32>,
    /// Records in the order in which they are written.
    pub rows: Vec<Row>,
    /// Where each wave of the data ends: between waves all work is done and time passes.
    pub waves: Vec<usize>,
    /// Dice for the schedule.
    pub dice: Dice,
    /// Dice for what came later: see [`Settings::plain`].
    pub later: Dice,
}

impl Case {
    /// The case of a seed, of a given shape if one is named; so many of a hundred have disks.
    pub fn new(seed: u64, shape: Option<&str>, disks_percent: usize) -> Self {
        let mut dice = Dice::new(seed);
        let mut later = Dice::new(!seed);
        let rolled = dice.roll(SHAPES.len());
        let shape = match shape {
            None => &SHAPES[rolled],
            Some(name) => SHAPES.iter().find(|shape| shape.name == name).unwrap_or(&SHAPES[rolled]),
        };
        let mode = Mode {
            aligned: dice.percent(50),
            upfront: match shape.upfront {
                Upfront::Always => true,
                Upfront::Never => false,
                Upfront::Sometimes => dice.percent(35),
            },
            coalesce: dice.percent(40),
        };
        let settings = Settings {
            exactly_once: !dice.percent(8),
            commit_interval_ms: *dice.pick(&[1, 20, 100, 400]),
            commit_records_max: *dice.pick(&[3, 50, 500_000]),
            poll_records_max: *dice.pick(&[2, 7, 40, 1000]),
            steps: dice.between(100, 700),
            processes_max: *dice.pick(&[1, 2, 3, 3, 4]),
            workers_max: dice.between(1, 2),
            disks: (shape.stateful && dice.percent(disks_percent)).then(|| DiskSettings {
                memory_bytes: *dice.pick(&[1, 4_000, 1_000_000]),
                checkpoint_interval_ms: *dice.pick(&[1, 100, 1_000]),
            }),
            standbys: shape.stateful && dice.percent(30),
            unseen: *dice.pick(&[0, 0, 30, 100]),
            trouble: *dice.pick(&[0, 40, 100, 200, 400]),
            queue_limits: QueueLimits {
                rows: *later.pick(&[2, 5, 20, 50_000]),
                bytes: *later.pick(&[500, 4_000, 64 << 20, 64 << 20]),
            },
            standstill: *later.pick(&[0, 0, 20, 50]),
        };
        let count = *dice.pick(&[1, 2, 2, 3, 4, 6]);
        let partitions = shape.inputs.iter().map(|input| {
            let own = dice.between(1, 4) as i32;
            if input.copartitioned { count } else { own }
        });
        let partitions: Vec<i32> = partitions.collect();
        let mut written = rows(shape, mode, &partitions, START_MS, &mut dice);
        let mut waves = vec![written.len()];
        if shape.idle && dice.percent(40) {
            written.extend(rows(shape, mode, &partitions, START_MS + WAVE_MS, &mut dice));
            waves.push(written.len());
        }
        Self { shape, mode, settings, partitions, rows: written, waves, dice: dice.fork(), later }
    }

    /// Statements that declare the inputs, and the queries.
    pub fn script(&self) -> String {
        let mut text = String::new();
        for (input, partitions) in self.shape.inputs.iter().zip(&self.partitions) {
            let (kind, key) = if input.table { ("TABLE", "PRIMARY KEY") } else { ("STREAM", "KEY") };
            let name = input.name;
            text += &format!(
                "CREATE {kind} {name} (k VARCHAR {key}, g VARCHAR, v BIGINT, n BIGINT)
                 WITH (KAFKA_TOPIC = '{name}', VALUE_FORMAT = 'JSON', PARTITIONS = {partitions});"
            );
        }
        text + self.shape.queries
    }
}

/// The data of a wave, in the order in which it is written.
fn rows(shape: &'static Shape, mode: Mode, partitions: &[i32], start_ms: i64, dice: &mut Dice) -> Vec<Row> {
    let per_input = dice.between(15, 90);
    let keys = dice.between(1, 9);
    let groups = dice.between(1, 5);
    let jitter_ms = *dice.pick(&[0, 2_000, 9_000]);
    let mut queues: Vec<Vec<Row>> = Vec::new();
    for (input, partitions) in shape.inputs.iter().zip(partitions) {
        let mut time = start_ms - if input.first { EARLIER_MS } else { 0 };
        let mut queue = Vec::new();
        for n in 0..per_input {
            time += dice.roll(1_500) as i64;
            let timestamp = time - dice.roll(jitter_ms + 1) as i64;
            queue.push(row(input, *partitions, mode, (keys, groups), n as i64, timestamp, dice));
        }
        // A partition whose records come much later than the others'.
        if dice.percent(25) {
            let late = dice.roll(*partitions as usize) as i32;
            queue.sort_by_key(|row| row.partition == late);
        }
        queues.push(queue);
    }
    let mut written = Vec::new();
    for (queue, _) in queues.iter_mut().zip(shape.inputs).filter(|(_, input)| input.first) {
        written.append(queue);
    }
    let mut queues: Vec<_> = queues.into_iter().map(Vec::into_iter).collect();
    while !queues.is_empty() {
        let at = dice.roll(queues.len());
        match queues[at].next() {
            Some(row) => written.push(row),
            None => drop(queues.swap_remove(at)),
        }
    }
    written
}

fn row(
    input: &Input,
    partitions: i32,
    mode: Mode,
    (keys, groups): (usize, usize),
    n: i64,
    timestamp: i64,
    dice: &mut Dice,
) -> Row {
    // Two dice, the smaller one: few keys have many records.
    let skewed = |dice: &mut Dice, count: usize| dice.roll(count).min(dice.roll(count));
    let key = match input.keys {
        Keys::Own => format!("k{}", skewed(dice, keys)),
        Keys::Groups if mode.aligned => format!("g{}-{}", dice.roll(6), dice.roll(groups)),
        Keys::Groups => format!("g{}", dice.roll(groups)),
    };
    let key = (!dice.percent(2)).then_some(key);
    let partition =
        key.as_ref().map_or_else(|| dice.roll(partitions as usize) as i32, |k| partition_for(k.as_bytes(), partitions));
    let group = skewed(dice, groups);
    let g = if mode.aligned { format!("g{partition}-{group}") } else { format!("g{group}") };
    let value = match dice.roll(100) {
        0..3 => Value::Bad,
        3..6 => Value::Tombstone,
        6..12 if input.table => Value::Tombstone,
        roll => Value::Columns { g: (roll > 14).then_some(g), v: dice.roll(100) as i64, n },
    };
    Row { topic: input.name, partition, timestamp, key, value }
}
