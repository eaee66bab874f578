//! `MERGE INTO`.
//!
//! ```sql
//! MERGE INTO docs USING news ON docs.id = news.id
//! WHEN MATCHED AND news.gone THEN DELETE
//! WHEN MATCHED THEN UPDATE SET title = news.title
//! WHEN NOT MATCHED THEN INSERT (id, title) VALUES (news.id, news.title)
//! ```
//!
//! The table is joined with the source. Of each row of the join the first clause that applies says what becomes of it; all
//! of it is one commit.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int32Type;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, JoinType, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::{MergeIntoAction, MergeIntoClause, MergeIntoClauseKind};
use datafusion::logical_expr::{
    DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, WriteOp, cast, lit, when,
};
use futures::TryStreamExt;

use super::ddl::fitted;
use super::dml::{Ids, by_id};
use super::provider::PinnedTable;
use super::statement::{self, Outcome};
use crate::Error;

/// Says of a row of the join that the source has it. No name of a user begins so.
const SOURCE: &str = "inf.source";

/// The number of the clause that applies to a row.
const CLAUSE: &str = "inf.clause";

/// Runs a merge that was decided to be one.
pub(super) async fn run(
    table: &PinnedTable,
    state: SessionState,
    merge: DmlStatement,
) -> Result<Outcome, Error> {
    let DmlStatement { table_name, target, op: WriteOp::MergeInto(op), input, .. } = merge else {
        return Err(Error::invalid("MERGE was planned as something else"));
    };
    refuse_id(&op.clauses)?;
    let applies =
        |kind: MergeIntoClauseKind| op.clauses.iter().any(|clause| clause.kind.canonical() == kind);
    // Rows of which no clause speaks need not come.
    let join = match (
        applies(MergeIntoClauseKind::NotMatchedByTarget),
        applies(MergeIntoClauseKind::NotMatchedBySource),
    ) {
        (false, false) => JoinType::Inner,
        (true, false) => JoinType::Right,
        (false, true) => JoinType::Left,
        (true, true) => JoinType::Full,
    };
    let mut source = input.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    source.push(lit(true).alias(SOURCE));
    let source = LogicalPlanBuilder::from(input.as_ref().clone()).project(source)?.build()?;
    let joined = LogicalPlanBuilder::scan(table_name.clone(), target, None)?
        .join_on(source, join, [op.on.clone()])?
        .build()?;
    let rows = changes(&table_name, table, joined, &op.clauses)?;
    commit(table, state, &rows, &op.clauses).await
}

fn refuse_id(clauses: &[MergeIntoClause]) -> Result<(), Error> {
    let sets = |clause: &MergeIntoClause| match &clause.action {
        MergeIntoAction::Update(assignments) => assignments.iter().any(|(name, _)| name == "_id"),
        MergeIntoAction::Insert { columns, .. } => columns.iter().any(|name| name == "_id"),
        MergeIntoAction::Delete => false,
    };
    match clauses.iter().any(sets) {
        true => Err(Error::invalid("MERGE: a row is given its _id and keeps it; leave it out")),
        false => Ok(()),
    }
}

/// Of each row that changes: `_id`, which clause says so, and the columns of the table as that makes them.
fn changes(
    name: &TableReference,
    table: &PinnedTable,
    joined: LogicalPlan,
    clauses: &[MergeIntoClause],
) -> Result<LogicalPlan, Error> {
    let own = |column: &str| Expr::Column(Column::new(Some(name.clone()), column));
    let here = || own("_id").is_not_null();
    let there = || Expr::Column(Column::new_unqualified(SOURCE)).is_not_null();
    let mut clause = Vec::new();
    for (number, at) in (0i32..).zip(clauses) {
        let kind = match at.kind.canonical() {
            MergeIntoClauseKind::Matched => here().and(there()),
            MergeIntoClauseKind::NotMatchedBySource => here().and(there().is_not_true()),
            _ => here().is_not_true(),
        };
        let applies = match &at.predicate {
            Some(predicate) => kind.and(predicate.clone()),
            None => kind,
        };
        clause.push((applies, lit(number)));
    }
    let mut columns = joined.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    columns.push(first(clause, ScalarValue::Int32(None))?.alias(CLAUSE));
    let numbered = LogicalPlanBuilder::from(joined)
        .project(columns)?
        .filter(col_of(CLAUSE).is_not_null())?
        .build()?;

    let mut columns = vec![own("_id").alias("_id"), col_of(CLAUSE)];
    for (at, field) in table.schema().fields().iter().enumerate().skip(1) {
        let mut values = Vec::new();
        for (number, clause) in (0i32..).zip(clauses) {
            let value = match &clause.action {
                MergeIntoAction::Update(set) => {
                    let set = set.iter().find(|(name, _)| name == field.name());
                    Some(set.map_or_else(|| own(field.name()), |(_, value)| value.clone()))
                }
                MergeIntoAction::Insert { columns, values } => {
                    let given = match columns.is_empty() {
                        // Behind `_id`, which is not given.
                        true => Some(at - 1),
                        false => columns.iter().position(|name| name == field.name()),
                    };
                    given.and_then(|at| values.get(at)).cloned()
                }
                MergeIntoAction::Delete => None,
            };
            if let Some(value) = value {
                let value = cast(value, field.data_type().clone());
                values.push((col_of(CLAUSE).eq(lit(number)), value));
            }
        }
        let none = ScalarValue::try_from(field.data_type())?;
        columns.push(first(values, none)?.alias(field.name()));
    }
    Ok(LogicalPlanBuilder::from(numbered).project(columns)?.build()?)
}

/// A column that is this name to the letter.
fn col_of(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The value of the first case that is true, else `none`.
fn first(cases: Vec<(Expr, Expr)>, none: ScalarValue) -> Result<Expr, Error> {
    let mut cases = cases.into_iter();
    let Some((condition, value)) = cases.next() else { return Ok(lit(none)) };
    let mut case = when(condition, value);
    for (condition, value) in cases {
        case = case.when(condition, value);
    }
    Ok(case.otherwise(lit(none))?)
}

async fn commit(
    table: &PinnedTable,
    state: SessionState,
    rows: &LogicalPlan,
    clauses: &[MergeIntoClause],
) -> Result<Outcome, Error> {
    let schema = infino_superfile::arrow_schema(&table.snapshot.schema)?;
    let mut rows = statement::stream(&state, rows).await?;
    let planned = rows.schema();
    let (mut deleted, mut updated, mut inserted) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(batch) = rows.try_next().await? {
        for (number, clause) in (0i32..).zip(clauses) {
            let part = of_clause(&batch, number)?;
            if part.num_rows() == 0 {
                continue;
            }
            match &clause.action {
                MergeIntoAction::Insert { .. } => inserted.push(fitted(&schema, &part)?),
                MergeIntoAction::Update(_) => updated.push(part),
                MergeIntoAction::Delete => deleted.push(part),
            }
        }
    }
    let deleted = concat_batches(&planned, &deleted)?;
    let (updated, kept) = by_id(&concat_batches(&planned, &updated)?)?;
    let gone = Ids::of(&deleted);
    let changed = deleted.num_rows() + updated.num_rows();
    if gone.union(&kept).len() != changed {
        return Err(Error::invalid(
            "MERGE: a row of the table meets several rows of the source; make them one with DISTINCT or an aggregate",
        ));
    }
    let mut writer = table.table.writer().decided_on(table.snapshot.clone());
    if !gone.is_empty() {
        writer.delete(Arc::new(gone));
    }
    if !kept.is_empty() {
        writer.update(Arc::new(kept), &fitted(&schema, &updated)?).await?;
    }
    let mut count = changed as u64;
    for batch in inserted {
        count += batch.num_rows() as u64;
        writer.append(&batch).await?;
    }
    writer.commit().await?;
    Ok(Outcome::count(count))
}

/// The rows of a batch that clause `number` applies to.
fn of_clause(batch: &RecordBatch, number: i32) -> Result<RecordBatch, Error> {
    let clauses = batch
        .column_by_name(CLAUSE)
        .and_then(|column| column.as_primitive_opt::<Int32Type>())
        .ok_or_else(|| Error::invalid("MERGE: its rows do not say what becomes of them"))?;
    let is = |&row: &u32| clauses.is_valid(row as usize) && clauses.value(row as usize) == number;
    let rows = UInt32Array::from_iter_values((0..batch.num_rows() as u32).filter(is));
    Ok(take_record_batch(batch, &rows)?)
}
