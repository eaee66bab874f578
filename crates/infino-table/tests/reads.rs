//! How often a query waits for storage, and what it sees if the table moves meanwhile.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use infino_fts::Query;
use infino_manifest::Snapshot;
use infino_storage::fault::{Fault, FaultStore, Operation, Rule};
use infino_storage::{Cache, CacheOptions, CachedStore, MemoryStore, StorageError, Store, WarmUp};
use infino_table::query::{rows, text};
use infino_table::{Table, TableError};
use tokio::time::Instant;

use support::{create, open, rows as batch};

/// What every operation of the store takes.
const DELAY: Duration = Duration::from_secs(1);

/// A table of `files` files of 100 rows each.
async fn filled(store: &Arc<FaultStore>, files: i64) -> Table {
    let table = create(store.clone(), false).await;
    for file in 0..files {
        append(&table, 100 * file..100 * (file + 1)).await;
    }
    table
}

async fn append(table: &Table, keys: std::ops::Range<i64>) {
    let mut writer = table.writer();
    writer.append(&batch(&keys.map(|k| (k, k % 7)).collect::<Vec<_>>())).await.unwrap();
    writer.commit().await.unwrap();
}

/// The keys of the ten best rows for a query of three terms, columns fetched.
async fn search(table: &Table, snapshot: Arc<Snapshot>) -> Result<usize, TableError> {
    let query = Query::any(["value3", "key5", "key250"].map(|word| Query::term("t", word)).into());
    let hits = text::search(table, &snapshot, &query, 10, None).await?;
    let rows = rows::fetch(table, &snapshot, &hits, Some("score"), &["k", "t"]).await?;
    Ok(rows.num_rows())
}

fn slow(store: &FaultStore) {
    store.add(Rule::new(Fault::Delay(DELAY)));
}

/// Round trips that `work` waits for; the clock stands still but for the store.
async fn rounds<T>(work: impl Future<Output = T>) -> (T, u128) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed().as_millis() / DELAY.as_millis())
}

#[tokio::test(start_paused = true)]
async fn first_queries_take_few_rounds() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    filled(&store, 8).await;
    slow(&store);
    let (table, opening) = rounds(open(store.clone())).await;
    assert_eq!(opening, 1);
    let (snapshot, pinning) = rounds(table.pin()).await;
    assert_eq!((snapshot.unwrap().entries.rows(), pinning), (800, 1));
    let table = open(store.clone()).await;
    // The head while files open; dictionaries; postings; rows.
    let (found, rounds) = rounds(table.on_pinned(|snapshot| search(&table, snapshot))).await;
    assert_eq!(found.unwrap(), 10);
    assert!(rounds <= 4, "{rounds} rounds");
}

#[tokio::test(start_paused = true)]
async fn a_query_sees_what_was_committed_before_it_began() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let writer = filled(&store, 1).await;
    let reader = open(store.clone()).await;
    slow(&store);
    let runs = AtomicUsize::new(0);
    let count = |snapshot: Arc<Snapshot>| {
        runs.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, TableError>(snapshot.entries.rows()) }
    };
    for (added, runs_wanted) in [(0, 1), (1, 2), (0, 1), (0, 1), (1, 2), (1, 1), (1, 1), (0, 1)] {
        for _ in 0..added {
            append(&writer, 0..10).await;
        }
        let rows = writer.snapshot().entries.rows();
        runs.store(0, Ordering::Relaxed);
        assert_eq!(reader.on_pinned(count).await.unwrap(), rows);
        // Once more only if the head moved, and not ahead of the head where it moved the last time.
        assert_eq!(runs.load(Ordering::Relaxed), runs_wanted, "{rows} rows");
    }
}

#[tokio::test]
async fn what_fails_ahead_of_the_head_counts_only_if_the_head_stood_still() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let writer = filled(&store, 1).await;
    let reader = open(store.clone()).await;
    let fails_on = |version: u64| {
        move |snapshot: Arc<Snapshot>| async move {
            // Files of the old version may be gone already.
            match snapshot.version == version {
                true => Err(TableError::from(StorageError::NotFound { path: "old".into() })),
                false => Ok(snapshot.version),
            }
        }
    };
    let old = reader.snapshot().version;
    store.add(Rule::new(Fault::Delay(Duration::from_millis(20))).on([Operation::GetIfChanged]));
    assert!(reader.on_pinned(fails_on(old)).await.is_err());
    append(&writer, 0..10).await;
    assert_eq!(reader.on_pinned(fails_on(old)).await.unwrap(), old + 1);
    // A head that cannot be read is an error, whatever was found without it.
    store.heal();
    store.add(Rule::new(Fault::Fail).on([Operation::GetIfChanged]));
    assert!(reader.on_pinned(fails_on(old)).await.is_err());
}

#[tokio::test]
async fn a_warm_table_is_not_read_again() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    filled(&store, 4).await;
    let ranges = |store: &FaultStore| store.counters().of(Operation::GetRanges).calls;
    for (mode, files, then_max) in [
        (WarmUp::None, 0, u64::MAX),
        // A round of dictionaries, one of postings, one of rows, or less where a block holds more than was asked for.
        (WarmUp::Open, 4, 12),
        (WarmUp::Full, 4, 0),
    ] {
        let cache = Cache::open(&CacheOptions::default()).unwrap();
        let table = open(Arc::new(CachedStore::new(store.clone(), cache))).await;
        assert_eq!(table.warm_up(mode).await.unwrap(), files, "{mode:?}");
        let before = ranges(&store);
        assert_eq!(search(&table, table.snapshot()).await.unwrap(), 10);
        let read = ranges(&store) - before;
        assert!(read <= then_max, "{mode:?}: {read}");
        assert!(mode != WarmUp::None || read > 0);
    }
}

#[tokio::test]
async fn the_newest_files_are_opened_first_and_no_more_than_fit() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    filled(&store, 8).await;
    let one_file = {
        let table = open(store.clone()).await;
        let entry = table.snapshot().entries.iter().next().unwrap().clone();
        let ranges = infino_superfile::Superfile::open_ranges(&entry.summary).unwrap();
        ranges.iter().map(|range| range.end - range.start).sum::<u64>()
    };
    // Open files may take an eighth of the memory, and warming up half of that.
    let budget = infino_table::Budget::new(one_file as usize * 2 * 7 * 8);
    let runtime = infino_table::Runtime::with_budget(2, budget).unwrap();
    let shared: Arc<dyn Store> = store.clone();
    let table = Table::open(shared, support::ROOT, runtime, support::options()).await.unwrap();
    let opened = table.warm_up(WarmUp::Open).await.unwrap();
    assert!((2..=4).contains(&opened), "{opened} of 8");
}
