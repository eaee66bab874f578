//! infino as an engine of `benches/peers`: `infino-peer build|ask DATA STORE THREADS`, one line of JSON at the end.
//!
//! DATA holds `corpus.parquet` (id, num, tag, text, vec), `queries.npy` and `queries.json`. Answers are the ids of the first,
//! untimed round; times are microseconds of each call of the others.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "standard output is the protocol")]

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use infino::arrow::array::{Array, AsArray, RecordBatch};
use infino::arrow::datatypes::{DataType, Int64Type};
use infino::arrow::util::display::array_value_to_string;
use infino::datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use infino::{ConnectOptions, Connection, IndexSpec, Metric, Search, Supertable, TextMode};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const K: usize = 10;
const REPEATS: usize = 5;
const SHARES: [(&str, f64); 2] = [("10%", 0.1), ("1%", 0.01)];
const STATEMENTS: [(&str, &str); 3] = [
    ("range", "SELECT count(*) FROM docs WHERE num >= 1000 AND num < 2000"),
    ("point", "SELECT id FROM docs WHERE num = 1234"),
    ("group", "SELECT tag, count(*) AS n FROM docs GROUP BY tag ORDER BY n DESC, tag LIMIT 10"),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [phase, data, store, threads] = &arguments[..] else {
        return Err("usage: infino-peer build|ask DATA STORE THREADS".into());
    };
    let threads: usize = threads.parse()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let began = Instant::now();
    let cells = runtime.block_on(async {
        let db = infino::connect_with(store, ConnectOptions::new().threads(threads)).await?;
        match phase.as_str() {
            "build" => build(&db, Path::new(data)).await.map(|()| Value::Object(Map::new())),
            _ => ask(&db, Path::new(data)).await,
        }
    })?;
    println!("{}", json!({ "seconds": began.elapsed().as_secs_f64(), "cells": cells }));
    Ok(())
}

async fn build(db: &Connection, data: &Path) -> Result<()> {
    let file = File::open(data.join("corpus.parquet"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(10_000);
    let schema = builder.schema().clone();
    let DataType::FixedSizeList(_, dim) = schema.field_with_name("vec")?.data_type() else {
        return Err("vec is no list of fixed size".into());
    };
    let spec = IndexSpec::new().fts("text").vector("vec", *dim as usize, Metric::Cosine);
    let table = db.create_table("docs", schema, spec).await?;
    let mut writer = table.writer()?;
    for batch in builder.build()? {
        writer.append(&batch?).await?;
    }
    writer.commit().await?;
    table.optimize().await?;
    Ok(())
}

async fn ask(db: &Connection, data: &Path) -> Result<Value> {
    let table = db.open_table("docs").await?;
    let rows = table.count_rows().await? as f64;
    let near = vectors(&fs::read(data.join("queries.npy"))?)?;
    let words: Value = serde_json::from_slice(&fs::read(data.join("queries.json"))?)?;
    let mut cells = Map::new();
    for (kind, queries) in words.as_object().ok_or("queries.json holds no object")? {
        let queries = queries.as_array().ok_or("a kind of queries is no list")?;
        let text = |query: &Value| -> Vec<String> {
            query
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let queries: Vec<String> = queries.iter().map(|query| text(query).join(" ")).collect();
        let mode = match kind.as_str() {
            "and2" => TextMode::All,
            "phrase2" => TextMode::Phrase,
            _ => TextMode::Any,
        };
        let search = |at: usize| table.bm25_search("text", &queries[at], K, &["id"]).mode(mode);
        cells.insert(format!("text/{kind}"), timed(queries.len(), search).await?);
    }
    cells.insert("vector".to_owned(), settings(&table, &near, None).await?);
    for (name, share) in SHARES {
        let predicate = format!("num < {}", (share * rows).ceil() as i64);
        let found = settings(&table, &near, Some(&predicate)).await?;
        cells.insert(format!("filtered/{name}"), found);
    }
    let or3: Vec<String> = words["or3"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|query| {
            let words = query.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    let fused = |at: usize| table.hybrid_search("text", &or3[at], "vec", &near[at], K, &["id"]);
    cells.insert("hybrid".to_owned(), timed(or3.len().min(near.len()), fused).await?);
    for (name, sql) in STATEMENTS {
        let mut us = Vec::new();
        let first = db.query_sql(sql).await?;
        for _ in 0..20 {
            let began = Instant::now();
            db.query_sql(sql).await?;
            us.push(began.elapsed().as_secs_f64() * 1e6);
        }
        cells.insert(format!("sql/{name}"), json!({ "us": us, "rows": values(&first)? }));
    }
    Ok(Value::Object(cells))
}

/// Every target recall, as the settings of one cell.
async fn settings(table: &Supertable, near: &[Vec<f32>], filter: Option<&str>) -> Result<Value> {
    let mut found = Map::new();
    for recall in [0.9f32, 0.95, 0.98, 0.99, 0.995] {
        let search = |at: usize| {
            let search = table.vector_search("vec", &near[at], K, &["id"]).target_recall(recall);
            match filter {
                Some(filter) => search.filter(filter),
                None => search,
            }
        };
        found.insert(recall.to_string(), timed(near.len(), search).await?);
    }
    Ok(Value::Object(found))
}

async fn timed(queries: usize, search: impl Fn(usize) -> Search) -> Result<Value> {
    let mut answers = Vec::new();
    for at in 0..queries {
        answers.push(ids(&search(at).await?));
    }
    let mut us = Vec::new();
    for _ in 0..REPEATS {
        for at in 0..queries {
            let began = Instant::now();
            search(at).await?;
            us.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(json!({ "us": us, "answers": answers }))
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |batch: &RecordBatch| batch.column_by_name("id").cloned();
    let columns = batches.iter().filter_map(column);
    columns.flat_map(|ids| ids.as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// Rows as JSON: integers as such, the rest as text.
fn values(batches: &[RecordBatch]) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let value = |column: &dyn Array| -> Result<Value> {
                let text = array_value_to_string(column, row)?;
                Ok(text.parse::<i64>().map_or(json!(text), |number| json!(number)))
            };
            rows.push(batch.columns().iter().map(|c| value(c)).collect::<Result<_>>()?);
        }
    }
    Ok(rows)
}

/// The rows of a NumPy file of 32-bit floats.
fn vectors(bytes: &[u8]) -> Result<Vec<Vec<f32>>> {
    let len = bytes.get(8..10).ok_or("no NumPy file")?;
    let start = 10 + usize::from(u16::from_le_bytes([len[0], len[1]]));
    let header = String::from_utf8_lossy(bytes.get(10..start).ok_or("cut short")?).into_owned();
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let dim = shape.and_then(|(shape, _)| shape.split(',').nth(1)?.trim().parse::<usize>().ok());
    let dim = dim.filter(|_| header.contains("<f4")).ok_or("not rows of 32-bit floats")?;
    let floats =
        bytes[start..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let floats: Vec<f32> = floats.collect();
    Ok(floats.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}
