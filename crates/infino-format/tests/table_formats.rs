//! Heads, records, segments, deletion vectors, lists and parts: round trips, golden bytes, and every way to spoil them.

use infino_format::cursor::Cursor;
use infino_format::head::{Fence, TailItem, TokenMark, WriterMark};
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::{self, PartEntry};
use infino_format::schema::{
    ColumnId, IndexSet, Metric, RerankCodec, TableSchema, TextIndex, VectorIndex,
};
use infino_format::segment::{self, SegmentRef};
use infino_format::summary::{
    ColumnStats, Scalar, SectionKind, SectionRef, TextStats, VectorStats,
};
use infino_format::tombstone::{self, Deletes, Vector};
use infino_format::{
    Action, CommitId, FormatError, Head, ObjectRef, Operation, Record, RowId, SuperfileId,
    SuperfileSummary, TableId, WriterId,
};
use roaring::RoaringBitmap;

fn object(path: &str, bytes: &[u8]) -> ObjectRef {
    let named = ObjectRef::name("x", "y", bytes);
    ObjectRef { path: path.into(), ..named }
}

fn schema() -> TableSchema {
    TableSchema {
        columns: vec![
            ColumnId { name: "body".into(), field_id: 1 },
            ColumnId { name: "größe".into(), field_id: 300 },
        ],
        arrow_ipc: vec![0, 1, 2, 255],
        indexes: IndexSet {
            text: vec![TextIndex {
                column: "body".into(),
                analyzer: "standard-v1".into(),
                positions: true,
                stored: false,
            }],
            vectors: vec![VectorIndex {
                column: "embedding".into(),
                dim: 768,
                metric: Metric::Cosine,
                rerank: RerankCodec::Sq8Residual,
                target_recall_millis: 950,
                stored: true,
            }],
            key: Vec::new(),
        },
        next_field_id: 301,
    }
}

fn summary(id: u128) -> SuperfileSummary {
    SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1 << 20,
        footer_len: 400,
        footer_crc: 0x1234_5678,
        row_count: 9000,
        min_row_id: RowId(id << 64),
        max_row_id: RowId((id << 64) + 8999),
        columns: vec![ColumnStats {
            field_id: 1,
            null_count: 3,
            min: Some(Scalar::Text("a".into())),
            max: Some(Scalar::Text("zz".into())),
            exact: false,
        }],
        text: vec![TextStats {
            field_id: 1,
            docs: 8997,
            tokens: 100_000,
            min_term: b"a".to_vec(),
            max_term: b"zz".to_vec(),
        }],
        vectors: vec![VectorStats {
            field_id: 300,
            vectors: 9000,
            centroid: vec![0.25, -1.5],
            radius: 3.0,
        }],
        sections: vec![SectionRef {
            kind: SectionKind::Text,
            version: 1,
            field_ids: vec![1],
            offset: 4,
            len: 1000,
            open_len: 64,
        }],
        key: None,
    }
}

fn rows(rows: impl IntoIterator<Item = u32>) -> RoaringBitmap {
    rows.into_iter().collect()
}

fn inline(dead: &RoaringBitmap) -> Deletes {
    Deletes { count: dead.len() as u32, vector: Vector::Inline(tombstone::encode(dead)) }
}

fn record(version: u64) -> Record {
    Record {
        version,
        commit: CommitId(0xc0 + u128::from(version)),
        writer: WriterId(0xaa),
        writer_seq: version,
        time_ms: 1_700_000_000_000 + version,
        operation: Operation::Merge,
        token: Some("job-7".into()),
        actions: vec![
            Action::AddSuperfile(summary(version.into())),
            Action::RemoveSuperfile(SuperfileId(99)),
            Action::SetDeletes {
                superfile: SuperfileId(3),
                deletes: inline(&rows([1, 5, 70_000])),
            },
            Action::SetDeletes {
                superfile: SuperfileId(4),
                deletes: Deletes {
                    count: 8000,
                    vector: Vector::Object(object("deletes/a.dv", b"vector")),
                },
            },
            Action::ChangeSchema(schema()),
            Action::SetProperty { key: "owner".into(), value: Some("search".into()) },
            Action::SetProperty { key: "old".into(), value: None },
        ],
    }
}

fn checkpoint(number: u64, version: u64) -> CheckpointRef {
    CheckpointRef {
        number,
        version,
        time_ms: 5 * version,
        list: object("manifest/list.avro", b"list"),
    }
}

fn head() -> Head {
    Head {
        table: TableId(0x7ab1e),
        version: 9,
        swap: 12,
        commit: CommitId(0xc9),
        parent: [3; 32],
        time_ms: 1_700_000_000_009,
        floor: 2,
        epoch: 2,
        fences: vec![
            Fence { store_ms: 1000, version: 1, floor: 1 },
            Fence { store_ms: 900_000, version: 6, floor: 2 },
        ],
        checkpoint: Some(checkpoint(1, 5)),
        tail: vec![
            TailItem::Segment(SegmentRef {
                first: 6,
                last: 8,
                object: object("log/a.seg", b"segment"),
            }),
            TailItem::Inline(record(9)),
        ],
        writers: vec![WriterMark {
            writer: WriterId(0xaa),
            seq: 9,
            commit: CommitId(0xc9),
            version: 9,
        }],
        tokens: vec![TokenMark {
            hash: TokenMark::hash("job-7"),
            version: 9,
            commit: CommitId(0xc9),
        }],
    }
}

fn entries(count: u128) -> Vec<PartEntry> {
    (1..=count)
        .map(|id| PartEntry {
            summary: summary(id),
            deletes: (id % 3 == 0).then(|| inline(&rows([id as u32]))),
        })
        .collect()
}

fn list() -> CheckpointList {
    let (mut first, _) = part::build(&entries(4)).unwrap();
    first.object.path = "manifest/p1.avro".into();
    CheckpointList {
        number: 2,
        version: 9,
        time_ms: 45,
        schema: schema(),
        properties: vec![("owner".into(), "search".into())],
        segments: vec![SegmentRef { first: 6, last: 9, object: object("log/a.seg", b"segment") }],
        ancestors: vec![checkpoint(1, 5)],
        parts: vec![first],
        fresh: Vec::new(),
    }
}

/// Asserts that `decode` refuses every prefix of `bytes` and every copy with one bit flipped.
fn check_spoilt<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, FormatError>) {
    decode(bytes).map(drop).expect("the bytes are sound");
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "cut at {len} of {}", bytes.len());
    }
    let mut spoilt = bytes.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            spoilt[at] ^= 1 << bit;
            assert!(decode(&spoilt).is_err(), "bit {bit} of byte {at} flipped");
            spoilt[at] ^= 1 << bit;
        }
    }
}

/// Asserts that `decode` neither panics nor takes long on spoilt bytes that no checksum protects.
fn check_never_panics<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, FormatError>) {
    for len in 0..bytes.len() {
        let _ = decode(&bytes[..len]);
    }
    let mut spoilt = bytes.to_vec();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
            spoilt[at] = value;
            let _ = decode(&spoilt);
        }
        spoilt[at] = bytes[at];
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(bytes: &[u8]) -> String {
    hex(&ObjectRef::name("x", "y", bytes).digest[..8])
}

#[test]
fn heads_round_trip_and_a_spoilt_one_is_refused() {
    let bytes = head().encode().unwrap();
    assert_eq!(Head::decode(&bytes).unwrap(), head());
    check_spoilt(&bytes, Head::decode);
}

/// Whoever spoils a head and mends its checksum gets an error or a head that can be written again.
#[test]
fn no_head_with_a_right_checksum_panics() {
    let bytes = head().encode().unwrap();
    let body = bytes.len() - 4;
    check_never_panics(&bytes[..body], |spoilt| {
        let crc = infino_format::checksum::crc32c(spoilt);
        let head = Head::decode(&[spoilt, &crc.to_le_bytes()].concat())?;
        head.encode().expect("as long as it was");
        Ok(())
    });
}

#[test]
fn a_head_whose_tail_has_a_gap_is_refused() {
    for spoil in [
        |head: &mut Head| head.version = 10,
        |head: &mut Head| head.checkpoint = None,
        |head: &mut Head| drop(head.tail.remove(0)),
        |head: &mut Head| head.tail.clear(),
        |head: &mut Head| head.floor = 0,
        |head: &mut Head| head.floor = 10,
        |head: &mut Head| head.swap = u64::MAX,
    ] {
        let mut head = head();
        spoil(&mut head);
        assert!(Head::decode(&head.encode().unwrap()).is_err(), "{head:?}");
    }
}

#[test]
fn records_round_trip() {
    let mut bytes = Vec::new();
    record(9).encode(&mut bytes);
    let decode = |bytes: &[u8]| {
        let mut cursor = Cursor::new("test", bytes);
        let record = Record::decode(&mut cursor)?;
        cursor.finish()?;
        Ok(record)
    };
    assert_eq!(decode(&bytes).unwrap(), record(9));
    check_never_panics(&bytes, decode);
}

#[test]
fn an_unknown_action_is_a_newer_format() {
    let decode = |bytes: &[u8]| Action::decode(&mut Cursor::new("test", bytes));
    let newer = decode(&[77, 2, 1, 2]);
    assert!(matches!(newer, Err(FormatError::Version { found: 77, .. })), "{newer:?}");
    assert!(matches!(decode(&[0, 0]), Err(FormatError::Invalid { .. })));
}

#[test]
fn segments_round_trip_and_a_spoilt_one_is_refused() {
    let records = [record(6), record(7), record(8)];
    let (reference, bytes) = segment::build(&records);
    assert_eq!(segment::decode(&bytes).unwrap(), records);
    assert_eq!(reference.records(&bytes).unwrap(), records);
    let later = SegmentRef { first: 7, ..reference.clone() };
    assert_eq!(later.records(&bytes).unwrap(), records[1..]);
    let beyond = SegmentRef { last: 9, ..reference.clone() };
    assert!(beyond.records(&bytes).is_err());
    check_spoilt(&bytes, segment::decode);
}

#[test]
fn schemas_round_trip() {
    let mut bytes = Vec::new();
    schema().encode(&mut bytes);
    let decode = |bytes: &[u8]| TableSchema::decode(&mut Cursor::new("test", bytes));
    assert_eq!(decode(&bytes).unwrap(), schema());
    (0..bytes.len()).for_each(|len| assert!(decode(&bytes[..len]).is_err()));
    check_never_panics(&bytes, decode);
}

#[test]
fn vectors_round_trip_and_a_spoilt_one_is_refused() {
    for dead in [
        rows([]),
        rows([0]),
        rows([u32::MAX]),
        rows([1, 5, 70_000]),
        rows(0..100_000),
        rows((0..200_000).step_by(3)),
    ] {
        let bytes = tombstone::encode(&dead);
        assert_eq!(tombstone::decode(&bytes).unwrap(), dead);
        // The same set, come to be in another way, has the same bytes.
        let mut other = RoaringBitmap::new();
        let backwards: Vec<_> = dead.iter().collect();
        other.extend(backwards.iter().rev());
        assert_eq!(tombstone::encode(&other), bytes);
        if bytes.len() < 1000 {
            check_spoilt(&bytes, tombstone::decode);
        }
    }
}

#[test]
fn large_vectors_stand_in_objects_and_are_verified() {
    let dead = rows((0..200_000).step_by(3));
    let (deletes, bytes) = Deletes::of(&dead);
    let bytes = bytes.expect("too large to be inline");
    assert_eq!(deletes.rows(&bytes).unwrap(), dead);
    let mut spoilt = bytes.clone();
    spoilt[5000] ^= 1;
    assert!(deletes.rows(&spoilt).is_err());
    let wrong = Deletes { count: 1, ..deletes };
    assert!(wrong.rows(&bytes).is_err());
}

#[test]
fn parts_round_trip_and_a_spoilt_one_is_refused() {
    let entries = entries(20);
    let (reference, bytes) = part::build(&entries).unwrap();
    assert_eq!(reference.entries(&bytes).unwrap(), entries);
    assert_eq!((reference.entries, reference.rows, reference.deleted), (20, 180_000, 6));
    check_spoilt(&bytes, |bytes| reference.entries(bytes));
    check_never_panics(&bytes, part::decode);
    for wrong in [
        part::PartRef { rows: 1, ..reference.clone() },
        part::PartRef { deleted: 7, ..reference.clone() },
        part::PartRef { last: SuperfileId(21), ..reference.clone() },
    ] {
        assert!(wrong.entries(&bytes).is_err());
    }
    let unsorted = [entries[1].clone(), entries[0].clone()];
    assert!(part::build(&unsorted).is_err() && part::build::<SuperfileSummary>(&[]).is_err());
}

#[test]
fn lists_round_trip_and_a_spoilt_one_is_refused() {
    let (reference, bytes) = list().build().unwrap();
    assert_eq!(reference.list(&bytes).unwrap(), list());
    check_spoilt(&bytes, |bytes| reference.list(bytes));
    check_never_panics(&bytes, CheckpointList::decode);
}

#[test]
fn every_earlier_checkpoint_is_few_steps_away() {
    let mut chain = vec![(checkpoint(1, 10), Vec::new())];
    for number in 2..=1000 {
        let (before, ancestors) = chain.last().unwrap();
        let next = before.ancestors_of_next(ancestors);
        assert_eq!(next[0].number, number - 1);
        assert!(next.len() <= 11 && next.windows(2).all(|pair| pair[0].number > pair[1].number));
        chain.push((checkpoint(number, number * 10), next));
    }
    for target in 1..=1000u64 {
        let (mut at, mut steps) = (1000u64, 0);
        while at != target {
            let ancestors = &chain[at as usize - 1].1;
            at = ancestors.iter().rev().find(|past| past.number >= target).unwrap().number;
            steps += 1;
        }
        assert!(steps <= 20, "{steps} steps from 1000 to {target}");
    }
}

/// Another Avro implementation reads parts and lists.
#[test]
fn avro_libraries_read_parts_and_lists() {
    use apache_avro::types::Value;
    let (_, bytes) = part::build(&entries(3)).unwrap();
    let rows: Vec<Value> =
        apache_avro::Reader::new(&bytes[..]).unwrap().collect::<Result<_, _>>().unwrap();
    let Value::Record(fields) = &rows[2] else { panic!("{rows:?}") };
    assert_eq!(rows.len(), 3);
    assert_eq!(fields[0], ("superfile".into(), Value::String(SuperfileId(3).to_string())));
    assert_eq!(fields[2], ("row_count".into(), Value::Long(9000)));
    assert_eq!(fields[3], ("deleted_count".into(), Value::Long(1)));
    let (_, bytes) = list().build().unwrap();
    let rows: Vec<Value> =
        apache_avro::Reader::new(&bytes[..]).unwrap().collect::<Result<_, _>>().unwrap();
    let Value::Record(fields) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!(fields[0], ("path".into(), Value::String("manifest/p1.avro".into())));
}

#[test]
fn golden_small_cases() {
    let mut bytes = Vec::new();
    let simple = Record {
        token: None,
        operation: Operation::Property,
        actions: vec![Action::SetProperty { key: "k".into(), value: Some("v".into()) }],
        ..record(2)
    };
    simple.encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        concat!(
            "01",                               // version of the encoding
            "02",                               // table version 2
            "c2000000000000000000000000000000", // commit
            "aa000000000000000000000000000000", // writer
            "02",                               // the writer's attempt 2
            "82d095ffbc31",                     // milliseconds
            "07",                               // property
            "00",                               // no token
            "01",                               // one action
            "05",                               // set a property
            "05",                               // in five bytes
            "016b",                             // "k"
            "01",                               // has a value
            "0176",                             // "v"
        )
    );
    // Iceberg's deletion-vector-v1: length, magic, one bitmap, key 0, Roaring {1, 5}, CRC-32.
    assert_eq!(
        hex(&tombstone::encode(&rows([1, 5]))),
        concat!(
            "00000024",
            "d1d33964",
            "0100000000000000",
            "00000000",
            "3a300000",
            "01000000",
            "00000100",
            "10000000",
            "01000500",
            "3e6e302f",
        )
    );
}

#[test]
fn golden_digests() {
    let (_, segment) = segment::build(&[record(1), record(2)]);
    let (_, part) = part::build(&entries(20)).unwrap();
    let (_, list) = list().build().unwrap();
    let found = [
        ("head", digest(&head().encode().unwrap())),
        ("segment", digest(&segment)),
        ("part", digest(&part)),
        ("list", digest(&list)),
        ("vector", digest(&tombstone::encode(&rows((0..200_000).step_by(3))))),
    ];
    let pinned = [
        ("head", "95d645edf5a0e7c8"),
        ("segment", "ad74fed1fcf77360"),
        ("part", "afe14f0ca970a862"),
        ("list", "e434bf7aee3576cf"),
        ("vector", "10213b7fb4ba65fb"),
    ];
    assert_eq!(found.each_ref().map(|(name, digest)| (*name, digest.as_str())), pinned);
}
