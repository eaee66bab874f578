//! Rows by position and scans give what was pushed, in few round trips.

mod support;

use arrow::array::RecordBatch;
use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use futures::TryStreamExt;
use infino_format::schema::IndexSet;
use infino_format::{DocSet, RowId};
use infino_superfile::{SuperfileError, file_schema, table_schema};
use support::{batch, batch_with_ids, build, indexed_columns, indexed_schema, mix, open, small};

const ROWS: u64 = 3_000;

fn plain() -> infino_format::schema::TableSchema {
    let indexed = indexed_schema();
    table_schema(&infino_superfile::arrow_schema(&indexed).unwrap(), IndexSet::default()).unwrap()
}

fn pushed() -> Vec<RecordBatch> {
    let schema = plain();
    (0..ROWS)
        .step_by(500)
        .map(|at| batch(&schema, 40 + u128::from(at), indexed_columns(at..at + 500)))
        .collect()
}

fn expected(docs: &[u32], columns: &[usize]) -> RecordBatch {
    let all = concat_batches(&file_schema(&plain()).unwrap(), &pushed()).unwrap();
    let docs = UInt32Array::from(docs.to_vec());
    take_record_batch(&all, &docs).unwrap().project(columns).unwrap()
}

#[tokio::test]
async fn rows_come_in_the_order_asked_in_one_round() {
    let (bytes, summary) = build(&plain(), small(), &pushed()).unwrap();
    let (store, file) = open(bytes, Some(summary)).await;
    assert_eq!(store.spent().0, 1);
    for seed in 0..20 {
        let count = [0, 1, 2, 10, 300][seed as usize % 5];
        let mut docs: Vec<u32> = (0..count).map(|i| (mix(seed * 1000 + i) % ROWS) as u32).collect();
        let mut seen = std::collections::HashSet::new();
        docs.retain(|doc| seen.insert(*doc));
        let found = file.rows(&docs, &["key", "_id", "embedding", "n", "body"]).await.unwrap();
        assert_eq!(found.columns(), expected(&docs, &[4, 0, 3, 1, 2]).columns(), "seed {seed}");
        assert_eq!(store.spent().0, u64::from(count > 0));
    }
    assert!(matches!(
        file.rows(&[0], &["nope"]).await,
        Err(SuperfileError::UnknownColumn { column, .. }) if column == "nope"
    ));
    assert!(matches!(file.rows(&[ROWS as u32], &["n"]).await, Err(SuperfileError::Invalid { .. })));
}

#[tokio::test]
async fn ids_in_a_run_need_no_reads_and_others_do() {
    let schema = plain();
    let (bytes, summary) = build(&schema, small(), &pushed()).unwrap();
    let (store, file) = open(bytes, Some(summary)).await;
    store.spent();
    assert_eq!(file.row_ids(&[5, 0]).await.unwrap(), [RowId(45), RowId(40)]);
    assert_eq!(file.doc_of_dense(RowId(45)), Some(5));
    assert_eq!(file.doc_of_dense(RowId(39)), None);
    assert_eq!(file.doc_of_dense(RowId(40 + u128::from(ROWS))), None);
    assert_eq!(store.spent(), (0, 0));

    let ids = (0..ROWS).map(|row| u128::from(row) * 3 + (1 << 100));
    let gaps = batch_with_ids(&schema, ids, indexed_columns(0..ROWS));
    let (bytes, summary) = build(&schema, small(), &[gaps]).unwrap();
    assert_eq!(summary.min_row_id, RowId(1 << 100));
    let (store, file) = open(bytes, Some(summary)).await;
    store.spent();
    let found = file.row_ids(&[2_999, 7]).await.unwrap();
    assert_eq!(found, [RowId(2_999 * 3 + (1 << 100)), RowId(21 + (1 << 100))]);
    assert_eq!(store.spent().0, 1);
}

#[tokio::test]
async fn a_scan_gives_all_rows_or_those_kept() {
    let (bytes, summary) = build(&plain(), small(), &pushed()).unwrap();
    let (_, file) = open(bytes, Some(summary)).await;
    let all: Vec<u32> = (0..ROWS as u32).collect();
    let stream = file.scan(None, None).await.unwrap();
    let found: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let found = concat_batches(file.schema(), &found).unwrap();
    assert_eq!(found, expected(&all, &[0, 1, 2, 3, 4]));
    for step in [1, 7, 650, 2_999] {
        let docs: Vec<u32> = all.iter().copied().step_by(step).collect();
        let mut keep = DocSet::empty(ROWS as u32);
        keep.extend(docs.iter().copied());
        let stream = file.scan(Some(&["body", "_id"]), Some(&keep)).await.unwrap();
        let found: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        let expected = expected(&docs, &[2, 0]);
        let found = concat_batches(&expected.schema(), &found).unwrap();
        assert_eq!(found, expected, "every {step}th");
    }
    let other = DocSet::full(ROWS as u32 - 1);
    assert!(file.scan(None, Some(&other)).await.is_err());
}

#[tokio::test]
async fn a_file_opens_the_same_without_its_summary() {
    let (bytes, summary) = build(&plain(), small(), &pushed()).unwrap();
    let (_, file) = open(bytes, None).await;
    let mut found = file.summary().as_ref().clone();
    found.id = summary.id;
    assert_eq!(found, summary);
    file.verify().await.unwrap();
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let (first, _) = build(&plain(), small(), &pushed()).unwrap();
    let (second, _) = build(&plain(), small(), &pushed()).unwrap();
    assert!(first == second);
    let spilled = infino_superfile::SuperfileOptions { memory_bytes: 400_000, ..small() };
    let (third, _) = build(&plain(), spilled, &pushed()).unwrap();
    assert!(first == third);
}
