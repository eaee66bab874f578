//! Tags: versions that are kept by name, however old.
//!
//! A tag is a property of the table whose value names a list of its own: the whole manifest of the version, with no way
//! back. So a tag opens by two rounds, and says all that a collector must spare, whatever becomes of the history before.
//! Bytes: `docs/format/manifest.md`.

use std::collections::BTreeMap;

use infino_format::list::CheckpointRef;
use infino_format::{Action, FormatError, Head, ObjectRef, Record};
use infino_storage::Store;

use crate::checkpoint::{list_of, write_parts};
use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::Snapshot;

/// The property of the tag `t` is this and `t`.
pub const PREFIX: &str = "inf.tag.";

/// A version kept by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name.
    pub name: String,
    /// The version, its time, and the list that holds it.
    pub checkpoint: CheckpointRef,
}

impl Tag {
    /// The version it keeps.
    pub fn version(&self) -> u64 {
        self.checkpoint.version
    }

    /// The property that it is.
    pub fn key(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// The property's value.
    pub fn value(&self) -> String {
        let CheckpointRef { version, time_ms, list, .. } = &self.checkpoint;
        let digest: String = list.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{version} {time_ms} {} {} {digest}", list.path, list.len)
    }

    fn parse(name: &str, value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let version = words.next()?.parse().ok()?;
        let time_ms = words.next()?.parse().ok()?;
        let path = words.next()?.to_owned();
        let len = words.next()?.parse().ok()?;
        let hex = words.next().filter(|hex| hex.len() == 64 && hex.is_ascii())?;
        let mut digest = [0; 32];
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        let list = ObjectRef { path, len, digest };
        let checkpoint = CheckpointRef { number: 0, version, time_ms, list };
        words.next().is_none().then(|| Self { name: name.to_owned(), checkpoint })
    }

    /// The version that it keeps, in two rounds.
    ///
    /// # Errors
    /// [`ManifestError`] naming the object that could not be read.
    pub async fn open(
        &self,
        store: &dyn Store,
        root: &str,
        now: &Snapshot,
    ) -> Result<Snapshot, ManifestError> {
        let place = Place { store, root };
        Snapshot::at(place, now.table, &self.checkpoint, &now.entries).await
    }
}

/// The tags among the properties of the newest version, by name.
///
/// # Errors
/// [`ManifestError::Corrupt`] if the value of one is not a tag's.
pub fn all(properties: &BTreeMap<String, String>) -> Result<Vec<Tag>, ManifestError> {
    let tagged =
        properties.iter().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    tagged
        .map(|(name, value)| {
            let corrupt = || {
                let source = FormatError::invalid("tag", format!("{name:?} is {value:?}"));
                ManifestError::Corrupt { path: "the table's properties".to_owned(), source }
            };
            Tag::parse(name, value).ok_or_else(corrupt)
        })
        .collect()
}

/// Writes down `snapshot`, any kept version of the table of `head`, as what the tag `name` is to keep. Nothing sees it
/// until a commit sets the tag's property, made in the epoch of `head`.
///
/// # Errors
/// [`ManifestError::Storage`] if it could not be written.
pub async fn stage(
    store: &dyn Store,
    root: &str,
    head: &Head,
    snapshot: &Snapshot,
    name: &str,
) -> Result<Tag, ManifestError> {
    let place = Place { store, root };
    // Only what the newest checkpoint names is sure to outlive this.
    let standing = match &head.checkpoint {
        None => Vec::new(),
        Some(newest) => place.list(newest).await?.parts,
    };
    let mut objects = Vec::new();
    let mut snapshot = snapshot.base().clone();
    let parts = write_parts(&mut snapshot, &standing, &mut objects);
    let list = list_of(&snapshot, parts.map_err(ManifestError::corrupt(root))?);
    let (checkpoint, bytes) = list.build().map_err(ManifestError::corrupt(root))?;
    objects.push((checkpoint.list.clone(), bytes));
    place.put_all(objects).await?;
    Ok(Tag { name: name.to_owned(), checkpoint })
}

/// What `properties` are after `record`.
pub(crate) fn follow(properties: &mut BTreeMap<String, String>, record: &Record) {
    for action in &record.actions {
        match action {
            Action::SetProperty { key, value: Some(value) } => {
                properties.insert(key.clone(), value.clone());
            }
            Action::SetProperty { key, value: None } => drop(properties.remove(key)),
            _ => {}
        }
    }
}
