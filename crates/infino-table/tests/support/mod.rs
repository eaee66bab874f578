//! Tables of made-up rows over stores that may fail, and a predicate that needs no SQL.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};
use async_trait::async_trait;
use futures::TryStreamExt;
use infino_format::DocSet;
use infino_format::schema::{IndexSet, TableSchema, TextIndex};
use infino_format::summary::SuperfileSummary;
use infino_manifest::Snapshot;
use infino_storage::Store;
use infino_superfile::Superfile;
use infino_table::{RowFilter, Runtime, Table, TableError, TableOptions};

pub const ROOT: &str = "t";

/// Columns `k` and `v`, and `t` with a text index; a key on `k` if `keyed`.
pub fn schema(keyed: bool) -> TableSchema {
    let columns = Schema::new(vec![
        Field::new("k", DataType::Int64, !keyed),
        Field::new("v", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
    ]);
    let text = TextIndex {
        column: "t".into(),
        analyzer: "standard-v1".into(),
        positions: false,
        stored: true,
    };
    let key = if keyed { vec!["k".to_owned()] } else { Vec::new() };
    infino_superfile::table_schema(
        &columns,
        IndexSet { text: vec![text], key, ..IndexSet::default() },
    )
    .unwrap()
}

/// Rows of keys and values.
pub fn rows(rows: &[(i64, i64)]) -> RecordBatch {
    let k: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
    let v: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    let t: StringArray =
        rows.iter().map(|row| Some(format!("key{} value{}", row.0, row.1))).collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("k", Arc::new(k)), ("v", Arc::new(v)), ("t", Arc::new(t))];
    let schema = Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
    ]);
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

pub fn options() -> TableOptions {
    TableOptions { mutation_attempts: 1000, ..TableOptions::default() }
}

pub fn runtime() -> Runtime {
    Runtime::new(2).unwrap()
}

pub async fn create(store: Arc<dyn Store>, keyed: bool) -> Table {
    Table::create(store, ROOT, schema(keyed), runtime(), options()).await.unwrap()
}

pub async fn open(store: Arc<dyn Store>) -> Table {
    Table::open(store, ROOT, runtime(), options()).await.unwrap()
}

/// The rows whose `k` passes.
pub struct Keys(pub Box<dyn Fn(i64) -> bool + Send + Sync>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

pub fn keys(passes: impl Fn(i64) -> bool + Send + Sync + 'static) -> Arc<dyn RowFilter> {
    Arc::new(Keys(Box::new(passes)))
}

#[async_trait]
impl RowFilter for Keys {
    fn may_match(&self, _: &SuperfileSummary) -> bool {
        true
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let mut found = DocSet::empty(file.row_count());
        let mut batches = Box::pin(file.scan(Some(&["k"]), None).await?);
        let mut at = 0;
        while let Some(batch) = batches.try_next().await? {
            for &key in batch.column(0).as_primitive::<Int64Type>().values() {
                if (self.0)(key) {
                    found.insert(at);
                }
                at += 1;
            }
        }
        Ok(found)
    }
}

/// A live row: its id, key and value.
pub type Row = (i128, i64, i64);

/// All live rows, by id, read file by file.
pub async fn all(table: &Table, snapshot: &Snapshot) -> Vec<Row> {
    let mut found = Vec::new();
    for entry in snapshot.entries.iter() {
        let file = table.file(entry).await.unwrap();
        let mut live = DocSet::full(entry.summary.row_count);
        live.subtract(&infino_table::query::dead_rows(table, entry).await.unwrap());
        let batches = file.scan(Some(&["_id", "k", "v"]), Some(&live)).await.unwrap();
        for batch in batches.try_collect::<Vec<_>>().await.unwrap() {
            let id = batch.column(0).as_primitive::<Decimal128Type>();
            let k = batch.column(1).as_primitive::<Int64Type>();
            let v = batch.column(2).as_primitive::<Int64Type>();
            found.extend((0..batch.num_rows()).map(|i| (id.value(i), k.value(i), v.value(i))));
        }
    }
    found.sort_unstable();
    found
}

/// All live rows of the newest version, by key; no key may be there twice.
pub async fn by_key(table: &Table) -> BTreeMap<i64, i64> {
    let snapshot = table.refresh().await.unwrap();
    let mut map = BTreeMap::new();
    for (id, k, v) in all(table, &snapshot).await {
        assert_eq!(map.insert(k, v), None, "key {k} is there twice, in row {id} too");
    }
    map
}

/// The keys of rows whose text holds a word.
pub async fn search(table: &Table, word: &str) -> Vec<i64> {
    let snapshot = table.pin().await.unwrap();
    let query = infino_fts::Query::term("t", word);
    let hits =
        infino_table::query::text::search(table, &snapshot, &query, 1000, None).await.unwrap();
    let rows =
        infino_table::query::rows::fetch(table, &snapshot, &hits, None, &["k"]).await.unwrap();
    rows.column(1).as_primitive::<Int64Type>().values().to_vec()
}
