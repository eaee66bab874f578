//! Rows staged for a commit, and what was committed.
//!
//! A commit carries the token `infino-import:FINGERPRINT:RUN:ROWS`: which sources, which run of the command, and how many
//! of their rows are in the table with it. `--resume` looks for the newest one of the same sources and skips so many rows.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arrow::array::{Array, Float64Array, RecordBatch, StringArray};
use infino::{Supertable, Writer};

use super::feed::Chunk;
use crate::{
    CliError, args,
    inspect::unsigned,
    output::{self, Format},
    settings::Settings,
    stopwatch::{count, duration},
};

const TOKEN: &str = "infino-import";
/// Versions that `--resume` looks back on.
const HISTORY_MAX: usize = 100_000;
const COMMIT_MB: u32 = 256;
/// Rows that are merged by key are held in memory until their commit.
const COMMIT_MB_KEYED: u32 = 64;

/// What an import has done to its table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) commits: u64,
    first_version: u64,
    last_version: u64,
    /// Rows that came in, those in the place of others included.
    rows: u64,
    updated: u64,
    files: u64,
    /// Rows of the sources that are in the table, those that an earlier run put there included.
    pub(super) rows_read: u64,
    resumed: u64,
}

impl Tally {
    /// What was committed, in a line.
    pub(super) fn committed(&self, table: &str) -> String {
        let commits = if self.commits == 1 { "commit" } else { "commits" };
        let versions = match self.first_version == self.last_version {
            true => format!("version {}", self.last_version),
            false => format!("versions {} to {}", self.first_version, self.last_version),
        };
        let (rows, n) = (count(self.rows), self.commits);
        format!("{rows} rows were committed to {table:?} in {n} {commits}, {versions}")
    }

    /// Writes what an import did that came to its end.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        table: &str,
        took: Duration,
        bytes: u64,
        settings: &Settings,
    ) -> std::io::Result<()> {
        let rate = bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9);
        if settings.output() != Format::Table {
            let batch = RecordBatch::try_from_iter([
                ("table", Arc::new(StringArray::from(vec![table])) as Arc<dyn Array>),
                ("rows", unsigned(vec![self.rows])),
                ("updated", unsigned(vec![self.updated])),
                ("commits", unsigned(vec![self.commits])),
                ("version", unsigned(vec![self.last_version])),
                ("bytes_read", unsigned(vec![bytes])),
                ("seconds", Arc::new(Float64Array::from(vec![took.as_secs_f64()]))),
            ]);
            let batch = batch.map_err(output::into_io)?;
            return output::write(out, &[batch], settings.output());
        }
        if self.resumed > 0 {
            writeln!(out, "{} rows were there from an earlier run", count(self.resumed))?;
        }
        if self.commits == 0 {
            return writeln!(out, "no rows to add to {table:?}");
        }
        let replaced = match self.updated {
            0 => String::new(),
            updated => format!(", {} of them in the place of others", count(updated)),
        };
        writeln!(
            out,
            "{}{replaced}, {} files, in {}: {rate:.1} MB/s",
            self.committed(table),
            count(self.files),
            duration(took)
        )
    }
}

/// Stages rows and commits them in lots.
pub(super) struct Lots {
    table: Supertable,
    /// Whether rows take the place of those with their key.
    merges: bool,
    commit_bytes: usize,
    /// The token of a commit, but for the rows.
    token: Option<String>,
    /// Rows at the start of the sources that an earlier run committed.
    skip: u64,
    /// Rows of the sources that came so far.
    read: u64,
    writer: Option<Writer>,
    staged_bytes: usize,
    tally: Tally,
}

impl Lots {
    /// Lots for `table`, of sources with the fingerprint `print`.
    pub(super) async fn new(
        args: &args::Import,
        table: &Supertable,
        print: Option<String>,
    ) -> Result<Self, CliError> {
        let merges = !table.indexes().key.is_empty() && !args.append;
        let usual = if merges { COMMIT_MB_KEYED } else { COMMIT_MB };
        let commit_bytes = (args.commit_mb.unwrap_or(usual) as usize).saturating_mul(1_000_000);
        let skip = match (&print, args.resume) {
            (_, false) => 0,
            (None, true) => {
                return Err(CliError::Usage("standard input cannot be resumed".to_owned()));
            }
            (Some(print), true) => committed_before(table, print).await?,
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:x}-{:x}", since.as_nanos(), std::process::id());
        Ok(Self {
            table: table.clone(),
            merges,
            commit_bytes,
            token: print.map(|print| format!("{TOKEN}:{print}:{run}")),
            skip,
            read: 0,
            writer: None,
            staged_bytes: 0,
            tally: Tally { resumed: skip, rows_read: skip, ..Tally::default() },
        })
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// The rows of a chunk that no earlier run committed.
    pub(super) fn unread(&mut self, chunk: &Chunk) -> Option<RecordBatch> {
        let rows = chunk.batch.num_rows() as u64;
        let known = self.skip.saturating_sub(self.read).min(rows);
        self.read += rows;
        let known = usize::try_from(known).expect("no more than the rows of a batch");
        match chunk.batch.num_rows() - known {
            0 => None,
            left => Some(chunk.batch.slice(known, left)),
        }
    }

    /// Stages rows for the next commit.
    pub(super) async fn stage(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(self.table.writer()?),
        };
        match self.merges {
            true => writer.upsert(batch).await?,
            false => writer.append(batch).await?,
        }
        let bytes = batch.columns().iter().map(|column| {
            // Of a slice only what it shows counts.
            column.to_data().get_slice_memory_size().unwrap_or(0)
        });
        self.staged_bytes += bytes.sum::<usize>();
        Ok(())
    }

    /// Whether enough is staged.
    pub(super) fn is_full(&self) -> bool {
        self.staged_bytes >= self.commit_bytes
    }

    /// Commits what is staged.
    pub(super) async fn commit(&mut self) -> Result<(), CliError> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        self.staged_bytes = 0;
        if let Some(token) = &self.token {
            writer = writer.token(format!("{token}:{}", self.read));
        }
        let receipt = writer.commit().await?;
        let tally = &mut self.tally;
        if tally.commits == 0 {
            tally.first_version = receipt.version;
        }
        tally.commits += 1;
        tally.last_version = receipt.version;
        tally.rows += receipt.rows;
        tally.updated += receipt.updated;
        tally.files += receipt.superfiles as u64;
        tally.rows_read = self.read;
        Ok(())
    }
}

/// How many rows of the sources with this fingerprint are in the table.
async fn committed_before(table: &Supertable, print: &str) -> Result<u64, CliError> {
    let prefix = format!("{TOKEN}:{print}:");
    let versions = table.history(HISTORY_MAX).await?;
    let tokens = versions.iter().filter_map(|version| version.token.as_deref());
    let newest = tokens.filter_map(|token| token.strip_prefix(&prefix)).next();
    Ok(newest.and_then(|rest| rest.rsplit(':').next()?.parse().ok()).unwrap_or(0))
}
