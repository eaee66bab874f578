//! What every store must do, the same on each: the promises of the `Store` trait, one check each.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use infino_storage::{StorageError, Store, Swap, Tag, probe};

/// Runs every check on `store`, each in a folder of its own.
///
/// `large_bytes` is the length of an object that the store uploads in parts, if it has parts.
pub(crate) async fn check_all(store: Arc<dyn Store>, large_bytes: usize) {
    let of = |name: &str| Case { store: Arc::clone(&store), folder: format!("conformance/{name}") };
    of("objects").objects_come_and_go().await;
    of("names").names_are_kept().await;
    of("absent").absent_objects_are_not_found().await;
    of("bad").bad_names_are_invalid().await;
    of("ranges").ranges_are_exact_or_errors().await;
    of("clipped").ranges_are_clipped_if_asked().await;
    of("swap").swaps_compare().await;
    of("changed").changes_are_told_from_none().await;
    of("lists").lists_are_of_folders().await;
    of("many").long_lists_are_whole().await;
    of("files").files_are_uploaded(large_bytes).await;
    of("counter").concurrent_swaps_lose_nothing().await;
    of("creation").of_many_creators_one_wins().await;
    of("torn").reads_are_never_torn().await;
    probe(&*store).await.unwrap();
}

struct Case {
    store: Arc<dyn Store>,
    folder: String,
}

fn numbered(len: usize) -> Bytes {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

impl Case {
    fn name(&self, object: &str) -> String {
        format!("{}/{object}", self.folder)
    }

    async fn put(&self, object: &str, bytes: impl Into<Bytes>) {
        self.store.put(&self.name(object), bytes.into()).await.unwrap();
    }

    async fn get(&self, object: &str) -> (Bytes, Tag) {
        self.store.get(&self.name(object)).await.unwrap()
    }

    async fn won(&self, object: &str, expected: Option<&Tag>, text: &'static str) -> Tag {
        match self.store.swap(&self.name(object), expected, text.into()).await {
            Swap::Done(tag) => tag,
            other => panic!("{object} = {text}: {other:?}"),
        }
    }

    async fn lost(&self, object: &str, expected: Option<&Tag>, text: &'static str) {
        let swap = self.store.swap(&self.name(object), expected, text.into()).await;
        assert!(matches!(swap, Swap::Lost), "{object} = {text}: {swap:?}");
    }

    async fn objects_come_and_go(&self) {
        for bytes in [Bytes::new(), Bytes::from_static(b"x"), numbered(100_000)] {
            self.put("o", bytes.clone()).await;
            assert_eq!(self.get("o").await.0, bytes);
            let info = self.store.head(&self.name("o")).await.unwrap();
            assert_eq!((info.path, info.len), (self.name("o"), bytes.len() as u64));
            assert!(info.modified_ms > 1_600_000_000_000, "milliseconds of this century");
        }
        self.store.delete(&self.name("o")).await.unwrap();
        self.store.delete(&self.name("o")).await.unwrap();
        let gone = self.store.get(&self.name("o")).await;
        assert!(matches!(gone, Err(StorageError::NotFound { .. })), "{gone:?}");
    }

    async fn names_are_kept(&self) {
        let names = [
            "sp ace",
            "ü/ß",
            "a=b",
            "100%",
            "%41",
            "a+b",
            "a&b",
            "a#b",
            "x~y",
            ".dot",
            "...",
            "end.",
            "q?*:\"<>|\\",
            "'[{^`}]'",
            "date=2026-11-21/part-0.parquet",
            "UPPER",
            "日本語",
        ];
        for name in names {
            self.put(name, name).await;
        }
        for name in names {
            assert_eq!(self.get(name).await.0, name);
        }
        let listed = self.store.list(&self.folder).await.unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|info| info.path).collect();
        assert_eq!(listed, names.iter().map(|name| self.name(name)).collect());
        for name in names {
            self.store.delete(&self.name(name)).await.unwrap();
        }
        assert!(self.store.list(&self.folder).await.unwrap().is_empty());
    }

    async fn absent_objects_are_not_found(&self) {
        let name = self.name("absent");
        let tag = Tag("\"0\"".to_owned());
        let outcomes = [
            self.store.get(&name).await.err(),
            self.store.get_if_changed(&name, &tag).await.err(),
            self.store.get_ranges(&name, &[0..1]).await.err(),
            self.store.head(&name).await.err(),
        ];
        for error in outcomes {
            match error {
                Some(StorageError::NotFound { path }) => assert!(path.ends_with("absent")),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn bad_names_are_invalid(&self) {
        for name in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb"] {
            let outcomes = [
                self.store.get(name).await.err(),
                self.store.get_ranges(name, &[0..1]).await.err(),
                self.store.head(name).await.err(),
                self.store.put(name, "x".into()).await.err(),
                self.store.delete(name).await.err(),
            ];
            for error in outcomes {
                assert!(matches!(error, Some(StorageError::Invalid { .. })), "{name:?}: {error:?}");
            }
            let swap = self.store.swap(name, None, "x".into()).await;
            assert!(matches!(swap, Swap::Unclear(StorageError::Invalid { .. })), "{swap:?}");
        }
    }

    async fn ranges_are_exact_or_errors(&self) {
        let bytes = numbered(300_000);
        self.put("o", bytes.clone()).await;
        let name = self.name("o");
        let len = bytes.len() as u64;
        let ranges =
            [5..5, 0..1, len - 1..len, 1000..2000, 1500..2500, 0..len, 200_000..200_100, 7..8];
        let read = self.store.get_ranges(&name, &ranges).await.unwrap();
        assert_eq!(read.len(), ranges.len());
        for (range, read) in ranges.iter().zip(read) {
            assert_eq!(read, bytes.slice(range.start as usize..range.end as usize), "{range:?}");
        }
        assert!(self.store.get_ranges(&name, &[]).await.unwrap().is_empty());
        #[expect(clippy::reversed_empty_ranges, reason = "the bad input under test")]
        let bad = [len - 1..len + 1, len..len + 1, len + 100..len + 200, 0..u64::MAX, 20..10];
        for range in bad {
            let outcome = self.store.get_ranges(&name, &[0..10, range.clone()]).await;
            assert!(matches!(outcome, Err(StorageError::Range { .. })), "{range:?}: {outcome:?}");
        }
    }

    async fn ranges_are_clipped_if_asked(&self) {
        let bytes = numbered(200_000);
        self.put("o", bytes.clone()).await;
        let name = self.name("o");
        let ranges = [0..10, 199_990..200_010, 150_000..400_000, 199_999..200_000];
        let read = self.store.get_clipped(&name, &ranges).await.unwrap();
        for (range, read) in ranges.iter().zip(read) {
            assert_eq!(read, bytes.slice(range.start as usize..(range.end as usize).min(200_000)));
        }
        for range in [200_000..200_001, 300_000..300_010] {
            let outcome = self.store.get_clipped(&name, std::slice::from_ref(&range)).await;
            assert!(matches!(outcome, Err(StorageError::Range { .. })), "{range:?}: {outcome:?}");
        }
    }

    async fn swaps_compare(&self) {
        let a = self.won("o", None, "a").await;
        self.lost("o", None, "x").await;
        assert_eq!(self.get("o").await, ("a".into(), a.clone()));
        let b = self.won("o", Some(&a), "b").await;
        assert_ne!(a, b);
        self.lost("o", Some(&a), "x").await;
        assert_eq!(self.get("o").await, ("b".into(), b.clone()));
        self.lost("absent", Some(&b), "x").await;
        assert!(self.store.get(&self.name("absent")).await.is_err());
        self.store.delete(&self.name("o")).await.unwrap();
        self.lost("o", Some(&b), "x").await;
        self.won("o", None, "again").await;
    }

    async fn changes_are_told_from_none(&self) {
        let name = self.name("o");
        let a = self.won("o", None, "a").await;
        assert_eq!(self.store.get_if_changed(&name, &a).await.unwrap(), None);
        let b = self.won("o", Some(&a), "b").await;
        let changed = self.store.get_if_changed(&name, &a).await.unwrap();
        assert_eq!(changed, Some(("b".into(), b.clone())));
        assert_eq!(self.store.get_if_changed(&name, &b).await.unwrap(), None);
    }

    async fn lists_are_of_folders(&self) {
        for name in ["a/1", "a/b/2", "a/b/c/3", "ab/4", "a.5"] {
            self.put(name, name).await;
        }
        for (folder, expected) in [
            ("a", vec!["a/1", "a/b/2", "a/b/c/3"]),
            ("a/", vec!["a/1", "a/b/2", "a/b/c/3"]),
            ("a/b", vec!["a/b/2", "a/b/c/3"]),
            ("a/1", vec![]),
            ("none", vec![]),
        ] {
            let listed = self.store.list(&self.name(folder)).await.unwrap();
            for info in &listed {
                assert_eq!(info.len, (info.path.len() - self.folder.len() - 1) as u64);
            }
            let listed: BTreeSet<_> = listed.into_iter().map(|info| info.path).collect();
            assert_eq!(listed, expected.iter().map(|name| self.name(name)).collect(), "{folder}");
        }
    }

    async fn long_lists_are_whole(&self) {
        let names: Vec<_> = (0..1205).map(|n| self.name(&format!("{n:05}"))).collect();
        for some in names.chunks(32) {
            join_all(some.iter().map(|name| self.store.put(name, "x".into()))).await;
        }
        let listed = self.store.list(&self.folder).await.unwrap();
        let listed: BTreeSet<_> = listed.into_iter().map(|info| info.path).collect();
        assert_eq!(listed, names.iter().cloned().collect());
        for some in names.chunks(32) {
            let deleted = join_all(some.iter().map(|name| self.store.delete(name))).await;
            assert!(deleted.iter().all(Result::is_ok));
        }
        assert!(self.store.list(&self.folder).await.unwrap().is_empty());
    }

    async fn files_are_uploaded(&self, large_bytes: usize) {
        for len in [0, 1000, large_bytes] {
            let bytes = numbered(len);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            self.store.put_file(&self.name("from-file"), file.path()).await.unwrap();
            assert!(self.get("from-file").await.0 == bytes, "{len} bytes from a file");
            self.put("from-memory", bytes.clone()).await;
            assert!(self.get("from-memory").await.0 == bytes, "{len} bytes from memory");
        }
        let missing = std::path::Path::new("/nonexistent/file");
        let outcome = self.store.put_file(&self.name("never"), missing).await;
        assert!(matches!(outcome, Err(StorageError::NotFound { .. })), "{outcome:?}");
    }

    async fn concurrent_swaps_lose_nothing(&self) {
        const TASKS: usize = 8;
        const EACH: usize = 15;
        self.won("n", None, "0").await;
        let name = self.name("n");
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (store, name) = (Arc::clone(&self.store), name.clone());
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        loop {
                            let (bytes, tag) = store.get(&name).await.unwrap();
                            let n: usize = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                            let next = Bytes::from((n + 1).to_string());
                            match store.swap(&name, Some(&tag), next).await {
                                Swap::Done(_) => break,
                                Swap::Lost => {}
                                Swap::Unclear(error) => panic!("{error}"),
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(self.get("n").await.0, (TASKS * EACH).to_string());
    }

    async fn of_many_creators_one_wins(&self) {
        for round in 0..20 {
            let name = self.name(&format!("{round}"));
            let swaps =
                (0..8).map(|n| self.store.swap(&name, None, Bytes::from(format!("by {n}"))));
            let outcomes = join_all(swaps).await;
            let winners: Vec<_> =
                (0..8).filter(|&n| matches!(outcomes[n], Swap::Done(_))).collect();
            assert_eq!(winners.len(), 1, "{outcomes:?}");
            assert_eq!(self.store.get(&name).await.unwrap().0, format!("by {}", winners[0]));
        }
    }

    async fn reads_are_never_torn(&self) {
        const LEN: usize = 256 << 10;
        let name = self.name("o");
        let store = Arc::clone(&self.store);
        store.put(&name, Bytes::from(vec![0; LEN])).await.unwrap();
        let (mut tag, writes) = (store.get(&name).await.unwrap().1, name.clone());
        let writer = tokio::spawn(async move {
            for n in 1..=30u8 {
                tag = match store.swap(&writes, Some(&tag), Bytes::from(vec![n; LEN])).await {
                    Swap::Done(tag) => tag,
                    other => panic!("{other:?}"),
                };
            }
        });
        while !writer.is_finished() {
            let (bytes, _) = self.store.get(&name).await.unwrap();
            assert_eq!(bytes.len(), LEN);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "bytes of two versions");
        }
        writer.await.unwrap();
    }
}
