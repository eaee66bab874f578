//! A table of made-up superfiles over a store that may fail, for the tests of its versions.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod clock;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infino_format::schema::{ColumnId, IndexSet};
use infino_format::summary::{ColumnStats, Scalar, TextStats, VectorStats};
use infino_format::{Operation, RowId, SuperfileId, SuperfileSummary, TableSchema};
use infino_manifest::{Snapshot, checkpoint, deletes};
use infino_storage::fault::FaultStore;
use infino_storage::{MemoryStore, Store};
use infino_wal::{Change, Log, LogOptions, Published};
use roaring::RoaringBitmap;

pub const ROOT: &str = "shop/orders";

/// Rows of each made-up superfile.
pub const ROWS: u32 = 50;

pub fn schema(generation: u8) -> TableSchema {
    TableSchema {
        columns: vec![ColumnId { name: "body".into(), field_id: 1 }],
        arrow_ipc: vec![generation; 3],
        indexes: IndexSet::default(),
        next_field_id: 2,
    }
}

pub fn superfile(id: u128) -> SuperfileSummary {
    SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1000 + id as u64,
        footer_len: 100,
        footer_crc: 7,
        row_count: ROWS,
        min_row_id: RowId(id * 100),
        max_row_id: RowId(id * 100 + 99),
        columns: vec![ColumnStats {
            field_id: 1,
            null_count: 0,
            min: Some(Scalar::Int(id as i64 * 10)),
            max: Some(Scalar::Int(id as i64 * 10 + 9)),
            exact: true,
        }],
        text: vec![TextStats {
            field_id: 2,
            docs: 50,
            tokens: 500,
            min_term: b"aa".to_vec(),
            max_term: b"mm".to_vec(),
        }],
        vectors: vec![VectorStats {
            field_id: 3,
            vectors: 50,
            centroid: vec![id as f32, 0.0],
            radius: 1.0,
        }],
        sections: Vec::new(),
        key: None,
    }
}

pub struct Table {
    pub store: Arc<FaultStore>,
    pub log: Log,
}

pub fn options() -> LogOptions {
    LogOptions { attempts_max: 1000, asks_max: 50, ..LogOptions::default() }
}

impl Table {
    pub async fn create() -> Self {
        let store = FaultStore::new(Arc::new(MemoryStore::new()), 1);
        let log = Log::create(store.clone(), ROOT, schema(1)).await.expect("nothing fails yet");
        Self { store, log }
    }

    pub async fn open(store: &Arc<FaultStore>) -> Self {
        let log = Log::open_with(store.clone(), ROOT, options()).await.expect("there is a table");
        Self { store: store.clone(), log }
    }

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub fn change(&self, operation: Operation) -> Change {
        let head = self.log.current().head;
        Change::new(operation, head.version, head.epoch)
    }

    /// Adds a superfile whose object is put first, as a writer would.
    pub async fn append(&self, id: u128) -> u64 {
        let summary = superfile(id);
        let change = self.change(Operation::Append).add(summary.clone());
        let path = format!("{ROOT}/{}", summary.path());
        self.store.put(&path, vec![0; 10].into()).await.expect("put");
        self.log.commit(change).await.expect("an append commutes").version
    }

    pub async fn kill(&self, id: u128, rows: &[u32]) -> u64 {
        let snapshot = self.snapshot().await;
        let base = snapshot.entries.get(SuperfileId(id)).expect("is there").deletes.clone();
        let rows: RoaringBitmap = rows.iter().copied().collect();
        let change = Change::new(
            Operation::Delete,
            snapshot.version,
            self.log.current().head.epoch,
        )
        .delete(SuperfileId(id), base, rows);
        self.log.commit(change).await.expect("deletes merge").version
    }

    pub async fn snapshot(&self) -> Snapshot {
        let head = self.log.refresh().await.expect("refresh").head;
        Snapshot::load(self.store(), ROOT, &head).await.expect("load")
    }

    pub async fn fold(&self) {
        let snapshot = self.snapshot().await;
        let head = self.log.current().head;
        let folded = checkpoint::fold(self.store(), ROOT, &head, &snapshot).await.expect("fold");
        let published = self.log.publish(&folded.checkpoint, folded.epoch).await.expect("publish");
        assert!(matches!(published, Published::Done(_)));
    }
}

/// What a snapshot says, in a form to compare: the dead rows of each superfile, the properties, the schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    pub superfiles: BTreeMap<u128, BTreeSet<u32>>,
    pub properties: BTreeMap<String, String>,
    pub generation: u8,
}

pub async fn contents(store: &dyn Store, snapshot: &Snapshot) -> Contents {
    let mut all = Contents {
        properties: (*snapshot.properties).clone(),
        generation: snapshot.schema.arrow_ipc.first().copied().unwrap_or(0),
        ..Contents::default()
    };
    let (mut rows, mut dead_rows) = (0, 0);
    for entry in snapshot.entries.iter() {
        let dead = match &entry.deletes {
            None => RoaringBitmap::new(),
            Some(deletes) => deletes::load(store, ROOT, deletes).await.expect("vector"),
        };
        rows += u64::from(entry.summary.row_count);
        dead_rows += dead.len();
        assert_eq!(dead.len(), entry.deleted_rows());
        all.superfiles.insert(entry.id().0, dead.iter().collect());
    }
    assert_eq!(snapshot.entries.len(), all.superfiles.len());
    assert_eq!((snapshot.entries.rows(), snapshot.entries.deleted_rows()), (rows, dead_rows));
    all
}
