use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::fault::{Fault, FaultStore, Operation, Rule};
use crate::{LocalStore, MemoryStore, ObjectInfo, StoreOptions};

/// How a store breaks the promise of compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    /// It writes whatever the condition.
    DropsConditions,
    /// It heeds conditions on creation only.
    DropsMatch,
    /// It checks, lets others run, then writes.
    ChecksThenWrites,
    /// It calls every content the same.
    OneTag,
    /// Reads know another kind of tag than writes.
    OtherTags,
    /// It serves ranges from the object's beginning.
    RangesFromZero,
    /// What is written is listed later, if ever.
    ListsLate,
}

#[derive(Debug)]
struct Flawed {
    inner: MemoryStore,
    flaw: Flaw,
}

impl Flawed {
    async fn write(&self, path: &str, bytes: Bytes) -> Swap {
        self.inner.put(path, bytes).await.unwrap();
        Swap::Done(self.inner.get(path).await.unwrap().1)
    }
}

#[async_trait]
impl Store for Flawed {
    fn uri(&self) -> &str {
        "flawed://"
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let (bytes, tag) = self.inner.get(path).await?;
        Ok(match self.flaw {
            Flaw::OtherTags => (bytes, Tag(format!("W/{}", tag.0))),
            Flaw::OneTag => (bytes, Tag("same".to_owned())),
            _ => (bytes, tag),
        })
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
        let moved = |range: &Range<u64>| 0..range.end - range.start;
        match self.flaw {
            Flaw::RangesFromZero => {
                self.inner.get_ranges(path, &ranges.iter().map(moved).collect::<Vec<_>>()).await
            }
            _ => self.inner.get_ranges(path, ranges).await,
        }
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        self.inner.head(path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.inner.put(path, bytes).await
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        self.inner.put_file(path, file).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        match self.flaw {
            Flaw::DropsConditions => self.write(path, bytes).await,
            Flaw::DropsMatch if expected.is_some() => self.write(path, bytes).await,
            Flaw::ChecksThenWrites => {
                let found = self.inner.get(path).await.ok().map(|(_, tag)| tag);
                tokio::task::yield_now().await;
                if found.as_ref() == expected { self.write(path, bytes).await } else { Swap::Lost }
            }
            Flaw::OneTag => match self.inner.get(path).await {
                Ok((_, tag)) if expected.is_some() => {
                    let _ = self.inner.swap(path, Some(&tag), bytes).await;
                    Swap::Done(Tag("same".to_owned()))
                }
                Ok(_) => Swap::Lost,
                Err(_) => {
                    self.inner.put(path, bytes).await.unwrap();
                    Swap::Done(Tag("same".to_owned()))
                }
            },
            _ => self.inner.swap(path, expected, bytes).await,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        match self.flaw {
            Flaw::ListsLate => Ok(Vec::new()),
            _ => self.inner.list(prefix).await,
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}

#[tokio::test]
async fn stores_that_break_a_promise_are_refused_every_time() {
    for flaw in [
        Flaw::DropsConditions,
        Flaw::DropsMatch,
        Flaw::ChecksThenWrites,
        Flaw::OneTag,
        Flaw::OtherTags,
        Flaw::RangesFromZero,
        Flaw::ListsLate,
    ] {
        for _ in 0..100 {
            let outcome = probe(&Flawed { inner: MemoryStore::new(), flaw }).await;
            assert!(matches!(outcome, Err(StorageError::Unfit { .. })), "{flaw:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn good_stores_are_never_refused() {
    for _ in 0..200 {
        probe(&MemoryStore::new()).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().with("fsync", "false");
    let local = LocalStore::open(folder.path(), &options).unwrap();
    for _ in 0..20 {
        probe(&local).await.unwrap();
    }
    assert!(local.list("").await.unwrap().is_empty(), "the probe cleans up");
}

/// A good store whose replies get lost is asked again, not refused.
#[tokio::test]
async fn lost_replies_are_not_held_against_a_store() {
    let mut refused = 0;
    for seed in 0..200 {
        let store = FaultStore::new(Arc::new(MemoryStore::new()), seed);
        for fault in [Fault::Fail, Fault::FailAfter, Fault::Duplicate] {
            store.add(Rule::new(fault).on([Operation::Swap]).chance(0.1));
        }
        match probe(&*store).await {
            Ok(()) => {}
            Err(StorageError::Unavailable { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(refused < 10, "{refused} of 200 gave up");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_denied() {
    let store = FaultStore::new(Arc::new(MemoryStore::new()), 0);
    store.add(Rule::new(Fault::Deny).on([Operation::Swap, Operation::Put]));
    assert!(matches!(probe(&*store).await, Err(StorageError::Denied { .. })));
}
