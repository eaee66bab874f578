//! A store of one object that counts what is read, and tables to put in it.
#![allow(dead_code, unreachable_pub)]

pub mod questions;
pub mod types;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, Decimal128Array, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use bytes::Bytes;
use infino_format::schema::{IndexSet, Metric, RerankCodec, TableSchema, TextIndex, VectorIndex};
use infino_format::summary::SuperfileSummary;
use infino_storage::{ObjectInfo, StorageError, Store, Swap, Tag};
use infino_superfile::{
    Superfile, SuperfileBuilder, SuperfileError, SuperfileOptions, file_schema, table_schema,
};

/// One object, every name of it; counts round trips and bytes.
#[derive(Debug)]
pub struct OneObject {
    pub bytes: Bytes,
    pub rounds: AtomicU64,
    pub read: AtomicU64,
    /// What was asked for since the log was last taken.
    pub log: Mutex<Vec<Range<u64>>>,
    /// The bit that reads find flipped, counted from 1; 0 for none.
    pub flipped: AtomicU64,
}

impl OneObject {
    pub fn new(bytes: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self {
            bytes: bytes.into(),
            rounds: 0.into(),
            read: 0.into(),
            log: Mutex::default(),
            flipped: 0.into(),
        })
    }

    /// From now on reads find this bit of this byte flipped, and no other.
    pub fn flip(&self, byte: usize, bit: usize) {
        self.flipped.store((byte * 8 + bit) as u64 + 1, Ordering::Relaxed);
    }

    /// Round trips and bytes since the last call.
    pub fn spent(&self) -> (u64, u64) {
        (self.rounds.swap(0, Ordering::Relaxed), self.read.swap(0, Ordering::Relaxed))
    }
}

#[async_trait]
impl Store for OneObject {
    fn uri(&self) -> &str {
        "one:"
    }

    async fn get(&self, _: &str) -> Result<(Bytes, Tag), StorageError> {
        Ok((self.bytes.clone(), Tag("1".into())))
    }

    async fn get_if_changed(&self, _: &str, _: &Tag) -> Result<Option<(Bytes, Tag)>, StorageError> {
        Ok(None)
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        let len = self.bytes.len() as u64;
        let slice = |range: &Range<u64>| {
            self.read.fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
            if range.start > range.end || range.end > len {
                let (start, end) = (range.start, range.end);
                let got = format!("an object of {len} bytes");
                return Err(StorageError::Range { path: path.into(), start, end, got });
            }
            let bytes = self.bytes.slice(range.start as usize..range.end as usize);
            let bit = self.flipped.load(Ordering::Relaxed);
            if bit == 0 || !range.contains(&((bit - 1) / 8)) {
                return Ok(bytes);
            }
            let mut bad = bytes.to_vec();
            bad[((bit - 1) / 8 - range.start) as usize] ^= 1 << ((bit - 1) % 8);
            Ok(bad.into())
        };
        self.log.lock().unwrap().extend(ranges.iter().cloned());
        ranges.iter().map(slice).collect()
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        Ok(ObjectInfo { path: path.into(), len: self.bytes.len() as u64, modified_ms: 0 })
    }

    async fn put(&self, path: &str, _: Bytes) -> Result<(), StorageError> {
        Err(denied(path))
    }

    async fn put_file(&self, path: &str, _: &std::path::Path) -> Result<(), StorageError> {
        Err(denied(path))
    }

    async fn swap(&self, path: &str, _: Option<&Tag>, _: Bytes) -> Swap {
        Swap::Unclear(denied(path))
    }

    async fn list(&self, _: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(Vec::new())
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        Err(denied(path))
    }
}

fn denied(path: &str) -> StorageError {
    StorageError::Denied { path: path.into(), operation: "write", problem: "one object".into() }
}

/// Small pages and row groups, so that little data makes many.
pub fn small() -> SuperfileOptions {
    SuperfileOptions {
        row_group_rows: 700,
        wide_page_bytes: 2_000,
        narrow_page_bytes: 500,
        dictionary_bytes: 1_000,
        ..SuperfileOptions::default()
    }
}

/// `_id` from `first`, then `columns`, under the schema of the file.
pub fn batch(schema: &TableSchema, first: u128, columns: Vec<ArrayRef>) -> RecordBatch {
    let rows = columns[0].len() as u128;
    batch_with_ids(schema, (0..rows).map(|row| first + row), columns)
}

pub fn batch_with_ids(
    schema: &TableSchema,
    ids: impl Iterator<Item = u128>,
    columns: Vec<ArrayRef>,
) -> RecordBatch {
    let ids: Decimal128Array = ids.map(|id| Some(id as i128)).collect();
    let ids = ids.with_precision_and_scale(38, 0).unwrap();
    let columns = std::iter::once(Arc::new(ids) as ArrayRef).chain(columns).collect();
    RecordBatch::try_new(file_schema(schema).unwrap(), columns).unwrap()
}

pub fn build(
    schema: &TableSchema,
    options: SuperfileOptions,
    batches: &[RecordBatch],
) -> Result<(Vec<u8>, SuperfileSummary), SuperfileError> {
    let mut builder = SuperfileBuilder::new(schema, options)?;
    for batch in batches {
        builder.push(batch)?;
    }
    builder.finish()
}

pub async fn open(
    bytes: Vec<u8>,
    summary: Option<SuperfileSummary>,
) -> (Arc<OneObject>, Arc<Superfile>) {
    let store = OneObject::new(bytes);
    let file = Superfile::open(store.clone(), "data/one.parquet", summary.map(Arc::new)).await;
    (store, file.unwrap())
}

pub const DIM: u32 = 16;

/// A number, prose, a vector and a keyword, all but the number indexed.
pub fn indexed_schema() -> TableSchema {
    let vector = Field::new("item", DataType::Float32, true);
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("body", DataType::Utf8, true),
        Field::new("embedding", DataType::FixedSizeList(Arc::new(vector), DIM as i32), true),
        Field::new("key", DataType::Utf8, true),
    ]);
    let text = |column: &str, analyzer: &str| TextIndex {
        column: column.into(),
        analyzer: analyzer.into(),
        positions: analyzer != "keyword-v1",
        stored: true,
    };
    let indexes = IndexSet {
        text: vec![text("body", "standard-v1"), text("key", "keyword-v1")],
        vectors: vec![VectorIndex {
            column: "embedding".into(),
            dim: DIM,
            metric: Metric::L2,
            rerank: RerankCodec::Sq8Residual,
            target_recall_millis: 900,
            stored: true,
        }],
        key: Vec::new(),
    };
    table_schema(&schema, indexes).unwrap()
}

/// [`indexed_schema`] and a key: every kind of section.
pub fn keyed_schema() -> TableSchema {
    let indexed = indexed_schema();
    let arrow = infino_superfile::arrow_schema(&indexed).unwrap();
    let fields = arrow.fields().iter().cloned();
    let id = Arc::new(Field::new("id", DataType::Int64, false));
    let columns = Schema::new(fields.chain([id]).collect::<Vec<_>>());
    table_schema(&columns, IndexSet { key: vec!["id".into()], ..indexed.indexes }).unwrap()
}

/// The rows `rows` of an endless table under [`keyed_schema`].
pub fn keyed_columns(rows: Range<u64>) -> Vec<ArrayRef> {
    let id: Int64Array = rows.clone().map(|row| Some(mix(row) as i64)).collect();
    let mut columns = indexed_columns(rows);
    columns.push(Arc::new(id));
    columns
}

/// The rows `rows` of an endless table under [`indexed_schema`]; about one in eleven values is null.
pub fn indexed_columns(rows: Range<u64>) -> Vec<ArrayRef> {
    let words = ["brown", "fox", "jumps", "over", "lazy", "dogs", "while", "rust", "compiles"];
    let null = |row: u64, salt: u64| mix(row * 7 + salt).is_multiple_of(11);
    let n: Int64Array =
        rows.clone().map(|row| (!null(row, 0)).then(|| mix(row) as i64 % 1000)).collect();
    let body: StringArray = rows
        .clone()
        .map(|row| {
            (!null(row, 1)).then(|| {
                let count = 3 + mix(row) % 20;
                let word = |i| words[mix(row * 64 + i) as usize % words.len()].to_owned();
                (0..count).map(word).chain([format!("row{row}")]).collect::<Vec<_>>().join(" ")
            })
        })
        .collect();
    let items: Float32Array = rows
        .clone()
        .flat_map(|row| {
            (0..u64::from(DIM)).map(move |i| mix(row * 64 + i) as f32 / u64::MAX as f32)
        })
        .collect();
    let valid: Vec<bool> = rows.clone().map(|row| !null(row, 2)).collect();
    let embedding = FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Float32, true)),
        DIM as i32,
        Arc::new(items),
        Some(valid.into()),
    );
    let key: StringArray =
        rows.map(|row| (!null(row, 3)).then(|| format!("key-{}", mix(row) % 50))).collect();
    vec![Arc::new(n), Arc::new(body), Arc::new(embedding), Arc::new(key)]
}

/// A number that looks random and is not (SplitMix64).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
