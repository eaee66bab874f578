//! What a table can do beside being searched.

use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;

use super::Supertable;
use crate::{
    AlterReport, BackgroundOptions, CompactOptions, CompactReport, Error, IndexSet,
    MaintainOptions, Maintenance, MergeSpec, OptimizeReport, Receipt, SchemaChange, SealReport,
    VersionInfo, WarmUp,
};

/// The methods whose arguments can be taken along as they are.
macro_rules! mirror {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Supertable {$(
            #[doc = concat!("[`crate::Supertable::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// As there.
            pub fn $name(&self, $($arg: $type),*) -> Result<$result, Error> {
                let inner = self.inner.clone();
                self.driver.run(async move { inner.$name($($arg),*).await })
            }
        )*}
    };
}

mirror! {
    history(limit: usize) -> Vec<VersionInfo>;
    restore(version: u64) -> u64;
    tags() -> Vec<(String, u64)>;
    retention() -> Option<Duration>;
    set_retention(keep: Option<Duration>) -> ();
    seal() -> SealReport;
    warm_up(mode: WarmUp) -> usize;
}

impl Supertable {
    /// [`crate::Supertable::indexes`].
    pub fn indexes(&self) -> IndexSet {
        self.inner.indexes()
    }

    /// [`crate::Supertable::insert`].
    ///
    /// # Errors
    /// As there.
    pub fn insert(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        let (inner, rows) = (self.inner.clone(), rows.into());
        self.driver.run(async move { inner.insert(rows).await })
    }

    /// [`crate::Supertable::upsert`].
    ///
    /// # Errors
    /// As there.
    pub fn upsert(&self, rows: impl Into<RecordBatch>) -> Result<Receipt, Error> {
        self.merge_insert(rows, MergeSpec::default())
    }

    /// [`crate::Supertable::merge_insert`].
    ///
    /// # Errors
    /// As there.
    pub fn merge_insert(
        &self,
        rows: impl Into<RecordBatch>,
        spec: MergeSpec,
    ) -> Result<Receipt, Error> {
        let (inner, rows) = (self.inner.clone(), rows.into());
        self.driver.run(async move { inner.merge_insert(rows, spec).await })
    }

    /// [`crate::Supertable::update_set`].
    ///
    /// # Errors
    /// As there.
    pub fn update_set(&self, predicate: &str, assignments: &[(&str, &str)]) -> Result<u64, Error> {
        let (inner, predicate) = (self.inner.clone(), predicate.to_owned());
        let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let assignments: Vec<(String, String)> = assignments.iter().map(owned).collect();
        self.driver.run(async move {
            let assignments = assignments.iter().map(|(column, value)| (&column[..], &value[..]));
            inner.update_set(&predicate, &assignments.collect::<Vec<_>>()).await
        })
    }

    /// [`crate::Supertable::at_time`].
    ///
    /// # Errors
    /// As there.
    pub fn at_time(&self, time: SystemTime) -> Result<Self, Error> {
        let inner = self.inner.clone();
        let inner = self.driver.run(async move { inner.at_time(time).await })?;
        Ok(Self { inner, driver: self.driver.clone() })
    }

    /// [`crate::Supertable::at_tag`].
    ///
    /// # Errors
    /// As there.
    pub fn at_tag(&self, tag: &str) -> Result<Self, Error> {
        let (inner, tag) = (self.inner.clone(), tag.to_owned());
        let inner = self.driver.run(async move { inner.at_tag(&tag).await })?;
        Ok(Self { inner, driver: self.driver.clone() })
    }

    /// [`crate::Supertable::create_tag`].
    ///
    /// # Errors
    /// As there.
    pub fn create_tag(&self, tag: &str) -> Result<u64, Error> {
        let (inner, tag) = (self.inner.clone(), tag.to_owned());
        self.driver.run(async move { inner.create_tag(&tag).await })
    }

    /// [`crate::Supertable::delete_tag`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_tag(&self, tag: &str) -> Result<(), Error> {
        let (inner, tag) = (self.inner.clone(), tag.to_owned());
        self.driver.run(async move { inner.delete_tag(&tag).await })
    }

    /// [`crate::Supertable::optimize_with`].
    ///
    /// # Errors
    /// As there.
    pub fn optimize_with(&self, options: &MaintainOptions) -> Result<OptimizeReport, Error> {
        let (inner, options) = (self.inner.clone(), options.clone());
        self.driver.run(async move { inner.optimize_with(&options).await })
    }

    /// [`crate::Supertable::compact`].
    ///
    /// # Errors
    /// As there.
    pub fn compact(&self, options: &CompactOptions) -> Result<CompactReport, Error> {
        let (inner, options) = (self.inner.clone(), options.clone());
        self.driver.run(async move { inner.compact(&options).await })
    }

    /// [`crate::Supertable::maintain_in_background`]; it ends at the latest when the last handle on the connection goes.
    ///
    /// # Errors
    /// As there.
    pub fn maintain_in_background(&self, options: BackgroundOptions) -> Result<Maintenance, Error> {
        let inner = self.inner.clone();
        self.driver.run(async move { inner.maintain_in_background(options) })
    }

    /// [`crate::Supertable::alter`].
    ///
    /// # Errors
    /// As there.
    pub fn alter(&self, changes: &[SchemaChange]) -> Result<AlterReport, Error> {
        let (inner, changes) = (self.inner.clone(), changes.to_vec());
        self.driver.run(async move { inner.alter(&changes).await })
    }
}
