//! A search as a relation and as an operator.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use infino_manifest::Snapshot;
use infino_table::query::{rest, rows};
use infino_table::{Hit, Table};

use super::provider::PinnedTable;
use super::source::external;
use crate::search::{Ask, Question};

/// The column that numbers hits from 1, best first.
const RANK: &str = "_rank";

/// A search that is ready to run: every argument is known.
#[derive(Debug, Clone)]
pub(super) struct SearchSpec {
    pub(super) table: PinnedTable,
    pub(super) ask: Ask,
}

/// What a search function gives: `_id`, `score` or `distance` and `_rank` if it ranks, and the columns of the table but
/// those of these names.
pub(super) fn output_schema(table: &PinnedTable, value: Option<&str>) -> SchemaRef {
    let file = table.schema();
    let mut fields = vec![file.fields()[0].clone()];
    if let Some(value) = value {
        fields.push(Arc::new(Field::new(value, DataType::Float32, false)));
        fields.push(Arc::new(Field::new(RANK, DataType::Int64, false)));
    }
    let is_made = |name: &str| value.is_some() && (Some(name) == value || name == RANK);
    fields.extend(file.fields()[1..].iter().filter(|field| !is_made(field.name())).cloned());
    Arc::new(Schema::new(fields))
}

/// A search as a relation.
#[derive(Debug)]
pub(super) struct SearchRelation {
    spec: SearchSpec,
    shape: Shape,
    schema: SchemaRef,
}

/// Which columns are made, and which rows come.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// The name of the value.
    value: Option<&'static str>,
    /// Whether hits are numbered.
    ranked: bool,
    /// Whether rows that the search does not find come too, behind those that it does.
    rest: bool,
}

impl SearchRelation {
    /// What a search function gives.
    pub(super) fn new(spec: SearchSpec) -> Self {
        let value = spec.ask.question.value_name();
        let schema = output_schema(&spec.table, value);
        Self { spec, shape: Shape { value, ranked: value.is_some(), rest: false }, schema }
    }

    /// The table's own columns and `value` behind them; rows that do not answer come last, with score 0 or no distance.
    pub(super) fn ranking(spec: SearchSpec, value: &'static str) -> Self {
        let mut fields = spec.table.schema().fields().to_vec();
        let nullable = spec.ask.question.value_name() == Some("distance");
        fields.push(Arc::new(Field::new(value, DataType::Float32, nullable)));
        let shape = Shape { value: Some(value), ranked: false, rest: true };
        Self { spec, shape, schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait]
impl TableProvider for SearchRelation {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => self.schema.clone(),
        };
        let mut spec = self.spec.clone();
        let planned = spec.table.schema();
        spec.table = spec.table.newest().await?;
        if spec.table.schema() != planned {
            return Err(external(crate::Error::invalid(
                "the table's columns changed since the statement was planned; register the table again",
            )));
        }
        // Fewer rows, the same ranking: what is fused or reranked must not depend on how much of it is asked for.
        let ask = &mut spec.ask;
        if let Some(rerank) = &mut ask.rerank {
            rerank.depth = rerank.depth.max(ask.k);
        }
        let depth = ask.rerank.as_ref().map_or(ask.k, |rerank| rerank.depth);
        if let Question::Hybrid { fusion, .. } = &mut ask.question {
            fusion.depth = fusion.depth.max(depth);
        }
        // Hits come best first, so any `limit` of them are the first.
        ask.k = ask.k.min(limit.unwrap_or(usize::MAX));
        Ok(Arc::new(SearchExec::new(spec, self.shape, schema)))
    }
}

/// Runs a search when it is executed and gives its rows, best first.
#[derive(Debug)]
struct SearchExec {
    spec: SearchSpec,
    shape: Shape,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl SearchExec {
    fn new(spec: SearchSpec, shape: Shape, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(
                schema.clone(),
                orderings(&spec.ask.question, shape, &schema),
            ),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { spec, shape, schema, properties: Arc::new(properties) }
    }
}

/// How the rows come ordered: by their value, best first, and so by their rank. Saying so spares the sort that would
/// shuffle equals, which come by `_id`.
fn orderings(question: &Question, shape: Shape, schema: &SchemaRef) -> Vec<Vec<PhysicalSortExpr>> {
    let column = |name: &str, descending| {
        let column = Column::new_with_schema(name, schema).ok()?;
        let options = SortOptions { descending, nulls_first: false };
        Some(vec![PhysicalSortExpr::new(Arc::new(column), options)])
    };
    let descending = question.value_name() == Some("score");
    let value = shape.value.and_then(|name| column(name, descending));
    let rank = shape.ranked.then(|| column(RANK, false)).flatten();
    value.into_iter().chain(rank).collect()
}

impl DisplayAs for SearchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SearchSpec { table, ask: Ask { question, k, filter, rerank, .. } } = &self.spec;
        let (index, columns) = match question {
            Question::Bm25 { column, .. } => ("bm25", column.clone()),
            Question::Vector { column, .. } => ("vector", column.clone()),
            Question::Hybrid { text_column, vector_column, .. } => {
                ("hybrid", format!("{text_column}, {vector_column}"))
            }
            Question::Tokens { column, .. } => ("tokens", column.clone()),
            Question::Exact { column, .. } => ("exact", column.clone()),
        };
        let (files, version) = (table.snapshot.entries.len(), table.snapshot.version);
        write!(f, "SearchExec: index={index}({columns})")?;
        match *k {
            usize::MAX => write!(f, ", every row")?,
            k => write!(f, ", k={k}")?,
        }
        write!(f, ", files={files}, version={version}")?;
        if filter.is_some() {
            write!(f, ", filtered before ranking")?;
        }
        if let Some(rerank) = rerank {
            write!(f, ", best {} reranked", rerank.depth)?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SearchExec {
    fn name(&self) -> &str {
        "SearchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (spec, shape, schema) = (self.spec.clone(), self.shape, self.schema.clone());
        let held = MemoryConsumer::new("SearchExec").register(context.memory_pool());
        let rows = stream::once(run(spec, shape, schema, held)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows)))
    }
}

/// Rows fetched at a time.
const BATCH_ROWS: usize = 8192;

async fn run(
    spec: SearchSpec,
    shape: Shape,
    schema: SchemaRef,
    held: MemoryReservation,
) -> Result<impl Stream<Item = Result<RecordBatch>>> {
    let SearchSpec { table: PinnedTable { table, snapshot, .. }, ask } = spec;
    let hits_max = usize::try_from(snapshot.entries.rows()).unwrap_or(usize::MAX).min(ask.k);
    held.try_grow(hits_max.saturating_mul(size_of::<Hit>()))?;
    let mut hits = ask.find(&table, &snapshot).await.map_err(external)?;
    let Ask { question, k, filter, .. } = ask;
    if shape.rest && hits.len() < k {
        // No vector is no distance, no word is no score.
        let value = if question.value_name() == Some("distance") { f32::NAN } else { 0.0 };
        let rest =
            rest::search(&table, &snapshot, &hits, value, k - hits.len(), filter.as_ref()).await;
        hits.extend(rest.map_err(external)?);
    }
    let starts = (0..hits.len()).step_by(BATCH_ROWS);
    // A search without hits still gives a batch, so that a caller learns the columns.
    let starts = starts.chain(hits.is_empty().then_some(0)).collect::<Vec<_>>();
    let hits = Arc::new(hits);
    Ok(stream::iter(starts).then(move |start| {
        let (table, snapshot, hits) = (table.clone(), snapshot.clone(), hits.clone());
        let schema = schema.clone();
        // Until the last row is fetched the hits are held.
        let _ = &held;
        async move {
            let batch = &hits[start..hits.len().min(start + BATCH_ROWS)];
            fetch(&table, &snapshot, batch, start, shape, schema).await
        }
    }))
}

/// The rows of `hits`, the first of which came `before` others.
async fn fetch(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    hits: &[Hit],
    before: usize,
    shape: Shape,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let is_made =
        |name: &str| name == "_id" || Some(name) == shape.value || (shape.ranked && name == RANK);
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let stored = names.filter(|name| !is_made(name)).collect::<Vec<_>>();
    let found = rows::fetch(table, snapshot, hits, None, &stored).await;
    let found = found.map_err(|error| external(crate::Error::from(error)))?;
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let name = field.name().as_str();
        if shape.value == Some(name) {
            let values = hits.iter().map(|hit| Some(hit.value).filter(|value| !value.is_nan()));
            return Arc::new(values.collect::<Float32Array>());
        }
        match found.column_by_name(name) {
            Some(column) => column.clone(),
            None => {
                let ranks = before as i64 + 1..=(before + hits.len()) as i64;
                Arc::new(Int64Array::from_iter_values(ranks))
            }
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(hits.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)?)
}
