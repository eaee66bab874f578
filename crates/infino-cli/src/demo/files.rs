//! Where the files are, and how others open them.

use std::{io::Write, path::Path};

use super::{TABLE, Tour};
use crate::{
    CliError,
    stopwatch::{bytes, count},
};

/// Lists the table's files and gives the lines to paste into DuckDB and a shell.
pub(super) async fn show<W: Write>(tour: &mut Tour<'_, W>, uri: &str) -> Result<(), CliError> {
    let files = tour.table.files().await?;
    let total = bytes(files.iter().map(|file| file.bytes).sum());
    tour.headline(&format!("The files: {} of Parquet, {total}", files.len()))?;
    if uri.starts_with("memory:") {
        return tour.line("in memory, so they end with this demo: give a folder with --uri");
    }
    for file in files.iter().take(5) {
        let (size, rows) = (bytes(file.bytes), count(u64::from(file.rows)));
        tour.line(&format!("{size:>9} {rows:>9} rows  {}", file.path))?;
    }
    if files.len() > 5 {
        tour.line(&format!("… and {} more", files.len() - 5))?;
    }
    let folder = files.first().and_then(|file| file.path.rsplit_once('/')).map_or("", |(f, _)| f);
    let glob = format!("{}/{folder}/*.parquet", place(uri));
    tour.line("Any Parquet reader opens them; with DuckDB:")?;
    tour.line(&format!(
        "  duckdb -c \"SELECT crate, count(*) AS n FROM '{glob}' GROUP BY crate ORDER BY n DESC LIMIT 5\""
    ))?;
    let dead: u64 = files.iter().map(|file| file.dead_rows).sum();
    if dead > 0 {
        let dead = count(dead);
        tour.line(&format!(
            "It also sees the {dead} rows deleted or replaced here, until a compaction drops them."
        ))?;
    }
    tour.line("And with this command line:")?;
    let store =
        if uri == crate::settings::DEMO_STORE { String::new() } else { format!(" --uri {uri}") };
    let started = std::env::args_os().next().unwrap_or_else(|| "infino".into());
    let infino = started.to_string_lossy();
    tour.line(&format!("  {infino} search {:?}{store}", tour.query))?;
    tour.line(&format!(
        "  {infino} sql \"SELECT language, count(*) FROM {TABLE} GROUP BY language\"{store}"
    ))?;
    tour.line(&format!("  {infino} inspect {TABLE}{store}"))
}

/// The store as other programs name it: a folder as a path, anything else as the URI it is.
fn place(uri: &str) -> String {
    let path = uri.strip_prefix("file://").unwrap_or(uri).trim_end_matches('/');
    if path.contains("://") {
        return path.to_owned();
    }
    let absolute = std::path::absolute(Path::new(path));
    absolute.map_or(path.to_owned(), |path| path.display().to_string())
}
