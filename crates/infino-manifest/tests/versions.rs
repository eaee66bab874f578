//! What a table was, is, and looks like after a fold.

mod support;

use std::collections::BTreeMap;

use infino_format::{Operation, SuperfileId};
use infino_manifest::{ManifestError, Snapshot, checkpoint, history};
use support::*;

#[tokio::test]
async fn a_fold_changes_nothing_but_what_is_read() {
    let table = Table::create().await;
    for id in 1..=30 {
        table.append(id).await;
    }
    table.kill(7, &[1, 2]).await;
    let before = contents(table.store(), &table.snapshot().await).await;
    table.fold().await;
    assert_eq!(contents(table.store(), &table.snapshot().await).await, before);
    assert!(table.log.current().head.tail.is_empty());
    table.append(31).await;
    let after = table.snapshot().await;
    assert_eq!((after.entries.len(), after.version), (31, 33));
}

#[tokio::test]
async fn advancing_equals_loading_across_folds() {
    let table = Table::create().await;
    let mut snapshot = table.snapshot().await;
    for round in 0..10 {
        for id in 0..7 {
            table.append(1 + round * 7 + id).await;
        }
        table.kill(1 + round * 7, &[round as u32]).await;
        if round % 3 == 2 {
            table.fold().await;
        }
        let loaded = table.snapshot().await;
        let head = table.log.current().head;
        snapshot = snapshot.advance(table.store(), ROOT, &head).await.unwrap();
        assert_eq!(snapshot.version, loaded.version);
        assert_eq!(
            contents(table.store(), &snapshot).await,
            contents(table.store(), &loaded).await
        );
    }
}

#[tokio::test]
async fn every_version_opens_as_it_was() {
    let table = Table::create().await;
    let mut model = BTreeMap::from([(1, contents(table.store(), &table.snapshot().await).await)]);
    for id in 1..=200u128 {
        let version = match id % 5 {
            4 => table.kill(id - 3, &[id as u32 % 50]).await,
            3 if id % 3 == 0 => {
                let change = table.change(Operation::Compact).remove(SuperfileId(id - 1));
                table.log.commit(change).await.unwrap().version
            }
            _ => table.append(id).await,
        };
        model.insert(version, contents(table.store(), &table.snapshot().await).await);
        if id % 9 == 0 {
            table.fold().await;
        }
    }
    let head = table.log.current().head;
    assert_eq!(head.version, 201);
    for (&version, expected) in &model {
        let before = table.store.operations();
        let snapshot = history::as_of_version(table.store(), ROOT, &head, version).await.unwrap();
        // A list for each step back, and the parts of one, at most seven of them small.
        let reads = table.store.operations() - before;
        assert!(reads <= 18, "version {version} took {reads} reads");
        assert_eq!(snapshot.version, version);
        assert_eq!(&contents(table.store(), &snapshot).await, expected, "version {version}");
    }
    let all = history::history(table.store(), ROOT, &head, usize::MAX).await.unwrap();
    assert_eq!(all.len(), 201);
    assert!(all.windows(2).all(|pair| pair[0].version == pair[1].version + 1));
    assert!(all.windows(2).all(|pair| pair[0].time_ms >= pair[1].time_ms));
    for info in all.iter().step_by(10) {
        let snapshot = history::as_of_time(table.store(), ROOT, &head, info.time_ms).await.unwrap();
        assert!(snapshot.version >= info.version && snapshot.time_ms == info.time_ms);
    }
    for absent in [0, 202] {
        let refused = history::as_of_version(table.store(), ROOT, &head, absent).await;
        assert!(matches!(refused, Err(ManifestError::NotKept { .. })));
    }
    let refused = history::as_of_time(table.store(), ROOT, &head, 5).await;
    assert!(matches!(refused, Err(ManifestError::NotKept { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_second_fold_of_one_version_loses_cleanly() {
    let table = Table::create().await;
    table.append(1).await;
    let snapshot = table.snapshot().await;
    let head = table.log.current().head;
    let fold = || checkpoint::fold(table.store(), ROOT, &head, &snapshot);
    let (first, second) = (fold().await.unwrap(), fold().await.unwrap());
    let done = table.log.publish(&first.checkpoint, first.epoch).await.unwrap();
    assert!(matches!(done, infino_wal::Published::Done(_)));
    let late = table.log.publish(&second.checkpoint, second.epoch).await.unwrap();
    assert!(matches!(late, infino_wal::Published::Superseded(_)));
    let loaded = Snapshot::load(table.store(), ROOT, &table.log.current().head).await.unwrap();
    assert_eq!(loaded.entries.len(), 1);
}

#[tokio::test]
async fn a_fold_names_no_part_that_the_newest_checkpoint_does_not() {
    let table = Table::create().await;
    let add = |ids: std::ops::Range<u128>| {
        ids.fold(table.change(Operation::Append), |change, id| change.add(superfile(id)))
    };
    table.log.commit(add(1..1500)).await.unwrap();
    table.fold().await;
    let standing = table.snapshot().await;
    // Another process, which knows no parts, folds next; then the first one does, from what it has held all along.
    table.append(1500).await;
    let head = table.log.current().head;
    let standing = standing.advance(table.store(), ROOT, &head).await.unwrap();
    let mut other = Snapshot::empty(head.table);
    for record in table.log.since(&head, 0).await.unwrap() {
        other = infino_manifest::apply(&other, &record).unwrap();
    }
    // One that saw a fold keeps what came later in a part of its own.
    for (snapshot, parts) in [(other, 2), (standing, 3)] {
        let head = table.log.current().head;
        let snapshot = snapshot.advance(table.store(), ROOT, &head).await.unwrap();
        let folded = checkpoint::fold(table.store(), ROOT, &head, &snapshot).await.unwrap();
        assert_eq!(folded.objects, 2 + parts, "segment, list and all parts are written");
        table.log.publish(&folded.checkpoint, folded.epoch).await.unwrap();
        table.append(u128::from(snapshot.version) + 9000).await;
    }
    assert_eq!(table.snapshot().await.entries.len(), 1502);
}

#[tokio::test]
async fn any_version_is_restored_by_one_commit() {
    let table = Table::create().await;
    for id in 1..=4 {
        table.append(id).await;
    }
    let property =
        |value: &str| table.change(Operation::Property).property("owner", Some(value.to_owned()));
    table.kill(1, &[1, 2]).await;
    table.log.commit(property("search")).await.unwrap();
    table.kill(1, &[3]).await;
    table.log.commit(table.change(Operation::Compact).remove(SuperfileId(2))).await.unwrap();
    table.append(5).await;
    table.log.commit(table.change(Operation::Schema).schema(schema(2))).await.unwrap();
    table.log.commit(property("shop")).await.unwrap();
    table.fold().await;
    for version in 1..=12 {
        let head = table.log.refresh().await.unwrap().head;
        let old = history::as_of_version(table.store(), ROOT, &head, version).await.unwrap();
        let now = table.snapshot().await;
        let actions = history::restore(&now, &old);
        if actions.is_empty() {
            continue;
        }
        now.check(&actions).unwrap();
        let mut change = table.change(Operation::Restore).exclusive();
        change.actions = actions;
        table.log.commit(change).await.unwrap();
        let restored = table.snapshot().await;
        let expected = contents(table.store(), &old).await;
        assert_eq!(contents(table.store(), &restored).await, expected, "version {version}");
        assert!(history::restore(&restored, &old).is_empty());
    }
    // A restore bears nothing beside it.
    let mut late = table.change(Operation::Restore).exclusive().remove(SuperfileId(1));
    late.read_version -= 1;
    let refused = table.log.commit(late).await;
    assert!(matches!(refused, Err(infino_wal::WalError::Conflict(_))), "{refused:?}");
}
