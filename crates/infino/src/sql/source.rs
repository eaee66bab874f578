//! The Parquet scan of superfiles: DataFusion's own, with dead rows taken out where a file is opened.
//!
//! The plan carries only which files to read. The deletion vector of a file is read and turned into a row selection when
//! that file is opened, so a plan stays right when it is sent elsewhere, and a file that is pruned costs nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    ParquetFileReaderFactory, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner, Morselizer};
use futures::future::BoxFuture;
use infino_format::{DocSet, SuperfileId};
use infino_manifest::{Entry, Snapshot};
use infino_superfile::Superfile;
use infino_table::{RowFilter, Table, TableError, query};
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use super::answer::Answer;
use super::filter::PredicateFilter;
use crate::Error;

/// The files of one snapshot of one table, and which of their rows are wanted.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) table: Table,
    pub(super) snapshot: Arc<Snapshot>,
    /// Files that statistics ruled out.
    pub(super) pruned: usize,
    pub(super) chosen: Chosen,
}

/// What the indexes answer of a scan's condition.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// Only rows that pass this are given; nobody asks again.
    pub(super) exact: Option<Arc<PredicateFilter>>,
    /// Rows that this rules out need not be given.
    pub(super) bound: Option<Answer>,
}

/// A bound that leaves more than one row in so many is not worth a selection: pages are decoded all the same.
const BOUND_SHARE: u32 = 16;

impl Files {
    /// The rows of an open file to be given; `None` for all.
    async fn rows(&self, entry: &Entry, file: &Superfile) -> Result<Option<DocSet>, TableError> {
        let rows = file.row_count();
        let mut wanted = match &self.chosen.exact {
            Some(filter) => Some(filter.rows(file).await?),
            None => None,
        };
        if let Some(bound) = &self.chosen.bound {
            let may = bound.bounds(&self.snapshot.schema, file).await?.may;
            match &mut wanted {
                Some(wanted) => wanted.intersect(&may),
                None if may.len() <= rows / BOUND_SHARE => wanted = Some(may),
                None => {}
            }
        }
        if entry.deletes.is_some() {
            let dead = query::dead_rows(&self.table, entry).await?;
            wanted.get_or_insert_with(|| DocSet::full(rows)).subtract(&dead);
        }
        Ok(wanted)
    }
}

/// Which superfile a planned file is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named(pub(super) SuperfileId);

/// The open superfile behind a planned file.
struct Opened(Arc<Superfile>);

/// A Parquet source over superfiles.
#[derive(Clone)]
pub(super) struct SuperfileSource {
    inner: Arc<dyn FileSource>,
    files: Files,
}

impl SuperfileSource {
    /// Wraps a Parquet source whose reader factory is [`Readers`].
    pub(super) fn new(inner: Arc<dyn FileSource>, files: Files) -> Self {
        Self { inner, files }
    }

    fn wrap(&self, inner: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self { inner, files: self.files.clone() })
    }
}

impl FileSource for SuperfileSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Err(DataFusionError::NotImplemented("superfiles are opened by morsels".into()))
    }

    fn create_morselizer(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let inner = self.inner.create_morselizer(store, config, partition)?.into();
        Ok(Box::new(Opener { inner, files: self.files.clone() }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.inner.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.wrap(self.inner.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.inner.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.inner.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.inner.metrics()
    }

    fn file_type(&self) -> &str {
        "superfile"
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", version={}, files_pruned={}", self.files.snapshot.version, self.files.pruned)?;
        if let Some(exact) = &self.files.chosen.exact {
            write!(f, ", index={exact}")?;
        }
        if self.files.chosen.bound.is_some() {
            write!(f, ", bounded by index")?;
        }
        self.inner.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.inner.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.inner.try_pushdown_filters(filters, config)?;
        let updated_node = pushed.updated_node.map(|inner| self.wrap(inner));
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.inner.try_pushdown_projection(projection)?.map(|inner| self.wrap(inner)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }
}

/// Opens planned files.
#[derive(Debug)]
struct Opener {
    inner: Arc<dyn Morselizer>,
    files: Files,
}

impl Morselizer for Opener {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        Ok(Box::new(Opening {
            inner: self.inner.clone(),
            files: self.files.clone(),
            file: Box::new(file),
        }))
    }
}

/// A planned file about to be opened.
#[derive(Debug)]
struct Opening {
    inner: Arc<dyn Morselizer>,
    files: Files,
    file: Box<PartitionedFile>,
}

impl MorselPlanner for Opening {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { inner, files, file } = *self;
        let open = async move {
            let named = file.extension::<Named>().ok_or_else(|| {
                DataFusionError::Internal(format!(
                    "{} is no file of this table",
                    file.object_meta.location
                ))
            })?;
            let entry = files.snapshot.entries.get(named.0).cloned().ok_or_else(|| {
                DataFusionError::Internal(format!("superfile {} is not in this version", named.0))
            })?;
            let superfile = files.table.file(&entry).await.map_err(external)?;
            let wanted = files.rows(&entry, &superfile).await.map_err(external)?;
            let mut file = file.with_extension(Opened(superfile));
            if let Some(wanted) = wanted {
                let selection = infino_superfile::selection(&wanted);
                file = file.with_extension(ParquetRowSelection::new(selection));
            }
            inner.plan_file(file)
        };
        Ok(Some(MorselPlan::new().with_pending_planner(open)))
    }
}

/// Hands DataFusion's Parquet reader the verified bytes of an open superfile.
#[derive(Debug)]
pub(super) struct Readers;

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        match file.extension::<Opened>() {
            Some(Opened(superfile)) => {
                let count =
                    |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
                Ok(Box::new(Counted {
                    inner: superfile.range_reader(),
                    bytes: count("bytes_scanned"),
                    ranges: count("ranges_scanned"),
                }))
            }
            None => Err(DataFusionError::Internal(format!(
                "{} was not opened",
                file.object_meta.location
            ))),
        }
    }
}

/// Counts what is read of a file.
struct Counted<R> {
    inner: R,
    bytes: Count,
    ranges: Count,
}

impl<R: AsyncFileReader> AsyncFileReader for Counted<R> {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.bytes.add((range.end - range.start) as usize);
        self.ranges.add(1);
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.bytes.add(ranges.iter().map(|range| (range.end - range.start) as usize).sum());
        self.ranges.add(ranges.len());
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.inner.get_metadata(options)
    }
}

pub(super) fn external(error: impl Into<Error>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}
