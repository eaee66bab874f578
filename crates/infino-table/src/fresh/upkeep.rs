//! Rows come in faster than they are put away: what is done beside them, and when they have to wait for it.
//!
//! Sealing and folding go on in tasks of their own, one of each a handle, and neither waits for the other: a fold keeps the
//! log short while a slow seal is at work. Only where inserts have outrun them by far do they wait.

use std::sync::Arc;

use infino_manifest::Snapshot;
use infino_wal::tail;
use tokio::sync::Mutex;

use crate::{Table, TableError};

/// Lots of fresh rows at which they are sealed whatever their size: each is a file that every query looks into.
const LOTS_MAX: usize = 128;

/// Inserts wait for a seal when this many times what makes one due is waiting,
const BEHIND_MAX: u64 = 8;

/// and for a fold when the tail of the log has this many segments, well before it can take no more.
const SEGMENTS_BEHIND_MAX: usize = tail::TAIL_SEGMENTS_MAX / 4;

/// Held by whoever seals or folds for this handle.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    sealing: Arc<Mutex<()>>,
    folding: Arc<Mutex<()>>,
}

impl Table {
    /// Seals and folds in tasks of their own if either is due and this handle is not at it already. The rows are durable and
    /// searchable whatever becomes of that; the next insert tries again.
    pub(crate) fn keep_in_shape(&self) {
        let upkeep = &self.inner.upkeep;
        if self.is_behind(&self.snapshot(), 1)
            && let Ok(sealing) = upkeep.sealing.clone().try_lock_owned()
        {
            let table = self.clone();
            tokio::spawn(async move {
                let _sealing = sealing;
                if let Err(error) = table.seal().await {
                    tracing::warn!(%error, "sealing fresh rows failed");
                }
            });
        }
        if self.wants_fold()
            && let Ok(folding) = upkeep.folding.clone().try_lock_owned()
        {
            let table = self.clone();
            tokio::spawn(async move {
                let _folding = folding;
                table.checkpoint_if_due().await;
            });
        }
    }

    /// Waits while rows that are not put away yet are so many that readers, or the log, could not bear more of them.
    ///
    /// # Errors
    /// Storage and build errors: then rows cannot be put away.
    pub(crate) async fn catch_up(&self) -> Result<(), TableError> {
        if tail::segments(&self.inner.log.current().head.tail) >= SEGMENTS_BEHIND_MAX {
            let _folding = self.inner.upkeep.folding.lock().await;
            // Whoever held it may have done it.
            if tail::segments(&self.inner.log.current().head.tail) >= SEGMENTS_BEHIND_MAX {
                self.checkpoint().await?;
            }
        }
        if self.is_behind(&self.snapshot(), BEHIND_MAX) {
            let _sealing = self.inner.upkeep.sealing.lock().await;
            if self.is_behind(&*self.refresh().await?, BEHIND_MAX) {
                self.seal().await?;
            }
        }
        Ok(())
    }

    /// Whether so many `times` of what makes a seal due is waiting.
    fn is_behind(&self, snapshot: &Snapshot, times: u64) -> bool {
        let due = self.inner.options.seal_bytes;
        due > 0
            && (snapshot.fresh_bytes() >= due.saturating_mul(times)
                || snapshot.fresh.len() as u64 >= LOTS_MAX as u64 * times)
    }
}
