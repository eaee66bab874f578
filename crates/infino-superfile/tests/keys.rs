//! The key section of a file: every key is found, in one round, and no damage gives another answer.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use infino_format::schema::{IndexSet, TableSchema};
use infino_format::summary::{SectionKind, SuperfileSummary};
use infino_superfile::{KeyEncoder, arrow_schema, file_schema, table_schema};
use support::{batch, build, mix, open, small};

fn schema() -> TableSchema {
    let columns = Schema::new(vec![
        Field::new("shop", DataType::Utf8, false),
        Field::new("number", DataType::Int64, false),
    ]);
    let key = vec!["number".to_owned(), "shop".to_owned()];
    table_schema(&columns, IndexSet { key, ..IndexSet::default() }).unwrap()
}

fn columns(rows: std::ops::Range<u64>) -> Vec<ArrayRef> {
    let shop: StringArray = rows.clone().map(|row| Some(format!("shop {}", row % 3))).collect();
    let number: Int64Array = rows.map(|row| Some(mix(row) as i64)).collect();
    vec![Arc::new(shop), Arc::new(number)]
}

/// The hashes of the rows' keys, row by row.
fn hashes(rows: std::ops::Range<u64>) -> Vec<u64> {
    let schema = schema();
    let encoder = KeyEncoder::of(&schema, &arrow_schema(&schema).unwrap()).unwrap().unwrap();
    let keys = encoder.digests(&batch(&schema, 1, columns(rows))).unwrap();
    keys.into_iter().map(|key| key.hash()).collect()
}

fn built(rows: u64) -> (Vec<u8>, SuperfileSummary) {
    let schema = schema();
    build(&schema, small(), &[batch(&schema, 1, columns(0..rows))]).unwrap()
}

#[tokio::test]
async fn every_key_leads_to_its_row_in_one_round() {
    for rows in [1, 1024, 3000] {
        let (bytes, summary) = built(rows);
        assert_eq!(summary.key.is_some(), rows <= 4096);
        for known in [Some(summary.clone()), None] {
            let (store, file) = open(bytes.clone(), known).await;
            let of_rows = hashes(0..rows + 500);
            let mut sorted = of_rows.clone();
            sorted.sort_unstable();
            let before = store.rounds.load(Ordering::Relaxed);
            let mut found = file.key_docs(&sorted).await.unwrap();
            assert!(store.rounds.load(Ordering::Relaxed) - before <= 1);
            found.sort_unstable_by_key(|&(_, doc)| doc);
            let docs: Vec<_> = found.iter().map(|&(_, doc)| u64::from(doc)).collect();
            assert_eq!(docs, (0..rows).collect::<Vec<_>>());
            assert!(found.iter().all(|&(at, doc)| sorted[at] == of_rows[doc as usize]));
        }
        if let Some(filter) = &summary.key {
            assert!(hashes(0..rows).into_iter().all(|hash| filter.may_hold(hash)));
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_told() {
    let (bytes, summary) = built(2000);
    let section = summary.sections.iter().find(|s| s.kind == SectionKind::Key).unwrap().clone();
    assert_eq!(section.field_ids, [2, 1]);
    let mut wanted = hashes(0..2000);
    wanted.sort_unstable();
    for byte in section.offset..section.offset + section.len {
        let mut bad = bytes.clone();
        bad[byte as usize] ^= 1 << (byte % 8);
        let store = support::OneObject::new(bad);
        let known = Some(Arc::new(summary.clone()));
        let file = infino_superfile::Superfile::open(store, "data/one.parquet", known).await;
        let error = match file {
            Ok(file) => file.key_docs(&wanted).await.map(drop).unwrap_err(),
            Err(error) => error,
        };
        assert!(error.is_corrupt(), "byte {byte}: {error}");
    }
}

#[tokio::test]
async fn a_table_without_a_key_has_no_section() {
    let keyed = schema();
    let plain = table_schema(&arrow_schema(&keyed).unwrap(), IndexSet::default()).unwrap();
    assert_eq!(file_schema(&plain).unwrap(), file_schema(&keyed).unwrap());
    let rows = batch(&plain, 1, columns(0..10));
    let (bytes, summary) = build(&plain, small(), &[rows]).unwrap();
    assert!(summary.key.is_none());
    let (_, file) = open(bytes, Some(summary)).await;
    assert!(file.key_docs(&[1]).await.is_err());
}
