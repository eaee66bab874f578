//! A store that counts what passes through it.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::fault::{Count, Counters, Operation};
use crate::{ObjectInfo, StorageError, Store, Swap, Tag};

/// A store around another one that counts its operations; what a cache before it answers is not among them.
#[derive(Debug)]
pub struct MeteredStore {
    inner: Arc<dyn Store>,
    counters: Mutex<Counters>,
}

impl MeteredStore {
    /// A store that does as `inner` does.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, counters: Mutex::default() }
    }

    /// The counts since it was made. Retries inside of an operation are not told apart from it.
    pub fn counters(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: Operation, change: impl FnOnce(&mut Count)) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        change(counters.of_mut(operation));
    }

    /// Counts a call that ended: `moved` says what it carried.
    fn ended<T>(
        &self,
        operation: Operation,
        outcome: &Result<T, StorageError>,
        moved: impl FnOnce(&T, &mut Count),
    ) {
        self.count(operation, |count| {
            count.calls += 1;
            match outcome {
                Ok(value) => moved(value, count),
                // That an object is not there is an answer.
                Err(StorageError::NotFound { .. }) => {}
                Err(_) => count.failed += 1,
            }
        });
    }
}

fn bytes_of(parts: &[Bytes]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

#[async_trait]
impl Store for MeteredStore {
    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let outcome = self.inner.get(path).await;
        self.ended(Operation::Get, &outcome, |(bytes, _), count| {
            count.bytes_read += bytes.len() as u64;
        });
        outcome
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let outcome = self.inner.get_if_changed(path, known).await;
        self.ended(Operation::GetIfChanged, &outcome, |changed, count| {
            count.bytes_read += changed.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
        });
        outcome
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let outcome = self.inner.get_ranges(path, ranges).await;
        self.ended(Operation::GetRanges, &outcome, |parts, count| {
            count.ranges += ranges.len() as u64;
            count.bytes_read += bytes_of(parts);
        });
        outcome
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let outcome = self.inner.get_clipped(path, ranges).await;
        self.ended(Operation::GetRanges, &outcome, |parts, count| {
            count.ranges += ranges.len() as u64;
            count.bytes_read += bytes_of(parts);
        });
        outcome
    }

    async fn forget(&self, path: &str) {
        self.inner.forget(path).await;
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        let outcome = self.inner.head(path).await;
        self.ended(Operation::Head, &outcome, |_, _| {});
        outcome
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let len = bytes.len() as u64;
        let outcome = self.inner.put(path, bytes).await;
        self.ended(Operation::Put, &outcome, |(), count| count.bytes_written += len);
        outcome
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let len = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let outcome = self.inner.put_file(path, file).await;
        self.ended(Operation::PutFile, &outcome, |(), count| count.bytes_written += len);
        outcome
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let len = bytes.len() as u64;
        let swap = self.inner.swap(path, expected, bytes).await;
        self.count(Operation::Swap, |count| {
            count.calls += 1;
            match swap {
                Swap::Done(_) => count.bytes_written += len,
                Swap::Lost | Swap::Unclear(_) => count.failed += 1,
            }
        });
        swap
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let outcome = self.inner.list(prefix).await;
        self.ended(Operation::List, &outcome, |_, _| {});
        outcome
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let outcome = self.inner.delete(path).await;
        self.ended(Operation::Delete, &outcome, |(), _| {});
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[tokio::test]
    async fn calls_and_bytes_are_counted_and_absence_is_no_failure() {
        let store = MeteredStore::new(Arc::new(MemoryStore::new()));
        store.put("a", "four".into()).await.unwrap();
        assert_eq!(store.get_ranges("a", &[0..1, 2..4]).await.unwrap(), ["f", "ur"]);
        assert!(store.get("b").await.is_err());
        assert!(matches!(store.swap("h", None, "12".into()).await, Swap::Done(_)));
        assert!(matches!(store.swap("h", None, "12".into()).await, Swap::Lost));
        let counters = store.counters();
        let want = Count { calls: 1, ranges: 2, bytes_read: 3, ..Count::default() };
        assert_eq!(counters.of(Operation::GetRanges), want);
        assert_eq!(counters.of(Operation::Get), Count { calls: 1, ..Count::default() });
        let want = Count { calls: 2, bytes_written: 2, failed: 1, ..Count::default() };
        assert_eq!(counters.of(Operation::Swap), want);
        assert_eq!(counters.total().bytes_written, 6);
    }
}
