//! Fences: what garbage collection needs to know that no writer can still name an old object.
//!
//! A fence begins a new epoch. A change is staged in the epoch of a head read before its first object was put, and is
//! committed in that epoch or the next, never later. So an object that was put before an epoch began, and that no head
//! names after the *next* one began, can never be named: no clock but the store's own is compared.

use std::sync::Arc;

use bytes::Bytes;
use infino_format::head::{FENCES_MAX, Fence};
use infino_format::{CommitId, Head};
use infino_storage::StorageError;

use crate::error::WalError;
use crate::log::{Current, Inner, Log, State};
use crate::swap::backoff;

/// How often the store's clock is asked again because the object that was to tell it was collected.
const TRIES_MAX: u32 = 4;

/// What a fence keeps.
#[derive(Debug, Clone, Copy)]
pub struct FenceOptions {
    /// Versions that were the newest this long ago or later stay open, in milliseconds of the store's clock.
    pub retention_ms: u64,
    /// No fence is set while the last one is younger than this: the time a writer surely has to commit what it put.
    pub interval_ms: u64,
    /// This version and later ones stay open whatever their age.
    pub keep_from: u64,
}

impl Log {
    /// Begins a new epoch and lets go of versions past their retention; the head then tells the collector what it may
    /// take. Nothing happens if the last fence is too young.
    ///
    /// # Errors
    /// [`WalError::Storage`] if the store fails; the fence may then stand or not, and asking again does no harm.
    pub async fn fence(&self, options: FenceOptions) -> Result<Arc<Head>, WalError> {
        let inner = &self.inner;
        let now = inner.store_now().await?;
        let mut state = inner.state.lock().await;
        let fenced = inner
            .swap_until(&mut state, |current| {
                let last = current.head.fences.last();
                let young =
                    |fence: &Fence| fence.store_ms.saturating_add(options.interval_ms) > now;
                (!last.is_some_and(young)).then(|| fenced(&current.head, now, options))
            })
            .await?;
        Ok(fenced.head)
    }
}

/// `head` after a fence at `now`.
fn fenced(head: &Head, now: u64, options: FenceOptions) -> Head {
    let mut next = head.clone();
    next.epoch += 1;
    next.fences.push(Fence { store_ms: now, version: head.version, floor: head.floor });
    let past = |fence: &&Fence| fence.store_ms.saturating_add(options.retention_ms) <= now;
    let past = next.fences.iter().filter(past);
    let superseded = past.map(|fence| fence.version).max().unwrap_or(0);
    next.floor = superseded.min(options.keep_from).max(head.floor);
    next.fences.last_mut().expect("pushed above").floor = next.floor;
    if next.fences.len() > FENCES_MAX {
        // The newest two decide what may be collected; of the others the one that tells least gives way.
        let gap =
            |i: &usize| next.fences[i + 1].store_ms.saturating_sub(next.fences[i - 1].store_ms);
        let least = (1..next.fences.len() - 2).min_by_key(gap).expect("there are many");
        next.fences.remove(least);
    }
    next
}

impl Inner {
    /// The store's clock: when it says it took an object that was just put.
    async fn store_now(&self) -> Result<u64, WalError> {
        let mut tries = 0;
        loop {
            let path = self.path(&format!("gc/{}", CommitId::new()));
            self.store.put(&path, Bytes::from_static(b"now")).await?;
            match self.store.head(&path).await {
                Ok(info) => {
                    // What is left behind is garbage like any other.
                    let _ = self.store.delete(&path).await;
                    return Ok(info.modified_ms);
                }
                // Whoever sleeps between the two may find that a collector took it for garbage.
                Err(StorageError::NotFound { .. }) if tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Swaps in what `next` makes of the newest head, again after every lost race, until it makes nothing.
    pub(crate) async fn swap_until(
        &self,
        state: &mut State,
        mut next: impl FnMut(&Current) -> Option<Head>,
    ) -> Result<Current, WalError> {
        self.settle_pending(state).await?;
        let mut current = self.refresh().await?;
        for attempt in 0..self.options.attempts_max {
            let Some(mut head) = next(&current) else { return Ok(current) };
            head.commit = CommitId::new();
            state.pending = Some(self.pending(&current, head, Vec::new())?);
            if let Some(won) = self.settle_pending(state).await? {
                return Ok(won);
            }
            backoff(&self.options, attempt).await;
            current = self.refresh().await?;
        }
        let (path, attempts) = (self.head_path.clone(), self.options.attempts_max);
        Err(WalError::Contention { path, attempts })
    }

    /// Moves the head without changing what it says, so that every swap still on its way is lost.
    pub(crate) async fn swap_same(&self, state: &mut State) -> Result<Current, WalError> {
        let before = self.current().head.swap;
        self.swap_until(state, |current| {
            (current.head.swap <= before).then(|| (*current.head).clone())
        })
        .await
    }
}
