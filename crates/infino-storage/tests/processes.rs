//! Compare-and-swap among processes on one local disk: this program starts itself several times over.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use infino_storage::{LocalStore, Store, StoreOptions, Swap};

/// Set in the child to the directory, and what it is to do.
const DIRECTORY: &str = "INFINO_TEST_DIRECTORY";
const COUNT: &str = "INFINO_TEST_COUNT";

fn open(directory: &Path) -> LocalStore {
    LocalStore::open(directory, &StoreOptions::new().with("fsync", "false")).unwrap()
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).unwrap().trim().parse().unwrap()
}

/// The child: adds one to the counter so many times, and says so after each.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let count: u64 = std::env::var(COUNT).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(Path::new(&directory));
        for _ in 0..count {
            loop {
                let (bytes, tag) = store.get("n").await.unwrap();
                // Padded, so that half of it would show.
                let next = Bytes::from(format!("{:>40000}", number(&bytes) + 1));
                if let Swap::Done(_) = store.swap("n", Some(&tag), next).await {
                    break;
                }
            }
            let mut out = std::io::stdout().lock();
            writeln!(out, "added").unwrap();
            out.flush().unwrap();
        }
    });
}

fn start(directory: &Path, count: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn added(child: &mut Child) -> u64 {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter(|line| line.contains("added")).count() as u64
}

async fn begin(directory: &Path) -> LocalStore {
    let store = open(directory);
    assert!(matches!(store.swap("n", None, "0".into()).await, Swap::Done(_)));
    store
}

#[tokio::test]
async fn no_process_overwrites_another() {
    let directory = tempfile::tempdir().unwrap();
    let store = begin(directory.path()).await;
    let mut children: Vec<_> = (0..4).map(|_| start(directory.path(), 100)).collect();
    for child in &mut children {
        assert_eq!(added(child), 100);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(number(&store.get("n").await.unwrap().0), 400);
}

#[tokio::test]
async fn a_killed_process_leaves_neither_a_lock_nor_half_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = begin(directory.path()).await;
    let mut acknowledged = 0;
    const ROUNDS: u64 = 15;
    for round in 0..ROUNDS {
        let mut child = start(directory.path(), u64::MAX);
        tokio::time::sleep(Duration::from_millis(20 + 7 * round)).await;
        child.kill().unwrap();
        acknowledged += added(&mut child);
        child.wait().unwrap();
        // At most one more than was acknowledged, per kill.
        let n = number(&store.get("n").await.unwrap().0);
        assert!((acknowledged..=acknowledged + round + 1).contains(&n), "{acknowledged} of {n}");
        let (bytes, tag) = store.get("n").await.unwrap();
        assert!(
            matches!(store.swap("n", Some(&tag), bytes).await, Swap::Done(_)),
            "the lock is free"
        );
    }
    assert!(acknowledged > 0);
    let listed = store.list("").await.unwrap();
    assert_eq!(listed.len(), 1, "what was cut short is no object: {listed:?}");
}
