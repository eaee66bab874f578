//! Measures superfiles on real data.
//!
//! - `measure body INPUT.parquet OUTPUT.parquet LEVEL`: the same columns as a superfile without indexes, compressed with
//!   Zstandard at that level.
//! - `measure rows INPUT.parquet COLUMN ROWS`: ten rows by position from a file of `ROWS` rows of a text column, cold
//!   and warm; the texts of the input are repeated until they are enough.

//! - `measure warm INPUT.parquet COLUMN`: text and vector queries on a file in memory, and on the same through a cache that
//!   holds it.

#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use infino_format::schema::{IndexSet, Metric, RerankCodec, TextIndex, VectorIndex};
use infino_fts::{CorpusStats, Operator, Query};
use infino_storage::{Cache, CacheOptions, CachedStore, Store};
use infino_superfile::{Compression, Superfile, SuperfileBuilder, SuperfileOptions, table_schema};
use infino_vector::SearchParams;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use support::{OneObject, batch, mix};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["body", input, output, level] => body(input, output, level.parse()?),
        ["rows", input, column, count] => rows(input, column, count.parse()?),
        ["warm", input, column] => warm(input, column),
        _ => Err("usage: measure body INPUT OUTPUT LEVEL | measure rows INPUT COLUMN ROWS | measure warm INPUT COLUMN".into()),
    }
}

fn read(input: &str) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(input)?)?;
    Ok(builder.with_batch_size(8192).build()?.collect::<Result<_, _>>()?)
}

fn body(input: &str, output: &str, level: u8) -> Result<(), Box<dyn Error>> {
    let batches = read(input)?;
    let schema = batches.first().ok_or("the input has no rows")?.schema();
    let bare = Schema::new(schema.fields().clone());
    let schema = table_schema(&bare, Default::default())?;
    let started = Instant::now();
    let compression = Compression::Zstd(level);
    let options = SuperfileOptions { compression, ..SuperfileOptions::default() };
    let mut builder = SuperfileBuilder::new(&schema, options)?;
    let mut first = 1 << 100;
    for input in batches {
        builder.push(&batch(&schema, first, input.columns().to_vec()))?;
        first += input.num_rows() as u128;
    }
    let mut out = BufWriter::new(File::create(output)?);
    let summary = builder.finish_to(&mut out)?;
    let body = summary.sections[0].offset;
    println!(
        "{} rows, file {} bytes, body {body}, checksums {}, footer {}, {:.2?}",
        summary.row_count,
        summary.file_len,
        summary.sections[0].len,
        summary.footer_len,
        started.elapsed()
    );
    Ok(())
}

fn rows(input: &str, column: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    let texts: Vec<ArrayRef> = read(input)?
        .iter()
        .map(|batch| {
            let column = batch.column_by_name(column).ok_or("the input has no such column")?;
            Ok::<_, Box<dyn Error>>(cast(column, &DataType::Utf8)?)
        })
        .collect::<Result<_, _>>()?;
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let schema = table_schema(&schema, Default::default())?;
    let started = Instant::now();
    let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default())?;
    let (mut done, mut text_bytes) = (0, 0);
    for part in texts.iter().cycle() {
        let len = part.len().min((rows - done) as usize);
        let text: StringArray = part.as_string::<i32>().slice(0, len);
        text_bytes += text.value_data().len();
        let numbers: Int64Array = (done..done + len as u64).map(|row| mix(row) as i64).collect();
        builder.push(&batch(
            &schema,
            1 + u128::from(done),
            vec![Arc::new(numbers), Arc::new(text)],
        ))?;
        done += len as u64;
        if done == rows {
            break;
        }
    }
    let (bytes, summary) = builder.finish()?;
    println!(
        "{rows} rows, {} bytes of text a row, file {} bytes, footer {}, checksums {}, built in {:.2?}",
        text_bytes as u64 / rows,
        bytes.len(),
        summary.footer_len,
        summary.sections.last().map_or(0, |section| section.len),
        started.elapsed()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = OneObject::new(bytes);
    let started = Instant::now();
    let file =
        runtime.block_on(Superfile::open(store.clone(), "one.parquet", Some(Arc::new(summary))))?;
    println!("open: {:?} round trips and bytes, {:.2?}", store.spent(), started.elapsed());
    for columns in [&["text"][..], &["text", "n"]] {
        let (mut cold, mut spent, mut best) = (Vec::new(), Vec::new(), f64::MAX);
        for seed in 0..50u64 {
            let docs: Vec<u32> = (0..10).map(|i| (mix(seed * 100 + i) % rows) as u32).collect();
            let started = Instant::now();
            runtime.block_on(file.rows(&docs, columns))?;
            let took = started.elapsed().as_secs_f64() * 1e3;
            cold.push(took);
            best = best.min(took);
            spent.push(store.spent());
        }
        cold.sort_by(f64::total_cmp);
        let rounds = spent.iter().map(|spent| spent.0).max().unwrap_or(0);
        let most = spent.iter().map(|spent| spent.1).max().unwrap_or(0);
        let mean = spent.iter().map(|spent| spent.1).sum::<u64>() / spent.len() as u64;
        println!(
            "10 rows of {columns:?}: {rounds} round trips, {mean} bytes (most {most}), median {:.2} ms, best {best:.2} ms",
            cold[cold.len() / 2]
        );
    }
    Ok(())
}

const WARM_ROWS: usize = 60_000;
const WARM_DIM: usize = 128;

fn warm(input: &str, column: &str) -> Result<(), Box<dyn Error>> {
    let item = Field::new("item", DataType::Float32, true);
    let schema = Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("vector", DataType::FixedSizeList(Arc::new(item), WARM_DIM as i32), true),
    ]);
    let text = TextIndex {
        column: "text".into(),
        analyzer: "standard-v1".into(),
        positions: true,
        stored: true,
    };
    let vector = VectorIndex {
        column: "vector".into(),
        dim: WARM_DIM as u32,
        metric: Metric::Cosine,
        rerank: RerankCodec::Sq8Residual,
        target_recall_millis: 950,
        stored: true,
    };
    let schema = table_schema(
        &schema,
        IndexSet { text: vec![text], vectors: vec![vector], key: Vec::new() },
    )?;
    let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default())?;
    let mut first = 0;
    for input in read(input)? {
        let texts = cast(input.column_by_name(column).ok_or("no such column")?, &DataType::Utf8)?;
        let len = texts.len().min(WARM_ROWS - first);
        let items: Float32Array = (first * WARM_DIM..(first + len) * WARM_DIM)
            .map(|i| {
                mix(i as u64) as f32 / u64::MAX as f32 - 0.5 + (i / WARM_DIM % 97) as f32 / 97.0
            })
            .collect();
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let vectors = FixedSizeListArray::new(item, WARM_DIM as i32, Arc::new(items), None);
        let columns: Vec<ArrayRef> = vec![texts.slice(0, len), Arc::new(vectors)];
        builder.push(&batch(&schema, 1 + first as u128, columns))?;
        first += len;
    }
    let (bytes, summary) = builder.finish()?;
    println!("{first} rows, file {} bytes", bytes.len());
    let summary = Arc::new(summary);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let memory = OneObject::new(bytes);
        let options = CacheOptions { memory_bytes: 1 << 30, ..CacheOptions::default() };
        let cached =
            Arc::new(CachedStore::new(memory.clone() as Arc<dyn Store>, Cache::open(&options)?));
        let plain =
            Superfile::open(memory.clone(), "one.parquet", Some(Arc::clone(&summary))).await?;
        let through = Superfile::open(cached.clone(), "one.parquet", Some(summary)).await?;
        for kind in ["text", "vector", "rows"] {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..12 {
                for query in 0..40 {
                    for (file, times) in [&plain, &through].into_iter().zip(&mut times) {
                        let started = Instant::now();
                        query_once(file, kind, query).await?;
                        // The first rounds fill the cache.
                        if round > 3 {
                            times.push(started.elapsed().as_secs_f64() * 1e6);
                        }
                    }
                }
            }
            times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
            let [memory, cached] = times.map(|times| (times[times.len() / 4], times[times.len() / 2]));
            println!(
                "{kind}: memory {:.0} us (quartile {:.0}), through the cache {:.0} ({:.0}), ratio {:.2} ({:.2})",
                memory.1, memory.0, cached.1, cached.0, cached.1 / memory.1, cached.0 / memory.0
            );
        }
        println!("{:?}", cached.cache().stats());
        Ok(())
    })
}

async fn query_once(file: &Superfile, kind: &str, query: u64) -> Result<(), Box<dyn Error>> {
    const WORDS: [&str; 10] = [
        "quantum", "learning", "galaxy", "network", "theory", "spin", "model", "dark", "graph",
        "field",
    ];
    match kind {
        "text" => {
            let word = |salt: u64| WORDS[(mix(query * 3 + salt) % 10) as usize];
            let text = [word(0), word(1), word(2)].join(" ");
            let reader = file.text().await?;
            let query = Query::matching("text", &text, Operator::Or);
            let prepared = file.run_text(reader.prepare(&query)?).await?;
            let stats = CorpusStats::of(&reader, &prepared);
            file.run_text(reader.search(&prepared, &stats, 10, None, None)?).await?;
        }
        "vector" => {
            let vector: Vec<f32> = (0..WARM_DIM as u64)
                .map(|i| mix(query * 999 + i) as f32 / u64::MAX as f32)
                .collect();
            let params = SearchParams { k: 10, ..Default::default() };
            let index = file.vector(2).await?;
            file.run_vector(2, index.search(&vector, &params, None)?).await?;
        }
        _ => {
            let docs: Vec<u32> =
                (0..10).map(|i| (mix(query * 50 + i) % WARM_ROWS as u64) as u32).collect();
            file.rows(&docs, &["text"]).await?;
        }
    }
    Ok(())
}
