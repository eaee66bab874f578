//! A pinned table as a relation of rows.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use infino_manifest::Snapshot;
use infino_table::Table;

use super::source::{EntryAt, Files, Readers, SuperfileSource, external};
use super::statistics::SummaryStatistics;

/// One snapshot of a table: `_id` and the user's columns.
#[derive(Debug, Clone)]
pub(crate) struct PinnedTable {
    pub(crate) table: Table,
    pub(crate) snapshot: Arc<Snapshot>,
    schema: SchemaRef,
}

impl PinnedTable {
    pub(crate) fn new(table: Table, snapshot: Arc<Snapshot>) -> Result<Self> {
        let schema = infino_superfile::file_schema(&snapshot.schema).map_err(external)?;
        Ok(Self { table, snapshot, schema })
    }

    /// The entries that statistics cannot rule out, by their place.
    fn entries(&self, session: &dyn Session, filters: &[Expr]) -> Result<Vec<usize>> {
        let all = 0..self.snapshot.entries().len();
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(all.collect()) };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        let physical = session.create_physical_expr(filter, &schema)?;
        let Some(pruning) = PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).build(physical)
        else {
            return Ok(all.collect());
        };
        let keep = |&at: &usize| {
            let summary = &self.snapshot.entry(at).summary;
            let statistics = SummaryStatistics { schema: &self.snapshot.schema, file: &self.schema, summary };
            pruning.prune(&statistics).map_or(true, |keep| keep.first().copied().unwrap_or(true))
        };
        Ok(all.filter(keep).collect())
    }

    fn planned_file(&self, at: usize) -> PartitionedFile {
        let summary = &self.snapshot.entry(at).summary;
        PartitionedFile::new(summary.path(), summary.file_len).with_extension(EntryAt(at))
    }

    fn live_rows(&self, entries: &[usize]) -> u64 {
        let live = |&at: &usize| {
            let entry = self.snapshot.entry(at);
            u64::from(entry.summary.row_count) - entry.dead_rows()
        };
        entries.iter().map(live).sum()
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

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.snapshot.live_rows() as usize);
        Some(statistics)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let entries = self.entries(session, filters)?;
        let parquet = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(session.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(Readers));
        let files = Files { table: self.table.clone(), snapshot: self.snapshot.clone() };
        let source = Arc::new(SuperfileSource::new(Arc::new(parquet), files));
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.live_rows(&entries) as usize);
        // The readers bring their own bytes; any store that every session has will do.
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(spread(&entries, session.config().target_partitions(), |at| self.planned_file(at)))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Deals `entries` out to at most `groups` groups.
fn spread(entries: &[usize], groups: usize, file: impl Fn(usize) -> PartitionedFile) -> Vec<FileGroup> {
    let groups = groups.clamp(1, entries.len().max(1));
    (0..groups)
        .map(|group| FileGroup::new(entries.iter().skip(group).step_by(groups).map(|&at| file(at)).collect()))
        .collect()
}

/// The pinned table behind a provider, if it is one.
pub(crate) fn pinned(provider: &dyn TableProvider) -> Option<&PinnedTable> {
    (provider as &dyn Any).downcast_ref()
}
