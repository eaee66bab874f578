//! The main job, end to end, on memory and on disk.

mod support;

use infino::{Connection, ErrorKind};
use support::{batch, floats, ids, ints, nearest, ns, one, rows, table, texts};

async fn everything(db: Connection, again: impl AsyncFn() -> Connection) {
    let data = rows(0, 600, 1);
    let docs = table(&db, &data, 3).await;
    assert_eq!(docs.count_rows().await.unwrap(), 600);
    let version = docs.version().await.unwrap();

    let hits = one(docs.bm25_search("body", "w3 w150", 10, &["n", "body"]).await.unwrap());
    assert_eq!(hits.num_rows(), 10);
    let names: Vec<_> = hits.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_id", "score", "n", "body"]);
    assert!(floats(&hits, "score").windows(2).all(|pair| pair[0] >= pair[1]));
    for (n, body) in ns(&hits).into_iter().zip(texts(&hits, "body")) {
        assert_eq!(data[n as usize].body, body, "the columns belong to the hit");
    }

    let query = data[17].vector.clone();
    let near = one(docs.vector_search("embedding", &query, 5, &["n"]).exact().await.unwrap());
    assert_eq!(ns(&near), nearest(&data, &query)[..5].iter().map(|hit| hit.0).collect::<Vec<_>>());

    let both = one(docs
        .hybrid_search("body", &data[17].body, "embedding", &query, 5, &["n"])
        .await
        .unwrap());
    assert_eq!(ns(&both)[0], 17, "first in both rankings");

    let sku = &data[3].sku;
    let same = one(docs.exact_match("sku", sku, 1000, &["n", "sku"]).await.unwrap());
    let expected: Vec<_> = data.iter().filter(|row| row.sku == *sku).map(|row| row.n).collect();
    assert_eq!(ns(&same), expected);

    let tokens = one(docs.token_match("body", "w1 w2", 1000, &["n"]).await.unwrap());
    let holds = |body: &str, word| body.split(' ').any(|found| found == word);
    let expected: Vec<_> = data
        .iter()
        .filter(|row| holds(&row.body, "w1") && holds(&row.body, "w2"))
        .map(|row| row.n)
        .collect();
    assert_eq!(ns(&tokens), expected);

    let sql = "SELECT d.sku, count(*) AS n, max(s.score) AS best
               FROM bm25_search('docs', 'body', $1, k => 50) s JOIN docs d ON d._id = s._id
               GROUP BY d.sku ORDER BY best DESC, d.sku";
    let found = one(db.query_sql(sql).bind("w3 w150").await.unwrap());
    assert_eq!(ints(&found, "n").iter().sum::<i64>(), 50);
    let sql = "SELECT n, distance, _rank FROM vector_search('docs', 'embedding', $1, k => 5, exact => true) ORDER BY _rank";
    let found = one(db.query_sql(sql).bind_vector(&query).await.unwrap());
    assert_eq!(ns(&found), ns(&near));

    let gone = docs.delete("n % 3 = 0").await.unwrap();
    assert_eq!((gone.matched, gone.tombstoned), (200, 200));
    let mut replacement = rows(10_000, 1, 9);
    replacement[0].body = "entirely new words".into();
    let before = ids(&one(db.query_sql("SELECT _id FROM docs WHERE n = 17").await.unwrap()));
    let updated = docs.update("n = 17", batch(&replacement)).await.unwrap();
    assert_eq!(updated.matched, 1);
    let after = one(docs.bm25_search("body", "entirely", 10, &["n"]).await.unwrap());
    assert_eq!(ids(&after), before, "a replaced row keeps its id");

    let db = again().await;
    let docs = db.open_table("docs").await.unwrap();
    assert_eq!(docs.count_rows().await.unwrap(), 400);
    let left = one(db.query_sql("SELECT n FROM docs ORDER BY n").await.unwrap());
    let expected: Vec<_> = (0..600).filter(|n| n % 3 != 0 && *n != 17).chain([10_000]).collect();
    assert_eq!(ns(&left), expected);
    let old = docs.at_version(version).await.unwrap();
    assert_eq!(old.count_rows().await.unwrap(), 600);
    assert_eq!(one(old.bm25_search("body", "w3 w150", 10, &["n", "body"]).await.unwrap()), hits);
    assert_eq!(old.delete("true").await.unwrap_err().kind(), ErrorKind::Invalid);

    let near = one(docs.vector_search("embedding", &query, 20, &["n"]).exact().await.unwrap());
    let report = docs.optimize().await.unwrap();
    assert_eq!(report.rows_reclaimed, 201);
    assert_eq!(docs.files().await.unwrap().len(), 1);
    assert_eq!(
        one(docs.vector_search("embedding", &query, 20, &["n"]).exact().await.unwrap()),
        near
    );
    let left = one(db.query_sql("SELECT n FROM docs ORDER BY n").await.unwrap());
    assert_eq!(ns(&left), expected);
    assert_eq!(
        docs.at_version(version).await.unwrap().count_rows().await.unwrap(),
        600,
        "still kept"
    );

    assert_eq!(db.table_names().await.unwrap(), ["docs"]);
    db.drop_table("docs").await.unwrap();
    assert!(db.table_names().await.unwrap().is_empty());
    assert_eq!(db.open_table("docs").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    let uri = "memory://path-test";
    everything(infino::connect(uri).await.unwrap(), async || infino::connect(uri).await.unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let uri = dir.path().join("data").to_str().unwrap().to_owned();
    everything(infino::connect(&uri).await.unwrap(), async || infino::connect(&uri).await.unwrap())
        .await;
}

#[test]
fn blocking_works_inside_a_runtime_too() {
    let work = || {
        let db = infino::blocking::connect("memory://").unwrap();
        let docs = db.create_table("docs", support::schema(), support::index()).unwrap();
        let mut writer = docs.writer().unwrap();
        for part in rows(0, 40, 2).chunks(7) {
            writer.append(&batch(part)).unwrap();
        }
        assert_eq!(docs.count_rows().unwrap(), 0, "staged rows do not show");
        assert_eq!(writer.commit().unwrap().rows, 40);
        assert_eq!(docs.count_rows().unwrap(), 40);
        assert_eq!(one(docs.bm25_search("body", "w1", 3, &["n"]).run().unwrap()).num_rows(), 3);
        assert_eq!(one(db.query_sql("SELECT n FROM docs").run().unwrap()).num_rows(), 40);
    };
    work();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async { work() });
    tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async { work() });
}
