//! The seam to SQL: a predicate, as far as a table needs to know it.

use async_trait::async_trait;
use infino_format::DocSet;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_superfile::Superfile;

use crate::TableError;

/// A predicate over the rows of a table.
#[async_trait]
pub trait RowFilter: std::fmt::Debug + Send + Sync {
    /// The schema whose columns it names, if it names any: under another one the names may mean others.
    fn schema(&self) -> Option<&TableSchema> {
        None
    }

    /// Whether any row of a file with these statistics may pass; `true` when in doubt.
    fn may_match(&self, summary: &SuperfileSummary) -> bool;

    /// Exactly the rows of `file` that pass, dead rows included.
    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError>;
}
