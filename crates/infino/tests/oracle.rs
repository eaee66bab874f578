//! Answers against naive ones, however the rows are spread, filtered and deleted.

mod support;

use infino::Supertable;
use support::{Random, Row, batch, bm25, distances, floats, nearest, ns, one, rows};

const QUERIES: [&str; 6] =
    ["w0", "w199", "w1 w100 w180", "w0 w1 w2", "w50 nothing", "nothing at all"];

/// Checks hits against all true scores: the same values, and rows that have them; among equals any order is one.
fn check_ranking(found: &[(i64, f32)], truth: &[(i64, f64)], k: usize, what: &str) {
    assert_eq!(found.len(), truth.len().min(k), "{what}");
    for (i, (n, score)) in found.iter().enumerate() {
        let tolerance = 1e-5 * truth[i].1.abs().max(1.0);
        assert!(
            (f64::from(*score) - truth[i].1).abs() <= tolerance,
            "{what}: place {i}: {score}, not {}",
            truth[i].1
        );
        let own =
            truth.iter().find(|hit| hit.0 == *n).unwrap_or_else(|| panic!("{what}: {n} is no hit"));
        assert!((f64::from(*score) - own.1).abs() <= tolerance, "{what}: {n} has another score");
    }
    let mut seen: Vec<_> = found.iter().map(|hit| hit.0).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), found.len(), "{what}: a row twice");
}

async fn text(docs: &Supertable, query: &str, k: usize, filter: Option<&str>) -> Vec<(i64, f32)> {
    let mut search = docs.bm25_search("body", query, k, &["n"]);
    if let Some(filter) = filter {
        search = search.filter(filter);
    }
    let hits = one(search.await.unwrap());
    ns(&hits).into_iter().zip(floats(&hits, "score")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_textbook_and_do_not_depend_on_files() {
    let data = rows(0, 500, 3);
    let mut answers = Vec::new();
    for files in [1, 2, 16] {
        let db = infino::connect("memory://").await.unwrap();
        let docs = support::table(&db, &data, files).await;
        assert_eq!(docs.files().await.unwrap().len(), files);
        let mut answer = Vec::new();
        for query in QUERIES {
            for k in [1, 10, 1000] {
                let found = text(&docs, query, k, None).await;
                check_ranking(
                    &found,
                    &bm25(&data, query),
                    k,
                    &format!("{query:?} over {files} files"),
                );
                answer.push(found);
            }
        }
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1], "to the bit, and in the same order");
    assert_eq!(answers[0], answers[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_come_before_ranking() {
    let data = rows(0, 400, 4);
    let db = infino::connect("memory://").await.unwrap();
    let docs = support::table(&db, &data, 5).await;
    let filters: [(&str, fn(&Row) -> bool); 7] = [
        ("true", |_| true),
        ("n < 0", |_| false),
        ("n = 123", |row| row.n == 123),
        ("n % 2 = 0", |row| row.n % 2 == 0),
        ("n BETWEEN 80 AND 90 OR sku = 'SKU-007'", |row| {
            (80..=90).contains(&row.n) || row.sku == "SKU-007"
        }),
        ("sku LIKE 'SKU-01%' AND NOT n > 300", |row| row.sku.starts_with("SKU-01") && row.n <= 300),
        ("NULL", |_| false),
    ];
    for (filter, passes) in filters {
        let kept: Vec<Row> = data.iter().filter(|row| passes(row)).cloned().collect();
        for query in QUERIES {
            // Statistics are of all rows, so a filter drops hits and changes no score.
            let truth: Vec<_> = bm25(&data, query)
                .into_iter()
                .filter(|hit| passes(&data[hit.0 as usize]))
                .collect();
            check_ranking(&text(&docs, query, 10, Some(filter)).await, &truth, 10, filter);
        }
        let query = &data[7].vector;
        for k in [1, 10, 1000] {
            let near = one(docs
                .vector_search("embedding", query, k, &["n"])
                .filter(filter)
                .exact()
                .await
                .unwrap());
            let truth = nearest(&kept, query);
            assert_eq!(near.num_rows(), truth.len().min(k), "{filter}");
            for (distance, truth) in distances(&near).iter().zip(&truth) {
                assert!(
                    (distance - truth.1).abs() <= 0.05 * truth.1.max(1.0),
                    "{filter}: {distance}, not {}",
                    truth.1
                );
            }
            let near = one(docs
                .vector_search("embedding", query, k, &["n"])
                .filter(filter)
                .await
                .unwrap());
            assert_eq!(
                near.num_rows(),
                kept.len().min(k),
                "min(k, matching) rows without `exact` too: {filter}"
            );
            assert!(ns(&near).iter().all(|&n| passes(&data[n as usize])));
        }
        let counted = one(db
            .query_sql(format!("SELECT n FROM docs WHERE {filter} ORDER BY n"))
            .await
            .unwrap());
        assert_eq!(ns(&counted), kept.iter().map(|row| row.n).collect::<Vec<_>>());
    }
}

/// Random appends, deletes, updates and optimisations beside a list of rows; after each, every way to ask agrees with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_a_list_of_rows() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let db = infino::connect("memory://").await.unwrap();
        let docs = db.create_table("docs", support::schema(), support::index()).await.unwrap();
        let mut model: Vec<Row> = Vec::new();
        let mut next = 0;
        for step in 0..14 {
            match random.below(6) {
                0..=2 => {
                    let new = rows(next, 1 + random.below(60) as usize, random.next());
                    next += new.len() as i64;
                    docs.append(batch(&new)).await.unwrap();
                    model.extend(new);
                }
                3 => {
                    let (modulus, rest) = (2 + random.below(6) as i64, random.below(6) as i64);
                    let gone = docs.delete(format!("n % {modulus} = {rest}")).await.unwrap();
                    let before = model.len();
                    model.retain(|row| row.n % modulus != rest);
                    assert_eq!(gone.tombstoned as usize, before - model.len());
                }
                4 => {
                    let bound = random.below(next.max(1) as u64) as i64;
                    // Updates pair rows with ids in order, and the model's order is theirs.
                    let matched: Vec<usize> =
                        (0..model.len()).filter(|&i| model[i].n < bound).collect();
                    let new = rows(next, matched.len(), random.next());
                    next += new.len() as i64;
                    let updated = docs.update(format!("n < {bound}"), batch(&new)).await.unwrap();
                    assert_eq!(updated.matched as usize, matched.len());
                    for (place, row) in matched.into_iter().zip(new) {
                        model[place] = row;
                    }
                }
                _ => {
                    docs.optimize().await.unwrap();
                }
            }
            let what = format!("seed {seed}, step {step}");
            assert_eq!(docs.count_rows().await.unwrap() as usize, model.len(), "{what}");
            let all = one(db
                .query_sql("SELECT n, sku, body, embedding FROM docs ORDER BY _id")
                .await
                .unwrap());
            assert_eq!(ns(&all), model.iter().map(|row| row.n).collect::<Vec<_>>(), "{what}");
            assert_eq!(
                support::texts(&all, "body"),
                model.iter().map(|r| r.body.clone()).collect::<Vec<_>>()
            );
            let mut found: Vec<_> =
                text(&docs, "w0 w1", 10_000, None).await.iter().map(|hit| hit.0).collect();
            let holds = |row: &&Row| row.body.split(' ').any(|word| word == "w0" || word == "w1");
            let mut expected: Vec<_> = model.iter().filter(holds).map(|row| row.n).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{what}");
            let query = vec![0.7; support::DIM];
            let near = one(docs.vector_search("embedding", &query, 10_000, &["n"]).await.unwrap());
            assert_eq!(near.num_rows(), model.len(), "{what}");
        }
    }
}
