//! The dead rows of a superfile, read.

use infino_format::{Deletes, DocSet};
use infino_storage::Store;
use roaring::RoaringBitmap;

use crate::entry::Entry;
use crate::error::ManifestError;
use crate::read::Place;

/// The rows of `deletes`; one read if they do not stand in the manifest.
///
/// # Errors
/// [`ManifestError`] naming the object that could not be read.
pub async fn load(
    store: &dyn Store,
    root: &str,
    deletes: &Deletes,
) -> Result<RoaringBitmap, ManifestError> {
    let place = Place { store, root };
    let (path, bytes) = match deletes.object() {
        None => ("the manifest", bytes::Bytes::new()),
        Some(object) => (object.path.as_str(), place.get(object).await?),
    };
    deletes.rows(&bytes).map_err(ManifestError::corrupt(path))
}

/// The living rows of a superfile; `None` if all of them live.
///
/// # Errors
/// [`ManifestError`] naming the object that could not be read, or that kills rows which the superfile does not have.
pub async fn live(
    store: &dyn Store,
    root: &str,
    entry: &Entry,
) -> Result<Option<DocSet>, ManifestError> {
    let Some(deletes) = &entry.deletes else { return Ok(None) };
    let dead = load(store, root, deletes).await?;
    let dead = DocSet::from_bitmap(entry.summary.row_count, &dead)
        .map_err(ManifestError::corrupt(&entry.summary.path()))?;
    let mut live = DocSet::full(entry.summary.row_count);
    live.subtract(&dead);
    Ok(Some(live))
}
