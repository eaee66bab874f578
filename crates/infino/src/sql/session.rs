//! What a statement sees: functions, settings, and the tables it names, each pinned once.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::TableType;
use datafusion::optimizer::Optimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use infino_table::Budget;
use tracing::Instrument;

use super::annotate;
use super::expressions;
use super::functions::{ResolveSearch, SearchPlanner, Searched};
use super::identifiers;
use super::memory::BudgetPool;
use super::provider::PinnedTable;
use super::ranking::RankByIndex;
use super::row_sets::RowSets;
use super::source::external;
use super::statement::{self, Outcome};
use super::yielding::YieldInJoins;
use crate::rerank::Rerankers;
use crate::trace::{span, traced};
use crate::{Connection, Error};

pub(super) const CATALOG: &str = "infino";
pub(super) const SCHEMA: &str = "public";

/// The part of the memory for statements that one sort sets aside for merging.
const SORT_MERGE_SHARE: usize = 32;

/// The state that every statement starts from: functions, rules, settings, memory.
pub(crate) fn base_state(
    memory_bytes: usize,
    budget: &Budget,
    row_sets: RowSets,
    rerankers: Rerankers,
) -> Result<SessionState, Error> {
    let mut config = SessionConfig::new()
        .with_extension(Arc::new(row_sets))
        .with_extension(Arc::new(rerankers))
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    // What a sort sets aside for merging what it spilled, each partition by itself: a part of what there is.
    let merging = &mut config.options_mut().execution.sort_spill_reservation_bytes;
    *merging = (*merging).min(memory_bytes / SORT_MERGE_SHARE);
    let pool = BudgetPool::new(memory_bytes, budget);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
    let mut rules = Optimizer::new().rules;
    // Before common expressions are pulled apart, after filters and limits have come down.
    let at = rules.iter().position(|rule| rule.name() == "common_sub_expression_eliminate");
    rules.insert(at.unwrap_or(rules.len()), Arc::new(RankByIndex));
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::new(runtime.build()?))
        .with_default_features()
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rule(Arc::new(YieldInJoins))
        .build();
    state.add_analyzer_rule(Arc::new(ResolveSearch));
    for function in expressions::functions() {
        state.register_udf(function)?;
    }
    Ok(state)
}

/// A SQL statement that runs when it is awaited.
///
/// ```no_run
/// # async fn example(db: infino::Connection, embedding: Vec<f32>) -> Result<(), infino::Error> {
/// let sql = "SELECT path, distance FROM vector_search('docs', 'embedding', $1, k => 5)";
/// let rows = db.query_sql(sql).bind_vector(&embedding).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a statement runs when it is awaited"]
pub struct SqlQuery {
    connection: Connection,
    sql: String,
    params: Vec<ScalarValue>,
}

impl SqlQuery {
    pub(crate) fn new(connection: Connection, sql: String) -> Self {
        Self { connection, sql, params: Vec::new() }
    }

    /// Binds the next parameter: `$1`, then `$2`, …
    pub fn bind(mut self, value: impl Into<ScalarValue>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Binds the next parameter to a vector.
    pub fn bind_vector(self, vector: &[f32]) -> Self {
        let values = vector.iter().map(|&x| ScalarValue::from(x)).collect::<Vec<_>>();
        let list = ScalarValue::new_list_nullable(&values, &arrow::datatypes::DataType::Float32);
        self.bind(ScalarValue::List(list))
    }

    /// Runs it and gives the rows as they come.
    ///
    /// # Errors
    /// `Invalid` if it does not parse or plan, `NotFound` for a table that is not there; while streaming, whatever a scan or
    /// a search fails with.
    pub async fn stream(
        self,
    ) -> Result<impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static + use<>, Error>
    {
        let (_, rows) = self.rows().await?;
        Ok(rows)
    }

    /// [`SqlQuery::stream`], and the columns that its rows have, also if there are none.
    ///
    /// # Errors
    /// As [`SqlQuery::stream`].
    pub async fn stream_with_schema(
        self,
    ) -> Result<
        (SchemaRef, impl Stream<Item = Result<RecordBatch, Error>> + Send + 'static + use<>),
        Error,
    > {
        self.rows().await
    }

    async fn rows(
        self,
    ) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch, Error>>), Error> {
        let span = span!("plan", statement = first_word(&self.sql));
        let run = statement::run(&self.connection, &self.sql, &self.params).instrument(span);
        match run.await? {
            Outcome::Rows(rows) => {
                let schema = annotate::stripped(&rows.schema());
                let rows = rows.map(|batch| Ok(annotate::strip(batch?)));
                Ok((schema, rows.boxed()))
            }
            Outcome::Done(batch) => {
                Ok((batch.schema(), futures::stream::iter([Ok(batch)]).boxed()))
            }
        }
    }

    async fn run(self) -> Result<Vec<RecordBatch>, Error> {
        let (schema, rows) = self.rows().await?;
        let mut batches: Vec<RecordBatch> = rows.try_collect().await?;
        if batches.is_empty() {
            // So that a caller always learns the columns.
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }
}

impl IntoFuture for SqlQuery {
    type Output = Result<Vec<RecordBatch>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = span!("sql", statement = first_word(&self.sql));
        Box::pin(traced(span, self.run()))
    }
}

/// The word that says what kind of statement it is; the rest may hold what belongs in no log.
fn first_word(sql: &str) -> &str {
    sql.split_whitespace().next().unwrap_or_default()
}

/// A state that knows the tables of `connection`, for the one statement `sql`, whose columns are found whatever their case.
pub(super) async fn statement_state(
    connection: &Connection,
    sql: &str,
    statement: &mut Statement,
) -> Result<SessionState, Error> {
    let tables = Arc::new(Tables::of(connection, sql).await?);
    let searched = tables.named_in(sql).await;
    let known = searched.values().filter_map(|table| table.as_ref().ok());
    identifiers::settle(statement, known.map(|table| table.column_names()));
    let names = tables.folders.clone();
    let catalog = MemoryCatalogProvider::new();
    // A new catalog in memory takes any schema.
    let _ = catalog.register_schema(SCHEMA, tables);
    let catalogs = MemoryCatalogProviderList::new();
    let _ = catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut state = connection.inner.state.as_ref().clone();
    state.register_catalog_list(Arc::new(catalogs));
    state.register_relation_planner(Arc::new(SearchPlanner { tables: searched, names }))?;
    // `now()` is the time at which the statement began.
    state.mark_start_execution();
    Ok(state)
}

/// Whether the name occurs in the statement, in whichever case, and not as a part of a longer one.
fn mentions(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.as_bytes(), name.as_bytes());
    let joins =
        |at: Option<&u8>| at.is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is = |(at, window): (usize, &[u8])| {
        window.eq_ignore_ascii_case(name)
            && !joins(at.checked_sub(1).and_then(|before| sql.get(before)))
            && !joins(sql.get(at + name.len()))
    };
    sql.windows(name.len().max(1)).enumerate().any(is)
}

/// The table of this name and its folder, or the only one whose name differs in case alone.
pub(super) fn named<'a>(
    folders: &'a BTreeMap<String, String>,
    name: &str,
) -> Option<(&'a String, &'a String)> {
    folders.get_key_value(name).or_else(|| {
        let mut alike = folders.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// The tables that one statement may name; each is pinned the first time it is named.
#[derive(Debug)]
struct Tables {
    connection: Connection,
    folders: Arc<BTreeMap<String, String>>,
    pinned: tokio::sync::Mutex<HashMap<String, Arc<PinnedTable>>>,
}

impl Tables {
    /// The tables there are. Those that `sql` mentions and that this connection has open are pinned in the same round trip.
    async fn of(connection: &Connection, sql: &str) -> Result<Self, Error> {
        let opened = connection.inner.opened(|name| mentions(sql, name));
        let pins = opened.into_iter().map(|(name, folder, table)| async move {
            let snapshot = table.pin().await.ok()?;
            Some((name, folder, table, snapshot))
        });
        let (names, pins) = futures::join!(connection.names(), futures::future::join_all(pins));
        let tables =
            Self { connection: connection.clone(), folders: names?, pinned: Default::default() };
        for (name, folder, table, snapshot) in pins.into_iter().flatten() {
            if tables.folders.get(&name) == Some(&folder) {
                let table = connection.inner.relation(&table, snapshot)?;
                tables.pinned.lock().await.insert(name, table);
            }
        }
        Ok(tables)
    }

    async fn pin(&self, name: &str) -> Result<Option<Arc<PinnedTable>>, Error> {
        let Some((name, folder)) = self.find(name) else { return Ok(None) };
        if let Some(table) = self.pinned.lock().await.get(name) {
            return Ok(Some(table.clone()));
        }
        let table = self.connection.open_folder(folder).await?;
        let snapshot = table.pin().await?;
        let table = self.connection.inner.relation(&table, snapshot)?;
        // Whoever was first decides which version the statement reads.
        Ok(Some(self.pinned.lock().await.entry(name.clone()).or_insert(table).clone()))
    }

    fn find(&self, name: &str) -> Option<(&String, &String)> {
        named(&self.folders, name)
    }

    /// Every table whose name occurs in `sql`: search functions are planned without waiting, so the tables they name must be
    /// open by then; one that is only mentioned costs at most a read.
    /// Whether it could be opened matters only if it is really used.
    async fn named_in(&self, sql: &str) -> HashMap<String, Searched> {
        let named = self.folders.keys().filter(|name| mentions(sql, name)).map(|name| async move {
            self.pin(name).await.transpose().map(|table| (name.clone(), table))
        });
        futures::future::join_all(named).await.into_iter().flatten().collect()
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.folders.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let table = self.pin(name).await.map_err(external)?;
        Ok(table.map(|table| table as Arc<dyn TableProvider>))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}
