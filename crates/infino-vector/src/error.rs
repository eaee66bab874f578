//! Why an index could not be built or searched.

use std::io;
use std::path::PathBuf;

use infino_format::{DocId, FormatError};

/// Why an index could not be built, opened or searched.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The index cannot be what was asked for: change the spec.
    #[error("vector index spec: {problem}")]
    Spec {
        /// What is wrong with it.
        problem: String,
    },
    /// A vector is refused; the builder goes on as if it had not been offered.
    #[error("vector of row {doc}: {problem}")]
    Vector {
        /// The row.
        doc: DocId,
        /// What is wrong with it.
        problem: String,
    },
    /// The question cannot be asked of this index: change the query.
    #[error("vector query: {problem}")]
    Query {
        /// What is wrong with it.
        problem: String,
    },
    /// Scratch space failed; free some, or name another folder in the build options.
    #[error("scratch folder {}: {source}", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be opened; the path is wrong or not allowed.
    #[error("vector index file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The output refused the index.
    #[error("writing the vector index: {0}")]
    Write(#[source] io::Error),
    /// The build could not start its threads.
    #[error("starting the threads of a vector index build: {problem}")]
    Threads {
        /// What the system said.
        problem: String,
    },
    /// The index was opened from its first bytes alone; search it through [`crate::IvfIndex::search`].
    #[error("the vector index is not in memory, so it cannot be searched there")]
    NotResident,
    /// Stored bytes contradict themselves; reading them again cannot help.
    #[error(transparent)]
    Corrupt(#[from] FormatError),
}

impl VectorError {
    pub(crate) fn spec(problem: impl Into<String>) -> Self {
        Self::Spec { problem: problem.into() }
    }

    pub(crate) fn query(problem: impl Into<String>) -> Self {
        Self::Query { problem: problem.into() }
    }
}
