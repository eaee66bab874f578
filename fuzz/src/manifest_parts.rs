//! Bytes as what a checkpoint is made of: its list, its parts, its segments.

use infino_format::list::{CheckpointList, LIST_SCHEMA};
use infino_format::part::{self, PART_SCHEMA};
use infino_format::{avro, segment};

use crate::seal;

/// Decodes `data` as each of them; as a segment also sealed, and as the rows and the metadata of sound containers.
pub fn run(data: &[u8]) {
    list(data);
    part(data);
    segment(data);
    segment(&seal::tail(data));
    let Some((&count, rows)) = data.split_first() else { return };
    let container = |schema, metadata: &[(&str, &[u8])], rows: &[u8]| {
        avro::write_container("fuzzed", schema, metadata, count.into(), rows).ok()
    };
    if let Some(bytes) = container(PART_SCHEMA, &[], rows) {
        part(&bytes);
    }
    let Some((&cut, rest)) = rows.split_first() else { return };
    let (snapshot, rows) = rest.split_at(rest.len() * usize::from(cut) / 256);
    if let Some(bytes) = container(LIST_SCHEMA, &[("infino.snapshot", snapshot)], rows) {
        list(&bytes);
    }
}

fn list(bytes: &[u8]) {
    let Ok(list) = CheckpointList::decode(bytes) else { return };
    let (reference, encoded) = list.build().expect("it was small enough to be read");
    assert_eq!(reference.list(&encoded), Ok(list));
}

fn part(bytes: &[u8]) {
    let Ok(entries) = part::decode(bytes) else { return };
    // A part without entries may be read, none is written.
    let Ok((reference, encoded)) = part::build(&entries) else { return };
    let again = reference.entries(&encoded).expect("what was just written");
    // Bytes are compared, because statistics may hold NaN, which equals nothing.
    assert_eq!(part::build(&again).expect("it was built before").1, encoded);
}

fn segment(bytes: &[u8]) {
    let Ok(records) = segment::decode(bytes) else { return };
    if records.is_empty() {
        return;
    }
    let (reference, encoded) = segment::build(&records);
    let again = reference.records(&encoded).expect("what was just written");
    assert_eq!(segment::build(&again).1, encoded);
}
