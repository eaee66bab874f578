//! A snapshot and a record make the next snapshot. Pure, and the only way from one version to the next.

use std::sync::Arc;

use infino_format::{Action, Deletes, Record, SuperfileId, SuperfileSummary};

use crate::entry::Entry;
use crate::error::ManifestError;
use crate::snapshot::Snapshot;

/// The snapshot that `record` makes of `snapshot`.
///
/// # Errors
/// [`ManifestError::Unfit`] if the record is not of the next version, adds a superfile that is there, or touches one
/// that is not.
pub fn apply(snapshot: &Snapshot, record: &Record) -> Result<Snapshot, ManifestError> {
    let mut next = snapshot.clone();
    next.advance_by(record)?;
    Ok(next)
}

impl Snapshot {
    /// Whether `actions` could be the next commit, without making it: what a writer asks before it publishes them.
    ///
    /// # Errors
    /// [`ManifestError::Unfit`] if not.
    pub fn check(&self, actions: &[Action]) -> Result<(), ManifestError> {
        let mut next = self.clone();
        actions.iter().try_for_each(|action| next.act(self.version + 1, action))
    }

    pub(crate) fn advance_by(&mut self, record: &Record) -> Result<(), ManifestError> {
        let version = record.version;
        if self.version.checked_add(1) != Some(version) {
            return Err(unfit(version, format!("it follows version {}", self.version)));
        }
        record.actions.iter().try_for_each(|action| self.act(version, action))?;
        self.version = version;
        self.time_ms = record.time_ms;
        Ok(())
    }

    fn act(&mut self, version: u64, action: &Action) -> Result<(), ManifestError> {
        match action {
            Action::AddSuperfile(summary) => self.add(version, summary),
            Action::RemoveSuperfile(superfile) => match self.entries.remove(*superfile) {
                Some(_) => Ok(()),
                None => Err(unfit(version, format!("it removes {superfile}, which is not there"))),
            },
            Action::SetDeletes { superfile, deletes } => {
                self.set_deletes(version, *superfile, deletes)
            }
            Action::ChangeSchema(schema) => {
                self.schema = Arc::new(schema.clone());
                Ok(())
            }
            Action::SetProperty { key, value } => {
                let properties = Arc::make_mut(&mut self.properties);
                match value {
                    Some(value) => drop(properties.insert(key.clone(), value.clone())),
                    None => drop(properties.remove(key)),
                }
                Ok(())
            }
        }
    }

    fn add(&mut self, version: u64, summary: &SuperfileSummary) -> Result<(), ManifestError> {
        let entry = Entry { summary: Arc::new(summary.clone()), deletes: None };
        match self.entries.insert(entry) {
            true => Ok(()),
            false => Err(unfit(version, format!("it adds {}, which is there", summary.id))),
        }
    }

    fn set_deletes(
        &mut self,
        version: u64,
        superfile: SuperfileId,
        deletes: &Deletes,
    ) -> Result<(), ManifestError> {
        let Some(entry) = self.entries.get(superfile) else {
            return Err(unfit(
                version,
                format!("it kills rows of {superfile}, which is not there"),
            ));
        };
        let summary = entry.summary.clone();
        if deletes.count > summary.row_count {
            let problem = format!(
                "it kills {} rows of {superfile}, which has {}",
                deletes.count, summary.row_count
            );
            return Err(unfit(version, problem));
        }
        let deletes = (deletes.count > 0).then(|| deletes.clone());
        self.entries.replace(Entry { summary, deletes });
        Ok(())
    }
}

fn unfit(version: u64, problem: String) -> ManifestError {
    ManifestError::Unfit { version, problem }
}
