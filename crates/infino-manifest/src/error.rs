//! Why a snapshot could not be had.

use infino_format::FormatError;
use infino_storage::StorageError;

/// A variant per next move of the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ManifestError {
    /// There is no such version, or none so old: choose another.
    #[error("{asked} is not kept: versions {floor} to {newest} are")]
    NotKept {
        /// The version or time that was asked for.
        asked: String,
        /// The oldest version that can be opened.
        floor: u64,
        /// The newest version.
        newest: u64,
    },
    /// The snapshot is of another version or table than the call needs; read it anew.
    #[error("the snapshot is of version {found}, version {expected} is needed")]
    Stale {
        /// The version needed.
        expected: u64,
        /// The snapshot's.
        found: u64,
    },
    /// A record does not fit the version that it follows.
    #[error("the record of version {version} does not fit what it follows: {problem}")]
    Unfit {
        /// The version that it makes.
        version: u64,
        /// Why.
        problem: String,
    },
    /// An object contradicts itself or what names it.
    #[error("{path} is corrupt: {source}")]
    Corrupt {
        /// The object.
        path: String,
        /// How.
        source: FormatError,
    },
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ManifestError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_retryable())
    }

    pub(crate) fn corrupt(path: &str) -> impl FnOnce(FormatError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Corrupt { path, source }
    }
}
