//! A manifest made whole: parts, lists and segments that are gone or damaged, rebuilt from those that are not.
//!
//! What a head leads to says everything twice. A part holds the entries of a range of superfiles as of a checkpoint, and so
//! do an older checkpoint and the records since. A list follows from the list before it and those records; the records of a
//! segment may stand in another one, of a fold that lost its race. Equal contents are equal bytes, and whatever names an
//! object holds the digest of its bytes: an object that is restored here is proved to be the one that was written, and takes
//! its old name.
//!
//! A list whose bytes cannot be had again is led past: a new checkpoint of the newest version, whose way back is the log
//! segments since the nearest sound one ([`Bypass`]), and a tag of it can be made anew. Everything else is reported as lost, and nothing is changed for it.
//!
//! - `shelf` holds what storage has, read and verified;
//! - `rebuild` makes objects of it.

mod rebuild;
mod shelf;

use infino_format::list::CheckpointRef;
use infino_format::{Head, ObjectRef};
use infino_storage::Store;

use self::rebuild::Rebuild;
use self::shelf::Shelf;
use crate::checkpoint::Folded;
use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::Snapshot;
use crate::tags::Tag;

/// Something that cannot be had back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The object.
    pub path: String,
    /// What that means.
    pub problem: String,
}

/// A checkpoint that leads past what could not be restored; durable, and not published yet.
#[derive(Debug, Clone)]
pub struct Bypass {
    /// The checkpoint that the head names, which is to give way.
    pub damaged: CheckpointRef,
    /// What is to be named instead.
    pub folded: Folded,
}

/// What a repair of a manifest did.
#[derive(Debug, Clone, Default)]
pub struct Repaired {
    /// Objects that are again what they were.
    pub restored: Vec<String>,
    /// For the log to publish.
    pub bypass: Option<Bypass>,
    /// Tags whose lists cannot be had again, and the versions that they keep, to be tagged anew.
    pub untagged: Vec<(Tag, Snapshot)>,
    /// What is gone.
    pub lost: Vec<Lost>,
}

/// Restores what `head` leads to: each checkpoint back to the oldest kept version, the log segments, the lists of tags.
///
/// Reads all of it, changes nothing that is sound, and may run beside readers and writers. Superfiles and deletion vectors
/// are not looked at.
///
/// # Errors
/// [`ManifestError::Storage`] if storage fails, which is not taken for a loss: what was restored before stays.
pub async fn repair(store: &dyn Store, root: &str, head: &Head) -> Result<Repaired, ManifestError> {
    let place = Place { store, root };
    let shelf = Shelf::walk(place, head).await?;
    let is_sound = shelf.is_sound();
    let mut rebuild = Rebuild::new(place, head, shelf);
    if !is_sound {
        rebuild.search().await?;
        rebuild.segments().await?;
        rebuild.checkpoints().await?;
    }
    let newest = rebuild.newest().await?;
    if let Some(newest) = &newest {
        rebuild.tags(newest).await?;
    }
    Ok(rebuild.done())
}

/// The object under its name, if it is there and is what was written.
async fn read(place: Place<'_>, object: &ObjectRef) -> Result<Option<bytes::Bytes>, ManifestError> {
    match place.get(object).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_loss(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the object is to blame, and not storage.
fn is_loss(error: &ManifestError) -> bool {
    use infino_storage::StorageError::{NotFound, Range};
    matches!(
        error,
        ManifestError::Corrupt { .. } | ManifestError::Storage(NotFound { .. } | Range { .. })
    )
}

/// The version of `checkpoint` if all of it is there.
async fn snapshot_of(
    place: Place<'_>,
    head: &Head,
    checkpoint: &CheckpointRef,
    known: &crate::Entries,
) -> Result<Option<Snapshot>, ManifestError> {
    match Snapshot::at(place, head.table, checkpoint, known).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) if is_loss(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
