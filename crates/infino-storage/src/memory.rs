//! A store in this process's memory, as exact as any: for tests, and for tables that need not outlive the process.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ObjectInfo, StorageError, Store, Swap, Tag, error, path, source};

/// Objects in memory.
///
/// Tags count writes over the whole process, so one never returns, not even for equal bytes or after a deletion.
#[derive(Debug)]
pub struct MemoryStore {
    uri: String,
    identity: String,
    objects: Mutex<BTreeMap<String, Object>>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    tag: Tag,
    modified_ms: u64,
}

impl Object {
    fn new(bytes: Bytes) -> Self {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let tag = Tag(format!("m{}", WRITES.fetch_add(1, Ordering::Relaxed)));
        Self { bytes, tag, modified_ms: now_ms() }
    }
}

/// Milliseconds since the Unix epoch by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store that nobody else can reach.
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let identity = format!("memory://#{}", MADE.fetch_add(1, Ordering::Relaxed));
        Self { uri: "memory://".to_owned(), identity, objects: Mutex::default() }
    }

    /// The store that this process knows under `name`, empty when first asked for. It lives as long as the process.
    pub fn named(name: &str) -> Arc<Self> {
        static NAMED: LazyLock<Mutex<HashMap<String, Arc<MemoryStore>>>> =
            LazyLock::new(Mutex::default);
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let store = named.entry(name.to_owned()).or_insert_with(|| {
            let uri = format!("memory://{name}");
            Arc::new(Self { identity: uri.clone(), uri, objects: Mutex::default() })
        });
        Arc::clone(store)
    }

    // No code panics while it holds the lock, and each change is one insertion or removal: a poisoned map is whole.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, name: &str) -> Result<Object, StorageError> {
        path::check(name)?;
        self.objects()
            .get(name)
            .cloned()
            .ok_or_else(|| StorageError::NotFound { path: name.to_owned() })
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn identity(&self) -> String {
        self.identity.clone()
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
        ranges.iter().map(|range| source::slice(path, &object.bytes, range)).collect()
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        let object = self.object(path)?;
        Ok(info(path, &object))
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        path::check(path)?;
        self.objects().insert(path.to_owned(), Object::new(bytes));
        Ok(())
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        path::check(path)?;
        let bytes =
            tokio::fs::read(file).await.map_err(|e| error::of_local_file(file, "reading", &e))?;
        self.put(path, Bytes::from(bytes)).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        if let Err(error) = path::check(path) {
            return Swap::Unclear(error);
        }
        let mut objects = self.objects();
        if objects.get(path).map(|object| &object.tag) != expected {
            return Swap::Lost;
        }
        let object = Object::new(bytes);
        let tag = object.tag.clone();
        objects.insert(path.to_owned(), object);
        Swap::Done(tag)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = path::folder(prefix)?;
        let objects = self.objects();
        let inside = objects.range(folder.to_owned()..);
        Ok(inside
            .take_while(|(name, _)| name.starts_with(folder))
            .filter(|(name, _)| path::is_in(name, folder))
            .map(|(name, object)| info(name, object))
            .collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        path::check(path)?;
        self.objects().remove(path);
        Ok(())
    }
}

fn info(path: &str, object: &Object) -> ObjectInfo {
    ObjectInfo {
        path: path.to_owned(),
        len: object.bytes.len() as u64,
        modified_ms: object.modified_ms,
    }
}
