use std::sync::Arc;

use infino_format::{Action, Operation, SuperfileId};
use infino_storage::fault::{Fault, Operation as StoreOperation, Rule};
use infino_storage::{StorageError, Store};

use crate::testing::*;
use crate::*;

#[tokio::test]
async fn a_table_is_created_once_and_opened_with_one_read() {
    let store = faulty(1);
    let log = create(&store).await;
    assert_eq!(log.current().head.version, 1);
    let again = Log::create(store.clone() as Arc<dyn Store>, ROOT, schema()).await;
    assert!(matches!(again, Err(WalError::AlreadyExists { .. })), "{again:?}");
    let elsewhere = Log::open(store.clone() as Arc<dyn Store>, "u").await;
    assert!(matches!(elsewhere, Err(WalError::NotFound { .. })), "{elsewhere:?}");
    let before = store.operations();
    let opened = open(&store).await;
    assert_eq!(store.operations() - before, 1);
    assert_eq!(opened.current().head, log.current().head);
}

#[tokio::test]
async fn an_uncontended_commit_is_one_swap() {
    let store = faulty(1);
    let log = create(&store).await;
    for id in 1..=5 {
        let before = store.operations();
        let committed = log.commit(append(&log, id)).await.unwrap();
        assert_eq!(committed.version, id as u64 + 1);
        assert_eq!(store.operations() - before, 1);
    }
    assert_eq!(added(&store).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_lost_race_rebases_appends_and_deletes() {
    let store = faulty(1);
    let (a, b) = (create(&store).await, open(&store).await);
    a.commit(append(&a, 1)).await.unwrap();
    b.refresh().await.unwrap();
    let kill = |log: &Log, docs: &[u32]| {
        change(log, Operation::Delete).delete(SuperfileId(1), None, rows(docs))
    };
    let (first, second) = (kill(&a, &[1, 2]), kill(&b, &[2, 3]));
    a.commit(first).await.unwrap();
    let committed = b.commit(second).await.unwrap();
    assert_eq!(committed.version, 4);
    let records = b.since(&committed.head, 3).await.unwrap();
    let [Action::SetDeletes { deletes, .. }] = &records[0].actions[..] else { panic!() };
    assert_eq!(deletes.rows(&[]).unwrap(), rows(&[1, 2, 3]));
}

#[tokio::test]
async fn two_updates_of_one_row_conflict() {
    let store = faulty(1);
    let (a, b) = (create(&store).await, open(&store).await);
    a.commit(append(&a, 1)).await.unwrap();
    b.refresh().await.unwrap();
    let update = |log: &Log, id, docs: &[u32]| {
        change(log, Operation::Update).add(superfile(id)).delete(SuperfileId(1), None, rows(docs))
    };
    let (first, same, other) = (update(&a, 2, &[1, 2]), update(&b, 3, &[2]), update(&b, 4, &[5]));
    a.commit(first).await.unwrap();
    let refused = b.commit(same).await;
    let expected = Conflict::RowsChanged { superfile: SuperfileId(1), rows: 1, version: 3 };
    assert!(
        matches!(&refused, Err(WalError::Conflict(found)) if *found == expected),
        "{refused:?}"
    );
    b.commit(other).await.unwrap();
    assert_eq!(added(&store).await, [1, 2, 4]);
}

#[tokio::test]
async fn large_records_and_vectors_stand_in_objects_and_the_head_stays_small() {
    let store = faulty(1);
    let log = create(&store).await;
    let mut big = change(&log, Operation::Append);
    for id in 1..=10_000 {
        big = big.add(superfile(id));
    }
    log.commit(big).await.unwrap();
    let scattered: roaring::RoaringBitmap = (0..100_000).filter(|row| row % 7 < 2).collect();
    let kill = change(&log, Operation::Delete).delete(SuperfileId(3), None, scattered);
    let committed = log.commit(kill).await.unwrap();
    assert!(log.current().bytes.len() < 8 * 1024, "{}", log.current().bytes.len());
    assert_eq!(log.since(&committed.head, 0).await.unwrap().len(), 3);
    // Deletes that stand in objects merge like others.
    let other = open(&store).await;
    let Action::SetDeletes { deletes, .. } =
        log.since(&committed.head, 2).await.unwrap()[0].actions[0].clone()
    else {
        panic!()
    };
    assert!(deletes.object().is_some());
    let more = |log: &Log, row| {
        change(log, Operation::Delete).delete(SuperfileId(3), Some(deletes.clone()), rows(&[row]))
    };
    let (first, second) = (more(&log, 3), more(&other, 4));
    log.commit(first).await.unwrap();
    let committed = other.commit(second).await.unwrap();
    let Action::SetDeletes { deletes: merged, .. } =
        other.since(&committed.head, 4).await.unwrap()[0].actions[0].clone()
    else {
        panic!()
    };
    assert_eq!(merged.count, deletes.count + 2);
}

#[tokio::test]
async fn a_token_is_committed_once() {
    let store = faulty(1);
    let (a, b) = (create(&store).await, open(&store).await);
    let first = a.commit(append(&a, 1).token("job-7")).await.unwrap();
    let again = b.commit(append(&b, 2).token("job-7")).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!((again.version, again.commit), (first.version, first.commit));
    let twins = (append(&a, 3).token("job-8"), append(&a, 4).token("job-8"));
    let (left, right) = tokio::join!(a.commit(twins.0), a.commit(twins.1));
    assert_eq!(left.unwrap().version, right.unwrap().version);
    assert_eq!(added(&store).await.len(), 2);
}

#[tokio::test]
async fn commits_of_one_process_share_swaps() {
    let store = faulty(1);
    let log = create(&store).await;
    let before = store.operations();
    let commits = (1..=64).map(|id| log.commit(append(&log, id)));
    let committed = futures::future::try_join_all(commits).await.unwrap();
    let mut versions: Vec<_> = committed.iter().map(|one| one.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=65).collect::<Vec<_>>());
    assert!(store.operations() - before <= 5, "{} operations", store.operations() - before);
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_before_anything_is_sent() {
    let store = faulty(1);
    let log = create(&store).await;
    let before = store.operations();
    let twice = change(&log, Operation::Delete).delete(SuperfileId(1), None, rows(&[1])).delete(
        SuperfileId(1),
        None,
        rows(&[2]),
    );
    let empty = change(&log, Operation::Append);
    let long = append(&log, 1).token("x".repeat(1000));
    for refused in [twice, empty, long] {
        let outcome = log.commit(refused).await;
        assert!(matches!(outcome, Err(WalError::Invalid { .. })), "{outcome:?}");
    }
    assert_eq!(store.operations(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_of_many_logs_commit_side_by_side() {
    let store = faulty(1);
    create(&store).await;
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let log = open(&store).await;
        for task in 0..8 {
            let log = log.clone();
            tasks.push(tokio::spawn(async move {
                for i in 0..10 {
                    let id = 1 + writer * 80 + task * 10 + i;
                    log.commit(append(&log, id)).await.unwrap();
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    check_exactly_once(&store, &(1..=320).collect()).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_writes_leaves_nothing_unknown() {
    let store = faulty(1);
    let log = create(&store).await;
    store.add(Rule::new(Fault::Deny).on([StoreOperation::Swap]));
    let outcome = log.commit(append(&log, 1)).await;
    let denied =
        |outcome: &_| matches!(outcome, Err(WalError::Storage(StorageError::Denied { .. })));
    assert!(denied(&outcome.map(drop)));
    let elsewhere = Log::create(store.clone() as Arc<dyn Store>, "u", schema()).await;
    assert!(denied(&elsewhere.map(drop)));
    store.heal();
    log.commit(append(&log, 2)).await.unwrap();
    // A refusal that follows an unclear answer proves nothing.
    store.add(Rule::new(Fault::FailAfter).on([StoreOperation::Swap]).times(1));
    store.add(Rule::new(Fault::Deny).on([StoreOperation::Swap]));
    store.add(Rule::new(Fault::Fail).on([StoreOperation::Get]));
    let outcome = log.commit(append(&log, 3)).await;
    assert!(matches!(outcome, Err(WalError::Unknown(_))), "{outcome:?}");
    store.heal();
    log.commit(append(&log, 4)).await.unwrap();
    assert_eq!(added(&store).await, [2, 3, 4]);
}

#[tokio::test]
async fn time_never_goes_back_whatever_the_clocks() {
    let store = faulty(1);
    create(&store).await;
    let open = |now_ms| {
        let options = LogOptions { now_ms, ..options() };
        Log::open_with(store.clone() as Arc<dyn Store>, ROOT, options)
    };
    let (early, late) = (open(|| 1_000).await.unwrap(), open(|| 1 << 50).await.unwrap());
    for id in 1..=3 {
        early.commit(append(&early, id * 2)).await.unwrap();
        late.commit(append(&late, id * 2 + 1)).await.unwrap();
    }
    let head = early.refresh().await.unwrap().head;
    let records = early.since(&head, 0).await.unwrap();
    assert!(records.is_sorted_by(|a, b| a.time_ms <= b.time_ms));
    assert_eq!((records.len(), head.time_ms), (7, 1 << 50));
}

#[tokio::test]
async fn a_group_larger_than_a_head_spills_to_segments() {
    let store = faulty(1);
    let log = create(&store).await;
    let big = |at: usize| {
        change(&log, Operation::Property).property(format!("k{at}"), Some("v".repeat(20_000)))
    };
    let commits = (0..100).map(|at| log.commit(big(at)));
    futures::future::try_join_all(commits).await.unwrap();
    let current = open(&store).await.current();
    assert!(current.bytes.len() <= 160 * 1024 && tail::segments(&current.head.tail) > 5);
    assert_eq!(log.since(&current.head, 0).await.unwrap().len(), 101);
}
