//! Why a superfile could not be written or read.

use std::ops::Range;
use std::sync::Arc;

use arrow::error::ArrowError;
use infino_format::FormatError;
use infino_fts::FtsError;
use infino_storage::StorageError;
use infino_vector::VectorError;
use parquet::errors::ParquetError;

/// A variant per next move of the caller. Cheap to clone, so that many waiters can be told of one failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SuperfileError {
    /// The schema, the rows or the arguments cannot be used; says which and what to do.
    #[error("{problem}")]
    Invalid {
        /// What is wrong and what to do.
        problem: String,
    },
    /// The file has no such column: ask for one that it has.
    #[error("{superfile} has no column {column:?}; it has {columns}")]
    UnknownColumn {
        /// The file.
        superfile: String,
        /// The column asked for.
        column: String,
        /// The columns of the file.
        columns: String,
    },
    /// The file is sound, the column has no such index: ask for another, or scan.
    #[error("{superfile} has no {kind} index on {column}")]
    NotIndexed {
        /// The file.
        superfile: String,
        /// `text` or `vector`.
        kind: &'static str,
        /// The column asked for.
        column: String,
    },
    /// Stored bytes contradict themselves; reading the object again cannot help.
    #[error("{superfile} is corrupt in its {part}, bytes {}..{}: {source}", range.start, range.end)]
    Corrupt {
        /// The file.
        superfile: String,
        /// `footer`, `body`, `checksums` or an index section.
        part: String,
        /// The bytes of the file that were read as one when it showed.
        range: Range<u64>,
        /// What they contradict.
        source: FormatError,
    },
    /// The file was written by a newer release; upgrade to read it.
    #[error("{superfile}: {source}")]
    Newer {
        /// The file.
        superfile: String,
        /// Which version, and the newest this release reads.
        source: FormatError,
    },
    /// The text index cannot be built from, or asked, this; the source says what to do.
    #[error(transparent)]
    Text(Arc<FtsError>),
    /// The vector index cannot be built from, or asked, this; the source says what to do.
    #[error(transparent)]
    Vector(Arc<VectorError>),
    /// Storage did not do what it was asked.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The writer given, or a scratch file, failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being written or read.
        what: String,
        /// How it failed.
        source: Arc<std::io::Error>,
    },
    /// Arrow refused the rows.
    #[error("arrow: {0}")]
    Arrow(Arc<ArrowError>),
    /// Parquet refused the rows.
    #[error("parquet: {0}")]
    Parquet(Arc<ParquetError>),
}

macro_rules! shared {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for SuperfileError {
            fn from(error: $error) -> Self {
                Self::$variant(Arc::new(error))
            }
        }
    )*};
}

shared!(FtsError => Text, VectorError => Vector, ArrowError => Arrow, ParquetError => Parquet);

impl SuperfileError {
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid { problem: problem.into() }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source: Arc::new(source) }
    }

    /// [`SuperfileError::Corrupt`], or [`SuperfileError::Newer`] if that is all that is wrong.
    pub(crate) fn corrupt(
        superfile: &str,
        part: impl Into<String>,
        range: Range<u64>,
        source: FormatError,
    ) -> Self {
        let superfile = superfile.to_owned();
        match source {
            FormatError::Version { .. } => Self::Newer { superfile, source },
            _ => Self::Corrupt { superfile, part: part.into(), range, source },
        }
    }

    /// A failed read of `part`: an object that is too short is a corrupt file, the rest is storage's.
    pub(crate) fn read(superfile: &str, part: &str, error: StorageError) -> Self {
        match error {
            StorageError::Range { start, end, got, .. } => Self::corrupt(
                superfile,
                part,
                start..end,
                FormatError::invalid("object", format!("got {got}")),
            ),
            other => Self::Storage(other),
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_retryable())
    }

    /// Whether stored bytes are to blame.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Newer { .. })
    }
}
