//! Our tables in a session of the user's.

mod support;

use infino::datafusion::prelude::{CsvReadOptions, SessionContext};
use support::{batch, ints, one, rows};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_ones_own_answers_alike() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 300, 5), 3).await;
    let session = SessionContext::new();
    db.register_into(&session).await.unwrap();

    let vector = "array_repeat(0.5, 16)";
    let statements = [
        "SELECT n, sku FROM docs WHERE sku = 'SKU-007' ORDER BY n".to_owned(),
        "SELECT count(*) AS n, min(sku) AS sku FROM docs WHERE match(body, 'w3 w5')".into(),
        "SELECT n, score FROM bm25_search('docs', 'body', 'w3', k => 7) ORDER BY score DESC, n"
            .into(),
        "SELECT n FROM docs ORDER BY match_score(body, 'w9 w1') DESC LIMIT 9".into(),
        format!(
            "SELECT d.n FROM docs d WHERE d.n % 2 = 1 ORDER BY distance(d.embedding, {vector}) LIMIT 5"
        ),
        format!(
            "SELECT d.n, s.distance FROM vector_search('docs', 'embedding', {vector}, k => 5, filter => 'n < 90') s JOIN docs d ON d._id = s._id ORDER BY s.distance"
        ),
    ];
    for again in [false, true] {
        for sql in &statements {
            let ours = one(db.query_sql(sql).await.unwrap());
            let theirs = session.sql(sql).await.unwrap().collect().await.unwrap();
            let theirs = one(theirs);
            assert_eq!(ours.columns(), theirs.columns(), "{sql}, again: {again}");
            assert!(ours.num_rows() > 0, "{sql}");
        }
        // What is committed later is seen.
        docs.append(batch(&rows(300, 50, 6))).await.unwrap();
        docs.delete("n % 11 = 2").await.unwrap();
    }

    // Beside their own tables.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.csv");
    std::fs::write(&path, "sku,price\nSKU-007,5\nSKU-008,6\n").unwrap();
    let path = path.to_str().unwrap();
    session.register_csv("prices", path, CsvReadOptions::new()).await.unwrap();
    let joined = "SELECT p.price, count(*) AS n FROM docs d JOIN prices p ON d.sku = p.sku GROUP BY p.price ORDER BY p.price";
    let joined = one(session.sql(joined).await.unwrap().collect().await.unwrap());
    assert_eq!(ints(&joined, "price"), [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_can_show_and_copy() {
    let db = infino::connect("memory://").await.unwrap();
    support::table(&db, &rows(0, 30, 5), 2).await;
    let shown = one(db.query_sql("SHOW TABLES").await.unwrap());
    assert!(support::texts(&shown, "table_name").contains(&"docs".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.parquet");
    let path = path.to_str().unwrap();
    let copy = format!("COPY (SELECT n FROM docs WHERE n < 7 ORDER BY n) TO '{path}'");
    db.query_sql(copy).await.unwrap();
    let session = SessionContext::new();
    let read = session.read_parquet(path, Default::default()).await.unwrap();
    assert_eq!(ints(&one(read.collect().await.unwrap()), "n"), [0, 1, 2, 3, 4, 5, 6]);
}
