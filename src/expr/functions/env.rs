//! [`FunctionEnv`]: the clock and the randomness that functions may use, handed in by whoever compiles expressions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::time::{Clock, SystemClock};

/// What functions know about the world.
#[derive(Clone, Debug)]
pub struct FunctionEnv {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
    settings: Arc<BTreeMap<String, String>>,
}

impl FunctionEnv {
    /// A world with this clock, its randomness following from `seed`.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let random = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        Self { clock, random, settings: Arc::default() }
    }

    /// The machine's clock and randomness.
    pub fn system() -> Self {
        Self::new(SystemClock::shared(), rand::random())
    }

    /// The same with settings such as `ksql.functions.collect_list.limit`.
    pub fn with_settings(mut self, settings: BTreeMap<String, String>) -> Self {
        self.settings = Arc::new(settings);
        self
    }

    /// The setting of that name.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// 64 random bits.
    pub fn next_bits(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }
}
