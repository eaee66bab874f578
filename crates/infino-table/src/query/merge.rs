//! The best of every file become the best of the table.

use std::collections::BTreeMap;

use infino_format::{DocId, RowId, SuperfileId};
use infino_manifest::Snapshot;

use super::Hit;
use crate::{Table, TableError};

/// A hit of one file, before its row id is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FileHit {
    pub(crate) file: SuperfileId,
    pub(crate) doc: DocId,
    pub(crate) value: f32,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Scores: high first.
    Descending,
    /// Distances: low first.
    Ascending,
}

/// The `k` best of `hits`, best first, ties by row id.
///
/// Row ids are only looked up for hits that may be among them, since for some files that is a read.
pub(crate) async fn best_first(
    table: &Table,
    snapshot: &Snapshot,
    mut hits: Vec<FileHit>,
    k: usize,
    order: Order,
) -> Result<Vec<Hit>, TableError> {
    let compare = |a: f32, b: f32| match order {
        Order::Descending => b.total_cmp(&a),
        Order::Ascending => a.total_cmp(&b),
    };
    hits.sort_unstable_by(|a, b| {
        compare(a.value, b.value).then(a.file.cmp(&b.file)).then(a.doc.cmp(&b.doc))
    });
    if let Some(last) = k.checked_sub(1).and_then(|last| hits.get(last)).map(|hit| hit.value) {
        hits.truncate(hits.partition_point(|hit| compare(hit.value, last).is_le()));
    }
    let ids = row_ids(table, snapshot, &hits).await?;
    let mut best: Vec<Hit> = hits
        .iter()
        .zip(ids)
        .map(|(hit, row)| Hit { file: hit.file, doc: hit.doc, row, value: hit.value })
        .collect();
    best.sort_by(|a, b| compare(a.value, b.value).then(a.row.cmp(&b.row)));
    best.truncate(k);
    Ok(best)
}

/// The row ids of `hits`, in their order.
pub(crate) async fn row_ids(
    table: &Table,
    snapshot: &Snapshot,
    hits: &[FileHit],
) -> Result<Vec<RowId>, TableError> {
    let mut ids = vec![RowId(0); hits.len()];
    let mut by_file: BTreeMap<SuperfileId, Vec<usize>> = Default::default();
    for (i, hit) in hits.iter().enumerate() {
        by_file.entry(hit.file).or_default().push(i);
    }
    let reads = by_file.into_iter().map(|(file, places)| async move {
        let docs = places.iter().map(|&i| hits[i].doc).collect::<Vec<_>>();
        let found = table.file_of(snapshot, file).await?.row_ids(&docs).await?;
        Ok::<_, TableError>((places, found))
    });
    for (places, found) in futures::future::try_join_all(reads).await? {
        for (place, id) in places.into_iter().zip(found) {
            ids[place] = id;
        }
    }
    Ok(ids)
}
