//! A store in memory whose clock is the test's: time that passes only when everybody sleeps.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use infino_storage::{MemoryStore, ObjectInfo, StorageError, Store, Swap, Tag};
use tokio::time::Instant;

#[derive(Debug)]
pub struct ClockStore {
    inner: MemoryStore,
    began: Instant,
    modified: Mutex<HashMap<String, u64>>,
}

impl ClockStore {
    pub fn new() -> Self {
        Self { inner: MemoryStore::new(), began: Instant::now(), modified: Mutex::default() }
    }

    /// The store's clock.
    pub fn now_ms(&self) -> u64 {
        1_000_000 + self.began.elapsed().as_millis() as u64
    }

    fn touch(&self, path: &str) {
        self.modified.lock().unwrap().insert(path.to_owned(), self.now_ms());
    }

    fn dated(&self, info: ObjectInfo) -> ObjectInfo {
        let modified_ms = self.modified.lock().unwrap()[&info.path];
        ObjectInfo { modified_ms, ..info }
    }
}

#[async_trait]
impl Store for ClockStore {
    fn uri(&self) -> &str {
        self.inner.uri()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        self.inner.get(path).await
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        self.inner.get_if_changed(path, known).await
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.inner.get_ranges(path, ranges).await
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        Ok(self.dated(self.inner.head(path).await?))
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.touch(path);
        self.inner.put(path, bytes).await
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        self.touch(path);
        self.inner.put_file(path, file).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        self.touch(path);
        self.inner.swap(path, expected, bytes).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let infos = self.inner.list(prefix).await?;
        Ok(infos.into_iter().map(|info| self.dated(info)).collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}
