//! How long a commit takes in a growing table: `commits [COMMITS] [URI [KEY=VALUE ...]]`.
//!
//! Commits one row at a time, prints the median of every hundredth of the commits, folds left out and apart.
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use infino_format::schema::{IndexSet, TextIndex};
use infino_storage::{StoreOptions, connect};
use infino_table::{Runtime, Table, TableOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let commits: usize = args.next().map_or(Ok(10_000), |count| count.parse())?;
    let uri = args.next().unwrap_or_else(|| "memory://commits".to_owned());
    let mut options = StoreOptions::new();
    for pair in args {
        let (key, value) = pair.split_once('=').ok_or("options are KEY=VALUE")?;
        options = options.with(key, value);
    }
    let store = connect(&uri, &options)?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("body", DataType::Utf8, true),
    ]));
    let body = TextIndex {
        column: "body".into(),
        analyzer: "standard-v1".into(),
        positions: false,
        stored: true,
    };
    let indexes = IndexSet { text: vec![body], ..IndexSet::default() };
    let stored = infino_superfile::table_schema(&schema, indexes)?;
    let root = format!("commits-{}", std::process::id());
    let table =
        Table::create(store, &root, stored, Runtime::new(0)?, TableOptions::default()).await?;
    let mut times = Vec::with_capacity(commits);
    for n in 0..commits {
        let columns: Vec<Arc<dyn arrow::array::Array>> = vec![
            Arc::new(Int64Array::from(vec![n as i64])),
            Arc::new(StringArray::from(vec![format!("row number {n} of many")])),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        let began = Instant::now();
        let mut writer = table.writer();
        writer.append(&batch).await?;
        writer.commit().await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let window = 100.min(commits);
    let median = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        (
            times[times.len() / 2],
            times.iter().sum::<f64>() / times.len() as f64,
            times[times.len() - 1],
        )
    };
    let step = (commits / window / 10).max(1);
    for (at, part) in times.chunks(window).enumerate().filter(|(at, _)| at % step == 0) {
        let (middle, mean, most) = median(part);
        println!(
            "from {:>6}: median {middle:.3} ms, mean {mean:.3} ms, most {most:.3} ms",
            at * window
        );
    }
    let (first, last) = (median(&times[..window]).0, median(&times[commits - window..]).0);
    println!("last {window} against the first {window}: {:.2} x", last / first);
    Ok(())
}
