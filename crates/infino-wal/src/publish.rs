//! Publishing a checkpoint: one swap that anybody may do and that loses cleanly.

use std::sync::Arc;

use infino_format::Head;
use infino_format::list::CheckpointRef;

use crate::error::WalError;
use crate::log::Log;
use crate::tail;

/// How publishing a checkpoint ended.
#[derive(Debug, Clone)]
pub enum Published {
    /// The head names it.
    Done(Arc<Head>),
    /// Another fold was published first; what this one wrote is garbage.
    Superseded(Arc<Head>),
}

impl Log {
    /// Makes `checkpoint`, whose objects were put in `epoch`, the table's newest. The version stays what it is.
    ///
    /// # Errors
    /// [`WalError::Storage`] if the store gave no clear answer: the checkpoint may be the newest or not, and nothing that
    /// it names may be deleted.
    pub async fn publish(
        &self,
        checkpoint: &CheckpointRef,
        epoch: u64,
    ) -> Result<Published, WalError> {
        self.replace_checkpoint(checkpoint, epoch, |head| {
            let number = head.checkpoint.as_ref().map_or(0, |newest| newest.number);
            number + 1 == checkpoint.number && checkpoint.version > head.checkpoint_version()
        })
        .await
    }

    /// As [`Log::publish`], in place of a checkpoint of which something cannot be read any more; the two may be of one
    /// version.
    ///
    /// # Errors
    /// As [`Log::publish`].
    pub async fn bypass(
        &self,
        damaged: &CheckpointRef,
        checkpoint: &CheckpointRef,
        epoch: u64,
    ) -> Result<Published, WalError> {
        self.replace_checkpoint(checkpoint, epoch, |head| {
            head.checkpoint.as_ref() == Some(damaged)
                && damaged.number + 1 == checkpoint.number
                && damaged.version <= checkpoint.version
        })
        .await
    }

    async fn replace_checkpoint(
        &self,
        checkpoint: &CheckpointRef,
        epoch: u64,
        follows: impl Fn(&Head) -> bool,
    ) -> Result<Published, WalError> {
        let inner = &self.inner;
        let mut state = inner.state.lock().await;
        let current = inner
            .swap_until(&mut state, |current| {
                let head = &current.head;
                let next = follows(head)
                    && checkpoint.version <= head.version
                    && epoch.saturating_add(1) >= head.epoch;
                next.then(|| Head {
                    checkpoint: Some(checkpoint.clone()),
                    tail: tail::after(&head.tail, checkpoint.version),
                    ..(**head).clone()
                })
            })
            .await?;
        let done = current.head.checkpoint.as_ref() == Some(checkpoint);
        Ok(if done { Published::Done(current.head) } else { Published::Superseded(current.head) })
    }
}
