//! Which failures a caller must put up with, and which show a defect.

use infino_manifest::ManifestError;
use infino_storage::StorageError;
use infino_superfile::SuperfileError;
use infino_table::TableError;
use infino_wal::WalError;

use crate::plan::Faults;

/// What an error is, whatever layer it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Storage did not answer.
    Unavailable,
    /// Bytes were not what they should be.
    Damaged,
    /// An object, or a version, is not there.
    Gone,
    /// Other writers came first.
    Race,
    /// Nobody knows whether it happened.
    Unknown,
    /// A key is taken.
    Duplicate,
    /// None of these: a defect.
    Defect,
}

impl Nature {
    /// What `error` is.
    pub fn of(error: &TableError) -> Self {
        match error {
            TableError::DuplicateKey { .. } => Self::Duplicate,
            TableError::Contention { .. } => Self::Race,
            TableError::Wal(error) => of_wal(error),
            TableError::Manifest(error) => of_manifest(error),
            TableError::Superfile(error) => of_superfile(error),
            TableError::Open(error) => of_superfile(error),
            TableError::Storage(error) => of_storage(error),
            TableError::Format(_) => Self::Damaged,
            _ => Self::Defect,
        }
    }

    /// Whether faults like these explain it.
    pub fn is_of(self, faults: Faults) -> bool {
        let spoilt = faults.cut > 0.0 || faults.flip > 0.0;
        let silent = faults.fail > 0.0
            || faults.lost_reply > 0.0
            || faults.late > 0.0
            || faults.storm_every_ms > 0;
        match self {
            Self::Unavailable => silent || spoilt,
            Self::Unknown => silent || spoilt,
            Self::Damaged => spoilt,
            Self::Race => true,
            Self::Gone | Self::Duplicate | Self::Defect => false,
        }
    }
}

fn of_wal(error: &WalError) -> Nature {
    match error {
        WalError::Conflict(_) | WalError::Contention { .. } | WalError::TailFull { .. } => {
            Nature::Race
        }
        WalError::Unknown(_) => Nature::Unknown,
        WalError::Corrupt { .. } => Nature::Damaged,
        WalError::Storage(error) => of_storage(error),
        _ => Nature::Defect,
    }
}

fn of_manifest(error: &ManifestError) -> Nature {
    match error {
        ManifestError::NotKept { .. } => Nature::Gone,
        ManifestError::Corrupt { .. } => Nature::Damaged,
        ManifestError::Storage(error) => of_storage(error),
        _ => Nature::Defect,
    }
}

fn of_superfile(error: &SuperfileError) -> Nature {
    match error {
        SuperfileError::Storage(error) => of_storage(error),
        error if error.is_corrupt() => Nature::Damaged,
        _ => Nature::Defect,
    }
}

fn of_storage(error: &StorageError) -> Nature {
    match error {
        StorageError::NotFound { .. } => Nature::Gone,
        StorageError::Unavailable { .. } => Nature::Unavailable,
        StorageError::Range { .. } => Nature::Damaged,
        _ => Nature::Defect,
    }
}
