//! The cells: each builds what it needs, asks, and puts its figure beside another.

mod cold;
mod commit;
mod search;
mod sql;

use std::time::Instant;

use infino::{Connection, Error, IndexSpec, Metric, Supertable};

use crate::corpus::{self, DIM};
use crate::measure::{Cell, peak_mib};

/// Rows handed to the writer at once.
const BATCH: usize = 10_000;

/// Runs the wanted cells over a table of `rows` rows on disk.
pub(crate) async fn run(
    rows: usize,
    delay_ms: u64,
    trace: bool,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    if wanted("cold") {
        cells.extend(cold::cells(rows, delay_ms, trace).await?);
    }
    if !["ingest", "text", "vector", "filtered", "hybrid", "sql"].into_iter().any(wanted) {
        if wanted("commit") {
            cells.extend(commit::cells().await?);
        }
        return Ok(cells);
    }
    let folder = Folder::new();
    let db = infino::connect(folder.uri()).await?;
    let (table, ingest) = ingest(&db, rows, rows).await?;
    if wanted("ingest") {
        cells.extend(ingest);
    }
    for (name, cell) in [("text", search::Kind::Text), ("vector", search::Kind::Vector)] {
        if wanted(name) {
            cells.extend(search::cells(&table, cell).await?);
        }
    }
    if wanted("filtered") {
        cells.extend(search::filtered(&table).await?);
    }
    if wanted("hybrid") {
        cells.extend(search::hybrid(&table).await?);
    }
    if wanted("sql") {
        cells.extend(sql::cells(&db, &table, folder.uri()).await?);
    }
    if wanted("commit") {
        cells.extend(commit::cells().await?);
    }
    Ok(cells)
}

/// A table of generated rows, committed every so many, and what it cost to make.
async fn ingest(
    db: &Connection,
    rows: usize,
    commit_rows: usize,
) -> Result<(Supertable, Vec<Cell>), Error> {
    let index =
        IndexSpec::new().fts("body").keyword("tag").vector("embedding", DIM, Metric::Cosine);
    let table = db.create_table("bench", corpus::schema(), index).await?;
    let mut writer = table.writer()?;
    let (mut seconds, mut text, mut input) = (0.0, 0, 0);
    for from in (0..rows).step_by(BATCH) {
        let (batch, bytes) = corpus::rows(from, BATCH.min(rows - from));
        text += bytes;
        input += batch.get_array_memory_size();
        let start = Instant::now();
        writer.append(&batch).await?;
        if (from + BATCH) % commit_rows < BATCH {
            std::mem::replace(&mut writer, table.writer()?).commit().await?;
        }
        seconds += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    writer.commit().await?;
    seconds += start.elapsed().as_secs_f64();
    let disk: u64 = table.files().await?.iter().map(|file| file.bytes).sum();
    let cells = vec![
        Cell::new("ingest/text", text as f64 / 1e6 / seconds, "MB/s"),
        Cell::new("ingest/rows", rows as f64 / seconds, "rows/s"),
        Cell::new("ingest/disk", disk as f64 / 1e6, "MB")
            .beside("text and vectors given", input as f64 / 1e6),
        Cell::new("ingest/peak", peak_mib(), "MiB"),
    ];
    Ok((table, cells))
}

/// A folder for the run, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("infino-bench-{}", std::process::id()));
        Self(path)
    }

    fn uri(&self) -> &str {
        self.0.to_str().expect("temporary folders have names in UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
