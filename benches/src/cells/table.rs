//! Tables, through the public API.

use std::error::Error;
use std::time::Instant;

use infino::arrow::array::{AsArray, RecordBatch};
use infino::arrow::datatypes::Int64Type;
use infino::datafusion::prelude::{ParquetReadOptions, SessionContext};
use infino::{Connection, IndexSpec, Metric, Supertable, TextMode};

use super::{K, Kind, SHARES, STATEMENTS};
use crate::Options;
use crate::corpus::{Corpus, Words};
use crate::measure::{Figure, calls, of_times, spending};
use crate::oracle;
use crate::place::Site;

type Outcome = Result<Vec<Figure>, Box<dyn Error>>;

/// Rows handed to the writer at once.
const BATCH: usize = 10_000;
/// Commits of the cell `commit`, quick ones, and how many of the first and last are compared. Far away, a tenth of them.
const COMMITS: usize = 10_000;
const COMMITS_QUICK: usize = 400;
const COMPARED: usize = 100;

pub(super) async fn run(kind: Kind, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let db = site.connect().await?;
    if kind == Kind::Commit {
        return commit(&db, corpus, site, options).await;
    }
    let (table, ingested) = ingest(&db, corpus, site).await?;
    if kind == Kind::Ingest {
        return Ok(ingested);
    }
    site.delay(options.delay_ms);
    match kind {
        Kind::Text => text(&table, corpus, site, options).await,
        Kind::Vector => vector(&table, corpus, site, options).await,
        Kind::Filtered => filtered(&table, corpus, site, options).await,
        Kind::Hybrid => hybrid(&table, corpus, site, options).await,
        Kind::Sql => sql(&db, &table, site, options).await,
        _ => cold(corpus, site, options).await,
    }
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let values = |batch: &RecordBatch| {
        let column = batch.column_by_name("n").expect("asked for");
        column.as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(values).collect()
}

/// A table of the corpus, and what it cost to make.
async fn ingest(
    db: &Connection,
    corpus: &Corpus,
    site: &Site,
) -> Result<(Supertable, Vec<Figure>), Box<dyn Error>> {
    let index =
        IndexSpec::new().fts("body").keyword("tag").vector("embedding", corpus.dim, Metric::Cosine);
    let table = db.create_table("bench", corpus.schema(), index).await?;
    let (before, start) = (site.spent(), Instant::now());
    let mut writer = table.writer()?;
    for from in (0..corpus.rows()).step_by(BATCH) {
        writer.append(&corpus.batch(from, BATCH)).await?;
    }
    writer.commit().await?;
    let seconds = start.elapsed().as_secs_f64();
    let spent = site.spent().zip(before).map(|(now, before)| now.since(before));
    let disk: u64 = table.files().await?.iter().map(|file| file.bytes).sum();
    let given = (corpus.text_bytes() + corpus.vectors.len() * 4) as f64 / 1e6;
    let figures = vec![
        spending(Figure::new("rows", corpus.rows() as f64 / seconds, "rows/s"), spent, 1.0),
        Figure::new("text", corpus.text_bytes() as f64 / 1e6 / seconds, "MB/s"),
        Figure::new("size", disk as f64 / 1e6, "MB").beside("text and vectors given", given),
    ];
    Ok((table, figures))
}

fn mode(kind: Words) -> TextMode {
    match kind {
        Words::Term | Words::Or3 => TextMode::Any,
        Words::And2 => TextMode::All,
        Words::Phrase2 => TextMode::Phrase,
    }
}

async fn text(table: &Supertable, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let mut figures = Vec::new();
    for (kind, name) in Words::ALL {
        let queries = corpus.queries(kind);
        let ask = |at: usize, columns: &[&str]| {
            table.bm25_search("body", &queries[at].join(" "), K, columns).mode(mode(kind))
        };
        let ids = async |at: usize| ask(at, &[]).await.map(drop);
        let bare = calls(name, options, site, queries.len(), ids).await?;
        let rows = async |at: usize| ask(at, &["n", "body"]).await.map(drop);
        let fetched =
            calls(&format!("{name} with rows"), options, site, queries.len(), rows).await?;
        let mut answers = Vec::new();
        for at in 0..queries.len() {
            answers.push(numbers(&ask(at, &["n"]).await?));
        }
        let right = oracle::judge_text(corpus, kind, &queries, &answers, K);
        let fetched = fetched.beside("without rows", bare.value);
        figures.extend([bare.right(right), fetched]);
    }
    Ok(figures)
}

async fn vector(table: &Supertable, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let near = |at: usize| table.vector_search("embedding", &corpus.near[at], K, &["n"]);
    let count = corpus.near.len();
    let exact = async |at: usize| near(at).exact().await.map(drop);
    let exact = calls("exact", options, site, count, exact).await?;
    let mut figures = Vec::new();
    for (name, recall) in [("default", None), ("recall 0.99", Some(0.99))] {
        let ask = |at: usize| match recall {
            Some(recall) => near(at).target_recall(recall),
            None => near(at),
        };
        let found = calls(name, options, site, count, async |at| ask(at).await.map(drop)).await?;
        let mut answers = Vec::new();
        for at in 0..count {
            answers.push(numbers(&ask(at).await?));
        }
        let right = oracle::judge_near(corpus, corpus.rows(), &answers, K);
        figures.push(found.right(right).beside("exact", exact.value));
    }
    figures.push(exact);
    Ok(figures)
}

async fn filtered(table: &Supertable, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let near = |at: usize| table.vector_search("embedding", &corpus.near[at], K, &["n"]);
    let count = corpus.near.len();
    let free =
        calls("unfiltered", options, site, count, async |at| near(at).await.map(drop)).await?;
    let mut figures = Vec::new();
    for (name, share) in SHARES {
        let allowed = (corpus.rows() as f64 * share) as usize;
        let predicate = format!("n < {allowed}");
        let ask = |at: usize| near(at).filter(predicate.as_str());
        let found = calls(name, options, site, count, async |at| ask(at).await.map(drop)).await?;
        let mut answers = Vec::new();
        for at in 0..count {
            answers.push(numbers(&ask(at).await?));
        }
        let right = oracle::judge_near(corpus, allowed, &answers, K);
        figures.push(found.right(right).beside("unfiltered", free.value));
    }
    figures.push(free);
    Ok(figures)
}

async fn hybrid(table: &Supertable, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let queries = corpus.queries(Words::Or3);
    let texts: Vec<String> = queries.iter().map(|words| words.join(" ")).collect();
    let count = texts.len().min(corpus.near.len());
    let words = async |at: usize| table.bm25_search("body", &texts[at], 100, &[]).await.map(drop);
    let words = calls("text alone", options, site, count, words).await?;
    let near = async |at: usize| {
        table.vector_search("embedding", &corpus.near[at], 100, &[]).await.map(drop)
    };
    let near = calls("vector alone", options, site, count, near).await?;
    let both = async |at: usize| {
        let vector = &corpus.near[at];
        table.hybrid_search("body", &texts[at], "embedding", vector, K, &["n"]).await.map(drop)
    };
    let both = calls("fused", options, site, count, both).await?;
    let both = both.beside("the slower alone", words.value.max(near.value));
    Ok(vec![both, words, near])
}

async fn sql(db: &Connection, table: &Supertable, site: &Site, options: &Options) -> Outcome {
    let plain = SessionContext::new();
    let local = std::path::Path::new(site.folder()).exists();
    if local {
        let first = table.files().await?.remove(0);
        let data = first.path.rsplit_once('/').map_or("", |(data, _)| data).to_owned();
        let folder = format!("{}/{data}/", site.folder());
        plain.register_parquet("bench", folder, ParquetReadOptions::default()).await?;
    }
    let mut figures = Vec::new();
    for (name, sql) in STATEMENTS {
        let ours =
            calls(name, options, site, 1, async |_| db.query_sql(sql).await.map(drop)).await?;
        if !local {
            figures.push(ours);
            continue;
        }
        let theirs = async |_: usize| plain.sql(sql).await?.collect().await.map(drop);
        let theirs = calls(&format!("{name} by DataFusion"), options, site, 1, theirs).await?;
        let (found, wanted) = (db.query_sql(sql).await?, plain.sql(sql).await?.collect().await?);
        let show = |batches: &[RecordBatch]| {
            let shown = infino::arrow::util::pretty::pretty_format_batches(batches);
            shown.map(|table| table.to_string())
        };
        let right = f64::from(u8::from(show(&found)? == show(&wanted)?));
        figures.push(ours.right(right).beside("plain DataFusion", theirs.value));
    }
    let sql = "SELECT n, score FROM bm25_search('bench', 'body', 'abc', k => 10)";
    let ours = calls("bm25_search", options, site, 1, async |_| db.query_sql(sql).await.map(drop));
    let ours = ours.await?;
    let direct = async |_: usize| table.bm25_search("body", "abc", K, &["n"]).await.map(drop);
    let direct = calls("bm25_search called", options, site, 1, direct).await?;
    figures.push(ours.beside("direct call", direct.value));
    Ok(figures)
}

/// One row a commit, one after another.
async fn commit(db: &Connection, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let commits = if options.quick { COMMITS_QUICK } else { COMMITS };
    let commits = if site.is_far() { commits / 10 } else { commits };
    site.delay(options.delay_ms);
    let mut figures = Vec::new();
    for name in ["append", "insert"] {
        let spec = IndexSpec::new().fts("body");
        let table = db.create_table(name, corpus.schema(), spec).await?;
        let mut times = Vec::with_capacity(commits);
        let before = site.spent();
        for n in 0..commits {
            let row = corpus.batch(n % corpus.rows(), 1);
            let start = Instant::now();
            match name {
                "append" => drop(table.append(row).await?),
                _ => drop(table.insert(row).await?),
            }
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let spent = site.spent().zip(before).map(|(now, before)| now.since(before));
        let compared = COMPARED.min(commits / 4);
        let first = of_times("", times[..compared].to_vec()).value;
        let last = of_times(name, times[commits - compared..].to_vec());
        figures.push(spending(last.beside("the first of them", first), spent, commits as f64));
    }
    Ok(figures)
}

/// First calls of connections that have read nothing.
async fn cold(corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let text = corpus.queries(Words::Or3).remove(0).join(" ");
    let near = &corpus.near[0];
    let times = if options.quick { 3 } else { 10 };
    let mut figures: Vec<Figure> = Vec::new();
    for name in ["open", "count", "text", "vector", "sql"] {
        let mut took = Vec::new();
        let before = site.spent();
        for _ in 0..times {
            let start = Instant::now();
            let db = site.connect().await?;
            let table = db.open_table("bench").await?;
            match name {
                "count" => drop(table.count_rows().await?),
                "text" => drop(table.bm25_search("body", &text, K, &["n", "body"]).await?),
                "vector" => drop(table.vector_search("embedding", near, K, &["n"]).await?),
                "sql" => drop(db.query_sql(STATEMENTS[1].1).await?),
                _ => {}
            }
            took.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let spent = site.spent().zip(before).map(|(now, before)| now.since(before));
        let figure = spending(of_times(name, took), spent, f64::from(times));
        let opened = figures.first().map_or(figure.value, |first| first.value);
        figures.push(figure.beside("open alone", opened));
    }
    Ok(figures)
}
