//! The table as it was, told and opened.

mod numbers;

use std::sync::Arc;
use std::time::Duration;

use infino_format::Operation;
use infino_manifest::ManifestError;
use infino_storage::fault::{Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_storage::{MemoryStore, StorageError, Store};
use infino_table::{ReadConsistency, TableError, TableOptions};
use numbers::*;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn as_of_each_of_a_thousand_versions_equals_the_model() {
    let table = create(memory(), options()).await;
    let mut model = vec![once([]), once([])];
    let mut times = vec![0, table.snapshot().time_ms];
    for step in 0..999i64 {
        let mut now = model.last().unwrap().clone();
        let version = match step % 5 {
            3 => {
                let (from, to) = (step * 2 / 3, step * 2 / 3 + 2);
                now.retain(|n, _| !(from..=to).contains(n));
                table.delete(Arc::new(Between(from, to))).await.unwrap().version
            }
            4 if step % 50 == 49 => {
                let old = model.len() as u64 - 7;
                now = model[old as usize].clone();
                table.restore(old).await.unwrap()
            }
            _ => {
                now.extend(once([step * 2, step * 2 + 1]));
                append(&table, [step * 2, step * 2 + 1]).await
            }
        };
        if version as usize == model.len() {
            model.push(now);
            times.push(table.snapshot().time_ms);
        } else {
            assert_eq!(Some(&now), model.last(), "nothing changed at step {step}");
        }
        // As if compaction came between.
        if step % 333 == 332 {
            let report = table.compact(&Default::default()).await.unwrap();
            let version = table.refresh().await.unwrap().version;
            assert!(report.superfiles_removed > 0);
            while model.len() <= version as usize {
                model.push(model.last().unwrap().clone());
                times.push(table.snapshot().time_ms);
            }
        }
    }
    assert!(model.len() > 900, "{} versions", model.len());
    let mut reader = Reader::default();
    for (version, expected) in model.iter().enumerate().skip(1) {
        let snapshot = table.at_version(version as u64).await.unwrap();
        assert_eq!(&reader.live(&table, &snapshot).await, expected, "version {version}");
        if version % 10 > 0 {
            continue;
        }
        let dated = table.at_time(times[version]).await.unwrap();
        assert!(dated.version >= version as u64 && dated.time_ms == times[version]);
    }
    let told = table.history(usize::MAX).await.unwrap();
    assert_eq!(told.len(), model.len() - 1);
    assert!(told.windows(2).all(|pair| pair[0].version == pair[1].version + 1));
    assert_eq!(told.last().unwrap().operation, Operation::Create);
    let added = told.iter().filter(|told| told.operation == Operation::Append);
    assert!(added.clone().all(|told| told.rows_added == 2 && told.superfiles_added == 1));
    for absent in [0, model.len() as u64] {
        let refused = table.at_version(absent).await;
        assert!(matches!(refused, Err(TableError::Manifest(ManifestError::NotKept { .. }))));
    }
}

#[tokio::test]
async fn a_tagged_version_outlives_its_retention() {
    let table = create(memory(), options()).await;
    append(&table, 0..10).await;
    assert_eq!(table.create_tag("first", None).await.unwrap(), 2);
    assert!(matches!(table.create_tag("first", None).await, Err(TableError::Invalid(_))));
    append(&table, 10..20).await;
    table.delete(Arc::new(Between(0, 4))).await.unwrap();
    let killed = table.version().await.unwrap();
    assert_eq!(table.create_tag("killed", Some(killed)).await.unwrap(), killed);
    table.delete(Arc::new(Between(5, 14))).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(3)).await;
        table.optimize(Duration::ZERO).await.unwrap();
    }
    let refused = table.at_version(3).await;
    assert!(matches!(refused, Err(TableError::Manifest(ManifestError::NotKept { .. }))));
    let mut reader = Reader::default();
    let first = table.at_tag("first").await.unwrap();
    assert_eq!(reader.live(&table, &first).await, once(0..10));
    let old = table.at_version(killed).await.unwrap();
    assert_eq!((old.version, reader.live(&table, &old).await), (killed, once(5..20)));
    // A tag of a version that only a tag keeps, and back to it.
    assert_eq!(table.create_tag("again", Some(2)).await.unwrap(), 2);
    table.delete_tag("first").await.unwrap();
    assert!(table.at_tag("first").await.is_err() && table.delete_tag("first").await.is_err());
    table.restore(2).await.unwrap();
    assert_eq!(live(&table).await, once(0..10));
    let names: Vec<_> = table.tags().await.unwrap().into_iter().map(|tag| tag.name).collect();
    assert_eq!(names, ["again", "killed"], "a restore leaves tags alone");
    let before = table.store().list(ROOT).await.unwrap().len();
    table.delete_tag("killed").await.unwrap();
    table.delete_tag("again").await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(3)).await;
        table.optimize(Duration::ZERO).await.unwrap();
    }
    assert!(table.store().list(ROOT).await.unwrap().len() < before);
    assert!(table.at_version(killed).await.is_err());
    assert_eq!(live(&table).await, once(0..10));
}

#[tokio::test]
async fn retention_is_a_setting_of_the_table() {
    let store = memory();
    let table = create(store.clone(), options()).await;
    assert_eq!(table.retention().await.unwrap(), None);
    let week = Duration::from_secs(7 * 86_400);
    table.set_retention(Some(week)).await.unwrap();
    let other = open(store, options()).await;
    assert_eq!(other.retention().await.unwrap(), Some(week));
    other.set_retention(None).await.unwrap();
    assert_eq!(table.retention().await.unwrap(), None);
}

#[tokio::test]
async fn consistency_is_as_asked() {
    let store = FaultStore::counting(memory());
    let writer = create(store.clone(), options()).await;
    let bounded = ReadConsistency::Bounded(Duration::from_secs(3600));
    let reader = open(store.clone(), TableOptions { consistency: bounded, ..options() }).await;
    let pinned = reader.pin().await.unwrap();
    let version = append(&writer, 0..5).await;
    let before = store.operations();
    assert_eq!(reader.version().await.unwrap(), 1);
    assert_eq!(store.operations(), before, "within the bound nothing is asked");
    assert_eq!(reader.pin_as(ReadConsistency::Manual).await.unwrap().version, 1);
    assert_eq!(reader.pin_as(ReadConsistency::Strong).await.unwrap().version, version);
    assert_eq!(store.operations(), before + 1, "one conditional read");
    assert_eq!(reader.version().await.unwrap(), version);
    assert_eq!(Reader::default().live(&reader, &pinned).await, once([]), "pinned is pinned");
    let stale = ReadConsistency::Bounded(Duration::ZERO);
    let last = append(&writer, 5..6).await;
    assert_eq!(reader.pin_as(stale).await.unwrap().version, last);
}

#[tokio::test]
async fn a_store_is_asked_once_before_it_is_written() {
    let clean = memory();
    create(clean.clone(), options()).await;
    let store = FaultStore::counting(clean);
    let runtime = runtime();
    let open = || {
        let options = TableOptions::default();
        infino_table::Table::open(store.clone(), ROOT, runtime.clone(), options)
    };
    let table = open().await.unwrap();
    assert!(store.operations() < 3, "reading asks nothing");
    append(&table, 0..1).await;
    let first = store.operations();
    append(&open().await.unwrap(), 1..2).await;
    assert!(first > 50 && store.operations() - first < 10);
    // A store that answers yes to everything.
    let liar = FaultStore::new(memory(), 1);
    create(liar.inner().clone(), options()).await;
    let table = numbers::open(liar.clone(), TableOptions::default()).await;
    liar.add(Rule::new(Fault::Duplicate).on([StoreOperation::Swap]).path(".probe/"));
    liar.add(Rule::new(Fault::Deny).on([StoreOperation::Put]).path(".probe/"));
    let mut writer = table.writer();
    writer.append(&rows(0..1)).await.unwrap();
    let refused = writer.commit().await;
    let unfit = matches!(
        &refused,
        Err(TableError::Storage(StorageError::Unfit { .. } | StorageError::Denied { .. }))
    );
    assert!(unfit, "{refused:?}");
    assert_eq!(live(&table).await, once([]));
}
