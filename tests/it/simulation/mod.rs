//! Simulation: the real sessions and tasks over the memory broker, on one thread, under a schedule with faults that one
//! number decides. The same number is the same run.
//!
//! A run is done twice: without trouble, and with it. What a `read_committed` reader sees after both must agree as far as
//! the queries promise ([`shapes`] says what that is); stores must be what their changelogs say, and everything must be
//! done. For some queries a plain calculation ([`model`]) says what the run without trouble must have brought.
//!
//! `cargo run --release --example simulate -- --seed N -v` repeats a seed and tells what happens.

mod case;
pub mod deploy;
mod dice;
mod disk;
mod model;
mod mutant;
mod oracle;
mod shapes;
mod world;

use case::Case;
use deploy::Deployment;
use eddyline::runtime::throttle::QueueLimits;
pub use mutant::Mutation;
use oracle::Seen;
use shapes::Upfront;
use world::{Terms, World};

/// What to run besides the seed.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What is wrong on purpose.
    pub mutation: Mutation,
    /// Only this shape.
    pub shape: Option<&'a str>,
    /// Without transactions, whatever the seed says.
    pub at_least_once: bool,
    /// As seeds were before small queues and processes that stand still.
    pub plain: bool,
    /// Tell what happens.
    pub verbose: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { mutation: Mutation::None, shape: None, at_least_once: false, plain: false, verbose: false }
    }
}

/// What a run was like.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    /// Sessions that failed.
    pub failures: usize,
    /// Records in the outputs.
    pub records: usize,
}

/// The outputs of a run.
struct Outcome {
    outputs: Vec<Vec<Seen>>,
    complaints: Vec<String>,
    failures: usize,
}

fn observe(world: &World<'_>, case: &Case) -> Result<Outcome, String> {
    let outputs = case.shape.outputs.iter().map(|output| oracle::read(&world.broker, output.topic));
    Ok(Outcome {
        outputs: outputs.collect::<Result<_, _>>()?,
        complaints: oracle::complaints(&world.broker)?,
        failures: world.failures,
    })
}

/// Runs a seed. The error says what is wrong.
pub fn run(seed: u64, options: Options<'_>) -> Result<Report, String> {
    // Disks take a hundred times as long as all the rest.
    let disks_percent = if options.mutation == Mutation::CheckpointAhead { 100 } else { 8 };
    let mut case = Case::new(seed, options.shape, disks_percent);
    case.settings.exactly_once &= !options.at_least_once;
    if options.plain {
        case.settings = case.settings.plain();
    }
    if options.verbose {
        eprintln!(
            "seed {seed}: {}, {:?}, {:?}, partitions {:?}, {} records",
            case.shape.name,
            case.mode,
            case.settings,
            case.partitions,
            case.rows.len()
        );
    }
    let told = |error: eddyline::error::Error| error.to_string();
    let deployment = Deployment::new(&case.script()).map_err(told)?;
    let wanted = fault_free(&case, &deployment).map_err(|error| format!("without trouble: {error}"))?;
    model::check(&case, &wanted.outputs).map_err(|error| format!("without trouble: {error}"))?;

    let terms = Terms {
        mutation: options.mutation,
        coalesce: case.mode.coalesce,
        exactly_once: case.settings.exactly_once,
        disks: case.settings.disks,
        standbys: case.settings.standbys,
        queue_limits: case.settings.queue_limits,
        verbose: options.verbose,
    };
    let mut world = World::new(&case, &deployment, terms).map_err(told)?;
    for wave in &case.waves {
        world.open(*wave);
        world.chaos(case.settings.steps / case.waves.len()).map_err(told)?;
        world.calm()?;
        if case.shape.idle {
            world.idle(case.settings.trouble > 0)?;
        }
    }
    let got = observe(&world, &case)?;
    let report = Report { failures: got.failures, records: got.outputs.iter().map(Vec::len).sum() };
    if !case.settings.exactly_once {
        // Who was expelled and writes to a changelog nevertheless may put an old value behind a new one.
        let strays = !world.broker.strays().is_empty();
        if world.broker.wilful_strays() > 0 {
            return Err("a member wrote after it had been told that it was expelled".to_owned());
        }
        for (output, (wanted, got)) in case.shape.outputs.iter().zip(wanted.outputs.iter().zip(&got.outputs)) {
            if !case.shape.stateful {
                oracle::contains(output.topic, (output.level)(case.mode), wanted, got)?;
            } else if !strays {
                oracle::counts_at_least(output, wanted, got)?;
            }
        }
        oracle::all_complaints(case.shape.inputs, &wanted.complaints, &got.complaints)?;
        oracle::stores(&world)?;
        return Ok(report);
    }
    if !world.broker.strays().is_empty() {
        return Err("a former member wrote without a transaction".to_owned());
    }
    for (output, (wanted, got)) in case.shape.outputs.iter().zip(wanted.outputs.iter().zip(&got.outputs)) {
        oracle::compare(output.topic, (output.level)(case.mode), wanted, got)?;
        if !case.mode.coalesce {
            oracle::counts(output, got)?;
        }
    }
    oracle::same_complaints(&wanted.complaints, &got.complaints)?;
    oracle::stores(&world)?;
    Ok(report)
}

/// One process, one worker, no trouble, every update told.
fn fault_free(case: &Case, deployment: &Deployment) -> Result<Outcome, String> {
    let terms = Terms {
        mutation: Mutation::None,
        coalesce: false,
        exactly_once: true,
        disks: None,
        standbys: false,
        queue_limits: QueueLimits::default(),
        verbose: false,
    };
    let told = |error: eddyline::error::Error| error.to_string();
    let mut world = World::new(case, deployment, terms).map_err(told)?;
    for wave in &case.waves {
        world.open(*wave);
        if case.shape.upfront == Upfront::Never {
            world.chaos(0).map_err(told)?;
        }
        world.calm()?;
        if case.shape.idle {
            world.idle(false)?;
        }
    }
    oracle::stores(&world)?;
    observe(&world, case)
}
