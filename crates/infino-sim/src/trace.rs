//! What happened, event by event, as one hash: equal runs have equal traces.

use std::fmt::Arguments;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// The events so far.
#[derive(Debug)]
pub struct Trace {
    began: Instant,
    shown: bool,
    hasher: Mutex<(blake3::Hasher, u64)>,
}

impl Trace {
    /// Nothing has happened. `shown` events are printed too.
    pub fn new(shown: bool) -> Self {
        Self { began: Instant::now(), shown, hasher: Mutex::default() }
    }

    /// Adds an event, dated by the virtual clock.
    #[allow(clippy::print_stdout, reason = "what --show is for")]
    pub fn event(&self, what: Arguments<'_>) {
        let at = self.began.elapsed().as_micros();
        let line = format!("{at} {what}\n");
        if self.shown {
            print!("{line}");
        }
        let mut held = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        held.0.update(line.as_bytes());
        held.1 += 1;
    }

    /// The hash of all events, and how many there were.
    pub fn finish(&self) -> (blake3::Hash, u64) {
        let held = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        (held.0.finalize(), held.1)
    }
}
