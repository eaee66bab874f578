//! Which superfiles to merge, decided from the manifest alone.

use std::sync::Arc;

use infino_manifest::{Entry, Snapshot};

/// Rows of a full superfile; files of at least half of it are left alone unless many of their rows are dead.
pub(crate) const ROWS_TARGET: u64 = 1_000_000;
/// Bytes of a full superfile.
pub(super) const BYTES_TARGET: u64 = 1 << 30;
/// A file with more than one dead row in this many is rewritten.
const DEAD_ROWS_ONE_IN: u64 = 10;

/// The groups of superfiles that should become one each.
///
/// Files are taken in the order of their rows, so that a merged file covers a run of row ids where the inputs did. A group
/// of one is a rewrite to reclaim dead rows.
pub(super) fn groups(snapshot: &Snapshot) -> Vec<Vec<Arc<Entry>>> {
    let mut entries: Vec<Arc<Entry>> = snapshot
        .entries
        .iter()
        .filter(|entry| is_small(entry) || is_dirty(entry))
        .cloned()
        .collect();
    entries.sort_by_key(|entry| entry.summary.min_row_id);
    let mut groups: Vec<Vec<Arc<Entry>>> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for entry in entries {
        let (more_rows, more_bytes) = (entry.live_rows(), entry.summary.file_len);
        if groups.is_empty() || rows + more_rows > ROWS_TARGET || bytes + more_bytes > BYTES_TARGET
        {
            groups.push(Vec::new());
            (rows, bytes) = (0, 0);
        }
        rows += more_rows;
        bytes += more_bytes;
        groups.last_mut().expect("pushed above").push(entry);
    }
    groups.retain(|group| group.len() > 1 || group.iter().any(|entry| is_dirty(entry)));
    groups
}

fn is_small(entry: &Entry) -> bool {
    entry.live_rows() < ROWS_TARGET / 2 && entry.summary.file_len < BYTES_TARGET / 2
}

fn is_dirty(entry: &Entry) -> bool {
    entry.deleted_rows() * DEAD_ROWS_ONE_IN > u64::from(entry.summary.row_count)
}
