//! What the tables of a connection share: threads for CPU work beside the async runtime, memory, open files.

mod budget;

pub use budget::{Budget, Held};

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use infino_format::SuperfileId;
use infino_storage::Store;
use infino_superfile::Superfile;
use tokio::sync::{OnceCell, oneshot};

use crate::TableError;

/// Bytes of open superfiles (footers, index tops) kept in memory, where the budget is not small.
const OPEN_FILES_BYTES: usize = 256 << 20;

/// The CPU pool of a connection, its memory, its open files, and what is known of the stores behind it; tables share it.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// `None` if work runs on the thread that asks for it.
    pool: Option<Arc<rayon::ThreadPool>>,
    budget: Budget,
    /// Open superfiles of all tables. What they may take is held for as long as the runtime lives.
    files: moka::future::Cache<SuperfileId, Arc<Superfile>>,
    files_held: Arc<Held>,
    /// By identity, the stores that were asked whether they are fit for commits.
    probed: Arc<Mutex<HashMap<String, Arc<OnceCell<()>>>>>,
}

impl Runtime {
    /// A pool of `threads`, as many as the machine has cores if 0, and a budget for this machine.
    ///
    /// # Errors
    /// [`TableError::Local`] if the threads cannot be started.
    pub fn new(threads: usize) -> Result<Self, TableError> {
        Self::with_budget(threads, Budget::of_machine())
    }

    /// [`Runtime::new`], with a budget of your own; it may be shared with others.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn with_budget(threads: usize, budget: Budget) -> Result<Self, TableError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("infino-cpu-{i}"))
            .build()
            .map_err(|error| TableError::Local {
                what: "starting the CPU pool",
                source: std::io::Error::other(error),
            })?;
        Ok(Self::over(Some(Arc::new(pool)), budget))
    }

    /// No pool: work runs on the thread that asks for it, and so in the same order every time.
    pub fn inline() -> Self {
        Self::over(None, Budget::of_machine())
    }

    fn over(pool: Option<Arc<rayon::ThreadPool>>, budget: Budget) -> Self {
        let files_bytes = OPEN_FILES_BYTES.min(budget.limit() / 8);
        let files = moka::future::Cache::builder()
            .max_capacity(files_bytes as u64)
            .weigher(|_, file: &Arc<Superfile>| {
                u32::try_from(file.memory_bytes()).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            pool,
            files_held: Arc::new(budget.hold(files_bytes)),
            budget,
            files,
            probed: Arc::default(),
        }
    }

    /// The memory that all work of the tables shares.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes that open files may take.
    pub(crate) fn files_bytes(&self) -> u64 {
        self.files_held.bytes() as u64
    }

    pub(crate) fn files(&self) -> &moka::future::Cache<SuperfileId, Arc<Superfile>> {
        &self.files
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
