//! What a user may set on a table handle.

use std::path::PathBuf;
use std::time::Duration;

use crate::Runtime;

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
    /// hundred small requests, once a [`Runtime`].
    pub probe: bool,
    /// Rows held by a writer before it builds superfiles, in bytes of Arrow memory; an eighth of the budget at most.
    pub buffer_bytes: usize,
    /// Memory a single superfile build may take for its indexes before it spills, in bytes; an eighth of the budget for
    /// all threads together at most.
    pub build_bytes: usize,
    /// Where builds put what they spill; the system's temporary folder if `None`.
    pub scratch_dir: Option<PathBuf>,
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
            mutation_rows_max: 10_000_000,
            mutation_attempts: 10,
            seal_bytes: 2 << 20,
        }
    }
}

impl TableOptions {
    /// The same with sizes that the budget of `runtime` can bear.
    pub(crate) fn within(self, runtime: &Runtime) -> Self {
        let eighth = runtime.budget().limit() / 8;
        Self {
            buffer_bytes: self.buffer_bytes.min(eighth),
            build_bytes: self.build_bytes.min(eighth / runtime.threads()).max(BUILD_BYTES_MIN),
            ..self
        }
    }
}

/// Less makes a build spill all the time.
const BUILD_BYTES_MIN: usize = 4 << 20;
