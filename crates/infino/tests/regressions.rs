//! Each of these went wrong once.

mod support;

use std::sync::Arc;

use infino::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray, TimestampSecondArray,
};
use infino::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use infino::{ConnectOptions, ErrorKind, IndexSpec, Metric};
use support::{DIM, batch, ids, ns, one, rows};

/// What a failed build leaves staged is staged still: the commit holds every row that was taken, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn rows_staged_before_a_failed_build_are_committed_after_it() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("scratch");
    std::fs::create_dir(&folder).unwrap();
    let options = ConnectOptions::new().write_buffer_bytes(1).scratch_dir(&folder);
    let db = infino::connect_with("memory://failed-build", options).await.unwrap();
    let docs = db.create_table("docs", support::schema(), support::index()).await.unwrap();
    let mut writer = docs.writer().unwrap();
    writer.append(&batch(&rows(0, 5, 1))).await.unwrap();
    std::fs::remove_dir(&folder).unwrap();
    writer.append(&batch(&rows(5, 5, 2))).await.unwrap_err();
    std::fs::create_dir(&folder).unwrap();
    writer.append(&batch(&rows(10, 5, 3))).await.unwrap();
    assert_eq!(writer.commit().await.unwrap().rows, 10);
    let found = one(db.query_sql("SELECT n FROM docs ORDER BY n").await.unwrap());
    assert_eq!(ns(&found), (0..5).chain(10..15).collect::<Vec<_>>());
}

/// A handle that nobody used while others committed, fenced and collected can still commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_handle_can_append() {
    let idle = infino::connect("memory://idle").await.unwrap();
    let idle = support::table(&idle, &rows(0, 5, 1), 1).await;
    let busy = infino::connect("memory://idle").await.unwrap().open_table("docs").await.unwrap();
    for i in 1..5 {
        busy.append(batch(&rows(i * 10, 5, i as u64))).await.unwrap();
        busy.optimize_keeping(std::time::Duration::ZERO).await.unwrap();
    }
    idle.append(batch(&rows(100, 5, 9))).await.unwrap();
    assert_eq!(idle.count_rows().await.unwrap(), 30);
}

#[tokio::test]
async fn functions_that_end_in_planning_work_in_statements_and_predicates() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 20, 1), 1).await;
    let sql =
        "SELECT n FROM docs WHERE now() > TIMESTAMP '2020-01-01' AND coalesce(n, 0) < 3 ORDER BY n";
    assert_eq!(ns(&one(db.query_sql(sql).await.unwrap())), [0, 1, 2]);
    let filter = "now() > TIMESTAMP '2020-01-01' AND coalesce(n, 0) < 3";
    let found =
        docs.vector_search("embedding", &[0.5; DIM], 10, &["n"]).filter(filter).await.unwrap();
    assert_eq!(one(found).num_rows(), 3);
    let sql = format!(
        "SELECT n FROM vector_search('docs', 'embedding', $1, filter => '{}')",
        filter.replace('\'', "''")
    );
    assert_eq!(one(db.query_sql(sql).bind_vector(&[0.5; DIM]).await.unwrap()).num_rows(), 3);
    assert_eq!(docs.delete("coalesce(n, 0) < 3").await.unwrap().matched, 3);
}

/// What the index would refuse at the build is refused at the door, before it can take other rows with it.
#[tokio::test]
async fn vectors_without_a_place_are_refused_when_staged() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 3, 1), 1).await;
    let mut writer = docs.writer().unwrap();
    writer.append(&batch(&rows(10, 2, 2))).await.unwrap();
    let mut huge = rows(20, 1, 3);
    huge[0].vector = vec![1e19; DIM];
    assert_eq!(writer.append(&batch(&huge)).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(writer.commit().await.unwrap().rows, 2);

    let schema = support::schema().project(&[3]).unwrap();
    let index = IndexSpec::new().vector("embedding", DIM, Metric::Cosine);
    let cosine = db.create_table("cosine", schema, index).await.unwrap();
    cosine.append(batch(&rows(0, 3, 4)).project(&[3]).unwrap()).await.unwrap();
    for search in [
        cosine.vector_search("embedding", &[0.0; DIM], 3, &[]),
        cosine.vector_search("embedding", &[0.0; DIM], 3, &[]).exact(),
    ] {
        assert_eq!(
            search.await.unwrap_err().kind(),
            ErrorKind::Invalid,
            "a zero vector has no direction"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_does_not_change_a_fused_ranking() {
    let db = infino::connect("memory://").await.unwrap();
    support::table(&db, &rows(0, 400, 5), 1).await;
    let ask = async |limit: &str| {
        let sql = format!(
            "SELECT _id, score FROM hybrid_search('docs', 'body', 'w0 w1 w2', 'embedding', $1, k => 250) {limit}"
        );
        one(db.query_sql(sql).bind_vector(&[0.9; DIM]).await.unwrap())
    };
    let (all, ten) = (ask("").await, ask("LIMIT 10").await);
    assert_eq!(ids(&ten), ids(&all)[..10]);
    assert_eq!(support::floats(&ten, "score"), support::floats(&all, "score")[..10]);
}

/// SQL sorts NaN above all numbers; Parquet's own bounds leave it out.
#[tokio::test]
async fn nan_is_not_pruned_away() {
    let db = infino::connect("memory://").await.unwrap();
    let schema = Schema::new(vec![Field::new("x", DataType::Float64, false)]);
    let table = db.create_table("floats", schema, IndexSpec::new()).await.unwrap();
    let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0]));
    table.append(RecordBatch::try_from_iter([("x", x)]).unwrap()).await.unwrap();
    assert_eq!(one(db.query_sql("SELECT x FROM floats WHERE x > 5").await.unwrap()).num_rows(), 1);
    assert_eq!(table.delete("x > 5").await.unwrap().matched, 1);
}

#[tokio::test]
async fn values_that_do_not_fit_are_refused_and_others_are_cast() {
    let db = infino::connect("memory://").await.unwrap();
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let table = db
        .create_table("t", Schema::new(vec![Field::new("t", seconds, false)]), IndexSpec::new())
        .await
        .unwrap();
    let nanos = |ns: i64| -> RecordBatch {
        let t: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![ns]));
        RecordBatch::try_from_iter([("t", t)]).unwrap()
    };
    table.append(nanos(5_000_000_000)).await.unwrap();
    assert_eq!(table.append(nanos(5_000_000_001)).await.unwrap_err().kind(), ErrorKind::Invalid);
    let found = one(db.query_sql("SELECT t FROM t").await.unwrap());
    let times: &TimestampSecondArray = found.column(0).as_any().downcast_ref().unwrap();
    assert_eq!(times.values(), &[5]);
}

#[tokio::test]
async fn a_value_without_words_is_no_silent_miss() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 3, 1), 1).await;
    let error = docs.exact_match("body", "!!!", 10, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("keyword"), "{error}");
}

/// A broken table is nobody's business who does not read it, even if its name is part of another's.
#[tokio::test]
async fn a_damaged_table_does_not_fail_others() {
    let dir = tempfile::tempdir().unwrap();
    let uri = dir.path().to_str().unwrap();
    let db = infino::connect(uri).await.unwrap();
    for name in ["docs", "docs2"] {
        let table = db.create_table(name, support::schema(), support::index()).await.unwrap();
        table.append(batch(&rows(0, 3, 1))).await.unwrap();
    }
    let folder = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let folder = folder
        .into_iter()
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("docs-"));
    std::fs::write(folder.unwrap().join("head"), "damaged").unwrap();
    let db = infino::connect(uri).await.unwrap();
    assert_eq!(one(db.query_sql("SELECT n FROM docs2").await.unwrap()).num_rows(), 3);
    let search = "SELECT n FROM bm25_search('docs2', 'body', 'w0 w1 w2 w3 w4 w5')";
    db.query_sql(search).await.unwrap();
    for sql in ["SELECT n FROM docs", "SELECT n FROM bm25_search('docs', 'body', 'w0')"] {
        assert_eq!(db.query_sql(sql).await.unwrap_err().kind(), ErrorKind::Corrupt, "{sql}");
    }
}

/// What is given as one expression stays one: nothing in it reaches the statement around it.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_an_update_are_whole_expressions() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 10, 1), 1).await;
    for (predicate, value) in [
        ("n = 1", "0) --"),
        ("n = 1", "1), \"sku\" = ('x'"),
        ("n = 1) OR (true", "1"),
        ("n = 1", "1 AS m"),
    ] {
        let error = docs.update_set(predicate, &[("n", value)]).await.unwrap_err();
        assert_eq!(error.kind(), infino::ErrorKind::Invalid, "{predicate} {value}: {error}");
    }
    assert_eq!(docs.update_set("n = 1 -- one", &[("n", "n + 100 -- more")]).await.unwrap(), 1);
}

/// A predicate means the columns of the schema it was made under, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_staged_predicate_does_not_outlive_its_schema() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 10, 1), 1).await;
    let mut writer = docs.writer().unwrap();
    writer.delete("coalesce(sku, '') = ''").await.unwrap();
    let rename = infino::SchemaChange::RenameColumn { from: "sku".into(), to: "article".into() };
    docs.alter(&[rename]).await.unwrap();
    let error = writer.commit().await.unwrap_err();
    assert_eq!(error.kind(), infino::ErrorKind::Invalid, "{error}");
    assert_eq!(docs.count_rows().await.unwrap(), 10);
}
