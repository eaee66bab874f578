//! What plans say: which index answers, and what need not be read.

mod support;

use infino::arrow::util::pretty::pretty_format_batches;
use infino::{ConnectOptions, Connection};
use support::rows;

async fn explain(db: &Connection, sql: &str) -> String {
    pretty_format_batches(&db.query_sql(sql).await.unwrap()).unwrap().to_string()
}

async fn check(db: &Connection, sql: &str, holds: &[&str], lacks: &[&str]) {
    let plan = explain(db, &format!("EXPLAIN {sql}")).await;
    for part in holds {
        assert!(plan.contains(part), "{sql}: no {part:?} in\n{plan}");
    }
    for part in lacks {
        assert!(!plan.contains(part), "{sql}: {part:?} in\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_use_the_indexes() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 200, 1), 4).await;
    let vector = "array_repeat(0.5, 16)";

    let near = format!(
        "SELECT n FROM docs WHERE sku = 'SKU-007' ORDER BY distance(embedding, {vector}) LIMIT 3"
    );
    check(
        &db,
        &near,
        &["SearchExec: index=vector(embedding), k=3", "filtered before ranking"],
        &["SortExec", "DataSourceExec"],
    )
    .await;
    let best = "SELECT n FROM docs ORDER BY match_score(body, 'w1') DESC LIMIT 3 OFFSET 2";
    check(&db, best, &["SearchExec: index=bm25(body), k=5", "files=4"], &["SortExec", "filtered"])
        .await;
    check(
        &db,
        "SELECT n FROM bm25_search('docs', 'body', 'w1') ORDER BY score DESC",
        &["SearchExec"],
        &["SortExec"],
    )
    .await;

    // The wrong way round, nothing can be cut off.
    let far = format!("SELECT n FROM docs ORDER BY distance(embedding, {vector}) DESC LIMIT 3");
    check(&db, &far, &["DataSourceExec", "TopK"], &["SearchExec"]).await;
    let other =
        format!("SELECT n FROM docs ORDER BY distance(embedding, {vector}, 'cosine') LIMIT 3");
    check(&db, &other, &["DataSourceExec"], &["SearchExec"]).await;

    // What an index decides needs no column, what it bounds is looked at again.
    check(
        &db,
        "SELECT count(*) FROM docs WHERE sku IN ('SKU-001', 'SKU-002')",
        &["index=sku = SKU-001 OR sku = SKU-002"],
        &["FilterExec"],
    )
    .await;
    check(
        &db,
        "SELECT n FROM docs WHERE match(body, 'w3') AND n > 5",
        &["index=match", "FilterExec: n"],
        &[],
    )
    .await;
    check(&db, "SELECT n FROM docs WHERE body = 'w3 w4'", &["bounded by index", "FilterExec"], &[])
        .await;

    // Statistics answer alone.
    check(
        &db,
        "SELECT count(*), min(n), max(n), max(sku) FROM docs",
        &["PlaceholderRowExec"],
        &["DataSourceExec"],
    )
    .await;
    docs.delete("n = 3").await.unwrap();
    check(&db, "SELECT count(*) FROM docs", &["PlaceholderRowExec"], &["DataSourceExec"]).await;
    check(&db, "SELECT max(n) FROM docs", &["DataSourceExec"], &["PlaceholderRowExec"]).await;
    check(&db, "SELECT n FROM docs WHERE n > 1000", &["EmptyExec"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_spares_reading() {
    // Without a cache every byte that is read is counted.
    let dir = tempfile::tempdir().unwrap();
    let options = ConnectOptions::new().cache_memory_bytes(0);
    let db = infino::connect_with(dir.path().to_str().unwrap(), options).await.unwrap();
    let mut data = rows(0, 20_000, 1);
    data[777].body = "a zebra".into();
    support::table(&db, &data, 2).await;
    let scanned = async |sql: &str| {
        let plan = explain(&db, &format!("EXPLAIN ANALYZE {sql}")).await;
        let after = |name: &str| {
            let at = plan.find(name).unwrap_or_else(|| panic!("{name} in {plan}")) + name.len();
            let text: String = plan[at..].chars().take_while(|c| !",]".contains(*c)).collect();
            let number = text.trim_end_matches([' ', 'B', 'K', 'M']).trim().parse::<f64>();
            number.unwrap()
                * if text.contains('M') {
                    1e6
                } else if text.contains('K') {
                    1e3
                } else {
                    1.0
                }
        };
        after("bytes_scanned=")
    };
    let all = scanned("SELECT count(*) FROM docs WHERE upper(body) = 'W3 W4'").await;
    let some = scanned("SELECT n FROM docs WHERE body = 'a zebra'").await;
    assert!(some < all / 4.0, "{some} bytes of {all}");
    let none = scanned("SELECT count(*) FROM docs WHERE sku = 'SKU-001'").await;
    assert_eq!(none, 0.0);
}
