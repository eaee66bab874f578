//! The same names for callers that are not async.
//!
//! Work runs on a runtime of its own, so these calls work anywhere, inside another runtime too; there they block the
//! thread that calls.
//!
//! ```
//! use infino::IndexSpec;
//! use infino::arrow::array::{ArrayRef, RecordBatch, StringArray};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), infino::Error> {
//! let db = infino::blocking::connect("memory://")?;
//! let body: ArrayRef = Arc::new(StringArray::from(vec!["the quick brown fox", "a lazy dog"]));
//! let rows = RecordBatch::try_from_iter([("body", body)])?;
//! let docs = db.create_table("docs", rows.schema(), IndexSpec::new().fts("body"))?;
//! docs.append(rows)?;
//! assert_eq!(docs.bm25_search("body", "fox", 10, &["body"]).run()?[0].num_rows(), 1);
//! assert_eq!(db.query_sql("SELECT count(*) FROM docs").run()?[0].num_rows(), 1);
//! # Ok(())
//! # }
//! ```

mod table;
mod writer;

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use tokio::runtime::{Builder, Runtime};

use crate::supertable::FileInfo;
use crate::{
    ConnectOptions, Error, ErrorKind, Fusion, IndexSpec, MutationStats, OptimizeReport, Predicate,
    Receipt, RepairReport, TextMode, VerifyReport,
};
pub use writer::Writer;

/// Runs futures to their end on threads of its own.
#[derive(Debug, Clone)]
struct Driver {
    /// An option only so that dropping can hand it over.
    runtime: Option<Arc<Runtime>>,
}

impl Driver {
    fn new() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("infino-io").build();
        let runtime = runtime.map_err(|error| {
            Error::new(ErrorKind::Internal, format!("starting threads: {error}"))
        })?;
        Ok(Self { runtime: Some(Arc::new(runtime)) })
    }

    /// Waits on a channel and not on the runtime, which would refuse to be entered from inside another.
    fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (send, receive) = mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().expect("present until dropped");
        let task = runtime.spawn(async move {
            let _ = send.send(future.await);
        });
        match receive.recv() {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Internal, format!("a task ended early: {task:?}"))),
        }
    }
}

impl Drop for Driver {
    /// The last handle may go inside another runtime, where waiting for threads is refused.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take().and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

/// [`crate::connect`].
///
/// # Errors
/// As there.
pub fn connect(uri: &str) -> Result<Connection, Error> {
    connect_with(uri, ConnectOptions::default())
}

/// [`crate::connect_with`].
///
/// # Errors
/// As there.
pub fn connect_with(uri: &str, options: ConnectOptions) -> Result<Connection, Error> {
    let driver = Driver::new()?;
    let uri = uri.to_owned();
    let inner = driver.run(async move { crate::connect_with(&uri, options).await })?;
    Ok(Connection { inner, driver })
}

/// [`crate::Connection`].
#[derive(Debug, Clone)]
pub struct Connection {
    inner: crate::Connection,
    driver: Driver,
}

/// [`crate::Supertable`].
#[derive(Debug, Clone)]
pub struct Supertable {
    inner: crate::Supertable,
    driver: Driver,
}

/// [`crate::Search`]; [`Search::run`] runs it.
#[derive(Debug, Clone)]
#[must_use = "a search runs when `run` is called"]
pub struct Search {
    inner: crate::Search,
    driver: Driver,
}

/// [`crate::SqlQuery`]; [`SqlQuery::run`] runs it.
#[derive(Debug, Clone)]
#[must_use = "a statement runs when `run` is called"]
pub struct SqlQuery {
    inner: crate::SqlQuery,
    driver: Driver,
}

impl Connection {
    /// [`crate::Connection::create_table`].
    ///
    /// # Errors
    /// As there.
    pub fn create_table(
        &self,
        name: &str,
        schema: impl Into<Arc<Schema>>,
        index: IndexSpec,
    ) -> Result<Supertable, Error> {
        let (inner, name, schema) = (self.inner.clone(), name.to_owned(), schema.into());
        self.table(async move { inner.create_table(&name, schema, index).await })
    }

    /// [`crate::Connection::open_table`].
    ///
    /// # Errors
    /// As there.
    pub fn open_table(&self, name: &str) -> Result<Supertable, Error> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        self.table(async move { inner.open_table(&name).await })
    }

    /// [`crate::Connection::table_names`].
    ///
    /// # Errors
    /// As there.
    pub fn table_names(&self) -> Result<Vec<String>, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.table_names().await })
    }

    /// [`crate::Connection::drop_table`].
    ///
    /// # Errors
    /// As there.
    pub fn drop_table(&self, name: &str) -> Result<(), Error> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        self.driver.run(async move { inner.drop_table(&name).await })
    }

    /// [`crate::Connection::register_reranker`].
    pub fn register_reranker(&self, name: &str, reranker: Arc<dyn crate::Reranker>) {
        self.inner.register_reranker(name, reranker);
    }

    /// [`crate::Connection::rename_table`].
    ///
    /// # Errors
    /// As there.
    pub fn rename_table(&self, from: &str, to: &str) -> Result<(), Error> {
        let (inner, from, to) = (self.inner.clone(), from.to_owned(), to.to_owned());
        self.driver.run(async move { inner.rename_table(&from, &to).await })
    }

    /// [`crate::Connection::verify_table`].
    ///
    /// # Errors
    /// As there.
    pub fn verify_table(&self, name: &str) -> Result<VerifyReport, Error> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        self.driver.run(async move { inner.verify_table(&name).await })
    }

    /// [`crate::Connection::repair_table`].
    ///
    /// # Errors
    /// As there.
    pub fn repair_table(&self, name: &str) -> Result<RepairReport, Error> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        self.driver.run(async move { inner.repair_table(&name).await })
    }

    /// [`crate::Connection::query_sql`].
    pub fn query_sql(&self, sql: impl Into<String>) -> SqlQuery {
        SqlQuery { inner: self.inner.query_sql(sql), driver: self.driver.clone() }
    }

    /// [`crate::Connection::save_heat`].
    ///
    /// # Errors
    /// As there.
    pub fn save_heat(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.save_heat().await })
    }

    /// [`crate::Connection::uri`].
    pub fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn table(
        &self,
        open: impl Future<Output = Result<crate::Supertable, Error>> + Send + 'static,
    ) -> Result<Supertable, Error> {
        Ok(Supertable { inner: self.driver.run(open)?, driver: self.driver.clone() })
    }
}

impl Supertable {
    /// [`crate::Supertable::name`].
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// [`crate::Supertable::schema`].
    ///
    /// # Errors
    /// As there.
    pub fn schema(&self) -> Result<SchemaRef, Error> {
        self.inner.schema()
    }

    /// [`crate::Supertable::append`].
    ///
    /// # Errors
    /// As there.
    pub fn append(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        let (inner, rows) = (self.inner.clone(), rows.into());
        self.driver.run(async move { inner.append(rows).await })
    }

    /// [`crate::Supertable::writer`].
    ///
    /// # Errors
    /// As there.
    pub fn writer(&self) -> Result<Writer, Error> {
        Ok(Writer::new(self.inner.writer()?, self.driver.clone()))
    }

    /// [`crate::Supertable::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, predicate: impl Into<Predicate>) -> Result<MutationStats, Error> {
        let (inner, predicate) = (self.inner.clone(), predicate.into());
        self.driver.run(async move { inner.delete(predicate).await })
    }

    /// [`crate::Supertable::update`].
    ///
    /// # Errors
    /// As there.
    pub fn update(
        &self,
        predicate: impl Into<Predicate>,
        rows: impl Into<RecordBatch>,
    ) -> Result<MutationStats, Error> {
        let (inner, predicate, rows) = (self.inner.clone(), predicate.into(), rows.into());
        self.driver.run(async move { inner.update(predicate, rows).await })
    }

    /// [`crate::Supertable::bm25_search`].
    pub fn bm25_search(&self, column: &str, query: &str, k: usize, columns: &[&str]) -> Search {
        self.search(self.inner.bm25_search(column, query, k, columns))
    }

    /// [`crate::Supertable::vector_search`].
    pub fn vector_search(
        &self,
        column: &str,
        vector: &[f32],
        k: usize,
        columns: &[&str],
    ) -> Search {
        self.search(self.inner.vector_search(column, vector, k, columns))
    }

    /// [`crate::Supertable::hybrid_search`].
    pub fn hybrid_search(
        &self,
        text_column: &str,
        query: &str,
        vector_column: &str,
        vector: &[f32],
        k: usize,
        columns: &[&str],
    ) -> Search {
        self.search(self.inner.hybrid_search(text_column, query, vector_column, vector, k, columns))
    }

    /// [`crate::Supertable::token_match`].
    pub fn token_match(
        &self,
        column: &str,
        tokens: &str,
        limit: usize,
        columns: &[&str],
    ) -> Search {
        self.search(self.inner.token_match(column, tokens, limit, columns))
    }

    /// [`crate::Supertable::exact_match`].
    pub fn exact_match(&self, column: &str, value: &str, limit: usize, columns: &[&str]) -> Search {
        self.search(self.inner.exact_match(column, value, limit, columns))
    }

    /// [`crate::Supertable::count_rows`].
    ///
    /// # Errors
    /// As there.
    pub fn count_rows(&self) -> Result<u64, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.count_rows().await })
    }

    /// [`crate::Supertable::optimize`].
    ///
    /// # Errors
    /// As there.
    pub fn optimize(&self) -> Result<OptimizeReport, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.optimize().await })
    }

    /// [`crate::Supertable::optimize_keeping`].
    ///
    /// # Errors
    /// As there.
    pub fn optimize_keeping(&self, keep: Duration) -> Result<OptimizeReport, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.optimize_keeping(keep).await })
    }

    /// [`crate::Supertable::refresh`].
    ///
    /// # Errors
    /// As there.
    pub fn refresh(&self) -> Result<u64, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.refresh().await })
    }

    /// [`crate::Supertable::version`].
    ///
    /// # Errors
    /// As there.
    pub fn version(&self) -> Result<u64, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.version().await })
    }

    /// [`crate::Supertable::at_version`].
    ///
    /// # Errors
    /// As there.
    pub fn at_version(&self, version: u64) -> Result<Self, Error> {
        let inner = self.inner.clone();
        let inner = self.driver.run(async move { inner.at_version(version).await })?;
        Ok(Self { inner, driver: self.driver.clone() })
    }

    /// [`crate::Supertable::files`].
    ///
    /// # Errors
    /// As there.
    pub fn files(&self) -> Result<Vec<FileInfo>, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.files().await })
    }

    fn search(&self, inner: crate::Search) -> Search {
        Search { inner, driver: self.driver.clone() }
    }
}

impl Search {
    /// [`crate::Search::filter`].
    pub fn filter(self, predicate: impl Into<Predicate>) -> Self {
        Self { inner: self.inner.filter(predicate), ..self }
    }

    /// [`crate::Search::exact`].
    pub fn exact(self) -> Self {
        Self { inner: self.inner.exact(), ..self }
    }

    /// [`crate::Search::nprobe`].
    pub fn nprobe(self, nprobe: u32) -> Self {
        Self { inner: self.inner.nprobe(nprobe), ..self }
    }

    /// [`crate::Search::target_recall`].
    pub fn target_recall(self, recall: f32) -> Self {
        Self { inner: self.inner.target_recall(recall), ..self }
    }

    /// [`crate::Search::mode`].
    pub fn mode(self, mode: TextMode) -> Self {
        Self { inner: self.inner.mode(mode), ..self }
    }

    /// [`crate::Search::fusion`].
    pub fn fusion(self, fusion: Fusion) -> Self {
        Self { inner: self.inner.fusion(fusion), ..self }
    }

    /// [`crate::Search::rerank`].
    pub fn rerank(self, reranker: Arc<dyn crate::Reranker>, depth: usize) -> Self {
        Self { inner: self.inner.rerank(reranker, depth), ..self }
    }

    /// Runs the search.
    ///
    /// # Errors
    /// As awaiting [`crate::Search`].
    pub fn run(self) -> Result<Vec<RecordBatch>, Error> {
        let inner = self.inner;
        self.driver.run(async move { inner.await })
    }
}

impl SqlQuery {
    /// [`crate::SqlQuery::bind`].
    pub fn bind(self, value: impl Into<ScalarValue>) -> Self {
        Self { inner: self.inner.bind(value), ..self }
    }

    /// [`crate::SqlQuery::bind_vector`].
    pub fn bind_vector(self, vector: &[f32]) -> Self {
        Self { inner: self.inner.bind_vector(vector), ..self }
    }

    /// Runs the statement.
    ///
    /// # Errors
    /// As awaiting [`crate::SqlQuery`].
    pub fn run(self) -> Result<Vec<RecordBatch>, Error> {
        let inner = self.inner;
        self.driver.run(async move { inner.await })
    }
}
