//! The storage that all processes of a simulation share: exact, immediate, dated by the virtual clock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use infino_storage::{ObjectInfo, StorageError, Store, Swap, Tag};
use tokio::time::Instant;

/// The virtual clock begins here, in milliseconds since the Unix epoch.
pub const BEGAN_MS: u64 = 1_750_000_000_000;

/// Objects as a store without faults and without delay has them.
#[derive(Debug)]
pub struct Disk {
    began: Instant,
    objects: Mutex<Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    by_path: BTreeMap<String, Object>,
    writes: u64,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    tag: Tag,
    modified_ms: u64,
    /// Which write of all made it; the newest objects are those that a stale list misses.
    write: u64,
}

impl Objects {
    fn insert(&mut self, path: &str, bytes: Bytes, modified_ms: u64) -> Tag {
        self.writes += 1;
        let (write, tag) = (self.writes, Tag(format!("w{}", self.writes)));
        let object = Object { bytes, tag: tag.clone(), modified_ms, write };
        self.by_path.insert(path.to_owned(), object);
        tag
    }
}

impl Disk {
    /// Empty; the clock begins now.
    pub fn new() -> Self {
        Self { began: Instant::now(), objects: Mutex::default() }
    }

    /// The store's clock.
    pub fn now_ms(&self) -> u64 {
        BEGAN_MS + self.began.elapsed().as_millis() as u64
    }

    /// Whether the object is there.
    pub fn holds(&self, path: &str) -> bool {
        self.objects().by_path.contains_key(path)
    }

    /// A list that misses the `missed` newest objects of the store.
    pub fn stale(&self, infos: Vec<ObjectInfo>, missed: u64) -> Vec<ObjectInfo> {
        let objects = self.objects();
        let newest = objects.writes.saturating_sub(missed);
        let old = |info: &ObjectInfo| {
            objects.by_path.get(&info.path).is_none_or(|object| object.write <= newest)
        };
        infos.into_iter().filter(old).collect()
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, path: &str) -> Result<Object, StorageError> {
        let found = self.objects().by_path.get(path).cloned();
        found.ok_or_else(|| StorageError::NotFound { path: path.to_owned() })
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for Disk {
    fn uri(&self) -> &str {
        "memory://simulated"
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let object = self.object(path)?;
        Ok((object.bytes, object.tag))
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let object = self.object(path)?;
        Ok((object.tag != *known).then_some((object.bytes, object.tag)))
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let object = self.object(path)?;
        let slice = |range: &Range<u64>| match range.end <= object.bytes.len() as u64 {
            true => Ok(object.bytes.slice(range.start as usize..range.end as usize)),
            false => Err(StorageError::Range {
                path: path.to_owned(),
                start: range.start,
                end: range.end,
                got: format!("an object of {} bytes", object.bytes.len()),
            }),
        };
        ranges.iter().map(slice).collect()
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        let object = self.object(path)?;
        Ok(info(path, &object))
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let now_ms = self.now_ms();
        self.objects().insert(path, bytes, now_ms);
        Ok(())
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        // Read here and now: a task on another thread would come back at a time of its own.
        let bytes = std::fs::read(file).expect("a file that was just written");
        self.put(path, bytes.into()).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let now_ms = self.now_ms();
        let mut objects = self.objects();
        if objects.by_path.get(path).map(|object| &object.tag) != expected {
            return Swap::Lost;
        }
        Swap::Done(objects.insert(path, bytes, now_ms))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = format!("{}/", prefix.trim_end_matches('/'));
        let objects = self.objects();
        let inside = objects.by_path.range(folder.clone()..);
        let inside = inside.take_while(|(path, _)| path.starts_with(&folder));
        Ok(inside.map(|(path, object)| info(path, object)).collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.objects().by_path.remove(path);
        Ok(())
    }
}

fn info(path: &str, object: &Object) -> ObjectInfo {
    let len = object.bytes.len() as u64;
    ObjectInfo { path: path.to_owned(), len, modified_ms: object.modified_ms }
}
