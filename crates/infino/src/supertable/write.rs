//! Rows in, changed and out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use infino_table::{MergeSpec, MutationStats, Receipt, RowFilter};

use super::Supertable;
use crate::trace::{span, traced};
use crate::{Error, ErrorKind, Predicate};

/// Stages appends, inserts, deletes, updates and upserts, and publishes all of them in one commit, in that order.
#[derive(Debug)]
pub struct Writer {
    table: Supertable,
    inner: infino_table::Writer,
}

impl Supertable {
    /// Adds the rows of a batch, in one commit; columns are matched by name, row ids are given.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit, `AlreadyExists` if the table has a key and a row's is taken; nothing
    /// is added then.
    pub async fn append(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        let rows = rows.into();
        let work = async {
            let mut writer = self.writer()?;
            writer.append(&rows).await?;
            Ok(writer.inner.commit().await?)
        };
        traced(span!("append", table = self.name()), work).await
    }

    /// Adds a few rows at the price of one compare-and-swap, which tasks that insert at the same time share. They are
    /// durable and found by every way to ask when this returns; superfiles are made of them later, in the background or by
    /// [`Supertable::optimize`]. For many rows [`Supertable::append`] makes better files.
    ///
    /// # Errors
    /// As [`Supertable::append`].
    pub async fn insert(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        self.refuse_pinned("insert")?;
        let rows = rows.into();
        let work = async { Ok(self.table.insert(&rows).await?) };
        traced(span!("insert", table = self.name()), work).await
    }

    /// Puts each row in the place of the one with the same key, or beside the others where there is none, in one commit. Of
    /// several rows of the batch with one key the last wins; a row that is replaced keeps its `_id`.
    ///
    /// # Errors
    /// `Invalid` if the table was made without [`key`](crate::IndexSpec::key) columns, or naming the column that does not
    /// fit; `Conflict` if other writers kept changing the same rows.
    pub async fn upsert(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        self.merge_insert(rows, MergeSpec::default()).await
    }

    /// Merges rows by key, one after another, in one commit: `spec` says what becomes of a row whose key is there, and of
    /// one whose key is not.
    ///
    /// # Errors
    /// As [`Supertable::upsert`].
    pub async fn merge_insert(
        &self,
        rows: impl Into<RecordBatch>,
        spec: MergeSpec,
    ) -> Result<Receipt, Error> {
        self.refuse_pinned("merge")?;
        let rows = rows.into();
        let work = async { Ok(self.table.merge_insert(&rows, spec).await?) };
        traced(span!("upsert", table = self.name()), work).await
    }

    /// A writer for many changes in one commit.
    ///
    /// # Errors
    /// `Invalid` on a handle that reads an older version.
    pub fn writer(&self) -> Result<Writer, Error> {
        self.refuse_pinned("write")?;
        Ok(Writer { table: self.clone(), inner: self.table.writer() })
    }

    /// Takes out every row that `predicate` holds for, in one commit.
    ///
    /// # Errors
    /// `Invalid` if the predicate does not fit the table or matches more rows than allowed; `Conflict` if other writers
    /// kept changing the same rows.
    pub async fn delete(&self, predicate: impl Into<Predicate>) -> Result<MutationStats, Error> {
        self.refuse_pinned("delete")?;
        let predicate = predicate.into();
        let work = async { Ok(self.table.delete(self.newest_filter(predicate).await?).await?) };
        traced(span!("delete", table = self.name()), work).await
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
        let (predicate, rows) = (predicate.into(), rows.into());
        let work = async {
            let filter = self.newest_filter(predicate).await?;
            Ok(self.table.update(filter, &rows).await?)
        };
        traced(span!("update", table = self.name()), work).await
    }

    /// Sets columns of every row that the SQL condition `predicate` holds for to the values of SQL expressions over the
    /// row as it was, in one commit: `update_set("price > 10", &[("price", "price * 0.9"), ("sale", "true")])`. Returns how
    /// many rows that was.
    ///
    /// # Errors
    /// `Invalid` if a condition or an expression does not fit the table; `Conflict` if other writers kept changing the same
    /// rows.
    pub async fn update_set(
        &self,
        predicate: &str,
        assignments: &[(&str, &str)],
    ) -> Result<u64, Error> {
        self.refuse_pinned("update")?;
        if self
            .connection
            .names()
            .await?
            .get(&self.name)
            .is_none_or(|root| root != self.table.root())
        {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("table {:?} was dropped; open it again if it was made anew", self.name),
            ));
        }
        let state = &self.connection.inner.state;
        let sql = crate::sql::update_statement(state, &self.name, predicate, assignments)?;
        crate::sql::count_of(&self.connection.query_sql(sql).await?)
    }

    async fn newest_filter(&self, predicate: Predicate) -> Result<Arc<dyn RowFilter>, Error> {
        let snapshot = self.table.refresh().await?;
        self.filter(&snapshot, predicate)
    }
}

impl Writer {
    /// Makes the commit exactly-once: one whose token was committed before changes nothing.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { inner: self.inner.token(token), ..self }
    }

    /// Commits what is staged whenever the rows appended since the last commit take this many bytes in memory; 0, the
    /// default, for never. A writer with a token commits once, whatever this says.
    #[must_use]
    pub fn auto_commit_bytes(self, bytes: usize) -> Self {
        Self { inner: self.inner.auto_commit_bytes(bytes), ..self }
    }

    /// Stages new rows.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; what was staged before stays staged.
    pub async fn append(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.inner.append(rows).await?)
    }

    /// Stages a few new rows that ride in the log, as [`Supertable::insert`].
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub async fn insert(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.inner.insert(rows).await?)
    }

    /// Stages taking out every row that `predicate` holds for; rows that are only staged are not seen by it.
    ///
    /// # Errors
    /// `Invalid` if the predicate does not fit the table.
    pub async fn delete(&mut self, predicate: impl Into<Predicate>) -> Result<(), Error> {
        let filter = self.table.newest_filter(predicate.into()).await?;
        self.inner.delete(filter);
        Ok(())
    }

    /// Stages replacing every row that `predicate` holds for by one of `rows`, as [`Supertable::update`].
    ///
    /// # Errors
    /// `Invalid` if the predicate or a row does not fit the table.
    pub async fn update(
        &mut self,
        predicate: impl Into<Predicate>,
        rows: &RecordBatch,
    ) -> Result<(), Error> {
        let filter = self.table.newest_filter(predicate.into()).await?;
        Ok(self.inner.update(filter, rows).await?)
    }

    /// Stages an upsert by key, as [`Supertable::upsert`].
    ///
    /// # Errors
    /// `Invalid` if the table has no key, or naming the column that does not fit.
    pub async fn upsert(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        Ok(self.inner.upsert(rows).await?)
    }

    /// Stages a merge by key, as [`Supertable::merge_insert`].
    ///
    /// # Errors
    /// As [`Writer::upsert`].
    pub async fn merge_insert(&mut self, rows: &RecordBatch, spec: MergeSpec) -> Result<(), Error> {
        Ok(self.inner.merge_insert(rows, spec).await?)
    }

    /// Makes everything staged durable and visible, at once.
    ///
    /// # Errors
    /// `Invalid` or `AlreadyExists` if what was staged does not fit the rows found; `Conflict` if other writers kept
    /// changing the same rows.
    pub async fn commit(self) -> Result<Receipt, Error> {
        let Self { table, inner } = self;
        traced(span!("commit", table = table.name()), async { Ok(inner.commit().await?) }).await
    }
}
