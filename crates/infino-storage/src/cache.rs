//! Ranges of immutable objects, kept in memory and on the local disk.
//!
//! A [`Cache`] holds blocks of fixed size, of any number of stores; a [`CachedStore`] answers [`crate::Store::get_ranges`] from it
//! and reads what is missing in whole blocks. Everything else passes through: the object that changes, listings, writes.
//! The cache can only ever be slow, never wrong: a file that is gone, cut short, changed or another's is a miss, and a disk
//! that is full or read-only means that blocks are not kept. Concurrent misses of a block are one read.

mod cached;
mod disk;
mod flight;
mod heat;
mod promote;
mod sieve;
mod stats;
mod warm;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

pub use self::cached::CachedStore;
use self::disk::Disk;
use self::flight::Flights;
use self::heat::Heat;
use self::promote::{Progress, Written};
use self::sieve::{Key, Sieve};
pub use self::stats::CacheStats;
use self::stats::Counts;
pub use self::warm::{WarmObject, WarmUp};
use crate::{StorageError, error};

/// Bookkeeping of a block in memory, counted with its bytes.
const ENTRY_BYTES: u64 = 128;

/// Ranges asked for once that are remembered as such.
const SEEN_MAX: u64 = 8192;

/// Writes to the disk that may wait; a store faster than the disk has its blocks left out rather than piled up in memory.
const WRITES_MAX: usize = 256;

/// How much a cache may hold, and where.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Most bytes in memory.
    pub memory_bytes: u64,
    /// A directory and the most bytes in it, if there is to be a disk tier. Processes may share the directory: each reads
    /// what the others hold, and writes within the limit for itself.
    pub disk: Option<(PathBuf, u64)>,
    /// Size of a block, from 4 KiB to 16 MiB; blocks of another size are forgotten. 0 chooses: 16 KiB in memory, so that
    /// little is read beside what was asked for, 64 KiB with a disk tier, where a block is a file.
    pub block_bytes: u32,
    /// An object of which so many percent were read from the store is read whole, in the background, if it takes no more
    /// than an eighth of the larger tier; 0 for never.
    pub promote_percent: u8,
    /// Whether objects that are written through the cache are kept in it.
    pub warm_on_put: bool,
}

const MEMORY_BLOCK_BYTES: u32 = 16 << 10;
const DISK_BLOCK_BYTES: u32 = 64 << 10;

impl Default for CacheOptions {
    /// 256 MiB in memory, nothing on disk, files promoted when half of them was read, kept when written.
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            disk: None,
            block_bytes: 0,
            promote_percent: 50,
            warm_on_put: true,
        }
    }
}

/// Blocks of immutable objects, shared by any number of stores.
#[derive(Debug)]
pub struct Cache {
    block_bytes: u64,
    /// The longest range to keep put together: a few of them must not fill the memory.
    spanning_bytes_max: u64,
    /// Ranges over several blocks that were asked for once: the second time they are kept put together.
    seen: Mutex<Sieve<()>>,
    memory: Mutex<Sieve<Bytes>>,
    disk: Option<Arc<Disk>>,
    /// Bytes that the larger tier may hold.
    tier_bytes_max: u64,
    promote_percent: u8,
    warm_on_put: bool,
    /// How much of which object was read from the store.
    progress: Mutex<Sieve<Progress>>,
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
        let block_bytes = match (options.block_bytes, &options.disk) {
            (0, None) => MEMORY_BLOCK_BYTES,
            (0, Some(_)) => DISK_BLOCK_BYTES,
            (given, _) => given,
        };
        if !(4 << 10..=16 << 20).contains(&block_bytes) {
            return Err(StorageError::Invalid {
                problem: format!(
                    "cache blocks of {block_bytes} bytes: choose from 4096 to 16777216, or 0"
                ),
            });
        }
        let open = |(directory, bytes): &(PathBuf, u64)| {
            // Blocks of another size would be taken for parts of objects that they are not.
            let directory = directory.join(format!("blocks-{block_bytes}"));
            Disk::open(&directory, *bytes).map_err(|e| {
                error::of_io(&directory.display().to_string(), "opening the cache", &e)
            })
        };
        Ok(Arc::new(Self {
            block_bytes: u64::from(block_bytes),
            tier_bytes_max: options
                .disk
                .as_ref()
                .map_or(0, |(_, bytes)| *bytes)
                .max(options.memory_bytes),
            promote_percent: options.promote_percent.min(100),
            warm_on_put: options.warm_on_put,
            progress: Mutex::new(Sieve::new(promote::OBJECTS_MAX)),
            spanning_bytes_max: options.memory_bytes / 16,
            seen: Mutex::new(Sieve::new(SEEN_MAX)),
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

    /// Writes down, beside the blocks on disk, which blocks are in memory, for [`WarmUp::Heat`]; nothing without a disk
    /// tier.
    ///
    /// # Errors
    /// `Denied` or `Unavailable` if the file cannot be written.
    pub async fn save_heat(&self) -> Result<(), StorageError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let (file, size) = (disk.heat_file(), self.block_bytes);
        let heat = Heat::of(self.memory().keys());
        let shown = file.display().to_string();
        let save = tokio::task::spawn_blocking(move || heat.save(&file, size)).await;
        let outcome = save.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
        outcome.map_err(|e| error::of_io(&shown, "writing the cache's heat", &e))
    }

    async fn load_heat(&self) -> Heat {
        let Some(disk) = &self.disk else { return Heat::default() };
        let (file, size) = (disk.heat_file(), self.block_bytes);
        tokio::task::spawn_blocking(move || Heat::load(&file, size)).await.unwrap_or_default()
    }

    /// Waits until every block that is to be on the disk is.
    pub async fn flush(&self) {
        let all = u32::try_from(WRITES_MAX).unwrap_or(u32::MAX);
        drop(self.writes.acquire_many(all).await);
    }

    fn memory(&self) -> MutexGuard<'_, Sieve<Bytes>> {
        locked(&self.memory)
    }

    /// Bytes that the larger tier may hold.
    fn largest_tier(&self) -> u64 {
        self.tier_bytes_max
    }

    fn in_memory(&self, key: &Key) -> Option<Bytes> {
        self.memory().get(key).cloned()
    }

    fn keep_in_memory(&self, key: Key, block: &Bytes) {
        let weight = block.len() as u64 + ENTRY_BYTES;
        drop(self.memory().insert(key, block.clone(), weight));
    }

    /// Whether a range was asked for before, as far as that is remembered.
    fn was_seen(&self, key: Key) -> bool {
        let mut seen = locked(&self.seen);
        let was = seen.get(&key).is_some();
        if !was {
            drop(seen.insert(key, (), 1));
        }
        was
    }

    /// The blocks among `keys` that the disk holds whole.
    async fn on_disk(&self, keys: Vec<Key>) -> HashMap<Key, Bytes> {
        let Some(disk) = &self.disk else { return HashMap::new() };
        let keys: Vec<_> = keys.into_iter().filter(|key| disk.may_have(key)).collect();
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
            // Before the permit: whoever waited for the writes may drop the cache and open the directory anew.
            drop(disk);
            written(&writing, key.object);
            drop(permit);
        });
    }

    /// Keeps all blocks of an object that was written, later: in memory if that has room for it, and on the disk.
    fn keep_object(self: &Arc<Self>, object: u128, mut source: Written) {
        let in_memory = source.len() <= self.spanning_bytes_max;
        if !in_memory && self.disk.is_none() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let (cache, writing) = (Arc::clone(self), Arc::clone(&self.writing));
        *locked(&writing).entry(object).or_default() += 1;
        tokio::task::spawn_blocking(move || {
            let size = cache.block_bytes;
            let mut number = 0;
            // A file that cannot be read back is read from the store when it is asked for.
            while let Ok(Some(block)) = source.block(number * size, size) {
                let key = Key::block(object, number);
                if in_memory {
                    cache.keep_in_memory(key, &block);
                }
                if let Some(disk) = &cache.disk {
                    disk.put(key, &block, &cache.counts);
                }
                number += 1;
            }
            // Before the permit: whoever waited for the writes may drop the cache and open the directory anew.
            drop(cache);
            written(&writing, object);
            drop(permit);
        });
    }

    async fn forget(&self, object: u128) {
        // A write that is under way would bring back what is to be forgotten.
        if locked(&self.writing).contains_key(&object) {
            self.flush().await;
        }
        drop(self.memory().remove_object(object));
        if let Some(disk) = &self.disk {
            let disk = Arc::clone(disk);
            // A failure leaves blocks that nobody has proved wrong.
            let _ = tokio::task::spawn_blocking(move || disk.remove_object(object)).await;
        }
    }
}

/// Notes that one of the writes of an object has ended.
fn written(writing: &Mutex<HashMap<u128, usize>>, object: u128) {
    let mut writing = locked(writing);
    if let Some(count) = writing.get_mut(&object) {
        *count -= 1;
        if *count == 0 {
            writing.remove(&object);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod ahead_tests;
#[cfg(test)]
mod tests;
