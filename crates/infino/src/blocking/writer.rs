//! The writer.

use arrow::array::RecordBatch;
use futures::future::BoxFuture;

use super::Driver;
use crate::{Error, ErrorKind, MergeSpec, Predicate, Receipt};

/// [`crate::Writer`].
#[derive(Debug)]
pub struct Writer {
    /// Away while a call runs.
    inner: Option<crate::Writer>,
    driver: Driver,
}

impl Writer {
    pub(super) fn new(inner: crate::Writer, driver: Driver) -> Self {
        Self { inner: Some(inner), driver }
    }

    /// [`crate::Writer::token`].
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        Self { inner: self.inner.map(|inner| inner.token(token)), ..self }
    }

    /// [`crate::Writer::auto_commit_bytes`].
    #[must_use]
    pub fn auto_commit_bytes(self, bytes: usize) -> Self {
        Self { inner: self.inner.map(|inner| inner.auto_commit_bytes(bytes)), ..self }
    }

    /// [`crate::Writer::append`].
    ///
    /// # Errors
    /// As there.
    pub fn append(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let rows = rows.clone();
        self.stage(move |inner| Box::pin(async move { inner.append(&rows).await }))
    }

    /// [`crate::Writer::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        let rows = rows.clone();
        self.stage(move |inner| Box::pin(async move { inner.insert(&rows).await }))
    }

    /// [`crate::Writer::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&mut self, predicate: impl Into<Predicate>) -> Result<(), Error> {
        let predicate = predicate.into();
        self.stage(move |inner| Box::pin(async move { inner.delete(predicate).await }))
    }

    /// [`crate::Writer::update`].
    ///
    /// # Errors
    /// As there.
    pub fn update(
        &mut self,
        predicate: impl Into<Predicate>,
        rows: &RecordBatch,
    ) -> Result<(), Error> {
        let (predicate, rows) = (predicate.into(), rows.clone());
        self.stage(move |inner| Box::pin(async move { inner.update(predicate, &rows).await }))
    }

    /// [`crate::Writer::upsert`].
    ///
    /// # Errors
    /// As there.
    pub fn upsert(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        self.merge_insert(rows, MergeSpec::default())
    }

    /// [`crate::Writer::merge_insert`].
    ///
    /// # Errors
    /// As there.
    pub fn merge_insert(&mut self, rows: &RecordBatch, spec: MergeSpec) -> Result<(), Error> {
        let rows = rows.clone();
        self.stage(move |inner| Box::pin(async move { inner.merge_insert(&rows, spec).await }))
    }

    /// [`crate::Writer::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn commit(self) -> Result<Receipt, Error> {
        let inner = self.inner.ok_or_else(lost)?;
        self.driver.run(async move { inner.commit().await })
    }

    fn stage(
        &mut self,
        work: impl FnOnce(&mut crate::Writer) -> BoxFuture<'_, Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let mut inner = self.inner.take().ok_or_else(lost)?;
        // The writer comes back whether or not the change was taken.
        let staged = async move {
            let result = work(&mut inner).await;
            Ok((inner, result))
        };
        let (inner, result) = self.driver.run(staged)?;
        self.inner = Some(inner);
        result
    }
}

/// The error of a writer whose last call ended early.
fn lost() -> Error {
    Error::new(ErrorKind::Internal, "the writer was lost when its last call ended early")
}
