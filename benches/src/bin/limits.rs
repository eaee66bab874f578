//! Many rows in little memory: ingests short texts with vectors, optimises, queries, and prints the curve of memory.
//!
//! `limits [--rows N] [--dim N] [--budget-mib N] [--store DIR]`: ten million rows of 128 dimensions within 4 GiB by default.
//! Ends with 1 if the peak was above the budget or an answer is wrong.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command line prints")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use infino::arrow::array::{
    ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use infino::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use infino::{ConnectOptions, IndexSpec, Metric};

/// Rows handed over at once, and rows of a commit.
const BATCH: usize = 10_000;
const COMMIT: usize = 250_000;

struct Options {
    rows: usize,
    dim: usize,
    budget_mib: u64,
    store: String,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("threads start");
    match parse().and_then(|options| runtime.block_on(run(&options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Options, Box<dyn Error>> {
    let store = std::env::temp_dir().join("infino-limits");
    let store = store.to_str().ok_or("the temporary folder has no name in UTF-8")?.to_owned();
    let mut options = Options { rows: 10_000_000, dim: 128, budget_mib: 4096, store };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--rows" => options.rows = value.parse()?,
            "--dim" => options.dim = value.parse()?,
            "--budget-mib" => options.budget_mib = value.parse()?,
            "--store" => options.store = value,
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    Ok(options)
}

/// SplitMix64.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A vector near one of a thousand centres, the same for the same row.
fn vector(row: u64, dim: usize) -> Vec<f32> {
    let unit = |n: u64| (mix(n) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
    let (centre, noise) = (mix(row) % 1000, row.wrapping_mul(1_000_003));
    let (centre, dims) = (centre * 7919, 0..dim as u64);
    dims.map(|i| unit(centre + i) + 0.5 * unit(noise.wrapping_add(i))).collect()
}

fn text(row: u64) -> String {
    let word = |i: u64| {
        let share = (mix(row * 31 + i) >> 11) as f64 / (1u64 << 53) as f64;
        format!("w{}", 50_000f64.powf(share) as u64)
    };
    format!("row{row} {}", (0..12).map(word).collect::<Vec<_>>().join(" "))
}

fn batch(from: usize, count: usize, dim: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let rows = from as u64..(from + count) as u64;
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let values: Vec<f32> = rows.clone().flat_map(|row| vector(row, dim)).collect();
    let values: ArrayRef = Arc::new(Float32Array::from(values));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64)))),
        ("body", Arc::new(StringArray::from_iter_values(rows.map(text)))),
        ("embedding", Arc::new(FixedSizeListArray::new(item, dim as i32, values, None))),
    ];
    let fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Resident memory now and at its peak, in MiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn shown(what: &str, began: Instant) {
    let (now, peak) = memory();
    println!(
        "{:>8.1} s  {now:>6} MiB now  {peak:>6} MiB peak  {what}",
        began.elapsed().as_secs_f64()
    );
}

async fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let Options { rows, dim, .. } = *options;
    let _ = std::fs::remove_dir_all(&options.store);
    let began = Instant::now();
    let db = infino::connect_with(&options.store, ConnectOptions::new()).await?;
    let first = batch(0, 1, dim)?;
    let spec = IndexSpec::new().fts("body").vector("embedding", dim, Metric::L2);
    let table = db.create_table("limits", first.schema(), spec).await?;
    for from in (0..rows).step_by(COMMIT) {
        let mut writer = table.writer()?;
        for at in (from..(from + COMMIT).min(rows)).step_by(BATCH) {
            writer.append(&batch(at, BATCH.min(rows - at), dim)?).await?;
        }
        writer.commit().await?;
        shown(&format!("{} rows in", (from + COMMIT).min(rows)), began);
    }
    table.optimize().await?;
    let files = table.files().await?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    shown(&format!("optimised: {} files, {} MB", files.len(), bytes / 1_000_000), began);
    let mut wrong = 0;
    for i in 0..20 {
        let row = mix(i) % rows as u64;
        let start = Instant::now();
        let text = table.bm25_search("body", &format!("row{row}"), 10, &["n"]).await?;
        let text_ms = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let near = table.vector_search("embedding", &vector(row, dim), 10, &["n"]).await?;
        let near_ms = start.elapsed().as_secs_f64() * 1e3;
        let first = |batches: &[RecordBatch]| {
            let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
            Some(batch.column_by_name("n")?.as_primitive::<Int64Type>().value(0) as u64)
        };
        if (first(&text), first(&near)) != (Some(row), Some(row)) {
            wrong += 1;
        }
        if i < 3 || i == 19 {
            shown(&format!("row {row}: text {text_ms:.1} ms, vector {near_ms:.1} ms"), began);
        }
    }
    let counted = db.query_sql("SELECT count(*) FROM limits WHERE n % 1000 = 7").await?;
    let counted = counted[0].column(0).as_primitive::<Int64Type>().value(0);
    let expected = (rows as i64 + 992) / 1000;
    let (_, peak) = memory();
    shown(&format!("{wrong} of 20 rows not found first, counted {counted} of {expected}"), began);
    let _ = std::fs::remove_dir_all(&options.store);
    println!("peak {peak} MiB of {} MiB", options.budget_mib);
    Ok(peak <= options.budget_mib && wrong <= 1 && counted == expected)
}
