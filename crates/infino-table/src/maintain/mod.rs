//! Keeping a table in shape: fewer, fuller files; a short log; no garbage.
//!
//! Each step is a call of its own, and [`Table::optimize`] is all of them; [`background::Maintenance`] runs them now and then.

pub mod background;
mod checkpoint;
pub mod cluster;
pub(crate) mod compact;
mod merge;
mod plan;
mod relocate;

use std::time::Duration;

use infino_manifest::gc::{self, GcOptions, GcReport};
use infino_wal::FenceOptions;

use self::cluster::{ClusterOptions, ClusterReport};
pub(crate) use self::merge::Rows;
use crate::{Table, TableError, versions};

/// A writer has at least this long to commit the files that it put, unless `optimize` is told to keep less.
const WRITER_TIME_MS: u64 = 15 * 60 * 1000;

/// How long versions are kept if neither the table nor the caller says.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// What [`Table::compact`] merges.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactOptions {
    /// Rows of a full superfile; files of at least half of it are left alone unless many of their rows are dead.
    pub rows_target: u64,
    /// Bytes of a full superfile.
    pub bytes_target: u64,
    /// A file with a larger share of dead rows is rewritten.
    pub dead_share_max: f64,
    /// Files of like size that are worth a merge. With 2 whatever is small is merged; more write less often, and are
    /// what suits a table that is written all the time.
    pub tier_files_min: usize,
    /// Most files of one merge.
    pub files_max: usize,
    /// Bytes that reading the inputs of a merge may take, beside what building its output does.
    pub memory_bytes: u64,
    /// Merges after which to stop; the next call goes on.
    pub groups_max: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            rows_target: 1_000_000,
            bytes_target: 1 << 30,
            dead_share_max: 0.1,
            tier_files_min: 2,
            files_max: 4096,
            memory_bytes: 256 << 20,
            groups_max: usize::MAX,
        }
    }
}

/// What [`Table::compact`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Merges committed.
    pub groups: usize,
    /// Groups left as they were because a writer changed them meanwhile; the next run takes them.
    pub groups_skipped: usize,
    /// Superfiles that were merged or rewritten.
    pub superfiles_removed: usize,
    /// Superfiles they became.
    pub superfiles_added: usize,
    /// Dead rows that are gone.
    pub rows_reclaimed: u64,
    /// Bytes of the superfiles that went out.
    pub bytes_read: u64,
    /// Bytes of those that came in.
    pub bytes_written: u64,
}

/// What [`Table::maintain`] does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaintainOptions {
    /// What is merged.
    pub compact: CompactOptions,
    /// By which columns rows are divided among files afterwards, if they are.
    pub cluster: Option<ClusterOptions>,
    /// How long versions are kept; the table's own retention if `None`, [`RETENTION`] if it has none.
    pub keep: Option<Duration>,
}

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
    /// Seals fresh rows, merges small superfiles, rewrites those with many dead rows, folds the log into the checkpoint, and removes objects
    /// that no version of the last `keep` needs.
    ///
    /// Safe beside readers and writers: each merge is one commit that gives way to a writer who touched the same files.
    ///
    /// # Errors
    /// Storage and build errors; what was committed before stays.
    pub async fn optimize(&self, keep: Duration) -> Result<OptimizeReport, TableError> {
        let options = MaintainOptions { keep: Some(keep), ..MaintainOptions::default() };
        self.maintain(&options).await
    }

    /// [`Table::optimize`] as told.
    ///
    /// # Errors
    /// As [`Table::optimize`].
    pub async fn maintain(&self, options: &MaintainOptions) -> Result<OptimizeReport, TableError> {
        self.seal().await?;
        let compacted = self.compact(&options.compact).await?;
        let clustered = match &options.cluster {
            Some(options) => self.cluster(options).await?,
            None => ClusterReport::default(),
        };
        self.checkpoint().await?;
        let collected = self.collect(options.keep).await?;
        Ok(OptimizeReport {
            superfiles_removed: compacted.superfiles_removed + clustered.superfiles_removed,
            superfiles_added: compacted.superfiles_added + clustered.superfiles_added,
            rows_reclaimed: compacted.rows_reclaimed,
            groups_skipped: compacted.groups_skipped + clustered.groups_skipped,
            objects_removed: collected.deleted,
            bytes_removed: collected.deleted_bytes,
            version: self.refresh().await?.version,
        })
    }

    /// Removes objects that no version of the last `keep`, and no tag, needs; `None` is the table's own retention, or
    /// [`RETENTION`].
    ///
    /// An object goes once two calls, at least a writer's time apart, have seen that nothing names it: not in this run, in
    /// a later one.
    ///
    /// # Errors
    /// Storage errors, or `Manifest` if anything that is kept cannot be found: then nothing more is deleted.
    pub async fn collect(&self, keep: Option<Duration>) -> Result<GcReport, TableError> {
        let inner = &self.inner;
        let keep = match keep {
            Some(keep) => keep,
            None => versions::retention(&*self.refresh().await?).unwrap_or(RETENTION),
        };
        let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let interval_ms = keep_ms.min(WRITER_TIME_MS);
        let fence = FenceOptions { retention_ms: keep_ms, interval_ms, keep_from: u64::MAX };
        inner.log.fence(fence).await?;
        let options = GcOptions { grace_ms: interval_ms, dry_run: false };
        Ok(gc::collect(&*inner.store, &inner.root, options).await?)
    }
}
