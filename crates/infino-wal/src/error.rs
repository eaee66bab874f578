//! Why a log could not be read or a change not be committed.

use infino_format::{CommitId, FormatError};
use infino_storage::StorageError;

use crate::Conflict;

/// What [`Log::commit`](crate::Log::commit) fails with.
pub type CommitError = WalError;

/// A variant per next move of the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// There is no table under this root: create it, or look elsewhere.
    #[error("{path}: there is no table here; create it first")]
    NotFound {
        /// The head that is not there.
        path: String,
    },
    /// There is a table under this root: open it.
    #[error("{path}: a table is here already; open it, or choose another name")]
    AlreadyExists {
        /// The head that is there.
        path: String,
    },
    /// Another commit changed what this one rests on; nothing was committed. Read again, decide again, commit again.
    #[error("not committed: {0}")]
    Conflict(#[from] Conflict),
    /// The store gave no clear answer. The change may be committed, now or a little later; ask
    /// [`Log::resolve`](crate::Log::resolve), and delete nothing that it names.
    #[error("commit {0} may have happened: the store gave no clear answer; resolve it by this id")]
    Unknown(CommitId),
    /// So many races were lost that trying on would only make it worse; nothing was committed. Try later.
    #[error(
        "not committed: {attempts} attempts in a row lost the race for {path}; try again later"
    )]
    Contention {
        /// The head.
        path: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The tail is so long that no head can hold more of it; nothing was committed. Fold a checkpoint first.
    #[error(
        "not committed: {path} holds {segments} segments that no checkpoint has folded; fold it"
    )]
    TailFull {
        /// The head.
        path: String,
        /// Segments in its tail.
        segments: usize,
    },
    /// The change cannot be committed as it is; nothing was.
    #[error("not committed: {problem}")]
    Invalid {
        /// What is wrong with it.
        problem: String,
    },
    /// The store holds an older head than one seen before: somebody restored or replaced it.
    #[error(
        "{path} went back from swap {known} to {found}: the object was restored or replaced outside; open the table anew"
    )]
    Rewound {
        /// The head.
        path: String,
        /// The swap seen before.
        known: u64,
        /// The swap found now.
        found: u64,
    },
    /// An object of the log contradicts itself or what names it.
    #[error("{path} is corrupt: {source}")]
    Corrupt {
        /// The object.
        path: String,
        /// How.
        source: FormatError,
    },
    /// The store failed; nothing was committed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WalError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contention { .. } => true,
            Self::Storage(error) => error.is_retryable(),
            _ => false,
        }
    }

    pub(crate) fn corrupt(path: &str) -> impl FnOnce(FormatError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Corrupt { path, source }
    }
}
