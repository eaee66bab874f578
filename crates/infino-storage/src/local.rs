//! A store in a directory of this machine.
//!
//! An object is a file. Every write goes to a temporary file first, is flushed to the disk, and takes its name by a rename,
//! whose directory is flushed too: a reader sees the old bytes or the new ones, and what was acknowledged survives a power
//! loss. A compare-and-swap holds an advisory lock on a file beside the object, so it is exact among all processes that go
//! through this module. Network file systems keep that promise only as far as their locks do; [`crate::probe()`] asks.
//!
//! File names that begin with a dot are this module's own (temporary files, locks) or nobody's: they are no objects.

mod disk;
mod lock;
mod names;

use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use self::disk::Disk;
use crate::options::Limits;
use crate::{ObjectInfo, StorageError, Store, StoreOptions, Swap, Tag, error};

/// Objects as files below one directory. A tag is the BLAKE3 hash of the bytes.
#[derive(Debug)]
pub struct LocalStore {
    uri: String,
    disk: Disk,
}

impl LocalStore {
    /// The store in `directory`, which the first write creates if it is not there. Of `options` only the general ones apply.
    ///
    /// # Errors
    /// `Invalid` if it is not a directory or an option is unknown; `Denied` if it cannot be read. That it cannot be
    /// written shows when something is written: reading needs no more than a read-only directory.
    pub fn open(directory: &Path, options: &StoreOptions) -> Result<Self, StorageError> {
        options.expect_none_for_backend("local")?;
        let limits = Limits::of(options)?;
        let root = names::open_root(directory)?;
        let uri = format!("file://{}", root.display());
        Ok(Self { uri, disk: Disk::new(root, limits.fsync, limits.swap_timeout) })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.disk.root()
    }

    /// The file that holds an object, for readers that map or open it themselves; it may not be there.
    ///
    /// # Errors
    /// `Invalid` if `path` cannot be an object's name.
    pub fn file(&self, path: &str) -> Result<PathBuf, StorageError> {
        self.disk.file(path)
    }

    /// Runs `work` where blocking is allowed. It runs to its end even if the caller stops waiting.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        operation: &'static str,
        work: impl FnOnce(&Disk, &str) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (disk, name) = (self.disk.clone(), path.to_owned());
        let outcome = tokio::task::spawn_blocking(move || work(&disk, &name)).await;
        outcome.unwrap_or_else(|error| {
            Err(StorageError::Unavailable {
                path: path.to_owned(),
                operation,
                problem: format!("the task that did it ended early: {error}"),
            })
        })
    }
}

#[async_trait]
impl Store for LocalStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        self.blocking(path, "reading", Disk::get).await
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let (bytes, tag) = self.get(path).await?;
        Ok((tag != *known).then_some((bytes, tag)))
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let ranges = ranges.to_vec();
        self.blocking(path, "reading", move |disk, name| disk.get_ranges(name, &ranges)).await
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        self.blocking(path, "looking up", Disk::head).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.blocking(path, "writing", move |disk, name| disk.put(name, &mut &bytes[..])).await
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let source = file.to_owned();
        self.blocking(path, "writing", move |disk, name| {
            let mut file = std::fs::File::open(&source)
                .map_err(|e| error::of_local_file(&source, "reading", &e))?;
            disk.put(name, &mut file)
        })
        .await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let expected = expected.cloned();
        let done = self.blocking(path, "swapping", move |disk, name| {
            disk.swap(name, expected.as_ref(), &bytes)
        });
        match done.await {
            Ok(Some(tag)) => Swap::Done(tag),
            Ok(None) => Swap::Lost,
            Err(error) => Swap::Unclear(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.blocking(prefix, "listing", Disk::list).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.blocking(path, "deleting", Disk::delete).await
    }
}

#[cfg(test)]
mod tests;
