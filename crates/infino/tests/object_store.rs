//! A table on an S3 server that this test starts: over real HTTP, with replies that get lost.

mod support;

use infino::{ConnectOptions, Connection, ErrorKind};
use infino_testserver::{Fault, Flaw, Options, Rule, Server, rounds};
use support::{batch, ns, one, rows};

async fn connect(server: &Server) -> Connection {
    let options = server
        .client_options()
        .into_iter()
        .fold(ConnectOptions::new(), |options, (key, value)| options.storage(key, value));
    infino::connect_with(&server.uri("lake"), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_lives_on_s3() {
    let server = Server::start(Options::default()).unwrap();
    let data = rows(0, 300, 1);
    let docs = support::table(&connect(&server).await, &data, 3).await;
    let hits = one(docs.bm25_search("body", "w3 w150", 10, &["n"]).await.unwrap());

    // Another process would see what this new connection sees.
    let db = connect(&server).await;
    server.heal();
    let docs = db.open_table("docs").await.unwrap();
    assert_eq!(server.stats().requests_total(), 2, "the catalog and the head");
    assert_eq!(one(docs.bm25_search("body", "w3 w150", 10, &["n"]).await.unwrap()), hits);
    assert_eq!(docs.delete("n % 2 = 0").await.unwrap().tombstoned, 150);
    let left = one(db.query_sql("SELECT n FROM docs ORDER BY n").await.unwrap());
    assert_eq!(ns(&left), (0..300).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    docs.optimize().await.unwrap();
    assert_eq!(docs.count_rows().await.unwrap(), 150);
    db.drop_table("docs").await.unwrap();
}

/// The first table of a name opens in one round; no later one meets its objects, whatever else is dropped or left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_opens_in_one_round_and_never_meets_old_objects() {
    let server = Server::start(Options::default()).unwrap();
    let docs = support::table(&connect(&server).await, &support::rows(0, 30, 1), 1).await;
    let folder = |files: Vec<infino::FileInfo>| files[0].path.split('/').next().unwrap().to_owned();
    let first = folder(docs.files().await.unwrap());
    server.set_delay(std::time::Duration::from_millis(20));
    let db = connect(&server).await;
    server.trace_begin();
    let opened = db.open_table("docs").await.unwrap();
    assert_eq!(rounds(&server.trace_end()), 1);
    assert_eq!(opened.count_rows().await.unwrap(), 30);
    server.trace_begin();
    let error = db.open_table("nothing").await.unwrap_err();
    assert_eq!((error.kind(), rounds(&server.trace_end())), (ErrorKind::NotFound, 1));
    server.set_delay(std::time::Duration::ZERO);

    let mut seen = vec![first];
    for rows in [10, 20] {
        db.drop_table("docs").await.unwrap();
        let docs = support::table(&db, &support::rows(0, rows, 1), 1).await;
        seen.push(folder(docs.files().await.unwrap()));
        // By a connection that knows nothing, and by one that knows the name by a folder of before.
        for db in [&connect(&server).await, &db] {
            let docs = db.open_table("docs").await.unwrap();
            assert_eq!(docs.count_rows().await.unwrap(), rows as u64);
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(docs.count_rows().await.is_err(), "the first table is gone");
}

/// A file that somebody removed from under the table is damage: named, and not to be tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_named() {
    let server = Server::start(Options::default()).unwrap();
    let docs = support::table(&connect(&server).await, &rows(0, 30, 1), 1).await;
    let file = docs.files().await.unwrap().remove(0).path;
    let db = connect(&server).await;
    let docs = db.open_table("docs").await.unwrap();
    let options = infino_storage::StoreOptions::new().with_all(server.client_options());
    let store = infino_storage::connect(&server.uri("lake"), &options).unwrap();
    store.delete(&file).await.unwrap();
    let name = file.rsplit('/').next().unwrap();
    let errors = [
        docs.bm25_search("body", "w3", 10, &["n"]).await.err(),
        docs.vector_search("embedding", &[0.1; 16], 10, &["n"]).await.err(),
        db.query_sql("SELECT sum(n) FROM docs").await.err(),
    ];
    for error in errors {
        let error = error.expect("the rows are gone");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(name) && !error.is_retryable(), "{error}");
    }
    // What the manifest alone answers is still answered.
    assert_eq!(docs.count_rows().await.unwrap(), 30);
}

/// Many who make a table of one name at once: one does, and everybody opens that one.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_a_table_one_does() {
    let server = Server::start(Options::default()).unwrap();
    for round in 0..6 {
        let mut makers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let db = connect(&server).await;
            makers.spawn(async move {
                match db.create_table("docs", support::schema(), support::index()).await {
                    Ok(docs) => {
                        docs.append(batch(&rows(0, 7, 1))).await.unwrap();
                        true
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
                        false
                    }
                }
            });
        }
        let made = makers.join_all().await.into_iter().filter(|&made| made).count();
        assert_eq!(made, 1, "round {round}");
        let db = connect(&server).await;
        assert_eq!(db.open_table("docs").await.unwrap().count_rows().await.unwrap(), 7);
        db.drop_table("docs").await.unwrap();
    }
}

/// Eight writers, each through a connection of its own, on a server that loses one reply in five to a conditional write.
#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_row_is_there_once() {
    let server = Server::start(Options::default()).unwrap();
    let docs = connect(&server)
        .await
        .create_table("docs", support::schema(), support::index())
        .await
        .unwrap();
    for fault in [Fault::StatusAfter(503), Fault::CloseAfter, Fault::Status(409)] {
        server.add(
            Rule::new(fault).method("PUT").conditional().path("head").chance(0.07).times(u64::MAX),
        );
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let db = connect(&server).await;
        writers.spawn(async move {
            let docs = db.open_table("docs").await.unwrap();
            for i in 0..6 {
                docs.append(batch(&rows(writer * 1000 + i * 10, 3, writer as u64))).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert!(server.stats().faults > 0, "some replies were lost");
    server.heal();
    let db = connect(&server).await;
    let found = one(db.query_sql("SELECT n FROM docs ORDER BY n").await.unwrap());
    let expected =
        (0..8).flat_map(|w| (0..6).flat_map(move |i| (0..3).map(move |r| w * 1000 + i * 10 + r)));
    assert_eq!(ns(&found), expected.collect::<Vec<i64>>());
    assert_eq!(docs.count_rows().await.unwrap(), 144);
    assert_eq!(docs.version().await.unwrap(), 49, "one version a commit, and the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_compare_and_swap_is_refused() {
    for flaw in [Flaw::IgnoresConditions, Flaw::ChecksThenWrites] {
        let server = Server::start(Options::default()).unwrap();
        server.set_flaw(flaw);
        let db = connect(&server).await;
        let error = db.create_table("docs", support::schema(), support::index()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{flaw:?}: {error}");
        assert!(db.table_names().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_read_only_keys_are_told_apart_from_absence() {
    let server = Server::start(Options::default()).unwrap();
    support::table(&connect(&server).await, &rows(0, 5, 1), 1).await;
    let with = async |access: &str, secret: &str| {
        let options = ConnectOptions::new()
            .storage("endpoint", server.endpoint())
            .storage("region", "us-east-1")
            .storage("access_key", access)
            .storage("secret_key", secret);
        infino::connect_with(&server.uri("lake"), options).await.unwrap()
    };
    let error = with("nobody", "wrong").await.open_table("docs").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.is_retryable(), "the same keys will not do later either");
    let reader = with(Server::READER.0, Server::READER.1).await.open_table("docs").await.unwrap();
    assert_eq!(reader.count_rows().await.unwrap(), 5);
    let error = reader.append(batch(&rows(10, 1, 1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(reader.count_rows().await.unwrap(), 5);
}
