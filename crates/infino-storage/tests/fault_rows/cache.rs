//! F9: everything that can happen to a cache directory behind the cache's back. Every read is answered, and right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use infino_storage::{Cache, CacheOptions, CachedStore, MemoryStore, Store};

use super::{Random, Row};

const BLOCK: u64 = 4096;
const LEN: u64 = 10 * BLOCK;
const DISK_BYTES: u64 = 1 << 20;

/// Set in a child to the directory it is to share.
const DIRECTORY: &str = "INFINO_TEST_CACHE";
const ROUNDS: &str = "INFINO_TEST_ROUNDS";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// The disk is full: writes fail with `ENOSPC`.
    Full,
    /// Reading a block fails with `EIO`.
    InputError,
    Truncated,
    Flipped,
    /// Another object's block stands in the place of one.
    Replaced,
    /// Blocks are deleted while they are read.
    Deleted,
    /// Nothing can be written.
    ReadOnly,
    /// Blocks appear cut short while another writes them.
    Torn,
    /// Two processes use the directory.
    Shared,
}

const DAMAGES: [Damage; 9] = [
    Damage::Full,
    Damage::InputError,
    Damage::Truncated,
    Damage::Flipped,
    Damage::Replaced,
    Damage::Deleted,
    Damage::ReadOnly,
    Damage::Torn,
    Damage::Shared,
];

fn content(object: u64) -> Bytes {
    Random(object).bytes(LEN as usize)
}

/// A cache on `directory`, without memory, so that every read sees the disk.
async fn open(directory: &Path) -> CachedStore {
    let inner = MemoryStore::named("f9");
    for object in 0..2 {
        inner.put(&object.to_string(), content(object)).await.unwrap();
    }
    let options = CacheOptions {
        memory_bytes: 0,
        disk: Some((directory.to_owned(), DISK_BYTES)),
        block_bytes: BLOCK as u32,
        ..CacheOptions::default()
    };
    CachedStore::new(inner, Cache::open(&options).unwrap())
}

/// An empty directory, in memory where the system has one there: many small files are made and removed.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Reads both objects, in whole and in part; whether all of it is right.
async fn reads_right(store: &CachedStore) -> bool {
    let mut right = true;
    for object in 0..2 {
        let ranges = [0..LEN, 4090..4100, LEN - 1..LEN];
        let expected = content(object);
        right &= match store.get_ranges(&object.to_string(), &ranges).await {
            Ok(read) => ranges
                .iter()
                .zip(read)
                .all(|(range, read)| read == expected[range.start as usize..range.end as usize]),
            Err(_) => false,
        };
    }
    right
}

/// The files of blocks, those of each object together.
fn blocks(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                open.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains('-')) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn overwrite(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    if let Ok(mut bytes) = fs::read(file) {
        change(&mut bytes);
        let _ = fs::write(file, bytes);
    }
}

/// Puts `target` in the place of a file, or of where one will be.
#[cfg(unix)]
fn replace_by_link(file: &Path, target: &str) {
    let _ = fs::remove_file(file);
    let _ = std::os::unix::fs::symlink(target, file);
}

#[cfg(not(unix))]
fn replace_by_link(file: &Path, _: &str) {
    let _ = fs::remove_file(file);
}

fn damage(directory: &Path, kind: Damage, random: &mut Random) {
    let files = blocks(directory);
    if files.is_empty() {
        return;
    }
    let file = &files[random.below(files.len() as u64) as usize];
    let other = &files[random.below(files.len() as u64) as usize];
    match kind {
        Damage::Full => {
            // What the next writes will be called, on a device that is always full.
            let folder = file.parent().unwrap();
            for number in 0..400 {
                replace_by_link(&folder.join(format!("tmp-{number}")), "/dev/full");
            }
            files.iter().for_each(|file| drop(fs::remove_file(file)));
        }
        // Its first byte is at an address that nothing is at.
        Damage::InputError => replace_by_link(file, "/proc/self/mem"),
        Damage::Truncated => {
            overwrite(file, |bytes| bytes.truncate(random.below(bytes.len() as u64) as usize));
        }
        Damage::Flipped => overwrite(file, |bytes| {
            let bit = random.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }),
        Damage::Replaced => drop(fs::copy(other, file)),
        Damage::Deleted | Damage::Torn => drop(fs::remove_file(file)),
        Damage::ReadOnly => {
            // A file where the folder of blocks was: not even the superuser can write below it.
            let folder = file.parent().unwrap();
            let _ = fs::remove_dir_all(folder);
            let _ = fs::write(folder, "in the way");
        }
        Damage::Shared => {}
    }
}

/// Damages files as fast as it can while others read.
async fn damage_while(directory: PathBuf, kind: Damage, mut random: Random) {
    let work = move || {
        for _ in 0..20 {
            for file in blocks(&directory) {
                match kind {
                    Damage::Torn => {
                        overwrite(&file, |bytes| bytes.truncate(random.below(4000) as usize))
                    }
                    _ => drop(fs::remove_file(file)),
                }
            }
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f9_no_damage_to_the_cache_shows() {
    let row = Row::new("F9");
    for kind in DAMAGES {
        let rounds = row.scaled(50);
        let mut random = Random(row.seed);
        let mut folder = directory();
        let mut children = Vec::new();
        if kind == Damage::Shared {
            children.extend((0..2).map(|_| start_child(folder.path(), rounds)));
        }
        let mut store = Arc::new(open(folder.path()).await);
        let mut felt = 0;
        for round in 0..rounds {
            // Some damage is for good: the directory is another's then.
            if matches!(kind, Damage::Full | Damage::ReadOnly) {
                folder = directory();
                store = Arc::new(open(folder.path()).await);
            }
            row.check(reads_right(&store).await, || format!("{kind:?} {round}: at first"));
            store.cache().flush().await;
            damage(folder.path(), kind, &mut random);
            if matches!(kind, Damage::Deleted | Damage::Torn) {
                let readers = (0..4).map(|_| reads_right(&store));
                let both = futures::future::join(
                    damage_while(folder.path().to_owned(), kind, random.clone()),
                    futures::future::join_all(readers),
                );
                let right = both.await.1;
                row.check(right.into_iter().all(|it| it), || {
                    format!("{kind:?} {round}: meanwhile")
                });
            }
            if round % 5 == 4 && !matches!(kind, Damage::Shared) {
                // The next process finds the damage.
                store.cache().flush().await;
                drop(store);
                store = Arc::new(open(folder.path()).await);
            }
            row.check(reads_right(&store).await, || format!("{kind:?} {round}: after"));
            store.cache().flush().await;
            row.check(reads_right(&store).await, || format!("{kind:?} {round}: again"));
            let held = store.cache().stats().disk_bytes;
            row.check(held <= DISK_BYTES, || format!("{kind:?} {round}: {held} bytes"));
            let stats = store.cache().stats();
            felt += match kind {
                Damage::Full | Damage::ReadOnly => stats.write_failures,
                _ => stats.damaged,
            };
            row.tried();
        }
        let is_felt_here = cfg!(target_os = "linux") && kind != Damage::Shared && rounds >= 10;
        row.check(felt > 0 || !is_felt_here, || format!("{kind:?} was not felt"));
        for mut child in children {
            row.check(child.wait().unwrap().success(), || "another process read wrong".into());
        }
    }
    row.finish();
}

/// The other process: reads the objects through the directory it shares.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let rounds: u64 = std::env::var(ROUNDS).unwrap().parse().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..rounds {
            let store = open(Path::new(&directory)).await;
            assert!(reads_right(&store).await);
            store.cache().flush().await;
            assert!(reads_right(&store).await);
            // Its blocks go, so that there is something to write in each round.
            store.delete("nothing").await.unwrap();
            store.forget("0").await;
        }
    });
}

fn start_child(directory: &Path, rounds: u64) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["cache::child", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUNDS, rounds.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
