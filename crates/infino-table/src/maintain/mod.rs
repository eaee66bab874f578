//! Keeping a table in shape: fewer, fuller files; a short log; no garbage.

mod compact;
mod merge;
mod plan;

use std::time::Duration;

use infino_manifest::gc;

use crate::{Table, TableError};

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
    /// Objects that nothing names any more, removed.
    pub objects_removed: u64,
    /// The version after it.
    pub version: u64,
}

impl Table {
    /// Merges small superfiles, rewrites those with many dead rows, folds the log into the checkpoint, and removes objects
    /// that no version within `keep` needs.
    ///
    /// Safe beside readers and writers: each merge is one commit that gives way to a writer who touched the same files.
    ///
    /// # Errors
    /// Storage and build errors; what was committed before stays.
    pub async fn optimize(&self, keep: Duration) -> Result<OptimizeReport, TableError> {
        let mut report = compact::run(self).await?;
        self.checkpoint().await?;
        let collected = gc::collect(&self.inner.store, &self.inner.root, &gc::Options { grace: keep, ..Default::default() });
        report.objects_removed = collected.await?.removed;
        report.version = self.refresh().await?.version;
        Ok(report)
    }
}
