//! The tail of a head: how it grows, how it is kept short, when a fold is due. Pure.

use infino_format::head::TailItem;
use infino_format::segment::{self, SegmentRef};
use infino_format::{Action, Head, Record};

/// Records longer than this stand in an object.
pub const RECORD_INLINE_BYTES_MAX: usize = 32 * 1024;
/// When the inline records of a tail pass this, they move to an object.
pub const TAIL_INLINE_BYTES_MAX: usize = 160 * 1024;
/// A tail holds at most this many segments.
pub const TAIL_SEGMENTS_MAX: usize = 256;
/// A fold is due when a tail has this many records that do not just add fresh rows,
pub const FOLD_RECORDS: u64 = 64;
/// or this many bytes of them,
pub const FOLD_BYTES: usize = 64 * 1024;
/// or this many records of any kind,
pub const FOLD_RECORDS_ANY: u64 = 1024;
/// or this many segments,
pub const FOLD_SEGMENTS: usize = 12;
/// or segments of this many bytes.
pub const FOLD_SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// An object to put before the head that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name and what it holds.
    pub reference: SegmentRef,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Whether a checkpoint of this head would pay: readers would have less to read, commits less to write.
///
/// Fresh rows weigh less than other records: a fold writes at least two objects, and rows come in by the kilobyte.
pub fn wants_fold(head: &Head) -> bool {
    wants_fold_within(head, usize::MAX)
}

/// As [`wants_fold`], of a head whose encoding is known to have so many bytes: measuring each record of a tail is most of
/// what a small commit would cost, and one that is short as a whole needs none of it.
pub fn wants_fold_within(head: &Head, head_bytes: usize) -> bool {
    let lasting = || head.inline().filter(|record| !only_fresh(record));
    let segment_bytes = |item: &TailItem| match item {
        TailItem::Inline(_) => 0,
        TailItem::Segment(segment) => segment.object.len,
    };
    head.version - head.checkpoint_version() >= FOLD_RECORDS_ANY
        || segments(&head.tail) >= FOLD_SEGMENTS
        || head.tail.iter().map(segment_bytes).sum::<u64>() >= FOLD_SEGMENT_BYTES
        || lasting().count() as u64 >= FOLD_RECORDS
        || (head_bytes >= FOLD_BYTES
            && lasting().map(Record::encoded_len).sum::<usize>() >= FOLD_BYTES)
}

/// Whether all that a record does is to add fresh rows.
fn only_fresh(record: &Record) -> bool {
    record.actions.iter().all(|action| matches!(action, Action::AddFresh(_)))
}

/// How many segments a tail holds.
pub fn segments(tail: &[TailItem]) -> usize {
    tail.iter().filter(|item| matches!(item, TailItem::Segment(_))).count()
}

/// Appends `record` to `tail`, whose inline records have no more than `inline_bytes_max` bytes; what no longer fits is
/// returned as objects to put. The bound is then that of the longer tail.
pub fn push(
    tail: &mut Vec<TailItem>,
    record: Record,
    inline_bytes_max: &mut usize,
) -> Vec<Segment> {
    let len = record.encoded_len();
    if len > RECORD_INLINE_BYTES_MAX {
        let segment = to_segment(&[record]);
        tail.push(TailItem::Segment(segment.reference.clone()));
        return vec![segment];
    }
    let mut spilled = Vec::new();
    if inline_bytes_max.saturating_add(len) > TAIL_INLINE_BYTES_MAX {
        *inline_bytes_max = inline_bytes(tail);
        if *inline_bytes_max + len > TAIL_INLINE_BYTES_MAX {
            spilled = spill(tail);
            *inline_bytes_max = 0;
        }
    }
    *inline_bytes_max += len;
    tail.push(TailItem::Inline(record));
    spilled
}

/// What is left of `tail` once a checkpoint covers the versions up to `through`.
pub fn after(tail: &[TailItem], through: u64) -> Vec<TailItem> {
    tail.iter()
        .filter(|item| item.versions().1 > through)
        .map(|item| match item {
            TailItem::Segment(segment) if segment.first <= through => {
                TailItem::Segment(SegmentRef { first: through + 1, ..segment.clone() })
            }
            other => other.clone(),
        })
        .collect()
}

/// Moves each run of inline records to a segment.
fn spill(tail: &mut Vec<TailItem>) -> Vec<Segment> {
    let mut spilled = Vec::new();
    let mut kept = Vec::new();
    let mut run = Vec::new();
    let mut flush = |run: &mut Vec<Record>, kept: &mut Vec<TailItem>| {
        if !run.is_empty() {
            let segment = to_segment(run);
            kept.push(TailItem::Segment(segment.reference.clone()));
            spilled.push(segment);
            run.clear();
        }
    };
    for item in tail.drain(..) {
        match item {
            TailItem::Inline(record) => run.push(record),
            segment @ TailItem::Segment(_) => {
                flush(&mut run, &mut kept);
                kept.push(segment);
            }
        }
    }
    flush(&mut run, &mut kept);
    *tail = kept;
    spilled
}

fn to_segment(records: &[Record]) -> Segment {
    let (reference, bytes) = segment::build(records);
    Segment { reference, bytes }
}

fn inline_bytes(tail: &[TailItem]) -> usize {
    tail.iter()
        .map(|item| match item {
            TailItem::Inline(record) => record.encoded_len(),
            TailItem::Segment(_) => 0,
        })
        .sum()
}
