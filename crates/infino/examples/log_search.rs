//! Logs: lines that come in one by one are searchable at once, by words, level and time, and go when they are old.
//!
//! `cargo run --example log_search`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;
use std::time::Duration;

use infino::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use infino::arrow::util::pretty::print_batches;
use infino::{BackgroundOptions, IndexSpec, TextMode};

const HOUR_MS: i64 = 3_600_000;

#[tokio::main]
async fn main() -> Result<(), infino::Error> {
    let db = infino::connect("memory://").await?;
    let index = IndexSpec::new().fts_with("message", "code-v1").keyword("level").keyword("service");
    let logs = db.create_table("logs", line(0, "INFO", "api", "").schema(), index).await?;
    // Many small writes: files are merged and versions let go of while the process runs.
    logs.set_retention(Some(Duration::from_secs(600))).await?;
    let maintenance = logs.maintain_in_background(BackgroundOptions::default())?;

    for hour in 0..48 {
        let at = hour * HOUR_MS;
        logs.insert(line(at, "INFO", "api", &format!("GET /orders/{hour} took 12 ms"))).await?;
        if hour % 6 == 0 {
            logs.insert(line(
                at + 1,
                "ERROR",
                "billing",
                "connection refused by payment_gateway:443",
            ))
            .await?;
        }
    }

    // `code-v1` knows the parts of identifiers, so `gateway` finds `payment_gateway`.
    let recent = logs
        .bm25_search("message", "gateway refused", 5, &["at", "service", "message"])
        .mode(TextMode::All)
        .filter("level = 'ERROR' AND at >= arrow_cast(86400000, 'Timestamp(Millisecond, None)')")
        .await?;
    assert_eq!(recent[0].num_rows(), 4, "four of the eight errors are of the second day");
    print_batches(&recent)?;

    let by_level = db.query_sql("SELECT level, count(*) AS lines, max(at) AS newest FROM logs GROUP BY level ORDER BY level").await?;
    print_batches(&by_level)?;

    let old = logs.delete("at < arrow_cast(86400000, 'Timestamp(Millisecond, None)')").await?;
    logs.optimize().await?;
    println!(
        "{} lines of the first day are gone, {} are left",
        old.tombstoned,
        logs.count_rows().await?
    );
    drop(maintenance);
    Ok(())
}

fn line(at_ms: i64, level: &str, service: &str, message: &str) -> RecordBatch {
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![at_ms]));
    let columns = [
        ("at", at),
        ("level", text(level)),
        ("service", text(service)),
        ("message", text(message)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one row each")
}
