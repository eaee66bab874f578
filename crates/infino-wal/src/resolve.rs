//! What became of a swap whose outcome the store did not tell.

use infino_format::head::WRITERS_MAX;
use infino_format::{CommitId, Head};

use crate::error::WalError;
use crate::log::{Current, Inner, Log, Resolved, State};
use crate::swap::{Pending, Settled};

impl Log {
    /// What became of a commit, whoever made it. `Absent` is said only after the head has moved once more, so that no
    /// request still on its way can land; a writer that is alive may of course try again.
    ///
    /// # Errors
    /// [`WalError::Unknown`] if the store still gives no clear answer.
    pub async fn resolve(&self, commit: CommitId) -> Result<Resolved, WalError> {
        let inner = &self.inner;
        let mut state = inner.state.lock().await;
        inner.settle_pending(&mut state).await.map_err(|_| WalError::Unknown(commit))?;
        let before = inner.refresh().await?;
        if let Some(version) = inner.find(&before.head, commit, before.head.floor - 1).await? {
            return Ok(Resolved::Committed { version });
        }
        let after = inner.swap_same(&mut state).await?;
        Ok(match inner.find(&after.head, commit, before.head.version).await? {
            Some(version) => Resolved::Committed { version },
            None => Resolved::Absent,
        })
    }
}

impl Inner {
    /// Settles the swap that is still open, if any. `Some` if it is done, with a head that holds it; `None` if there was
    /// none or it is lost for good. After an error it is still open, or, if none is pending, was refused.
    pub(crate) async fn settle_pending(
        &self,
        state: &mut State,
    ) -> Result<Option<Current>, WalError> {
        let Some(pending) = &mut state.pending else { return Ok(None) };
        let known = self.current();
        // Marked before it is sent: whoever waits for this may stop waiting at any point.
        let first = !std::mem::replace(&mut pending.sent, true);
        let won = match pending.settle(first, &*self.store, &self.head_path, &self.options).await {
            Settled::Won(current) => {
                self.advance(&current);
                Some(current)
            }
            Settled::Moved(current) => {
                self.not_rewound(&known, &current)?;
                let won = self.holds(&current.head, pending).await?;
                self.advance(&current);
                won.then_some(current)
            }
            Settled::Open(error) => return Err(error.into()),
            Settled::Refused(error) => {
                state.pending = None;
                return Err(error.into());
            }
        };
        state.pending = None;
        Ok(won)
    }

    /// Whether `head`, a later one than `pending` expects, descends from what it sent.
    async fn holds(&self, head: &Head, pending: &Pending) -> Result<bool, WalError> {
        let Some(last) = pending.records.last() else {
            // A fold or a fence: its own swap decides from the head whether it is still needed.
            return Ok(false);
        };
        if let Some(mark) = head.writers.iter().find(|mark| mark.writer == self.writer) {
            return Ok(mark.seq >= last.writer_seq);
        }
        if head.writers.len() < WRITERS_MAX {
            // No writer's mark has given way yet: this one has committed nothing.
            return Ok(false);
        }
        Ok(self.find(head, last.commit, last.version - 1).await?.is_some())
    }

    /// The version that `commit` made, if it is one after `from`.
    async fn find(
        &self,
        head: &Head,
        commit: CommitId,
        from: u64,
    ) -> Result<Option<u64>, WalError> {
        if let Some(mark) = head.writers.iter().find(|mark| mark.commit == commit) {
            return Ok(Some(mark.version));
        }
        if from >= head.version {
            return Ok(None);
        }
        let records = self.since(head, from).await?;
        Ok(records.iter().find(|record| record.commit == commit).map(|record| record.version))
    }
}
