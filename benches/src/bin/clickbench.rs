//! The 43 statements of ClickBench over real rows: the answers beside DuckDB's, the times beside plain DataFusion's.
//!
//! ```sh
//! cargo run --release -p infino-bench --features table --bin clickbench -- DIR [ROUNDS]
//! ```
//!
//! `DIR` holds `hits_9580.typed.parquet`, `queries.sql` and `expected/` with a CSV file a statement and what of it is
//! determined. DataFusion reads the very superfile that infino wrote.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use infino::arrow::array::RecordBatch;
use infino::arrow::compute::concat_batches;
use infino::arrow::util::display::{ArrayFormatter, FormatOptions};
use infino::datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use infino::{ConnectOptions, Connection, IndexSpec};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(dir) = args.next() else {
        eprintln!("usage: clickbench DIR [ROUNDS]");
        return ExitCode::FAILURE;
    };
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    match run(Path::new(&dir), rounds).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("{wrong} answers differ");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(dir: &Path, rounds: usize) -> Result<usize, Failure> {
    let place = std::env::temp_dir().join(format!("infino-clickbench-{}", std::process::id()));
    let outcome = compare(dir, &place, rounds).await;
    let _ = std::fs::remove_dir_all(&place);
    outcome
}

async fn compare(dir: &Path, place: &Path, rounds: usize) -> Result<usize, Failure> {
    let source = dir.join("hits_9580.typed.parquet");
    let reader = SessionContext::new();
    let source = source.to_str().ok_or("a path that is no text")?;
    let rows = reader.read_parquet(source, ParquetReadOptions::default()).await?.collect().await?;
    let rows = concat_batches(&rows[0].schema(), &rows)?;
    let uri = place.to_str().ok_or("a path that is no text")?;
    // With one thread all rows are in one file, and DataFusion reads that one.
    let db = infino::connect_with(uri, ConnectOptions::new().threads(1)).await?;
    let hits = db.create_table("hits", rows.schema(), IndexSpec::new()).await?;
    hits.append(rows).await?;
    let files = hits.files().await?;
    let [file] = files.as_slice() else { return Err("the rows are in several files".into()) };
    let file = format!("{uri}/{}", file.path);

    let statements = std::fs::read_to_string(dir.join("queries.sql"))?;
    let manifest = std::fs::read_to_string(dir.join("expected/manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    let (mut wrong, mut logs) = (0, Vec::new());
    for (number, sql) in statements.lines().enumerate() {
        let expected = std::fs::read_to_string(dir.join(format!("expected/q{number:02}.csv")))?;
        let stability = manifest[number]["stability"].as_str().unwrap_or_default();
        let answer = db.query_sql(sql).await?;
        let verdict = judge(&table(&answer)?, &expected, stability);
        wrong += usize::from(verdict == "differs");
        let (ours, theirs) = times(&db, &file, sql, rounds).await?;
        logs.push((ours / theirs).ln());
        if verdict == "differs" {
            println!("found {:?}\nnot   {:?}", table(&answer)?, records(&expected));
        }
        println!("q{number:02} {verdict:<8} {ours:9.0} µs, {:.2} × DataFusion's", ours / theirs);
    }
    let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    println!(
        "geometric mean {mean:.3} × plain DataFusion on the same file, {wrong} answers differ"
    );
    let first = first_two(uri, &file, statements.lines().collect(), rounds).await?;
    println!("the first two statements of a session: {first:.3} × plain DataFusion");
    Ok(wrong)
}

/// A session of DataFusion alone over the file, which finds names in the case they are written in.
async fn plain(file: &str) -> Result<SessionContext, Failure> {
    let as_written =
        SessionConfig::new().set_bool("datafusion.sql_parser.enable_ident_normalization", false);
    let plain = SessionContext::new_with_config(as_written);
    plain.register_parquet("hits", file, ParquetReadOptions::default()).await?;
    Ok(plain)
}

/// Best of some rounds of each, in turns.
async fn times(
    db: &Connection,
    file: &str,
    sql: &str,
    rounds: usize,
) -> Result<(f64, f64), Failure> {
    let plain = plain(file).await?;
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..=rounds {
        let start = Instant::now();
        db.query_sql(sql).await?;
        ours = ours.min(start.elapsed().as_secs_f64() * 1e6);
        let start = Instant::now();
        // DataFusion knows this function of DuckDB's by another name.
        plain.sql(&sql.replace("STRLEN(", "octet_length(")).await?.collect().await?;
        theirs = theirs.min(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok((ours, theirs))
}

/// Opening and the first two statements, against registering the file and the same.
async fn first_two(
    uri: &str,
    file: &str,
    statements: Vec<&str>,
    rounds: usize,
) -> Result<f64, Failure> {
    let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
    for _ in 0..rounds.max(3) {
        let start = Instant::now();
        let db = infino::connect(uri).await?;
        for sql in &statements[..2] {
            db.query_sql(*sql).await?;
        }
        ours = ours.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let plain = plain(file).await?;
        for sql in &statements[..2] {
            plain.sql(sql).await?.collect().await?;
        }
        theirs = theirs.min(start.elapsed().as_secs_f64());
    }
    Ok(ours / theirs)
}

/// The cells of an answer.
fn table(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, Failure> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        // `_id` is not of the data.
        let own = batch.schema_ref().fields().iter().zip(batch.columns());
        let own = own.filter(|(field, _)| field.name() != "_id");
        let columns = own.map(|(_, column)| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    Ok(rows)
}

fn judge(found: &[Vec<String>], expected: &str, stability: &str) -> &'static str {
    let mut truth: Vec<Vec<String>> = records(expected).into_iter().skip(1).collect();
    let mut found = found.to_vec();
    if stability.starts_with("ties") {
        return if found.len() == truth.len() { "(ties)" } else { "differs" };
    }
    // What is called exact has rows with equal keys too.
    if !stability.starts_with("exact") || !alike_rows(&found, &truth) {
        truth.sort();
        found.sort();
    }
    if alike_rows(&found, &truth) { "equal" } else { "differs" }
}

fn alike_rows(found: &[Vec<String>], truth: &[Vec<String>]) -> bool {
    let alike_row = |(a, b): (&Vec<String>, &Vec<String>)| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
    };
    found.len() == truth.len() && found.iter().zip(truth).all(alike_row)
}

/// The same text, number or time.
fn alike(ours: &str, theirs: &str) -> bool {
    if ours == theirs || ours.replace('T', " ") == theirs {
        return true;
    }
    match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

/// The records of a CSV file, quotes taken off.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records
}
