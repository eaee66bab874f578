//! Files in good shape, columns and indexes that change.

use std::time::Duration;

use infino_table::{
    AlterReport, BackgroundOptions, CompactOptions, CompactReport, MaintainOptions, Maintenance,
    OptimizeReport, SchemaChange, SealReport,
};

use super::Supertable;
use crate::Error;
use crate::trace::{span, traced};

impl Supertable {
    /// Puts inserted rows into superfiles, merges small files, rewrites files with many deleted rows, shortens the log, and
    /// removes what no kept version needs.
    ///
    /// What was merged away goes once it can be told that no writer still counts on it: not in this run, in a later one.
    /// How long versions are kept is the table's [`retention`](Supertable::retention), an hour unless it was set.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing; what was done before stays.
    pub async fn optimize(&self) -> Result<OptimizeReport, Error> {
        self.optimize_with(&MaintainOptions::default()).await
    }

    /// [`Supertable::optimize`], keeping what the versions of the last `keep` need.
    ///
    /// # Errors
    /// As [`Supertable::optimize`].
    pub async fn optimize_keeping(&self, keep: Duration) -> Result<OptimizeReport, Error> {
        self.optimize_with(&MaintainOptions { keep: Some(keep), ..MaintainOptions::default() })
            .await
    }

    /// [`Supertable::optimize`], within what `options` say of sizes and memory.
    ///
    /// # Errors
    /// As [`Supertable::optimize`].
    pub async fn optimize_with(&self, options: &MaintainOptions) -> Result<OptimizeReport, Error> {
        self.refuse_pinned("optimize")?;
        let work = async { Ok(self.table.maintain(options).await?) };
        traced(span!("optimize", table = self.name()), work).await
    }

    /// Only merges and rewrites files.
    ///
    /// # Errors
    /// As [`Supertable::optimize`].
    pub async fn compact(&self, options: &CompactOptions) -> Result<CompactReport, Error> {
        self.refuse_pinned("compact")?;
        Ok(self.table.compact(options).await?)
    }

    /// Only puts inserted rows into superfiles; they keep their `_id`, and no reader sees one twice or not at all.
    ///
    /// # Errors
    /// As [`Supertable::optimize`].
    pub async fn seal(&self) -> Result<SealReport, Error> {
        self.refuse_pinned("seal")?;
        Ok(self.table.seal().await?)
    }

    /// Optimizes now and then until the handle returned is dropped.
    ///
    /// # Errors
    /// `Invalid` on a handle that reads an older version.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn maintain_in_background(&self, options: BackgroundOptions) -> Result<Maintenance, Error> {
        self.refuse_pinned("maintain")?;
        Ok(self.table.maintain_in_background(options))
    }

    /// Changes columns and indexes, all `changes` in one commit.
    ///
    /// What old files can still be read under costs nothing: a column that comes in as null, one that goes, a wider type,
    /// an index that goes. Anything else writes every file anew and switches all of them at once.
    ///
    /// # Errors
    /// `Invalid` naming what does not fit, and nothing changes; `Conflict` if other writers kept committing meanwhile.
    pub async fn alter(&self, changes: &[SchemaChange]) -> Result<AlterReport, Error> {
        self.refuse_pinned("alter")?;
        let unstored = changes.iter().any(|change| match change {
            SchemaChange::SetTextIndex(index) => !index.stored,
            SchemaChange::SetVectorIndex(index) => !index.stored,
            _ => false,
        });
        if unstored {
            return Err(Error::invalid(
                "an index cannot take a column out of the files; say `stored: true`",
            ));
        }
        let work = async { Ok(self.table.alter(changes).await?) };
        traced(span!("alter", table = self.name()), work).await
    }
}
