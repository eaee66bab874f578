//! Whole files: an object of which much was read is read to its end, behind the caller's back.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::cached::CachedStore;
use super::sieve::Key;
use super::{Cache, count, locked};
use crate::StorageError;

/// Objects whose reads are remembered.
pub(super) const OBJECTS_MAX: u64 = 4096;

/// Less than this read of an object does not say that the rest will be.
const READ_MIN: u64 = 1 << 20;

/// What is read at once of an object that is promoted.
const WINDOW_BYTES: u64 = 4 << 20;

/// An object takes no more than this part of the tier it is promoted to.
const TIER_PART: u64 = 8;

/// How much of an object was read from the store.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    read: u64,
    /// Once it was asked for.
    len: Option<u64>,
    /// It is under way, done, or never to be.
    settled: bool,
}

impl Cache {
    /// Notes that so many bytes of an object came from the store; whether it is time to look at the whole of it.
    fn has_read(&self, object: u128, bytes: u64) -> bool {
        if self.promote_percent == 0 {
            return false;
        }
        let mut progress = locked(&self.progress);
        let key = Key::block(object, 0);
        let mut known = progress.get(&key).copied().unwrap_or_default();
        known.read += bytes;
        let is_enough = |len: u64| {
            u128::from(known.read) * 100 >= u128::from(len) * u128::from(self.promote_percent)
        };
        let begins = !known.settled && known.read >= READ_MIN && known.len.is_none_or(is_enough);
        known.settled |= begins;
        drop(progress.insert(key, known, 1));
        begins
    }

    /// Notes an object's length; `false` if too little of it was read yet, so that more reads may settle it later.
    fn is_worth_promoting(&self, object: u128, len: u64) -> bool {
        let mut progress = locked(&self.progress);
        let key = Key::block(object, 0);
        let mut known = progress.get(&key).copied().unwrap_or_default();
        let enough =
            u128::from(known.read) * 100 >= u128::from(len) * u128::from(self.promote_percent);
        let fits = len <= self.largest_tier() / TIER_PART;
        known.len = Some(len);
        known.settled = enough || !fits;
        drop(progress.insert(key, known, 1));
        enough && fits
    }
}

impl CachedStore {
    /// Notes a read of the store, and if that was enough of the object begins to read the rest.
    pub(super) fn note_read(&self, path: &str, object: u128, bytes: u64) {
        if !self.cache.has_read(object, bytes) {
            return;
        }
        let (store, path) = (self.clone(), path.to_owned());
        tokio::spawn(async move {
            // Nobody waits for it: what fails is read when it is asked for.
            if let Err(error) = store.promote(&path, object).await {
                tracing::debug!(path, %error, "a file was not read whole");
            }
        });
    }

    async fn promote(&self, path: &str, object: u128) -> Result<(), StorageError> {
        let len = self.inner.head(path).await?.len;
        if self.cache.is_worth_promoting(object, len) {
            self.fill(path, 0..len).await?;
            count(&self.cache.counts.promoted, 1);
        }
        Ok(())
    }

    /// Reads what the cache lacks of a part of an object.
    pub(super) async fn fill(&self, path: &str, part: Range<u64>) -> Result<(), StorageError> {
        let mut at = part.start;
        while at < part.end {
            let end = (at + WINDOW_BYTES).min(part.end);
            let blocks = self.blocks(std::slice::from_ref(&(at..end)));
            drop(self.load(path, &blocks).await?);
            at = end;
        }
        Ok(())
    }

    /// Keeps an object that was just written, as far as it fits: what is written is read soon.
    pub(super) fn keep_written(&self, path: &str, source: Written) {
        let (cache, object) = (Arc::clone(&self.cache), self.object(path));
        if !cache.warm_on_put || source.len() > cache.largest_tier() / TIER_PART {
            return;
        }
        cache.keep_object(object, source);
    }
}

/// The bytes of an object that was written.
pub(super) enum Written {
    Memory(Bytes),
    /// Open since before it was written, so that it may be removed meanwhile.
    File(File, u64),
}

impl Written {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// The next block, copied, so that it keeps nothing else in memory; `None` at the end.
    pub(super) fn block(&mut self, at: u64, size: u64) -> std::io::Result<Option<Bytes>> {
        let len = size.min(self.len().saturating_sub(at)) as usize;
        if len == 0 {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::Memory(bytes) => Bytes::copy_from_slice(&bytes[at as usize..at as usize + len]),
            Self::File(file, _) => {
                let mut block = vec![0; len];
                file.read_exact(&mut block)?;
                block.into()
            }
        }))
    }
}
