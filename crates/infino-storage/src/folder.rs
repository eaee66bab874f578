//! A folder of a store, seen as a store of its own.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ObjectInfo, StorageError, Store, Swap, Tag, path};

/// The objects of one folder of another store, named relative to it. Errors name them as the whole store does.
#[derive(Debug)]
pub struct FolderStore {
    whole: Arc<dyn Store>,
    folder: String,
    uri: String,
}

impl FolderStore {
    /// The folder `name` of `whole`; it need not exist.
    ///
    /// # Errors
    /// `Invalid` if it cannot be a name.
    pub fn new(whole: Arc<dyn Store>, name: &str) -> Result<Self, StorageError> {
        let name = name.trim_matches('/');
        path::check(name)?;
        let uri = format!("{}/{name}", whole.uri().trim_end_matches('/'));
        Ok(Self { whole, folder: format!("{name}/"), uri })
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    fn relative(&self, info: ObjectInfo) -> Option<ObjectInfo> {
        let path = info.path.strip_prefix(&self.folder)?.to_owned();
        Some(ObjectInfo { path, ..info })
    }
}

#[async_trait]
impl Store for FolderStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn identity(&self) -> String {
        format!("{}/{}", self.whole.identity(), self.folder)
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        path::check(path)?;
        self.whole.get(&self.full(path)).await
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        path::check(path)?;
        self.whole.get_if_changed(&self.full(path), known).await
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        path::check(path)?;
        self.whole.get_ranges(&self.full(path), ranges).await
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        path::check(path)?;
        self.whole.get_clipped(&self.full(path), ranges).await
    }

    async fn forget(&self, path: &str) {
        self.whole.forget(&self.full(path)).await;
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        path::check(path)?;
        let info = self.whole.head(&self.full(path)).await?;
        Ok(ObjectInfo { path: path.to_owned(), ..info })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        path::check(path)?;
        self.whole.put(&self.full(path), bytes).await
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        path::check(path)?;
        self.whole.put_file(&self.full(path), file).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        match path::check(path) {
            Ok(()) => self.whole.swap(&self.full(path), expected, bytes).await,
            Err(error) => Swap::Unclear(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let infos = self.whole.list(&self.full(path::folder(prefix)?)).await?;
        Ok(infos.into_iter().filter_map(|info| self.relative(info)).collect())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        path::check(path)?;
        self.whole.delete(&self.full(path)).await
    }
}
