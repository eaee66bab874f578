//! The versions of a table: what happened, the table as it was, tags, and how long versions are kept.

use std::sync::Arc;
use std::time::Duration;

use infino_format::record::Operation;
use infino_manifest::history::RESERVED;
use infino_manifest::{ManifestError, Snapshot, Tag, VersionInfo, history, tags};
use infino_wal::{Change, Conflict, WalError};

use crate::mutate::with_retries;
use crate::{Table, TableError, fresh, writer};

/// The property that says how long versions are kept.
const RETENTION: &str = "inf.retention_ms";

/// The longest name of a tag, in bytes.
pub const TAG_BYTES_MAX: usize = 256;

impl Table {
    /// The version that a query would read now; as fresh as the handle's consistency asks.
    ///
    /// # Errors
    /// `Wal` if storage keeps failing.
    pub async fn version(&self) -> Result<u64, TableError> {
        Ok(self.pin().await?.version)
    }

    /// The last `limit` versions that are kept, newest first: when, what kind of change, how much, whose token.
    ///
    /// # Errors
    /// `Manifest` naming the object that could not be read.
    pub async fn history(&self, limit: usize) -> Result<Vec<VersionInfo>, TableError> {
        let head = self.inner.log.refresh().await?.head;
        Ok(history::history(&*self.inner.store, &self.inner.root, &head, limit).await?)
    }

    /// The table as of `version`; one before the oldest that is kept opens if it is tagged.
    ///
    /// # Errors
    /// `Manifest` if that version is not kept.
    pub async fn at_version(&self, version: u64) -> Result<Arc<Snapshot>, TableError> {
        let (store, root) = (&*self.inner.store, &self.inner.root);
        let head = self.inner.log.refresh().await?.head;
        if version < head.floor {
            let now = self.refresh().await?;
            let tagged = tags::all(&now.properties)?;
            if let Some(tag) = tagged.iter().find(|tag| tag.version() == version) {
                return fresh::show(&self.inner, tag.open(store, root, now.base()).await?).await;
            }
        }
        fresh::show(&self.inner, history::as_of_version(store, root, &head, version).await?).await
    }

    /// The table as of a moment, in milliseconds since the Unix epoch: its newest version made then or before, by the
    /// clocks of its writers.
    ///
    /// # Errors
    /// `Manifest` if that version is not kept, or there was no table yet.
    pub async fn at_time(&self, time_ms: u64) -> Result<Arc<Snapshot>, TableError> {
        let head = self.inner.log.refresh().await?.head;
        let (store, root) = (&*self.inner.store, &self.inner.root);
        fresh::show(&self.inner, history::as_of_time(store, root, &head, time_ms).await?).await
    }

    /// The version that the tag keeps.
    ///
    /// # Errors
    /// `Manifest` if there is no such tag.
    pub async fn at_tag(&self, name: &str) -> Result<Arc<Snapshot>, TableError> {
        let now = self.refresh().await?;
        let tag = self.tag(&now, name)?;
        let old = tag.open(&*self.inner.store, &self.inner.root, now.base()).await?;
        fresh::show(&self.inner, old).await
    }

    /// Makes the table what it was at `version`: rows, columns, indexes. The versions since stay in the history, tags and
    /// retention as they are. Returns the version that it made.
    ///
    /// # Errors
    /// `Manifest` if that version is not kept; `Contention` if other writers kept committing meanwhile.
    pub async fn restore(&self, version: u64) -> Result<u64, TableError> {
        with_retries(self, |now| async move {
            let epoch = self.inner.log.current().head.epoch;
            let old = self.at_version(version).await?;
            let mut change = Change::new(Operation::Restore, now.version, epoch).exclusive();
            change.actions = history::restore(&now, &old);
            if change.actions.is_empty() {
                return Ok(now.version);
            }
            now.base().check(&change.actions)?;
            Ok(writer::publish(self, change).await?.version)
        })
        .await
    }

    /// Keeps `version`, or the newest, under a name until the tag is deleted, whatever the retention. Returns the version
    /// it keeps.
    ///
    /// # Errors
    /// `Invalid` if the name is empty, too long or taken; `Manifest` if the version is not kept.
    pub async fn create_tag(&self, name: &str, version: Option<u64>) -> Result<u64, TableError> {
        if name.is_empty() || name.len() > TAG_BYTES_MAX {
            return Err(TableError::invalid(format!(
                "the name of a tag has 1 to {TAG_BYTES_MAX} bytes, {name:?} has {}",
                name.len()
            )));
        }
        with_retries(self, |now| async move {
            let known = tags::all(&now.properties)?;
            if let Some(tag) = known.iter().find(|tag| tag.name == name) {
                return Err(TableError::invalid(format!(
                    "tag {name:?} keeps version {}; delete it first",
                    tag.version()
                )));
            }
            let kept = match version {
                None => now.clone(),
                Some(version) => self.at_version(version).await?,
            };
            // Read after `kept`: what a version at or above this head's floor needs stays for the epoch in which the tag
            // is committed, or refused.
            let head = self.inner.log.current().head;
            let others: Vec<_> =
                known.iter().filter(|other| other.version() == kept.version).collect();
            if kept.version < head.floor && others.is_empty() {
                let (version, floor) = (kept.version, head.floor);
                return Err(WalError::Conflict(Conflict::Expired { version, floor }).into());
            }
            let (store, root) = (&*self.inner.store, &self.inner.root);
            let tag = tags::stage(store, root, &head, &kept, name).await?;
            let mut change = Change::new(Operation::Property, now.version, head.epoch)
                .property(tag.key(), Some(tag.value()));
            if kept.version < head.floor {
                // Only other tags keep it: should one of those go meanwhile, this is a conflict.
                for other in others {
                    change = change.property(other.key(), Some(other.value()));
                }
            }
            writer::publish(self, change).await?;
            Ok(kept.version)
        })
        .await
    }

    /// Lets go of a tag; what only it kept goes with the next collections.
    ///
    /// # Errors
    /// `Manifest` if there is no such tag.
    pub async fn delete_tag(&self, name: &str) -> Result<(), TableError> {
        with_retries(self, |now| async move {
            let key = self.tag(&now, name)?.key();
            self.set_property(now, key, None).await
        })
        .await
    }

    /// The tags, by name.
    ///
    /// # Errors
    /// `Wal` if storage keeps failing.
    pub async fn tags(&self) -> Result<Vec<Tag>, TableError> {
        Ok(tags::all(&self.refresh().await?.properties)?)
    }

    /// How long versions are kept when maintenance is not told otherwise; `None` if nobody has set it.
    ///
    /// # Errors
    /// `Wal` if storage keeps failing.
    pub async fn retention(&self) -> Result<Option<Duration>, TableError> {
        Ok(retention(&*self.refresh().await?))
    }

    /// Sets, for all handles, how long versions are kept.
    ///
    /// # Errors
    /// `Contention` if others kept setting it too; storage errors.
    pub async fn set_retention(&self, keep: Option<Duration>) -> Result<(), TableError> {
        let value = keep.map(|keep| keep.as_millis().to_string());
        with_retries(self, |now| self.set_property(now, RETENTION.to_owned(), value.clone())).await
    }

    async fn set_property(
        &self,
        now: Arc<Snapshot>,
        key: String,
        value: Option<String>,
    ) -> Result<(), TableError> {
        debug_assert!(key.starts_with(RESERVED), "a restore would take it back");
        let epoch = self.inner.log.current().head.epoch;
        let change = Change::new(Operation::Property, now.version, epoch);
        writer::publish(self, change.property(key, value)).await?;
        Ok(())
    }

    fn tag(&self, now: &Snapshot, name: &str) -> Result<Tag, TableError> {
        let found = tags::all(&now.properties)?.into_iter().find(|tag| tag.name == name);
        found.ok_or_else(|| {
            let head = self.inner.log.current().head;
            let asked = format!("tag {name:?}");
            ManifestError::NotKept { asked, floor: head.floor, newest: head.version }.into()
        })
    }
}

/// The retention that the table's properties ask for.
pub(crate) fn retention(now: &Snapshot) -> Option<Duration> {
    now.properties.get(RETENTION)?.parse().ok().map(Duration::from_millis)
}
