//! A search as a relation and as an operator.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use infino_table::RowFilter;

use super::provider::PinnedTable;
use super::source::external;
use crate::search::{Question, VectorOptions, answer};

/// The column that numbers hits from 1, best first.
const RANK: &str = "_rank";

/// A search that is ready to run: every argument is known.
#[derive(Debug, Clone)]
pub(super) struct SearchSpec {
    pub(super) table: PinnedTable,
    pub(super) question: Question,
    pub(super) k: usize,
    pub(super) options: VectorOptions,
    pub(super) filter: Option<Arc<dyn RowFilter>>,
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
    schema: SchemaRef,
}

impl SearchRelation {
    pub(super) fn new(spec: SearchSpec) -> Self {
        let schema = output_schema(&spec.table, spec.question.value_name());
        Self { spec, schema }
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
        // Fewer rows, the same ranking: what is fused must not depend on how much of it is asked for.
        if let Question::Hybrid { fusion, .. } = &mut spec.question {
            fusion.depth = fusion.depth.max(spec.k);
        }
        // Hits come best first, so any `limit` of them are the first.
        spec.k = spec.k.min(limit.unwrap_or(usize::MAX));
        Ok(Arc::new(SearchExec::new(spec, schema)))
    }
}

/// Runs a search when it is executed and gives its rows as one batch, best first.
#[derive(Debug)]
struct SearchExec {
    spec: SearchSpec,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl SearchExec {
    fn new(spec: SearchSpec, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { spec, schema, properties: Arc::new(properties) }
    }
}

impl DisplayAs for SearchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SearchSpec { table, question, k, filter, .. } = &self.spec;
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
        write!(f, "SearchExec: index={index}({columns}), k={k}, files={files}, version={version}")?;
        if filter.is_some() {
            write!(f, ", filtered before ranking")?;
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

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (spec, schema) = (self.spec.clone(), self.schema.clone());
        let rows = stream::once(async move { run(spec, schema).await });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows)))
    }
}

async fn run(spec: SearchSpec, schema: SchemaRef) -> Result<RecordBatch> {
    let SearchSpec { table, question, k, options, filter } = spec;
    let value = question.value_name();
    let is_made =
        |name: &str| name == "_id" || Some(name) == value || (value.is_some() && name == RANK);
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let stored = names.filter(|name| !is_made(name)).collect::<Vec<_>>();
    let found =
        answer(&table.table, &table.snapshot, &question, k, options, &stored, filter.as_ref());
    let found = found.await.map_err(external)?;
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match found.column_by_name(field.name()) {
            Some(column) => column.clone(),
            None => Arc::new(Int64Array::from_iter_values(1..=found.num_rows() as i64)),
        }
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(found.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)?)
}
