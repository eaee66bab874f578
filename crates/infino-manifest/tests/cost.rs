//! What a commit, a refresh and an open cost, whatever the size of the table.

mod support;

use std::time::Duration;

use infino_format::Operation;
use infino_manifest::{Snapshot, checkpoint};
use infino_storage::fault::{Fault, FaultStore, Rule};
use infino_wal::{Log, tail};
use support::*;
use tokio::time::Instant;

/// What something cost: requests and bytes both ways.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    requests: u64,
    bytes: u64,
}

impl Cost {
    /// Adds what `store` counted since it was last asked.
    fn add(&mut self, store: &FaultStore) {
        let total = store.reset_counters().total();
        self.requests += total.calls;
        self.bytes += total.bytes_read + total.bytes_written;
    }
}

const ROUND: Duration = Duration::from_millis(10);

/// What was measured in a table of one size.
#[derive(Debug)]
struct Measured {
    /// Per 100 commits.
    commits: Cost,
    /// Per 100 commits, of the folds alone.
    folds: Cost,
    /// Of opening it.
    open: Cost,
    /// Rounds of requests that wait for each other when it is opened.
    open_rounds: u128,
}

/// Opens a table of `superfiles`, commits to it and folds as it goes.
async fn measure(superfiles: u128) -> Measured {
    let table = Table::create().await;
    let mut next = 1;
    while next <= superfiles {
        let mut change = table.change(Operation::Append);
        for id in next..(next + 10_000).min(superfiles + 1) {
            change = change.add(superfile(id));
        }
        table.log.commit(change).await.unwrap();
        next += 10_000;
    }
    table.fold().await;
    let store = FaultStore::counting(table.store.inner().clone());
    store.add(Rule::new(Fault::Delay(ROUND)));
    let began = Instant::now();
    let log = Log::open(store.clone(), ROOT).await.unwrap();
    let head = log.current().head;
    let mut snapshot = Snapshot::load(&*store, ROOT, &head).await.unwrap();
    assert_eq!(snapshot.entries.len() as u128, superfiles);
    let open_rounds = began.elapsed().as_millis() / ROUND.as_millis();
    let mut open = Cost::default();
    open.add(&store);

    // As many folds as it takes for small parts to be merged once.
    let commits = 8 * tail::FOLD_RECORDS;
    let (mut plain, mut folds) = (Cost::default(), Cost::default());
    for id in (superfiles + 1..).take(commits as usize) {
        let head = log.current().head;
        let change =
            infino_wal::Change::new(Operation::Append, head.version, head.epoch).add(superfile(id));
        let head = log.commit(change).await.unwrap().head;
        snapshot = snapshot.advance(&*store, ROOT, &head).await.unwrap();
        plain.add(&store);
        if tail::wants_fold(&head) {
            let folded = checkpoint::fold(&*store, ROOT, &head, &snapshot).await.unwrap();
            log.publish(&folded.checkpoint, folded.epoch).await.unwrap();
            snapshot = folded.snapshot;
            folds.add(&store);
        }
    }
    let each = |cost: Cost| Cost {
        requests: cost.requests * 100 / commits,
        bytes: cost.bytes * 100 / commits,
    };
    Measured { commits: each(plain), folds: each(folds), open, open_rounds }
}

#[tokio::test(start_paused = true)]
async fn a_commit_costs_the_same_in_tables_of_any_size() {
    let small = measure(10).await;
    assert_eq!(small.open_rounds, 3);
    println!("10 superfiles: {small:?}");
    // Between, a table has parts that are neither small nor full.
    for superfiles in [300, 700, 1000, 1100, 100_000] {
        let large = measure(superfiles).await;
        let within = |a: u64, b: u64| a.abs_diff(b) * 10 <= b;
        assert_eq!((large.commits.requests, small.commits.requests), (100, 100));
        assert_eq!(large.folds.requests, small.folds.requests);
        assert!(within(large.commits.bytes, small.commits.bytes), "{small:?} {large:?}");
        let all = |measured: &Measured| measured.commits.bytes + measured.folds.bytes;
        assert!(within(all(&large), all(&small)), "{small:?} {large:?}");
        assert_eq!(large.open_rounds, 3);
        // A list, a part for each 1,024 superfiles, and the head.
        assert!(large.open.requests <= 2 + superfiles.div_ceil(1000) as u64);
        println!("{superfiles} superfiles: {large:?}");
    }
}

/// A table that grew by small commits opens by as few parts as one that was loaded at once, or few more.
#[tokio::test(start_paused = true)]
async fn small_folds_do_not_leave_many_parts() {
    let table = Table::create().await;
    let mut snapshot = table.snapshot().await;
    let mut id = 1;
    for fold in 0..200 {
        let mut change = table.change(Operation::Append);
        for _ in 0..20 {
            change = change.add(superfile(id));
            id += 1;
        }
        let head = table.log.commit(change).await.unwrap().head;
        snapshot = snapshot.advance(table.store(), ROOT, &head).await.unwrap();
        let folded = checkpoint::fold(table.store(), ROOT, &head, &snapshot).await.unwrap();
        table.log.publish(&folded.checkpoint, folded.epoch).await.unwrap();
        snapshot = folded.snapshot;
        let head = table.log.current().head;
        let store = FaultStore::counting(table.store.inner().clone());
        let loaded = Snapshot::load(&*store, ROOT, &head).await.unwrap();
        assert_eq!(loaded.entries.len(), snapshot.entries.len());
        let parts = store.counters().total().calls - 1;
        assert!(parts <= 22 + (fold * 20) / 512, "{parts} parts after {fold} folds");
    }
}
