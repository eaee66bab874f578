use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::fault::{Fault, FaultStore, Operation, Rule};
use crate::{MemoryStore, Store};

pub(super) const BLOCK: u64 = 4096;

/// A cached store over one that counts, with the object `o` of so many bytes in it.
pub(super) struct Bench {
    pub(super) counted: Arc<FaultStore>,
    pub(super) store: Arc<CachedStore>,
    pub(super) bytes: Bytes,
}

async fn start(object_len: usize, memory_bytes: u64, disk: Option<(&Path, u64)>) -> Bench {
    start_with(object_len, memory_bytes, disk, |_| {}).await
}

pub(super) async fn start_with(
    object_len: usize,
    memory_bytes: u64,
    disk: Option<(&Path, u64)>,
    change: impl FnOnce(&mut CacheOptions),
) -> Bench {
    let bytes: Bytes = (0..object_len as u32).map(|i| (i.wrapping_mul(97) >> 3) as u8).collect();
    // One name: caches that follow each other on a directory find their blocks by it.
    let inner = MemoryStore::named("cache-tests");
    inner.put("o", bytes.clone()).await.unwrap();
    let counted = FaultStore::counting(inner);
    let disk = disk.map(|(directory, bytes)| (directory.to_owned(), bytes));
    let mut options = CacheOptions {
        memory_bytes,
        disk,
        block_bytes: BLOCK as u32,
        promote_percent: 0,
        warm_on_put: false,
    };
    change(&mut options);
    let cache = Cache::open(&options).unwrap();
    let store = Arc::new(CachedStore::new(Arc::clone(&counted) as Arc<dyn Store>, cache));
    Bench { counted, store, bytes }
}

impl Bench {
    pub(super) async fn check(&self, ranges: &[Range<u64>]) {
        let read = self.store.get_ranges("o", ranges).await.unwrap();
        for (range, read) in ranges.iter().zip(read) {
            assert!(read == self.bytes[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    /// Calls and bytes of reads since the last call.
    pub(super) fn read(&self) -> (u64, u64) {
        let count = self.counted.reset_counters().of(Operation::GetRanges);
        (count.calls, count.bytes_read)
    }
}

/// Takes all tests on one name in turn: they share the object `o`.
pub(super) static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn what_was_read_is_not_read_again() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start(100_000, 1 << 20, None).await;
    bench.check(&[10..20, 5000..9000]).await;
    assert_eq!(bench.read(), (1, 3 * BLOCK), "neighbouring blocks are one range of one call");
    bench.check(&[0..4096, 100..8000, 12_000..12_288]).await;
    assert_eq!(bench.read(), (0, 0));
    bench.check(&[99_999..100_000, 12_287..12_289]).await;
    assert_eq!(bench.read(), (1, BLOCK + 100_000 % BLOCK));
    let stats = bench.store.cache().stats();
    assert_eq!((stats.misses, stats.memory_hits), (5, 4));
    let again = bench.store.get_ranges("o", &[100..8000]).await.unwrap();
    let once_more = bench.store.get_ranges("o", &[100..8000]).await.unwrap();
    assert_eq!(again[0].as_ptr(), once_more[0].as_ptr(), "a range over blocks is copied once");
}

#[tokio::test]
async fn the_disk_survives_the_process() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let disk = Some((directory.path(), 1 << 20));
    let bench = start(100_000, 0, disk).await;
    bench.check(&[0..100_000]).await;
    bench.store.cache().flush().await;
    assert_eq!(bench.read().0, 1);
    bench.check(&[0..100_000]).await;
    assert_eq!(bench.read().0, 0, "from the disk");
    drop(bench);
    let bench = start(100_000, 0, disk).await;
    bench.check(&[0..100_000]).await;
    assert_eq!(bench.read().0, 0, "from the disk of the cache before");
    assert_eq!(bench.store.cache().stats().disk_hits, 25);
}

#[tokio::test]
async fn two_caches_share_a_directory() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let disk = Some((directory.path(), 1 << 20));
    let (one, two) = (start(50_000, 0, disk).await, start(50_000, 0, disk).await);
    for _ in 0..2 {
        one.check(&[0..50_000]).await;
        one.store.cache().flush().await;
        two.check(&[0..50_000]).await;
        two.store.cache().flush().await;
    }
    assert_eq!((one.read().0, two.read().0), (1, 0), "the second reads what the first holds");
    assert_eq!(two.store.cache().stats().shared_hits, 26);
    assert_eq!(two.store.cache().stats().disk_bytes, 0, "and keeps no second copy");
    two.store.forget("o").await;
    two.check(&[0..50_000]).await;
    assert_eq!(two.read().0, 1, "what is forgotten is not believed of others either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_misses_of_a_block_are_one_read() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for _ in 0..50 {
        let bench = start(50_000, 1 << 20, None).await;
        bench.counted.add(Rule::new(Fault::Delay(Duration::from_millis(2))));
        let tasks = (0..16).map(|_| {
            let store = Arc::clone(&bench.store);
            tokio::spawn(async move { store.get_ranges("o", &[5000..6000]).await.unwrap() })
        });
        for task in futures::future::join_all(tasks).await {
            assert!(task.unwrap()[0] == bench.bytes[5000..6000]);
        }
        assert_eq!(bench.read(), (1, BLOCK));
    }
}

#[tokio::test]
async fn who_waits_for_a_read_that_fails_or_is_cancelled_reads_alone() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start(50_000, 1 << 20, None).await;
    bench.counted.add(Rule::new(Fault::Delay(Duration::from_millis(50))).times(1));
    let first = tokio::spawn({
        let store = Arc::clone(&bench.store);
        async move { store.get_ranges("o", &[0..10]).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let store = Arc::clone(&bench.store);
        async move { store.get_ranges("o", &[0..10]).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(second.await.unwrap().unwrap()[0] == bench.bytes[..10]);

    let bench = start(50_000, 1 << 20, None).await;
    bench.counted.add(Rule::new(Fault::Fail).times(1));
    let both = futures::join!(
        bench.store.get_ranges("o", &[0..10]),
        bench.store.get_ranges("o", &[0..10])
    );
    assert!(both.0.is_err() && both.1.is_ok(), "{both:?}");
}

#[tokio::test]
async fn limits_are_kept() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let bench = start(1 << 20, 40_000, Some((directory.path(), 100_000))).await;
    for start in (0..1 << 20).step_by(4096) {
        bench.check(&[start..start + 4096]).await;
        bench.store.cache().flush().await;
    }
    let stats = bench.store.cache().stats();
    assert!(stats.memory_bytes <= 40_000 && stats.memory_bytes > 30_000, "{stats:?}");
    assert!(stats.disk_bytes <= 100_000 && stats.disk_bytes > 90_000, "{stats:?}");
    let files: u64 =
        files(directory.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(files, stats.disk_bytes);
}

#[tokio::test]
async fn what_is_forgotten_comes_from_the_store() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let bench = start(50_000, 1 << 20, Some((directory.path(), 1 << 20))).await;
    bench.check(&[0..50_000]).await;
    bench.store.forget("o").await;
    assert!(files(directory.path()).is_empty());
    bench.read();
    bench.check(&[0..50_000]).await;
    assert_eq!(bench.read().0, 1);
}

#[tokio::test]
async fn long_and_damaged_ranges_go_past_the_cache() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start(50_000, 1 << 20, None).await;
    #[expect(clippy::reversed_empty_ranges, reason = "the bad input under test")]
    for range in [0..u64::MAX, u64::MAX - 1..u64::MAX, 9..3, 60_000..60_001, 49_999..50_001] {
        let outcome = bench.store.get_ranges("o", std::slice::from_ref(&range)).await;
        match outcome {
            Err(StorageError::Range { start, end, .. }) => assert_eq!(start..end, range),
            other => panic!("{range:?}: {other:?}"),
        }
    }
}

/// The files of blocks below `directory`.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !["lock", "heat"].iter().any(|name| path.ends_with(name)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What can happen to the files of a cache behind its back.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Gone,
    Empty,
    Truncated,
    Longer,
    BitFlip,
    Zeroed,
    AnotherBlock,
    Garbage,
    FolderGone,
}

fn damage(file: &Path, other: &Path, kind: Damage, nth: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = nth * 7919 % bytes.len();
    match kind {
        Damage::Gone => return fs::remove_file(file).unwrap(),
        Damage::FolderGone => return fs::remove_dir_all(file.parent().unwrap()).unwrap(),
        Damage::Empty => bytes.clear(),
        Damage::Truncated => bytes.truncate(at),
        Damage::Longer => bytes.push(0),
        Damage::BitFlip => bytes[at] ^= 1 << (nth % 8),
        Damage::Zeroed => bytes.fill(0),
        Damage::AnotherBlock => bytes = fs::read(other).unwrap(),
        Damage::Garbage => bytes = b"not a block at all".repeat(nth + 1),
    }
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn no_damage_shows() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for kind in [
        Damage::Gone,
        Damage::Empty,
        Damage::Truncated,
        Damage::Longer,
        Damage::BitFlip,
        Damage::Zeroed,
        Damage::AnotherBlock,
        Damage::Garbage,
        Damage::FolderGone,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let disk = Some((directory.path(), 1 << 20));
        let mut bench = start(40_000, 0, disk).await;
        for nth in 0..50 {
            bench.check(&[0..40_000]).await;
            bench.store.cache().flush().await;
            let files = files(directory.path());
            assert_eq!(files.len(), 10);
            damage(&files[nth % 10], &files[(nth + 1) % 10], kind, nth);
            if nth % 5 == 4 {
                // The next process finds the damage.
                drop(bench);
                bench = start(40_000, 0, disk).await;
            }
            bench.check(&[0..40_000, 4090..4100]).await;
            bench.store.cache().flush().await;
            bench.check(&[0..40_000]).await;
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_cannot_be_written_costs_nothing_but_time() {
    use std::os::unix::fs::PermissionsExt;
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let bench = start(40_000, 0, Some((directory.path(), 1 << 20))).await;
    // A file where the folders of blocks should be stops even the superuser.
    let folder = directory.path().join("blocks-4096/0");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    for _ in 0..3 {
        bench.check(&[0..40_000]).await;
        bench.store.cache().flush().await;
    }
    assert_eq!(bench.store.cache().stats().write_failures, 30);
    fs::remove_file(&folder).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    let options = CacheOptions { disk: Some((file, 1)), ..CacheOptions::default() };
    assert!(matches!(Cache::open(&options), Err(StorageError::Invalid { .. })));
}
