//! A pinned table as a relation of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use infino_manifest::{Entry, Snapshot};
use infino_table::Table;

use super::annotate;
use super::answer::Answer;
use super::filter::PredicateFilter;
use super::source::{Chosen, Files, Named, Readers, SuperfileSource, external};
use super::statistics::{self, SummaryStatistics};
use crate::rerank::{Reranker, Rerankers};
use crate::{Error, Predicate};

/// One snapshot of a table: `_id` and the user's columns.
#[derive(Debug, Clone)]
pub(crate) struct PinnedTable {
    pub(crate) table: Table,
    pub(crate) snapshot: Arc<Snapshot>,
    schema: SchemaRef,
    columns: Arc<BTreeSet<String>>,
    /// Binds the predicates that indexes answer.
    state: Arc<SessionState>,
    /// Whether a scan is to read the newest version in place of this.
    lives: bool,
    /// Whether files are read in the order of their first rows.
    in_order: bool,
}

impl PinnedTable {
    pub(crate) fn new(
        table: Table,
        snapshot: Arc<Snapshot>,
        state: Arc<SessionState>,
    ) -> Result<Self> {
        let schema = annotate::file_schema(&snapshot.schema).map_err(external)?;
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        Ok(Self {
            table,
            snapshot,
            schema,
            columns: Arc::new(columns),
            state,
            lives: false,
            in_order: false,
        })
    }

    /// The reranker that the connection knows by this name.
    pub(super) fn reranker(&self, name: &str) -> std::result::Result<Arc<dyn Reranker>, Error> {
        let known = self.state.config().get_extension::<Rerankers>();
        known.unwrap_or_default().get(name)
    }

    /// The names of its columns, `_id` among them.
    pub(super) fn column_names(&self) -> &BTreeSet<String> {
        &self.columns
    }

    /// The names of its columns in their order, for an error that helps.
    pub(super) fn column_list(&self) -> String {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The same, but for the newest version, whichever that is when it is read.
    pub(super) fn living(self) -> Self {
        Self { lives: true, ..self }
    }

    /// The same, read file by file in the order of their first rows by a session of one partition.
    pub(super) fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// What is to be read now: this version, or if it lives the newest.
    pub(super) async fn newest(self) -> Result<Self> {
        match self.lives {
            false => Ok(self),
            true => {
                let snapshot = self.table.pin().await.map_err(external)?;
                Self::new(self.table, snapshot, self.state)
            }
        }
    }

    /// A predicate over this version's rows.
    pub(super) fn filter(
        &self,
        predicate: &Predicate,
    ) -> std::result::Result<PredicateFilter, Error> {
        PredicateFilter::new(&self.state, &self.snapshot, predicate)
    }

    /// What the indexes answer of `filters`: some for certain, the others as far as they can.
    fn chosen(&self, filters: &[Expr]) -> Result<Chosen> {
        let answer = |filter: &Expr| Answer::of(&self.snapshot.schema, filter);
        let (exact, others): (Vec<_>, Vec<_>) =
            filters.iter().cloned().partition(|filter| answer(filter).is_exact());
        let exact = match conjunction(exact) {
            None => None,
            Some(exact) => Some(Arc::new(self.filter(&exact.into()).map_err(external)?)),
        };
        let bound = conjunction(others).map(|others| answer(&others));
        Ok(Chosen { exact, bound: bound.filter(|bound| !bound.is_unknown()) })
    }

    /// The superfiles that statistics cannot rule out.
    fn entries(&self, session: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<Entry>>> {
        let all = self.snapshot.entries.iter().cloned();
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(all.collect()) };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        let physical = session.create_physical_expr(filter, &schema)?;
        let Some(pruning) =
            PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).build(physical)
        else {
            return Ok(all.collect());
        };
        let keep = |entry: &Arc<Entry>| {
            let summary = &entry.summary;
            let statistics =
                SummaryStatistics { schema: &self.snapshot.schema, file: &self.schema, summary };
            pruning.prune(&statistics).map_or(true, |keep| keep.first().copied().unwrap_or(true))
        };
        Ok(all.filter(keep).collect())
    }
}

#[async_trait]
impl TableProvider for PinnedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = |filter: &&Expr| match Answer::of(&self.snapshot.schema, filter).is_exact() {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(pushed).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let entries = self.snapshot.entries.iter().cloned().collect::<Vec<_>>();
        let every = 0..self.schema.fields().len();
        Some(statistics::of_files(&self.snapshot.schema, &self.schema, &entries, every))
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut entries = self.entries(session, filters)?;
        if self.in_order {
            entries.sort_by_key(|entry| entry.summary.min_row_id);
        }
        if entries.is_empty() {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let parquet = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(session.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(Readers));
        let chosen = self.chosen(filters)?;
        let every = 0..self.schema.fields().len();
        let shown = projection.map_or(every.collect(), Vec::clone);
        let mut statistics =
            statistics::of_files(&self.snapshot.schema, &self.schema, &entries, shown);
        if chosen.exact.is_some() {
            statistics = statistics.to_inexact();
        }
        let files = Files {
            table: self.table.clone(),
            snapshot: self.snapshot.clone(),
            pruned: self.snapshot.entries.len() - entries.len(),
            chosen,
        };
        let source = Arc::new(SuperfileSource::new(Arc::new(parquet), files));
        // The readers bring their own bytes; any store that every session has will do.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(spread(&entries, session.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Deals `entries` out to at most `groups` groups.
fn spread(entries: &[Arc<Entry>], groups: usize) -> Vec<FileGroup> {
    let file = |entry: &Arc<Entry>| {
        let summary = &entry.summary;
        PartitionedFile::new(summary.path(), summary.file_len).with_extension(Named(summary.id))
    };
    let groups = groups.clamp(1, entries.len().max(1));
    (0..groups)
        .map(|group| FileGroup::new(entries.iter().skip(group).step_by(groups).map(file).collect()))
        .collect()
}
