//! S3 over real HTTP, when the server, the network or the credentials are not as they should be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::future::join_all;
use infino_storage::{
    Credentials, CredentialsProvider, StorageError, Store, StoreOptions, Swap, connect, probe,
};
use infino_testserver::{Fault, Flaw, Options, Rule, Server};

struct Bench {
    server: Server,
    store: Arc<dyn Store>,
}

fn options(server: &Server) -> StoreOptions {
    StoreOptions::new().without_environment().with_all(server.client_options())
}

fn start_with(more: &[(&str, &str)]) -> Bench {
    let server = Server::start(Options::default()).unwrap();
    let options = options(&server).with_all(more.iter().copied());
    let store = connect(&server.uri("t"), &options).unwrap();
    Bench { server, store }
}

fn start() -> Bench {
    start_with(&[])
}

#[tokio::test]
async fn credentials_that_do_not_fit_are_denied_with_advice() {
    let Bench { server, store } = start();
    store.put("o", "x".into()).await.unwrap();
    let reader = Server::READER;
    for (key, value, advice) in [
        ("secret_key", "wrong", "check the access key and the secret key"),
        ("access_key", "unknown", "check the access key and the secret key"),
    ] {
        let store = connect(&server.uri("t"), &options(&server).with(key, value)).unwrap();
        let errors = [
            store.get("o").await.err(),
            store.put("p", "x".into()).await.err(),
            store.list("").await.err(),
            store.delete("o").await.err(),
            probe(&*store).await.err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(StorageError::Denied { .. })), "{key}: {error:?}");
            let text = error.unwrap().to_string();
            assert!(text.contains(advice) && !text.contains(value), "{text}");
        }
        let swap = store.swap("o", None, "x".into()).await;
        assert!(matches!(swap, Swap::Unclear(StorageError::Denied { .. })), "{swap:?}");
    }
    let read_only = options(&server).with("access_key", reader.0).with("secret_key", reader.1);
    let store = connect(&server.uri("t"), &read_only).unwrap();
    assert_eq!(store.get("o").await.unwrap().0, "x");
    assert!(matches!(store.put("o", "y".into()).await, Err(StorageError::Denied { .. })));
    assert!(matches!(probe(&*store).await, Err(StorageError::Denied { .. })));
    assert_eq!(store.get("o").await.unwrap().0, "x");
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let Bench { server, store } = start();
    store.put("o", "x".into()).await.unwrap();
    server.add(Rule::new(Fault::ClockSkew));
    let errors = [
        store.get("o").await.err(),
        store.get_ranges("o", &[0..1]).await.err(),
        store.put("p", "x".into()).await.err(),
        store.list("").await.err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("set this machine's clock"), "{error}");
        assert!(!error.is_retryable());
    }
    let swap = store.swap("o", None, "x".into()).await;
    assert!(matches!(swap, Swap::Unclear(StorageError::Denied { .. })), "{swap:?}");
}

#[tokio::test]
async fn a_missing_bucket_is_not_an_empty_one() {
    let Bench { server, .. } = start();
    let store = connect("s3://nowhere/t", &options(&server)).unwrap();
    let errors = [
        store.get("o").await.err(),
        store.put("o", "x".into()).await.err(),
        probe(&*store).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(StorageError::Invalid { .. })), "{error:?}");
        assert!(error.unwrap().to_string().contains("bucket"));
    }
    let swap = store.swap("o", None, "x".into()).await;
    assert!(matches!(swap, Swap::Unclear(StorageError::Invalid { .. })), "{swap:?}");
}

#[tokio::test]
async fn reads_survive_what_passes() {
    let Bench { server, store } = start();
    let bytes = Bytes::from(vec![7; 300_000]);
    store.put("o", bytes.clone()).await.unwrap();
    for fault in [
        Fault::Status(503),
        Fault::Status(500),
        Fault::Status(429),
        Fault::Close,
        Fault::ResetAfter,
        Fault::HalfReplyAfter,
        Fault::Truncate,
    ] {
        server.heal();
        server.add(Rule::new(fault).method("GET").times(2));
        assert!(store.get("o").await.unwrap().0 == bytes, "{fault:?}");
        server.add(Rule::new(fault).method("GET").times(2));
        let read = store.get_ranges("o", &[10..20, 200_000..300_000]).await.unwrap();
        assert!(read[0] == bytes[10..20] && read[1] == bytes[200_000..], "{fault:?}");
        assert_eq!(server.stats().faults, 4, "{fault:?} befell");
    }
}

#[tokio::test]
async fn writes_of_immutable_objects_survive_what_passes() {
    let Bench { server, store } = start();
    for (n, fault) in
        [Fault::Status(503), Fault::StatusAfter(500), Fault::CloseAfter, Fault::HalfReplyAfter]
            .into_iter()
            .enumerate()
    {
        let name = format!("o{n}");
        server.add(Rule::new(fault).method("PUT").times(2));
        store.put(&name, "x".into()).await.unwrap();
        assert_eq!(store.get(&name).await.unwrap().0, "x", "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_range_is_told_from_none() {
    let Bench { server, store } = start_with(&[("deadline_ms", "800"), ("retries", "1")]);
    store.put("o", vec![7; 100].into()).await.unwrap();
    for range in [90..101, 100..101, 500..600] {
        let error = store.get_ranges("o", std::slice::from_ref(&range)).await.unwrap_err();
        assert!(matches!(error, StorageError::Range { .. }), "{range:?}: {error:?}");
        assert!(!error.is_retryable());
    }
    server.set_flaw(Flaw::IgnoresRanges);
    let error = store.get_ranges("o", &[10..20]).await.unwrap_err();
    assert!(matches!(error, StorageError::Range { start: 10, end: 20, .. }), "{error:?}");
    server.heal();
    for fault in [Fault::Status(500), Fault::Close, Fault::ResetAfter, Fault::HalfReplyAfter] {
        server.heal();
        server.add(Rule::new(fault));
        let error = store.get_ranges("o", &[10..20]).await.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable { .. }), "{fault:?}: {error:?}");
    }
    server.heal();
    let error = store.get_ranges("gone", &[10..20]).await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_storm_ends_at_the_deadline() {
    let Bench { server, store } = start_with(&[("deadline_ms", "800"), ("swap_timeout_ms", "400")]);
    store.put("o", "x".into()).await.unwrap();
    for fault in [
        Fault::Status(503),
        Fault::Close,
        Fault::Truncate,
        Fault::HangAfter(Duration::from_secs(60)),
    ] {
        server.heal();
        server.add(Rule::new(fault));
        let began = Instant::now();
        let bodies = [
            store.get("o").await.err(),
            store.get_ranges("o", &[0..1]).await.err(),
            store.list("").await.err(),
        ];
        let empty = [store.head("o").await.err(), store.put("p", "x".into()).await.err()];
        // An empty body cannot be cut.
        let empty = empty.into_iter().filter(|_| fault != Fault::Truncate);
        for error in bodies.into_iter().chain(empty) {
            assert!(error.as_ref().is_some_and(StorageError::is_retryable), "{fault:?}: {error:?}");
        }
        let swap = store.swap("o", None, "y".into()).await;
        assert!(matches!(swap, Swap::Unclear(_) | Swap::Lost), "{fault:?}: {swap:?}");
        // Six operations of at most 0.8 s; the rest is slack for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(30), "{fault:?}: {:?}", began.elapsed());
    }
    server.heal();
    assert_eq!(store.get("o").await.unwrap().0, "x", "and after it all is well");
}

/// Whatever becomes of the reply, one swap is one request, and success is never claimed falsely.
#[tokio::test]
async fn a_swap_is_sent_once_and_its_outcome_told_apart() {
    let Bench { server, store } = start_with(&[("swap_timeout_ms", "500")]);
    let hang = Fault::HangAfter(Duration::from_secs(3));
    for (fault, applied) in [
        (Fault::Close, false),
        (Fault::Status(503), false),
        (Fault::Status(409), false),
        (Fault::StatusAfter(503), true),
        (Fault::StatusAfter(500), true),
        (Fault::CloseAfter, true),
        (Fault::ResetAfter, true),
        (Fault::HalfReplyAfter, true),
        (hang, true),
    ] {
        for is_creation in [true, false] {
            server.heal();
            let name = format!("{fault:?}-{is_creation}");
            let before = match is_creation {
                true => None,
                false => match store.swap(&name, None, "old".into()).await {
                    Swap::Done(tag) => Some(tag),
                    other => panic!("{other:?}"),
                },
            };
            server.heal();
            server.add(Rule::new(fault).method("PUT").conditional());
            let swap = store.swap(&name, before.as_ref(), "mine".into()).await;
            assert_eq!(server.stats().requests.get("PUT"), Some(&1), "{fault:?} is not retried");
            match (fault, &swap) {
                // Somebody else was writing, says the store: a question, not a proof.
                (Fault::Status(409), Swap::Lost) => {}
                (_, Swap::Unclear(_)) => {}
                _ => panic!("{fault:?}: {swap:?}"),
            }
            let found = store.get(&name).await.ok().map(|(bytes, _)| bytes);
            assert_eq!(found.as_deref() == Some(b"mine"), applied, "{fault:?}");
        }
    }
}

/// Commits settled by asking the object: every acknowledged one is applied exactly once, whatever the network did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_can_be_resolved_by_reading() {
    const TASKS: usize = 4;
    const EACH: usize = 40;
    let Bench { server, store } = start_with(&[("swap_timeout_ms", "2000")]);
    assert!(matches!(store.swap("head", None, "".into()).await, Swap::Done(_)));
    for fault in [
        Fault::StatusAfter(503),
        Fault::CloseAfter,
        Fault::Late(Duration::from_millis(30)),
        Fault::Status(409),
        Fault::Status(503),
    ] {
        server.add(Rule::new(fault).method("PUT").conditional().chance(0.06));
    }
    server.add(Rule::new(Fault::Truncate).method("GET").chance(0.05));
    let tasks = (0..TASKS).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..EACH {
                commit(&*store, &format!("{task}.{n}")).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    server.heal();
    let head = store.get("head").await.unwrap().0;
    let mut applied = BTreeMap::new();
    for id in std::str::from_utf8(&head).unwrap().split_whitespace() {
        *applied.entry(id).or_insert(0) += 1;
    }
    assert_eq!(applied.len(), TASKS * EACH);
    assert!(applied.values().all(|times| *times == 1), "{applied:?}");
}

/// Appends `id` to the head, exactly once.
async fn commit(store: &dyn Store, id: &str) {
    loop {
        let (old, tag) = store.get("head").await.unwrap();
        if has(&old, id) {
            return;
        }
        let new = Bytes::from([&old[..], b" ", id.as_bytes()].concat());
        loop {
            if let Swap::Done(_) = store.swap("head", Some(&tag), new.clone()).await {
                return;
            }
            let (found, now) = store.get("head").await.unwrap();
            if has(&found, id) {
                return;
            }
            if now != tag {
                // Moved without this id: that write can never land any more. Begin anew.
                break;
            }
        }
    }
}

fn has(head: &[u8], id: &str) -> bool {
    std::str::from_utf8(head).unwrap().split_whitespace().any(|it| it == id)
}

#[tokio::test]
async fn uploads_in_parts_are_given_back_when_they_fail() {
    let parts =
        [("part_bytes", "5242880"), ("multipart_bytes", "6000000"), ("deadline_ms", "3000")];
    let Bench { server, store } = start_with(&parts);
    let bytes = Bytes::from(vec![1; 12 << 20]);

    server.add(Rule::new(Fault::Status(403)).method("PUT").path("partNumber=2"));
    assert!(matches!(store.put("o", bytes.clone()).await, Err(StorageError::Denied { .. })));
    assert_eq!(server.uploads_open(), 0);
    assert!(store.get("o").await.is_err());

    server.heal();
    server.add(Rule::new(Fault::StatusAfter(503)).method("PUT").times(2));
    server.add(Rule::new(Fault::CloseAfter).method("PUT").times(1));
    store.put("o", bytes.clone()).await.unwrap();
    assert!(store.get("o").await.unwrap().0 == bytes);

    // The reply to the completion is lost, the next attempt is told that there is no such upload.
    for fault in [Fault::StatusAfter(503), Fault::CloseAfter] {
        server.heal();
        server.add(Rule::new(fault).method("POST").path("uploadId").times(1));
        store.put("completed", bytes.clone()).await.unwrap();
        assert!(store.get("completed").await.unwrap().0 == bytes, "{fault:?}");
        store.delete("completed").await.unwrap();
    }
    assert_eq!(server.uploads_open(), 0);
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_given_back() {
    let parts = [("part_bytes", "5242880"), ("multipart_bytes", "6000000")];
    let Bench { server, store } = start_with(&parts);
    server.add(Rule::new(Fault::Delay(Duration::from_secs(60))).method("PUT").path("partNumber=2"));
    let put = store.put("o", Bytes::from(vec![1; 12 << 20]));
    assert!(tokio::time::timeout(Duration::from_millis(500), put).await.is_err());
    for _ in 0..300 {
        if server.uploads_open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the upload stays open");
}

#[tokio::test]
async fn servers_without_compare_and_swap_are_refused_every_time() {
    let Bench { server, store } = start();
    for flaw in [Flaw::IgnoresConditions, Flaw::ChecksThenWrites] {
        server.set_flaw(flaw);
        for _ in 0..20 {
            let outcome = probe(&*store).await;
            assert!(matches!(outcome, Err(StorageError::Unfit { .. })), "{flaw:?}: {outcome:?}");
        }
    }
    server.set_flaw(Flaw::None);
    for _ in 0..10 {
        probe(&*store).await.unwrap();
    }
}

#[tokio::test]
async fn near_ranges_are_one_request_and_the_rest_go_in_parallel() {
    let limits = [("gap_bytes", "1000"), ("concurrency", "4"), ("range_part_bytes", "100000")];
    let Bench { server, store } = start_with(&limits);
    store.put("o", Bytes::from(vec![1; 1_000_000])).await.unwrap();

    server.heal();
    store.get_ranges("o", &[0..10, 500..600, 900_000..900_001]).await.unwrap();
    assert_eq!(server.stats().requests.get("GET"), Some(&2));
    assert_eq!(server.stats().bytes_out, 601);

    server.heal();
    server.set_delay(Duration::from_millis(20));
    let ranges: Vec<_> = (0..20).map(|n| n * 50_000..n * 50_000 + 10).collect();
    store.get_ranges("o", &ranges).await.unwrap();
    let stats = server.stats();
    assert_eq!((stats.requests.get("GET"), stats.in_flight_max), (Some(&20), 4));

    server.heal();
    let whole = store.get_ranges("o", &[0..1_000_000]).await.unwrap();
    assert_eq!(whole[0].len(), 1_000_000);
    assert_eq!(server.stats().requests.get("GET"), Some(&10), "a long range in parts");
}

#[tokio::test]
async fn an_unchanged_object_is_not_sent_again() {
    let Bench { server, store } = start();
    let Swap::Done(tag) = store.swap("o", None, Bytes::from(vec![1; 10_000])).await else {
        panic!()
    };
    server.heal();
    assert_eq!(store.get_if_changed("o", &tag).await.unwrap(), None);
    assert_eq!((server.stats().requests_total(), server.stats().bytes_out), (1, 0));
}

#[tokio::test]
async fn a_slow_read_is_hedged_if_asked() {
    let slow = || Rule::new(Fault::Delay(Duration::from_secs(20))).method("GET").times(1);
    let Bench { server, store } = start_with(&[("hedge_after_ms", "50")]);
    store.put("o", Bytes::from(vec![1; 1000])).await.unwrap();
    server.heal();
    server.add(slow());
    let began = Instant::now();
    assert_eq!(store.get_ranges("o", &[0..10]).await.unwrap()[0].len(), 10);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(server.stats().requests.get("GET"), Some(&2));

    // Only the slow are sent twice.
    server.heal();
    store.get_ranges("o", &[0..10]).await.unwrap();
    assert!(server.stats().requests["GET"] <= 2);
}

/// Hands out keys that end soon, and counts how often it was asked.
#[derive(Debug)]
struct Provider {
    secret_key: String,
    valid_for: Duration,
    asked: AtomicU64,
}

#[async_trait::async_trait]
impl CredentialsProvider for Provider {
    async fn credentials(&self) -> Result<(Credentials, Option<SystemTime>), StorageError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.secret_key.is_empty() {
            return Err(StorageError::Denied {
                path: "vault".to_owned(),
                operation: "asking",
                problem: "sealed".to_owned(),
            });
        }
        let credentials = Credentials::S3 {
            access_key: "test".to_owned(),
            secret_key: self.secret_key.clone(),
            session_token: None,
        };
        Ok((credentials, Some(SystemTime::now() + self.valid_for)))
    }
}

#[tokio::test]
async fn credentials_are_asked_for_and_renewed() {
    let server = Server::start(Options::default()).unwrap();
    for (secret_key, valid_s, asked) in [("testtest", 3600, 1), ("testtest", 60, 3), ("", 60, 3)] {
        let provider = Arc::new(Provider {
            secret_key: secret_key.to_owned(),
            valid_for: Duration::from_secs(valid_s),
            asked: AtomicU64::new(0),
        });
        let options = StoreOptions::new()
            .without_environment()
            .with("endpoint", server.endpoint())
            .with_credentials(Arc::clone(&provider) as Arc<dyn CredentialsProvider>);
        let store = connect(&server.uri("t"), &options).unwrap();
        for _ in 0..3 {
            match store.put("o", "x".into()).await {
                Ok(()) => assert!(!secret_key.is_empty()),
                Err(StorageError::Denied { path, .. }) => assert_eq!(path, "vault"),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(provider.asked.load(Ordering::SeqCst), asked);
    }
}

#[tokio::test]
async fn credentials_come_from_a_profile() {
    let server = Server::start(Options::default()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[default]\naws_access_key_id = x\n[work]\naws_access_key_id = test\naws_secret_access_key = testtest\n";
    std::fs::write(file.path(), text).unwrap();
    let options = |profile: &str| {
        StoreOptions::new()
            .without_environment()
            .with("endpoint", server.endpoint())
            .with("credentials_file", file.path().display().to_string())
            .with("profile", profile)
    };
    let store = connect(&server.uri("t"), &options("work")).unwrap();
    store.put("o", "x".into()).await.unwrap();
    let error = connect(&server.uri("t"), &options("default")).unwrap_err();
    assert!(error.to_string().contains("[default]"), "{error}");
}
