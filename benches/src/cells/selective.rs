//! Conditions that few of many unsorted rows pass, beside DataFusion's scan of the same files.

use std::sync::Arc;

use infino::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use infino::arrow::util::pretty::pretty_format_batches;
use infino::datafusion::prelude::{ParquetReadOptions, SessionContext};
use infino::{ConnectOptions, Connection, Error, IndexSpec};

use crate::corpus::{Random, word, zipf};
use crate::measure::{Cell, median_us};

const BATCH: usize = 50_000;

/// Rows in no order: a number, a value that ten rows share, a path, a few words.
fn batch(from: usize, count: usize, of: usize) -> RecordBatch {
    let mut random = Random(from as u64 ^ 0x5e1ec7);
    let mut number = || (random.next() % of as u64) as i64;
    let numbers: Vec<i64> = (0..count).map(|_| number()).collect();
    let mut random = Random(from as u64 ^ 0x7e47);
    let text = |numbers: &[i64]| {
        let words = |_: &i64| (0..8).map(|_| word(zipf(&mut random))).collect::<Vec<_>>().join(" ");
        numbers.iter().map(words).collect::<Vec<_>>()
    };
    let bodies = text(&numbers);
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from(numbers.clone())) as _),
        (
            "sku",
            Arc::new(StringArray::from_iter_values(
                numbers.iter().map(|n| format!("sku-{}", n / 10)),
            )) as _,
        ),
        (
            "path",
            Arc::new(StringArray::from_iter_values(
                numbers.iter().map(|n| format!("/{}/{}", n % 5000, n)),
            )) as _,
        ),
        ("body", Arc::new(StringArray::from(bodies)) as _),
    ])
    .expect("columns of one length")
}

pub(crate) async fn cells(folder: &str, rows: usize) -> Result<Vec<Cell>, Error> {
    // No row set is remembered: each statement asks the indexes.
    let options = ConnectOptions::new().filter_cache_bytes(0);
    let db = infino::connect_with(folder, options).await?;
    let index = IndexSpec::new().keyword("sku").keyword("path").fts("body");
    let table = db.create_table("wide", batch(0, 1, rows).schema(), index).await?;
    let mut writer = table.writer()?;
    for from in (0..rows).step_by(BATCH) {
        writer.append(&batch(from, BATCH.min(rows - from), rows)).await?;
    }
    writer.commit().await?;
    let plain = SessionContext::new();
    let first = table.files().await?.remove(0);
    let data = first.path.rsplit_once('/').map_or("", |(data, _)| data).to_owned();
    let data = format!("{folder}/{data}/");
    plain.register_parquet("wide", data, ParquetReadOptions::default()).await?;
    // A word that few texts hold.
    let rare = word(150_000);
    let matching = format!("match(body, '{rare}')");
    let like = format!("concat(' ', body, ' ') LIKE '% {rare} %'");
    let conditions = [
        ("equal", "sku = 'sku-77'", "sku = 'sku-77'"),
        ("in", "sku IN ('sku-1', 'sku-2', 'sku-9')", "sku IN ('sku-1', 'sku-2', 'sku-9')"),
        ("prefix", "path LIKE '/77/%'", "path LIKE '/77/%'"),
        ("match", matching.as_str(), like.as_str()),
    ];
    let mut cells = Vec::new();
    for (name, ours, theirs) in conditions {
        for what in ["n, sku", "count(*)"] {
            let asked = format!("SELECT {what} FROM wide WHERE {ours}");
            let scan = format!("SELECT {what} FROM wide WHERE {theirs}");
            let label = if what == "n, sku" { "rows" } else { "count" };
            let found = median_us(async || db.query_sql(&asked).await).await?;
            let scanned = median_us(async || plain.sql(&scan).await?.collect().await).await?;
            let cell = Cell::new(format!("selective/{name} {label}"), found, "µs");
            cells.push(cell.beside("DataFusion's scan", scanned));
            let bytes = bytes_read(&db, &asked).await?;
            let total: u64 = table.files().await?.iter().map(|file| file.bytes).sum();
            let cell =
                Cell::new(format!("selective/{name} {label} read"), bytes, "bytes of columns");
            cells.push(cell.beside("all bytes", total as f64));
        }
    }
    for sql in ["SELECT count(*) FROM wide", "SELECT min(n), max(n) FROM wide"] {
        cells.push(Cell::new(
            format!("selective/{sql} read"),
            bytes_read(&db, sql).await?,
            "bytes of columns",
        ));
    }
    Ok(cells)
}

/// Bytes of columns that a statement reads.
async fn bytes_read(db: &Connection, sql: &str) -> Result<f64, Error> {
    let plan = db.query_sql(format!("EXPLAIN ANALYZE {sql}")).await?;
    let shown = pretty_format_batches(&plan)?.to_string();
    let column = plan[0].column(1).as_string_opt::<i32>();
    let text = column.map_or(shown, |text| text.iter().flatten().collect());
    let unit = |text: &str| match text.trim_start().chars().next() {
        Some('K') => 1e3,
        Some('M') => 1e6,
        Some('G') => 1e9,
        _ => 1.0,
    };
    let of = |rest: &str| {
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse::<f64>().unwrap_or(0.0) * unit(&rest[digits.len()..])
    };
    Ok(text.split("bytes_scanned=").skip(1).map(of).sum())
}
