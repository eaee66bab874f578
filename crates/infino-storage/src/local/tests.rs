use std::fs;
use std::sync::Arc;

use super::*;
use crate::connect;

fn open(directory: &Path) -> LocalStore {
    LocalStore::open(directory, &StoreOptions::new().with("fsync", "false")).unwrap()
}

#[tokio::test]
async fn directories_that_cannot_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = LocalStore::open(&path, &StoreOptions::new()).unwrap_err();
        assert!(matches!(error, StorageError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains("not a directory"), "{error}");
    }
    let made = folder.path().join("a/b c/ü");
    let uri = url::Url::from_file_path(&made).unwrap();
    let store = connect(uri.as_str(), &StoreOptions::new()).unwrap();
    store.put("o", "x".into()).await.unwrap();
    assert_eq!(fs::read(made.join("o")).unwrap(), b"x");
}

#[tokio::test]
async fn reading_where_nobody_wrote_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a/b");
    let store = open(&place);
    assert!(matches!(store.get("o").await, Err(StorageError::NotFound { .. })));
    assert!(matches!(store.head("t/o").await, Err(StorageError::NotFound { .. })));
    assert!(store.list("").await.unwrap().is_empty());
    store.delete("o").await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // The name is the same before and after the directory is made, by either kind of write.
    assert!(matches!(store.swap("t/head", None, "x".into()).await, Swap::Done(_)));
    assert_eq!(store.uri(), open(&place).uri());
    assert_eq!(open(&place).get("t/head").await.unwrap().0, "x");
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_directory_can_be_read_and_denies_writes() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).put("o", "x".into()).await.unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let store = open(folder.path());
    assert_eq!(store.get("o").await.unwrap().0, "x");
    // The superuser is not bound by permissions: then there is nothing to see here.
    if fs::write(folder.path().join("probe"), "x").is_err() {
        assert!(matches!(store.put("new/p", "x".into()).await, Err(StorageError::Denied { .. })));
        let swap = store.swap("p", None, "x".into()).await;
        assert!(matches!(swap, Swap::Unclear(StorageError::Denied { .. })), "{swap:?}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn files_of_others_and_our_own_are_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(matches!(store.swap("t/head", None, "x".into()).await, Swap::Done(_)));
    fs::write(folder.path().join(".hidden"), "x").unwrap();
    fs::write(folder.path().join("bad%zz"), "x").unwrap();
    let listed = store.list("").await.unwrap();
    assert_eq!(listed.iter().map(|info| info.path.as_str()).collect::<Vec<_>>(), ["t/head"]);
    assert!(folder.path().join("t/.head.lock").exists());
    assert_eq!(fs::read_dir(folder.path().join(".infino-tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_name_cannot_be_both_file_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put("a", "x".into()).await.unwrap();
    assert!(matches!(store.put("a/b", "x".into()).await, Err(StorageError::Invalid { .. })));
    assert!(matches!(store.get("a/b").await, Err(StorageError::NotFound { .. })));
    store.put("f/o", "x".into()).await.unwrap();
    assert!(store.put("f", "x".into()).await.is_err());
    assert!(matches!(store.get("f").await, Err(StorageError::NotFound { .. })));
    assert_eq!(fs::read_dir(folder.path().join(".infino-tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn stores_with_other_roots_share_locks_and_tags() {
    let folder = tempfile::tempdir().unwrap();
    let above = open(folder.path());
    let below = open(&folder.path().join("t"));
    let Swap::Done(tag) = above.swap("t/head", None, "1".into()).await else { panic!() };
    assert_eq!(below.get("head").await.unwrap(), ("1".into(), tag.clone()));
    assert!(matches!(below.swap("head", Some(&tag), "2".into()).await, Swap::Done(_)));
    assert!(matches!(above.swap("t/head", Some(&tag), "3".into()).await, Swap::Lost));
}

#[tokio::test]
async fn a_lock_that_is_held_does_not_hang_a_swap() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().with("swap_timeout_ms", "50");
    let store = LocalStore::open(folder.path(), &options).unwrap();
    let Swap::Done(tag) = store.swap("head", None, "1".into()).await else { panic!() };
    let held = fs::File::open(folder.path().join(".head.lock")).unwrap();
    held.lock().unwrap();
    let swap = store.swap("head", Some(&tag), "2".into()).await;
    assert!(matches!(swap, Swap::Unclear(StorageError::Unavailable { .. })), "{swap:?}");
    drop(held);
    assert!(matches!(store.swap("head", Some(&tag), "2".into()).await, Swap::Done(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_swap_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    assert!(matches!(store.swap("n", None, "0".into()).await, Swap::Done(_)));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..25 {
                    loop {
                        let (bytes, tag) = store.get("n").await.unwrap();
                        let n: u64 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                        let next = Bytes::from((n + 1).to_string());
                        if let Swap::Done(_) = store.swap("n", Some(&tag), next).await {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get("n").await.unwrap().0, "200");
}

#[tokio::test]
async fn a_file_cut_short_is_an_error_not_short_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put("o", Bytes::from(vec![1; 100])).await.unwrap();
    fs::write(folder.path().join("o"), [1; 50]).unwrap();
    let error = store.get_ranges("o", &[10..20, 40..60]).await.unwrap_err();
    assert!(matches!(error, StorageError::Range { start: 40, end: 60, .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_stays_behind_what_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    crate::probe(&store).await.unwrap();
    store.put("a/b/o", "x".into()).await.unwrap();
    store.delete("a/b/o").await.unwrap();
    store.delete("a/b/o").await.unwrap();
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, [".infino-tmp"]);
}

/// Creates, swaps and deletes race: whoever created it may swap it once, and nobody swaps what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn creation_and_deletion_race_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    for _ in 0..20 {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut created = 0u32;
                    for turn in 0..10 {
                        let bytes = Bytes::from(format!("{n}.{turn}"));
                        match store.swap("f/o", None, bytes.clone()).await {
                            // Only its creator deletes it, so it must be there, and be the one created.
                            Swap::Done(tag) => {
                                created += 1;
                                assert_eq!(store.get("f/o").await.unwrap(), (bytes, tag));
                                store.delete("f/o").await.unwrap();
                            }
                            Swap::Lost => {}
                            Swap::Unclear(error) => panic!("{error}"),
                        }
                    }
                    created
                })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            created += task.await.unwrap();
        }
        assert!(created > 0);
    }
    assert!(store.list("").await.unwrap().is_empty());
}
