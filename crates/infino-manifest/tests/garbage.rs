//! Collection beside slow writers, folds, compactions and pinned readers.

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infino_format::{Head, Operation, SuperfileId};
use infino_manifest::gc::{GcOptions, GcReport, collect};
use infino_manifest::{Snapshot, checkpoint, history};
use infino_storage::Store;
use infino_storage::fault::{Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_wal::{Change, Conflict, FenceOptions, Log, Relocation, WalError, tail};
use support::clock::ClockStore;
use support::row::Row;
use support::*;

const RETENTION_MS: u64 = 2000;
const INTERVAL_MS: u64 = 500;

fn fence() -> FenceOptions {
    FenceOptions { retention_ms: RETENTION_MS, interval_ms: INTERVAL_MS, keep_from: u64::MAX }
}

fn at_once() -> FenceOptions {
    FenceOptions { retention_ms: 0, interval_ms: 0, keep_from: u64::MAX }
}

const GRACE: GcOptions = GcOptions { grace_ms: 0, dry_run: false };

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn create(store: &Arc<ClockStore>) -> Log {
    Log::create(store.clone(), ROOT, schema(1)).await.expect("nothing fails yet")
}

async fn put_superfile(store: &dyn Store, id: u128) -> bool {
    let path = format!("{ROOT}/{}", superfile(id).path());
    store.put(&path, vec![1].into()).await.is_ok()
}

/// Every version that can be opened is whole.
async fn check_whole(store: &dyn Store, head: &Head) {
    for version in head.floor..=head.version {
        let snapshot = history::as_of_version(store, ROOT, head, version)
            .await
            .unwrap_or_else(|error| panic!("version {version}: {error}"));
        check_readable(store, &snapshot).await;
    }
}

async fn check_readable(store: &dyn Store, snapshot: &Snapshot) {
    contents(store, snapshot).await;
    for entry in snapshot.entries.iter() {
        let path = format!("{ROOT}/{}", entry.summary.path());
        if let Err(error) = store.head(&path).await {
            panic!("version {}: {error}", snapshot.version);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_orphan_goes_once_two_fences_have_passed() {
    let store = Arc::new(ClockStore::new());
    let log = create(&store).await;
    put_superfile(&*store, 66).await;
    let path = format!("{ROOT}/{}", superfile(66).path());
    for passed in 0..4 {
        sleep(10).await;
        let report = collect(&*store, ROOT, GRACE).await.unwrap();
        assert_eq!(report.deleted, u64::from(passed == 2) as usize, "after {passed} fences");
        assert_eq!(store.head(&path).await.is_ok(), passed < 2, "after {passed} fences");
        sleep(10).await;
        log.fence(at_once()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_slept_through_two_fences_is_refused() {
    for fences in 0..3 {
        let store = Arc::new(ClockStore::new());
        let (log, collector) =
            (create(&store).await, Log::open(store.clone(), ROOT).await.unwrap());
        let change = Change::new(Operation::Append, 1, log.current().head.epoch).add(superfile(1));
        put_superfile(&*store, 1).await;
        for _ in 0..fences {
            sleep(10).await;
            collector.fence(at_once()).await.unwrap();
            sleep(10).await;
            collect(&*store, ROOT, GRACE).await.unwrap();
        }
        let outcome = log.commit(change).await;
        match (fences, &outcome) {
            (0 | 1, Ok(_)) => {}
            (2, Err(WalError::Conflict(Conflict::Fenced { staged: 0, epoch: 2 }))) => {}
            other => panic!("{other:?}"),
        }
        check_whole(&*store, &log.current().head).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_young_fence_is_not_set_again_and_a_dry_run_deletes_nothing() {
    let store = Arc::new(ClockStore::new());
    let log = create(&store).await;
    for expected in [1, 1, 2, 2] {
        assert_eq!(log.fence(fence()).await.unwrap().epoch, expected);
        sleep(300).await;
    }
    put_superfile(&*store, 66).await;
    sleep(1000).await;
    log.fence(fence()).await.unwrap();
    sleep(1000).await;
    log.fence(fence()).await.unwrap();
    let before = store.list(ROOT).await.unwrap().len();
    let dry = GcOptions { dry_run: true, ..GRACE };
    let report = collect(&*store, ROOT, dry).await.unwrap();
    assert_eq!((report.deleted, store.list(ROOT).await.unwrap().len()), (1, before));
    let long = GcOptions { grace_ms: 60_000, ..GRACE };
    assert_eq!(collect(&*store, ROOT, long).await.unwrap().deleted, 0);
    assert_eq!(collect(&*store, ROOT, GRACE).await.unwrap().deleted, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_while_something_that_is_kept_cannot_be_found() {
    let store = Arc::new(ClockStore::new());
    let log = create(&store).await;
    put_superfile(&*store, 66).await;
    fold(&*store, &log).await;
    for _ in 0..3 {
        sleep(10).await;
        log.fence(at_once()).await.unwrap();
    }
    let faulty = FaultStore::new(store.clone(), 1);
    faulty.add(Rule::new(Fault::Fail).on([StoreOperation::Get]).path("/manifest/"));
    assert!(collect(&*faulty, ROOT, GRACE).await.is_err());
    faulty.heal();
    faulty.add(Rule::new(Fault::Deny).on([StoreOperation::Delete]));
    let report = collect(&*faulty, ROOT, GRACE).await.unwrap();
    assert_eq!((report.deleted, report.failed), (0, 1));
    assert_eq!(collect(&*store, ROOT, GRACE).await.unwrap().deleted, 1);
}

#[tokio::test(start_paused = true)]
async fn versions_past_their_retention_are_let_go() {
    let store = Arc::new(ClockStore::new());
    let log = create(&store).await;
    for id in 1..=40 {
        put_superfile(&*store, id).await;
        let head = log.current().head;
        let mut change =
            Change::new(Operation::Append, head.version, head.epoch).add(superfile(id));
        if id > 3 {
            change = change.remove(SuperfileId(id - 3));
        }
        log.commit(change).await.unwrap();
        if id % 5 == 0 {
            fold(&*store, &log).await;
        }
        sleep(200).await;
        let head = log.fence(fence()).await.unwrap();
        collect(&*store, ROOT, GRACE).await.unwrap();
        check_whole(&*store, &head).await;
    }
    let head = log.current().head;
    assert!(head.floor > 20 && head.floor <= head.version - RETENTION_MS / 200, "{}", head.floor);
    let data = store.list(&format!("{ROOT}/data/")).await.unwrap().len();
    assert!((13..=25).contains(&data), "{data} superfiles of 40 are left");
    let keep = FenceOptions { keep_from: head.floor, retention_ms: 0, interval_ms: 0 };
    assert_eq!(log.fence(keep).await.unwrap().floor, head.floor);
    let all = FenceOptions { keep_from: u64::MAX, retention_ms: u64::MAX, interval_ms: 0 };
    for _ in 0..100 {
        sleep(10).await;
        assert_eq!(log.fence(all).await.unwrap().floor, head.floor);
    }
    let head = log.current().head;
    assert_eq!(head.fences.len(), infino_format::head::FENCES_MAX);
    assert!(head.fences.is_sorted_by(|a, b| a.store_ms < b.store_ms));
}

async fn fold(store: &dyn Store, log: &Log) {
    let Ok(current) = log.refresh().await else { return };
    let Ok(snapshot) = Snapshot::load(store, ROOT, &current.head).await else { return };
    if let Ok(folded) = checkpoint::fold(store, ROOT, &current.head, &snapshot).await {
        let _ = log.publish(&folded.checkpoint, folded.epoch).await;
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What the writers of a simulation know.
#[derive(Debug, Default, PartialEq)]
struct Known {
    added: BTreeSet<u128>,
    removed: BTreeSet<u128>,
    fenced: u64,
    operations: u64,
    collected: GcReport,
}

struct World {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

impl World {
    /// Appends, deletes and compacts; now and then so slowly that fences pass.
    async fn write(&self, log: Log, writer: u64, mut random: Random) {
        for i in 0..25 {
            sleep(random.below(100)).await;
            let Ok(current) = log.refresh().await else { continue };
            let epoch = current.head.epoch;
            let id = u128::from(writer * 1000 + i + 1);
            if !put_superfile(&*self.store, id).await {
                continue;
            }
            let Ok(snapshot) = Snapshot::load(&*self.store, ROOT, &current.head).await else {
                continue;
            };
            let slow = if random.below(6) == 0 { random.below(4000) } else { random.below(60) };
            sleep(slow).await;
            let held: Vec<_> = snapshot.entries.iter().cloned().collect();
            let some =
                (!held.is_empty()).then(|| held[random.below(held.len() as u64) as usize].clone());
            let mut change =
                Change::new(Operation::Append, snapshot.version, epoch).add(superfile(id));
            let mut removed = None;
            match (random.below(3), some) {
                (0, Some(entry)) if entry.deleted_rows() < 40 => {
                    change.operation = Operation::Merge;
                    let dead = (0..1 + random.below(9) as u32).collect();
                    change = change.delete(entry.id(), entry.deletes.clone(), dead);
                }
                (1, Some(entry)) => {
                    change.operation = Operation::Compact;
                    removed = Some(entry.id().0);
                    change = change.remove(entry.id()).relocating(Relocation {
                        inputs: vec![(entry.id(), entry.deletes.clone())],
                        place: Arc::new(move |_, at| Some((SuperfileId(id), at))),
                    });
                }
                _ => {}
            }
            let outcome = log.commit(change).await;
            let mut known = self.known.lock().unwrap();
            match outcome {
                Ok(_) => {
                    known.added.insert(id);
                    known.removed.extend(removed);
                }
                Err(WalError::Conflict(Conflict::Fenced { .. })) => known.fenced += 1,
                Err(WalError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn maintain(&self, log: Log, mut random: Random) {
        for _ in 0..60 {
            sleep(random.below(150)).await;
            if random.below(2) == 0 {
                if tail::wants_fold(&log.current().head) || random.below(3) == 0 {
                    fold(&*self.store, &log).await;
                }
                continue;
            }
            let Ok(head) = log.fence(fence()).await else { continue };
            let Ok(report) = collect(&*self.store, ROOT, GRACE).await else { continue };
            let mut known = self.known.lock().unwrap();
            known.collected.deleted += report.deleted;
            assert!(head.floor <= head.version);
        }
    }

    /// Pins the newest version, holds it for less than the retention, and reads all of it.
    async fn read(&self, clean: Arc<ClockStore>, mut random: Random) {
        for _ in 0..25 {
            sleep(random.below(200)).await;
            let head = Log::open(clean.clone(), ROOT).await.unwrap().current().head;
            let snapshot = Snapshot::load(&*clean, ROOT, &head).await.unwrap();
            sleep(random.below(RETENTION_MS - 1)).await;
            check_readable(&*clean, &snapshot).await;
            let head = Log::open(clean.clone(), ROOT).await.unwrap().current().head;
            check_whole(&*clean, &head).await;
        }
    }
}

/// What goes wrong in a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// Lists miss what was written last, or fail.
    Lists,
    /// Every writer and collector has a clock of its own, hours off, and some jump.
    Clocks,
    Everything,
}

thread_local! {
    static RANDOM: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn random() -> u64 {
    let mut random = Random(RANDOM.get());
    let drawn = random.below(u64::MAX);
    RANDOM.set(random.0);
    drawn
}

const NOON_MS: u64 = 1_750_000_000_000;
const CLOCKS: [fn() -> u64; 5] = [
    || NOON_MS,
    || NOON_MS + 7_200_000,
    || NOON_MS - 7_200_000,
    || NOON_MS - 7_200_000 + random() % 14_400_000,
    || NOON_MS + (random() % 2) * 3_600_000,
];

async fn simulate(seed: u64, wrong: Wrong) -> Known {
    RANDOM.set(seed);
    let clean = Arc::new(ClockStore::new());
    create(&clean).await;
    let store = FaultStore::new(clean.clone(), seed);
    let world = Arc::new(World { store: store.clone(), known: Mutex::default() });
    let mut tasks = Vec::new();
    for actor in 0..6 {
        let now_ms = match wrong {
            Wrong::Clocks | Wrong::Everything => CLOCKS[(seed + actor) as usize % CLOCKS.len()],
            _ => CLOCKS[0],
        };
        let options = infino_wal::LogOptions { now_ms, random: crate::random, ..options() };
        let log = Log::open_with(store.clone(), ROOT, options).await.unwrap();
        let random = Random(seed * 100 + actor);
        let (world, clean) = (world.clone(), clean.clone());
        tasks.push(tokio::spawn(async move {
            match actor {
                0..=2 => world.write(log, actor + 1, random).await,
                3 | 4 => world.maintain(log, random).await,
                _ => world.read(clean, random).await,
            }
        }));
    }
    if wrong == Wrong::Everything {
        let swaps = |fault| Rule::new(fault).on([StoreOperation::Swap]).chance(0.05);
        store.add(swaps(Fault::FailAfter));
        store.add(swaps(Fault::Late(Duration::from_millis(700))));
        store.add(swaps(Fault::Duplicate));
        store.add(swaps(Fault::Fail));
        store.add(Rule::new(Fault::Delay(Duration::from_millis(30))).chance(0.2));
        store.add(Rule::new(Fault::Fail).on([StoreOperation::Delete]).chance(0.1));
    }
    if matches!(wrong, Wrong::Everything | Wrong::Lists) {
        store.add(Rule::new(Fault::Fail).on([StoreOperation::List]).chance(0.1));
        store.add(Rule::new(Fault::StaleList(3)).on([StoreOperation::List]).chance(0.4));
    }
    for task in tasks {
        task.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let head = Log::open(clean.clone(), ROOT).await.unwrap().current().head;
    check_whole(&*clean, &head).await;
    let snapshot = Snapshot::load(&*clean, ROOT, &head).await.unwrap();
    let there: BTreeSet<u128> = snapshot.entries.iter().map(|entry| entry.id().0).collect();
    let mut known = std::mem::take(&mut *world.known.lock().unwrap());
    known.operations = store.operations();
    let expected: BTreeSet<u128> = known.added.difference(&known.removed).copied().collect();
    assert_eq!(there, expected, "seed {seed}");
    known
}

/// Many seeds of one kind of trouble; what the row counts is what `count` says of a run.
async fn check_row(name: &'static str, seeds: u64, wrong: Wrong) {
    let mut row = Row::new(name);
    for seed in row.seeds(seeds) {
        row.run(seed, async move {
            let known = simulate(seed, wrong).await;
            assert!(known.operations >= 200, "a simulation of {} operations", known.operations);
            1
        })
        .await;
    }
    row.finish();
}

#[tokio::test(start_paused = true)]
async fn f5_a_stale_list_takes_nothing_that_is_needed() {
    check_row("F5", 500, Wrong::Lists).await;
}

#[tokio::test(start_paused = true)]
async fn f13_no_clock_but_the_stores_decides_what_goes() {
    check_row("F13", 300, Wrong::Clocks).await;
}

#[tokio::test(start_paused = true)]
async fn f14_collection_beside_everything_else_takes_nothing_that_is_needed() {
    check_row("F14", 1000, Wrong::Nothing).await;
}

/// Every tenth seed runs twice and does the same.
#[tokio::test(start_paused = true)]
async fn f15_everything_at_once_holds_and_repeats() {
    let mut row = Row::new("F15");
    for seed in row.seeds(300) {
        row.run(seed, async move {
            let known = simulate(seed, Wrong::Everything).await;
            assert!(known.operations >= 200, "a simulation of {} operations", known.operations);
            if seed.is_multiple_of(10) {
                assert_eq!(simulate(seed, Wrong::Everything).await, known, "another run differs");
            }
            1
        })
        .await;
    }
    row.finish();
}

/// The simulations are worth something only if all of this happens in them.
#[tokio::test(start_paused = true)]
async fn simulations_fence_writers_and_collect_garbage() {
    let (mut fenced, mut deleted, mut added) = (0, 0, 0);
    for seed in 0..8 {
        let wrong = if seed % 2 == 1 { Wrong::Everything } else { Wrong::Nothing };
        let known = simulate(seed, wrong).await;
        fenced += known.fenced;
        deleted += known.collected.deleted;
        added += known.added.len();
    }
    assert!(fenced > 8 && deleted > 200 && added > 200, "{fenced} {deleted} {added}");
}
