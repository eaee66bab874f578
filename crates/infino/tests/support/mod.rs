//! Rows to test with, and ways to look at results.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::sync::Arc;

use infino::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
    StringArray,
};
use infino::arrow::compute::concat_batches;
use infino::arrow::datatypes::{
    DataType, Decimal128Type, Field, Float32Type, Int64Type, Schema, SchemaRef,
};
use infino::{Connection, IndexSpec, Metric, Supertable};

pub const DIM: usize = 16;

/// One row of the test table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub n: i64,
    pub sku: String,
    pub body: String,
    pub vector: Vec<f32>,
}

pub fn schema() -> SchemaRef {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("sku", DataType::Utf8, true),
        Field::new("body", DataType::Utf8, true),
        Field::new("embedding", DataType::FixedSizeList(item, DIM as i32), true),
    ]))
}

pub fn index() -> IndexSpec {
    IndexSpec::new().fts("body").vector("embedding", DIM, Metric::L2).keyword("sku")
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let vectors =
        rows.iter().map(|row| Some(row.vector.iter().copied().map(Some).collect::<Vec<_>>()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.n))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.sku))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.body))),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, DIM as i32)),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A repeatable stream of numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// `count` rows numbered from `from`: words of a skewed vocabulary, vectors around a few centres.
pub fn rows(from: i64, count: usize, seed: u64) -> Vec<Row> {
    let mut random = Random(seed);
    (0..count as i64)
        .map(|i| {
            let words = 3 + random.below(40);
            let body = (0..words).map(|_| word(&mut random)).collect::<Vec<_>>().join(" ");
            let centre = random.below(5) as f32;
            let vector = (0..DIM).map(|d| centre * (d % 3) as f32 + random.unit()).collect();
            Row { n: from + i, sku: format!("SKU-{:03}", random.below(50)), body, vector }
        })
        .collect()
}

fn word(random: &mut Random) -> String {
    // The square makes low numbers common: a few stop words, many rare ones.
    let x = random.unit();
    format!("w{}", (x * x * x * 200.0) as u32)
}

pub async fn table(db: &Connection, rows: &[Row], appends: usize) -> Supertable {
    let table = db.create_table("docs", schema(), index()).await.unwrap();
    for part in rows.chunks(rows.len().div_ceil(appends.max(1)).max(1)) {
        table.append(batch(part)).await.unwrap();
    }
    table
}

pub fn one(batches: Vec<RecordBatch>) -> RecordBatch {
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

pub fn ns(batch: &RecordBatch) -> Vec<i64> {
    ints(batch, "n")
}

pub fn ints(batch: &RecordBatch, column: &str) -> Vec<i64> {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

pub fn floats(batch: &RecordBatch, column: &str) -> Vec<f32> {
    batch.column_by_name(column).unwrap().as_primitive::<Float32Type>().values().to_vec()
}

pub fn ids(batch: &RecordBatch) -> Vec<i128> {
    batch.column_by_name("_id").unwrap().as_primitive::<Decimal128Type>().values().to_vec()
}

pub fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap();
    let text = infino::arrow::compute::cast(column, &DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

/// Textbook BM25 over whitespace words, in double precision: the rows that hold a word of the query, best first.
pub fn bm25(rows: &[Row], query: &str) -> Vec<(i64, f64)> {
    let docs: Vec<Vec<&str>> = rows.iter().map(|row| row.body.split(' ').collect()).collect();
    let n = docs.len() as f64;
    let mean = docs.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let mut scored = vec![0.0; docs.len()];
    for term in query.split(' ') {
        let df = docs.iter().filter(|doc| doc.contains(&term)).count() as f64;
        let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
        for (score, doc) in scored.iter_mut().zip(&docs) {
            let tf = doc.iter().filter(|&&word| word == term).count() as f64;
            *score += idf * tf / (tf + 1.2 * (0.25 + 0.75 * doc.len() as f64 / mean));
        }
    }
    let mut hits: Vec<_> =
        rows.iter().map(|row| row.n).zip(scored).filter(|hit| hit.1 > 0.0).collect();
    hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    hits
}

/// The rows by squared distance to `query`, nearest first.
pub fn nearest(rows: &[Row], query: &[f32]) -> Vec<(i64, f32)> {
    let distance =
        |row: &Row| row.vector.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let mut hits: Vec<_> = rows.iter().map(|row| (row.n, distance(row))).collect();
    hits.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    hits
}

pub fn distances(batch: &RecordBatch) -> Vec<f32> {
    let column: &Float32Array = batch.column_by_name("distance").unwrap().as_primitive();
    assert_eq!(column.null_count(), 0);
    column.values().to_vec()
}
