//! One object of a table at a time is damaged, and the table repaired: what can be had back is, what cannot is named.

mod numbers;

use std::collections::BTreeMap;
use std::sync::Arc;

use infino_storage::fault::{Fault, FaultStore, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::repair::{RepairReport, repair};
use infino_table::{Table, TableError};
use numbers::*;

type Versions = Vec<BTreeMap<i64, usize>>;

/// A table with a history of several checkpoints, a tag, dead and fresh rows, and a tail.
async fn whole() -> (Arc<dyn Store>, Versions) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = create(store.clone(), options()).await;
    for round in 0..5 {
        append(&table, round * 300..round * 300 + 250).await;
        append(&table, round * 300 + 250..(round + 1) * 300).await;
        table.delete(Arc::new(Between(round * 300 + 10, round * 300 + 20))).await.unwrap();
        if round == 1 {
            table.create_tag("kept", None).await.unwrap();
        }
        if round == 2 {
            table.insert(&rows(9000..9003)).await.unwrap();
        }
        table.checkpoint().await.unwrap();
    }
    table.insert(&rows(9100..9102)).await.unwrap();
    append(&table, 1500..1600).await;
    let versions = versions(&table).await.unwrap();
    (store, versions)
}

/// The rows of every version, the first at 0.
async fn versions(table: &Table) -> Result<Versions, TableError> {
    let newest = table.refresh().await?.version;
    let mut all = Vec::new();
    let mut reader = Reader::default();
    for version in 1..=newest {
        let old = table.at_version(version).await?;
        all.push(reader.live(table, &old).await);
    }
    Ok(all)
}

async fn repaired(store: &Arc<dyn Store>) -> RepairReport {
    repair(store.clone(), ROOT, runtime(), options()).await.unwrap()
}

/// A copy of the store without the faults that are done to the copy.
async fn copy(store: &Arc<dyn Store>) -> Arc<dyn Store> {
    let copy: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for info in store.list("").await.unwrap() {
        let (bytes, _) = store.get(&info.path).await.unwrap();
        match info.path.ends_with("/head") {
            true => drop(copy.swap(&info.path, None, bytes).await),
            false => copy.put(&info.path, bytes).await.unwrap(),
        }
    }
    copy
}

/// Deletes, cuts or changes the object.
async fn damage(store: &Arc<dyn Store>, path: &str, how: usize) {
    let (bytes, _) = store.get(path).await.unwrap();
    let mut bad = bytes.to_vec();
    match how {
        0 => return store.delete(path).await.unwrap(),
        1 => bad.truncate(bad.len() / 2),
        _ => {
            let at = bad.len() * 2 / 3;
            bad[at] ^= 16;
        }
    }
    store.put(path, bad.into()).await.unwrap();
}

/// The table is as it was, and can be written and collected.
async fn check(store: &Arc<dyn Store>, expected: &Versions, what: &str) {
    let table = open(store.clone(), options()).await;
    assert_eq!(&versions(&table).await.unwrap(), expected, "{what}");
    let tagged = table.at_tag("kept").await.unwrap();
    let kept = Reader::default().live(&table, &tagged).await;
    assert_eq!(kept, expected[tagged.version as usize - 1], "{what}");
    append(&table, 20_000..20_001).await;
    table.checkpoint().await.unwrap();
    table.optimize(std::time::Duration::ZERO).await.unwrap();
    assert!(table.verify().await.is_sound(), "{what}");
}

#[tokio::test]
async fn a_sound_table_is_left_alone() {
    let (store, expected) = whole().await;
    let counting = FaultStore::counting(store.clone());
    let table = open(counting.clone(), options()).await;
    counting.reset_counters();
    let report = table.repair().await.unwrap();
    assert!(report.found.is_sound() && report.fixed.is_empty() && report.lost.is_empty());
    assert_eq!(counting.counters().total().bytes_written, 0);
    assert_eq!(report.found.fresh_lots, 2);
    check(&store, &expected, "nothing").await;
}

#[tokio::test]
async fn every_part_and_list_comes_back() {
    let (store, expected) = whole().await;
    let (mut found, mut restored) = (0, 0);
    for info in store.list(&format!("{ROOT}/manifest/")).await.unwrap() {
        for how in 0..3 {
            let store = copy(&store).await;
            damage(&store, &info.path, how).await;
            let report = repaired(&store).await;
            let what = format!("{} damaged by {how}: {report:#?}", info.path);
            if report.found.is_sound() {
                continue; // of a fold that lost
            }
            found += 1;
            restored += usize::from(report.fixed.iter().any(|fix| fix.action == "restored"));
            assert!(report.lost.is_empty() && report.left.is_sound(), "{what}");
            check(&store, &expected, &what).await;
        }
    }
    assert!(found >= 30, "{found} objects");
    assert_eq!(restored, found, "each has its old bytes and its old name");
}

#[tokio::test]
async fn two_lists_and_a_part_at_once_come_back() {
    let (store, expected) = whole().await;
    let names: Vec<String> = store
        .list(&format!("{ROOT}/manifest/"))
        .await
        .unwrap()
        .into_iter()
        .map(|info| info.path)
        .collect();
    for stride in 2..5 {
        let store = copy(&store).await;
        for path in names.iter().step_by(stride) {
            damage(&store, path, stride % 3).await;
        }
        let report = repaired(&store).await;
        let what = format!("every {stride}th: {report:#?}");
        assert!(report.lost.is_empty() && report.left.is_sound(), "{what}");
        check(&store, &expected, &what).await;
    }
}

#[tokio::test]
async fn a_whole_manifest_folder_is_rebuilt_from_the_log() {
    for delete in [true, false] {
        let (store, expected) = whole().await;
        for info in store.list(&format!("{ROOT}/manifest/")).await.unwrap() {
            match delete {
                true => store.delete(&info.path).await.unwrap(),
                false => store.put(&info.path, b"not it".as_slice().into()).await.unwrap(),
            }
        }
        let report = repaired(&store).await;
        assert!(report.lost.is_empty() && report.left.is_sound(), "{report:#?}");
        assert!(report.fixed.iter().any(|fix| fix.action.contains("tag \"kept\"")), "{report:#?}");
        let table = open(store.clone(), options()).await;
        let mut again = expected.clone();
        // The commit that tags anew.
        again.push(expected.last().unwrap().clone());
        check(&store, &again, "the whole folder").await;
        assert!(table.verify().await.is_sound());
    }
}

#[tokio::test]
async fn a_segment_of_the_history_costs_its_versions_and_no_more() {
    let (store, expected) = whole().await;
    let mut lost = 0;
    for info in store.list(&format!("{ROOT}/log/")).await.unwrap() {
        let store = copy(&store).await;
        damage(&store, &info.path, 0).await;
        let report = repaired(&store).await;
        if report.found.is_sound() {
            continue;
        }
        lost += 1;
        assert_eq!(report.lost.len(), 1, "{report:#?}");
        assert_eq!(report.lost[0].path, info.path);
        let table = open(store.clone(), options()).await;
        assert_eq!(&live(&table).await, expected.last().unwrap());
        append(&table, 20_000..20_001).await;
    }
    assert!(lost >= 4, "{lost} segments");
}

#[tokio::test]
async fn indexes_come_back_and_rows_do_not() {
    let (store, expected) = whole().await;
    let table = open(store.clone(), options()).await;
    for entry in table.snapshot().entries.iter().filter(|entry| entry.built.is_none()) {
        let path = format!("{ROOT}/{}", entry.summary.path());
        let (good, _) = store.get(&path).await.unwrap();
        for section in &entry.summary.sections {
            for at in [section.offset, section.offset + section.len - 1] {
                let store = copy(&store).await;
                let mut bad = good.to_vec();
                bad[at as usize] ^= 1;
                store.put(&path, bad.into()).await.unwrap();
                let report = repaired(&store).await;
                assert!(report.lost.is_empty() && report.left.is_sound(), "{report:#?}");
                assert_eq!(report.fixed.len(), 1, "{report:#?}");
                assert!(store.get(&path).await.unwrap().0 == good, "byte for byte");
            }
        }
        let store = copy(&store).await;
        let mut bad = good.to_vec();
        bad[entry.summary.sections[0].offset as usize / 2] ^= 1;
        store.put(&path, bad.into()).await.unwrap();
        let report = repaired(&store).await;
        assert_eq!((report.lost.len(), report.fixed.len()), (1, 0), "{report:#?}");
        assert_eq!(report.lost[0].path, path);
        assert!(!report.left.is_sound());
    }
    check(&store, &expected, "the original").await;
}

#[tokio::test]
async fn a_store_that_fails_is_not_taken_for_a_loss() {
    let (store, expected) = whole().await;
    let list = store.list(&format!("{ROOT}/manifest/")).await.unwrap();
    damage(&store, &list[0].path, 0).await;
    for nth in 0..60 {
        let failing = FaultStore::new(copy(&store).await, 1);
        failing.add(Rule::new(Fault::Fail).after(nth).times(1));
        let outcome = repair(failing, ROOT, runtime(), options()).await;
        if let Ok(report) = outcome {
            assert!(report.lost.is_empty(), "{nth}: {report:#?}");
        }
    }
    let report = repaired(&store).await;
    assert!(report.left.is_sound() && report.lost.is_empty(), "{report:#?}");
    check(&store, &expected, "after failures").await;
}

#[tokio::test]
async fn a_lost_head_is_said_to_be_lost() {
    let (store, _) = whole().await;
    store.delete(&format!("{ROOT}/head")).await.unwrap();
    let outcome = repair(store, ROOT, runtime(), options()).await;
    assert!(matches!(outcome, Err(TableError::Wal(_))), "{outcome:?}");
}
