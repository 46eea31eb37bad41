//! [`Muster`]: queries that are deployed together begin together, so that they read their topics together.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::broker::{Broker, Expectation};

/// How often a worker that waits looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Holds workers back until all that are to begin together are there.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets them begin.
    pub fn open(&self) {
        let (is_open, opened) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }

    fn wait(&self, stopping: &dyn Fn() -> bool) {
        let (is_open, opened) = &*self.0;
        let mut guard = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard && !stopping() {
            guard = opened.wait_timeout(guard, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The beginning of one query.
#[derive(Default)]
pub struct Muster {
    gate: Option<Gate>,
    expected: Mutex<Option<Expectation>>,
}

impl Muster {
    /// Of a query that will read these topics, as soon as the gate opens.
    pub fn new(broker: &dyn Broker, topics: &[String], gate: Option<Gate>) -> Self {
        Self { gate, expected: Mutex::new(broker.expect(topics)) }
    }

    /// Until the query may begin.
    pub fn wait(&self, stopping: &dyn Fn() -> bool) {
        if let Some(gate) = &self.gate {
            gate.wait(stopping);
        }
    }

    /// The query reads: nobody has to wait for it any longer.
    pub fn reads(&self) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::broker::memory::MemoryBroker;

    #[test]
    fn workers_wait_for_the_gate_or_their_end() {
        let gate = Gate::default();
        let muster = Arc::new(Muster::new(&MemoryBroker::new(), &[], Some(gate.clone())));
        muster.wait(&|| true);
        let (began, begins) = channel();
        let worker = std::thread::spawn({
            let muster = muster.clone();
            move || {
                muster.wait(&|| false);
                began.send(()).expect("somebody listens");
            }
        });
        assert!(begins.try_recv().is_err(), "the gate is closed");
        gate.open();
        begins.recv().expect("it began");
        worker.join().expect("no panic");
        muster.wait(&|| false);
    }
}
