//! The table of a simulation: a key, the operation that wrote the row, a text and a vector that say both.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use futures::TryStreamExt;
use infino_format::schema::{IndexSet, Metric, RerankCodec, TableSchema, TextIndex, VectorIndex};
use infino_format::summary::SuperfileSummary;
use infino_format::{DocSet, SuperfileId};
use infino_manifest::{Entry, Snapshot};
use infino_superfile::Superfile;
use infino_table::query::{self, exact_distance};
use infino_table::{RowFilter, Table, TableError};
use infino_vector::SearchParams;

/// The folder of the table.
pub const ROOT: &str = "t";
/// Dimension of the vectors.
const DIM: usize = 16;

/// A row: its id, its key, the operation that wrote it.
pub type Row = (i128, i64, i64);

fn columns(keyed: bool, vectors: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("k", DataType::Int64, !keyed),
        Field::new("v", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
    ];
    if vectors {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        fields.push(Field::new("e", DataType::FixedSizeList(item, DIM as i32), true));
    }
    Arc::new(Schema::new(fields))
}

/// The stored schema.
pub fn schema(keyed: bool, vectors: bool) -> TableSchema {
    let text = TextIndex {
        column: "t".into(),
        analyzer: "standard-v1".into(),
        positions: false,
        stored: true,
    };
    let vector = VectorIndex {
        column: "e".into(),
        dim: DIM as u32,
        metric: Metric::L2,
        rerank: RerankCodec::F32,
        target_recall_millis: 950,
        stored: true,
    };
    let indexes = IndexSet {
        text: vec![text],
        vectors: if vectors { vec![vector] } else { Vec::new() },
        key: if keyed { vec!["k".to_owned()] } else { Vec::new() },
    };
    infino_superfile::table_schema(&columns(keyed, vectors), indexes).expect("a sound schema")
}

/// The vector of a row.
fn vector(k: i64, v: i64) -> [f32; DIM] {
    std::array::from_fn(|i| ((k * (i as i64 + 3) + v * 5) % (7 + i as i64)) as f32)
}

/// The rows with these keys, written by operation `v`.
pub fn batch(keys: &[i64], v: i64, vectors: bool) -> RecordBatch {
    let texts = keys.iter().map(|k| format!("key{k} value{v}"));
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(keys.to_vec())),
        Arc::new(Int64Array::from(vec![v; keys.len()])),
        Arc::new(StringArray::from_iter_values(texts)),
    ];
    let schema = columns(false, vectors);
    if let Some(DataType::FixedSizeList(item, _)) =
        schema.fields().get(3).map(|field| field.data_type())
    {
        let values: Vec<f32> = keys.iter().flat_map(|&k| vector(k, v)).collect();
        let values = Arc::new(Float32Array::from(values));
        arrays.push(Arc::new(FixedSizeListArray::new(item.clone(), DIM as i32, values, None)));
    }
    RecordBatch::try_new(schema, arrays).expect("columns follow the schema")
}

/// The rows whose key is at least the first and below the second.
#[derive(Debug)]
pub struct Keys(pub i64, pub i64);

#[async_trait]
impl RowFilter for Keys {
    fn may_match(&self, _: &SuperfileSummary) -> bool {
        true
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let mut found = DocSet::empty(file.row_count());
        let mut batches = file.scan(Some(&["k"]), None).await?;
        let mut at = 0;
        while let Some(batch) = batches.try_next().await? {
            for key in batch.column(0).as_primitive::<Int64Type>() {
                if key.is_some_and(|key| (self.0..self.1).contains(&key)) {
                    found.insert(at);
                }
                at += 1;
            }
        }
        Ok(found)
    }
}

/// All rows of a file, dead ones included.
async fn all(table: &Table, entry: &Entry) -> Result<Vec<Row>, TableError> {
    let file = table.file(entry).await?;
    let scan = file.scan(Some(&["_id", "k", "v"]), None).await?;
    let mut rows = Vec::new();
    for batch in scan.try_collect::<Vec<_>>().await? {
        let id = batch.column(0).as_primitive::<Decimal128Type>();
        let k = batch.column(1).as_primitive::<Int64Type>();
        let v = batch.column(2).as_primitive::<Int64Type>();
        rows.extend((0..batch.num_rows()).map(|i| (id.value(i), k.value(i), v.value(i))));
    }
    Ok(rows)
}

/// Reads versions row by row, each file once.
#[derive(Debug, Default)]
pub struct Scanner {
    files: BTreeMap<SuperfileId, Arc<Vec<Row>>>,
}

impl Scanner {
    /// The live rows of `snapshot`, by id.
    ///
    /// # Errors
    /// The table's.
    pub async fn live(
        &mut self,
        table: &Table,
        snapshot: &Snapshot,
    ) -> Result<Vec<Row>, TableError> {
        let mut live = Vec::new();
        for entry in snapshot.entries.iter() {
            let rows = match self.files.get(&entry.id()) {
                Some(rows) => rows.clone(),
                None => {
                    let rows = Arc::new(all(table, entry).await?);
                    self.files.insert(entry.id(), rows.clone());
                    rows
                }
            };
            let dead = query::dead_rows(table, entry).await?;
            let alive = (0u32..).zip(rows.iter()).filter(|(at, _)| !dead.contains(*at));
            live.extend(alive.map(|(_, row)| *row));
        }
        live.sort_unstable();
        Ok(live)
    }
}

/// The keys of the rows that a search for `word` finds.
///
/// # Errors
/// The table's.
pub async fn search_text(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    word: &str,
) -> Result<Vec<i64>, TableError> {
    let query = infino_fts::Query::term("t", word);
    let hits = query::text::search(table, snapshot, &query, 10_000, None).await?;
    let rows = query::rows::fetch(table, snapshot, &hits, None, &["k"]).await?;
    let mut keys = rows.column(1).as_primitive::<Int64Type>().values().to_vec();
    keys.sort_unstable();
    Ok(keys)
}

/// The distances of the `count` rows nearest to the vector of `(k, v)`, by an exact search.
///
/// # Errors
/// The table's.
pub async fn search_near(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    (k, v): (i64, i64),
    count: usize,
) -> Result<Vec<f32>, TableError> {
    let params = SearchParams { k: count, exact: true, ..SearchParams::default() };
    let hits = query::vector::search(table, snapshot, "e", &vector(k, v), &params, None).await?;
    Ok(hits.iter().map(|hit| hit.value).collect())
}

/// What [`search_near`] must give, of rows of these keys and values.
pub fn nearest(
    rows: impl Iterator<Item = (i64, i64)>,
    (k, v): (i64, i64),
    count: usize,
) -> Vec<f32> {
    let distance = |(k2, v2)| exact_distance(Metric::L2, &vector(k, v), &vector(k2, v2));
    let mut distances: Vec<f32> = rows.map(distance).collect();
    distances.sort_by(f32::total_cmp);
    distances.truncate(count);
    distances
}
