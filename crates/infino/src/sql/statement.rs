//! One statement, from text to rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use super::{alter, chains, ddl, dml, session};
use crate::{Connection, Error};

/// What a statement gives.
pub(super) enum Outcome {
    /// Rows, as they come.
    Rows(SendableRecordBatchStream),
    /// What it did.
    Done(RecordBatch),
}

impl Outcome {
    /// It changed `count` rows.
    pub(super) fn count(count: u64) -> Self {
        let schema = Schema::new(vec![Field::new("count", DataType::UInt64, false)]);
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![count]));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![column]);
        Self::Done(batch.expect("one column of one row"))
    }

    /// It is done, and there is nothing to say of it.
    pub(super) fn nothing() -> Self {
        Self::Done(RecordBatch::new_empty(Arc::new(Schema::empty())))
    }
}

/// Plans and runs `sql`.
pub(super) async fn run(
    connection: &Connection,
    sql: &str,
    params: &[ScalarValue],
) -> Result<Outcome, Error> {
    let base = &connection.inner.state;
    let dialect = base.config().options().sql_parser.dialect;
    let mut statement = base.sql_to_statement(sql, &dialect)?;
    flatten(&mut statement);
    if let Statement::Statement(inner) = &statement {
        match inner.as_ref() {
            SqlStatement::CreateTable(create) => {
                return ddl::create_table(connection, sql, create.clone(), params).await;
            }
            SqlStatement::AlterTable(alter) => {
                return alter::run(connection, alter.clone()).await;
            }
            SqlStatement::Insert(_)
            | SqlStatement::Delete(_)
            | SqlStatement::Update(_)
            | SqlStatement::Merge(_) => {
                return dml::run(connection, sql, statement, params).await;
            }
            _ => {}
        }
    }
    let state = session::statement_state(connection, sql, &mut statement).await?;
    let plan = plan(&state, statement, params).await?;
    if let LogicalPlan::Ddl(DdlStatement::DropTable(drop)) = &plan {
        return ddl::drop_table(connection, drop).await;
    }
    let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_statements(false);
    allowed.verify_plan(&plan)?;
    let brief = &connection.inner.brief;
    Ok(Outcome::Rows(match brief.physical(base, &state, &plan).await? {
        Some(physical) => start(&state, physical)?,
        None => stream(&state, &plan).await?,
    }))
}

/// Optimizes a plan and begins to run it.
pub(super) async fn stream(
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<SendableRecordBatchStream, Error> {
    start(state, state.create_physical_plan(plan).await?)
}

fn start(
    state: &SessionState,
    plan: Arc<dyn ExecutionPlan>,
) -> Result<SendableRecordBatchStream, Error> {
    // A plan holds its functions; a context names them only for plans that come from elsewhere.
    let context = TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        state.runtime_env().clone(),
    );
    Ok(execute_stream(plan, Arc::new(context))?)
}

fn flatten(statement: &mut Statement) {
    match statement {
        Statement::Statement(inner) => chains::flatten(inner.as_mut()),
        Statement::Explain(explain) => flatten(&mut explain.statement),
        _ => {}
    }
}

/// The plan of a statement, its parameters bound.
pub(super) async fn plan(
    state: &SessionState,
    statement: Statement,
    params: &[ScalarValue],
) -> Result<LogicalPlan, Error> {
    let plan = match state.statement_to_plan(statement.clone()).await {
        Ok(plan) => plan,
        Err(error) => return Err(placed(state, statement, error).await),
    };
    match params {
        [] => Ok(plan),
        params => Ok(plan.with_param_values(ParamValues::from(params.to_vec()))?),
    }
}

/// An error of planning, with the place in the text that it is about. Places cost memory in every expression, so they are
/// looked for only now.
async fn placed(state: &SessionState, statement: Statement, error: DataFusionError) -> Error {
    let mut state = state.clone();
    state.config_mut().options_mut().sql_parser.collect_spans = true;
    let again = state.statement_to_plan(statement).await.err();
    let span = again.as_ref().and_then(|error| error.diagnostic()?.span);
    let error = Error::from(error);
    match span {
        Some(span) => error.at(span.start.line, span.start.column),
        None => error,
    }
}

/// The name of a table in the one schema there is.
pub(super) fn table_name(name: &datafusion::common::TableReference) -> Result<&str, Error> {
    let known = name.catalog().is_none_or(|catalog| catalog == session::CATALOG)
        && name.schema().is_none_or(|schema| schema == session::SCHEMA);
    match known {
        true => Ok(name.table()),
        false => Err(Error::invalid(format!(
            "{name}: tables live in the schema {}.{}",
            session::CATALOG,
            session::SCHEMA
        ))),
    }
}
