//! Random predicates over random tables: however rows are spread and whichever of them are dead, every way to ask gives the
//! rows that a naive evaluation gives.

mod support;

use std::cmp::Ordering;

use infino::arrow::array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, StringArray};
use infino::arrow::datatypes::{DataType, Field, Float32Type, Schema};
use infino::{Connection, IndexSpec, Metric, Supertable};
use std::sync::Arc;
use support::{DIM, Random, ints, one};

#[derive(Debug, Clone)]
struct Row {
    n: i64,
    sku: Option<String>,
    path: Option<String>,
    body: Option<String>,
    vector: Option<Vec<f32>>,
}

/// A condition, and what SQL calls it.
#[derive(Debug, Clone)]
enum Test {
    Sku(String),
    SkuIn(Vec<String>),
    SkuStarts(String),
    PathHolds(String),
    PathIs(String),
    Body(Vec<&'static str>, bool),
    BodyIs(String),
    Below(i64),
    Even,
    NoSku,
    NoBody,
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
}

const WORDS: [&str; 8] = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"];

impl Test {
    fn random(random: &mut Random, depth: u32) -> Self {
        let word = |random: &mut Random| WORDS[random.below(8) as usize];
        let sku = |random: &mut Random| format!("s{}", random.below(12));
        if depth > 0 && random.below(3) > 0 {
            let left = Box::new(Self::random(random, depth - 1));
            return match random.below(5) {
                0 => Self::Not(left),
                1 | 2 => Self::And(left, Box::new(Self::random(random, depth - 1))),
                _ => Self::Or(left, Box::new(Self::random(random, depth - 1))),
            };
        }
        match random.below(11) {
            0 => Self::Sku(sku(random)),
            1 => Self::SkuIn((0..2 + random.below(5)).map(|_| sku(random)).collect()),
            2 => Self::SkuStarts(format!("s{}", random.below(2))),
            3 => Self::PathHolds(format!("/{}/", word(random))),
            4 => Self::PathIs(format!("/{}/{}", word(random), word(random))),
            5 => Self::Body(vec![word(random), word(random)], random.below(2) == 0),
            6 => Self::BodyIs(format!("{} {}", word(random), word(random))),
            7 => Self::Below(random.below(500) as i64),
            8 => Self::Even,
            9 => Self::NoSku,
            _ => Self::NoBody,
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Sku(sku) => format!("sku = '{sku}'"),
            Self::SkuIn(skus) => format!("sku IN ('{}')", skus.join("', '")),
            Self::SkuStarts(start) => format!("sku LIKE '{start}%'"),
            Self::PathHolds(part) => format!("path LIKE '%{part}%'"),
            Self::PathIs(path) => format!("path = '{path}'"),
            Self::Body(words, all) => {
                format!(
                    "match(body, '{}', '{}')",
                    words.join(" "),
                    if *all { "all" } else { "any" }
                )
            }
            Self::BodyIs(body) => format!("body = '{body}'"),
            Self::Below(n) => format!("n < {n}"),
            Self::Even => "n % 2 = 0".into(),
            Self::NoSku => "sku IS NULL".into(),
            Self::NoBody => "body IS NULL".into(),
            Self::Not(test) => format!("NOT ({})", test.sql()),
            Self::And(a, b) => format!("({} AND {})", a.sql(), b.sql()),
            Self::Or(a, b) => format!("({} OR {})", a.sql(), b.sql()),
        }
    }

    /// In three values: `None` is NULL.
    fn holds(&self, row: &Row) -> Option<bool> {
        let of = |text: &Option<String>, test: &dyn Fn(&str) -> bool| text.as_deref().map(test);
        match self {
            Self::Sku(sku) => of(&row.sku, &|own| own == sku),
            Self::SkuIn(skus) => of(&row.sku, &|own| skus.iter().any(|sku| sku == own)),
            Self::SkuStarts(start) => of(&row.sku, &|own| own.starts_with(start)),
            Self::PathHolds(part) => of(&row.path, &|own| own.contains(part.as_str())),
            Self::PathIs(path) => of(&row.path, &|own| own == path),
            Self::Body(words, all) => of(&row.body, &|own| {
                let held = |word: &&str| own.split(' ').any(|own| own == *word);
                if *all { words.iter().all(held) } else { words.iter().any(held) }
            }),
            Self::BodyIs(body) => of(&row.body, &|own| own == body),
            Self::Below(n) => Some(row.n < *n),
            Self::Even => Some(row.n % 2 == 0),
            Self::NoSku => Some(row.sku.is_none()),
            Self::NoBody => Some(row.body.is_none()),
            Self::Not(test) => test.holds(row).map(|holds| !holds),
            Self::And(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

fn rows(random: &mut Random, count: i64, nulls: bool) -> Vec<Row> {
    (0..count)
        .map(|n| {
            let mut some = |text: String| (!nulls || random.below(8) > 0).then_some(text);
            let (sku, path, body) = (some(String::new()), some(String::new()), some(String::new()));
            let word = |random: &mut Random| WORDS[random.below(8) as usize];
            Row {
                n,
                sku: sku.map(|_| format!("s{}", random.below(12))),
                path: path.map(|_| format!("/{}/{}", word(random), word(random))),
                body: body.map(|_| {
                    let words = 1 + random.below(3);
                    (0..words).map(|_| word(random)).collect::<Vec<_>>().join(" ")
                }),
                vector: (!nulls || random.below(8) > 0)
                    .then(|| (0..DIM).map(|_| random.unit()).collect()),
            }
        })
        .collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("sku", DataType::Utf8, true),
        Field::new("path", DataType::Utf8, true),
        Field::new("body", DataType::Utf8, true),
        Field::new("v", DataType::FixedSizeList(item, DIM as i32), true),
    ]);
    let text = |value: fn(&Row) -> &Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(value)))
    };
    let vectors = rows
        .iter()
        .map(|row| row.vector.as_ref().map(|v| v.iter().copied().map(Some).collect::<Vec<_>>()));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, DIM as i32);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.n))),
        text(|row| &row.sku),
        text(|row| &row.path),
        text(|row| &row.body),
        Arc::new(vectors),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// A table of `count` rows in `files` files and the rows that are left: by the seed some are dead, and some fresh, others
/// replaced.
async fn table(
    seed: u64,
    count: i64,
    files: usize,
    nulls: bool,
) -> (Connection, Supertable, Vec<Row>) {
    let mut random = Random(seed);
    let mut rows = rows(&mut random, count, nulls);
    let db = infino::connect("memory://").await.unwrap();
    let index = IndexSpec::new().keyword("sku").fts_with("path", "trigram-v1").fts("body").vector(
        "v",
        DIM,
        Metric::L2,
    );
    let docs = db.create_table("docs", batch(&rows[..1]).schema(), index).await.unwrap();
    let (dies, is_fresh) = (seed % 2 == 1, seed % 4 >= 2);
    let stored = if is_fresh { rows.len() * 9 / 10 } else { rows.len() };
    for part in rows[..stored].chunks(stored.div_ceil(files)) {
        docs.append(batch(part)).await.unwrap();
    }
    for part in rows[stored..].chunks(7) {
        docs.insert(batch(part)).await.unwrap();
    }
    assert_eq!(docs.files().await.unwrap().len(), files);
    if dies {
        docs.delete("n % 5 = 3").await.unwrap();
        rows.retain(|row| row.n % 5 != 3);
    }
    if dies && is_fresh {
        let body = format!("'{}'", WORDS[1]);
        let set = [("sku", "'s3'"), ("path", "NULL"), ("body", body.as_str())];
        docs.update_set("n % 7 = 1", &set).await.unwrap();
        for row in rows.iter_mut().filter(|row| row.n % 7 == 1) {
            (row.sku, row.path, row.body) = (Some("s3".into()), None, Some(WORDS[1].into()));
        }
    }
    (db, docs, rows)
}

fn sorted(mut ns: Vec<i64>) -> Vec<i64> {
    ns.sort_unstable();
    ns
}

async fn check(db: &Connection, docs: &Supertable, rows: &[Row], test: &Test, random: &mut Random) {
    let sql = test.sql();
    let passing: Vec<&Row> = rows.iter().filter(|row| test.holds(row) == Some(true)).collect();
    let all = sorted(passing.iter().map(|row| row.n).collect());
    let query = |sql: String| async move { one(db.query_sql(sql).await.unwrap()) };
    let k = 1 + random.below(20) as usize;

    let found = query(format!("SELECT n FROM docs WHERE {sql} ORDER BY n")).await;
    assert_eq!(ints(&found, "n"), all, "{sql}");
    let counted = query(format!("SELECT count(*) AS c FROM docs WHERE {sql}")).await;
    assert_eq!(ints(&counted, "c"), [all.len() as i64], "{sql}");

    let words = [WORDS[random.below(8) as usize], WORDS[random.below(8) as usize]];
    let holds = |row: &&&Row| {
        row.body.as_ref().is_some_and(|body| body.split(' ').any(|word| words.contains(&word)))
    };
    let answering = sorted(passing.iter().filter(holds).map(|row| row.n).collect());
    let hits =
        one(docs.bm25_search("body", &words.join(" "), k, &["n"]).filter(&sql[..]).await.unwrap());
    assert_eq!(hits.num_rows(), k.min(answering.len()), "bm25, k {k}: {sql}");
    assert!(ints(&hits, "n").iter().all(|n| answering.binary_search(n).is_ok()), "bm25: {sql}");
    let every = one(docs
        .bm25_search("body", &words.join(" "), 10_000, &["n"])
        .filter(&sql[..])
        .await
        .unwrap());
    assert_eq!(sorted(ints(&every, "n")), answering, "bm25: {sql}");
    let scores: Vec<f32> = support::floats(&every, "score");
    assert_eq!(support::floats(&hits, "score"), scores[..hits.num_rows()], "bm25, k {k}: {sql}");

    let vector: Vec<f32> = (0..DIM).map(|_| random.unit()).collect();
    let mut near: Vec<(f32, i64)> = passing
        .iter()
        .filter_map(|row| {
            let own = row.vector.as_ref()?;
            Some((own.iter().zip(&vector).map(|(a, b)| (a - b) * (a - b)).sum::<f32>(), row.n))
        })
        .collect();
    near.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1)));
    let hits = one(docs.vector_search("v", &vector, k, &["n"]).filter(&sql[..]).await.unwrap());
    assert_eq!(hits.num_rows(), k.min(near.len()), "vector, k {k}: {sql}");
    assert!(ints(&hits, "n").iter().all(|n| near.iter().any(|own| own.1 == *n)), "vector: {sql}");
    let exact =
        one(docs.vector_search("v", &vector, k, &["n"]).filter(&sql[..]).exact().await.unwrap());
    let truth: Vec<i64> = near.iter().take(k).map(|own| own.1).collect();
    assert_eq!(ints(&exact, "n"), truth, "exact, k {k}: {sql}");

    let numbers = vector.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    let ranked = query(format!(
        "SELECT n FROM docs WHERE {sql} ORDER BY distance(v, [{numbers}]) LIMIT {k}"
    ))
    .await;
    assert_eq!(ranked.num_rows(), k.min(passing.len()), "ORDER BY distance, k {k}: {sql}");
    assert!(ints(&ranked, "n").iter().all(|n| all.binary_search(n).is_ok()), "ORDER BY: {sql}");
    let hybrid = one(docs
        .hybrid_search("body", &words.join(" "), "v", &vector, k, &["n"])
        .filter(&sql[..])
        .await
        .unwrap());
    let either = near.iter().map(|own| own.1).chain(answering.iter().copied());
    let either: std::collections::BTreeSet<i64> = either.collect();
    assert_eq!(hybrid.num_rows(), k.min(either.len()), "hybrid, k {k}: {sql}");
    assert!(ints(&hybrid, "n").iter().all(|n| either.contains(n)), "hybrid: {sql}");
    let tokens =
        one(docs.token_match("body", words[0], 10_000, &["n"]).filter(&sql[..]).await.unwrap());
    let has = |row: &&&Row| {
        row.body.as_ref().is_some_and(|body| body.split(' ').any(|word| word == words[0]))
    };
    assert_eq!(
        ints(&tokens, "n"),
        passing.iter().filter(has).map(|row| row.n).collect::<Vec<_>>(),
        "{sql}"
    );
}

async fn run(seed: u64, count: i64, files: usize, nulls: bool, cases: u64) {
    let (db, docs, rows) = table(seed, count, files, nulls).await;
    for case in 0..cases {
        let mut random = Random(seed << 32 | case);
        let test = Test::random(&mut random, 3);
        check(&db, &docs, &rows, &test, &mut random).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_predicate_over_one_file() {
    for seed in 0..4 {
        run(seed, 120, 1, seed > 1, 300).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_predicate_over_a_few_files() {
    for seed in 4..8 {
        run(seed, 500, 5, seed > 5, 170).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_predicate_over_many_files() {
    for seed in 10..12 {
        run(seed, 712, 64, seed > 10, 70).await;
    }
}
