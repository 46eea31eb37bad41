//! What integration tests share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the Kafka for tests listens. Without one the test fails: nothing is skipped silently.
pub fn kafka_bootstrap() -> String {
    std::env::var("EDDYLINE_TEST_BOOTSTRAP").unwrap_or_else(|_| {
        panic!("this test needs a Kafka: run `scripts/test`, or `export $(scripts/kafka up)` before `cargo test`")
    })
}

/// A name that no other test and no earlier run uses.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() % 100_000_000;
    format!("{name}-{}-{run}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
