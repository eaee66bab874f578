//! The disk tier: one file per block, each of which says what it is and proves that it is whole.
//!
//! | at | field               | meaning                                        |
//! |---:|---------------------|------------------------------------------------|
//! |  0 | `magic: [u8; 4]`    | `INFC`                                         |
//! |  4 | `version: u16`      | 1                                              |
//! |  6 | zero, 2 bytes       |                                                |
//! |  8 | `object: u128`      | hash of the store's identity and the name      |
//! | 24 | `block: u64`        | number of the block in the object              |
//! | 32 | `len: u32`          | bytes of the block, to the end of the file     |
//! | 36 | `crc: u32`          | CRC-32C of bytes 0..36 and of the block        |
//!
//! Nothing is flushed: a file that a crash left torn does not verify, and is a miss. A process has a numbered folder to
//! itself by a lock, so two of them share a directory without getting in each other's way, each within its own limit. What
//! one lacks it looks for in the folders of the others: a file there is whole or does not verify, whatever its owner does.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use infino_format::checksum::{crc32c, crc32c_append};

use super::sieve::{Key, Sieve};
use super::stats::Counts;

const MAGIC: [u8; 4] = *b"INFC";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 40;

/// The longest file of a block, and one byte more.
const FILE_BYTES_MAX: usize = HEADER_BYTES + (16 << 20) + 1;

/// Processes that may share one directory.
const PROCESSES_MAX: usize = 64;

/// How long a look at which folders there are holds good.
const SIBLINGS_FRESH: Duration = Duration::from_secs(2);

/// Blocks in files.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    index: Mutex<Sieve<()>>,
    written: AtomicU64,
    /// The folders of other processes, and when they were looked for.
    siblings: Mutex<(Option<Instant>, Vec<PathBuf>)>,
    /// Objects whose blocks in those folders are not believed.
    distrusted: Mutex<HashSet<u128>>,
    /// Held as long as the folder is this process's.
    _lock: File,
}

impl Disk {
    /// Opens the first folder in `directory` that no other process uses, with what it still holds.
    pub(super) fn open(directory: &Path, bytes_max: u64) -> io::Result<Self> {
        for number in 0..PROCESSES_MAX {
            let folder = directory.join(number.to_string());
            fs::create_dir_all(&folder)?;
            let lock = File::create(folder.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => return Self::load(folder, bytes_max, lock),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{PROCESSES_MAX} processes use the cache directory already")))
    }

    fn load(folder: PathBuf, bytes_max: u64, lock: File) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(entry.path())?.flatten() {
                let key = file.file_name().to_str().and_then(parse_name);
                match (key, file.metadata()) {
                    (Some(key), Ok(metadata)) => {
                        found.push((metadata.modified().ok(), key, metadata.len()));
                    }
                    // Left by a write that did not end, or nobody's. Best effort: it is not read in any case.
                    _ => drop(fs::remove_file(file.path())),
                }
            }
        }
        found.sort_unstable();
        let disk = Self {
            folder,
            index: Mutex::new(Sieve::new(bytes_max)),
            written: AtomicU64::new(0),
            siblings: Mutex::default(),
            distrusted: Mutex::default(),
            _lock: lock,
        };
        for (_, key, len) in found {
            disk.note(key, len);
        }
        Ok(disk)
    }

    fn index(&self) -> MutexGuard<'_, Sieve<()>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.index().weight()
    }

    /// Where it is written down which blocks were in memory: shared, the last to write it counts.
    pub(super) fn heat_file(&self) -> PathBuf {
        self.folder.with_file_name("heat")
    }

    /// Whether it is worth asking for a block.
    pub(super) fn may_have(&self, key: &Key) -> bool {
        self.has(key) || !self.siblings().is_empty()
    }

    fn has(&self, key: &Key) -> bool {
        self.index().get(key).is_some()
    }

    /// The block, if its file is there and whole, or another process has it; one of ours that is not is forgotten.
    pub(super) fn get(&self, key: &Key, counts: &Counts) -> Option<Bytes> {
        if self.has(key) {
            if let Some(block) = read(&self.folder, key) {
                return Some(block);
            }
            counts.damaged.fetch_add(1, Ordering::Relaxed);
            self.remove(key);
        }
        let distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        if distrusted.contains(&key.object) {
            return None;
        }
        drop(distrusted);
        let block = self.siblings().iter().find_map(|folder| read(folder, key))?;
        counts.shared_hits.fetch_add(1, Ordering::Relaxed);
        Some(block)
    }

    /// The folders of other processes, those that have ended included.
    fn siblings(&self) -> Vec<PathBuf> {
        let mut siblings = self.siblings.lock().unwrap_or_else(PoisonError::into_inner);
        if siblings.0.is_none_or(|looked| looked.elapsed() > SIBLINGS_FRESH) {
            let numbers = (0..PROCESSES_MAX).map(|n| self.folder.with_file_name(n.to_string()));
            let others = numbers.filter(|folder| *folder != self.folder && folder.is_dir());
            *siblings = (Some(Instant::now()), others.collect());
        }
        siblings.1.clone()
    }

    /// Writes a block; one that cannot be written is left out.
    pub(super) fn put(&self, key: Key, block: &[u8], counts: &Counts) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let file = self.file(&key);
        let temporary = file.with_file_name(format!("tmp-{number}"));
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + block.len());
        bytes.extend_from_slice(&header_of(&key, block));
        bytes.extend_from_slice(block);
        let write = || {
            match fs::write(&temporary, &bytes) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    fs::create_dir_all(file.parent().unwrap_or(&self.folder))?;
                    fs::write(&temporary, &bytes)?;
                }
                outcome => outcome?,
            }
            fs::rename(&temporary, &file)
        };
        match write() {
            Ok(()) => {
                let gone = self.note(key, bytes.len() as u64);
                counts.evicted.fetch_add(gone, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::debug!(%error, "a block was not cached");
                counts.write_failures.fetch_add(1, Ordering::Relaxed);
                let _ = fs::remove_file(&temporary);
            }
        }
    }

    /// Enters a file into the index and removes those that had to go for it; how many.
    fn note(&self, key: Key, len: u64) -> u64 {
        let gone: Vec<_> = {
            let mut index = self.index();
            if index.fits(len) {
                let gone = index.insert(key, (), len).into_iter().map(|(gone, ())| gone);
                // The block that this one replaces had the same file.
                gone.filter(|gone| *gone != key).collect()
            } else {
                index.remove(&key);
                vec![key]
            }
        };
        gone.iter().for_each(|key| drop(fs::remove_file(self.file(key))));
        gone.len() as u64
    }

    pub(super) fn remove(&self, key: &Key) {
        if self.index().remove(key).is_some() {
            let _ = fs::remove_file(self.file(key));
        }
    }

    pub(super) fn remove_object(&self, object: u128) {
        let gone = self.index().remove_object(object);
        gone.iter().for_each(|(key, ())| drop(fs::remove_file(self.file(key))));
    }

    /// From now on the blocks that other processes hold of an object are not read.
    pub(super) fn distrust(&self, object: u128) {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).insert(object);
    }

    fn file(&self, key: &Key) -> PathBuf {
        file(&self.folder, key)
    }
}

fn file(folder: &Path, key: &Key) -> PathBuf {
    let name = format!("{:032x}-{:x}", key.object, key.block);
    folder.join(&name[..2]).join(name)
}

/// The block, if a file in `folder` is it.
fn read(folder: &Path, key: &Key) -> Option<Bytes> {
    let mut bytes = Vec::new();
    // Not more than any block, whatever stands there now.
    let most = FILE_BYTES_MAX as u64;
    File::open(file(folder, key)).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    let bytes = Bytes::from(bytes);
    let header = bytes.get(..HEADER_BYTES)?;
    let block = bytes.slice(HEADER_BYTES..);
    (header == header_of(key, &block)).then_some(block)
}

fn parse_name(name: &str) -> Option<Key> {
    let (object, block) = name.split_once('-')?;
    if object.len() != 32 {
        return None;
    }
    let object = u128::from_str_radix(object, 16).ok()?;
    Some(Key::block(object, u64::from_str_radix(block, 16).ok()?))
}

fn header_of(key: &Key, block: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..24].copy_from_slice(&key.object.to_le_bytes());
    header[24..32].copy_from_slice(&key.block.to_le_bytes());
    header[32..36].copy_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes());
    let crc = crc32c_append(crc32c(&header[..36]), block);
    header[36..].copy_from_slice(&crc.to_le_bytes());
    header
}
