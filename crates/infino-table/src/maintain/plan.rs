//! Which superfiles to merge, decided from the manifest alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use infino_format::RowId;
use infino_manifest::{Entry, Snapshot};

use super::CompactOptions;

/// Rows of a batch that a merge holds of an input.
const BATCH_ROWS: u64 = 8192;
/// What an open superfile takes beside its rows: footer, page index, openings.
const OPEN_BYTES: u64 = 64 << 10;
/// How much longer rows are in memory than in a file.
const UNPACKED: u64 = 3;
/// Files of one tier differ in rows by less than this factor.
const TIER_FACTOR: u64 = 8;

/// The groups of superfiles that should become one each.
///
/// Files are taken in the order of their rows, so that a merged file covers a run of row ids where the inputs did. A group
/// of one is a rewrite to reclaim dead rows. No group needs more memory than the options allow.
pub(super) fn groups(snapshot: &Snapshot, options: &CompactOptions) -> Vec<Vec<Arc<Entry>>> {
    let mut tiers: BTreeMap<u32, Vec<Arc<Entry>>> = BTreeMap::new();
    for entry in snapshot.entries.iter() {
        if is_small(entry, options) || is_dirty(entry, options) {
            let tier = match options.tier_files_min > 2 && !is_dirty(entry, options) {
                true => entry.live_rows().max(1).ilog2() / TIER_FACTOR.ilog2(),
                false => 0,
            };
            tiers.entry(tier).or_default().push(entry.clone());
        }
    }
    let mut groups = Vec::new();
    for mut entries in tiers.into_values() {
        entries.sort_by_key(|entry| entry.summary.min_row_id);
        let mut group = Group::default();
        for entry in entries {
            if !group.entries.is_empty() && !group.takes(&entry, options) {
                groups.push(std::mem::take(&mut group).entries);
            }
            group.push(entry);
        }
        groups.push(group.entries);
    }
    groups.retain(|group| {
        group.len() >= options.tier_files_min.max(2)
            || group.iter().any(|entry| is_dirty(entry, options))
    });
    groups
}

/// Files to merge, and what merging them takes.
#[derive(Default)]
struct Group {
    entries: Vec<Arc<Entry>>,
    rows: u64,
    bytes: u64,
    /// Files whose rows are not behind those of the last one: they are read at the same time.
    open: Vec<(RowId, u64)>,
    /// What every file takes from beginning to end: a bit a row.
    held: u64,
}

impl Group {
    fn takes(&self, entry: &Entry, options: &CompactOptions) -> bool {
        let beside = |(last, _): &&(RowId, u64)| *last >= entry.summary.min_row_id;
        let open: u64 = self.open.iter().filter(beside).map(|(_, bytes)| bytes).sum();
        let memory = self.held + held(entry) + open + load(entry);
        self.rows + entry.live_rows() <= options.rows_target
            && self.bytes + entry.summary.file_len <= options.bytes_target
            && self.entries.len() < options.files_max.max(2)
            && memory <= options.memory_bytes
    }

    fn push(&mut self, entry: Arc<Entry>) {
        self.open.retain(|(last, _)| *last >= entry.summary.min_row_id);
        self.open.push((entry.summary.max_row_id, load(&entry)));
        self.held += held(&entry);
        self.rows += entry.live_rows();
        self.bytes += entry.summary.file_len;
        self.entries.push(entry);
    }
}

fn held(entry: &Entry) -> u64 {
    u64::from(entry.summary.row_count) / 4 + 512
}

/// Bytes that reading the file takes.
fn load(entry: &Entry) -> u64 {
    let rows = u64::from(entry.summary.row_count).max(1);
    OPEN_BYTES + rows.min(BATCH_ROWS) * (entry.summary.file_len / rows) * UNPACKED
}

fn is_small(entry: &Entry, options: &CompactOptions) -> bool {
    entry.live_rows() < options.rows_target / 2 && entry.summary.file_len < options.bytes_target / 2
}

fn is_dirty(entry: &Entry, options: &CompactOptions) -> bool {
    let dead = entry.deleted_rows() as f64;
    dead > 0.0 && dead > options.dead_share_max * f64::from(entry.summary.row_count)
}

#[cfg(test)]
mod tests {
    use infino_format::tombstone::Vector;
    use infino_format::{Deletes, SuperfileId, SuperfileSummary, TableId};

    use super::*;

    fn entry(id: u128, rows: u32, dead: u32, span: u128) -> Entry {
        let summary = SuperfileSummary {
            id: SuperfileId(id),
            file_len: u64::from(rows) * 100,
            footer_len: 100,
            footer_crc: 0,
            row_count: rows,
            min_row_id: RowId(id * 1000),
            max_row_id: RowId(id * 1000 + span),
            columns: Vec::new(),
            text: Vec::new(),
            vectors: Vec::new(),
            sections: Vec::new(),
            key: None,
        };
        let vector = Vector::Inline(Vec::new());
        let deletes = (dead > 0).then_some(Deletes { count: dead, vector });
        Entry { summary: Arc::new(summary), deletes, built: None }
    }

    fn check(
        entries: impl IntoIterator<Item = Entry>,
        options: &CompactOptions,
        expected: &[&[u128]],
    ) {
        let mut snapshot = Snapshot::empty(TableId(1));
        snapshot.entries = entries.into_iter().collect();
        let found: Vec<Vec<u128>> = groups(&snapshot, options)
            .iter()
            .map(|group| group.iter().map(|entry| entry.id().0).collect())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn small_and_dirty_files_are_merged_and_full_ones_left() {
        let options = CompactOptions { rows_target: 1000, ..CompactOptions::default() };
        let files =
            [entry(1, 10, 0, 9), entry(2, 900, 0, 9), entry(3, 900, 200, 9), entry(4, 20, 0, 9)];
        check(files, &options, &[&[1, 3, 4]]);
        check([entry(1, 10, 0, 9), entry(2, 900, 0, 9)], &options, &[]);
        check([entry(2, 900, 91, 9)], &options, &[&[2]]);
        check([entry(2, 900, 89, 9)], &options, &[]);
    }

    #[test]
    fn tiers_wait_until_they_are_full() {
        let options = CompactOptions { tier_files_min: 4, ..CompactOptions::default() };
        let small = |ids: std::ops::Range<u128>| ids.map(|id| entry(id, 10, 0, 9));
        check(small(1..4).chain([entry(9, 4000, 0, 9)]), &options, &[]);
        check(small(1..5).chain([entry(9, 4000, 0, 9)]), &options, &[&[1, 2, 3, 4]]);
    }

    #[test]
    fn files_read_at_the_same_time_fit_in_memory_and_others_need_not() {
        let memory_bytes = 4 * load(&entry(1, 10_000, 0, 9)) + 6 * held(&entry(1, 10_000, 0, 9));
        let options = CompactOptions { memory_bytes, ..CompactOptions::default() };
        let apart = (1..7).map(|id| entry(id, 10_000, 0, 9));
        check(apart, &options, &[&[1, 2, 3, 4, 5, 6]]);
        let together = (1..7).map(|id| entry(id, 10_000, 0, 9000));
        check(together, &options, &[&[1, 2, 3, 4], &[5, 6]]);
    }
}
