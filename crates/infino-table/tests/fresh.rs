//! Fresh rows: one compare-and-swap, visible to all at once, sealed without a gap or a duplicate.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infino_format::head::HEAD_BYTES_MAX;
use infino_storage::fault::{Counters, FaultStore, Operation};
use infino_storage::{MemoryStore, Store};
use infino_table::{Table, TableOptions};
use support::{ROOT, all, by_key, create, keys, open, options, rows, runtime, schema, search};

/// A table that seals only when told to.
async fn unsealed(store: Arc<dyn Store>, keyed: bool) -> Table {
    let options = TableOptions { seal_bytes: 0, ..options() };
    Table::create(store, ROOT, schema(keyed), runtime(), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_is_one_swap_and_every_reader_finds_its_rows() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let table = unsealed(store.clone(), false).await;
    let reader = open(store.clone()).await;
    let before = store.counters();
    let receipt = table.insert(&rows(&[(1, 10), (2, 20)])).await.unwrap();
    assert_eq!((receipt.rows, receipt.version), (2, 2));
    let after = store.counters();
    assert_eq!(after.of(Operation::Swap).calls - before.of(Operation::Swap).calls, 1);
    assert_eq!(after.total().calls - before.total().calls, 1, "and nothing else");

    assert_eq!(search(&reader, "value20").await, [2]);
    assert_eq!(
        store.counters().total().calls - after.total().calls,
        1,
        "one conditional read of the head"
    );
    assert_eq!(by_key(&reader).await, BTreeMap::from([(1, 10), (2, 20)]));
    assert_eq!(search(&open(store).await, "key1").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_rows_are_deleted_updated_and_sealed_like_others() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = unsealed(store.clone(), false).await;
    let mut writer = table.writer();
    writer.append(&rows(&[(100, 1), (101, 1)])).await.unwrap();
    writer.commit().await.unwrap();
    for k in 0..10 {
        table.insert(&rows(&[(k, k), (k + 20, k)])).await.unwrap();
    }
    table.delete(keys(|k| k % 5 == 1)).await.unwrap();
    table.update(keys(|k| k == 3), &rows(&[(3, 333)])).await.unwrap();
    let before = all(&table, &table.snapshot()).await;
    assert_eq!(before.len(), 22 - 5);
    let version = table.snapshot().version;

    let report = table.seal().await.unwrap();
    assert_eq!((report.lots, report.superfiles), (10, 1));
    let snapshot = table.snapshot();
    assert!(snapshot.fresh.is_empty() && snapshot.entries.iter().all(|e| e.built.is_none()));
    assert_eq!(all(&table, &snapshot).await, before);
    assert_eq!(all(&open(store.clone()).await, &snapshot).await, before);
    assert_eq!(search(&table, "value333").await, [3]);
    assert!(search(&table, "key21").await.is_empty());

    table.checkpoint().await.unwrap();
    let old = table.at_version(version).await.unwrap();
    assert_eq!(old.fresh.len(), 10);
    assert_eq!(all(&table, &old).await, before, "the version before is as it was");
    assert_eq!(table.seal().await.unwrap().lots, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_carries_rows_that_are_not_sealed() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = unsealed(store.clone(), true).await;
    table.insert(&rows(&[(1, 1), (2, 2)])).await.unwrap();
    table.upsert(&rows(&[(2, 3)])).await.unwrap();
    assert!(table.checkpoint().await.unwrap());
    assert!(table.log().current().head.tail.is_empty());
    let expected = BTreeMap::from([(1, 1), (2, 3)]);
    assert_eq!(by_key(&table).await, expected);
    let other = open(store.clone()).await;
    assert_eq!(by_key(&other).await, expected);
    other.insert(&rows(&[(4, 4)])).await.unwrap();
    let taken = other.insert(&rows(&[(2, 0)])).await;
    assert!(taken.is_err(), "a key of an unsealed row is taken");
    other.optimize(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(by_key(&table).await, BTreeMap::from([(1, 1), (2, 3), (4, 4)]));
    assert!(table.snapshot().fresh.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_while_rows_are_sealed_stays() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = unsealed(store.clone(), true).await;
    let other = open(store).await;
    for round in 0..10i64 {
        for k in 0..4 {
            table.insert(&rows(&[(round * 10 + k, 0)])).await.unwrap();
        }
        let replacing = rows(&[(round * 10 + 1, 1)]);
        let (sealed, deleted, upserted, inserted) = tokio::join!(
            table.seal(),
            other.delete(keys(move |k| k == round * 10)),
            other.upsert(&replacing),
            async { other.insert(&rows(&[(round * 10 + 9, 9)])).await }
        );
        sealed.unwrap();
        assert_eq!(deleted.unwrap().matched, 1);
        assert_eq!(upserted.unwrap().updated, 1);
        inserted.unwrap();
    }
    let found = by_key(&table).await;
    let expected = (0..10)
        .flat_map(|round| [(1, 1), (2, 0), (3, 0), (9, 9)].map(|(k, v)| (round * 10 + k, v)));
    assert_eq!(found, expected.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_many_tasks_share_swaps_and_objects() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let table = create(store.clone(), false).await;
    let before = store.counters();
    let text = "the quick brown fox jumps over the lazy dog while the band plays on ";
    let batch = |k: i64| {
        let rows = rows(&(k..k + 10).map(|k| (k, k)).collect::<Vec<_>>());
        let text = (k..k + 10).map(|k| Some(format!("{} {k}", text.repeat(4))));
        let text: arrow::array::StringArray = text.collect();
        let columns = vec![rows.column(0).clone(), rows.column(1).clone(), Arc::new(text)];
        arrow::array::RecordBatch::try_new(rows.schema(), columns).unwrap()
    };
    let tasks = (0..8i64).map(|task| {
        let table = table.clone();
        tokio::spawn(async move {
            let mut bytes = 0;
            for i in 0..40 {
                let rows = batch(task * 1000 + i * 10);
                bytes += rows.get_array_memory_size() as u64;
                table.insert(&rows).await.unwrap();
            }
            bytes
        })
    });
    let mut bytes = 0;
    for task in tasks.collect::<Vec<_>>() {
        bytes += task.await.unwrap();
        let head = table.log().refresh().await.unwrap();
        assert!(head.bytes.len() <= HEAD_BYTES_MAX);
    }
    // Whatever is sealed in the background ends before it is counted.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(by_key(&table).await.len(), 3200);
    let after = store.counters();
    let put = |counters: &Counters| {
        counters.of(Operation::Put).calls + counters.of(Operation::PutFile).calls
    };
    let objects = put(&after) - put(&before);
    assert!(objects <= 2 + bytes / (256 << 10), "{objects} objects for {bytes} bytes");
    let ids: BTreeSet<_> = all(&table, &table.snapshot()).await.iter().map(|row| row.0).collect();
    assert_eq!(ids.len(), 3200);
}
