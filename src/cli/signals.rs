//! Ctrl-C and SIGTERM as flags that loops look at.
//!
//! **Invariant:** while nothing that could look at the flag runs ([`Signals::waiting`]), Ctrl-C ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Result;

/// What a process that was interrupted exits with.
const INTERRUPTED: i32 = 130;

/// The flags.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    waiting: Arc<AtomicBool>,
}

impl Signals {
    /// Ctrl-C sets the flag.
    pub fn of_keyboard() -> Result<Self> {
        let signals = Self::default();
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED, Arc::clone(&signals.waiting))?;
        flag::register(SIGINT, Arc::clone(&signals.interrupted))?;
        Ok(signals)
    }

    /// Ctrl-C and SIGTERM set the flag; a second one ends the process at once.
    pub fn of_service() -> Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal only sets the flag that makes the second one final.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&signals.interrupted))?;
            flag::register(signal, Arc::clone(&signals.interrupted))?;
        }
        Ok(signals)
    }

    /// Whether a signal came since [`Self::clear`].
    pub fn is_set(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// As if Ctrl-C had been pressed.
    pub fn raise(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// Forgets earlier signals.
    pub fn clear(&self) {
        self.interrupted.store(false, Ordering::SeqCst);
    }

    /// Runs `wait`, a call that blocks and cannot look at the flag.
    pub fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.waiting.store(true, Ordering::SeqCst);
        let result = wait();
        self.waiting.store(false, Ordering::SeqCst);
        result
    }
}
