//! A store seen through a cache.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::flight::{self, Pilot, Seat};
use super::promote::Written;
use super::sieve::Key;
use super::{Cache, WarmObject, WarmUp, count};
use crate::{ObjectInfo, StorageError, Store, Swap, Tag, source};

/// A range of more blocks than this is read past the cache: it is a scan, or its bounds are damaged.
const RANGE_BLOCKS_MAX: u64 = 4096;

/// A store whose ranges are answered from a [`Cache`] where that has them.
#[derive(Debug, Clone)]
pub struct CachedStore {
    pub(super) inner: Arc<dyn Store>,
    identity: Arc<str>,
    pub(super) cache: Arc<Cache>,
}

impl CachedStore {
    /// `inner`, seen through `cache`.
    pub fn new(inner: Arc<dyn Store>, cache: Arc<Cache>) -> Self {
        Self { identity: inner.identity().into(), inner, cache }
    }

    /// The cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Reads ranges into the cache: to have them near before they are asked for.
    ///
    /// # Errors
    /// As [`Store::get_ranges`].
    pub async fn warm(&self, path: &str, ranges: &[Range<u64>]) -> Result<(), StorageError> {
        self.get_ranges(path, ranges).await.map(drop)
    }

    pub(super) fn object(&self, path: &str) -> u128 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.identity.as_bytes());
        // No name holds it, so no two pairs look alike.
        hasher.update(&[0]);
        hasher.update(path.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        u128::from_le_bytes(first)
    }

    /// The blocks that `ranges` touch, each once, in order.
    pub(super) fn blocks(&self, ranges: &[Range<u64>]) -> Vec<u64> {
        let size = self.cache.block_bytes;
        let touched = ranges.iter().filter(|range| range.start < range.end);
        let mut blocks: Vec<_> =
            touched.flat_map(|range| range.start / size..=(range.end - 1) / size).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// The key of a range that spans blocks. The second time one is asked for it is kept put together as well: what two
    /// queries read a third often reads again, and copying it costs more than all else. Blocks that are then no longer
    /// read make room first.
    fn spanning(&self, object: u128, range: &Range<u64>) -> Option<Key> {
        let size = self.cache.block_bytes;
        let spans = range.start < range.end
            && range.start / size != (range.end - 1) / size
            && range.end - range.start <= self.cache.spanning_bytes_max;
        spans.then(|| Key { object, block: range.start, len: range.end - range.start })
    }

    /// The answer, if all of it is in memory in one piece a range: looked up under one lock, nothing copied.
    fn all_in_memory(&self, object: u128, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let size = self.cache.block_bytes;
        let mut memory = self.cache.memory();
        let mut answer = Vec::with_capacity(ranges.len());
        let mut hits = 0;
        for range in ranges.iter() {
            if range.is_empty() {
                answer.push(Bytes::new());
                continue;
            }
            let block = range.start / size;
            if block == (range.end - 1) / size {
                let (from, to) = (range.start - block * size, range.end - block * size);
                let bytes = memory.get(&Key::block(object, block))?;
                if to > bytes.len() as u64 {
                    return None;
                }
                hits += 1;
                answer.push(bytes.slice(from as usize..to as usize));
            } else {
                let bytes = memory.get(&self.spanning(object, range)?)?;
                hits += bytes.len().div_ceil(size as usize);
                answer.push(bytes.clone());
            }
        }
        drop(memory);
        count(&self.cache.counts.memory_hits, hits);
        Some(answer)
    }

    fn known(&self, object: u128, range: &Range<u64>) -> Option<Bytes> {
        let bytes = self.cache.in_memory(&self.spanning(object, range)?)?;
        count(
            &self.cache.counts.memory_hits,
            bytes.len().div_ceil(self.cache.block_bytes as usize),
        );
        Some(bytes)
    }

    fn remember(&self, object: u128, range: &Range<u64>, bytes: &Bytes) {
        if let Some(key) = self.spanning(object, range)
            && self.cache.was_seen(key)
        {
            self.cache.keep_in_memory(key, bytes);
        }
    }

    /// Every block of `numbers`, from memory, another's read, the disk, or the store.
    pub(super) async fn load(
        &self,
        path: &str,
        numbers: &[u64],
    ) -> Result<HashMap<u64, Bytes>, StorageError> {
        let (cache, object) = (&*self.cache, self.object(path));
        let mut found = HashMap::with_capacity(numbers.len());
        let (mut pilots, mut flights) = (Vec::new(), Vec::new());
        for &block in numbers {
            let key = Key::block(object, block);
            if let Some(bytes) = cache.in_memory(&key) {
                count(&cache.counts.memory_hits, 1);
                found.insert(block, bytes);
                continue;
            }
            match cache.flights.board(key) {
                Seat::Pilot(pilot) => match cache.in_memory(&key) {
                    // It landed between the look and the seat.
                    Some(bytes) => {
                        count(&cache.counts.memory_hits, 1);
                        found.insert(block, bytes);
                    }
                    None => pilots.push(pilot),
                },
                Seat::Passenger(flight) => flights.push((block, flight)),
            }
        }
        self.fly(path, pilots, &mut found).await?;
        let mut stranded = Vec::new();
        for (block, flight) in flights {
            match flight::landed(flight).await {
                Some(bytes) => {
                    count(&cache.counts.joined, 1);
                    found.insert(block, bytes);
                }
                None => stranded.push(block),
            }
        }
        if !stranded.is_empty() {
            // Whoever was to read these failed or was cancelled: read them here, for this caller alone.
            for (block, bytes) in self.fetch(path, &stranded).await? {
                found.insert(block, bytes);
            }
        }
        Ok(found)
    }

    /// Reads the blocks that nobody else is reading, and tells those who wait.
    async fn fly(
        &self,
        path: &str,
        pilots: Vec<Pilot<'_>>,
        found: &mut HashMap<u64, Bytes>,
    ) -> Result<(), StorageError> {
        if pilots.is_empty() {
            return Ok(());
        }
        let cache = &*self.cache;
        let mut on_disk = cache.on_disk(pilots.iter().map(Pilot::key).collect()).await;
        count(&cache.counts.disk_hits, on_disk.len());
        let missing: Vec<_> = pilots
            .iter()
            .map(Pilot::key)
            .filter(|key| !on_disk.contains_key(key))
            .map(|key| key.block)
            .collect();
        let mut fetched: HashMap<_, _> = match missing.is_empty() {
            true => HashMap::new(),
            false => self.fetch(path, &missing).await?.into_iter().collect(),
        };
        for pilot in pilots {
            let key = pilot.key();
            let bytes = match (on_disk.remove(&key), fetched.remove(&key.block)) {
                (Some(bytes), _) => bytes,
                (None, Some(bytes)) => {
                    cache.keep_on_disk(key, &bytes);
                    bytes
                }
                (None, None) => continue,
            };
            cache.keep_in_memory(key, &bytes);
            found.insert(key.block, bytes.clone());
            pilot.land(bytes);
        }
        Ok(())
    }

    /// Reads blocks from the store, neighbours as one range.
    async fn fetch(&self, path: &str, numbers: &[u64]) -> Result<Vec<(u64, Bytes)>, StorageError> {
        let size = self.cache.block_bytes;
        let mut runs: Vec<Range<u64>> = Vec::new();
        for &block in numbers {
            match runs.last_mut() {
                Some(run) if run.end == block => run.end = block + 1,
                _ => runs.push(block..block + 1),
            }
        }
        let ranges: Vec<_> =
            runs.iter().map(|run| run.start * size..run.end.saturating_mul(size)).collect();
        let read = self.inner.get_clipped(path, &ranges).await?;
        count(&self.cache.counts.misses, numbers.len());
        let bytes = read.iter().map(|bytes| bytes.len() as u64).sum();
        self.note_read(path, self.object(path), bytes);
        let mut blocks = Vec::with_capacity(numbers.len());
        for (run, bytes) in runs.into_iter().zip(read) {
            for block in run.clone() {
                let start = ((block - run.start) * size).min(bytes.len() as u64) as usize;
                let end = (start + size as usize).min(bytes.len());
                // A copy where the run is longer, so that one block does not keep all of them in memory.
                let block_bytes = match end - start == bytes.len() {
                    true => bytes.clone(),
                    false => Bytes::copy_from_slice(&bytes[start..end]),
                };
                blocks.push((block, block_bytes));
            }
        }
        Ok(blocks)
    }

    /// The bytes of `range` out of its blocks.
    fn assemble(
        &self,
        path: &str,
        range: &Range<u64>,
        blocks: &HashMap<u64, Bytes>,
    ) -> Result<Bytes, StorageError> {
        let size = self.cache.block_bytes;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let part = |block: u64| {
            let bytes = blocks.get(&block)?;
            let from = range.start.max(block * size) - block * size;
            let to = (range.end - block * size).min(size);
            (to <= bytes.len() as u64).then(|| bytes.slice(from as usize..to as usize))
        };
        let short = || {
            let got = "an object that ends before".to_owned();
            source::not_exact(path, range, got)
        };
        let (first, last) = (range.start / size, (range.end - 1) / size);
        if first == last {
            return part(first).ok_or_else(short);
        }
        let mut whole = BytesMut::with_capacity((range.end - range.start) as usize);
        for block in first..=last {
            whole.extend_from_slice(&part(block).ok_or_else(short)?);
        }
        Ok(whole.freeze())
    }
}

#[async_trait]
impl Store for CachedStore {
    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn identity(&self) -> String {
        self.identity.to_string()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        self.inner.get(path).await
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        self.inner.get_if_changed(path, known).await
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let longest = RANGE_BLOCKS_MAX * self.cache.block_bytes;
        let is_cached = |range: &Range<u64>| {
            range.start <= range.end
                && range.end - range.start <= longest
                && range.end <= i64::MAX as u64
        };
        if !ranges.iter().all(is_cached) {
            return self.inner.get_ranges(path, ranges).await;
        }
        crate::path::check(path)?;
        let object = self.object(path);
        if let Some(answer) = self.all_in_memory(object, ranges) {
            return Ok(answer);
        }
        let known: Vec<_> = ranges.iter().map(|range| self.known(object, range)).collect();
        let missing: Vec<_> = ranges
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(range, _)| range.clone())
            .collect();
        let blocks = match self.load(path, &self.blocks(&missing)).await {
            // Of blocks, which nobody asked for: the store names the range.
            Err(StorageError::Range { .. }) => return self.inner.get_ranges(path, ranges).await,
            blocks => blocks?,
        };
        let answer = ranges.iter().zip(known).map(|(range, known)| match known {
            Some(bytes) => Ok(bytes),
            None => {
                let bytes = self.assemble(path, range, &blocks)?;
                self.remember(object, range, &bytes);
                Ok(bytes)
            }
        });
        answer.collect()
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.inner.get_clipped(path, ranges).await
    }

    async fn forget(&self, path: &str) {
        let object = self.object(path);
        if let Some(disk) = &self.cache.disk {
            disk.distrust(object);
        }
        self.cache.forget(object).await;
        self.inner.forget(path).await;
    }

    async fn warm_up(&self, mode: WarmUp, objects: &[WarmObject]) -> Result<usize, StorageError> {
        self.warm_objects(mode, objects).await
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        self.inner.head(path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let outcome = self.inner.put(path, bytes.clone()).await;
        self.cache.forget(self.object(path)).await;
        if outcome.is_ok() {
            self.keep_written(path, Written::Memory(bytes));
        }
        outcome
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        // Opened before it is written: the caller may remove it right after.
        let open = std::fs::File::open(file).and_then(|file| Ok((file.metadata()?.len(), file)));
        let outcome = self.inner.put_file(path, file).await;
        self.cache.forget(self.object(path)).await;
        if let (Ok(()), Ok((len, file))) = (&outcome, open) {
            self.keep_written(path, Written::File(file, len));
        }
        outcome
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let outcome = self.inner.swap(path, expected, bytes).await;
        self.cache.forget(self.object(path)).await;
        outcome
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let outcome = self.inner.delete(path).await;
        self.cache.forget(self.object(path)).await;
        outcome
    }
}
