//! The handle on a table that users hold.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use infino_manifest::Snapshot;
use infino_table::writer::Receipt;
use infino_table::{Fusion, MutationStats, OptimizeReport, RowFilter, Table};

use crate::search::{Question, Search};
use crate::sql::filter::PredicateFilter;
use crate::{Connection, Error, Predicate, TextMode};

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

/// Stages rows and publishes all of them in one commit.
#[derive(Debug)]
pub struct Writer {
    inner: infino_table::Writer,
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

    /// Adds the rows of a batch, in one commit; columns are matched by name, row ids are given.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit, and nothing is added.
    pub async fn append(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        let mut writer = self.writer()?;
        writer.append(&rows.into()).await?;
        writer.commit().await
    }

    /// A writer for many batches in one commit.
    ///
    /// # Errors
    /// `Invalid` on a handle that reads an older version.
    pub fn writer(&self) -> Result<Writer, Error> {
        self.refuse_pinned("write")?;
        Ok(Writer { inner: self.table.writer() })
    }

    /// Takes out every row that `predicate` holds for, in one commit.
    ///
    /// # Errors
    /// `Invalid` if the predicate does not fit the table or matches more rows than allowed; `Conflict` if other writers
    /// kept changing the same rows.
    pub async fn delete(&self, predicate: impl Into<Predicate>) -> Result<MutationStats, Error> {
        self.refuse_pinned("delete")?;
        let snapshot = self.table.refresh().await?;
        let filter = self.filter(&snapshot, predicate.into())?;
        Ok(self.table.delete(filter).await?)
    }

    /// Replaces every row that `predicate` holds for by one of `rows`, in the order of their ids, in one commit; a replaced
    /// row keeps its `_id`.
    ///
    /// # Errors
    /// `Invalid` unless as many rows are given as match; otherwise as [`Supertable::delete`].
    pub async fn update(
        &self,
        predicate: impl Into<Predicate>,
        rows: impl Into<RecordBatch>,
    ) -> Result<MutationStats, Error> {
        self.refuse_pinned("update")?;
        let snapshot = self.table.refresh().await?;
        let filter = self.filter(&snapshot, predicate.into())?;
        Ok(self.table.update(filter, &rows.into()).await?)
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

    /// Rows in the table.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn count_rows(&self) -> Result<u64, Error> {
        let snapshot = self.pin().await?;
        Ok(live_rows(&snapshot))
    }

    /// Merges small files, rewrites files with more than one deleted row in ten, shortens the log, and removes what no
    /// version of the last hour needs.
    ///
    /// What was merged away goes once it can be told that no writer still counts on it: not in this run, in a later one.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing; what was done before stays.
    pub async fn optimize(&self) -> Result<OptimizeReport, Error> {
        self.optimize_keeping(Duration::from_secs(3600)).await
    }

    /// [`Supertable::optimize`], keeping what the versions of the last `keep` need.
    ///
    /// # Errors
    /// As [`Supertable::optimize`].
    pub async fn optimize_keeping(&self, keep: Duration) -> Result<OptimizeReport, Error> {
        self.refuse_pinned("optimize")?;
        Ok(self.table.optimize(keep).await?)
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

    /// A handle that reads the table as it was at `version`, whatever is committed later.
    ///
    /// # Errors
    /// `NotFound` if there is no such version, or it is no longer kept.
    pub async fn at_version(&self, version: u64) -> Result<Self, Error> {
        let snapshot = self.table.at_version(version).await?;
        Ok(Self { pinned: Some(snapshot), ..self.clone() })
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
        Ok(snapshot.entries.iter().map(info).collect())
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

impl Writer {
    /// Makes the commit exactly-once: one whose token was committed before changes nothing.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { inner: self.inner.token(token) }
    }

    /// Stages the rows of a batch.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; what was staged before stays staged.
    pub async fn append(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.inner.append(rows).await?)
    }

    /// Makes everything staged durable and visible, at once.
    ///
    /// # Errors
    /// As [`Supertable::append`].
    pub async fn commit(self) -> Result<Receipt, Error> {
        Ok(self.inner.commit().await?)
    }
}
