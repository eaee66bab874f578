//! Whatever is wrong with a call, the error says what and leaves everything as it was.

mod support;

use std::sync::Arc;

use infino::arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use infino::arrow::datatypes::{DataType, Field, Schema};
use infino::{ConnectOptions, Connection, Error, ErrorKind, IndexSpec, Metric, Supertable};
use support::{DIM, batch, one, rows, schema};

/// Checks an error's kind and that its message names what is wrong.
fn check<T>(result: Result<T, Error>, kind: ErrorKind, names: &[&str]) {
    let Err(error) = result else { panic!("no error; one that names {names:?} is due") };
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for name in names {
        assert!(message.contains(name), "{message:?} does not name {name:?}");
    }
}

async fn db() -> (Connection, Supertable) {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 20, 1), 1).await;
    (db, docs)
}

#[tokio::test]
async fn places_that_cannot_be() {
    check(infino::connect("ftp://host/x").await, ErrorKind::Invalid, &["ftp", "s3"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let uri = file.to_str().unwrap();
    let opened = async {
        infino::connect(uri).await?.create_table("docs", schema(), support::index()).await
    };
    let error = opened.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unavailable), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[tokio::test]
async fn a_store_that_does_not_answer() {
    // A port that was free a moment ago refuses connections.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = ConnectOptions::new()
        .storage("endpoint", format!("http://127.0.0.1:{port}"))
        .storage("allow_http", "true")
        .storage("region", "us-east-1")
        .storage("access_key_id", "test")
        .storage("secret_access_key", "test")
        .storage("deadline_ms", "2000");
    let opened =
        async { infino::connect_with("s3://bucket/x", options).await?.open_table("docs").await };
    check(opened.await, ErrorKind::Unavailable, &[]);
}

#[tokio::test]
async fn tables_that_cannot_be() {
    let (db, _) = db().await;
    let make = async |name: &str, schema: Schema, index| db.create_table(name, schema, index).await;
    let text = |name: &str| Schema::new(vec![Field::new(name, DataType::Utf8, true)]);
    check(make("docs", text("a"), IndexSpec::new()).await, ErrorKind::AlreadyExists, &["docs"]);
    for name in ["", "inf.x", "a/b", "a\u{7}b", &"x".repeat(200)] {
        check(make(name, text("a"), IndexSpec::new()).await, ErrorKind::Invalid, &["name"]);
    }
    for column in ["_id", "inf.x", "a\nb"] {
        check(make("t", text(column), IndexSpec::new()).await, ErrorKind::Invalid, &[]);
    }
    let twice = Schema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("a", DataType::Utf8, true),
    ]);
    check(make("t", twice, IndexSpec::new()).await, ErrorKind::Invalid, &["a"]);
    check(make("t", text("a"), IndexSpec::new().fts("b")).await, ErrorKind::Invalid, &["b"]);
    check(
        make("t", text("a"), IndexSpec::new().fts_with("a", "klingon-v9")).await,
        ErrorKind::Invalid,
        &["klingon-v9"],
    );
    check(
        make("t", text("a"), IndexSpec::new().vector("a", 16, Metric::L2)).await,
        ErrorKind::Invalid,
        &["a"],
    );
    check(
        make("t", text("a"), IndexSpec::new().fts("a").keyword("a")).await,
        ErrorKind::Invalid,
        &["a"],
    );
    let vectors = |dim: i32| {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        Schema::new(vec![Field::new("v", DataType::FixedSizeList(item, dim), true)])
    };
    for (dim, spec) in [(16, 17), (8, 8), (5000, 5000)] {
        let index = IndexSpec::new().vector("v", spec, Metric::Cosine);
        check(make("t", vectors(dim), index).await, ErrorKind::Invalid, &["v"]);
    }
    assert_eq!(db.table_names().await.unwrap(), ["docs"], "nothing half-made is visible");
    check(db.open_table("nope").await, ErrorKind::NotFound, &["nope", "docs"]);
    check(db.drop_table("nope").await, ErrorKind::NotFound, &["nope"]);
}

#[tokio::test]
async fn rows_that_do_not_fit() {
    let (_, docs) = db().await;
    let good = batch(&rows(100, 2, 3));
    let with = |name: &str, column: ArrayRef| {
        let schema = good.schema();
        let columns = schema.fields().iter().zip(good.columns()).map(|(field, old)| {
            (field.name().clone(), if field.name() == name { column.clone() } else { old.clone() })
        });
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    check(docs.append(with("n", texts.clone())).await, ErrorKind::Invalid, &["n", "Int64", "Utf8"]);
    let missing = good.project(&[1, 2, 3]).unwrap();
    check(docs.append(missing).await, ErrorKind::Invalid, &["n"]);
    let strange =
        RecordBatch::try_from_iter([("n", good.column(0).clone()), ("colour", texts.clone())])
            .unwrap();
    check(docs.append(strange).await, ErrorKind::Invalid, &["colour", "sku"]);
    let ids = RecordBatch::try_from_iter([
        ("_id", good.column(0).clone()),
        ("n", good.column(0).clone()),
    ])
    .unwrap();
    check(docs.append(ids).await, ErrorKind::Invalid, &["_id"]);
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    check(docs.append(with("n", nulls)).await, ErrorKind::Invalid, &["n"]);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut data = rows(0, 2, 4);
        data[1].vector[3] = bad;
        check(docs.append(batch(&data)).await, ErrorKind::Invalid, &["embedding", "row 1"]);
    }
    let short: ArrayRef = {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        let values: ArrayRef = Arc::new(Float32Array::from(vec![0.5; 20]));
        Arc::new(infino::arrow::array::FixedSizeListArray::new(item, 10, values, None))
    };
    check(
        docs.append(with("embedding", short)).await,
        ErrorKind::Invalid,
        &["embedding", "10", "16"],
    );
    let empty = docs.append(good.slice(0, 0)).await.unwrap();
    assert_eq!((empty.rows, empty.superfiles), (0, 0), "an empty batch is no commit");
    assert_eq!(docs.count_rows().await.unwrap(), 20);
    // What differs only in layout fits.
    let large = infino::arrow::compute::cast(good.column(1), &DataType::LargeUtf8).unwrap();
    docs.append(with("sku", large)).await.unwrap();
    assert_eq!(docs.count_rows().await.unwrap(), 22);
}

#[tokio::test]
async fn searches_that_cannot_be() {
    let (_, docs) = db().await;
    let vector = [0.5; DIM];
    check(
        docs.bm25_search("n", "x", 3, &[]).await,
        ErrorKind::Invalid,
        &["n", "full-text", "body"],
    );
    check(docs.bm25_search("nope", "x", 3, &[]).await, ErrorKind::Invalid, &["nope"]);
    check(docs.bm25_search("body", "x", 3, &["nope"]).await, ErrorKind::Invalid, &["nope"]);
    check(
        docs.vector_search("body", &vector, 3, &[]).await,
        ErrorKind::Invalid,
        &["body", "vector", "embedding"],
    );
    check(
        docs.vector_search("embedding", &vector[..5], 3, &[]).await,
        ErrorKind::Invalid,
        &["5", "16"],
    );
    check(
        docs.vector_search("embedding", &[f32::NAN; DIM], 3, &[]).await,
        ErrorKind::Invalid,
        &["NaN"],
    );
    for (filter, names) in
        [("nope = 1", "nope"), ("n +", "n +"), ("n", "boolean"), ("sku = ", "sku")]
    {
        check(
            docs.bm25_search("body", "w1", 3, &[]).filter(filter).await,
            ErrorKind::Invalid,
            &[names],
        );
        check(docs.delete(filter).await, ErrorKind::Invalid, &[names]);
    }
    for (query, k) in [("", 5), ("   ", 5), ("w1", 0), ("\u{0}\u{1}", 5), ("no such word", 5)] {
        let found = one(docs.bm25_search("body", query, k, &["n"]).await.unwrap());
        assert_eq!(found.num_rows(), 0, "{query:?}");
    }
    assert_eq!(one(docs.vector_search("embedding", &vector, 0, &[]).await.unwrap()).num_rows(), 0);
    let all = one(docs.vector_search("embedding", &vector, usize::MAX, &["n"]).await.unwrap());
    assert_eq!(all.num_rows(), 20, "k above the rows gives all rows");
}

#[tokio::test]
async fn mutations_that_cannot_be() {
    let (db, docs) = db().await;
    let version = docs.version().await.unwrap();
    let two = batch(&rows(50, 2, 5));
    check(docs.update("n = 3", two.clone()).await, ErrorKind::Invalid, &["1", "2"]);
    check(docs.update("n < 3", two.clone()).await, ErrorKind::Invalid, &["3", "2"]);
    assert_eq!(docs.delete("n > 1000").await.unwrap().matched, 0);
    assert_eq!(docs.version().await.unwrap(), version, "nothing was committed");
    check(docs.at_version(version + 1).await, ErrorKind::NotFound, &[&(version + 1).to_string()]);
    let capped =
        infino::connect_with("memory://capped", ConnectOptions::new().mutation_rows_max(5))
            .await
            .unwrap();
    let docs = support::table(&capped, &rows(0, 20, 1), 1).await;
    check(docs.delete("true").await, ErrorKind::Invalid, &["20", "5"]);
    assert_eq!(docs.count_rows().await.unwrap(), 20);
    drop(db);
}

#[tokio::test]
async fn statements_that_cannot_be() {
    let (db, _) = db().await;
    let cases = [
        ("SELEC 1", ErrorKind::Invalid, "SELEC"),
        ("SELECT * FROM nope", ErrorKind::Invalid, "nope"),
        ("SELECT nope FROM docs", ErrorKind::Invalid, "nope"),
        ("SELECT * FROM bm25_search('nope', 'body', 'x')", ErrorKind::NotFound, "docs"),
        ("SELECT * FROM bm25_search('docs', 'nope', 'x')", ErrorKind::Invalid, "nope"),
        ("SELECT * FROM bm25_search('docs', 'n', 'x')", ErrorKind::Invalid, "full-text"),
        ("SELECT * FROM bm25_search('docs', 'body')", ErrorKind::Invalid, "query"),
        ("SELECT * FROM bm25_search('docs', 'body', 'x', k => -1)", ErrorKind::Invalid, "-1"),
        (
            "SELECT * FROM bm25_search('docs', 'body', 'x', colour => 1)",
            ErrorKind::Invalid,
            "colour",
        ),
        ("SELECT * FROM bm25_search('docs', 'body', 'x', 5, k => 5)", ErrorKind::Invalid, "twice"),
        (
            "SELECT * FROM bm25_search('docs', 'body', 'x', filter => 'nope = 1')",
            ErrorKind::Invalid,
            "nope",
        ),
        ("SELECT * FROM bm25_search('docs', 'body', $1)", ErrorKind::Invalid, "$1"),
        (
            "SELECT * FROM vector_search('docs', 'embedding', [1.0, 2.0])",
            ErrorKind::Invalid,
            "query",
        ),
        ("SELECT * FROM vector_search('docs', 'body', [1.0, 2.0])", ErrorKind::Invalid, "vector"),
        ("SET datafusion.execution.batch_size = 1", ErrorKind::Invalid, ""),
        ("CREATE VIEW v AS SELECT 1", ErrorKind::Invalid, ""),
    ];
    for (sql, kind, names) in cases {
        let result = db.query_sql(sql).await;
        let Err(error) = result else { panic!("{sql} went through") };
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(names), "{sql}: {error}");
    }
    let quoted = one(db
        .query_sql("SELECT * FROM bm25_search('docs', 'body', $1)")
        .bind("'; DROP TABLE docs")
        .await
        .unwrap());
    assert_eq!(quoted.num_rows(), 0);
}

/// Damages every object of a table on disk in turn: reading all of it gives an error or the same rows, never others.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let uri = dir.path().to_str().unwrap();
    let db = infino::connect(uri).await.unwrap();
    let docs = support::table(&db, &rows(0, 300, 7), 2).await;
    docs.delete("n % 5 = 0").await.unwrap();
    let ask = async || -> Result<_, Error> {
        let db = infino::connect(uri).await?;
        let docs = db.open_table("docs").await?;
        let all = db.query_sql("SELECT * FROM docs ORDER BY n").await?;
        let text = docs.bm25_search("body", "w0 w5 w100", 20, &["n", "body"]).await?;
        let near = docs.vector_search("embedding", &[0.4; DIM], 20, &["n"]).await?;
        Ok((one(all), one(text), one(near)))
    };
    let truth = ask().await.unwrap();
    let mut files = Vec::new();
    walk(dir.path(), &mut files);
    assert!(files.len() >= 4, "catalog, head and two superfiles at least");
    let mut noticed = 0;
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let mut places: Vec<usize> = (0..bytes.len()).step_by((bytes.len() / 40).max(1)).collect();
        places.extend([0, bytes.len() - 1]);
        for at in places {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&file, &damaged).unwrap();
            match ask().await {
                Ok(answer) => assert_eq!(answer, truth, "{} byte {at}", file.display()),
                Err(error) => {
                    noticed += 1;
                    assert_eq!(
                        error.kind(),
                        ErrorKind::Corrupt,
                        "{} byte {at}: {error}",
                        file.display()
                    );
                }
            }
        }
        for len in [0, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..len]).unwrap();
            match ask().await {
                Ok(answer) => assert_eq!(answer, truth, "{} cut to {len}", file.display()),
                Err(error) => assert_eq!(
                    error.kind(),
                    ErrorKind::Corrupt,
                    "{} cut to {len}: {error}",
                    file.display()
                ),
            }
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    assert!(noticed > 100, "most bytes are read by one of the questions");
    assert_eq!(ask().await.unwrap(), truth);
}

fn walk(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if std::fs::metadata(&path).unwrap().len() > 0 {
            files.push(path);
        }
    }
}

/// A chain of so many terms that whoever walks it by recursion runs out of stack.
#[tokio::test(flavor = "multi_thread")]
async fn long_chains_are_answered_or_refused() {
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &rows(0, 50, 7), 2).await;
    let chain = |term: fn(usize) -> String, op: &str, terms: usize| {
        (0..terms).map(term).collect::<Vec<_>>().join(op)
    };
    let numbers = chain(|n| format!("n + 0 = {}", 2 * n), " OR ", 2_000);
    let keywords = chain(|n| format!("sku = 'SKU-{n:03}'"), " OR ", 10_000);
    for (predicate, expected) in [(numbers, 25), (keywords, 50)] {
        let sql = format!("SELECT count(*) AS c FROM docs WHERE {predicate}");
        let counted = db.query_sql(sql).await.unwrap();
        assert_eq!(support::ints(&one(counted), "c"), [expected]);
        let found = docs.token_match("body", "w0", 100, &[]).filter(predicate).await.unwrap();
        let every = docs.token_match("body", "w0", 100, &[]).filter("n < 50").await.unwrap();
        assert!(found[0].num_rows() <= every[0].num_rows());
    }
    let deep = format!("{}n = 1{}", "(".repeat(5_000), ")".repeat(5_000));
    check(docs.delete(deep).await, ErrorKind::Invalid, &["deep"]);
    let nots = format!("{}true", "NOT ".repeat(5_000));
    check(docs.delete(nots).await, ErrorKind::Invalid, &[]);
    assert_eq!(docs.count_rows().await.unwrap(), 50);
}
