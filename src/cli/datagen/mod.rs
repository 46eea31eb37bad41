//! `eddyline datagen`, and what feeds the demo: a shop's orders, payments, checkouts and users.
//!
//! [`shop`] makes records out of dice, [`produce`] writes them at a rate.
//!
//! **Invariant:** the records depend on seed, kind and event times alone, never on the clock or the broker.

pub mod produce;
pub mod shop;

#[cfg(test)]
mod tests;

use std::path::Path;

use clap::ValueEnum;

use super::args::DatagenArgs;
use super::config::Settings;
use super::failure::Failure;
use super::open;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::error::Error;
use crate::time::SystemClock;

pub use produce::{Pace, Topics};
pub use shop::{Generated, Shop};

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `orders`: order_id, user_id, product_id, amount, quantity, status, timestamp (epoch ms)
    Orders,
    /// `payments`: payment_id, order_id, user_id, amount, status, method, timestamp (epoch ms)
    Payments,
    /// `checkout` and the `payment` messages that belong to them, timestamps as ISO-8601 texts
    #[value(alias = "checkout")]
    Checkouts,
    /// `users`: user_id, name, country, tier
    Users,
    /// Every topic
    All,
}

impl Kind {
    /// The topics that records of this kind go to.
    pub fn topics(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &["orders"],
            Self::Payments => &["payments"],
            Self::Checkouts => &["checkout", "payment"],
            Self::Users => &["users"],
            Self::All => &["users", "orders", "payments", "checkout", "payment"],
        }
    }
}

/// Runs `eddyline datagen`.
pub fn run(
    settings: &Settings,
    args: &DatagenArgs,
    terminal: &mut Terminal,
    home: Option<&Path>,
) -> Result<(), Failure> {
    if args.topic.is_some() && args.kind.topics().len() > 1 {
        let error =
            Error::semantic(format!("--topic fits one topic, and this kind fills {}", args.kind.topics().len()));
        return Err(Failure::usage(error.hint("Choose orders, payments or users, or leave --topic out.")));
    }
    let signals = Signals::of_service()?;
    let clock = SystemClock::shared();
    let mut shop = Shop::new(args.seed, args.kind);
    let pace = Pace {
        rate: args.rate,
        speed: args.speed,
        start_ms: args.start.unwrap_or_else(|| clock.now_ms()),
        count: args.count,
    };
    if args.print {
        for i in 0..args.count.unwrap_or(10) {
            let record = shop.next(pace.event_time(i));
            let topic = args.topic.as_deref().unwrap_or(record.topic);
            terminal.line(&format!("{topic}\t{}\t{}", record.key, record.value))?;
            if signals.is_set() {
                break;
            }
        }
        return Ok(());
    }
    let broker = open::broker(settings, home)?;
    let topics = Topics::prepare(broker.as_ref(), args.kind, args.topic.as_deref(), args.partitions)?;
    let names: Vec<_> = topics.names().collect();
    terminal.note(&format!("writing to {} on {}; Ctrl-C ends", names.join(", "), broker.name()))?;
    let mut producer = topics.producer(broker.as_ref())?;
    let started = clock.monotonic_us();
    let sent = produce::run(&mut shop, &topics, producer.as_mut(), &pace, clock.as_ref(), &mut |_| !signals.is_set())?;
    let seconds = ((clock.monotonic_us() - started) as f64 / 1e6).max(1e-6);
    terminal.note(&format!("{sent} records in {seconds:.1} s ({:.0} a second)", sent as f64 / seconds))?;
    Ok(())
}
