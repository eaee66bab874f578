//! What a connection has asked of its store.

use infino_storage::CacheStats;
use infino_storage::fault::{Count, Counters};

/// What a connection has asked of its store since it was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metrics {
    /// Requests, bytes and failures by operation. A request that the store answered after a retry counts once.
    pub store: Counters,
    /// What the cache before the store answered; `None` without one.
    pub cache: Option<CacheStats>,
}

impl Metrics {
    /// Requests of every kind.
    pub fn requests(&self) -> u64 {
        self.total().calls
    }

    /// Bytes that came from the store.
    pub fn bytes_read(&self) -> u64 {
        self.total().bytes_read
    }

    /// Bytes that went to it.
    pub fn bytes_written(&self) -> u64 {
        self.total().bytes_written
    }

    /// Requests that failed; swaps that another writer won are among them.
    pub fn failed(&self) -> u64 {
        self.total().failed
    }

    fn total(&self) -> Count {
        self.store.total()
    }
}
