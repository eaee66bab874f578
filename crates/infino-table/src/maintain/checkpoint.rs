//! The log folded into the manifest, so that heads stay short and opening stays cheap.

use std::time::Instant;

use infino_manifest::checkpoint;
use infino_wal::tail;

use crate::{Table, TableError, fresh};

impl Table {
    /// Folds the records since the last checkpoint into a new one; returns whether there was anything to fold.
    ///
    /// Losing the race to another fold is no error: the log is short then.
    ///
    /// # Errors
    /// Storage errors; the table is as it was, some objects may be garbage.
    pub async fn checkpoint(&self) -> Result<bool, TableError> {
        let inner = &self.inner;
        let started = Instant::now();
        let head = inner.log.refresh().await?.head;
        if head.checkpoint_version() == head.version {
            return Ok(false);
        }
        let snapshot = self.snapshot().advance(&*inner.store, &inner.root, &head).await?;
        let folded = checkpoint::fold(&*inner.store, &inner.root, &head, &snapshot).await?;
        inner.log.publish(&folded.checkpoint, folded.epoch).await?;
        tracing::debug!(
            version = head.version,
            objects = folded.objects,
            bytes = folded.bytes,
            "checkpoint"
        );
        let shown = fresh::show(inner, folded.snapshot).await?;
        inner.publish(shown, started);
        Ok(true)
    }

    /// Whether the log has grown so long that readers and writers would feel it.
    pub(crate) fn wants_fold(&self) -> bool {
        let current = self.inner.log.current();
        tail::wants_fold_within(&current.head, current.bytes.len())
    }

    /// Folds if the log has grown so long that readers and writers would feel it.
    pub(crate) async fn checkpoint_if_due(&self) {
        if !self.wants_fold() {
            return;
        }
        // The commit before it is durable whatever becomes of this; the next commit tries again.
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(%error, "a checkpoint failed");
        }
    }
}
