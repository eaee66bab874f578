//! What calls report, as dictionaries that `infino.reports` makes objects of.

use infino::{AlterReport, MutationStats, OptimizeReport, Receipt, VersionInfo};
use pyo3::prelude::*;

/// [`Receipt`].
#[derive(IntoPyObject)]
pub(crate) struct ReceiptOut {
    version: u64,
    rows: u64,
    inserted: u64,
    updated: u64,
    deleted: u64,
    unchanged: u64,
    replayed: bool,
}

impl From<Receipt> for ReceiptOut {
    fn from(receipt: Receipt) -> Self {
        let Receipt { version, rows, inserted, updated, deleted, unchanged, replayed, .. } =
            receipt;
        Self { version, rows, inserted, updated, deleted, unchanged, replayed }
    }
}

/// [`MutationStats`].
#[derive(IntoPyObject)]
pub(crate) struct Mutated {
    version: u64,
    matched: u64,
}

impl From<MutationStats> for Mutated {
    fn from(stats: MutationStats) -> Self {
        Self { version: stats.version, matched: stats.matched }
    }
}

/// [`OptimizeReport`].
#[derive(IntoPyObject)]
pub(crate) struct Optimized {
    version: u64,
    files_removed: usize,
    files_added: usize,
    rows_reclaimed: u64,
    objects_removed: usize,
    bytes_removed: u64,
}

impl From<OptimizeReport> for Optimized {
    fn from(report: OptimizeReport) -> Self {
        Self {
            version: report.version,
            files_removed: report.superfiles_removed,
            files_added: report.superfiles_added,
            rows_reclaimed: report.rows_reclaimed,
            objects_removed: report.objects_removed,
            bytes_removed: report.bytes_removed,
        }
    }
}

/// [`AlterReport`].
#[derive(IntoPyObject)]
pub(crate) struct Altered {
    version: u64,
    files_rewritten: usize,
    bytes_written: u64,
}

impl From<AlterReport> for Altered {
    fn from(report: AlterReport) -> Self {
        Self {
            version: report.version,
            files_rewritten: report.superfiles_rewritten,
            bytes_written: report.bytes_written,
        }
    }
}

/// [`infino::FileInfo`].
#[derive(IntoPyObject)]
pub(crate) struct FileOut {
    path: String,
    bytes: u64,
    rows: u32,
    dead_rows: u64,
}

impl From<infino::FileInfo> for FileOut {
    fn from(file: infino::FileInfo) -> Self {
        Self { path: file.path, bytes: file.bytes, rows: file.rows, dead_rows: file.dead_rows }
    }
}

/// [`VersionInfo`].
#[derive(IntoPyObject)]
pub(crate) struct VersionOut {
    version: u64,
    time_ms: u64,
    operation: String,
    token: Option<String>,
    rows_added: u64,
    files_added: usize,
    files_removed: usize,
}

impl From<VersionInfo> for VersionOut {
    fn from(info: VersionInfo) -> Self {
        Self {
            version: info.version,
            time_ms: info.time_ms,
            operation: format!("{:?}", info.operation).to_lowercase(),
            token: info.token,
            rows_added: info.rows_added,
            files_added: info.superfiles_added,
            files_removed: info.superfiles_removed,
        }
    }
}
