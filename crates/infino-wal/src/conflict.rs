//! May this change follow that commit? Pure.

use std::collections::HashSet;

use infino_format::{Action, Deletes, FormatError, Operation, Record, SuperfileId};

use crate::change::Change;
use crate::vectors::Vectors;

/// Why a change may not follow a commit that landed after the version it was made against.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A superfile that the change touches is gone: resolve the rows again.
    #[error("version {version} removed superfile {superfile}")]
    SuperfileRemoved {
        /// The superfile.
        superfile: SuperfileId,
        /// The commit.
        version: u64,
    },
    /// Rows that the change replaces or kills were replaced or killed: look at them again.
    #[error("version {version} changed {rows} of the same rows of superfile {superfile}")]
    RowsChanged {
        /// The superfile.
        superfile: SuperfileId,
        /// How many rows both touch.
        rows: u64,
        /// The commit.
        version: u64,
    },
    /// The columns or indexes are others than the change was made for.
    #[error("version {version} changed the schema")]
    SchemaChanged {
        /// The commit.
        version: u64,
    },
    /// The change gives the table another schema and rows came in under the old one.
    #[error("version {version} added rows under the schema that is to change")]
    RowsAdded {
        /// The commit.
        version: u64,
    },
    /// Both set one property.
    #[error("version {version} set the property {key:?}")]
    PropertyChanged {
        /// The property.
        key: String,
        /// The commit.
        version: u64,
    },
    /// Rows with keys that the change adds came in: look the keys up again.
    #[error("version {version} added rows with the same keys")]
    KeysTaken {
        /// The commit.
        version: u64,
    },
    /// The superfile that the change adds is in the table.
    #[error("version {version} added superfile {superfile}")]
    SuperfileAdded {
        /// The superfile.
        superfile: SuperfileId,
        /// The commit.
        version: u64,
    },
    /// The change bears no other commit beside it.
    #[error("version {version} came in between")]
    Overtaken {
        /// The commit.
        version: u64,
    },
    /// The change took so long that what it put may have been collected: put it again under new names.
    #[error("the change was staged in epoch {staged} and the table is in epoch {epoch}")]
    Fenced {
        /// The change's epoch.
        staged: u64,
        /// The head's.
        epoch: u64,
    },
    /// The version that the change was made against is no longer kept.
    #[error("version {version} is no longer kept, the oldest is {floor}")]
    Expired {
        /// The version.
        version: u64,
        /// The oldest that is.
        floor: u64,
    },
}

/// Whether `record` brings in keys: a compaction only moves those that are there.
pub(crate) fn brings_keys(record: &Record) -> bool {
    let adds = |action: &Action| matches!(action, Action::AddSuperfile(_) | Action::AddFresh(_));
    record.operation != Operation::Compact && record.actions.iter().any(adds)
}

/// Whether a commit of this kind puts other rows in place of those it kills.
fn replaces(operation: Operation) -> bool {
    !matches!(operation, Operation::Delete | Operation::Compact)
}

/// Whether `change` may follow `winner`, the first commit after its `read_version`.
///
/// # Errors
/// The outer one if a deletion vector cannot be read; the inner one says why the change may not follow.
pub fn conflict(
    change: &Change,
    winner: &Record,
    vectors: &Vectors,
) -> Result<Result<(), Conflict>, FormatError> {
    let version = winner.version;
    if change.exclusive {
        return Ok(Err(Conflict::Overtaken { version }));
    }
    let mine = Touched::of(change);
    for action in &winner.actions {
        let found = match action {
            Action::ChangeSchema(_) if mine.adds.is_empty() && !mine.schema => None,
            Action::ChangeSchema(_) => Some(Conflict::SchemaChanged { version }),
            Action::AddSuperfile(summary) if mine.adds.contains(&summary.id) => {
                Some(Conflict::SuperfileAdded { superfile: summary.id, version })
            }
            Action::AddFresh(rows) if mine.adds.contains(&rows.id) => {
                Some(Conflict::SuperfileAdded { superfile: rows.id, version })
            }
            Action::AddSuperfile(_) | Action::AddFresh(_) => {
                mine.schema.then_some(Conflict::RowsAdded { version })
            }
            Action::RemoveSuperfile(superfile) => mine
                .touches(*superfile)
                .then_some(Conflict::SuperfileRemoved { superfile: *superfile, version }),
            Action::SetDeletes { superfile, deletes } => {
                deletes_conflict(change, winner, *superfile, deletes, vectors)?
            }
            Action::SetProperty { key, .. } => mine
                .properties
                .contains(key.as_str())
                .then(|| Conflict::PropertyChanged { key: key.clone(), version }),
        };
        if let Some(found) = found {
            return Ok(Err(found));
        }
    }
    Ok(Ok(()))
}

/// Whether what `winner` killed in `superfile` stands against `change`.
fn deletes_conflict(
    change: &Change,
    winner: &Record,
    superfile: SuperfileId,
    deletes: &Deletes,
    vectors: &Vectors,
) -> Result<Option<Conflict>, FormatError> {
    let version = winner.version;
    if let Some(dead) = change.deletes.iter().find(|dead| dead.superfile == superfile) {
        if !replaces(change.operation) && !replaces(winner.operation) {
            return Ok(None);
        }
        let fresh = vectors.rows(Some(deletes))? - vectors.rows(dead.base.as_ref())?;
        let rows = fresh.intersection_len(&dead.rows);
        return Ok((rows > 0).then_some(Conflict::RowsChanged { superfile, rows, version }));
    }
    let removed = |action: &Action| *action == Action::RemoveSuperfile(superfile);
    if !change.actions.iter().any(removed) {
        return Ok(None);
    }
    let follows = change
        .relocation
        .as_ref()
        .is_some_and(|relocation| relocation.inputs.iter().any(|(input, _)| *input == superfile));
    if follows {
        return Ok(None);
    }
    let rows = deletes.count.into();
    Ok(Some(Conflict::RowsChanged { superfile, rows, version }))
}

/// What a change touches, for quick lookups.
struct Touched<'a> {
    adds: HashSet<SuperfileId>,
    touched: HashSet<SuperfileId>,
    properties: HashSet<&'a str>,
    schema: bool,
}

impl<'a> Touched<'a> {
    fn of(change: &'a Change) -> Self {
        let mut all = Self {
            adds: HashSet::new(),
            touched: change.deletes.iter().map(|dead| dead.superfile).collect(),
            properties: HashSet::new(),
            schema: false,
        };
        for action in &change.actions {
            match action {
                Action::AddSuperfile(summary) => drop(all.adds.insert(summary.id)),
                Action::AddFresh(rows) => drop(all.adds.insert(rows.id)),
                Action::RemoveSuperfile(superfile) | Action::SetDeletes { superfile, .. } => {
                    all.touched.insert(*superfile);
                }
                Action::ChangeSchema(_) => all.schema = true,
                Action::SetProperty { key, .. } => drop(all.properties.insert(key)),
            }
        }
        all
    }

    fn touches(&self, superfile: SuperfileId) -> bool {
        self.touched.contains(&superfile)
    }
}
