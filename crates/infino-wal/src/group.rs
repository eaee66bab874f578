//! Many small commits of one process, one swap.
//!
//! A commit joins the queue and the task that holds the log's lock takes all that wait, so while one swap is on its way
//! the next group forms. Each change becomes a record, and a version, of its own.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::change::Change;
use crate::error::WalError;
use crate::log::{Committed, Inner};

/// At most this many changes share a swap.
const GROUP_MAX: usize = 64;

/// A change that waits for its swap.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Result<Committed, WalError>>,
}

/// The changes that wait.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: Mutex<Vec<Job>>,
}

impl Queue {
    fn push(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }

    fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let len = jobs.len().min(GROUP_MAX);
        jobs.drain(..len).collect()
    }
}

/// Commits `change` in a group; the commit goes on if the caller stops waiting.
pub(crate) async fn join(inner: &Arc<Inner>, change: Change) -> Result<Committed, WalError> {
    let commit = change.commit;
    let (reply, outcome) = oneshot::channel();
    inner.queue.push(Job { change, reply });
    let driver = Arc::clone(inner);
    tokio::spawn(async move {
        let mut state = driver.state.lock().await;
        let jobs = driver.queue.take();
        if !jobs.is_empty() {
            driver.commit_group(&mut state, jobs).await;
        }
    });
    // The driver is gone only if its runtime went down under it, at any point of the swap.
    outcome.await.unwrap_or(Err(WalError::Unknown(commit)))
}
