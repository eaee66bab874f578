//! The rows that predicates were found to pass, remembered by superfile.
//!
//! A superfile never changes, so neither do the rows that a predicate passes in it: the deleted ones are taken out later.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use infino_format::schema::TableSchema;
use infino_format::{DocSet, SuperfileId};
use infino_table::TableError;
use moka::future::Cache;

/// A predicate under which rows are remembered. Its names mean columns of the schema.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub(super) schema: Arc<TableSchema>,
    pub(super) expr: Expr,
}

/// Sets of rows within a bound of bytes; cheap to clone.
#[derive(Clone)]
pub(crate) struct RowSets {
    sets: Cache<(SuperfileId, Arc<Named>), Arc<DocSet>>,
}

impl RowSets {
    /// At most `bytes` of sets.
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |_: &(SuperfileId, Arc<Named>), rows: &Arc<DocSet>| {
            u32::try_from(rows.words().len() * 8 + 256).unwrap_or(u32::MAX)
        };
        Self { sets: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// The rows remembered for `name` in `file`, else those that `find` finds.
    pub(super) async fn get(
        &self,
        file: SuperfileId,
        name: &Arc<Named>,
        find: impl Future<Output = Result<DocSet, TableError>>,
    ) -> Result<Arc<DocSet>, TableError> {
        let key = (file, name.clone());
        if let Some(rows) = self.sets.get(&key).await {
            return Ok(rows);
        }
        let rows = Arc::new(find.await?);
        self.sets.insert(key, rows.clone()).await;
        Ok(rows)
    }
}

impl fmt::Debug for RowSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowSets({} remembered)", self.sets.entry_count())
    }
}
