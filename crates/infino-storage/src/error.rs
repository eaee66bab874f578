//! Why storage did not do what it was asked.

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
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
