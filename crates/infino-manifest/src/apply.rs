//! A snapshot and a record make the next snapshot. Pure, and the only way from one version to the next.

use std::sync::Arc;

use infino_format::{Action, Deletes, FreshRows, Record, SuperfileId, SuperfileSummary};

use crate::entry::Entry;
use crate::error::ManifestError;
use crate::fresh::Fresh;
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
            Action::AddFresh(rows) => self.add_fresh(version, rows),
            Action::RemoveSuperfile(superfile) => match self.entries.remove(*superfile) {
                Some(_) => Ok(()),
                None if self.remove_fresh(*superfile) => Ok(()),
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
        let entry = Entry { summary: Arc::new(summary.clone()), deletes: None, built: None };
        match !self.fresh.contains_key(&summary.id) && self.entries.insert(entry) {
            true => Ok(()),
            false => Err(unfit(version, format!("it adds {}, which is there", summary.id))),
        }
    }

    fn add_fresh(&mut self, version: u64, rows: &FreshRows) -> Result<(), ManifestError> {
        let is_there = self.fresh.contains_key(&rows.id) || self.entries.get(rows.id).is_some();
        if is_there {
            return Err(unfit(version, format!("it adds {}, which is there", rows.id)));
        }
        let fresh = Fresh { rows: rows.clone(), deletes: None };
        Arc::make_mut(&mut self.fresh).insert(rows.id, Arc::new(fresh));
        Ok(())
    }

    fn remove_fresh(&mut self, id: SuperfileId) -> bool {
        self.fresh.contains_key(&id) && Arc::make_mut(&mut self.fresh).remove(&id).is_some()
    }

    fn set_deletes(
        &mut self,
        version: u64,
        superfile: SuperfileId,
        deletes: &Deletes,
    ) -> Result<(), ManifestError> {
        let entry = self.entries.get(superfile).cloned();
        let rows = match (&entry, self.fresh.get(&superfile)) {
            (Some(entry), _) => entry.summary.row_count,
            (None, Some(fresh)) => fresh.rows.row_count,
            (None, None) => {
                let problem = format!("it kills rows of {superfile}, which is not there");
                return Err(unfit(version, problem));
            }
        };
        if deletes.count > rows {
            let problem =
                format!("it kills {} rows of {superfile}, which has {rows}", deletes.count);
            return Err(unfit(version, problem));
        }
        let deletes = (deletes.count > 0).then(|| deletes.clone());
        match entry {
            Some(entry) => {
                let (summary, built) = (entry.summary.clone(), entry.built.clone());
                self.entries.replace(Entry { summary, deletes, built });
            }
            None => {
                let fresh = Arc::make_mut(&mut self.fresh);
                let found = fresh.get_mut(&superfile).expect("found above");
                *found = Arc::new(Fresh { rows: found.rows.clone(), deletes });
            }
        }
        Ok(())
    }
}

fn unfit(version: u64, problem: String) -> ManifestError {
    ManifestError::Unfit { version, problem }
}
