//! A small table of numbers and words over a store that may fail, and its rows as a test sees them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use futures::TryStreamExt;
use infino_format::schema::{IndexSet, TextIndex};
use infino_format::summary::SuperfileSummary;
use infino_format::{DocSet, SuperfileId};
use infino_manifest::Snapshot;
use infino_storage::Store;
use infino_superfile::Superfile;
use infino_table::{RowFilter, Runtime, Table, TableError, TableOptions, query};

pub const ROOT: &str = "shop/orders";

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("body", DataType::Utf8, true),
    ]))
}

pub fn text_index(column: &str) -> TextIndex {
    TextIndex {
        column: column.into(),
        analyzer: "standard-v1".into(),
        positions: true,
        stored: true,
    }
}

/// Rows numbered as told; the body of row `n` says so.
pub fn rows(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let bodies = numbers.iter().map(|n| format!("row {n} of many, {}", n % 7));
    let bodies = StringArray::from_iter_values(bodies);
    let columns = vec![Arc::new(Int64Array::from(numbers)) as _, Arc::new(bodies) as _];
    RecordBatch::try_new(schema(), columns).expect("columns fit")
}

pub fn options() -> TableOptions {
    TableOptions { probe: false, ..TableOptions::default() }
}

pub fn runtime() -> Runtime {
    Runtime::new(2).expect("threads start")
}

pub async fn create(store: Arc<dyn Store>, options: TableOptions) -> Table {
    let indexes = IndexSet { text: vec![text_index("body")], ..IndexSet::default() };
    let stored = infino_superfile::table_schema(&schema(), indexes).expect("a sound schema");
    Table::create(store, ROOT, stored, runtime(), options).await.expect("created")
}

pub async fn open(store: Arc<dyn Store>, options: TableOptions) -> Table {
    Table::open(store, ROOT, runtime(), options).await.expect("opened")
}

pub async fn append(table: &Table, numbers: impl IntoIterator<Item = i64>) -> u64 {
    let mut writer = table.writer();
    writer.append(&rows(numbers)).await.expect("rows fit");
    writer.commit().await.expect("an append commutes").version
}

/// The rows whose `n` is between the two, both included.
#[derive(Debug)]
pub struct Between(pub i64, pub i64);

#[async_trait]
impl RowFilter for Between {
    fn may_match(&self, _: &SuperfileSummary) -> bool {
        true
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let found =
            numbers(file).await?.into_iter().map(|n| n.is_some_and(|n| self.0 <= n && n <= self.1));
        let mut words = vec![0u64; file.row_count().div_ceil(64) as usize];
        found
            .enumerate()
            .filter(|(_, is)| *is)
            .for_each(|(at, _)| words[at / 64] |= 1 << (at % 64));
        Ok(DocSet::from_words(file.row_count(), words))
    }
}

/// The first column named `n` of a file, row by row.
pub async fn numbers(file: &Superfile) -> Result<Vec<Option<i64>>, TableError> {
    let batches: Vec<RecordBatch> = file.scan(Some(&["n"]), None).await?.try_collect().await?;
    let values =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter());
    Ok(values.collect())
}

/// The numbers of the living rows of a version, each with how often it is there.
#[derive(Default)]
pub struct Reader {
    files: BTreeMap<SuperfileId, Vec<Option<i64>>>,
}

impl Reader {
    /// Reads each file once however many versions hold it.
    pub async fn live(&mut self, table: &Table, snapshot: &Snapshot) -> BTreeMap<i64, usize> {
        let mut live = BTreeMap::new();
        for entry in snapshot.entries.iter() {
            let dead = query::dead_rows(table, entry).await.expect("deletes");
            if !self.files.contains_key(&entry.id()) {
                let file = table.file(entry).await.expect("the file opens");
                self.files.insert(entry.id(), numbers(&file).await.expect("the file reads"));
            }
            let values = &self.files[&entry.id()];
            assert_eq!(values.len(), entry.summary.row_count as usize);
            for (at, value) in (0u32..).zip(values) {
                if !dead.contains(at) {
                    *live.entry(value.expect("not null")).or_default() += 1;
                }
            }
        }
        live
    }
}

pub async fn live(table: &Table) -> BTreeMap<i64, usize> {
    let snapshot = table.refresh().await.expect("refreshed");
    Reader::default().live(table, &snapshot).await
}

/// What [`live`] gives if each of these is there once.
pub fn once(numbers: impl IntoIterator<Item = i64>) -> BTreeMap<i64, usize> {
    numbers.into_iter().map(|n| (n, 1)).collect()
}
