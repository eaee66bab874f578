//! The rows of a table, unranked.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use futures::{StreamExt, TryStreamExt};

use super::provider::PinnedTable;
use super::{annotate, filter};
use crate::{Error, Predicate, RowStream, Supertable};

/// A reading of a table's rows that runs when it is awaited, or streams.
///
/// ```no_run
/// # async fn example(docs: infino::Supertable) -> Result<(), infino::Error> {
/// let rows = docs.scan(&["path", "line"]).filter("lang = 'rust'").limit(1000).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a scan runs when it is awaited"]
pub struct Scan {
    table: Supertable,
    columns: Vec<String>,
    filter: Option<Predicate>,
    offset: usize,
    limit: Option<usize>,
}

impl Scan {
    pub(crate) fn new(table: Supertable, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { table, columns, filter: None, offset: 0, limit: None }
    }

    /// Reads only rows that `predicate` holds for.
    pub fn filter(mut self, predicate: impl Into<Predicate>) -> Self {
        self.filter = Some(predicate.into());
        self
    }

    /// Passes over the first `rows` rows.
    pub fn offset(mut self, rows: usize) -> Self {
        self.offset = rows;
        self
    }

    /// Reads at most `rows` rows.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Reads the rows as they are asked for.
    ///
    /// # Errors
    /// `Invalid` if a column is unknown or the predicate does not fit; while streaming, `Unavailable` and `Corrupt`.
    pub async fn stream(self) -> Result<RowStream, Error> {
        let snapshot = self.table.pin().await?;
        let mut state = self.table.connection().inner.state.as_ref().clone();
        state.mark_start_execution();
        // One partition: files are read one after another, and rows come in the order of their ids but where an update
        // or a merge of files changed it.
        state.config_mut().options_mut().execution.target_partitions = 1;
        let file = annotate::file_schema(&snapshot.schema)?;
        let columns = self.columns.iter().map(|column| file.index_of(column));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|_| {
            let known: Vec<_> = file.fields().iter().map(|field| field.name().as_str()).collect();
            let asked = self.columns.join(", ");
            Error::invalid(format!("of {asked} the table lacks some; it has {}", known.join(", ")))
        })?;
        let filter = self.filter.as_ref();
        let filter =
            filter.map(|predicate| filter::expression(&state, &file, predicate)).transpose()?;
        let shared = self.table.connection().inner.state.clone();
        let pinned = PinnedTable::new(self.table.table().clone(), snapshot, shared)?.in_order();
        let mut plan =
            LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(pinned)), None)?;
        if let Some(filter) = filter {
            plan = plan.filter(filter::unqualified(filter)?)?;
        }
        if self.offset > 0 || self.limit.is_some() {
            plan = plan.limit(self.offset, self.limit)?;
        }
        let plan = plan.select(columns)?.build()?;
        let rows = DataFrame::new(state, plan).execute_stream().await?;
        let schema = annotate::stripped(&rows.schema());
        Ok(RowStream::new(schema, rows.map(|batch| Ok(annotate::strip(batch?))).boxed()))
    }

    async fn run(self) -> Result<Vec<RecordBatch>, Error> {
        let rows = self.stream().await?;
        let schema = rows.schema().clone();
        let mut batches: Vec<RecordBatch> = rows.try_collect().await?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }
}

impl IntoFuture for Scan {
    type Output = Result<Vec<RecordBatch>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
