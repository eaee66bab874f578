//! Maintenance now and then, beside everything else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{CompactOptions, MaintainOptions, OptimizeReport};
use crate::Table;

/// When and how a table is maintained in the background.
#[derive(Debug, Clone, PartialEq)]
pub struct BackgroundOptions {
    /// The time between the end of a run and the next.
    pub interval: Duration,
    /// What a run does.
    pub maintain: MaintainOptions,
}

impl Default for BackgroundOptions {
    /// Every minute; merges eight files of like size at a time, and a few groups a run.
    fn default() -> Self {
        let compact =
            CompactOptions { tier_files_min: 8, groups_max: 8, ..CompactOptions::default() };
        Self {
            interval: Duration::from_secs(60),
            maintain: MaintainOptions { compact, ..MaintainOptions::default() },
        }
    }
}

/// What became of the runs so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackgroundStatus {
    /// Runs that ended well.
    pub runs: u64,
    /// Runs that failed; the next one tries again.
    pub failures: u64,
    /// What the last good run did.
    pub last: Option<OptimizeReport>,
    /// Why the last run failed, if it did.
    pub last_error: Option<String>,
}

/// A task that maintains a table; it stops when this is dropped, between two requests and never within a commit.
#[derive(Debug)]
pub struct Maintenance {
    task: JoinHandle<()>,
    status: Arc<Mutex<BackgroundStatus>>,
}

impl Table {
    /// Maintains the table in the background until the handle is dropped. Any number of processes may do so; each merge
    /// gives way to a writer who touched the same files.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn maintain_in_background(&self, options: BackgroundOptions) -> Maintenance {
        let status = Arc::new(Mutex::new(BackgroundStatus::default()));
        let (table, shared) = (self.clone(), status.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(options.interval).await;
                let outcome = table.maintain(&options.maintain).await;
                let mut status = shared.lock().expect("no panic while held");
                match outcome {
                    Ok(report) => {
                        status.runs += 1;
                        status.last = Some(report);
                        status.last_error = None;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "background maintenance failed");
                        status.failures += 1;
                        status.last_error = Some(error.to_string());
                    }
                }
            }
        });
        Maintenance { task, status }
    }
}

impl Maintenance {
    /// What became of the runs so far.
    pub fn status(&self) -> BackgroundStatus {
        self.status.lock().expect("no panic while held").clone()
    }

    /// Stops it and waits until it has.
    pub async fn stop(mut self) {
        self.task.abort();
        // Cancelled is what it is meant to be.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.task.abort();
    }
}
