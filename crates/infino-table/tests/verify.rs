//! Damage of any object is found and named.

mod numbers;

use std::sync::Arc;

use infino_storage::{MemoryStore, Store};
use infino_table::verify::verify;
use numbers::*;

/// A table with one of everything.
async fn whole() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = create(store.clone(), options()).await;
    append(&table, 0..2000).await;
    append(&table, 2000..2100).await;
    table.delete(Arc::new(Between(2010, 2013))).await.unwrap();
    table.create_tag("kept", None).await.unwrap();
    table.checkpoint().await.unwrap();
    append(&table, 2100..2200).await;
    table.delete(Arc::new(Between(500, 600))).await.unwrap();
    store
}

#[tokio::test]
async fn a_sound_table_has_no_problems() {
    let store = whole().await;
    let table = open(store, options()).await;
    let report = table.verify().await;
    assert!(report.is_sound(), "{report:?}");
    let counts = (report.superfiles, report.deletion_vectors, report.lists, report.floor);
    assert_eq!(counts, (3, 2, 2, 1));
    assert_eq!((report.records as u64, report.version), (report.version, 7));
    table.compact(&Default::default()).await.unwrap();
    assert!(table.verify().await.is_sound());
}

#[tokio::test]
async fn damage_of_any_object_is_named() {
    let store = whole().await;
    for info in store.list(&format!("{ROOT}/")).await.unwrap() {
        let (bytes, _) = store.get(&info.path).await.unwrap();
        for damage in 0..4 {
            let mut bad = bytes.to_vec();
            match damage {
                0 => store.delete(&info.path).await.unwrap(),
                1 => bad.truncate(bad.len() / 2),
                2 => bad[0] ^= 1,
                _ => {
                    let at = bad.len() * 2 / 3;
                    bad[at] ^= 16;
                }
            }
            if damage > 0 {
                store.put(&info.path, bad.into()).await.unwrap();
            }
            let report = verify(store.clone(), ROOT).await;
            let named = report.problems.iter().any(|found| found.path == info.path);
            assert!(named, "{} damaged by {damage}: {:?}", info.path, report.problems);
            store.put(&info.path, bytes.clone()).await.unwrap();
        }
    }
    assert!(verify(store, ROOT).await.is_sound());
}
