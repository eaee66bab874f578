//! The versions before: what was committed, and the table as it was.
//!
//! Every checkpoint names the one before it and, beyond that, the nearest ones whose number 2, 4, 8, … divides. So any
//! version is reached in a number of reads that grows with the logarithm of the history's length.

use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::{Action, CommitId, Head, Operation, Record, WriterId};
use infino_storage::Store;

use crate::entry::Entries;
use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::{Snapshot, tail};

/// Properties whose names begin so are the table's own.
pub const RESERVED: &str = "inf.";

/// A version, as the history tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// The version.
    pub version: u64,
    /// When it was made, in milliseconds since the Unix epoch, by its writer's clock; never before an earlier one.
    pub time_ms: u64,
    /// What kind of change made it.
    pub operation: Operation,
    /// Which commit.
    pub commit: CommitId,
    /// By whom.
    pub writer: WriterId,
    /// The caller's token, if there was one.
    pub token: Option<String>,
    /// How many actions it holds.
    pub actions: usize,
    /// Superfiles that came in.
    pub superfiles_added: usize,
    /// Superfiles that went out.
    pub superfiles_removed: usize,
    /// Rows of those that came in, and rows that came in with the record itself.
    pub rows_added: u64,
    /// Superfiles of which rows died.
    pub superfiles_changed: usize,
}

impl From<&Record> for VersionInfo {
    fn from(record: &Record) -> Self {
        let (mut added, mut removed, mut changed, mut rows) = (0, 0, 0, 0);
        for action in &record.actions {
            match action {
                Action::AddSuperfile(summary) => {
                    added += 1;
                    rows += u64::from(summary.row_count);
                }
                Action::AddFresh(fresh) => rows += u64::from(fresh.row_count),
                Action::RemoveSuperfile(_) => removed += 1,
                Action::SetDeletes { .. } => changed += 1,
                _ => {}
            }
        }
        Self {
            version: record.version,
            time_ms: record.time_ms,
            operation: record.operation,
            commit: record.commit,
            writer: record.writer,
            token: record.token.clone(),
            actions: record.actions.len(),
            superfiles_added: added,
            superfiles_removed: removed,
            rows_added: rows,
            superfiles_changed: changed,
        }
    }
}

/// The last `limit` versions that are kept, newest first.
///
/// # Errors
/// [`ManifestError`] naming the object that could not be read.
pub async fn history(
    store: &dyn Store,
    root: &str,
    head: &Head,
    limit: usize,
) -> Result<Vec<VersionInfo>, ManifestError> {
    let place = Place { store, root };
    let mut records = tail(place, head, head.checkpoint_version()).await?;
    let mut found: Vec<_> = records.iter().rev().map(VersionInfo::from).collect();
    let mut at = head.checkpoint.clone();
    while let Some(checkpoint) = at {
        if found.len() >= limit || checkpoint.version < head.floor {
            break;
        }
        let list = place.list(&checkpoint).await?;
        records = place.records(&list.segments).await?;
        found.extend(records.iter().rev().map(VersionInfo::from));
        at = list.ancestors.into_iter().next();
    }
    found.retain(|info| info.version >= head.floor);
    found.truncate(limit);
    Ok(found)
}

/// The table as of `version`.
///
/// # Errors
/// [`ManifestError::NotKept`] if that version is not kept.
pub async fn as_of_version(
    store: &dyn Store,
    root: &str,
    head: &Head,
    version: u64,
) -> Result<Snapshot, ManifestError> {
    if version < head.floor || version > head.version {
        return Err(not_kept(head, format!("version {version}")));
    }
    let place = Place { store, root };
    let (base, records) = around(place, head, |checkpoint| checkpoint.version > version).await?;
    replay(place, head, base, &records, version).await
}

/// The table as of `time_ms`, in milliseconds since the Unix epoch: its newest version made then or before.
///
/// # Errors
/// [`ManifestError::NotKept`] if that version is not kept, or there was no table yet.
pub async fn as_of_time(
    store: &dyn Store,
    root: &str,
    head: &Head,
    time_ms: u64,
) -> Result<Snapshot, ManifestError> {
    let place = Place { store, root };
    let later = |checkpoint: &CheckpointRef| {
        checkpoint.time_ms > time_ms && checkpoint.version > head.floor
    };
    let (base, records) = around(place, head, later).await?;
    let last = records.iter().rev().find(|record| record.time_ms <= time_ms);
    let version = match (last, &base) {
        (Some(record), _) => record.version,
        (None, Some(base)) if base.time_ms <= time_ms => base.version,
        _ => 0,
    };
    if version < head.floor {
        return Err(not_kept(head, format!("the version of time {time_ms}")));
    }
    replay(place, head, base, &records, version).await
}

/// What makes the table `old` again: the actions of a commit after `now`, made with no other in between. Properties under
/// [`RESERVED`] are about the table whatever its version, and stay.
///
/// The superfiles that `old` names are there for as long as that version is kept, and one epoch longer.
pub fn restore(now: &Snapshot, old: &Snapshot) -> Vec<Action> {
    let (now, old) = (now.base(), old.base());
    let mut actions = Vec::new();
    if now.schema != old.schema {
        actions.push(Action::ChangeSchema((*old.schema).clone()));
    }
    for entry in now.entries.iter() {
        // A superfile that stays and has other deletes goes out and comes back, since deletes never shrink otherwise.
        if old.entries.get(entry.id()).is_none_or(|was| was.deletes != entry.deletes) {
            actions.push(Action::RemoveSuperfile(entry.id()));
        }
    }
    for was in old.entries.iter() {
        if now.entries.get(was.id()).is_some_and(|entry| entry.deletes == was.deletes) {
            continue;
        }
        actions.push(Action::AddSuperfile((*was.summary).clone()));
        if let Some(deletes) = was.deletes.clone() {
            actions.push(Action::SetDeletes { superfile: was.id(), deletes });
        }
    }
    for (id, _) in now.fresh.iter().filter(|(id, fresh)| old.fresh.get(id) != Some(fresh)) {
        actions.push(Action::RemoveSuperfile(*id));
    }
    for (id, was) in old.fresh.iter().filter(|(id, was)| now.fresh.get(id) != Some(was)) {
        actions.push(Action::AddFresh(was.rows.clone()));
        if let Some(deletes) = was.deletes.clone() {
            actions.push(Action::SetDeletes { superfile: *id, deletes });
        }
    }
    let versioned = |key: &&String| !key.starts_with(RESERVED);
    let gone = |key: &&String| !old.properties.contains_key(*key);
    for key in now.properties.keys().filter(versioned).filter(gone) {
        actions.push(Action::SetProperty { key: key.clone(), value: None });
    }
    for (key, value) in old.properties.iter().filter(|(key, _)| versioned(key)) {
        if now.properties.get(key) != Some(value) {
            actions.push(Action::SetProperty { key: key.clone(), value: Some(value.clone()) });
        }
    }
    actions
}

/// The records in which the first checkpoint that is `past` the target lies, or the tail if none is; and the
/// checkpoint before them.
async fn around(
    place: Place<'_>,
    head: &Head,
    past: impl Fn(&CheckpointRef) -> bool,
) -> Result<(Option<CheckpointRef>, Vec<Record>), ManifestError> {
    let Some(newest) = head.checkpoint.clone().filter(|checkpoint| past(checkpoint)) else {
        let records = tail(place, head, head.checkpoint_version()).await?;
        return Ok((head.checkpoint.clone(), records));
    };
    let mut list: CheckpointList = place.list(&newest).await?;
    while let Some(earlier) = list.ancestors.iter().rev().find(|ancestor| past(ancestor)) {
        list = place.list(&earlier.clone()).await?;
    }
    let records = place.records(&list.segments).await?;
    Ok((list.ancestors.into_iter().next(), records))
}

/// `base` and those of the `records` after it that lead to `version`.
async fn replay(
    place: Place<'_>,
    head: &Head,
    base: Option<CheckpointRef>,
    records: &[Record],
    version: u64,
) -> Result<Snapshot, ManifestError> {
    let mut snapshot = match base {
        None => Snapshot::empty(head.table),
        Some(base) => Snapshot::at(place, head.table, &base, &Entries::default()).await?,
    };
    for record in records.iter().take_while(|record| record.version <= version) {
        snapshot.advance_by(record)?;
    }
    Ok(snapshot)
}

fn not_kept(head: &Head, asked: String) -> ManifestError {
    ManifestError::NotKept { asked, floor: head.floor, newest: head.version }
}
