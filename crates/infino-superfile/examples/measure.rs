//! Measures superfiles on real data.
//!
//! - `measure body INPUT.parquet OUTPUT.parquet LEVEL`: the same columns as a superfile without indexes, compressed with
//!   Zstandard at that level.
//! - `measure rows INPUT.parquet COLUMN ROWS`: ten rows by position from a file of `ROWS` rows of a text column, cold
//!   and warm; the texts of the input are repeated until they are enough.

#![allow(clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use infino_superfile::{Compression, Superfile, SuperfileBuilder, SuperfileOptions, table_schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use support::{OneObject, batch, mix};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["body", input, output, level] => body(input, output, level.parse()?),
        ["rows", input, column, count] => rows(input, column, count.parse()?),
        _ => Err("usage: measure body INPUT OUTPUT LEVEL | measure rows INPUT COLUMN ROWS".into()),
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
