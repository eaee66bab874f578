//! Where CPU work runs: a rayon pool beside the async runtime, so that neither waits for the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use infino_storage::Store;
use tokio::sync::{OnceCell, oneshot};

use crate::TableError;

/// The CPU pool of a connection, and what is known of the stores behind it; tables share it.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// `None` if work runs on the thread that asks for it.
    pool: Option<Arc<rayon::ThreadPool>>,
    /// By identity, the stores that were asked whether they are fit for commits.
    probed: Arc<Mutex<HashMap<String, Arc<OnceCell<()>>>>>,
}

impl Runtime {
    /// A pool of `threads`; as many as the machine has cores if 0.
    ///
    /// # Errors
    /// [`TableError::Local`] if the threads cannot be started.
    pub fn new(threads: usize) -> Result<Self, TableError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("infino-cpu-{i}"))
            .build()
            .map_err(|error| TableError::Local {
                what: "starting the CPU pool",
                source: std::io::Error::other(error),
            })?;
        Ok(Self { pool: Some(Arc::new(pool)), probed: Arc::default() })
    }

    /// No pool: work runs on the thread that asks for it, and so in the same order every time.
    pub fn inline() -> Self {
        Self { pool: None, probed: Arc::default() }
    }

    /// Asks `store` whether it keeps the promises that commits rest on, unless it has said so before.
    ///
    /// # Errors
    /// `Storage` if it does not, or could not be asked; then it is asked again the next time.
    pub async fn probe(&self, store: &dyn Store) -> Result<(), TableError> {
        let asked = {
            let mut probed = self.probed.lock().expect("no panic while held");
            probed.entry(store.identity()).or_default().clone()
        };
        asked.get_or_try_init(|| infino_storage::probe(store)).await?;
        Ok(())
    }

    /// Threads that work runs on.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Runs `work` on the pool; a panic in it goes on in the caller.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let Some(pool) = &self.pool else { return work() };
        let (send, receive) = oneshot::channel();
        pool.spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // The caller may have been cancelled; then nobody wants the answer.
            let _ = send.send(result);
        });
        match receive.await.expect("the pool runs what it accepts") {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
