//! One version of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use infino_format::head::TailItem;
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::PartRef;
use infino_format::schema::IndexSet;
use infino_format::segment::SegmentRef;
use infino_format::{Head, Record, SuperfileId, TableId, TableSchema};
use infino_storage::Store;

use crate::entry::{Chunk, Entries, Entry};
use crate::error::ManifestError;
use crate::fresh::Fresh;
use crate::read::Place;

/// One version of a table, immutable; a copy costs little and shares everything.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which table.
    pub table: TableId,
    /// Which version.
    pub version: u64,
    /// When it was made, in milliseconds since the Unix epoch, by its writer's clock.
    pub time_ms: u64,
    /// The schema.
    pub schema: Arc<TableSchema>,
    /// The properties, by name.
    pub properties: Arc<BTreeMap<String, String>>,
    /// The superfiles.
    pub entries: Entries,
    /// The rows that stand in the log and in no superfile in storage yet, by id.
    pub fresh: Arc<BTreeMap<SuperfileId, Arc<Fresh>>>,
    /// The snapshot that this is a view of.
    pub(crate) base: Option<Arc<Snapshot>>,
}

impl Snapshot {
    /// A table before its first version.
    pub fn empty(table: TableId) -> Self {
        let schema = TableSchema {
            columns: Vec::new(),
            arrow_ipc: Vec::new(),
            indexes: IndexSet::default(),
            next_field_id: 1,
        };
        Self {
            table,
            version: 0,
            time_ms: 0,
            schema: Arc::new(schema),
            properties: Arc::default(),
            entries: Entries::default(),
            fresh: Arc::default(),
            base: None,
        }
    }

    /// The version of `head`, in at most two round trips: none if its tail is inline and it has no checkpoint.
    ///
    /// # Errors
    /// [`ManifestError`] naming the object that could not be read.
    pub async fn load(store: &dyn Store, root: &str, head: &Head) -> Result<Self, ManifestError> {
        Self::load_reusing(Place { store, root }, head, &Entries::default()).await
    }

    /// The version of `head`, from this older one of the same table: only what is new is read.
    ///
    /// # Errors
    /// [`ManifestError`] naming the object that could not be read.
    pub async fn advance(
        &self,
        store: &dyn Store,
        root: &str,
        head: &Head,
    ) -> Result<Self, ManifestError> {
        let place = Place { store, root };
        let base = self.base();
        let reaches = head.checkpoint_version() <= self.version && self.version <= head.version;
        if self.table != head.table || !reaches {
            return Self::load_reusing(place, head, &base.entries).await;
        }
        let mut next = base.clone();
        for record in tail(place, head, self.version).await? {
            next.advance_by(&record)?;
        }
        Ok(next)
    }

    async fn load_reusing(
        place: Place<'_>,
        head: &Head,
        known: &Entries,
    ) -> Result<Self, ManifestError> {
        let base = async {
            match &head.checkpoint {
                None => Ok(Self::empty(head.table)),
                Some(checkpoint) => Self::at(place, head.table, checkpoint, known).await,
            }
        };
        let records = tail(place, head, head.checkpoint_version());
        let (mut snapshot, records) = futures::try_join!(base, records)?;
        for record in &records {
            snapshot.advance_by(record)?;
        }
        Ok(snapshot)
    }

    /// The version of `checkpoint`; parts that `known` shares are not read.
    pub(crate) async fn at(
        place: Place<'_>,
        table: TableId,
        checkpoint: &CheckpointRef,
        known: &Entries,
    ) -> Result<Self, ManifestError> {
        let list = place.list(checkpoint).await?;
        let entries = parts(place, &list.parts, known).await?;
        Ok(Self::of(table, list, entries))
    }

    fn of(table: TableId, list: CheckpointList, entries: Entries) -> Self {
        let fresh = list.fresh.into_iter();
        let fresh = fresh.map(|(rows, deletes)| (rows.id, Arc::new(Fresh { rows, deletes })));
        Self {
            fresh: Arc::new(fresh.collect()),
            base: None,
            table,
            version: list.version,
            time_ms: list.time_ms,
            schema: Arc::new(list.schema),
            properties: Arc::new(list.properties.into_iter().collect()),
            entries,
        }
    }
}

/// The records of `head`'s tail after version `from`; those in objects are read in one round trip.
pub(crate) async fn tail(
    place: Place<'_>,
    head: &Head,
    from: u64,
) -> Result<Vec<Record>, ManifestError> {
    let segments: Vec<SegmentRef> = head
        .tail
        .iter()
        .filter_map(|item| match item {
            TailItem::Segment(segment) if segment.last > from => Some(segment.clone()),
            _ => None,
        })
        .collect();
    let mut records = place.records(&segments).await?;
    records.retain(|record| record.version > from);
    records.extend(head.inline().filter(|record| record.version > from).cloned());
    records.sort_unstable_by_key(|record| record.version);
    Ok(records)
}

/// The entries of `parts`, of which those that `known` has are not read.
async fn parts(
    place: Place<'_>,
    parts: &[PartRef],
    known: &Entries,
) -> Result<Entries, ManifestError> {
    let known: HashMap<&PartRef, &Arc<Chunk>> =
        known.chunks.iter().filter_map(|chunk| Some((chunk.part.as_ref()?, chunk))).collect();
    let missing: Vec<_> = parts.iter().filter(|part| !known.contains_key(part)).collect();
    let objects = missing.iter().map(|part| part.object.clone()).collect();
    let mut read = place.get_all(objects).await?.into_iter();
    let mut chunks = Vec::with_capacity(parts.len());
    for part in parts {
        if let Some(&chunk) = known.get(part) {
            chunks.push(chunk.clone());
            continue;
        }
        let bytes = read.next().expect("one answer for each part asked for");
        let entries = part.entries(&bytes).map_err(ManifestError::corrupt(&part.object.path))?;
        let entries = entries
            .into_iter()
            .map(|entry| Entry {
                summary: Arc::new(entry.summary),
                deletes: entry.deletes,
                built: None,
            })
            .map(Arc::new)
            .collect();
        chunks.push(Arc::new(Chunk::new(entries, Some(part.clone()))));
    }
    Ok(Entries::from_chunks(chunks))
}
