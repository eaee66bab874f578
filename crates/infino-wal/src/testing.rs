//! What the tests of this crate share: small changes, and checks that name what they check.

use std::collections::BTreeSet;
use std::sync::Arc;

use infino_format::schema::{ColumnId, IndexSet};
use infino_format::{Action, Operation, RowId, SuperfileId, SuperfileSummary, TableSchema};
use infino_storage::fault::FaultStore;
use infino_storage::{MemoryStore, Store};
use roaring::RoaringBitmap;

use crate::{Change, Log, LogOptions};

pub(crate) const ROOT: &str = "t";

pub(crate) fn schema() -> TableSchema {
    TableSchema {
        columns: vec![ColumnId { name: "body".into(), field_id: 1 }],
        arrow_ipc: vec![1, 2, 3],
        indexes: IndexSet::default(),
        next_field_id: 2,
    }
}

pub(crate) fn superfile(id: u128) -> SuperfileSummary {
    SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1000,
        footer_len: 100,
        footer_crc: 7,
        row_count: 100,
        min_row_id: RowId(id * 100),
        max_row_id: RowId(id * 100 + 99),
        columns: Vec::new(),
        text: Vec::new(),
        vectors: Vec::new(),
        sections: Vec::new(),
        key: None,
    }
}

/// A change against the newest head that `log` has seen.
pub(crate) fn change(log: &Log, operation: Operation) -> Change {
    let head = log.current().head;
    Change::new(operation, head.version, head.epoch)
}

pub(crate) fn append(log: &Log, id: u128) -> Change {
    change(log, Operation::Append).add(superfile(id))
}

pub(crate) fn rows(rows: &[u32]) -> RoaringBitmap {
    rows.iter().copied().collect()
}

pub(crate) fn faulty(seed: u64) -> Arc<FaultStore> {
    FaultStore::new(Arc::new(MemoryStore::new()), seed)
}

pub(crate) fn options() -> LogOptions {
    LogOptions { attempts_max: 1000, asks_max: 50, ..LogOptions::default() }
}

pub(crate) async fn create(store: &Arc<FaultStore>) -> Log {
    let store: Arc<dyn Store> = store.clone();
    Log::create(store, ROOT, schema()).await.expect("nothing fails yet")
}

pub(crate) async fn open(store: &Arc<FaultStore>) -> Log {
    let store: Arc<dyn Store> = store.clone();
    Log::open_with(store, ROOT, options()).await.expect("the head is there")
}

/// The superfiles that all records of the table add, in order, read from a clean store.
pub(crate) async fn added(store: &Arc<FaultStore>) -> Vec<u128> {
    let log = Log::open(store.inner().clone(), ROOT).await.expect("the head is there");
    let head = log.current().head;
    let records = log.since(&head, 0).await.expect("nothing fails here");
    let actions = records.iter().flat_map(|record| &record.actions);
    actions
        .filter_map(|action| match action {
            Action::AddSuperfile(summary) => Some(summary.id.0),
            _ => None,
        })
        .collect()
}

/// Asserts that exactly the superfiles `acknowledged` were added, each once.
pub(crate) async fn check_exactly_once(store: &Arc<FaultStore>, acknowledged: &BTreeSet<u128>) {
    let applied = added(store).await;
    let once: BTreeSet<_> = applied.iter().copied().collect();
    assert_eq!(once.len(), applied.len(), "something was applied twice");
    assert_eq!(&once, acknowledged);
}
