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

/// The absolute path of `directory`, created if it was absent and known to be readable.
pub(super) fn open_root(directory: &Path) -> Result<PathBuf, StorageError> {
    let shown = directory.display().to_string();
    match fs::create_dir_all(directory) {
        Ok(()) => {}
        // An existing file answers AlreadyExists, one further up NotADirectory.
        Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) => {
            return Err(StorageError::Invalid {
                problem: format!(
                    "{shown} is not a directory; name one, or a path where one can be made"
                ),
            });
        }
        Err(e) => return Err(error::of_io(&shown, "creating the directory", &e)),
    }
    fs::read_dir(directory).map_err(|e| error::of_io(&shown, "reading the directory", &e))?;
    fs::canonicalize(directory).map_err(|e| error::of_io(&shown, "finding the directory", &e))
}
