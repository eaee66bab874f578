//! What statements may use: memory within a bound, and nothing once they are given up.

mod support;

use std::time::Duration;

use futures::StreamExt;
use infino::{ConnectOptions, Connection, ErrorKind};
use support::{ints, one, rows};

const ROWS: i64 = 30_000;

async fn db(sql_memory_bytes: usize) -> Connection {
    let options = ConnectOptions::new().sql_memory_bytes(sql_memory_bytes);
    let db = infino::connect_with("memory://", options).await.unwrap();
    support::table(&db, &rows(0, ROWS as usize, 1), 3).await;
    db
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_spill_says_what_it_lacks() {
    let db = db(768 << 10).await;
    let join = "SELECT count(*) AS n FROM docs a JOIN docs b ON a.body = b.body AND a.n + b.n > 7";
    let ranked = "SELECT n, match_score(body, 'w1') AS s FROM docs";
    for sql in [join, ranked] {
        let error = db.query_sql(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("sql_memory_bytes"), "{sql}: {error}");
        // What it had taken is free again.
        let few = db.query_sql("SELECT n FROM docs ORDER BY n LIMIT 3").await.unwrap();
        assert_eq!(ints(&one(few), "n"), [0, 1, 2]);
    }
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more tasks run than before.
async fn settled(before: usize) {
    let wait = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, wait).await.is_ok(), "{} tasks go on", tasks() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_given_up_stops() {
    let db = db(64 << 20).await;
    let before = tasks();
    // Each would take hours.
    let counted =
        "SELECT count(*) FROM generate_series(1, 1000000000000) AS s(value) WHERE value % 7 = 9";
    let grouped = "SELECT value % 1000 AS v, max(value) FROM generate_series(1, 1000000000000) AS s(value) GROUP BY v";
    let joined = "SELECT sum(a.value * b.value)
                  FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    for sql in [counted, grouped, joined] {
        let query = db.query_sql(sql);
        let running = tokio::spawn(async move { query.await.map(drop) });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!running.is_finished(), "{sql}");
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        settled(before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_dropped_midway_stops() {
    let db = db(64 << 20).await;
    let before = tasks();
    let sql = "SELECT a.n FROM docs a, docs b WHERE a.n % 2 = b.n % 2";
    let mut rows = Box::pin(db.query_sql(sql).stream().await.unwrap());
    let first = rows.next().await.unwrap().unwrap();
    assert!(first.num_rows() > 0);
    drop(rows);
    settled(before).await;
}
