//! F19: stores without compare-and-swap are refused whenever they are attached, others never.

use std::ops::Range;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use infino_storage::{
    LocalStore, MemoryStore, ObjectInfo, StorageError, Store, StoreOptions, Swap, Tag, connect,
    probe,
};
use infino_testserver::{Flaw, Options, Server};

use super::{Row, divided};

/// Memory behind something that is no compare-and-swap.
#[derive(Debug)]
struct Flawed {
    inner: MemoryStore,
    /// It checks, lets others run, then writes; or it drops the condition.
    checks: bool,
}

#[async_trait]
impl Store for Flawed {
    fn uri(&self) -> &str {
        "flawed://"
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

    async fn get_ranges(&self, path: &str, at: &[Range<u64>]) -> Result<Vec<Bytes>, StorageError> {
        self.inner.get_ranges(path, at).await
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
        if self.checks {
            let found = self.inner.get(path).await.ok().map(|(_, tag)| tag);
            tokio::task::yield_now().await;
            if found.as_ref() != expected {
                return Swap::Lost;
            }
        }
        self.inner.put(path, bytes).await.unwrap();
        Swap::Done(self.inner.get(path).await.unwrap().1)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}

async fn attach(row: &Row, store: &dyn Store, is_good: bool, what: &str) {
    let outcome = probe(store).await;
    let as_it_should = match is_good {
        true => outcome.is_ok(),
        false => matches!(outcome, Err(StorageError::Unfit { .. })),
    };
    row.check(as_it_should, || format!("{what}: {outcome:?}"));
    row.tried();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_stores_without_compare_and_swap_are_refused_and_others_are_not() {
    let row = Row::new("F19");
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().with("fsync", "false");
    let local = LocalStore::open(folder.path(), &options).unwrap();
    for _ in 0..row.scaled(200) {
        for checks in [false, true] {
            attach(&row, &Flawed { inner: MemoryStore::new(), checks }, false, "flawed").await;
        }
        attach(&row, &MemoryStore::new(), true, "memory").await;
    }
    for _ in 0..row.scaled(100) {
        attach(&row, &local, true, "local").await;
    }
    divided(row.scaled(300), 6, |worker, turns| {
        let row = &row;
        async move {
            let seed = row.seed + worker;
            let server = Server::start(Options { seed, ..Options::default() }).unwrap();
            let options =
                StoreOptions::new().without_environment().with_all(server.client_options());
            let store = connect(&server.uri("f19"), &options).unwrap();
            for turn in turns {
                let flaw = [Flaw::None, Flaw::IgnoresConditions, Flaw::ChecksThenWrites]
                    [(turn / 6 % 3) as usize];
                server.set_flaw(flaw);
                attach(row, &*store, flaw == Flaw::None, &format!("server, {flaw:?}")).await;
            }
        }
    })
    .await;
    row.finish();
}
