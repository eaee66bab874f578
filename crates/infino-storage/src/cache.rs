//! Ranges of immutable objects, kept in memory and on the local disk.
//!
//! A [`Cache`] holds blocks of fixed size, of any number of stores; a [`CachedStore`] answers [`Store::get_ranges`] from it
//! and reads what is missing in whole blocks. Everything else passes through: the object that changes, listings, writes.
//! The cache can only ever be slow, never wrong: a file that is gone, cut short, changed or another's is a miss, and a disk
//! that is full or read-only means that blocks are not kept. Concurrent misses of a block are one read.

mod disk;
mod flight;
mod sieve;
mod stats;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

use self::disk::Disk;
use self::flight::{Flights, Pilot, Seat};
use self::sieve::{Key, Sieve};
pub use self::stats::CacheStats;
use self::stats::Counts;
use crate::{ObjectInfo, StorageError, Store, Swap, Tag, error, source};

/// Bookkeeping of a block in memory, counted with its bytes.
const ENTRY_BYTES: u64 = 128;

/// A range of more blocks than this is read past the cache: it is a scan, or its bounds are damaged.
const RANGE_BLOCKS_MAX: u64 = 4096;

/// Writes to the disk that may wait; a store faster than the disk has its blocks left out rather than piled up in memory.
const WRITES_MAX: usize = 256;

/// How much a cache may hold, and where.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Most bytes in memory.
    pub memory_bytes: u64,
    /// A directory and the most bytes in it, if there is to be a disk tier. Processes may share the directory, each
    /// within the limit for itself.
    pub disk: Option<(PathBuf, u64)>,
    /// Size of a block, from 4 KiB to 16 MiB. Blocks of another size are forgotten.
    pub block_bytes: u32,
}

impl Default for CacheOptions {
    /// 256 MiB in memory, nothing on disk, blocks of 64 KiB.
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, disk: None, block_bytes: 64 << 10 }
    }
}

/// Blocks of immutable objects, shared by any number of stores.
#[derive(Debug)]
pub struct Cache {
    block_bytes: u64,
    memory: Mutex<Sieve<Bytes>>,
    disk: Option<Arc<Disk>>,
    flights: Flights,
    counts: Arc<Counts>,
    writes: Arc<Semaphore>,
    /// Objects with blocks on their way to the disk, and how many.
    writing: Arc<Mutex<HashMap<u128, usize>>>,
}

impl Cache {
    /// Opens a cache, with what its directory still holds.
    ///
    /// # Errors
    /// `Invalid` if the block size is out of bounds; `Denied` or `Unavailable` if the directory cannot be used.
    pub fn open(options: &CacheOptions) -> Result<Arc<Self>, StorageError> {
        if !(4 << 10..=16 << 20).contains(&options.block_bytes) {
            return Err(StorageError::Invalid {
                problem: format!(
                    "cache blocks of {} bytes: choose from 4096 to 16777216",
                    options.block_bytes
                ),
            });
        }
        let open = |(directory, bytes): &(PathBuf, u64)| {
            // Blocks of another size would be taken for parts of objects that they are not.
            let directory = directory.join(format!("blocks-{}", options.block_bytes));
            Disk::open(&directory, *bytes).map_err(|e| {
                error::of_io(&directory.display().to_string(), "opening the cache", &e)
            })
        };
        Ok(Arc::new(Self {
            block_bytes: u64::from(options.block_bytes),
            memory: Mutex::new(Sieve::new(options.memory_bytes)),
            disk: options.disk.as_ref().map(open).transpose()?.map(Arc::new),
            flights: Flights::default(),
            counts: Arc::default(),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            writing: Arc::default(),
        }))
    }

    /// What the cache did so far, and holds.
    pub fn stats(&self) -> CacheStats {
        let disk_bytes = self.disk.as_ref().map_or(0, |disk| disk.bytes());
        self.counts.stats(self.memory().weight(), disk_bytes)
    }

    /// Waits until every block that is to be on the disk is.
    pub async fn flush(&self) {
        let all = u32::try_from(WRITES_MAX).unwrap_or(u32::MAX);
        drop(self.writes.acquire_many(all).await);
    }

    fn memory(&self) -> MutexGuard<'_, Sieve<Bytes>> {
        locked(&self.memory)
    }

    fn in_memory(&self, key: &Key) -> Option<Bytes> {
        self.memory().get(key).cloned()
    }

    fn keep_in_memory(&self, key: Key, block: &Bytes) {
        let weight = block.len() as u64 + ENTRY_BYTES;
        drop(self.memory().insert(key, block.clone(), weight));
    }

    /// The blocks among `keys` that the disk holds whole.
    async fn on_disk(&self, keys: Vec<Key>) -> HashMap<Key, Bytes> {
        let Some(disk) = &self.disk else { return HashMap::new() };
        let keys: Vec<_> = keys.into_iter().filter(|key| disk.has(key)).collect();
        if keys.is_empty() {
            return HashMap::new();
        }
        let (disk, counts) = (Arc::clone(disk), Arc::clone(&self.counts));
        let read = move || {
            keys.into_iter().filter_map(|key| Some((key, disk.get(&key, &counts)?))).collect()
        };
        // A read that panics or is shut down is a miss like any other.
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// Writes a block to the disk, later; not at all if too many wait already.
    fn keep_on_disk(&self, key: Key, block: &Bytes) {
        let Some(disk) = &self.disk else { return };
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else {
            self.counts.write_failures.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (disk, counts, block) = (Arc::clone(disk), Arc::clone(&self.counts), block.clone());
        let writing = Arc::clone(&self.writing);
        *locked(&writing).entry(key.object).or_default() += 1;
        tokio::task::spawn_blocking(move || {
            disk.put(key, &block, &counts);
            let mut writing = locked(&writing);
            if let Some(count) = writing.get_mut(&key.object) {
                *count -= 1;
                if *count == 0 {
                    writing.remove(&key.object);
                }
            }
            drop(permit);
        });
    }

    async fn forget(&self, object: u128) {
        drop(self.memory().remove_object(object));
        if let Some(disk) = &self.disk {
            // A write that is under way would bring back what is to be forgotten.
            if locked(&self.writing).contains_key(&object) {
                self.flush().await;
            }
            let disk = Arc::clone(disk);
            // A failure leaves blocks that nobody has proved wrong.
            let _ = tokio::task::spawn_blocking(move || disk.remove_object(object)).await;
        }
    }
}

/// A store whose ranges are answered from a [`Cache`] where that has them.
#[derive(Debug)]
pub struct CachedStore {
    inner: Arc<dyn Store>,
    identity: String,
    cache: Arc<Cache>,
}

impl CachedStore {
    /// `inner`, seen through `cache`.
    pub fn new(inner: Arc<dyn Store>, cache: Arc<Cache>) -> Self {
        Self { identity: inner.identity(), inner, cache }
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

    fn object(&self, path: &str) -> u128 {
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
    fn blocks(&self, ranges: &[Range<u64>]) -> Vec<u64> {
        let size = self.cache.block_bytes;
        let touched = ranges.iter().filter(|range| range.start < range.end);
        let mut blocks: Vec<_> =
            touched.flat_map(|range| range.start / size..=(range.end - 1) / size).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// Every block of `numbers`, from memory, another's read, the disk, or the store.
    async fn load(&self, path: &str, numbers: &[u64]) -> Result<HashMap<u64, Bytes>, StorageError> {
        let (cache, object) = (&*self.cache, self.object(path));
        let mut found = HashMap::with_capacity(numbers.len());
        let (mut pilots, mut flights) = (Vec::new(), Vec::new());
        for &block in numbers {
            let key = Key { object, block };
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

#[async_trait]
impl Store for CachedStore {
    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn identity(&self) -> String {
        self.identity.clone()
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
        let blocks = match self.load(path, &self.blocks(ranges)).await {
            // Of blocks, which nobody asked for: the store names the range.
            Err(StorageError::Range { .. }) => return self.inner.get_ranges(path, ranges).await,
            blocks => blocks?,
        };
        ranges.iter().map(|range| self.assemble(path, range, &blocks)).collect()
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.inner.get_clipped(path, ranges).await
    }

    async fn forget(&self, path: &str) {
        self.cache.forget(self.object(path)).await;
        self.inner.forget(path).await;
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        self.inner.head(path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let outcome = self.inner.put(path, bytes).await;
        self.cache.forget(self.object(path)).await;
        outcome
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let outcome = self.inner.put_file(path, file).await;
        self.cache.forget(self.object(path)).await;
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

#[cfg(test)]
mod tests;
