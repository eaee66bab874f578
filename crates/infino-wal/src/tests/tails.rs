use infino_format::head::{FENCES_MAX, Fence, HEAD_BYTES_MAX, TOKENS_MAX, TailItem, WRITERS_MAX};
use infino_format::{Action, CommitId, Head, Operation, Record, TableId, WriterId};

use crate::{tail, token};

fn record(version: u64, len: usize) -> Record {
    Record {
        version,
        commit: CommitId(version.into()),
        writer: WriterId((version % 1000).into()),
        writer_seq: version,
        time_ms: 1 << 44,
        operation: Operation::Property,
        token: Some(format!("token {version}")),
        actions: vec![Action::SetProperty { key: "k".into(), value: Some("v".repeat(len)) }],
    }
}

fn empty() -> Head {
    Head {
        table: TableId(1),
        version: 0,
        swap: u64::MAX >> 1,
        commit: CommitId(1),
        parent: [1; 32],
        time_ms: 1 << 44,
        floor: 1,
        epoch: 1000,
        fences: vec![Fence { store_ms: 1 << 44, version: 1 << 40, floor: 1 << 40 }; FENCES_MAX],
        checkpoint: None,
        tail: Vec::new(),
        writers: Vec::new(),
        tokens: Vec::new(),
    }
}

/// Commits records of `len` bytes without ever folding, as long as the log would; the head never passes its limit.
fn check_bounded(len: usize) {
    let (mut head, mut bound) = (empty(), 0);
    for version in 1..=20_000 {
        let record = record(version, len);
        head.version = version;
        token::remember(&mut head, &record);
        let spilled = tail::push(&mut head.tail, record, &mut bound);
        if tail::segments(&head.tail) > tail::TAIL_SEGMENTS_MAX {
            assert!(version > tail::TAIL_SEGMENTS_MAX as u64);
            break;
        }
        if !spilled.is_empty() || version % 97 == 0 {
            let bytes = head.encode().expect("fits");
            assert!(bytes.len() <= HEAD_BYTES_MAX);
            let inline: usize = head.inline().map(Record::encoded_len).sum();
            assert!(inline <= bound && bound <= tail::TAIL_INLINE_BYTES_MAX + inline);
            assert_eq!(Head::decode(&bytes).unwrap(), head);
        }
    }
    assert!(head.writers.len() <= WRITERS_MAX && head.tokens.len() <= TOKENS_MAX);
}

#[test]
fn a_head_that_is_never_folded_stays_within_its_limit() {
    for len in [5, 31_000, 40_000] {
        check_bounded(len);
    }
}

#[test]
fn a_fold_leaves_what_came_after_it() {
    let (mut head, mut bound) = (empty(), 0);
    for version in 1..=300 {
        head.version = version;
        tail::push(&mut head.tail, record(version, 1500), &mut bound);
        let head_bytes = head.encode().expect("fits").len();
        assert_eq!(tail::wants_fold_within(&head, head_bytes), tail::wants_fold(&head));
    }
    assert!(tail::segments(&head.tail) >= 2 && tail::wants_fold(&head));
    for through in [0, 1, 50, 86, 87, 150, 299, 300] {
        let rest = tail::after(&head.tail, through);
        let mut version = through;
        for item in &rest {
            let (first, last) = item.versions();
            assert_eq!(first, version + 1, "after {through}");
            version = last;
        }
        assert_eq!(version, 300, "after {through}");
    }
    assert!(matches!(head.tail[0], TailItem::Segment(_)));
}
