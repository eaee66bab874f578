//! Commits over a store that loses replies, delivers late, twice or not at all, and stops at any operation.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use infino_format::{Action, Operation, SuperfileId};
use infino_manifest::gc::{GcOptions, collect};
use infino_manifest::{Snapshot, checkpoint, history};
use infino_storage::Store;
use infino_storage::fault::{Crash, Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_wal::{Change, FenceOptions, Log, Resolved, WalError, tail};
use support::clock::ClockStore;
use support::row::Row;
use support::*;

/// By then every request that was on its way has landed.
const LANDED: Duration = Duration::from_secs(3600);

/// Commits `each` appends from each of `writers` logs while `rules` are in force; folds as it goes. What a commit says is
/// held against what the table holds in the end.
async fn storm(seed: u64, writers: u64, each: u64, rules: Vec<Rule>) -> Tally {
    let table = Table::create().await;
    let store = FaultStore::new(table.store.inner().clone(), seed);
    let mut logs = Vec::new();
    for _ in 0..writers {
        logs.push(Log::open_with(store.clone(), ROOT, options()).await.expect("no faults yet"));
    }
    rules.into_iter().for_each(|rule| store.add(rule));
    let tasks = logs.into_iter().enumerate().map(|(writer, log)| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut acked, mut unknown) = (BTreeSet::new(), BTreeSet::new());
            for i in 0..each {
                let id = u128::from(writer as u64 * each + i + 1);
                let head = log.current().head;
                let change =
                    Change::new(Operation::Append, head.version, head.epoch).add(superfile(id));
                let commit = change.commit;
                let outcome = match log.commit(change).await {
                    Err(WalError::Unknown(_)) => match log.resolve(commit).await {
                        Ok(Resolved::Committed { .. }) => Ok(()),
                        Ok(Resolved::Absent) => Err(false),
                        Err(_) => Err(true),
                    },
                    Err(_) => Err(false),
                    Ok(_) => Ok(()),
                };
                match outcome {
                    Ok(()) => drop(acked.insert(id)),
                    Err(true) => drop(unknown.insert(id)),
                    Err(false) => {}
                }
                fold_if_due(&*store, &log).await;
            }
            (acked, unknown)
        })
    });
    let mut tally = Tally::default();
    for task in tasks.collect::<Vec<_>>() {
        let (acked, unknown) = task.await.expect("no task panics");
        tally.acked.extend(acked);
        tally.unknown.extend(unknown);
    }
    // Whatever is still on its way lands.
    tokio::time::sleep(LANDED).await;
    tally.swaps = store.counters().of(StoreOperation::Swap).calls;
    tally.check(&table).await;
    tally
}

async fn fold_if_due(store: &dyn Store, log: &Log) {
    let head = log.current().head;
    // Each writer now and then, so that they do not all do it at once all the time.
    if !tail::wants_fold(&head) || !head.version.is_multiple_of(5) {
        return;
    }
    let Ok(snapshot) = Snapshot::load(store, ROOT, &head).await else { return };
    if let Ok(folded) = checkpoint::fold(store, ROOT, &head, &snapshot).await {
        let _ = log.publish(&folded.checkpoint, folded.epoch).await;
    }
}

#[derive(Default)]
struct Tally {
    acked: BTreeSet<u128>,
    unknown: BTreeSet<u128>,
    swaps: u64,
}

impl Tally {
    /// Every acknowledged append is in the table once, and nothing else but what nobody could resolve.
    async fn check(&self, table: &Table) {
        let clean = table.store.inner();
        let log = Log::open(clean.clone(), ROOT).await.expect("the table opens");
        let head = log.current().head;
        let snapshot = Snapshot::load(&**clean, ROOT, &head).await.expect("the table loads");
        let applied: BTreeSet<u128> = snapshot.entries.iter().map(|entry| entry.id().0).collect();
        let lost: Vec<_> = self.acked.difference(&applied).collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        let extra: Vec<_> = applied
            .iter()
            .filter(|id| !self.acked.contains(id) && !self.unknown.contains(id))
            .collect();
        assert!(extra.is_empty(), "there and never acknowledged: {extra:?}");
        let versions = history::history(&**clean, ROOT, &head, usize::MAX).await.unwrap();
        assert_eq!(versions.len() as u64, head.version);
        assert_eq!(applied.len() as u64, head.version - 1, "an append was applied twice");
    }
}

fn swaps(fault: Fault, chance: f64) -> Rule {
    Rule::new(fault).on([StoreOperation::Swap]).chance(chance)
}

fn reads(fault: Fault, chance: f64) -> Rule {
    let all = [StoreOperation::Get, StoreOperation::GetIfChanged];
    Rule::new(fault).on(all).chance(chance)
}

#[tokio::test(start_paused = true)]
async fn f2_lost_replies_neither_lose_nor_repeat_a_commit() {
    let mut row = Row::new("F2");
    for seed in row.seeds(20) {
        row.run(seed, async move {
            // Applied and then no reply, or applied twice and answered for the second time.
            let rules = vec![swaps(Fault::FailAfter, 0.1), swaps(Fault::Duplicate, 0.05)];
            let tally = storm(seed, 8, 1250 / 20, rules).await;
            assert_eq!((tally.acked.len(), tally.unknown.len()), (8 * (1250 / 20), 0));
            tally.swaps
        })
        .await;
    }
    row.finish();
}

#[tokio::test(start_paused = true)]
async fn f3_late_deliveries_neither_lose_nor_repeat_a_commit() {
    let mut row = Row::new("F3");
    for seed in row.seeds(30) {
        row.run(seed, async move {
            let rules = vec![
                swaps(Fault::Late(Duration::from_millis(1)), 0.06),
                swaps(Fault::Late(Duration::from_millis(100)), 0.06),
                swaps(Fault::Late(Duration::from_secs(5)), 0.06),
                swaps(Fault::Late(Duration::from_secs(30)), 0.06),
            ];
            let tally = storm(seed, 6, 60, rules).await;
            assert_eq!((tally.acked.len(), tally.unknown.len()), (360, 0));
            // About a quarter of the swaps were late.
            tally.swaps / 4
        })
        .await;
    }
    row.finish();
}

#[tokio::test(start_paused = true)]
async fn all_faults_at_once_neither_lose_nor_repeat_a_commit() {
    for seed in 0..40 {
        let rules = vec![
            swaps(Fault::FailAfter, 0.07),
            swaps(Fault::Late(Duration::from_millis(30)), 0.07),
            swaps(Fault::Duplicate, 0.05),
            swaps(Fault::Fail, 0.05),
            swaps(Fault::Delay(Duration::from_millis(20)), 0.1),
            reads(Fault::Fail, 0.05),
            reads(Fault::Truncate, 0.03),
            reads(Fault::BitFlip, 0.02),
            Rule::new(Fault::Fail).on([StoreOperation::Put]).chance(0.05),
        ];
        let tally = storm(seed, 6, 40, rules).await;
        assert!(tally.acked.len() >= 230, "only {} of 240 went through", tally.acked.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_silent_leaves_an_unknown_that_resolves() {
    for landed in [true, false] {
        let table = Table::create().await;
        let fault = if landed { Fault::FailAfter } else { Fault::Fail };
        table.store.add(swaps(fault, 1.0));
        table.store.add(reads(Fault::Fail, 1.0));
        let change = table.change(Operation::Append).add(superfile(1));
        let commit = change.commit;
        let outcome = table.log.commit(change).await;
        assert!(matches!(outcome, Err(WalError::Unknown(id)) if id == commit), "{outcome:?}");
        // While the store is silent nothing else is tried either.
        let other = table.log.commit(table.change(Operation::Append).add(superfile(2))).await;
        assert!(matches!(other, Err(WalError::Storage(_))), "{other:?}");
        table.store.heal();
        // Another process asks: what has not landed never will, once the head has moved.
        let asked = Table::open(&table.store).await.log.resolve(commit).await.unwrap();
        let expected = if landed { Resolved::Committed { version: 2 } } else { Resolved::Absent };
        assert_eq!(asked, expected);
        assert_eq!(table.log.resolve(commit).await.unwrap(), expected);
        table.append(3).await;
        let found: Vec<_> =
            table.snapshot().await.entries.iter().map(|entry| entry.id().0).collect();
        assert_eq!(found, if landed { vec![1, 3] } else { vec![3] });
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_that_its_own_writer_resolves_is_finished() {
    let table = Table::create().await;
    table.store.add(swaps(Fault::Fail, 1.0));
    table.store.add(reads(Fault::Fail, 1.0));
    let change = table.change(Operation::Append).add(superfile(1));
    let commit = change.commit;
    assert!(table.log.commit(change.clone()).await.is_err());
    table.store.heal();
    // Sending the same change again finishes it too, and does not repeat it.
    let again = table.log.commit(change).await.unwrap();
    assert!(again.replayed && again.version == 2);
    let resolved = table.log.resolve(commit).await.unwrap();
    assert_eq!(resolved, Resolved::Committed { version: 2 });
    assert_eq!(table.snapshot().await.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_goes_on_when_its_caller_does_not_wait() {
    let table = Table::create().await;
    table.store.add(swaps(Fault::Delay(Duration::from_secs(1)), 1.0));
    let waited = tokio::time::timeout(Duration::from_millis(10), table.append(1)).await;
    assert!(waited.is_err());
    table.append(2).await;
    assert_eq!(table.snapshot().await.entries.len(), 2);
}

#[tokio::test]
async fn f21_a_head_that_went_back_is_noticed() {
    let mut row = Row::new("F21");
    for seed in row.seeds(200) {
        row.run(seed, async move {
            let table = Table::create().await;
            let path = format!("{ROOT}/head");
            let mut heads = Vec::new();
            for id in 1..=2 + u128::from(seed % 5) {
                heads.push(table.store.get(&path).await.unwrap().0);
                table.append(id).await;
            }
            let old = heads[seed as usize % heads.len()].clone();
            table.store.put(&path, old).await.unwrap();
            let refreshed = table.log.refresh().await;
            assert!(matches!(refreshed, Err(WalError::Rewound { .. })), "{refreshed:?}");
            let change = table.change(Operation::Append).add(superfile(99));
            let committed = table.log.commit(change).await;
            assert!(committed.is_err(), "{committed:?}");
            1
        })
        .await;
    }
    row.finish();
}

/// A history with one of everything. Says what was acknowledged; stops at the first error, as a killed process would.
async fn script(store: &Arc<FaultStore>, rounds: u128, acked: &mut Vec<u64>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let log = Log::create(store.clone(), ROOT, schema(1)).await.map_err(|e| text(&e))?;
    acked.push(1);
    let place = (&**store as &dyn Store, ROOT);
    for round in 0..rounds {
        for change in
            [change_adding(&log, round * 100 + 1, 1), change_adding(&log, round * 100 + 2, 80)]
        {
            for action in &change.actions {
                let Action::AddSuperfile(summary) = action else { continue };
                let path = format!("{ROOT}/{}", summary.path());
                store.put(&path, vec![1].into()).await.map_err(|e| text(&e))?;
            }
            let read = Change { read_version: log.current().head.version, ..change };
            acked.push(log.commit(read).await.map_err(|e| text(&e))?.version);
        }
        let head = log.current().head;
        let kill = Change::new(Operation::Delete, head.version, head.epoch).delete(
            SuperfileId(round * 100 + 1),
            None,
            (0..ROWS).step_by(3).collect(),
        );
        acked.push(log.commit(kill).await.map_err(|e| text(&e))?.version);
        let head = log.current().head;
        let snapshot = Snapshot::load(place.0, ROOT, &head).await.map_err(|e| text(&e))?;
        let folded =
            checkpoint::fold(place.0, ROOT, &head, &snapshot).await.map_err(|e| text(&e))?;
        log.publish(&folded.checkpoint, folded.epoch).await.map_err(|e| text(&e))?;
        log.fence(fence_now()).await.map_err(|e| text(&e))?;
        collect(place.0, ROOT, GcOptions { grace_ms: 0, dry_run: false })
            .await
            .map_err(|e| text(&e))?;
    }
    Ok(())
}

fn change_adding(log: &Log, first: u128, count: u128) -> Change {
    let head = log.current().head;
    (first..first + count)
        .fold(Change::new(Operation::Append, head.version, head.epoch), |change, id| {
            change.add(superfile(id))
        })
}

fn fence_now() -> FenceOptions {
    FenceOptions { retention_ms: 0, interval_ms: 0, keep_from: u64::MAX }
}

/// Everything that can be opened is whole: every object it names exists and is what was written.
async fn check_whole(store: &dyn Store, log: &Log) {
    let head = log.current().head;
    for version in head.floor..=head.version {
        let snapshot = history::as_of_version(store, ROOT, &head, version)
            .await
            .unwrap_or_else(|error| panic!("version {version}: {error}"));
        assert_eq!(snapshot.version, version);
        contents(store, &snapshot).await;
        for entry in snapshot.entries.iter() {
            let path = format!("{ROOT}/{}", entry.summary.path());
            store.head(&path).await.unwrap_or_else(|error| panic!("version {version}: {error}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f1_a_crash_at_any_operation_loses_nothing() {
    let mut row = Row::new("F1");
    let rounds = if Row::scaled(100) < 100 { 2 } else { 5 };
    let operations = {
        let store = FaultStore::new(Arc::new(ClockStore::new()), 1);
        script(&store, rounds, &mut Vec::new()).await.unwrap();
        store.operations()
    };
    for at in 0..operations {
        for crash in [Crash::Before, Crash::After] {
            row.run(at, check_crash(at, crash, rounds)).await;
        }
    }
    row.finish();
}

async fn check_crash(at: u64, crash: Crash, rounds: u128) -> u64 {
    let clean: Arc<dyn Store> = Arc::new(ClockStore::new());
    let store = FaultStore::new(clean.clone(), 1);
    store.crash_at(at, crash);
    let mut acked = Vec::new();
    let outcome = script(&store, rounds, &mut acked).await;
    assert!(outcome.is_ok() || store.has_crashed(), "{outcome:?}");
    let log = match Log::open(clean.clone(), ROOT).await {
        Ok(log) => log,
        Err(WalError::NotFound { .. }) if acked.is_empty() => return 1,
        Err(error) => panic!("crash {crash:?} {at}: {error}"),
    };
    let version = log.current().head.version;
    let last = acked.last().copied().unwrap_or(0);
    assert!((last..=last + 1).contains(&version), "crash {crash:?} {at}");
    check_whole(&*clean, &log).await;
    // Life goes on: write, fold, collect, and all is whole again.
    let change = change_adding(&log, 5000, 1);
    let path = format!("{ROOT}/{}", superfile(5000).path());
    clean.put(&path, vec![1].into()).await.unwrap();
    log.commit(change).await.unwrap();
    fold_always(&*clean, &log).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        log.fence(fence_now()).await.unwrap();
        collect(&*clean, ROOT, GcOptions { grace_ms: 0, dry_run: false }).await.unwrap();
    }
    check_whole(&*clean, &log).await;
    check_no_garbage(&*clean, &log).await;
    1
}

async fn fold_always(store: &dyn Store, log: &Log) {
    let head = log.current().head;
    let snapshot = Snapshot::load(store, ROOT, &head).await.unwrap();
    let folded = checkpoint::fold(store, ROOT, &head, &snapshot).await.unwrap();
    log.publish(&folded.checkpoint, folded.epoch).await.unwrap();
}

/// After collections that keep only the newest version, what is there is what that version and the way to it need.
async fn check_no_garbage(store: &dyn Store, log: &Log) {
    let head = log.refresh().await.unwrap().head;
    let snapshot = Snapshot::load(store, ROOT, &head).await.unwrap();
    let data = store.list(&format!("{ROOT}/data/")).await.unwrap();
    assert_eq!(data.len(), snapshot.entries.len(), "superfiles that nothing names are left");
    let rest = store.list(&format!("{ROOT}/")).await.unwrap().len() - data.len();
    assert!(rest <= 12, "{rest} other objects are left");
}

/// Four logs that each wait for every request take turns quickly enough: at 5 ms a request, well over 15 commits a second.
#[tokio::test(start_paused = true)]
async fn contending_logs_make_progress() {
    let began = tokio::time::Instant::now();
    let tally = storm(3, 4, 100, vec![Rule::new(Fault::Delay(Duration::from_millis(5)))]).await;
    let seconds = began.elapsed().as_secs_f64() - LANDED.as_secs_f64();
    assert_eq!(tally.acked.len(), 400);
    assert!(400.0 / seconds >= 15.0, "{:.1} commits/s", 400.0 / seconds);
    assert!(tally.swaps <= 1600, "{} swaps for 400 commits", tally.swaps);
}
