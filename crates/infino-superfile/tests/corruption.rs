//! Flipped, cut, swapped and foreign bytes: every answer is `Corrupt` or what it was.

mod support;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use infino_format::summary::{SectionKind, SuperfileSummary};
use infino_superfile::{Superfile, SuperfileError};
use support::questions::{Answer, QUESTIONS, ask};
use support::{OneObject, batch, build, keyed_columns, keyed_schema, mix, small};

const ROWS: u64 = 600;
const PATH: &str = "data/one.parquet";

fn built(first: u64) -> (Vec<u8>, SuperfileSummary) {
    let schema = keyed_schema();
    let rows = batch(&schema, 1, keyed_columns(first..first + ROWS));
    let (bytes, summary) = build(&schema, small(), &[rows]).unwrap();
    assert!(bytes.len() >= 64 << 10);
    (bytes, summary)
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn open(
    bytes: impl Into<bytes::Bytes>,
    summary: Option<&SuperfileSummary>,
) -> Result<Arc<Superfile>, SuperfileError> {
    Superfile::open(OneObject::new(bytes), PATH, summary.cloned().map(Arc::new)).await
}

#[test]
fn every_flipped_byte_behind_an_open_file_shows() {
    let (bytes, summary) = built(0);
    let sections = summary.sections.clone();
    let store = OneObject::new(bytes.clone());
    let file = run(Superfile::open(store.clone(), PATH, Some(Arc::new(summary.clone())))).unwrap();
    let mut expected: Vec<(Answer, Vec<Range<u64>>)> = Vec::new();
    for question in 0..QUESTIONS {
        store.log.lock().unwrap().clear();
        let answer = run(ask(&file, question)).unwrap();
        expected.push((answer, std::mem::take(&mut store.log.lock().unwrap())));
    }
    let covered = sections.last().unwrap().offset as usize;
    let body_end = sections[0].offset as usize;
    let (mut shown, mut asked) = (0, 0);
    for byte in 0..covered {
        store.flip(byte, byte % 8);
        let at = byte as u64;
        let read = run(file.range_reader().read(&[at..at + 1]));
        assert!(matches!(&read, Err(SuperfileError::Corrupt { range, .. }) if range.contains(&at)));
        // Decoding rows is slow without optimisation; their bytes were just seen to verify.
        let step = if byte < body_end { 97 } else { 1 };
        if byte % step != 0 {
            continue;
        }
        let readers = expected
            .iter()
            .enumerate()
            .filter(|(_, (_, reads))| reads.iter().any(|range| range.contains(&at)));
        // All questions that read it for every eighth byte, one of them in turn for the others.
        let readers: Vec<_> = readers.collect();
        let turn = byte % readers.len().max(1);
        let (skip, take) = if byte % 8 == 0 { (0, readers.len()) } else { (turn, 1) };
        for (question, (answer, _)) in readers.into_iter().skip(skip).take(take) {
            asked += 1;
            match run(ask(&file, question)) {
                Ok(found) => assert_eq!(found, *answer, "byte {byte}, question {question}"),
                Err(error) => {
                    assert!(error.is_corrupt(), "byte {byte}, question {question}: {error}");
                    shown += 1;
                }
            }
        }
    }
    assert!(shown * 10 >= asked * 9, "{shown} of {asked} showed");
}

#[test]
fn every_flipped_bit_of_the_footer_shows_when_the_file_is_opened() {
    let (bytes, summary) = built(0);
    let store = OneObject::new(bytes.clone());
    let start = bytes.len() - summary.footer_len as usize;
    let known = Arc::new(summary);
    for byte in start..bytes.len() {
        for bit in 0..8 {
            store.flip(byte, bit);
            let with = run(Superfile::open(store.clone(), PATH, Some(Arc::clone(&known))));
            assert!(with.is_err_and(|error| error.is_corrupt()), "bit {bit} of byte {byte}");
            let without = run(Superfile::open(store.clone(), PATH, None));
            assert!(without.is_err_and(|error| error.is_corrupt()), "bit {bit} of byte {byte}");
        }
    }
}

#[test]
fn every_flipped_byte_of_what_opens_sections_shows_when_the_file_is_opened() {
    let (bytes, summary) = built(0);
    let store = OneObject::new(bytes);
    let known = Arc::new(summary.clone());
    for section in &summary.sections {
        let open = section.offset as usize..(section.offset + section.open_len) as usize;
        // Every bit of the first bytes, one of the others.
        for (at, byte) in open.enumerate() {
            let bits = if at < 64 { 0..8 } else { byte % 8..byte % 8 + 1 };
            for bit in bits {
                store.flip(byte, bit);
                let opened = run(Superfile::open(store.clone(), PATH, Some(Arc::clone(&known))));
                assert!(opened.is_err_and(|error| error.is_corrupt()), "bit {bit} of byte {byte}");
            }
        }
    }
}

#[test]
fn a_whole_file_check_sees_every_part() {
    let (bytes, summary) = built(0);
    let store = OneObject::new(bytes.clone());
    let file = run(Superfile::open(store.clone(), PATH, Some(Arc::new(summary.clone())))).unwrap();
    run(file.verify()).unwrap();
    for byte in (0..bytes.len()).step_by(211).chain(bytes.len() - 300..bytes.len()) {
        store.flip(byte, byte % 8);
        assert!(run(file.verify()).is_err_and(|error| error.is_corrupt()), "byte {byte}");
    }
}

#[test]
fn a_check_in_depth_names_every_damaged_part_and_every_contradiction() {
    let (bytes, summary) = built(0);
    let file = run(open(bytes.clone(), Some(&summary))).unwrap();
    let sound = run(file.verify_in_depth()).unwrap();
    assert!(sound.is_sound(), "{sound:?}");
    assert_eq!((sound.rows, sound.sections, sound.bytes), (ROWS, 3, bytes.len() as u64));

    let store = OneObject::new(bytes.clone());
    let file = run(Superfile::open(store.clone(), PATH, Some(Arc::new(summary.clone())))).unwrap();
    for byte in [10, summary.sections[1].offset as usize, bytes.len() - 9] {
        store.flip(byte, 1);
        let found = run(file.verify_in_depth()).unwrap();
        assert_eq!(found.problems.len(), 1, "byte {byte}: {found:?}");
    }

    // Each of these opens: what is wrong is only what the summary says of the rest.
    let contradictions: [fn(&mut SuperfileSummary); 4] = [
        |summary| summary.max_row_id.0 += 1,
        |summary| summary.columns[1].null_count += 1,
        |summary| summary.text[0].tokens += 1,
        |summary| summary.vectors[0].vectors -= 1,
    ];
    for change in contradictions {
        let mut other = summary.clone();
        change(&mut other);
        let file = run(open(bytes.clone(), Some(&other))).unwrap();
        let found = run(file.verify_in_depth()).unwrap();
        assert_eq!(found.problems.len(), 1, "{found:?}");
        assert!(found.problems[0].is_corrupt());
    }
}

#[test]
fn every_truncation_shows() {
    let (bytes, summary) = built(0);
    let bytes = bytes::Bytes::from(bytes);
    let step = bytes.len() / 4_096;
    let lens = (0..bytes.len()).step_by(step.max(1)).chain(bytes.len() - 200..bytes.len());
    for len in lens {
        let cut = bytes.slice(..len);
        let with = run(open(cut.clone(), Some(&summary)));
        assert!(with.is_err_and(|error| error.is_corrupt()), "cut at {len}");
        let without = run(open(cut, None));
        assert!(without.is_err_and(|error| error.is_corrupt()), "cut at {len}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(run(open(longer, None)).is_err_and(|error| error.is_corrupt()));
}

#[test]
fn swapped_and_foreign_sections_show() {
    let (bytes, summary) = built(0);
    let (other, other_summary) = built(90_000);
    let section = |summary: &SuperfileSummary, kind: SectionKind| {
        let found = summary.sections.iter().find(|section| section.kind == kind).unwrap();
        found.offset as usize..(found.offset + found.len) as usize
    };
    let kinds = [SectionKind::Text, SectionKind::Vector, SectionKind::BodyChecksums];

    let (text, vector) = (section(&summary, kinds[0]), section(&summary, kinds[1]));
    let mut swapped = bytes[..text.start].to_vec();
    swapped.extend_from_slice(&bytes[vector.clone()]);
    swapped.extend_from_slice(&bytes[text]);
    swapped.extend_from_slice(&bytes[vector.end..]);
    check_all_wrong(swapped, &summary);

    for kind in kinds {
        let (here, there) = (section(&summary, kind), section(&other_summary, kind));
        let len = here.len().min(there.len());
        let mut foreign = bytes.clone();
        foreign[here.start..here.start + len]
            .copy_from_slice(&other[there.start..there.start + len]);
        check_all_wrong(foreign, &summary);
    }

    check_all_wrong(other, &summary);
}

fn check_all_wrong(bytes: Vec<u8>, summary: &SuperfileSummary) {
    for known in [Some(summary), None] {
        let opened = run(open(bytes.clone(), known));
        // Without its summary another sound file is just another file.
        if known.is_none() && opened.as_ref().is_ok_and(|file| run(file.verify()).is_ok()) {
            continue;
        }
        assert!(opened.is_err_and(|error| error.is_corrupt()));
    }
}

#[test]
fn what_is_no_superfile_is_refused() {
    let schema = keyed_schema();
    let rows = batch(&schema, 1, keyed_columns(0..10));
    let mut parquet = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut parquet, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let noise: Vec<u8> = (0..70_000).map(|i| mix(i) as u8).collect();
    for bytes in [parquet, noise, b"PAR1".to_vec(), Vec::new()] {
        let opened = run(open(bytes, None));
        assert!(opened.is_err_and(|error| error.is_corrupt()));
    }
}
