//! ^C: the first asks to stop, the second ends the process.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often a waiting task looks whether it was asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether somebody asked this process to stop, by ^C or by SIGTERM.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Takes over ^C: from here on the first one only sets a flag.
    pub(super) fn listen() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: one that comes when the flag is set ends the process.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&asked))?;
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self { asked })
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns when stopping is asked for.
    pub(super) async fn asked(&self) {
        while !self.is_asked() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
