//! The blocking half: files, renames, flushes and locks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use uuid::Uuid;

use super::lock::Lock;
use super::names;
use crate::error::of_io;
use crate::{ObjectInfo, StorageError, Tag, path, source};

/// Temporary files that nobody has written to for so long belong to a process that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How often a folder may vanish between being made and being used.
const RENAMES_MAX: usize = 100;

/// A directory with objects in it; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    root: Arc<Path>,
    fsync: bool,
    lock_timeout: Duration,
}

impl Disk {
    pub(super) fn new(root: PathBuf, fsync: bool, lock_timeout: Duration) -> Self {
        let disk = Self { root: root.into(), fsync, lock_timeout };
        disk.remove_abandoned();
        disk
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn file(&self, name: &str) -> Result<PathBuf, StorageError> {
        names::file(&self.root, name)
    }

    pub(super) fn get(&self, name: &str) -> Result<(Bytes, Tag), StorageError> {
        let mut file = self.open(name)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| of_io(name, "reading", &e))?;
        let tag = tag_of(&bytes);
        Ok((bytes.into(), tag))
    }

    pub(super) fn get_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let mut file = self.open(name)?;
        let len = file.metadata().map_err(|e| of_io(name, "reading", &e))?.len();
        ranges.iter().map(|range| read_range(name, &mut file, len, range)).collect()
    }

    pub(super) fn head(&self, name: &str) -> Result<ObjectInfo, StorageError> {
        let metadata = self.open(name)?.metadata().map_err(|e| of_io(name, "looking up", &e))?;
        Ok(info(name.to_owned(), &metadata))
    }

    pub(super) fn put(&self, name: &str, bytes: &mut dyn Read) -> Result<(), StorageError> {
        let file = self.file(name)?;
        self.write(&file, bytes).map_err(|e| of_io(name, "writing", &e))
    }

    /// The new tag, or `None` if the object is not as expected.
    pub(super) fn swap(
        &self,
        name: &str,
        expected: Option<&Tag>,
        bytes: &[u8],
    ) -> Result<Option<Tag>, StorageError> {
        let file = self.file(name)?;
        let lock = self.lock(name, &file)?;
        let found = match fs::read(&file) {
            Ok(old) => Some(tag_of(&old)),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(of_io(name, "reading", &e)),
        };
        if found.as_ref() != expected {
            if found.is_none() {
                lock.remove();
                self.remove_empty_folders(&file);
            }
            return Ok(None);
        }
        self.write(&file, &mut &*bytes).map_err(|e| of_io(name, "writing", &e))?;
        drop(lock);
        Ok(Some(tag_of(bytes)))
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = path::folder(prefix)?;
        let start = if folder.is_empty() { self.root.to_path_buf() } else { self.file(folder)? };
        let mut found = Vec::new();
        let mut open = vec![(start, folder.to_owned())];
        while let Some((directory, folder)) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                // Nobody has written there, or somebody has removed it: nothing is in it.
                Err(e) if is_absent(&e) => continue,
                Err(e) => return Err(of_io(prefix, "listing", &e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| of_io(prefix, "listing", &e))?;
                let Some(segment) = entry.file_name().to_str().and_then(names::segment) else {
                    continue;
                };
                let name = if folder.is_empty() { segment } else { format!("{folder}/{segment}") };
                // Follows links, so that a directory may be one.
                match fs::metadata(entry.path()) {
                    Ok(metadata) if metadata.is_dir() => open.push((entry.path(), name)),
                    Ok(metadata) if metadata.is_file() => found.push(info(name, &metadata)),
                    Ok(_) => {}
                    Err(e) if is_absent(&e) => {}
                    Err(e) => return Err(of_io(&name, "listing", &e)),
                }
            }
        }
        Ok(found)
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), StorageError> {
        let file = self.file(name)?;
        // An object that was ever swapped is removed between swaps, not in the middle of one.
        let lock = match names::lock(&file).exists() {
            true => Some(self.lock(name, &file)?),
            false => None,
        };
        let outcome = match fs::remove_file(&file) {
            Ok(()) => self.flush_folder(&file),
            Err(e) if is_absent(&e) => Ok(()),
            // Removing a folder of objects is refused with a different kind on each system.
            Err(_) if file.is_dir() => Ok(()),
            Err(e) => Err(e),
        };
        if let Some(lock) = lock {
            lock.remove();
        }
        self.remove_empty_folders(&file);
        outcome.map_err(|e| of_io(name, "deleting", &e))
    }

    /// Removes the folders above `file` that hold nothing more. Whoever is about to write there makes them again.
    fn remove_empty_folders(&self, file: &Path) {
        let above = file.ancestors().skip(1).take_while(|folder| *folder != &*self.root);
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    fn open(&self, name: &str) -> Result<File, StorageError> {
        let file = self.file(name)?;
        let absent = || StorageError::NotFound { path: name.to_owned() };
        let open = match File::open(&file) {
            Ok(open) => open,
            Err(e) if is_absent(&e) => return Err(absent()),
            Err(_) if file.is_dir() => return Err(absent()),
            Err(e) => return Err(of_io(name, "reading", &e)),
        };
        let metadata = open.metadata().map_err(|e| of_io(name, "reading", &e))?;
        if metadata.is_dir() { Err(absent()) } else { Ok(open) }
    }

    /// Puts `bytes` in `file`, all or nothing, durable on return.
    fn write(&self, file: &Path, bytes: &mut dyn Read) -> io::Result<()> {
        let temporary = self.root.join(names::TEMPORARY).join(Uuid::new_v4().to_string());
        let outcome = self.write_through(&temporary, file, bytes);
        if outcome.is_err() {
            // Best effort: what stays behind is removed when the store is next opened a day later.
            let _ = fs::remove_file(&temporary);
        }
        outcome
    }

    fn write_through(&self, temporary: &Path, file: &Path, bytes: &mut dyn Read) -> io::Result<()> {
        let mut written = match create(temporary) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.create_folders(temporary)?;
                create(temporary)?
            }
            other => other?,
        };
        io::copy(bytes, &mut written)?;
        if self.fsync {
            written.sync_all()?;
        }
        drop(written);
        self.rename(temporary, file)?;
        self.flush_folder(file)
    }

    /// Gives a file its name, in a folder that may be removed by others as long as it is empty.
    fn rename(&self, temporary: &Path, file: &Path) -> io::Result<()> {
        let mut tries = 0;
        loop {
            match self.create_folders(file).and_then(|()| fs::rename(temporary, file)) {
                Err(e) if e.kind() == ErrorKind::NotFound && tries < RENAMES_MAX => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// Makes the folders above `file`, each flushed in the one above it.
    fn create_folders(&self, file: &Path) -> io::Result<()> {
        let Some(folder) = file.parent() else { return Ok(()) };
        if folder.is_dir() {
            return Ok(());
        }
        self.create_folders(folder)?;
        match fs::create_dir(folder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                match fs::metadata(folder)?.is_dir() {
                    true => Ok(()),
                    // A file stands where the folder should. (One that was removed since is `NotFound`: made again.)
                    false => Err(ErrorKind::NotADirectory.into()),
                }
            }
            Err(e) => Err(e),
            Ok(()) => self.flush_folder(folder),
        }
    }

    /// Makes what was renamed or removed at `file` durable.
    fn flush_folder(&self, file: &Path) -> io::Result<()> {
        // Only Unix lets a directory be opened and flushed; elsewhere the file system's journal orders renames.
        match file.parent() {
            Some(folder) if cfg!(unix) && self.fsync => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn lock(&self, name: &str, file: &Path) -> Result<Lock, StorageError> {
        let path = names::lock(file);
        Lock::acquire(path, self.lock_timeout, || self.create_folders(file)).map_err(|e| {
            match e.kind() {
                ErrorKind::TimedOut => StorageError::Unavailable {
                    path: name.to_owned(),
                    operation: "locking",
                    problem: format!(
                        "somebody else has held the lock for {:?}; nothing was written",
                        self.lock_timeout
                    ),
                },
                _ => of_io(name, "locking", &e),
            }
        })
    }

    fn remove_abandoned(&self) {
        let Ok(entries) = fs::read_dir(self.root.join(names::TEMPORARY)) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED_AFTER) {
                // Best effort: another process may be removing it too.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// A new file for writing; one that is there already is an error.
fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(file)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn read_range(
    name: &str,
    file: &mut File,
    len: u64,
    range: &Range<u64>,
) -> Result<Bytes, StorageError> {
    if range.start > range.end || range.end > len {
        return Err(source::not_exact(name, range, format!("an object of {len} bytes")));
    }
    // Not more than the file holds, so a foolish range cannot ask for more memory than that.
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    let read = file.seek(SeekFrom::Start(range.start)).and_then(|_| file.read_exact(&mut bytes));
    match read {
        Ok(()) => Ok(bytes.into()),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
            Err(source::not_exact(name, range, "a file that was cut short meanwhile".to_owned()))
        }
        Err(e) => Err(of_io(name, "reading", &e)),
    }
}

/// Equal tags, equal bytes: the hash of the content, whoever wrote it and when.
fn tag_of(bytes: &[u8]) -> Tag {
    Tag(blake3::hash(bytes).to_hex().to_string())
}

fn info(path: String, metadata: &fs::Metadata) -> ObjectInfo {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ms = u64::try_from(modified.as_millis()).unwrap_or(u64::MAX);
    ObjectInfo { path, len: metadata.len(), modified_ms }
}
