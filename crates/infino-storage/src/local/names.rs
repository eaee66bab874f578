//! Which file holds which object.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{StorageError, error, path};

/// Folder of files that are being written, below the root.
pub(super) const TEMPORARY: &str = ".infino-tmp";

/// The file name of one segment of an object's name: characters that some file system refuses, and a leading dot, are
/// spelled as `%XX`.
fn file_name(segment: &str) -> String {
    let last = segment.len() - 1;
    path::escape(segment, |at, byte| {
        b"\\:*?\"<>|".contains(&byte)
            || (at == 0 && byte == b'.')
            || (at == last && matches!(byte, b'.' | b' '))
    })
}

/// The file of object `name` below `root`.
pub(super) fn file(root: &Path, name: &str) -> Result<PathBuf, StorageError> {
    path::check(name)?;
    let mut file = root.to_owned();
    file.extend(name.split('/').map(file_name));
    Ok(file)
}

/// The lock of the object in `file`: beside it, so that stores with other roots agree on it.
pub(super) fn lock(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.lock"))
}

/// The segment that a directory entry spells; `None` for one that is no object's.
pub(super) fn segment(file_name: &str) -> Option<String> {
    if file_name.starts_with('.') { None } else { path::unescape(file_name) }
}

/// The absolute path of `directory`, known to be readable if it is there and to be a place for one if not. Nothing is
/// made: a reader of a place where nobody wrote leaves no trace.
pub(super) fn open_root(directory: &Path) -> Result<PathBuf, StorageError> {
    let shown = directory.display().to_string();
    let failed = |doing: &'static str, e: &std::io::Error| error::of_io(&shown, doing, e);
    let absolute =
        std::path::absolute(directory).map_err(|e| failed("finding the directory", &e))?;
    // What is there may be a link: two ways to one directory are one store.
    let mut missing = Vec::new();
    let mut there = absolute.as_path();
    loop {
        match fs::metadata(there) {
            Ok(metadata) if metadata.is_dir() => break,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            // A file on the way answers NotADirectory from below.
            Err(e) if e.kind() == ErrorKind::NotADirectory => {
                return Err(not_a_directory(directory));
            }
            Err(e) => return Err(failed("reading the directory", &e)),
            Ok(_) => return Err(not_a_directory(directory)),
        }
        let (Some(above), Some(name)) = (there.parent(), there.file_name()) else {
            return Err(not_a_directory(directory));
        };
        missing.push(name);
        there = above;
    }
    if missing.is_empty() {
        fs::read_dir(there).map_err(|e| failed("reading the directory", &e))?;
    }
    let mut root = fs::canonicalize(there).map_err(|e| failed("finding the directory", &e))?;
    root.extend(missing.into_iter().rev());
    Ok(root)
}

fn not_a_directory(directory: &Path) -> StorageError {
    let shown = directory.display();
    StorageError::Invalid {
        problem: format!("{shown} is not a directory; name one, or a path where one can be made"),
    }
}
