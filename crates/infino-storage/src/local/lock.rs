//! The lock of one object, among threads and processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::retry::Backoff;

/// An advisory lock on a file, held until dropped. The operating system frees it when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Waits for the exclusive lock on the file at `path`, which is made if need be, its folder by `make_folder`.
    ///
    /// Fails with `TimedOut` if somebody else holds it for longer than `timeout`.
    pub(super) fn acquire(
        path: PathBuf,
        timeout: Duration,
        make_folder: impl Fn() -> io::Result<()>,
    ) -> io::Result<Self> {
        let until = Instant::now() + timeout;
        let mut backoff = Backoff::new(Duration::from_micros(200), Duration::from_millis(10));
        loop {
            match try_acquire(&path, &make_folder) {
                Ok(Some(file)) => return Ok(Self { path, file }),
                // Its folder, empty a moment ago, was removed before the file was in it: make it anew.
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                Ok(None) | Err(_) if Instant::now() < until => std::thread::sleep(backoff.wait()),
                Ok(None) | Err(_) => return Err(ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Removes the file, then frees the lock: who waits for it finds that its file is no longer the one at the path.
    pub(super) fn remove(self) {
        if cfg!(unix) {
            // Best effort: a lock that stays behind does no harm.
            let _ = fs::remove_file(&self.path);
        }
        drop(self.file);
    }
}

/// The locked file, or `None` if it is another's just now.
fn try_acquire(
    path: &PathBuf,
    make_folder: impl Fn() -> io::Result<()>,
) -> io::Result<Option<File>> {
    make_folder()?;
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) if is_at(&file, path) => Ok(Some(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Whether the path still leads to this file: its last holder may have removed it.
#[cfg(unix)]
fn is_at(file: &File, path: &PathBuf) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Elsewhere the files of locks are never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &PathBuf) -> bool {
    true
}
