//! Tables in a session that is not ours.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use infino_table::Table;

use super::functions::{ResolveSearch, SearchPlanner};
use super::provider::PinnedTable;
use super::ranking::RankByIndex;
use super::source::external;
use super::{annotate, expressions};
use crate::{Connection, Error};

/// A table as it is whenever it is asked: each scan pins the snapshot it reads.
#[derive(Debug)]
pub(crate) struct LiveTable {
    table: Table,
    state: Arc<SessionState>,
    /// The columns when it was registered, which statements are planned by.
    schema: SchemaRef,
}

impl LiveTable {
    pub(crate) fn new(table: Table, state: Arc<SessionState>) -> Result<Self, Error> {
        let schema = annotate::file_schema(&table.snapshot().schema)?;
        Ok(Self { table, state, schema })
    }

    /// The newest version this process has seen; no read.
    pub(super) fn seen(&self) -> Result<PinnedTable> {
        let pinned =
            PinnedTable::new(self.table.clone(), self.table.snapshot(), self.state.clone())?;
        Ok(pinned.living())
    }
}

#[async_trait]
impl TableProvider for LiveTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.seen()?.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pinned = self.seen()?.newest().await?;
        if pinned.schema() != self.schema {
            return Err(external(Error::invalid(
                "the table's columns changed since it was registered; register it again",
            )));
        }
        pinned.scan(session, projection, filters, limit).await
    }
}

/// Makes every table of `connection`, and what can be asked of them, known to `context`.
pub(crate) async fn register(
    connection: &Connection,
    context: &SessionContext,
) -> Result<(), Error> {
    let state = connection.inner.state.clone();
    let mut searched = std::collections::HashMap::new();
    let names = connection.names().await?;
    for name in names.keys() {
        let table = connection.open_table(name).await?.table().clone();
        let live = LiveTable::new(table, state.clone())?;
        searched.insert(name.clone(), Ok(Arc::new(live.seen()?)));
        context.register_table(name.as_str(), Arc::new(live))?;
    }
    for function in expressions::functions() {
        context.register_udf(function.as_ref().clone());
    }
    context.add_analyzer_rule(Arc::new(ResolveSearch));
    context.add_optimizer_rule(Arc::new(RankByIndex));
    context.register_relation_planner(Arc::new(SearchPlanner { tables: searched, names }))?;
    Ok(())
}
