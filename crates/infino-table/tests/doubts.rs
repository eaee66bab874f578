//! What was in doubt, came at once, or failed beside: nothing is lost, doubled, or said to be what it is not.

mod numbers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field};
use infino_format::schema::IndexSet;
use infino_storage::fault::{Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::{SchemaChange, Table, TableError, TableOptions};
use infino_wal::{Change, Conflict, WalError, tail};
use numbers::*;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// A swap of the head and every look at it fail, whether it happened or not.
fn silence(store: &FaultStore, swap: Fault) {
    store.add(Rule::new(swap).on([StoreOperation::Swap]));
    store.add(Rule::new(Fault::Fail).on([StoreOperation::Get, StoreOperation::GetIfChanged]));
}

#[tokio::test(start_paused = true)]
async fn a_writer_whose_automatic_commit_is_in_doubt_sends_nothing_again() {
    for (swap, happened) in [(Fault::FailAfter, true), (Fault::Fail, false)] {
        let store = FaultStore::new(memory(), 1);
        let table = create(store.clone(), options()).await;
        let mut writer = table.writer().auto_commit_bytes(4000);
        writer.append(&rows(0..1)).await.unwrap();
        silence(&store, swap);
        let error = writer.append(&rows(1..400)).await.unwrap_err();
        assert!(matches!(error, TableError::Wal(WalError::Unknown(_))), "{error}");
        store.heal();
        let refused = writer.append(&rows(400..401)).await;
        assert!(matches!(refused, Err(TableError::Invalid(_))), "{refused:?}");
        assert!(matches!(writer.commit().await, Err(TableError::Invalid(_))));
        let fresh = open(store.inner().clone(), options()).await;
        let mut expected = if happened { once(0..400) } else { once([]) };
        assert_eq!(live(&fresh).await, expected);
        // The handle goes on, and what is in doubt is settled before.
        append(&table, 500..501).await;
        expected.insert(500, 1);
        let found = live(&fresh).await;
        let sent_again: BTreeMap<_, _> = once((0..400).chain([500]));
        assert!(found == expected || (!happened && found == sent_again), "{}", found.len());
    }
}

#[tokio::test]
async fn a_writer_whose_automatic_commit_was_given_up_halfway_is_in_doubt() {
    let store = FaultStore::new(memory(), 1);
    let table = create(store.clone(), options()).await;
    let mut writer = table.writer().auto_commit_bytes(4000);
    writer.append(&rows(0..1)).await.unwrap();
    store.add(Rule::new(Fault::Delay(Duration::from_millis(300))).on([StoreOperation::Swap]));
    let swaps = || store.counters().of(StoreOperation::Swap).calls;
    let (batch, before) = (rows(1..400), swaps());
    let sent = async {
        while swaps() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        outcome = writer.append(&batch) => panic!("{outcome:?}"),
        () = sent => {}
    }
    store.heal();
    assert!(matches!(writer.append(&batch).await, Err(TableError::Invalid(_))));
    assert!(matches!(writer.commit().await, Err(TableError::Invalid(_))));
    // A commit goes on when whoever waits for it has gone.
    while live(&table).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(live(&table).await, once(0..400));
}

#[tokio::test]
async fn rows_staged_for_a_column_that_went_and_came_back_are_not_taken() {
    let field = || Field::new("extra", DataType::Int64, true);
    let add = || SchemaChange::AddColumn { field: field(), default: None };
    let store = memory();
    let table = create(store.clone(), options()).await;
    table.alter(&[add()]).await.unwrap();
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from(vec![1])) as arrow::array::ArrayRef),
        ("body", Arc::new(StringArray::from(vec!["old"]))),
        ("extra", Arc::new(Int64Array::from(vec![77]))),
    ])
    .unwrap();
    for built in [false, true] {
        // With no room to wait in, the rows are built into a file at once.
        let buffer_bytes = if built { 1 } else { 1 << 20 };
        let options = TableOptions { buffer_bytes, ..options() };
        let writing = open(store.clone(), options).await;
        let mut writer = writing.writer();
        writer.append(&batch).await.unwrap();
        writer.append(&batch).await.unwrap();
        let other = open(store.clone(), numbers::options()).await;
        other.alter(&[SchemaChange::DropColumn("extra".into())]).await.unwrap();
        other.alter(&[add()]).await.unwrap();
        let outcome = writer.commit().await;
        let conflict = matches!(
            outcome,
            Err(TableError::Wal(WalError::Conflict(Conflict::SchemaChanged { .. })))
        );
        assert!(conflict, "{outcome:?}");
        assert_eq!(live(&table).await, BTreeMap::new());
    }
}

/// A table whose key is `n`.
async fn keyed(store: Arc<dyn Store>) -> Table {
    let columns = arrow::datatypes::Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("body", DataType::Utf8, true),
    ]);
    let indexes = IndexSet { key: vec!["n".into()], ..IndexSet::default() };
    let schema = infino_superfile::table_schema(&columns, indexes).unwrap();
    Table::create(store, ROOT, schema, runtime(), options()).await.unwrap()
}

#[tokio::test]
async fn inserts_that_share_a_commit_are_told_each_of_its_own() {
    let store = FaultStore::new(memory(), 1);
    let table = keyed(store.clone()).await;
    table.insert(&rows(1..2)).await.unwrap();
    for (round, faulty) in [false, true].into_iter().enumerate() {
        let free = 10 * (round as i64 + 1);
        if faulty {
            // What is asked for the sake of the refused one alone: whether its key is still taken.
            store.add(Rule::new(Fault::Fail).on([StoreOperation::GetIfChanged]));
        }
        let (taken, new) = (rows(1..2), rows(free..free + 2));
        let (refused, done) = tokio::join!(table.insert(&taken), table.insert(&new));
        store.heal();
        let receipt = done.unwrap_or_else(|error| panic!("{faulty}: {error}"));
        assert_eq!(receipt.inserted, 2);
        match refused {
            Err(TableError::DuplicateKey { .. }) => {}
            Err(TableError::Wal(_)) if faulty => {}
            other => panic!("{faulty}: {other:?}"),
        }
    }
    let expected = once([1, 10, 11, 20, 21]);
    assert_eq!(live(&table).await, expected);
    assert_eq!(live(&open(store, options()).await).await, expected);
}

/// Waits until every row is in a superfile.
async fn sealed(table: &Table) {
    for _ in 0..500 {
        if table.refresh().await.unwrap().fresh.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} lots are never sealed", table.snapshot().fresh.len());
}

#[tokio::test]
async fn a_seal_that_failed_is_tried_again() {
    let store = FaultStore::new(memory(), 1);
    let table = create(store.clone(), TableOptions { seal_bytes: 1, ..options() }).await;
    for round in 0..3 {
        store.add(Rule::new(Fault::Fail).on([StoreOperation::PutFile]));
        table.insert(&rows(round * 10..round * 10 + 1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(table.refresh().await.unwrap().fresh.len(), 1, "it cannot be sealed");
        store.heal();
        table.insert(&rows(round * 10 + 1..round * 10 + 2)).await.unwrap();
        sealed(&table).await;
    }
    assert_eq!(live(&table).await, once([0, 1, 10, 11, 20, 21]));
}

/// Rows too long to ride in the head, and that do not get shorter.
fn long(n: i64) -> RecordBatch {
    let mut state = n as u64;
    let text: String = (0..tail::RECORD_INLINE_BYTES_MAX + 8192)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            char::from(b'!' + (state >> 33) as u8 % 90)
        })
        .collect();
    let columns = vec![
        Arc::new(Int64Array::from(vec![n])) as _,
        Arc::new(StringArray::from(vec![text])) as _,
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

#[tokio::test]
async fn a_burst_of_inserts_outruns_neither_a_slow_seal_nor_the_log() {
    let store = FaultStore::new(memory(), 1);
    let options = TableOptions { seal_bytes: 1 << 20, ..options() };
    let table = create(store.clone(), options).await;
    store.add(Rule::new(Fault::Delay(Duration::from_millis(700))).on([StoreOperation::PutFile]));
    let count = tail::TAIL_SEGMENTS_MAX as i64 + 60;
    let mut most = 0;
    for n in 0..count {
        table.insert(&long(n)).await.unwrap_or_else(|error| panic!("row {n}: {error}"));
        most = most.max(tail::segments(&table.log().current().head.tail));
    }
    assert!(most < tail::TAIL_SEGMENTS_MAX / 2, "{most} segments");
    assert!(table.snapshot().fresh_bytes() < 10 << 20, "{}", table.snapshot().fresh_bytes());
    store.heal();
    assert_eq!(live(&table).await, once(0..count));
}

#[tokio::test]
async fn a_log_that_somebody_filled_is_folded_by_who_needs_room() {
    let table = create(memory(), options()).await;
    let mut filled = 0;
    loop {
        let head = table.log().refresh().await.unwrap().head;
        let value = Some("x".repeat(tail::RECORD_INLINE_BYTES_MAX + 1));
        let change = Change::new(infino_format::Operation::Property, head.version, head.epoch);
        match table.log().commit(change.property("filler", value)).await {
            Ok(_) => filled += 1,
            Err(WalError::TailFull { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(filled, tail::TAIL_SEGMENTS_MAX);
    append(&table, 0..1).await;
    table.insert(&rows(1..2)).await.unwrap();
    assert_eq!(live(&table).await, once(0..2));
}

/// A tag that was made can be opened for good, whatever a collector without mercy does beside it.
#[tokio::test(flavor = "multi_thread")]
async fn tags_made_beside_a_merciless_collector_can_be_opened() {
    let store = memory();
    let table = create(store.clone(), options()).await;
    append(&table, 0..50).await;
    let other = open(store.clone(), options()).await;
    let collecting = tokio::spawn({
        let (table, other) = (table.clone(), other.clone());
        async move {
            for round in 0..15i64 {
                append(&other, [1000 + round]).await;
                // The handle that tags collects too, so that its head runs ahead of its snapshot.
                table.optimize(Duration::ZERO).await.unwrap();
                other.optimize(Duration::ZERO).await.unwrap();
            }
        }
    });
    let mut made = 0;
    while !collecting.is_finished() && made < 40 {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let name = format!("tag {made}");
        match table.create_tag(&name, None).await {
            Ok(_) => made += 1,
            Err(TableError::Manifest(_) | TableError::Contention { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    collecting.await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        other.optimize(Duration::ZERO).await.unwrap();
    }
    let mut reader = Reader::default();
    for tag in table.tags().await.unwrap() {
        let old = table.at_tag(&tag.name).await.unwrap();
        assert!(reader.live(&table, &old).await.len() >= 50, "{}", tag.name);
    }
    assert!(other.verify().await.is_sound());
}
