//! Fresh rows become a superfile in storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use infino_manifest::Entry;

use crate::maintain::compact;
use crate::{Table, TableError};

/// Lots of fresh rows at which they are sealed whatever their size: each is a file that every query looks into.
const LOTS_MAX: usize = 128;

/// Living rows of a superfile that sealing writes.
const ROWS_MAX: u64 = 1_000_000;

/// What sealing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Lots of fresh rows that are in superfiles now.
    pub lots: usize,
    /// Their living rows.
    pub rows: u64,
    /// Superfiles that they became.
    pub superfiles: usize,
}

/// Whether this handle is sealing in the background.
#[derive(Debug, Default)]
pub(crate) struct Sealing(AtomicBool);

impl Table {
    /// Puts the rows that are still in the log into superfiles; they keep their ids, and no version shows one twice or
    /// not at all. Lots that another process seals at the same time are left to it.
    ///
    /// # Errors
    /// Storage and build errors; what was committed before stays.
    pub async fn seal(&self) -> Result<SealReport, TableError> {
        let snapshot = self.refresh().await?;
        let fresh = snapshot.entries.iter().filter(|entry| entry.built.is_some());
        let mut groups: Vec<Vec<Arc<Entry>>> = Vec::new();
        let mut rows = 0;
        for entry in fresh {
            rows += entry.live_rows();
            if groups.is_empty() || rows > ROWS_MAX {
                groups.push(Vec::new());
                rows = entry.live_rows();
            }
            groups.last_mut().expect("pushed above").push(entry.clone());
        }
        let mut report = SealReport::default();
        for group in groups {
            match compact::replace(self, &snapshot, &group).await {
                Ok(merged) => {
                    report.lots += group.len();
                    report.rows += group.iter().map(|entry| entry.live_rows()).sum::<u64>();
                    report.superfiles += usize::from(merged.is_some());
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    /// Seals and folds in a task of its own if either is due and this handle is not at it already.
    pub(crate) fn keep_in_shape(&self) {
        let snapshot = self.snapshot();
        let options = &self.inner.options;
        let seal = options.seal_bytes > 0
            && (snapshot.fresh_bytes() >= options.seal_bytes || snapshot.fresh.len() >= LOTS_MAX);
        let head = self.inner.log.current().head;
        if !seal && !infino_wal::tail::wants_fold(&head) {
            return;
        }
        if self.inner.sealing.0.swap(true, Ordering::AcqRel) {
            return;
        }
        let table = self.clone();
        tokio::spawn(async move {
            let _done = Done(table.clone());
            // The rows are durable and searchable whatever becomes of this; the next insert tries again.
            if seal && let Err(error) = table.seal().await {
                tracing::warn!(%error, "sealing fresh rows failed");
            }
            table.checkpoint_if_due().await;
        });
    }
}

/// Lets the next insert begin again, however the task ended.
struct Done(Table);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.inner.sealing.0.store(false, Ordering::Release);
    }
}
