//! What the cache did.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a cache since it was opened, in blocks unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Found in memory.
    pub memory_hits: u64,
    /// Found on disk, and whole.
    pub disk_hits: u64,
    /// Read from the store.
    pub misses: u64,
    /// Waited for while another read of the same block was under way.
    pub joined: u64,
    /// Files that were gone, cut short or changed: misses.
    pub damaged: u64,
    /// Dropped from the disk to make room.
    pub evicted: u64,
    /// Not written, because the disk was full, say, or too slow to keep up.
    pub write_failures: u64,
    /// Found on disk in what another process holds there; counted among `disk_hits` too.
    pub shared_hits: u64,
    /// Objects read whole because much of them was read.
    pub promoted: u64,
    /// Bytes held in memory.
    pub memory_bytes: u64,
    /// Bytes held on disk.
    pub disk_bytes: u64,
}

impl CacheStats {
    /// Blocks answered without the store, of all asked for; 1 if none was.
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.memory_hits + self.disk_hits + self.joined;
        let all = hits + self.misses;
        if all == 0 { 1.0 } else { hits as f64 / all as f64 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) memory_hits: AtomicU64,
    pub(super) disk_hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) joined: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) write_failures: AtomicU64,
    pub(super) shared_hits: AtomicU64,
    pub(super) promoted: AtomicU64,
}

impl Counts {
    pub(super) fn stats(&self, memory_bytes: u64, disk_bytes: u64) -> CacheStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheStats {
            memory_hits: read(&self.memory_hits),
            disk_hits: read(&self.disk_hits),
            misses: read(&self.misses),
            joined: read(&self.joined),
            damaged: read(&self.damaged),
            evicted: read(&self.evicted),
            write_failures: read(&self.write_failures),
            shared_hits: read(&self.shared_hits),
            promoted: read(&self.promoted),
            memory_bytes,
            disk_bytes,
        }
    }
}
