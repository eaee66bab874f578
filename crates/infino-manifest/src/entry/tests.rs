use std::collections::BTreeMap;

use infino_format::RowId;
use infino_format::tombstone::Vector;
use proptest::prelude::*;

use super::*;

fn entry(id: u128, dead: u32) -> Entry {
    let summary = SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1000,
        footer_len: 100,
        footer_crc: 0,
        row_count: 100,
        min_row_id: RowId(0),
        max_row_id: RowId(0),
        columns: Vec::new(),
        text: Vec::new(),
        vectors: Vec::new(),
        sections: Vec::new(),
        key: None,
    };
    let vector = Vector::Inline(vec![0; dead as usize]);
    let deletes = (dead > 0).then_some(Deletes { count: dead, vector });
    Entry { summary: Arc::new(summary), deletes, built: None }
}

/// Entries are a map by id: what is in, in order, with the right sums, in chunks of the right size.
fn check(entries: &Entries, model: &BTreeMap<u128, u32>) {
    let found: BTreeMap<u128, u32> =
        entries.iter().map(|entry| (entry.id().0, entry.deleted_rows() as u32)).collect();
    assert_eq!(&found, model);
    assert!(entries.iter().map(|entry| entry.id()).is_sorted_by(|a, b| a < b));
    let dead: u64 = model.values().map(|&dead| u64::from(dead)).sum();
    let sums = (model.len(), 100 * model.len() as u64, dead);
    assert_eq!((entries.len(), entries.rows(), entries.deleted_rows()), sums);
    for chunk in &entries.chunks {
        assert!((1..=PART_ENTRIES_MAX).contains(&chunk.entries.len()));
        assert_eq!(chunk.weight, chunk.entries.iter().map(|entry| entry.weight()).sum::<usize>());
    }
}

#[test]
fn names_that_ascend_fill_chunks() {
    let mut entries = Entries::default();
    (0..5000).for_each(|id| assert!(entries.insert(entry(id, 0))));
    assert_eq!(entries.chunks.len(), 5);
    let shared = entries.clone();
    assert!(entries.replace(entry(2500, 3)) && !entries.replace(entry(9000, 3)));
    let same = |(a, b): (&Arc<Chunk>, &Arc<Chunk>)| Arc::ptr_eq(a, b);
    assert_eq!(entries.chunks.iter().zip(&shared.chunks).filter(|pair| same(*pair)).count(), 4);
    assert_eq!((shared.deleted_rows(), entries.deleted_rows()), (0, 3));
    for id in 0..4990 {
        assert!(entries.remove(SuperfileId(id)).is_some());
    }
    assert_eq!((entries.chunks.len(), entries.len()), (1, 10));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn entries_are_a_map(steps in proptest::collection::vec((0..3u8, 0..4000u128, 1..50u32), 1..3000)) {
        let (mut entries, mut model) = (Entries::default(), BTreeMap::new());
        for id in (0..4000).step_by(3) {
            entries.insert(entry(id, 0));
            model.insert(id, 0);
        }
        for (kind, id, dead) in steps {
            match kind {
                0 => {
                    assert_eq!(entries.insert(entry(id, 0)), !model.contains_key(&id));
                    model.entry(id).or_insert(0);
                }
                1 => assert_eq!(entries.remove(SuperfileId(id)).is_some(), model.remove(&id).is_some()),
                _ => {
                    assert_eq!(entries.replace(entry(id, dead)), model.contains_key(&id));
                    model.entry(id).and_modify(|was| *was = dead);
                }
            }
            assert_eq!(entries.get(SuperfileId(id)).is_some(), model.contains_key(&id));
        }
        check(&entries, &model);
    }
}
