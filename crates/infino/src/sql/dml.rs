//! `INSERT`, `UPDATE` and `DELETE`; `MERGE` begins here and goes on in [`super::merge`].
//!
//! Each is one commit. What is changed is decided on one snapshot; if another writer changed the same rows meanwhile, the
//! statement is planned and run again on the newest.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Decimal128Type, UInt64Type};
use async_trait::async_trait;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    DmlStatement, Expr, Filter, LogicalPlan, LogicalPlanBuilder, WriteOp, col,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Ident, MergeAction, ObjectName, Statement as SqlStatement, TableFactor,
};
use futures::TryStreamExt;
use infino_format::summary::SuperfileSummary;
use infino_format::{DocSet, RowId};
use infino_superfile::Superfile;
use infino_table::{RowFilter, TableError};

use super::ddl::fitted;
use super::merge;
use super::provider::PinnedTable;
use super::session;
use super::statement::{self, Outcome};
use crate::{Connection, Error, ErrorKind, Predicate};

/// How often a statement is run before it is given up to its rivals.
const ATTEMPTS: usize = 10;

pub(super) async fn run(
    connection: &Connection,
    sql: &str,
    parsed: Statement,
    params: &[ScalarValue],
) -> Result<Outcome, Error> {
    let mut attempt = 1;
    loop {
        match run_once(connection, sql, parsed.clone(), params).await {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

async fn run_once(
    connection: &Connection,
    sql: &str,
    mut parsed: Statement,
    params: &[ScalarValue],
) -> Result<Outcome, Error> {
    let state = session::statement_state(connection, sql, &mut parsed).await?;
    name_columns(&state, &mut parsed).await?;
    let plan = statement::plan(&state, parsed, params).await?;
    let LogicalPlan::Dml(change) = plan else {
        return Err(Error::invalid("only INSERT, UPDATE, DELETE and MERGE change rows"));
    };
    let provider = source_as_provider(&change.target)?;
    let table = provider
        .downcast_ref::<PinnedTable>()
        .ok_or_else(|| Error::invalid("only tables of this connection can be changed"))?;
    let DmlStatement { op, input, .. } = &change;
    match op {
        WriteOp::Insert(InsertOp::Append) => insert(table, state, input).await,
        WriteOp::Delete => delete(table, state, input).await,
        WriteOp::Update => update(table, state, input).await,
        WriteOp::MergeInto(_) => merge::run(table, state, change).await,
        other => Err(Error::invalid(format!("{} is not supported", other.name()))),
    }
}

/// Names the columns of an `INSERT` that names none: `_id` is given, so it is not among them, nor may it be set.
async fn name_columns(state: &SessionState, parsed: &mut Statement) -> Result<(), Error> {
    let references = state.resolve_table_references(parsed)?;
    let Statement::Statement(inner) = parsed else { return Ok(()) };
    let is_id = |name: &ObjectName| {
        name.0.last().is_some_and(|part| {
            part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case("_id"))
        })
    };
    let (target, columns) = match inner.as_mut() {
        SqlStatement::Insert(insert) => (insert.table.to_string(), vec![&mut insert.columns]),
        SqlStatement::Merge(merge) => {
            let TableFactor::Table { name, .. } = &merge.table else { return Ok(()) };
            let columns = merge.clauses.iter_mut().filter_map(|clause| match &mut clause.action {
                MergeAction::Insert(insert) => Some(&mut insert.columns),
                _ => None,
            });
            (name.to_string(), columns.collect())
        }
        SqlStatement::Update(update) => {
            let sets_id = update.assignments.iter().any(|assignment| match &assignment.target {
                AssignmentTarget::ColumnName(name) => is_id(name),
                AssignmentTarget::Tuple(names) => names.iter().any(is_id),
            });
            return match sets_id {
                true => Err(Error::invalid("UPDATE: a row keeps its _id")),
                false => Ok(()),
            };
        }
        _ => return Ok(()),
    };
    if columns.iter().any(|columns| columns.iter().any(is_id)) {
        return Err(Error::invalid("INSERT: a row is given its _id; leave it out"));
    }
    if columns.iter().all(|columns| !columns.is_empty()) {
        return Ok(());
    }
    let target = target.replace('"', "");
    for reference in references {
        let named = |name: &str| name.eq_ignore_ascii_case(&target);
        if !named(&reference.to_string()) && !named(reference.table()) {
            continue;
        }
        let schema = state.schema_for_ref(reference.clone())?;
        let Some(table) = schema.table(reference.table()).await? else { continue };
        let named = |name: &String| ObjectName::from(vec![Ident::with_quote('"', name)]);
        let schema = table.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let names = names.filter(|name| *name != "_id").map(named).collect::<Vec<_>>();
        for columns in columns.into_iter().filter(|columns| columns.is_empty()) {
            columns.clone_from(&names);
        }
        return Ok(());
    }
    Ok(())
}

async fn insert(
    table: &PinnedTable,
    state: SessionState,
    input: &LogicalPlan,
) -> Result<Outcome, Error> {
    let schema = infino_superfile::arrow_schema(&table.snapshot.schema)?;
    let mut writer = table.table.writer();
    let mut count = 0;
    let mut rows = statement::stream(&state, input).await?;
    while let Some(batch) = rows.try_next().await? {
        count += batch.num_rows() as u64;
        writer.append(&fitted(&schema, &batch)?).await?;
    }
    writer.commit().await?;
    Ok(Outcome::count(count))
}

async fn delete(
    table: &PinnedTable,
    state: SessionState,
    input: &LogicalPlan,
) -> Result<Outcome, Error> {
    let filter: Arc<dyn RowFilter> = match predicate(input) {
        // Resolved again should another writer come in between.
        Some(predicate) => Arc::new(table.filter(&predicate)?),
        None => {
            let ids = LogicalPlanBuilder::from(input.clone()).project(vec![col("_id")])?.build()?;
            let rows = collected(state, ids).await?;
            Arc::new(Ids::of(&rows))
        }
    };
    let stats = table.table.delete_at(table.snapshot.clone(), filter).await?;
    Ok(Outcome::count(stats.tombstoned))
}

/// The condition of a plan that is a table's scan under one, or under none.
fn predicate(input: &LogicalPlan) -> Option<Predicate> {
    match input {
        LogicalPlan::TableScan(_) => Some(datafusion::logical_expr::lit(true).into()),
        LogicalPlan::Filter(Filter { predicate, input, .. })
            if matches!(input.as_ref(), LogicalPlan::TableScan(_)) && is_plain(predicate) =>
        {
            Some(predicate.clone().into())
        }
        _ => None,
    }
}

fn is_plain(predicate: &Expr) -> bool {
    let asks = |expr: &Expr| {
        matches!(expr, Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::Exists(_))
            || matches!(expr, Expr::ScalarFunction(call) if call.func.name() == super::expressions::MATCH_SCORE)
    };
    !predicate.exists(|expr| Ok(asks(expr))).unwrap_or(true)
}

async fn update(
    table: &PinnedTable,
    state: SessionState,
    input: &LogicalPlan,
) -> Result<Outcome, Error> {
    // The plan gives every column of every row that is to change, `_id` among them.
    let rows = collected(state, input.clone()).await?;
    let (rows, ids) = by_id(&rows)?;
    if ids.len() != rows.num_rows() {
        return Err(Error::invalid(
            "UPDATE: a row of the table meets several rows of FROM; make them one with DISTINCT or an aggregate",
        ));
    }
    let schema = infino_superfile::arrow_schema(&table.snapshot.schema)?;
    let rows = fitted(&schema, &rows)?;
    let stats = table.table.update_at(table.snapshot.clone(), Arc::new(ids), &rows).await?;
    Ok(Outcome::count(stats.tombstoned))
}

/// The rows in the order of their ids, and those.
pub(super) fn by_id(rows: &RecordBatch) -> Result<(RecordBatch, Ids), Error> {
    let id = rows
        .column_by_name("_id")
        .cloned()
        .ok_or_else(|| Error::invalid("the rows to change are not known by their _id"))?;
    let order =
        lexsort_to_indices(&[arrow::compute::SortColumn { values: id, options: None }], None)?;
    let rows = take_record_batch(rows, &order)?;
    let ids = Ids::of(&rows);
    Ok((rows, ids))
}

async fn collected(state: SessionState, plan: LogicalPlan) -> Result<RecordBatch, Error> {
    let rows = statement::stream(&state, &plan).await?;
    let schema = rows.schema();
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The `UPDATE` that sets columns of a table to expressions.
pub(crate) fn update_statement(
    state: &SessionState,
    table: &str,
    predicate: &str,
    assignments: &[(&str, &str)],
) -> Result<String, Error> {
    if assignments.is_empty() {
        return Err(Error::invalid("an update sets at least one column"));
    }
    // Each is parsed by itself: what is one expression here is one expression in the statement.
    let one = |sql: &str| -> Result<String, Error> {
        let dialect = state.config().options().sql_parser.dialect;
        let parsed = state.sql_to_expr_with_alias(sql, &dialect)?;
        match parsed.alias {
            None => Ok(parsed.expr.to_string()),
            Some(alias) => Err(Error::invalid(format!("{sql:?} gives itself the name {alias}"))),
        }
    };
    let quoted = |name: &str| Ident::with_quote('"', name).to_string();
    let set =
        |(column, value): &(&str, &str)| Ok(format!("{} = ({})", quoted(column), one(value)?));
    let sets = assignments.iter().map(set).collect::<Result<Vec<_>, Error>>()?.join(", ");
    Ok(format!("UPDATE {} SET {sets} WHERE ({})", quoted(table), one(predicate)?))
}

/// The count that a statement which changed rows gives.
pub(crate) fn count_of(answer: &[RecordBatch]) -> Result<u64, Error> {
    let column = answer.first().and_then(|batch| batch.column_by_name("count"));
    let count = column.and_then(|column| column.as_primitive_opt::<UInt64Type>());
    match count {
        Some(count) if count.len() == 1 => Ok(count.value(0)),
        _ => Err(Error::invalid("the statement changed no rows")),
    }
}

/// Rows by their ids, ascending and each once.
#[derive(Debug)]
pub(super) struct Ids(Vec<RowId>);

impl Ids {
    pub(super) fn of(rows: &RecordBatch) -> Self {
        let column = rows.column_by_name("_id").expect("asked for by name");
        let ids = column.as_primitive::<Decimal128Type>();
        let mut ids: Vec<_> = ids.values().iter().map(|&id| RowId(id as u128)).collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and those of `other`, each once.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut ids = [self.0.as_slice(), &other.0].concat();
        ids.sort_unstable();
        ids.dedup();
        Self(ids)
    }

    /// Those between the ends of a file.
    fn within(&self, summary: &SuperfileSummary) -> &[RowId] {
        let start = self.0.partition_point(|&id| id < summary.min_row_id);
        let end = self.0.partition_point(|&id| id <= summary.max_row_id);
        &self.0[start..end.max(start)]
    }
}

#[async_trait]
impl RowFilter for Ids {
    fn may_match(&self, summary: &SuperfileSummary) -> bool {
        !self.within(summary).is_empty()
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let wanted = self.within(file.summary());
        let docs: Vec<u32> = (0..file.row_count()).collect();
        let ids = file.row_ids(&docs).await?;
        let mut rows = DocSet::empty(file.row_count());
        for (doc, id) in docs.into_iter().zip(ids) {
            if wanted.binary_search(&id).is_ok() {
                rows.insert(doc);
            }
        }
        Ok(rows)
    }
}
