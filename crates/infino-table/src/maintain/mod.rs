//! Keeping a table in shape: fewer, fuller files; a short log; no garbage.

mod checkpoint;
pub(crate) mod compact;
mod merge;
pub(crate) mod plan;
mod relocate;

use std::time::Duration;

use infino_manifest::gc::{self, GcOptions};
use infino_wal::FenceOptions;

use crate::{Table, TableError};

/// A writer has at least this long to commit the files that it put, unless `optimize` is told to keep less.
const WRITER_TIME_MS: u64 = 15 * 60 * 1000;

/// What [`Table::optimize`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptimizeReport {
    /// Superfiles that were merged or rewritten.
    pub superfiles_removed: usize,
    /// Superfiles they became.
    pub superfiles_added: usize,
    /// Dead rows that are gone.
    pub rows_reclaimed: u64,
    /// Groups left as they were because a writer changed them meanwhile; the next run takes them.
    pub groups_skipped: usize,
    /// Objects that no kept version names, removed.
    pub objects_removed: usize,
    /// Their bytes.
    pub bytes_removed: u64,
    /// The version after it.
    pub version: u64,
}

impl Table {
    /// Merges small superfiles, rewrites those with many dead rows, folds the log into the checkpoint, and removes objects
    /// that no version of the last `keep` needs.
    ///
    /// Safe beside readers and writers: each merge is one commit that gives way to a writer who touched the same files.
    ///
    /// # Errors
    /// Storage and build errors; what was committed before stays.
    pub async fn optimize(&self, keep: Duration) -> Result<OptimizeReport, TableError> {
        self.seal().await?;
        let mut report = compact::run(self).await?;
        self.checkpoint().await?;
        let inner = &self.inner;
        let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let interval_ms = keep_ms.min(WRITER_TIME_MS);
        inner
            .log
            .fence(FenceOptions { retention_ms: keep_ms, interval_ms, keep_from: u64::MAX })
            .await?;
        let options = GcOptions { grace_ms: interval_ms, dry_run: false };
        let collected = gc::collect(&*inner.store, &inner.root, options).await?;
        report.objects_removed = collected.deleted;
        report.bytes_removed = collected.deleted_bytes;
        report.version = self.refresh().await?.version;
        Ok(report)
    }
}
