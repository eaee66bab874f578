//! Tables with a key: upserts, merges, and no key twice whatever happens.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use infino_storage::MemoryStore;
use infino_storage::fault::FaultStore;
use infino_table::{Matched, MergeSpec, NotMatched, TableError};
use support::{all, by_key, create, keys, open, rows};

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_replaces_and_adds_and_keeps_ids() {
    let table = create(Arc::new(MemoryStore::new()), true).await;
    let receipt = table.upsert(&rows(&[(1, 10), (2, 20), (3, 30)])).await.unwrap();
    assert_eq!((receipt.inserted, receipt.updated), (3, 0));
    let before = all(&table, &table.snapshot()).await;
    let receipt = table.upsert(&rows(&[(2, 21), (4, 40), (4, 41), (2, 22)])).await.unwrap();
    assert_eq!((receipt.inserted, receipt.updated, receipt.rows), (1, 3, 2));
    let after = all(&table, &table.snapshot()).await;
    let values: Vec<_> = after.iter().map(|row| (row.1, row.2)).collect();
    assert_eq!(values, [(1, 10), (2, 22), (3, 30), (4, 41)]);
    assert_eq!(before[1].0, after[1].0, "a replaced row keeps its id");
    assert_eq!(support::search(&table, "value22").await, [2]);
    assert!(support::search(&table, "value20").await.is_empty());
    table.optimize(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(all(&table, &table.snapshot()).await, after);
    table.upsert(&rows(&[(1, 11)])).await.unwrap();
    assert_eq!(by_key(&table).await, BTreeMap::from([(1, 11), (2, 22), (3, 30), (4, 41)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_does_what_its_spec_says() {
    let table = create(Arc::new(MemoryStore::new()), true).await;
    let merge = async |given: &[(i64, i64)], matched, not_matched| {
        let spec = MergeSpec { matched, not_matched };
        let receipt = table.merge_insert(&rows(given), spec).await.unwrap();
        (receipt.inserted, receipt.updated, receipt.deleted, receipt.unchanged)
    };
    use Matched::{Delete, Nothing, Update};
    assert_eq!(merge(&[(1, 1), (2, 2)], Nothing, NotMatched::Insert).await, (2, 0, 0, 0));
    assert_eq!(merge(&[(2, 9), (3, 3)], Nothing, NotMatched::Insert).await, (1, 0, 0, 1));
    assert_eq!(merge(&[(2, 9), (7, 7)], Update, NotMatched::Nothing).await, (0, 1, 0, 1));
    assert_eq!(merge(&[(1, 0), (8, 8)], Delete, NotMatched::Nothing).await, (0, 0, 1, 1));
    assert_eq!(merge(&[(9, 9), (9, 9), (9, 8)], Delete, NotMatched::Insert).await, (2, 0, 1, 0));
    assert_eq!(by_key(&table).await, BTreeMap::from([(2, 9), (3, 3), (9, 8)]));
    let version = table.snapshot().version;
    assert_eq!(merge(&[(2, 5)], Nothing, NotMatched::Nothing).await, (0, 0, 0, 1));
    assert_eq!(table.refresh().await.unwrap().version, version, "nothing to commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_is_refused() {
    let table = create(Arc::new(MemoryStore::new()), true).await;
    let append = async |given: &[(i64, i64)]| {
        let mut writer = table.writer();
        writer.append(&rows(given)).await?;
        writer.commit().await
    };
    append(&[(1, 1), (2, 2)]).await.unwrap();
    for given in [&[(3, 3), (2, 0)][..], &[(4, 4), (4, 5)]] {
        let error = append(given).await.unwrap_err();
        assert!(matches!(&error, TableError::DuplicateKey { .. }), "{error}");
    }
    let error = table.insert(&rows(&[(5, 5), (1, 0)])).await.unwrap_err();
    assert!(error.to_string().contains("k = 1"), "{error}");
    let error = table.update(keys(|k| k == 1), &rows(&[(2, 0)])).await.unwrap_err();
    assert!(error.to_string().contains("k = 2"), "{error}");
    table.update(keys(|k| k == 1), &rows(&[(6, 1)])).await.unwrap();
    table.delete(keys(|k| k == 2)).await.unwrap();
    append(&[(1, 5), (2, 6)]).await.unwrap();
    assert_eq!(by_key(&table).await, BTreeMap::from([(1, 5), (2, 6), (6, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_holds_all_that_a_writer_staged_in_order() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let table = create(store.clone(), true).await;
    table.upsert(&rows(&[(1, 1), (2, 2), (3, 3), (4, 4)])).await.unwrap();
    let version = table.snapshot().version;
    let mut writer = table.writer();
    writer.append(&rows(&[(10, 10), (11, 11), (12, 12)])).await.unwrap();
    writer.insert(&rows(&[(20, 20), (21, 21)])).await.unwrap();
    writer.delete(keys(|k| k == 1 || k == 10));
    writer.update(keys(|k| k == 2), &rows(&[(1, 100)])).await.unwrap();
    writer
        .upsert(&rows(&[(11, 111), (3, 33), (20, 200), (2, 5), (30, 30), (30, 31)]))
        .await
        .unwrap();
    let spec = MergeSpec { matched: Matched::Delete, not_matched: NotMatched::Nothing };
    writer.merge_insert(&rows(&[(12, 0), (30, 0), (99, 0)]), spec).await.unwrap();
    let receipt = writer.commit().await.unwrap();
    assert_eq!(receipt.version, version + 1, "one record");
    // Appended 3, inserted 2, and of the upsert 2 and 30.
    assert_eq!((receipt.inserted, receipt.updated), (7, 5));
    assert_eq!((receipt.deleted, receipt.unchanged), (3, 1));
    let expected = [(1, 100), (2, 5), (3, 33), (4, 4), (10, 10), (11, 111), (20, 200), (21, 21)];
    assert_eq!(by_key(&table).await, BTreeMap::from(expected));
    assert_eq!(receipt.rows, 7, "of those, all but one came in");
    let other = open(store).await;
    assert_eq!(by_key(&other).await, BTreeMap::from(expected));
    other.optimize(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(by_key(&table).await, BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_makes_an_upsert_and_an_append_happen_once() {
    let table = create(Arc::new(MemoryStore::new()), true).await;
    let mut versions = Vec::new();
    for _ in 0..2 {
        let mut writer = table.writer().token("job 1");
        writer.append(&rows(&[(1, 1)])).await.unwrap();
        writer.upsert(&rows(&[(2, 2)])).await.unwrap();
        let receipt = writer.commit().await.unwrap();
        versions.push((receipt.version, receipt.replayed));
    }
    assert_eq!(versions, [(2, false), (2, true)]);
    assert_eq!(by_key(&table).await, BTreeMap::from([(1, 1), (2, 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_commits_early_when_told_to() {
    let table = create(Arc::new(MemoryStore::new()), true).await;
    let mut writer = table.writer().auto_commit_bytes(100_000);
    for batch in 0..20 {
        let batch: Vec<_> = (batch * 500..(batch + 1) * 500).map(|k| (k, k)).collect();
        writer.append(&rows(&batch)).await.unwrap();
    }
    assert!(table.snapshot().version > 2);
    let receipt = writer.commit().await.unwrap();
    assert_eq!((receipt.rows, receipt.inserted), (10_000, 10_000));
    assert_eq!(by_key(&table).await.len(), 10_000);
}
