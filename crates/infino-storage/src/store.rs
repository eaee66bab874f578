//! A place that keeps objects under names.

use std::fmt::Debug;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{StorageError, WarmObject, WarmUp};

/// Marks one content of an object: equal tags, equal bytes. An ETag, a generation, a hash: opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(pub String);

/// What a store tells about an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name, relative to the store's root.
    pub path: String,
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written, by the store's clock, in milliseconds since the Unix epoch.
    pub modified_ms: u64,
}

/// How a compare-and-swap ended.
#[derive(Debug, Clone)]
pub enum Swap {
    /// It is done: the object holds these bytes under this tag.
    Done(Tag),
    /// The store says that the object was not as expected. Over a network this is a question, not a proof: the loss may
    /// be to an earlier delivery of the same request.
    Lost,
    /// No clear answer: it may have happened, may happen yet, or never will.
    Unclear(StorageError),
}

/// A place that keeps objects under slash-separated names, relative to its root.
///
/// All objects but one a table are written once and never change, so [`Store::put`] may be retried freely; the one that
/// changes is only ever written by [`Store::swap`], which is never retried inside.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// How a person would name this store: its URI without secrets.
    fn uri(&self) -> &str;

    /// What tells this store from every other: handles with equal identities read the same objects. No secrets in it.
    fn identity(&self) -> String {
        self.uri().to_owned()
    }

    /// The whole object and its tag, read as one.
    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError>;

    /// The object if its tag is not `known`; `None` if it still is.
    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError>;

    /// The bytes of each range, in order and of exactly its length. One round trip: ranges are read in parallel, near ones
    /// together.
    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError>;

    /// As [`Store::get_ranges`], but a range may end behind the object, and is cut there. Each must begin inside it.
    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let len = self.head(path).await?.len;
        // One that begins behind the end stays as it is, and is refused.
        let clip = |range: &Range<u64>| match range.start < len {
            true => range.start..range.end.min(len),
            false => range.clone(),
        };
        let clipped: Vec<_> = ranges.iter().map(clip).collect();
        self.get_ranges(path, &clipped).await
    }

    /// Drops what is cached of an object, so that the next read of it comes from where it is stored: for a caller that
    /// found its bytes damaged.
    async fn forget(&self, _path: &str) {}

    /// Reads objects ahead, in the order given, if the store has a cache, until that is half full; returns how many.
    async fn warm_up(&self, _mode: WarmUp, _objects: &[WarmObject]) -> Result<usize, StorageError> {
        Ok(0)
    }

    /// Length and age.
    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError>;

    /// Writes an immutable object under a name that nobody else uses; durable on return. Large ones go up in parts.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError>;

    /// Writes an immutable object from a file on this machine, without holding it in memory; durable on return.
    async fn put_file(&self, path: &str, file: &std::path::Path) -> Result<(), StorageError>;

    /// Replaces the object if its tag is `expected`; creates it if `expected` is `None` and it is absent.
    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap;

    /// The objects whose names begin with the folder `prefix`, in no order that may be relied on.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Removes an object; one that is not there is no error.
    async fn delete(&self, path: &str) -> Result<(), StorageError>;
}
