//! Which kind each error of the crates below is, and whether trying again may help.

use infino_fts::FtsError;
use infino_manifest::ManifestError;
use infino_storage::StorageError;
use infino_superfile::SuperfileError;
use infino_table::TableError;
use infino_vector::VectorError;
use infino_wal::WalError;

use super::ErrorKind;

pub(super) fn table_kind(error: &TableError) -> (ErrorKind, bool) {
    match error {
        TableError::Invalid(_)
        | TableError::NotIndexed { .. }
        | TableError::RowCount { .. }
        | TableError::Filter(_)
        | TableError::Arrow(_) => (ErrorKind::Invalid, false),
        TableError::DuplicateKey { .. } => (ErrorKind::AlreadyExists, false),
        TableError::Contention { .. } => (ErrorKind::Conflict, true),
        TableError::Local { .. } => (ErrorKind::Internal, false),
        TableError::Format(_) => (ErrorKind::Corrupt, false),
        TableError::Storage(error) => storage_kind(error),
        TableError::Wal(error) => wal_kind(error),
        TableError::Manifest(error) => manifest_kind(error),
        TableError::Superfile(error) => superfile_kind(error),
        TableError::Open(error) => superfile_kind(error),
        TableError::Text(error) => (text_kind(error), false),
        TableError::Vector(error) => (vector_kind(error), false),
    }
}

pub(super) fn storage_kind(error: &StorageError) -> (ErrorKind, bool) {
    let kind = match error {
        StorageError::NotFound { .. } => ErrorKind::NotFound,
        StorageError::Invalid { .. } | StorageError::Unfit { .. } => ErrorKind::Invalid,
        StorageError::Denied { .. } | StorageError::Unavailable { .. } => ErrorKind::Unavailable,
        StorageError::Range { .. } => ErrorKind::Corrupt,
    };
    (kind, error.is_retryable())
}

fn wal_kind(error: &WalError) -> (ErrorKind, bool) {
    let kind = match error {
        WalError::NotFound { .. } => ErrorKind::NotFound,
        WalError::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        WalError::Conflict(_) | WalError::Contention { .. } => ErrorKind::Conflict,
        WalError::Unknown(_) | WalError::TailFull { .. } => ErrorKind::Unavailable,
        WalError::Invalid { .. } => ErrorKind::Invalid,
        WalError::Rewound { .. } | WalError::Corrupt { .. } => ErrorKind::Corrupt,
        WalError::Storage(error) => return storage_kind(error),
    };
    (kind, error.is_retryable())
}

fn manifest_kind(error: &ManifestError) -> (ErrorKind, bool) {
    let kind = match error {
        ManifestError::NotKept { .. } => ErrorKind::NotFound,
        ManifestError::Stale { .. } => ErrorKind::Conflict,
        ManifestError::Unfit { .. } | ManifestError::Corrupt { .. } => ErrorKind::Corrupt,
        // The snapshot names an object that is gone: what was kept is not there.
        ManifestError::Storage(StorageError::NotFound { .. }) => ErrorKind::Corrupt,
        ManifestError::Storage(error) => return storage_kind(error),
    };
    (kind, error.is_retryable())
}

fn superfile_kind(error: &SuperfileError) -> (ErrorKind, bool) {
    let kind = match error {
        SuperfileError::Invalid { .. }
        | SuperfileError::UnknownColumn { .. }
        | SuperfileError::NotIndexed { .. }
        | SuperfileError::Arrow(_) => ErrorKind::Invalid,
        SuperfileError::Corrupt { .. } | SuperfileError::Parquet(_) => ErrorKind::Corrupt,
        SuperfileError::Newer { .. } => ErrorKind::Corrupt,
        SuperfileError::Text(error) => text_kind(error),
        SuperfileError::Vector(error) => vector_kind(error),
        SuperfileError::Storage(StorageError::NotFound { .. }) => ErrorKind::Corrupt,
        SuperfileError::Storage(error) => return storage_kind(error),
        SuperfileError::Io { .. } => ErrorKind::Internal,
    };
    (kind, error.is_retryable())
}

fn text_kind(error: &FtsError) -> ErrorKind {
    match error {
        FtsError::Corrupt(_) => ErrorKind::Corrupt,
        FtsError::Io(_) => ErrorKind::Internal,
        _ => ErrorKind::Invalid,
    }
}

fn vector_kind(error: &VectorError) -> ErrorKind {
    match error {
        VectorError::Corrupt(_) => ErrorKind::Corrupt,
        VectorError::Scratch { .. } | VectorError::Write(_) | VectorError::Threads { .. } => {
            ErrorKind::Internal
        }
        _ => ErrorKind::Invalid,
    }
}
