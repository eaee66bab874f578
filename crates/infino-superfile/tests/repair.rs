//! Damage between the rows and the footer is mended from the rows; damage of the rows is not passed over.

mod support;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use infino_format::schema::{IndexSet, TableSchema, TextIndex};
use infino_format::summary::{SectionKind, SuperfileSummary};
use infino_superfile::{Mended, Superfile, SuperfileError, table_schema};
use support::{OneObject, batch, build, indexed_columns, indexed_schema, open, small};

const ROWS: u64 = 2_000;
const PATH: &str = "data/one.parquet";

fn indexed() -> (TableSchema, Vec<u8>, SuperfileSummary) {
    let schema = indexed_schema();
    let (bytes, summary) =
        build(&schema, small(), &[batch(&schema, 1, indexed_columns(0..ROWS))]).unwrap();
    (schema, bytes, summary)
}

/// A key, and a text of it.
fn keyed() -> (TableSchema, Vec<u8>, SuperfileSummary) {
    let columns = Schema::new(vec![
        Field::new("k", DataType::Int64, false),
        Field::new("t", DataType::Utf8, true),
    ]);
    let text = TextIndex {
        column: "t".into(),
        analyzer: "standard-v1".into(),
        positions: true,
        stored: true,
    };
    let indexes = IndexSet { text: vec![text], key: vec!["k".into()], ..IndexSet::default() };
    let schema = table_schema(&columns, indexes).unwrap();
    let k: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let t: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("row {row} of some"))));
    let (bytes, summary) = build(&schema, small(), &[batch(&schema, 1, vec![k, t])]).unwrap();
    (schema, bytes, summary)
}

async fn mend(
    store: &Arc<OneObject>,
    summary: &SuperfileSummary,
    schema: &TableSchema,
) -> Result<(Mended, Vec<u8>), SuperfileError> {
    let mut out = Vec::new();
    let summary = Arc::new(summary.clone());
    let mended = Superfile::mend(store.clone(), PATH, &summary, schema, small(), &mut out).await?;
    Ok((mended, out))
}

#[tokio::test]
async fn a_sound_file_is_left_alone() {
    for (schema, bytes, summary) in [indexed(), keyed()] {
        let store = OneObject::new(bytes);
        let (mended, out) = mend(&store, &summary, &schema).await.unwrap();
        assert_eq!((mended, out.len()), (Mended::Sound, 0));
    }
}

#[tokio::test]
async fn a_damaged_section_is_restored_byte_for_byte() {
    for (schema, bytes, summary) in [indexed(), keyed()] {
        let store = OneObject::new(bytes.clone());
        for section in &summary.sections {
            let inside =
                [0, section.open_len / 2, section.open_len.min(section.len - 1), section.len - 1];
            for (bit, at) in inside.into_iter().enumerate() {
                store.flip((section.offset + at) as usize, bit);
                let (mended, out) = mend(&store, &summary, &schema).await.unwrap();
                let Mended::Restored { damaged } = mended else {
                    panic!("{section:?}: {mended:?}")
                };
                assert!(!damaged.is_empty() && out == bytes, "{section:?}, byte {at}");
            }
        }
    }
}

#[tokio::test]
async fn rows_footer_and_length_cannot_be_rebuilt() {
    let (schema, bytes, summary) = indexed();
    let store = OneObject::new(bytes.clone());
    let sections = summary.sections[0].offset as usize;
    for byte in [0, 5, sections / 2, sections - 1, bytes.len() - 1, bytes.len() - 100] {
        store.flip(byte, 2);
        let outcome = mend(&store, &summary, &schema).await;
        assert!(outcome.is_err_and(|error| error.is_corrupt()), "byte {byte}");
    }
    let mut both = bytes.clone();
    both[sections / 2] ^= 1;
    both[sections + 10] ^= 1;
    let outcome = mend(&OneObject::new(both), &summary, &schema).await;
    assert!(outcome.is_err_and(|error| error.is_corrupt()));
    let outcome = mend(&OneObject::new(bytes[..bytes.len() - 1].to_vec()), &summary, &schema).await;
    assert!(outcome.is_err_and(|error| error.is_corrupt()));
    // Checksums that are lost together with what they were taken of prove nothing.
    let checksums = summary.sections.last().unwrap();
    let mut both = bytes;
    both[sections / 2] ^= 1;
    both[checksums.offset as usize + 30] ^= 1;
    let outcome = mend(&OneObject::new(both), &summary, &schema).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn an_index_of_a_column_that_is_not_stored_is_lost_and_its_neighbours_are_not() {
    let mut schema = indexed_schema();
    schema.indexes.text.iter_mut().for_each(|index| index.stored = false);
    let (bytes, summary) =
        build(&schema, small(), &[batch(&schema, 1, indexed_columns(0..ROWS))]).unwrap();
    let store = OneObject::new(bytes.clone());
    let of = |kind| summary.sections.iter().find(|section| section.kind == kind).unwrap();
    let text = of(SectionKind::Text);
    store.flip(text.offset as usize + 1, 0);
    let outcome = mend(&store, &summary, &schema).await;
    assert!(matches!(outcome, Err(SuperfileError::Invalid { .. })), "{outcome:?}");
    // The first unit of the vectors may be the last one of the text.
    store.flip(of(SectionKind::Vector).offset as usize + 1, 0);
    let (mended, out) = mend(&store, &summary, &schema).await.unwrap();
    assert!(matches!(mended, Mended::Restored { .. }) && out == bytes);
}

#[tokio::test]
async fn what_is_built_otherwise_today_becomes_another_file() {
    let (mut schema, bytes, summary) = indexed();
    // As if this release led to another section from the same rows.
    schema.indexes.vectors[0].target_recall_millis = 700;
    let vectors = summary.sections.iter().find(|s| s.kind == SectionKind::Vector).unwrap().clone();
    let store = OneObject::new(bytes.clone());
    store.flip((vectors.offset + vectors.len / 2) as usize, 1);
    let (mended, out) = mend(&store, &summary, &schema).await.unwrap();
    let Mended::Replaced { damaged, summary: new } = mended else { panic!("{mended:?}") };
    assert!(damaged.iter().any(|part| part.contains("vector")), "{damaged:?}");
    assert_ne!(new.id, summary.id);
    assert_eq!((new.row_count, new.min_row_id), (summary.row_count, summary.min_row_id));
    let (_, file) = open(out, Some(*new)).await;
    assert!(file.verify_in_depth().await.unwrap().is_sound());
}
