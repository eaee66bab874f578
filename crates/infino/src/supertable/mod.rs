//! The handle on a table that users hold.

mod maintain;
mod versions;
mod write;

pub use write::Writer;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use infino_format::schema::IndexSet;
use infino_manifest::Snapshot;
use infino_table::{Fusion, RowFilter, Table};

use crate::search::{Question, Search};
use crate::sql::filter::PredicateFilter;
use crate::{Connection, Error, Predicate, Scan, TextMode};

/// A table; cheap to clone.
///
/// Searches return record batches: `_id`, `score` or `distance`, then the columns asked for.
#[derive(Debug, Clone)]
pub struct Supertable {
    connection: Connection,
    name: String,
    table: Table,
    /// The version this handle reads, if it is not the newest.
    pinned: Option<Arc<Snapshot>>,
}

impl Supertable {
    pub(crate) fn new(connection: Connection, name: &str, table: Table) -> Self {
        Self { connection, name: name.to_owned(), table, pinned: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns, without `_id`.
    ///
    /// # Errors
    /// `Corrupt` if the stored schema is damaged.
    pub fn schema(&self) -> Result<SchemaRef, Error> {
        match &self.pinned {
            Some(snapshot) => Ok(infino_superfile::arrow_schema(&snapshot.schema)?),
            None => Ok(self.table.schema()?),
        }
    }

    /// What is indexed, and how.
    pub fn indexes(&self) -> IndexSet {
        match &self.pinned {
            Some(snapshot) => snapshot.schema.indexes.clone(),
            None => self.table.snapshot().schema.indexes.clone(),
        }
    }

    /// The `k` rows whose `column` best answers `query` by BM25, best first: `_id`, `score`, `columns`.
    ///
    /// A row answers if it holds any of the query's words, taken apart by the column's own analyzer. Scores are BM25 over
    /// the whole table, so they do not depend on how rows are spread over files; equal scores come in `_id` order. Deleted
    /// rows count in the statistics until they are reclaimed.
    ///
    /// # Errors
    /// On await: `Invalid` if `column` has no full-text index or a column is unknown.
    pub fn bm25_search(&self, column: &str, query: &str, k: usize, columns: &[&str]) -> Search {
        let question = Question::Bm25 {
            column: column.to_owned(),
            query: query.to_owned(),
            mode: TextMode::default(),
        };
        Search::new(self.clone(), question, k, columns)
    }

    /// The `k` rows whose `column` is nearest to `vector`, nearest first: `_id`, `distance`, `columns`.
    ///
    /// # Errors
    /// On await: `Invalid` if `column` has no vector index, or `vector` another dimension or a value that is not finite.
    pub fn vector_search(
        &self,
        column: &str,
        vector: &[f32],
        k: usize,
        columns: &[&str],
    ) -> Search {
        let question = Question::Vector { column: column.to_owned(), vector: vector.into() };
        Search::new(self.clone(), question, k, columns)
    }

    /// The `k` rows that best answer both a text query and a vector, by reciprocal rank fusion: `_id`, `score`, `columns`.
    ///
    /// # Errors
    /// On await: as [`Supertable::bm25_search`] and [`Supertable::vector_search`].
    pub fn hybrid_search(
        &self,
        text_column: &str,
        query: &str,
        vector_column: &str,
        vector: &[f32],
        k: usize,
        columns: &[&str],
    ) -> Search {
        let question = Question::Hybrid {
            text_column: text_column.to_owned(),
            query: query.to_owned(),
            mode: TextMode::default(),
            vector_column: vector_column.to_owned(),
            vector: vector.into(),
            fusion: Fusion::default(),
        };
        Search::new(self.clone(), question, k, columns)
    }

    /// Up to `limit` rows whose `column` holds every word of `tokens`, in `_id` order and unranked: `_id`, `columns`.
    ///
    /// # Errors
    /// On await: `Invalid` if `column` has no full-text index.
    pub fn token_match(
        &self,
        column: &str,
        tokens: &str,
        limit: usize,
        columns: &[&str],
    ) -> Search {
        let question = Question::Tokens { column: column.to_owned(), tokens: tokens.to_owned() };
        Search::new(self.clone(), question, limit, columns)
    }

    /// Up to `limit` rows whose `column` equals `value`, in `_id` order: `_id`, `columns`.
    ///
    /// # Errors
    /// On await: `Invalid` if `column` has no keyword or full-text index, or only the latter and `value` holds no words.
    pub fn exact_match(&self, column: &str, value: &str, limit: usize, columns: &[&str]) -> Search {
        let question = Question::Exact { column: column.to_owned(), value: value.to_owned() };
        Search::new(self.clone(), question, limit, columns)
    }

    /// The rows, with `columns` of them; `_id` is one of those that can be named. They come file by file, in the order in
    /// which they were added but where updates and [`Supertable::optimize`] put them elsewhere.
    ///
    /// # Errors
    /// On await: `Invalid` if a column is unknown.
    pub fn scan(&self, columns: &[&str]) -> Scan {
        Scan::new(self.clone(), columns)
    }

    /// Rows in the table.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn count_rows(&self) -> Result<u64, Error> {
        let snapshot = self.pin().await?;
        Ok(live_rows(&snapshot))
    }

    /// Reads what was committed elsewhere since, and returns the version; for handles that do not look by themselves.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn refresh(&self) -> Result<u64, Error> {
        Ok(self.table.refresh().await?.version)
    }

    /// The version this handle reads; every commit makes one.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn version(&self) -> Result<u64, Error> {
        Ok(self.pin().await?.version)
    }

    /// The superfiles of the version this handle reads: path in the store, bytes, rows, dead rows.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn files(&self) -> Result<Vec<FileInfo>, Error> {
        let snapshot = self.pin().await?;
        let info = |entry: &Arc<infino_manifest::Entry>| FileInfo {
            path: format!("{}/{}", self.table.root(), entry.summary.path()),
            bytes: entry.summary.file_len,
            rows: entry.summary.row_count,
            dead_rows: entry.deleted_rows(),
        };
        // Inserted rows that still ride in the log are no object.
        let stored = snapshot.entries.iter().filter(|entry| entry.built.is_none());
        Ok(stored.map(info).collect())
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    pub(crate) async fn pin(&self) -> Result<Arc<Snapshot>, Error> {
        match &self.pinned {
            Some(snapshot) => Ok(snapshot.clone()),
            None => Ok(self.table.pin().await?),
        }
    }

    /// Runs `query` on the snapshot of [`Supertable::pin`]; see [`Table::on_pinned`].
    pub(crate) async fn on_pinned<T, F>(
        &self,
        query: impl Fn(Arc<Snapshot>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match &self.pinned {
            Some(snapshot) => query(snapshot.clone()).await,
            None => self.table.on_pinned(query).await,
        }
    }

    pub(crate) fn filter(
        &self,
        snapshot: &Snapshot,
        predicate: Predicate,
    ) -> Result<Arc<dyn RowFilter>, Error> {
        PredicateFilter::new(&self.connection.inner.state, snapshot, &predicate)
            .map(|filter| Arc::new(filter) as _)
    }

    fn refuse_pinned(&self, what: &str) -> Result<(), Error> {
        match &self.pinned {
            None => Ok(()),
            Some(snapshot) => Err(Error::invalid(format!(
                "this handle reads version {} and cannot {what}; open the table without a version",
                snapshot.version
            ))),
        }
    }
}

fn live_rows(snapshot: &Snapshot) -> u64 {
    snapshot.entries.rows() - snapshot.entries.deleted_rows()
}

/// A superfile of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// Where it is, under the store's root.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its rows, dead ones included.
    pub rows: u32,
    /// Rows that a delete or an update took out.
    pub dead_rows: u64,
}
