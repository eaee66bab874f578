//! Several writers on one keyed table over a store that fails, and a crash at every storage operation, against a model.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infino_storage::fault::{Crash, Fault, FaultStore, Operation, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::{Matched, MergeSpec, NotMatched, Receipt, Table, TableError, TableOptions};
use support::{all, by_key, keys, open, options, rows};

type Model = BTreeMap<i64, i64>;

/// What a writer does in one commit.
#[derive(Debug, Clone)]
enum Op {
    Upsert(Vec<(i64, i64)>),
    Merge(Vec<(i64, i64)>, MergeSpec),
    Append(Vec<(i64, i64)>),
    Insert(Vec<(i64, i64)>),
    /// An insert, an append and an upsert of the same writer.
    Mixed(Vec<(i64, i64)>, Vec<(i64, i64)>, Vec<(i64, i64)>),
}

const DELETE: MergeSpec = MergeSpec { matched: Matched::Delete, not_matched: NotMatched::Nothing };
const UPDATE: MergeSpec = MergeSpec { matched: Matched::Update, not_matched: NotMatched::Nothing };

impl Op {
    fn random(random: &mut Random, value: i64) -> Self {
        let given = |random: &mut Random, space: u64| -> Vec<(i64, i64)> {
            (0..1 + random.below(4)).map(|_| (random.below(space) as i64, value)).collect()
        };
        match random.below(8) {
            0 | 1 => Self::Upsert(given(random, 30)),
            2 => Self::Merge(given(random, 30), UPDATE),
            3 => Self::Merge(given(random, 30), DELETE),
            4 => Self::Append(given(random, 1000)),
            5 | 6 => Self::Insert(given(random, 60)),
            _ => Self::Mixed(given(random, 1000), given(random, 1000), given(random, 60)),
        }
    }

    async fn run(&self, table: &Table) -> Result<Receipt, TableError> {
        match self {
            Self::Upsert(given) => table.upsert(&rows(given)).await,
            Self::Merge(given, spec) => table.merge_insert(&rows(given), *spec).await,
            Self::Insert(given) => table.insert(&rows(given)).await,
            Self::Append(given) => {
                let mut writer = table.writer();
                writer.append(&rows(given)).await?;
                writer.commit().await
            }
            Self::Mixed(insert, append, upsert) => {
                let mut writer = table.writer();
                writer.insert(&rows(insert)).await?;
                writer.append(&rows(append)).await?;
                writer.upsert(&rows(upsert)).await?;
                writer.commit().await
            }
        }
    }

    /// Inserted, updated and deleted rows; `None` if the op must be refused.
    fn apply(&self, model: &mut Model) -> Option<(u64, u64, u64)> {
        let upsert = MergeSpec::default();
        let new = MergeSpec { matched: Matched::Nothing, not_matched: NotMatched::Insert };
        let steps: Vec<(&Vec<(i64, i64)>, MergeSpec)> = match self {
            Self::Upsert(given) => vec![(given, upsert)],
            Self::Merge(given, spec) => vec![(given, *spec)],
            Self::Append(given) | Self::Insert(given) => vec![(given, new)],
            Self::Mixed(insert, append, upserted) => {
                vec![(insert, new), (append, new), (upserted, upsert)]
            }
        };
        let (mut inserted, mut updated, mut deleted) = (0, 0, 0);
        for (given, spec) in steps {
            for &(k, v) in given {
                match (model.contains_key(&k), spec.matched, spec.not_matched) {
                    (true, Matched::Update, _) => {
                        model.insert(k, v);
                        updated += 1;
                    }
                    (true, Matched::Delete, _) => {
                        model.remove(&k);
                        deleted += 1;
                    }
                    (true, Matched::Nothing, _) => return None,
                    (false, _, NotMatched::Insert) => {
                        model.insert(k, v);
                        inserted += 1;
                    }
                    (false, _, NotMatched::Nothing) => {}
                }
            }
        }
        Some((inserted, updated, deleted))
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

async fn table(store: Arc<dyn Store>) -> Table {
    let options = TableOptions { seal_bytes: 400, ..options() };
    Table::open(store, support::ROOT, support::runtime(), options).await.unwrap()
}

/// Writers of handles of their own, two of which share one, over a store that fails at times.
async fn check_writers(seed: u64) {
    let store = FaultStore::new(Arc::new(MemoryStore::new()), seed);
    drop(support::create(store.clone(), true).await);
    store.add(Rule::new(Fault::FailAfter).on([Operation::Swap]).chance(0.04));
    store.add(Rule::new(Fault::Fail).on([Operation::Swap]).chance(0.04));
    store.add(Rule::new(Fault::Duplicate).on([Operation::Swap]).chance(0.04));
    store.add(Rule::new(Fault::Late(Duration::from_millis(2))).on([Operation::Swap]).chance(0.03));
    store.add(Rule::new(Fault::Fail).on([Operation::Put, Operation::PutFile]).chance(0.02));
    store.add(Rule::new(Fault::Delay(Duration::from_micros(300))).chance(0.5));
    let done: Arc<Mutex<Vec<(u64, Op, Receipt)>>> = Arc::default();
    let shared = table(store.clone()).await;
    let mut tasks = Vec::new();
    for writer in 0..5i64 {
        let table = if writer < 2 { shared.clone() } else { table(store.clone()).await };
        let done = done.clone();
        tasks.push(tokio::spawn(async move {
            let mut random = Random(seed * 100 + writer as u64);
            for i in 0..12 {
                let op = Op::random(&mut random, writer * 1000 + i);
                match op.run(&table).await {
                    Ok(receipt) => done.lock().unwrap().push((receipt.version, op, receipt)),
                    Err(TableError::DuplicateKey { .. }) => {}
                    Err(error @ TableError::Storage(_)) => drop(error),
                    Err(TableError::Wal(infino_wal::WalError::Storage(_))) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
                if random.below(6) == 0 {
                    let _ = table.optimize(Duration::from_secs(3600)).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    store.heal();
    let table = open(store.inner().clone()).await;
    by_key(&table).await;
    check_history(&table, &done.lock().unwrap(), seed).await;
}

/// Every version is what the ops of the versions up to it make in order, and rows keep their ids.
async fn check_history(table: &Table, done: &[(u64, Op, Receipt)], seed: u64) {
    let mut model = Model::new();
    let mut ids: BTreeMap<i64, i128> = BTreeMap::new();
    for version in 1..=table.snapshot().version {
        for (_, op, receipt) in done.iter().filter(|(at, ..)| *at == version) {
            let changed = receipt.inserted + receipt.updated + receipt.deleted > 0;
            if changed {
                let counts = op.apply(&mut model);
                let found = (receipt.inserted, receipt.updated, receipt.deleted);
                assert_eq!(counts, Some(found), "seed {seed}, version {version}: {op:?}");
            }
        }
        let snapshot = table.at_version(version).await.unwrap();
        let found = all(table, &snapshot).await;
        let state: Model = found.iter().map(|row| (row.1, row.2)).collect();
        assert_eq!(
            state.len(),
            found.len(),
            "seed {seed}, version {version}: a key is there twice"
        );
        assert_eq!(state, model, "seed {seed}, version {version}");
        let now: BTreeMap<i64, i128> = found.iter().map(|row| (row.1, row.0)).collect();
        for (key, id) in &now {
            assert!(ids.get(key).is_none_or(|was| was == id), "seed {seed}: {key} changed its id");
        }
        ids = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_do_what_they_say_in_some_order() {
    for seed in 0..6 {
        check_writers(seed).await;
    }
}

/// Everything that writes to storage, one after another; returns how much of it was acknowledged.
async fn script(store: Arc<dyn Store>) -> usize {
    let options = TableOptions { seal_bytes: 0, mutation_attempts: 3, ..options() };
    let Ok(table) = Table::open(store, support::ROOT, support::runtime(), options).await else {
        return 0;
    };
    let mut acknowledged = 0;
    for step in 0..STEPS {
        let done = match step {
            0 => table.upsert(&rows(&[(1, 1), (2, 2), (3, 3)])).await.is_ok(),
            1 => table.insert(&rows(&[(4, 4), (5, 5)])).await.is_ok(),
            2 => {
                let mut writer = table.writer();
                let staged = async {
                    writer.insert(&rows(&[(6, 6)])).await?;
                    writer.append(&rows(&[(7, 7), (8, 8)])).await?;
                    writer.delete(keys(|k| k == 1));
                    writer.upsert(&rows(&[(4, 44), (2, 22), (7, 77)])).await
                };
                staged.await.is_ok() && writer.commit().await.is_ok()
            }
            3 => table.seal().await.is_ok(),
            4 => table.merge_insert(&rows(&[(5, 0), (3, 0)]), DELETE).await.is_ok(),
            5 => table.insert(&rows(&[(3, 33)])).await.is_ok(),
            6 => table.checkpoint().await.is_ok(),
            _ => table.optimize(Duration::ZERO).await.is_ok(),
        };
        if !done {
            break;
        }
        acknowledged = step + 1;
    }
    acknowledged
}

const STEPS: usize = 8;

/// The table after so many steps of the script.
fn after(steps: usize) -> Model {
    let mut model = Model::new();
    if steps > 0 {
        model.extend([(1, 1), (2, 2), (3, 3)]);
    }
    if steps > 1 {
        model.extend([(4, 4), (5, 5)]);
    }
    if steps > 2 {
        model.remove(&1);
        model.extend([(6, 6), (7, 77), (8, 8), (4, 44), (2, 22)]);
    }
    if steps > 4 {
        model.remove(&5);
        model.remove(&3);
    }
    if steps > 5 {
        model.insert(3, 33);
    }
    model
}

/// With the clock that runs ahead whenever all wait: a crash inside a swap is asked about for seconds.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_operation_leaves_a_whole_number_of_commits() {
    for crash in [Crash::Before, Crash::After] {
        for at in 0.. {
            let store = FaultStore::new(Arc::new(MemoryStore::new()), at);
            drop(support::create(store.clone(), true).await);
            store.crash_at(store.operations() + at, crash);
            let acknowledged = script(store.clone()).await;
            if acknowledged == STEPS {
                assert!(at > 30, "the script does something");
                break;
            }
            store.heal();
            let table = open(store.inner().clone()).await;
            let found = by_key(&table).await;
            let whole = [after(acknowledged), after(acknowledged + 1)].contains(&found);
            assert!(whole, "crash {crash:?} at {at}, {acknowledged} steps: {found:?}");
            // The table goes on from there.
            table.upsert(&rows(&[(90, 90)])).await.unwrap();
            table.insert(&rows(&[(91, 91)])).await.unwrap();
            table.optimize(Duration::ZERO).await.unwrap();
            let mut expected = found;
            expected.extend([(90, 90), (91, 91)]);
            assert_eq!(by_key(&table).await, expected);
        }
    }
}
