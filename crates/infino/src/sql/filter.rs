//! A predicate as a set of rows: the seam that `infino-table` sees of SQL.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::expr_to_columns;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use futures::TryStreamExt;
use infino_format::DocSet;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_manifest::Snapshot;
use infino_superfile::Superfile;
use infino_table::{RowFilter, TableError};

use super::answer::Answer;
use super::row_sets::{Named, RowSets};
use super::statistics::SummaryStatistics;
use super::{annotate, chains, identifiers};
use crate::{Error, Predicate};

/// Characters of a predicate that an error shows.
const SHOWN_MAX: usize = 200;

/// A SQL predicate over the rows of a table, ready to be evaluated file by file.
#[derive(Debug)]
pub(crate) struct PredicateFilter {
    schema: Arc<TableSchema>,
    file: SchemaRef,
    /// The columns the predicate reads, in the order of the file.
    columns: Vec<String>,
    /// The predicate over a batch of just these columns.
    expr: Arc<dyn PhysicalExpr>,
    /// What statistics can rule out; `None` if nothing.
    pruning: Option<Arc<PruningPredicate>>,
    /// What the indexes know of it.
    answer: Answer,
    /// Where the rows it passes are remembered, and under which name; `None` if it may pass others the next time.
    remembered: Option<(RowSets, Arc<Named>)>,
}

impl PredicateFilter {
    /// Binds `predicate` to the columns of `snapshot`.
    ///
    /// # Errors
    /// `Invalid` if it does not parse, names a column the table lacks, or is not boolean.
    pub(crate) fn new(
        state: &SessionState,
        snapshot: &Snapshot,
        predicate: &Predicate,
    ) -> Result<Self, Error> {
        let file = annotate::file_schema(&snapshot.schema)?;
        let expr = expression(state, &file, predicate)?;
        let mut state = state.clone();
        state.mark_start_execution();
        Self::bind(&state, snapshot.schema.clone(), file, unqualified(expr)?)
    }

    fn bind(
        state: &SessionState,
        schema: Arc<TableSchema>,
        file: SchemaRef,
        expr: Expr,
    ) -> Result<Self, Error> {
        let mut used = Default::default();
        expr_to_columns(&expr, &mut used)?;
        if let Some(unknown) =
            used.iter().find(|column| file.field_with_name(&column.name).is_err())
        {
            let known = file
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::invalid(format!(
                "the predicate names {:?}, which the table does not have; its columns are {known}",
                unknown.name
            )));
        }
        let expr = simplified(state, &file, expr)?;
        let mut used = Default::default();
        expr_to_columns(&expr, &mut used)?;
        let fields = file
            .fields()
            .iter()
            .filter(|field| used.iter().any(|column| column.name == *field.name()));
        let narrow = Schema::new(fields.cloned().collect::<Vec<_>>());
        let columns = narrow.fields().iter().map(|field| field.name().clone()).collect();
        let answer = Answer::of(&schema, &expr);
        let sets = state.config().get_extension::<RowSets>().filter(|_| !expr.is_volatile());
        let remembered = sets.map(|sets| {
            (sets.as_ref().clone(), Arc::new(Named { schema: schema.clone(), expr: expr.clone() }))
        });
        let physical = state.create_physical_expr(expr, &DFSchema::try_from(narrow.clone())?)?;
        let data_type = physical.data_type(&narrow)?;
        if data_type != arrow::datatypes::DataType::Boolean && !data_type.is_null() {
            return Err(Error::invalid(format!(
                "the predicate is {data_type}, it must be boolean"
            )));
        }
        let narrow = Arc::new(narrow);
        let pruning =
            PruningPredicateBuilder::new().with_file_schema(narrow).build(physical.clone());
        Ok(Self { schema, file, columns, expr: physical, pruning, answer, remembered })
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, TableError> {
        let failed =
            |error: datafusion::error::DataFusionError| TableError::Filter(error.strip_backtrace());
        let value = self
            .expr
            .evaluate(batch)
            .map_err(failed)?
            .into_array(batch.num_rows())
            .map_err(failed)?;
        match value.as_any().downcast_ref::<BooleanArray>() {
            Some(passes) => Ok(passes.clone()),
            // Only an untyped NULL is not boolean here, and NULL passes nothing.
            None => Ok(BooleanArray::new_null(batch.num_rows())),
        }
    }
}

#[async_trait]
impl RowFilter for PredicateFilter {
    fn schema(&self) -> Option<&TableSchema> {
        Some(&self.schema)
    }

    fn may_match(&self, summary: &SuperfileSummary) -> bool {
        let Some(pruning) = &self.pruning else { return true };
        let statistics = SummaryStatistics { schema: &self.schema, file: &self.file, summary };
        // A predicate that cannot be checked against statistics rules nothing out.
        pruning.prune(&statistics).map_or(true, |keep| keep.first().copied().unwrap_or(true))
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        match &self.remembered {
            None => self.find(file).await,
            Some((sets, name)) => {
                let rows = sets.get(file.summary().id, name, self.find(file)).await?;
                Ok(rows.as_ref().clone())
            }
        }
    }
}

impl fmt::Display for PredicateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_sql(self.expr.as_ref()).fmt(f)
    }
}

impl PredicateFilter {
    /// The rows that pass: those the indexes are sure of, and those of the others whose columns say so.
    async fn find(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let bounds = self.answer.bounds(&self.schema, file).await?;
        let open = bounds.open();
        let mut rows = bounds.sure;
        if !open.is_empty() {
            rows.unite(&self.scan(file, &open).await?);
        }
        Ok(rows)
    }

    /// The rows of `among` that pass, by the values of the columns.
    async fn scan(&self, file: &Superfile, among: &DocSet) -> Result<DocSet, TableError> {
        if self.columns.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(1));
            let one =
                RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
            let passes = self.evaluate(&one)?;
            let all = passes.is_valid(0) && passes.value(0);
            return Ok(if all { among.clone() } else { DocSet::empty(among.rows()) });
        }
        let columns = self.columns.iter().map(String::as_str).collect::<Vec<_>>();
        let some = (among.len() < among.rows()).then_some(among);
        let mut batches = infino_table::evolve::scan(file, &self.schema, &columns, some).await?;
        let mut words = vec![0u64; among.rows().div_ceil(64) as usize];
        let mut docs = among.iter();
        while let Some(batch) = batches.try_next().await? {
            let passes = self.evaluate(&batch)?;
            for (row, doc) in docs.by_ref().take(passes.len()).enumerate() {
                if passes.is_valid(row) && passes.value(row) {
                    words[doc as usize / 64] |= 1 << (doc % 64);
                }
            }
        }
        Ok(DocSet::from_words(among.rows(), words))
    }
}

/// The predicate as an expression over the columns of `file`.
///
/// # Errors
/// `Invalid` if it does not parse.
pub(super) fn expression(
    state: &SessionState,
    file: &SchemaRef,
    predicate: &Predicate,
) -> Result<Expr, Error> {
    match predicate {
        Predicate::Sql(sql) => parsed(state, file, sql).map_err(|error| {
            let shown: String = sql.chars().take(SHOWN_MAX).collect();
            let cut = if shown.len() < sql.len() { "…" } else { "" };
            Error::invalid(format!("predicate {shown:?}{cut}: {}", Error::from(error)))
        }),
        Predicate::Expr(expr) => Ok(expr.as_ref().clone()),
    }
}

/// A predicate's text as an expression over the columns of `file`.
fn parsed(state: &SessionState, file: &SchemaRef, sql: &str) -> datafusion::error::Result<Expr> {
    let dialect = state.config().options().sql_parser.dialect;
    let mut expr = state.sql_to_expr_with_alias(sql, &dialect)?;
    chains::flatten(&mut expr.expr);
    let columns = file.fields().iter().map(|field| field.name().clone());
    identifiers::settle_predicate(&mut expr.expr, &columns.collect());
    state.create_logical_expr_from_sql_expr(expr, &DFSchema::try_from(file.as_ref().clone())?)
}

/// The expression with its constants folded; some functions exist only until then, `now()` and `coalesce` among them.
fn simplified(state: &SessionState, file: &SchemaRef, expr: Expr) -> Result<Expr, Error> {
    let schema = DFSchema::try_from(file.as_ref().clone())?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::clone(state.config_options()))
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    Ok(simplifier.simplify(simplifier.coerce(expr, &schema)?)?)
}

/// The expression with bare column names: a predicate of one table needs no qualifiers.
pub(super) fn unqualified(expr: Expr) -> Result<Expr, Error> {
    let bare = expr.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_some() => Transformed::yes(Expr::Column(
                datafusion::common::Column::new_unqualified(column.name),
            )),
            other => Transformed::no(other),
        })
    })?;
    Ok(bare.data)
}
