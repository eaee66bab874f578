//! The table as it was.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use infino_manifest::{Snapshot, VersionInfo};

use super::Supertable;
use crate::Error;

impl Supertable {
    /// The last `limit` versions that are kept, newest first: when, what kind of change, how much, whose token.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn history(&self, limit: usize) -> Result<Vec<VersionInfo>, Error> {
        Ok(self.table.history(limit).await?)
    }

    /// A handle that reads the table as it was at `version`, whatever is committed later.
    ///
    /// # Errors
    /// `NotFound` if there is no such version, or it is no longer kept.
    pub async fn at_version(&self, version: u64) -> Result<Self, Error> {
        Ok(self.reading(self.table.at_version(version).await?))
    }

    /// A handle that reads the newest version made at `time` or before, by the clocks of its writers.
    ///
    /// # Errors
    /// As [`Supertable::at_version`].
    pub async fn at_time(&self, time: SystemTime) -> Result<Self, Error> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Ok(self.reading(self.table.at_time(time_ms).await?))
    }

    /// A handle that reads the version which the tag keeps.
    ///
    /// # Errors
    /// `NotFound` if there is no such tag.
    pub async fn at_tag(&self, tag: &str) -> Result<Self, Error> {
        Ok(self.reading(self.table.at_tag(tag).await?))
    }

    fn reading(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { pinned: Some(snapshot), ..self.clone() }
    }

    /// Makes the table what it was at `version`: rows, columns, indexes. What was committed since stays in the history.
    /// Returns the version that it made.
    ///
    /// # Errors
    /// As [`Supertable::at_version`]; `Conflict` if other writers kept committing meanwhile.
    pub async fn restore(&self, version: u64) -> Result<u64, Error> {
        self.refuse_pinned("restore")?;
        Ok(self.table.restore(version).await?)
    }

    /// Keeps a version, the one this handle reads, under a name until the tag is deleted. Returns which it is.
    ///
    /// # Errors
    /// `Invalid` if the name is empty, longer than 256 bytes or taken; as [`Supertable::at_version`].
    pub async fn create_tag(&self, tag: &str) -> Result<u64, Error> {
        let version = self.pinned.as_ref().map(|snapshot| snapshot.version);
        Ok(self.table.create_tag(tag, version).await?)
    }

    /// Lets go of a tag; what only it kept is removed by later runs of [`Supertable::optimize`].
    ///
    /// # Errors
    /// `NotFound` if there is no such tag.
    pub async fn delete_tag(&self, tag: &str) -> Result<(), Error> {
        Ok(self.table.delete_tag(tag).await?)
    }

    /// The tags by name, each with the version it keeps.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn tags(&self) -> Result<Vec<(String, u64)>, Error> {
        let tags = self.table.tags().await?;
        Ok(tags
            .into_iter()
            .map(|tag| (tag.version(), tag.name))
            .map(|(v, name)| (name, v))
            .collect())
    }

    /// How long versions are kept when [`Supertable::optimize`] is not told otherwise; `None` for an hour.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn retention(&self) -> Result<Option<Duration>, Error> {
        Ok(self.table.retention().await?)
    }

    /// Sets, for all handles, how long versions are kept.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn set_retention(&self, keep: Option<Duration>) -> Result<(), Error> {
        self.refuse_pinned("set the retention")?;
        Ok(self.table.set_retention(keep).await?)
    }
}
