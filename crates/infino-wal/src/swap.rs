//! One swap of the head, and what became of it.
//!
//! A store's yes is proof. Its no, and its silence, are questions that the head answers:
//! - it holds the bytes that were sent: the swap is done;
//! - its tag is the one that the swap expects: the same bytes are sent again, and if both requests land, they are one;
//! - its tag is another: the swap can never land any more, since every head's bytes, and so its tag, are unique. Whether
//!   it landed *before* the head moved on, the records since tell.

use std::time::Duration;

use bytes::Bytes;
use infino_format::{Head, Record};
use infino_storage::{StorageError, Store, Swap, Tag};

use crate::error::WalError;
use crate::log::{Current, LogOptions};

/// A swap that was sent, or is about to be.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// The tag it expects; `None` if it creates the head.
    pub(crate) expected: Option<Tag>,
    /// What it puts in place.
    pub(crate) head: Head,
    pub(crate) bytes: Bytes,
    /// The records that it adds.
    pub(crate) records: Vec<Record>,
    /// Whether it may have been sent, so that a refusal now says nothing about then.
    pub(crate) sent: bool,
}

/// How a swap ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The head is the one that was sent.
    Won(Current),
    /// The head is a later one; whether it descends from the one sent, its records tell.
    Moved(Current),
    /// The store does not say.
    Open(StorageError),
    /// The store would not take it, and it was never sent before: it did not happen and never will.
    Refused(StorageError),
}

impl Pending {
    pub(crate) fn new(
        path: &str,
        expected: Option<Tag>,
        head: Head,
        records: Vec<Record>,
    ) -> Result<Self, WalError> {
        let bytes = head.encode().map_err(WalError::corrupt(path))?.into();
        Ok(Self { expected, head, bytes, records, sent: false })
    }

    /// Sends the swap, for the `first` time or again, as often as it takes to know what became of it.
    pub(crate) async fn settle(
        &self,
        first: bool,
        store: &dyn Store,
        path: &str,
        options: &LogOptions,
    ) -> Settled {
        let mut asks = 0;
        loop {
            let unclear = match store.swap(path, self.expected.as_ref(), self.bytes.clone()).await {
                Swap::Done(tag) => return Settled::Won(self.won(tag)),
                Swap::Lost => None,
                Swap::Unclear(
                    error @ (StorageError::Denied { .. } | StorageError::Invalid { .. }),
                ) if asks == 0 && first => {
                    return Settled::Refused(error);
                }
                Swap::Unclear(error) => Some(error),
            };
            match &unclear {
                None => tracing::debug!(path, swap = self.head.swap, "a swap was lost, asking"),
                Some(error) => tracing::warn!(path, %error, "a swap is unclear, asking"),
            }
            let mut last = unclear;
            let answered = loop {
                match store.get(path).await {
                    Ok((bytes, tag)) if bytes == self.bytes => return Settled::Won(self.won(tag)),
                    Ok((_, tag)) if Some(&tag) == self.expected.as_ref() => break true,
                    Ok((bytes, tag)) => match Current::decode(path, bytes, tag) {
                        Ok(current) => return Settled::Moved(current),
                        Err(error) => last = Some(unreadable(path, &error)),
                    },
                    Err(StorageError::NotFound { .. }) if self.expected.is_none() => break true,
                    Err(error) => last = Some(error),
                }
                if asks >= options.asks_max {
                    break false;
                }
                backoff(options, asks).await;
                asks += 1;
            };
            if !answered || asks >= options.asks_max {
                return Settled::Open(last.unwrap_or_else(|| unchanged(path)));
            }
            backoff(options, asks).await;
            asks += 1;
        }
    }

    fn won(&self, tag: Tag) -> Current {
        Current { head: self.head.clone().into(), tag, bytes: self.bytes.clone() }
    }
}

fn unreadable(path: &str, error: &WalError) -> StorageError {
    StorageError::Unavailable {
        path: path.to_owned(),
        operation: "read after swap",
        problem: error.to_string(),
    }
}

fn unchanged(path: &str) -> StorageError {
    StorageError::Unavailable {
        path: path.to_owned(),
        operation: "swap",
        problem: "the store keeps refusing it and the object does not change".to_owned(),
    }
}

/// Waits longer each time, a random part of it, so that losers do not meet again.
pub(crate) async fn backoff(options: &LogOptions, tries: u32) {
    let most = options.backoff_min_ms.saturating_mul(1 << tries.min(16));
    let most = most.min(options.backoff_max_ms).max(1);
    let random = (options.random)();
    tokio::time::sleep(Duration::from_micros(500 * most + random % (500 * most))).await;
}
