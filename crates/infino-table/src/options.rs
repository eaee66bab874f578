//! What a user may set on a table handle.

use std::path::PathBuf;
use std::time::Duration;

/// How fresh the snapshot of a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadConsistency {
    /// Every query first asks storage whether the head moved: one conditional read.
    Strong,
    /// A query may run on a snapshot that was checked at most this long ago.
    Bounded(Duration),
    /// Queries run on the snapshot of the last commit or refresh through this handle.
    Manual,
}

/// Settings of a table handle; none is stored with the table.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// How fresh the snapshot of a query is.
    pub consistency: ReadConsistency,
    /// Whether the store is asked, before the first commit to it, if it keeps the promises that commits rest on; about a
    /// hundred small requests, once a [`Runtime`](crate::Runtime).
    pub probe: bool,
    /// Rows held by a writer before it builds superfiles, in bytes of Arrow memory.
    pub buffer_bytes: usize,
    /// Memory a single superfile build may take for its indexes before it spills, in bytes.
    pub build_bytes: usize,
    /// Where builds put what they spill; the system's temporary folder if `None`.
    pub scratch_dir: Option<PathBuf>,
    /// Bytes of open superfile state (footers, index tops) kept in memory.
    pub open_files_bytes: u64,
    /// Rows a mutation may match before it is refused; a guard against a predicate that matches everything.
    pub mutation_rows_max: u64,
    /// Times a mutation is resolved anew after a conflict.
    pub mutation_attempts: u32,
    /// Fresh rows are sealed in the background when they take this many bytes in the log; 0 leaves it to
    /// [`Table::seal`](crate::Table::seal) and [`Table::optimize`](crate::Table::optimize).
    pub seal_bytes: u64,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            consistency: ReadConsistency::Strong,
            probe: true,
            buffer_bytes: 128 << 20,
            build_bytes: 128 << 20,
            scratch_dir: None,
            open_files_bytes: 256 << 20,
            mutation_rows_max: 10_000_000,
            mutation_attempts: 10,
            seal_bytes: 2 << 20,
        }
    }
}
