//! Why storage did not do what it was asked.

use std::io;
use std::path::Path;

/// A variant per next move of the caller; every variant names the object.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// No such object.
    #[error("{path}: not found")]
    NotFound {
        /// The object.
        path: String,
    },
    /// The URI or an option cannot be used; says what to write instead.
    #[error("{problem}")]
    Invalid {
        /// What is wrong and what to do.
        problem: String,
    },
    /// The store refuses these credentials or this operation (read-only, access denied).
    #[error("{path}: {operation} is not permitted: {problem}")]
    Denied {
        /// The object.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// The store's own words.
        problem: String,
    },
    /// The store did not answer, or answered that it cannot now; trying later may help.
    #[error("{path}: {operation} failed: {problem}")]
    Unavailable {
        /// The object.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// The last failure.
        problem: String,
    },
    /// The object is there and shorter than the range asked for, or the answer is not the range asked for.
    #[error("{path}: bytes {start}..{end} asked for, got {got}")]
    Range {
        /// The object.
        path: String,
        /// First byte asked for.
        start: u64,
        /// Past the last byte asked for.
        end: u64,
        /// What came instead.
        got: String,
    },
    /// The store does not keep the promises that commits rest on.
    #[error("{store}: {problem}")]
    Unfit {
        /// The store.
        store: String,
        /// Which promise it breaks, and what that means.
        problem: String,
    },
}

impl StorageError {
    /// The object an error is about; `None` for one about the store or its options.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NotFound { path }
            | Self::Denied { path, .. }
            | Self::Unavailable { path, .. }
            | Self::Range { path, .. } => Some(path),
            Self::Invalid { .. } | Self::Unfit { .. } => None,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The failure of an operation on this machine's file system; `path` is what the caller named.
pub(crate) fn of_io(path: &str, operation: &'static str, error: &io::Error) -> StorageError {
    let path = path.to_owned();
    let problem = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => StorageError::NotFound { path },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StorageError::Denied { path, operation, problem }
        }
        io::ErrorKind::InvalidFilename => StorageError::Invalid {
            problem: format!("object name {path:?} is too long for this file system: {problem}"),
        },
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => StorageError::Invalid {
            problem: format!(
                "object name {path:?} cannot be used on a local disk: a part of it is both a file and a folder"
            ),
        },
        _ => StorageError::Unavailable { path, operation, problem },
    }
}

/// The failure to read a file of the caller's on this machine.
pub(crate) fn of_local_file(
    file: &Path,
    operation: &'static str,
    error: &io::Error,
) -> StorageError {
    of_io(&file.display().to_string(), operation, error)
}
