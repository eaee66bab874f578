//! The inputs under `corpus`: small sound bytes for each target, always the same.

use infino_format::catalog::Catalog;
use infino_format::head::{Fence, TailItem, TokenMark, WriterMark};
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::{self, PART_SCHEMA, PartEntry};
use infino_format::schema::{
    ColumnId, IndexSet, Metric, RerankCodec, TableSchema, TextIndex, VectorIndex,
};
use infino_format::segment::{self, SegmentRef};
use infino_format::summary::{
    ColumnStats, Scalar, SectionKind, SectionRef, TextStats, VectorStats,
};
use infino_format::tombstone::{self, Deletes, Vector};
use infino_format::{
    Action, CommitId, Head, ObjectRef, Operation, Record, RowId, SuperfileId, SuperfileSummary,
    TableId, WriterId, avro,
};
use infino_fts::FtsBuilder;
use infino_vector::{IvfBuilder, IvfSpec};
use roaring::RoaringBitmap;

/// Target, name of the file, content.
pub type Seed = (&'static str, &'static str, Vec<u8>);

const SPEC: &str = "a-v2: words | fold | stop(german, +x, -der) | stem(german) | length(2, 9)\nDie Häuser der Straße x 東京";
const HIGHLIGHT: &str = "run \"old sea\"~2 wh* /a.{2}b/ man~1 [x TO z]\nThe old man ran. 東京 sea, old whale; ahab <b> parseHtml.";

/// Every seed.
pub fn all() -> Vec<Seed> {
    let mut catalog = Catalog::default();
    catalog.tables.extend([("docs", "docs-1"), ("ä", "a-2")].map(|(a, b)| (a.into(), b.into())));
    catalog.tables.insert("gone".into(), Catalog::own_folder("gone"));
    catalog.unbind("gone");
    let rows: RoaringBitmap = [1, 5, 6, 7, 70_000].into();
    let extra =
        IvfSpec { extra_bits: 3, rerank: RerankCodec::None, ..IvfSpec::new(20, Metric::Cosine) };
    let mut seeds = vec![
        ("catalog", "seed-two", catalog.encode(7)),
        ("head", "seed-tail", head().encode().expect("a small head")),
        ("record", "seed-merge", encoded(|out| record(9).encode(out))),
        ("summary", "seed-full", encoded(|out| summary(3).encode(out))),
        ("tombstone", "seed-rows", tombstone::encode(&rows)),
        ("tombstone", "seed-run", tombstone::encode(&(10..5000).collect())),
        ("tombstone", "seed-deletes", encoded(|out| deletes().encode(out))),
        ("text_reader", "seed-two-fields", text_section()),
        ("vector_reader", "seed-sq8", vector_section()),
        ("vector_reader", "seed-extra", vector_section_of(extra)),
        ("vector_reader", "seed-bits", vector_section_of(IvfSpec::new(16, Metric::Hamming))),
        (
            "query_parser",
            "seed-all",
            b"+common -\"half words\"~2 b:rare* thi?d ninht~1 (a OR b)^2 *".to_vec(),
        ),
        (
            "query_parser",
            "seed-ranges",
            b"/h[ae].f|ni.*/ b:[half TO *] {a TO \"z z\"}^2 \\/x".to_vec(),
        ),
        ("regex", "seed-classes", b"(h[a-f]l+f?|\\w{2,5}d)|com.*n".to_vec()),
        ("regex", "seed-range", b"common third".to_vec()),
        ("analyzer", "seed-chain", SPEC.into()),
        ("analyzer", "seed-edge", "e-v1: code | lower | edge(2, 5)\nparseHtml größe_x y".into()),
        ("highlight", "seed-all", HIGHLIGHT.into()),
        ("query_parser", "seed-escapes", r#"a:\(x\) AND NOT "q\"" + - ~ ^3 b:"z" wör?"#.into()),
    ];
    seeds.extend(manifest_parts());
    for (target, len) in
        [("text_round_trip", 900), ("vector_round_trip", 3000), ("section_flips", 9)]
    {
        let mut random = Random(len);
        for name in ["seed-1", "seed-2", "seed-3"] {
            seeds.push((target, name, (0..len).map(|_| random.next() as u8).collect()));
        }
    }
    seeds
}

/// Numbers that look random and are always the same, by splitmix64.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A full-text section of fields `a`, with positions, and `b`, without.
pub fn text_section() -> Vec<u8> {
    let index = |column: &str, analyzer: &str, positions| TextIndex {
        column: column.into(),
        analyzer: analyzer.into(),
        positions,
        stored: true,
    };
    let fields = [index("a", "english-v1", true), index("b", "code-v1", false)];
    let mut builder = FtsBuilder::new(&fields, Default::default()).expect("known analyzers");
    for row in 0..150 {
        let mut text = String::from("common words");
        for (every, word) in [(2, "half"), (3, "third"), (9, "ninth"), (50, "rare")] {
            if row % every == 0 {
                text += &format!(" {word} {}", "pad ".repeat(row % 4));
            }
        }
        let name = (row % 7 != 0).then(|| format!("halfName{} rare", row % 11));
        builder.push(&[Some(&text), name.as_deref()]).expect("short values");
    }
    builder.finish().expect("memory takes every write").0
}

/// A section of 60 vectors of 16 floats in three lists.
pub fn vector_section() -> Vec<u8> {
    vector_section_of(IvfSpec::new(16, Metric::L2))
}

/// A section of 60 vectors in three lists.
fn vector_section_of(spec: IvfSpec) -> Vec<u8> {
    let (dim, bits) = (spec.dim, spec.metric == Metric::Hamming);
    let spec = IvfSpec { nlist: Some(3), ..spec };
    let mut builder = IvfBuilder::new(spec, Default::default()).expect("a sound spec");
    let mut random = Random(1);
    for doc in 0..60 {
        let mut vector: Vec<f32> = (0..dim).map(|_| random.below(9) as f32 / 2.0 - 2.0).collect();
        if bits {
            vector.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.0)));
        }
        builder.push(doc * 2, &vector).expect("a sound vector");
    }
    builder.finish().expect("memory takes every write").0
}

fn manifest_parts() -> Vec<Seed> {
    let entries =
        [1, 2, 3].map(|id| PartEntry { summary: summary(id), deletes: (id == 3).then(deletes) });
    let (mut reference, part) = part::build(&entries).expect("a small part");
    reference.object = object("manifest/p1.avro");
    let list = CheckpointList {
        number: 2,
        version: 9,
        time_ms: 45,
        schema: schema(),
        properties: vec![("owner".into(), "search".into())],
        segments: vec![SegmentRef { first: 6, last: 9, object: object("log/a.seg") }],
        ancestors: vec![checkpoint()],
        parts: vec![reference],
        fresh: Vec::new(),
    };
    let list = list.build().expect("a small list").1;
    let container = avro::read_container("part", PART_SCHEMA, &part).expect("just built");
    let rows = [&[container.count as u8][..], &container.rows].concat();
    vec![
        ("manifest_parts", "seed-part", part),
        ("manifest_parts", "seed-part-rows", rows),
        ("manifest_parts", "seed-list", list),
        ("manifest_parts", "seed-segment", segment::build(&[record(6), record(7)]).1),
    ]
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn object(path: &str) -> ObjectRef {
    ObjectRef { path: path.into(), len: 700, digest: [5; 32] }
}

fn deletes() -> Deletes {
    let rows: RoaringBitmap = [1, 5, 800].into();
    Deletes { count: 3, vector: Vector::Inline(tombstone::encode(&rows)) }
}

fn schema() -> TableSchema {
    TableSchema {
        columns: vec![
            ColumnId { name: "body".into(), field_id: 1 },
            ColumnId { name: "embedding".into(), field_id: 300 },
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
    let stats = |field_id, min, max| ColumnStats {
        field_id,
        null_count: 3,
        min: Some(min),
        max: Some(max),
        exact: false,
    };
    SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1 << 20,
        footer_len: 400,
        footer_crc: 0x1234_5678,
        row_count: 9000,
        min_row_id: RowId(id << 64),
        max_row_id: RowId((id << 64) + 8999),
        columns: vec![
            stats(1, Scalar::Text("a".into()), Scalar::Text("zz".into())),
            stats(2, Scalar::Decimal(-5), Scalar::Decimal(1 << 90)),
            stats(3, Scalar::Float(0.5), Scalar::Float(2.0)),
        ],
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
            Action::SetDeletes { superfile: SuperfileId(3), deletes: deletes() },
            Action::ChangeSchema(schema()),
            Action::SetProperty { key: "owner".into(), value: Some("search".into()) },
            Action::SetProperty { key: "old".into(), value: None },
        ],
    }
}

fn checkpoint() -> CheckpointRef {
    CheckpointRef { number: 1, version: 5, time_ms: 25, list: object("manifest/list.avro") }
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
        fences: vec![Fence { store_ms: 1000, version: 1, floor: 1 }],
        checkpoint: Some(checkpoint()),
        tail: vec![
            TailItem::Segment(SegmentRef { first: 6, last: 8, object: object("log/a.seg") }),
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
