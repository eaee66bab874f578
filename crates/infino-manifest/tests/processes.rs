//! Processes that write, fold and collect on one table, and are killed: this program starts itself several times over. The
//! table is on a local disk, and behind the S3 server of the tests.
#![allow(clippy::print_stdout, reason = "what was measured is worth seeing")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use infino_format::{Operation, SuperfileId, SuperfileSummary};
use infino_manifest::gc::{GcOptions, collect};
use infino_manifest::{Snapshot, checkpoint, history};
use infino_storage::{Store, StoreOptions, connect};
use infino_testserver::{Options, Server};
use infino_wal::{Change, Conflict, FenceOptions, Log, WalError, tail};
use support::row::Row;
use support::*;

/// Set in the child to the store, to its options, a line each, and to how often it is to commit.
const URI: &str = "INFINO_TEST_URI";
const STORE_OPTIONS: &str = "INFINO_TEST_STORE_OPTIONS";
const COUNT: &str = "INFINO_TEST_COMMITS";

/// Where the processes meet.
struct Place {
    uri: String,
    options: Vec<(String, String)>,
    _directory: Option<tempfile::TempDir>,
    /// What the requests of all of them go through.
    server: Option<Server>,
}

impl Place {
    fn disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // What a killed process wrote is in the page cache: syncing would only test the disk's speed.
        let options = vec![("fsync".to_owned(), "false".to_owned())];
        let uri = directory.path().display().to_string();
        Self { uri, options, _directory: Some(directory), server: None }
    }

    fn s3() -> Self {
        let server = Server::start(Options::default()).unwrap();
        let options = server.client_options().into_iter();
        let options = options.map(|(key, value)| (key.to_owned(), value)).collect();
        Self { uri: server.uri("t"), options, _directory: None, server: Some(server) }
    }

    fn both() -> [fn() -> Self; 2] {
        [Self::disk, Self::s3]
    }

    fn open(&self) -> Arc<dyn Store> {
        open(&self.uri, &self.options)
    }
}

fn open(uri: &str, options: &[(String, String)]) -> Arc<dyn Store> {
    let pairs = options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    connect(uri, &StoreOptions::new().without_environment().with_all(pairs)).expect("a store")
}

/// The child: commits so many appends from two tasks, says so after each, and keeps the table in shape.
#[test]
fn child() {
    let Ok(uri) = std::env::var(URI) else { return };
    let lines = std::env::var(STORE_OPTIONS).expect("set beside it");
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let count: u64 = std::env::var(COUNT).expect("set beside it").parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(&uri, &pairs);
        let log = Log::open_with(store.clone(), ROOT, options()).await.unwrap();
        let half = || write(&store, &log, count / 2);
        tokio::join!(half(), half());
    });
}

async fn write(store: &Arc<dyn Store>, log: &Log, count: u64) {
    for i in 0..count {
        let id = append(store, log).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\ncommitted {id}").unwrap();
        out.flush().unwrap();
        drop(out);
        let head = log.current().head;
        if tail::wants_fold(&head) {
            let snapshot = Snapshot::load(&**store, ROOT, &head).await.unwrap();
            let folded = checkpoint::fold(&**store, ROOT, &head, &snapshot).await.unwrap();
            log.publish(&folded.checkpoint, folded.epoch).await.unwrap();
        }
        if i % 16 == 15 {
            let fence = FenceOptions { retention_ms: 1000, interval_ms: 500, keep_from: u64::MAX };
            log.fence(fence).await.unwrap();
            // Another collector may have taken what this one was about to look at.
            let _ = collect(&**store, ROOT, GcOptions { grace_ms: 0, dry_run: false }).await;
        }
    }
}

/// Commits a superfile; if fences pass meanwhile, another one, as a writer must.
async fn append(store: &Arc<dyn Store>, log: &Log) -> SuperfileId {
    loop {
        let id = SuperfileId::new();
        let head = log.current().head;
        let summary = SuperfileSummary { id, ..superfile(1) };
        store.put(&format!("{ROOT}/{}", summary.path()), vec![1].into()).await.unwrap();
        let change = Change::new(Operation::Append, head.version, head.epoch).add(summary);
        match log.commit(change).await {
            Ok(_) => return id,
            Err(WalError::Conflict(Conflict::Fenced { .. })) => drop(log.refresh().await),
            Err(error) => panic!("{error}"),
        }
    }
}

fn start(place: &Place, count: u64) -> Child {
    let lines: Vec<_> = place.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(URI, &place.uri)
        .env(STORE_OPTIONS, lines.join("\n"))
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// What the child said it committed; waits until it is gone.
fn committed(child: &mut Child) -> Vec<SuperfileId> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let said = out.lines().map_while(Result::ok);
    // A line that the kill cut short says nothing.
    said.filter_map(|line| SuperfileId::parse(line.strip_prefix("committed ")?).ok()).collect()
}

/// Everything said to be committed is there once, and is whole.
async fn check(place: &Place, said: &BTreeSet<SuperfileId>, killed: usize) {
    let store = place.open();
    let log = Log::open(store.clone(), ROOT).await.unwrap();
    let head = log.current().head;
    let snapshot = Snapshot::load(&*store, ROOT, &head).await.unwrap();
    let there: BTreeSet<_> = snapshot.entries.iter().map(|entry| entry.id()).collect();
    assert_eq!(there.len() as u64, head.version - 1, "every version added one superfile");
    let lost: Vec<_> = said.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(there.len() <= said.len() + 2 * killed, "{} {}", there.len(), said.len());
    for entry in snapshot.entries.iter() {
        store.head(&format!("{ROOT}/{}", entry.summary.path())).await.unwrap();
    }
    history::as_of_version(&*store, ROOT, &head, head.floor).await.unwrap();
    let change = Change::new(Operation::Append, head.version, head.epoch);
    log.commit(change.add(superfile(1))).await.unwrap();
}

async fn begin(place: fn() -> Place) -> Place {
    let place = place();
    Log::create(place.open(), ROOT, schema(1)).await.unwrap();
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_processes_commit_side_by_side() {
    let mut row = Row::new("F10");
    let each = if Row::scaled(100) < 100 { 100 } else { 400 };
    for seed in row.seeds(5) {
        for place in Place::both() {
            row.run(seed, async move {
                let place = begin(place).await;
                if let Some(server) = &place.server {
                    server.set_delay(Duration::from_millis(5));
                }
                let began = Instant::now();
                let mut children: Vec<_> = (0..4).map(|_| start(&place, each)).collect();
                let mut said = BTreeSet::new();
                for child in &mut children {
                    said.extend(committed(child));
                    assert!(child.wait().unwrap().success());
                }
                let rate = (4 * each) as f64 / began.elapsed().as_secs_f64();
                println!("{rate:.0} commits a second of 4 processes on {}", place.uri);
                assert_eq!(said.len() as u64, 4 * each);
                check(&place, &said, 0).await;
                4 * each
            })
            .await;
        }
    }
    row.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_killed_processes_lose_nothing_they_said() {
    let mut row = Row::new("F11");
    for seed in row.seeds(10) {
        for place in Place::both() {
            row.run(seed, async move {
                let place = begin(place).await;
                let (mut said, mut killed) = (BTreeSet::new(), 0);
                // Where the machine is busy many are killed before they have done anything.
                for round in 0..70u64 {
                    if round >= 7 && said.len() > 5 {
                        break;
                    }
                    let mut children: Vec<_> = (0..3).map(|_| start(&place, 100_000)).collect();
                    for (at, child) in (0..).zip(&mut children) {
                        let wait = 20 + 37 * (seed * 13 + round * 7 + at * 3) % 200;
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                        assert!(child.try_wait().unwrap().is_none(), "it stopped by itself");
                        child.kill().unwrap();
                        child.wait().unwrap();
                        killed += 1;
                    }
                    children.iter_mut().for_each(|child| said.extend(committed(child)));
                }
                assert!(said.len() > 5, "{} commits in {killed} lives", said.len());
                check(&place, &said, killed).await;
                killed as u64
            })
            .await;
        }
    }
    row.finish();
}

/// How long a stopped writer is waited for.
const LOCKED: Duration = Duration::from_millis(800);

/// Sends a signal by name.
fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill {name}");
}

/// A writer is stopped in the middle of whatever it does, the table is fenced and collected without it, and it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn f12_a_writer_that_slept_through_collections_breaks_nothing() {
    let mut row = Row::new("F12");
    for (seed, place) in row.seeds(15).into_iter().flat_map(|seed| Place::both().map(|p| (seed, p)))
    {
        row.run(seed, async move {
            let place = begin(place).await;
            let store = place.open();
            let log = Log::open_with(store.clone(), ROOT, options()).await.unwrap();
            let mut child = start(&place, 100_000);
            let (mut mine, mut slept) = (BTreeSet::new(), 0);
            let at_once = FenceOptions { retention_ms: 0, interval_ms: 0, keep_from: u64::MAX };
            let grace = GcOptions { grace_ms: 0, dry_run: false };
            for round in 0..5u64 {
                let wait = 30 + 37 * (seed * 13 + round * 7) % 100;
                tokio::time::sleep(Duration::from_millis(wait)).await;
                signal(&child, "-STOP");
                let meanwhile = async {
                    for _ in 0..3 {
                        log.fence(at_once).await.unwrap();
                        mine.insert(append(&store, &log).await);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        collect(&*store, ROOT, grace).await.unwrap();
                    }
                };
                // One that is stopped while it swaps holds the disk's lock, and then nobody gets on.
                slept += u64::from(tokio::time::timeout(LOCKED, meanwhile).await.is_ok());
                signal(&child, "-CONT");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(child.try_wait().unwrap().is_none(), "it stopped by itself");
            child.kill().unwrap();
            child.wait().unwrap();
            mine.extend(committed(&mut child));
            // An append that was given up may have gone through.
            check(&place, &mine, 4).await;
            slept
        })
        .await;
    }
    row.finish();
}
