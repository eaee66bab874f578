//! Does a store keep the promises that commits rest on?
//!
//! Some stores answer a conditional write with success and ignore its condition; some compare and then write, with a gap
//! between in which another write is lost. Both would lose acknowledged commits. [`probe`] asks a store directly, by about
//! 170 small requests, when a table is created or first opened for writing.

use std::ops::Range;

use bytes::Bytes;
use futures::future::join_all;
use uuid::Uuid;

use crate::{StorageError, Store, Swap, Tag};

/// Writers that race for one object, and how often. A store that checks and then writes lets two of eight win nearly every
/// time, less often where the machine is so busy that they set out one after another; all races together do not miss it.
const RACERS: usize = 8;
const RACES: usize = 8;

/// How often an answer that settles nothing is asked for again.
const ATTEMPTS: usize = 5;

/// Checks that `store` keeps its promises, with objects of its own under `.probe/` that it removes again.
///
/// In order: a created object is not created twice; a swap from a stale tag, or of an absent object, changes nothing; of
/// several racing writers exactly one wins, creating and replacing; what was written is listed; ranges are exact.
///
/// # Errors
/// `Unfit` if a promise is broken, naming it; `Denied` if the store cannot be written; `Unavailable` and the rest if it
/// could not be asked.
pub async fn probe(store: &dyn Store) -> Result<(), StorageError> {
    let run = Probe { store, folder: format!(".probe/{}", Uuid::new_v4().simple()) };
    let outcome = run.all().await;
    run.clean().await;
    outcome
}

struct Probe<'a> {
    store: &'a dyn Store,
    folder: String,
}

impl Probe<'_> {
    async fn all(&self) -> Result<(), StorageError> {
        self.creates_once().await?;
        self.refuses_stale_swaps().await?;
        for race in 0..RACES {
            self.one_of_many_wins(race).await?;
        }
        self.lists_and_reads_ranges().await
    }

    fn name(&self, object: &str) -> String {
        format!("{}/{object}", self.folder)
    }

    fn unfit(&self, problem: &str) -> StorageError {
        StorageError::Unfit {
            store: self.store.uri().to_owned(),
            problem: format!(
                "{problem}, so commits would be lost; use a store with conditional writes (S3, Azure, Google, a local disk)"
            ),
        }
    }

    async fn creates_once(&self) -> Result<(), StorageError> {
        let name = self.name("created");
        let first = self.swapped(&name, None, "first").await?;
        if first.is_none() {
            return Err(self.unfit("it refuses to create an object that is not there"));
        }
        if self.swapped(&name, None, "second").await?.is_some() {
            return Err(self.unfit("it lets an object that exists be created again"));
        }
        self.expect(&name, "first", "it overwrote an object whose creation it refused").await?;
        Ok(())
    }

    async fn refuses_stale_swaps(&self) -> Result<(), StorageError> {
        let name = self.name("swapped");
        let lost = || self.unfit("it refuses to replace an object by its current tag");
        let old = self.swapped(&name, None, "one").await?.ok_or_else(lost)?;
        let new = self.swapped(&name, Some(&old), "two").await?.ok_or_else(lost)?;
        if old == new {
            return Err(self.unfit("it gives two contents one tag"));
        }
        let stale = "it replaces an object although its tag has changed";
        if self.swapped(&name, Some(&old), "three").await?.is_some() {
            return Err(self.unfit(stale));
        }
        let read = self.expect(&name, "two", stale).await?;
        if read != new {
            return Err(self.unfit("reading an object gives another tag than writing it gave"));
        }
        if self.store.get_if_changed(&name, &new).await?.is_some()
            || self.store.get_if_changed(&name, &old).await?.is_none()
        {
            return Err(self.unfit("it cannot tell a changed object from an unchanged one"));
        }
        if self.swapped(&self.name("absent"), Some(&old), "x").await?.is_some() {
            return Err(self.unfit("it replaces an object that is not there"));
        }
        Ok(())
    }

    /// Races first to create an object, then to replace it.
    async fn one_of_many_wins(&self, race: usize) -> Result<(), StorageError> {
        let name = self.name(&format!("raced-{race}"));
        let mut expected = None;
        for round in ["created", "replaced"] {
            let texts: Vec<_> = (0..RACERS).map(|racer| format!("{round} by {racer}")).collect();
            let swaps = texts
                .iter()
                .map(|text| self.store.swap(&name, expected.as_ref(), Bytes::from(text.clone())));
            let mut winners = Vec::new();
            for (text, swap) in texts.iter().zip(join_all(swaps).await) {
                match swap {
                    Swap::Done(tag) => winners.push((text, tag)),
                    Swap::Lost | Swap::Unclear(_) => {}
                }
            }
            if winners.len() > 1 {
                return Err(self.unfit("of several writers at once more than one won"));
            }
            let (found, tag) = match self.store.get(&name).await {
                Ok(found) => found,
                // Every request failed, so nothing is known and nothing is wrong.
                Err(StorageError::NotFound { .. }) if winners.is_empty() => return Ok(()),
                Err(error) => return Err(error),
            };
            if let Some((text, won)) = winners.first()
                && (found != text.as_bytes() || tag != *won)
            {
                return Err(self.unfit("the writer that won a race is not the one that is read"));
            }
            expected = Some(tag);
        }
        Ok(())
    }

    async fn lists_and_reads_ranges(&self) -> Result<(), StorageError> {
        let name = self.name("ranges");
        let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
        self.store.put(&name, Bytes::from(bytes.clone())).await?;
        let listed = self.store.list(&self.folder).await?;
        if !listed.iter().any(|info| info.path == name && info.len == bytes.len() as u64) {
            return Err(self.unfit("an object that was just written is not listed"));
        }
        let ranges: [Range<u64>; 3] = [0..1, 1000..3000, 4095..4096];
        let read = self.store.get_ranges(&name, &ranges).await?;
        let exact = ranges
            .iter()
            .zip(&read)
            .all(|(range, read)| bytes[range.start as usize..range.end as usize] == read[..]);
        if read.len() != ranges.len() || !exact {
            return Err(self.unfit("reading a range gives other bytes than were written there"));
        }
        Ok(())
    }

    /// Swaps until the answer is clear: the new tag, or `None` if the object is not as expected.
    async fn swapped(
        &self,
        name: &str,
        expected: Option<&Tag>,
        text: &'static str,
    ) -> Result<Option<Tag>, StorageError> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.store.swap(name, expected, Bytes::from_static(text.as_bytes())).await {
                Swap::Done(tag) => return Ok(Some(tag)),
                Swap::Lost => {}
                Swap::Unclear(error) if error.is_retryable() => last = Some(error),
                Swap::Unclear(error) => return Err(error),
            }
            // Both may be the answer to an earlier delivery of this very write: the object tells.
            match self.store.get(name).await {
                Ok((found, tag)) if found == text.as_bytes() => return Ok(Some(tag)),
                Ok((_, tag)) if Some(&tag) == expected => {}
                Ok(_) => return Ok(None),
                Err(StorageError::NotFound { .. }) if expected.is_some() => return Ok(None),
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    async fn expect(&self, name: &str, text: &str, broken: &str) -> Result<Tag, StorageError> {
        let (found, tag) = self.store.get(name).await?;
        if found == text.as_bytes() { Ok(tag) } else { Err(self.unfit(broken)) }
    }

    /// Best effort: what stays behind is small, and collected with the other orphans.
    async fn clean(&self) {
        let Ok(left) = self.store.list(&self.folder).await else { return };
        join_all(left.iter().map(|info| self.store.delete(&info.path))).await;
    }
}

#[cfg(test)]
mod tests;
