//! Files merged, the log folded, garbage taken, beside writers.

mod numbers;

use std::sync::Arc;
use std::time::Duration;

use infino_format::summary::Scalar;
use infino_storage::fault::{Crash, Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::maintain::MaintainOptions;
use infino_table::{
    BackgroundOptions, ClusterOptions, ClusterReport, CompactOptions, Table, TableError,
};
use numbers::*;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn many_files_become_one_and_say_the_same() {
    let table = create(memory(), options()).await;
    for i in 0..64 {
        append(&table, i * 10..i * 10 + 10).await;
    }
    table.delete(Arc::new(Between(95, 204))).await.unwrap();
    let before = live(&table).await;
    let report = table.compact(&CompactOptions::default()).await.unwrap();
    assert_eq!((report.groups, report.superfiles_added, report.rows_reclaimed), (1, 1, 110));
    assert_eq!(report.superfiles_removed, 64);
    assert_eq!(live(&table).await, before);
    let again = table.compact(&CompactOptions::default()).await.unwrap();
    assert_eq!(again, Default::default(), "nothing is left to do");
}

#[tokio::test]
async fn a_merge_opens_an_input_when_its_turn_comes() {
    let store = FaultStore::counting(memory());
    let table = create(store.clone(), options()).await;
    for i in 0..40 {
        append(&table, [i]).await;
    }
    let few = CompactOptions { files_max: 10, groups_max: 2, ..CompactOptions::default() };
    let report = table.compact(&few).await.unwrap();
    assert_eq!((report.groups, report.superfiles_removed, report.superfiles_added), (2, 20, 2));
    assert_eq!(live(&table).await, once(0..40));
    // The rest, and then what that gave.
    let all = CompactOptions { files_max: 10, ..CompactOptions::default() };
    table.compact(&all).await.unwrap();
    assert_eq!(table.snapshot().entries.len(), 1);
    assert_eq!(live(&table).await, once(0..40));
}

#[tokio::test]
async fn a_delete_that_lands_during_a_merge_follows_its_rows() {
    for _ in 0..5 {
        let store = FaultStore::new(memory(), 1);
        let table = create(store.clone(), options()).await;
        for i in 0..8 {
            append(&table, i * 100..i * 100 + 100).await;
        }
        let other = open(store.clone(), options()).await;
        store.add(Rule::new(Fault::Delay(Duration::from_millis(30))).on([StoreOperation::PutFile]));
        let defaults = CompactOptions::default();
        let merge = table.compact(&defaults);
        let delete = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            other.delete(Arc::new(Between(50, 349))).await.unwrap();
            append(&other, 900..901).await;
        };
        let (report, ()) = tokio::join!(merge, delete);
        report.unwrap();
        let expected = once((0..50).chain(350..800).chain(900..901));
        assert_eq!(live(&table).await, expected);
    }
}

#[tokio::test]
async fn maintenance_runs_in_the_background_until_it_is_dropped() {
    let table = create(memory(), options()).await;
    let interval = Duration::from_millis(5);
    let mut background = BackgroundOptions { interval, ..BackgroundOptions::default() };
    // Writers have at least so long between putting a file and committing it.
    background.maintain.keep = Some(Duration::from_secs(5));
    let handle = table.maintain_in_background(background.clone());
    for i in 0..60 {
        append(&table, [i]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..200 {
        let status = handle.status();
        if status.runs > 3 && table.snapshot().entries.len() < 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(table.snapshot().entries.len() < 20, "{:?}", handle.status());
    assert_eq!(live(&table).await, once(0..60));
    handle.stop().await;
    for i in 60..80 {
        append(&table, [i]).await;
    }
    let files = table.refresh().await.unwrap().entries.len();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(table.refresh().await.unwrap().entries.len(), files, "it stopped");
}

#[tokio::test]
async fn optimize_that_dies_at_any_operation_is_finished_by_the_next() {
    for (first, crash) in [(0, Crash::Before), (1, Crash::After)] {
        for at in (first..).step_by(2) {
            let clean = memory();
            let table = create(clean.clone(), options()).await;
            for i in 0..6 {
                append(&table, i * 10..i * 10 + 10).await;
            }
            table.delete(Arc::new(Between(5, 9))).await.unwrap();
            let store = FaultStore::new(clean.clone(), 1);
            let dying = open(store.clone(), options()).await;
            store.crash_at(store.operations() + at, crash);
            let _ = dying.optimize(Duration::ZERO).await;
            let expected = once((0..5).chain(10..60));
            let reached = store.has_crashed();
            drop(dying);
            let table = open(clean, options()).await;
            assert_eq!(live(&table).await, expected, "{crash:?} {at}");
            let options = MaintainOptions { keep: Some(Duration::ZERO), ..Default::default() };
            for _ in 0..4 {
                table.maintain(&options).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            assert_eq!(live(&table).await, expected, "{crash:?} {at}");
            let left = table.store().list(&format!("{ROOT}/data")).await.unwrap();
            assert_eq!(left.len(), 1, "{crash:?} {at}: garbage is left");
            if !reached {
                break;
            }
        }
    }
}

/// The ranges of `n` that the files hold, by their least.
fn ranges(table: &Table) -> Vec<(i64, i64)> {
    let snapshot = table.snapshot();
    let mut ranges: Vec<_> = snapshot
        .entries
        .iter()
        .map(|entry| match (&entry.summary.columns[0].min, &entry.summary.columns[0].max) {
            (Some(Scalar::Int(min)), Some(Scalar::Int(max))) => (*min, *max),
            other => panic!("{other:?}"),
        })
        .collect();
    ranges.sort_unstable();
    ranges
}

#[tokio::test]
async fn clustered_files_hold_ranges_apart_and_the_same_rows() {
    let table = create(memory(), options()).await;
    for file in 0..6 {
        append(&table, (0..200).map(|i| (i * 6 + file) * 7 % 1200)).await;
    }
    table.delete(Arc::new(Between(100, 149))).await.unwrap();
    let before = live(&table).await;
    let version = table.snapshot().version;
    let options =
        ClusterOptions { columns: vec!["n".into()], rows_target: 250, ..ClusterOptions::default() };
    let report = table.cluster(&options).await.unwrap();
    assert_eq!((report.groups, report.superfiles_removed, report.superfiles_added), (1, 6, 5));
    let found = ranges(&table);
    assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].0), "{found:?}");
    assert_eq!(live(&table).await, before);
    assert_eq!(table.snapshot().entries.deleted_rows(), 0);
    let old = table.at_version(version).await.unwrap();
    assert_eq!(Reader::default().live(&table, &old).await, before);
    assert!(table.verify().await.is_sound());
    // What is apart already is left alone, and one file of new rows is divided among those that it overlaps.
    assert_eq!(table.cluster(&options).await.unwrap(), ClusterReport::default());
    append(&table, (0..30).map(|i| 2000 + i * 2)).await;
    assert_eq!(table.cluster(&options).await.unwrap(), ClusterReport::default());
    append(&table, (0..30).map(|i| 2001 + i * 2)).await;
    let report = table.cluster(&options).await.unwrap();
    assert_eq!((report.superfiles_removed, report.superfiles_added), (2, 1));
    for columns in [vec![], vec!["nothing".to_owned()]] {
        let options = ClusterOptions { columns, ..ClusterOptions::default() };
        assert!(matches!(table.cluster(&options).await, Err(TableError::Invalid(_))));
    }
}

/// Rows that die while files are divided stay dead wherever they went.
#[tokio::test]
async fn deletes_follow_rows_that_are_clustered() {
    let store = FaultStore::new(memory(), 1);
    let table = create(store.clone(), options()).await;
    for file in 0..4 {
        append(&table, (0..100).map(|i| i * 4 + file)).await;
    }
    let other = open(store.clone(), options()).await;
    store.add(Rule::new(Fault::Delay(Duration::from_millis(40))).on([StoreOperation::PutFile]));
    let options =
        ClusterOptions { columns: vec!["n".into()], rows_target: 100, ..ClusterOptions::default() };
    let deleting = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        other.delete(Arc::new(Between(90, 120))).await.unwrap();
    };
    let (report, ()) = tokio::join!(table.cluster(&options), deleting);
    assert_eq!(report.unwrap().superfiles_added, 4);
    assert_eq!(live(&table).await, once((0..90).chain(121..400)));
    assert_eq!(live(&other).await, once((0..90).chain(121..400)));
}
