//! The best rows of a search are scored anew.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use infino::arrow::array::{AsArray, FixedSizeListArray, Int64Array, RecordBatch, StringArray};
use infino::arrow::datatypes::{Float32Type, Int64Type};
use infino::{Connection, ErrorKind, IndexSpec, Metric, RerankFailure, Reranker, Supertable};

/// Scores by the column `n`, and notes what it was shown.
#[derive(Debug, Default)]
struct ByNumber {
    shown: Mutex<Vec<(String, usize)>>,
    fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Fails,
    TooFew,
    NotANumber,
}

#[async_trait]
impl Reranker for ByNumber {
    fn columns(&self) -> Vec<String> {
        vec!["n".into()]
    }

    async fn scores(&self, query: &str, rows: &RecordBatch) -> Result<Vec<f32>, RerankFailure> {
        self.shown.lock().unwrap().push((query.to_owned(), rows.num_rows()));
        assert_eq!(rows.schema().fields().len(), 3, "_id, score and the column asked for");
        let n = rows.column_by_name("n").ok_or("no n")?.as_primitive::<Int64Type>();
        let mut scores: Vec<_> = n.values().iter().map(|&n| n as f32).collect();
        match self.fault {
            Some(Fault::Fails) => return Err("the model is out".into()),
            Some(Fault::TooFew) => drop(scores.pop()),
            Some(Fault::NotANumber) => scores[0] = f32::NAN,
            None => {}
        }
        Ok(scores)
    }
}

/// Rows 0 to 39, of which the shorter ones answer "fox" better, and all lie apart.
async fn table() -> (Connection, Supertable) {
    let db = infino::connect("memory://").await.unwrap();
    let bodies = StringArray::from_iter_values((0..40).map(|n| format!("fox{}", " den".repeat(n))));
    let vectors = (0..40).map(|n| Some(vec![Some(n as f32); 16]));
    let rows = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(0..40)) as _),
        ("body", Arc::new(bodies) as _),
        (
            "embedding",
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 16))
                as _,
        ),
    ])
    .unwrap();
    let index = IndexSpec::new().fts("body").vector("embedding", 16, Metric::L2);
    let docs = db.create_table("docs", rows.schema(), index).await.unwrap();
    docs.append(rows).await.unwrap();
    (db, docs)
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let of = |batch: &RecordBatch| {
        batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(of).collect()
}

#[tokio::test]
async fn the_best_of_the_depth_come_by_the_new_score() {
    let (db, docs) = table().await;
    let by = Arc::new(ByNumber::default());
    let found = docs.bm25_search("body", "fox", 3, &["n"]).rerank(by.clone(), 10).await.unwrap();
    assert_eq!(numbers(&found), [9, 8, 7]);
    let scores = found[0].column_by_name("score").unwrap().as_primitive::<Float32Type>();
    assert_eq!(scores.values(), &[9.0, 8.0, 7.0]);

    // A depth below k shows k.
    let found = docs.bm25_search("body", "fox", 5, &["n"]).rerank(by.clone(), 2).await.unwrap();
    assert_eq!(numbers(&found), [4, 3, 2, 1, 0]);
    let query = "body";
    let near = docs.hybrid_search(query, "fox", "embedding", &[0.0; 16], 2, &["n"]);
    let found = near.filter("n < 6").rerank(by.clone(), 100).await.unwrap();
    assert_eq!(numbers(&found), [5, 4]);
    let shown = by.shown.lock().unwrap().clone();
    assert_eq!(shown.iter().map(|shown| shown.1).collect::<Vec<_>>(), [10, 5, 6]);
    assert!(shown.iter().all(|shown| shown.0 == "fox"));

    db.register_reranker("by_number", by.clone());
    let sql =
        "SELECT n, score, _rank FROM hybrid_search('docs', 'body', 'fox', 'embedding', $1, k => 4,
               rerank => 'by_number', rerank_depth => 8) ORDER BY _rank";
    let found = db.query_sql(sql).bind_vector(&[0.0; 16]).await.unwrap();
    assert_eq!(numbers(&found), [7, 6, 5, 4]);
    // A limit above it gives the first of the same ranking.
    let sql = "SELECT n FROM bm25_search('docs', 'body', 'fox', k => 20, rerank => 'by_number', rerank_depth => 1) LIMIT 2";
    assert_eq!(numbers(&db.query_sql(sql).await.unwrap()), [19, 18]);
    let plan = db.query_sql(format!("EXPLAIN {sql}")).await.unwrap();
    let plan = plan[0].column(1).as_string::<i32>().iter().flatten().collect::<String>();
    assert!(plan.contains("best 20 reranked"), "{plan}");
}

#[tokio::test]
async fn what_cannot_be_reranked_says_so() {
    let (db, docs) = table().await;
    let by = |fault| Arc::new(ByNumber { fault, ..ByNumber::default() });
    for (fault, kind, says) in [
        (Fault::Fails, ErrorKind::Unavailable, "the model is out"),
        (Fault::TooFew, ErrorKind::Invalid, "9 scores for 10 rows"),
        (Fault::NotANumber, ErrorKind::Invalid, "1 are no numbers"),
    ] {
        let search = docs.bm25_search("body", "fox", 10, &["n"]).rerank(by(Some(fault)), 10);
        let error = search.await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let vectors = docs.vector_search("embedding", &[0.0; 16], 3, &["n"]).rerank(by(None), 10);
    assert_eq!(vectors.await.unwrap_err().kind(), ErrorKind::Invalid);
    let sql = "SELECT n FROM bm25_search('docs', 'body', 'fox', rerank => 'nobody')";
    let error = db.query_sql(sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nobody"), "{error}");
}
