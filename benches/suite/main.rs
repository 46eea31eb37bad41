//! The bench on a real Kafka; `scripts/bench` brings one up and calls this. `docs/performance.md` tells what it means.
//!
//! `suite BOOTSTRAP MODE [OPTION…]`, with the program to measure in the environment variable `EDDYLINE`:
//!
//! - `table [QUERY…] [--records N] [--runs R] [--guarantee G]… [--workers N] [--set KEY=VALUE]… [--peers DIR]
//!   [--engine NAME]…`: events a CPU-second, peak memory, rows out, right or wrong; peers beside it.
//! - `growth [PART…] [--records N]`: what workers, processes, keys, queries, windows, sizes and formats cost.
//! - `latency [--seconds S] [--rate N]… [--commit MS]… [--guarantee G]…`: from producer to `read_committed` consumer.
//! - `start`: time to the first row; what 20 queries without work cost.

mod answer;
mod data;
mod engine;
mod growth;
mod latency;
mod options;
mod process;
mod registry;
mod start;
mod table;

use options::Options;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [bootstrap, mode, rest @ ..] = args.as_slice() else {
        // `cargo bench` without arguments runs every bench; this one needs Kafka.
        eprintln!("suite: run scripts/bench, which brings up what this needs");
        return;
    };
    let options = Options::read(rest);
    let world = engine::World::new(bootstrap);
    let all_right = match mode.as_str() {
        "table" => table::run(&world, &options.table()),
        "growth" => growth::run(&world, &options),
        "latency" => latency::run(&world, &options),
        "start" => start::run(&world),
        _ => {
            eprintln!("suite: {mode} is none of table, growth, latency, start");
            false
        }
    };
    if !all_right {
        std::process::exit(1);
    }
}
