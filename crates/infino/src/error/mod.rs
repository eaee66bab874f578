//! One error for everything, with a kind that says what the caller can do.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use infino_format::FormatError;
use infino_storage::StorageError;
use infino_superfile::SuperfileError;
use infino_table::TableError;
use infino_wal::WalError;

mod kind;

use kind::{storage_kind, table_kind};

/// What the caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named is not there.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The call cannot work as it is; the message says what would.
    Invalid,
    /// Another writer changed the same rows; read again and decide anew.
    Conflict,
    /// Storage does not answer, or refuses; later or with other credentials it may.
    Unavailable,
    /// Stored bytes contradict themselves; restore the object named or rebuild it.
    Corrupt,
    /// A defect of infino, or of this machine.
    Internal,
}

/// Why a call did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: false, source: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Whether the call was a commit of which the store left open if it happened. It may be visible already, or become so;
    /// a writer with a [token](crate::Writer::token) can safely be tried again.
    pub fn is_outcome_unknown(&self) -> bool {
        let source = self.source.as_ref().and_then(|source| source.downcast_ref::<TableError>());
        matches!(source, Some(TableError::Wal(WalError::Unknown(_))))
    }

    /// The same, about a place in a statement.
    pub(crate) fn at(mut self, line: u64, column: u64) -> Self {
        self.message = format!("{} (line {line}, column {column})", self.message);
        self
    }

    fn from_source(
        kind: ErrorKind,
        retryable: bool,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind, message: source.to_string(), retryable, source: Some(Box::new(source)) }
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        let (kind, retryable) = table_kind(&error);
        Self::from_source(kind, retryable, error)
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let (kind, retryable) = storage_kind(&error);
        Self::from_source(kind, retryable, error)
    }
}

impl From<SuperfileError> for Error {
    fn from(error: SuperfileError) -> Self {
        TableError::from(error).into()
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Self::from_source(ErrorKind::Corrupt, false, error)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::from_source(ErrorKind::Invalid, false, error)
    }
}

impl From<DataFusionError> for Error {
    /// Finds our own error inside, where a search inside a statement failed.
    fn from(error: DataFusionError) -> Self {
        let kind = match error.find_root() {
            DataFusionError::External(inner) => {
                if let Some(ours) = inner.downcast_ref::<Error>() {
                    return ours.share();
                }
                if let Some(ours) = inner.downcast_ref::<TableError>() {
                    let (kind, retryable) = table_kind(ours);
                    return Self {
                        kind,
                        message: ours.to_string(),
                        retryable,
                        source: Some(Box::new(error)),
                    };
                }
                ErrorKind::Internal
            }
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Execution(_)
            | DataFusionError::ArrowError(..)
            | DataFusionError::ResourcesExhausted(_)
            | DataFusionError::Configuration(_) => ErrorKind::Invalid,
            DataFusionError::ParquetError(_) => ErrorKind::Corrupt,
            _ => ErrorKind::Internal,
        };
        let message = match error.find_root() {
            DataFusionError::SQL(parser, _)
                if matches!(parser.as_ref(), ParserError::RecursionLimitExceeded) =>
            {
                "SQL: parentheses or operators nest too deep; 50 levels are the limit".to_owned()
            }
            DataFusionError::ResourcesExhausted(problem) => format!(
                "the statement needs more memory than statements may use together; raise `sql_memory_bytes` or ask for \
                 less of it at once: {problem}"
            ),
            _ => error.strip_backtrace(),
        };
        Self { kind, message, retryable: false, source: Some(Box::new(error)) }
    }
}

impl Error {
    /// The same error once more, without what caused it.
    pub(crate) fn share(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            retryable: self.retryable,
            source: None,
        }
    }
}
