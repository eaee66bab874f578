//! Why a table did not do what it was asked.

use std::sync::Arc;

use infino_format::FormatError;
use infino_fts::FtsError;
use infino_manifest::ManifestError;
use infino_storage::StorageError;
use infino_superfile::SuperfileError;
use infino_vector::VectorError;
use infino_wal::WalError;

/// A variant per next move of the caller.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// An argument or a batch does not fit the table; says which and what would.
    #[error("{0}")]
    Invalid(String),
    /// The column is there and has no index that answers this.
    #[error("column {column:?} has no {index} index; {instead}")]
    NotIndexed {
        /// The column.
        column: String,
        /// The kind of index missing.
        index: &'static str,
        /// What can be done.
        instead: String,
    },
    /// A row with this key is in the table already, or was given twice; nothing was committed. Upsert it instead, or leave
    /// it out.
    #[error("a row with {key} is there already; upsert it, or leave it out")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// An update whose rows do not pair with the rows matched.
    #[error("update matched {matched} rows and was given {given}; they must be as many")]
    RowCount {
        /// Rows that the predicate matched.
        matched: u64,
        /// Rows given.
        given: u64,
    },
    /// Another writer changed the same rows, again and again; try later.
    #[error("gave up after {attempts} attempts: {source}")]
    Contention {
        /// Attempts made.
        attempts: u32,
        /// The last conflict.
        source: Box<WalError>,
    },
    /// The log failed, or a commit: the error tells a conflict from an outcome that is not known.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The manifest failed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A superfile failed.
    #[error(transparent)]
    Superfile(#[from] SuperfileError),
    /// A superfile could not be opened; all who waited for it share the failure.
    #[error("{0}")]
    Open(Arc<SuperfileError>),
    /// The text index failed.
    #[error(transparent)]
    Text(#[from] FtsError),
    /// The vector index failed.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Stored bytes contradict themselves.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A predicate could not be evaluated.
    #[error("predicate: {0}")]
    Filter(String),
    /// This machine failed the build: scratch space, threads.
    #[error("{what}: {source}")]
    Local {
        /// What was being done.
        what: &'static str,
        /// The failure.
        source: std::io::Error,
    },
    /// Arrow refused to put columns together; a defect of infino.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl TableError {
    /// An [`TableError::Invalid`].
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }

    /// Whether another writer changed the same rows, so that the change should be decided anew on a newer snapshot.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Wal(WalError::Conflict(_)))
    }
}
