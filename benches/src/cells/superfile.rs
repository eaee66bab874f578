//! One file, below the table: what the format and its readers cost by themselves.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use infino::arrow::array::{ArrayRef, AsArray, Decimal128Array, RecordBatch};
use infino::arrow::datatypes::Int64Type;
use infino::datafusion::prelude::{ParquetReadOptions, SessionContext};
use infino::{IndexSet, Metric, RerankCodec, TextIndex, VectorIndex};
use infino_format::schema::TableSchema;
use infino_format::{DocSet, SuperfileSummary};
use infino_fts::{CorpusStats, Operator, Query};
use infino_storage::Store;
use infino_superfile::{Superfile, SuperfileBuilder, SuperfileOptions};
use infino_vector::SearchParams;

use super::{K, Kind, SHARES, STATEMENTS};
use crate::Options;
use crate::corpus::{Corpus, Words};
use crate::measure::{Figure, calls, of_times, spending};
use crate::oracle;
use crate::place::Site;

type Outcome = Result<Vec<Figure>, Box<dyn Error>>;
type Calls = Result<(), Box<dyn Error>>;

/// Rows handed to the builder at once.
const BATCH: usize = 10_000;
/// The file.
const PATH: &str = "data/one.parquet";

pub(super) async fn run(kind: Kind, corpus: &Corpus, mut site: Site, options: &Options) -> Outcome {
    let store = site.store();
    let schema = schema(corpus)?;
    if kind == Kind::Commit {
        return commit(&schema, corpus, &*store, &site, options).await;
    }
    let start = Instant::now();
    let (bytes, summary) = build(&schema, corpus, 0, corpus.rows())?;
    let (size, seconds) = (bytes.len(), start.elapsed().as_secs_f64());
    store.put(PATH, bytes.into()).await?;
    if kind == Kind::Ingest {
        let given = (corpus.text_bytes() + corpus.vectors.len() * 4) as f64 / 1e6;
        return Ok(vec![
            Figure::new("rows", corpus.rows() as f64 / seconds, "rows/s"),
            Figure::new("text", corpus.text_bytes() as f64 / 1e6 / seconds, "MB/s"),
            Figure::new("size", size as f64 / 1e6, "MB").beside("text and vectors given", given),
        ]);
    }
    let summary = Arc::new(summary);
    site.delay(options.delay_ms);
    let open = async || Superfile::open(store.clone(), PATH, Some(summary.clone())).await;
    if kind == Kind::Cold {
        return cold(open, &schema, corpus, &site, options).await;
    }
    let file = open().await?;
    match kind {
        Kind::Text => text(&file, corpus, &site, options).await,
        Kind::Vector => vector(&file, &schema, corpus, &site, options).await,
        Kind::Filtered => filtered(&file, &schema, corpus, &site, options).await,
        _ => sql(&site, options).await,
    }
}

fn schema(corpus: &Corpus) -> Result<TableSchema, Box<dyn Error>> {
    let text = |column: &str, analyzer: &str, positions: bool| TextIndex {
        column: column.to_owned(),
        analyzer: analyzer.to_owned(),
        positions,
        stored: true,
    };
    let vector = VectorIndex {
        column: "embedding".to_owned(),
        dim: corpus.dim as u32,
        metric: Metric::Cosine,
        rerank: RerankCodec::Sq8Residual,
        target_recall_millis: 950,
        stored: true,
    };
    let indexes = IndexSet {
        text: vec![text("body", "standard-v1", true), text("tag", "keyword-v1", false)],
        vectors: vec![vector],
        key: Vec::new(),
    };
    Ok(infino_superfile::table_schema(&corpus.schema(), indexes)?)
}

fn build(
    schema: &TableSchema,
    corpus: &Corpus,
    from: usize,
    rows: usize,
) -> Result<(Vec<u8>, SuperfileSummary), Box<dyn Error>> {
    let mut builder = SuperfileBuilder::new(schema, SuperfileOptions::default())?;
    let file = infino_superfile::file_schema(schema)?;
    for at in (from..from + rows).step_by(BATCH) {
        let batch = corpus.batch(at, BATCH.min(from + rows - at));
        let ids = (0..batch.num_rows()).map(|row| (at + row + 1) as i128);
        let ids = Decimal128Array::from_iter_values(ids).with_precision_and_scale(38, 0)?;
        let ids: ArrayRef = Arc::new(ids);
        let columns = std::iter::once(ids).chain(batch.columns().iter().cloned()).collect();
        builder.push(&RecordBatch::try_new(file.clone(), columns)?)?;
    }
    Ok(builder.finish()?)
}

fn query(kind: Words, words: &[String]) -> Query {
    let text = words.join(" ");
    match kind {
        Words::Phrase2 => Query::phrase("body", text),
        Words::And2 => Query::matching("body", text, Operator::And),
        _ => Query::matching("body", text, Operator::Or),
    }
}

async fn search_text(file: &Superfile, query: &Query) -> Result<Vec<u32>, Box<dyn Error>> {
    let reader = file.text().await?;
    let prepared = file.run_text(reader.prepare(query)?).await?;
    let stats = CorpusStats::of(&reader, &prepared);
    let hits = file.run_text(reader.search(&prepared, &stats, K, None, None)?).await?;
    Ok(hits.iter().map(|hit| hit.doc).collect())
}

async fn search_near(
    file: &Superfile,
    field: u32,
    vector: &[f32],
    params: &SearchParams,
    allowed: Option<&DocSet>,
) -> Result<Vec<i64>, Box<dyn Error>> {
    let index = file.vector(field).await?;
    let found = file.run_vector(field, index.search(vector, params, allowed)?).await?;
    Ok(found.iter().map(|neighbor| i64::from(neighbor.doc)).collect())
}

fn field(schema: &TableSchema) -> u32 {
    let column = schema.columns.iter().find(|column| column.name == "embedding");
    column.expect("see `schema`").field_id
}

async fn text(file: &Superfile, corpus: &Corpus, site: &Site, options: &Options) -> Outcome {
    let mut figures = Vec::new();
    for (kind, name) in Words::ALL {
        let queries = corpus.queries(kind);
        let asked: Vec<Query> = queries.iter().map(|words| query(kind, words)).collect();
        let bare = async |at: usize| -> Calls { search_text(file, &asked[at]).await.map(drop) };
        let bare = calls(name, options, site, asked.len(), bare).await?;
        let rows = async |at: usize| -> Calls {
            let docs = search_text(file, &asked[at]).await?;
            file.rows(&docs, &["n", "body"]).await?;
            Ok(())
        };
        let fetched = calls(&format!("{name} with rows"), options, site, asked.len(), rows).await?;
        let mut answers = Vec::new();
        for query in &asked {
            answers.push(search_text(file, query).await?.into_iter().map(i64::from).collect());
        }
        let right = oracle::judge_text(corpus, kind, &queries, &answers, K);
        let fetched = fetched.beside("without rows", bare.value);
        figures.extend([bare.right(right), fetched]);
    }
    Ok(figures)
}

async fn vector(
    file: &Superfile,
    schema: &TableSchema,
    corpus: &Corpus,
    site: &Site,
    options: &Options,
) -> Outcome {
    let (field, count) = (field(schema), corpus.near.len());
    let usual = SearchParams { k: K, ..SearchParams::default() };
    let all = [
        ("exact", SearchParams { exact: true, ..usual.clone() }),
        ("default", usual.clone()),
        ("recall 0.99", SearchParams { target_recall: Some(0.99), ..usual }),
    ];
    let mut figures: Vec<Figure> = Vec::new();
    for (name, params) in all {
        let ask = async |at: usize| search_near(file, field, &corpus.near[at], &params, None).await;
        let found = async |at: usize| -> Calls { ask(at).await.map(drop) };
        let found = calls(name, options, site, count, found).await?;
        let mut answers = Vec::new();
        for at in 0..count {
            answers.push(ask(at).await?);
        }
        let right = oracle::judge_near(corpus, corpus.rows(), &answers, K);
        let exact = figures.first().map_or(found.value, |exact| exact.value);
        figures.push(found.right(right).beside("exact", exact));
    }
    Ok(figures)
}

async fn filtered(
    file: &Superfile,
    schema: &TableSchema,
    corpus: &Corpus,
    site: &Site,
    options: &Options,
) -> Outcome {
    let (field, count) = (field(schema), corpus.near.len());
    let params = SearchParams { k: K, ..SearchParams::default() };
    let mut figures: Vec<Figure> = Vec::new();
    for (name, share) in std::iter::once(("unfiltered", 1.0)).chain(SHARES) {
        let allowed = (corpus.rows() as f64 * share) as usize;
        let mut docs = DocSet::empty(file.row_count());
        for doc in 0..allowed as u32 {
            docs.insert(doc);
        }
        let docs = (share < 1.0).then_some(&docs);
        let ask = async |at: usize| search_near(file, field, &corpus.near[at], &params, docs).await;
        let found = async |at: usize| -> Calls { ask(at).await.map(drop) };
        let found = calls(name, options, site, count, found).await?;
        let mut answers = Vec::new();
        for at in 0..count {
            answers.push(ask(at).await?);
        }
        let right = oracle::judge_near(corpus, allowed, &answers, K);
        let free = figures.first().map_or(found.value, |free| free.value);
        figures.push(found.right(right).beside("unfiltered", free));
    }
    Ok(figures)
}

/// Plain DataFusion on the file, as any reader of Parquet.
async fn sql(site: &Site, options: &Options) -> Outcome {
    let plain = SessionContext::new();
    let path = format!("{}/{PATH}", site.folder());
    plain.register_parquet("bench", path, ParquetReadOptions::default()).await?;
    let mut figures = Vec::new();
    for (name, sql) in STATEMENTS {
        let ask = async |_: usize| plain.sql(sql).await?.collect().await.map(drop);
        figures.push(calls(name, options, site, 1, ask).await?);
    }
    Ok(figures)
}

/// The floor of a commit: a file of one row, built and put.
async fn commit(
    schema: &TableSchema,
    corpus: &Corpus,
    store: &dyn Store,
    site: &Site,
    options: &Options,
) -> Outcome {
    site.delay(options.delay_ms);
    let one = async |at: usize| -> Calls {
        let (bytes, _) = build(schema, corpus, at, 1)?;
        store.put(&format!("data/{at}.parquet"), bytes.into()).await?;
        Ok(())
    };
    Ok(vec![calls("build and put", options, site, corpus.rows().min(50), one).await?])
}

/// First calls of files that nothing was read of.
async fn cold<E: Error + 'static>(
    open: impl AsyncFn() -> Result<Arc<Superfile>, E>,
    schema: &TableSchema,
    corpus: &Corpus,
    site: &Site,
    options: &Options,
) -> Outcome {
    let asked = query(Words::Or3, &corpus.queries(Words::Or3)[0]);
    let params = SearchParams { k: K, ..SearchParams::default() };
    let times = if options.quick { 3 } else { 10 };
    let mut figures: Vec<Figure> = Vec::new();
    for name in ["open", "rows", "text", "vector"] {
        let mut took = Vec::new();
        let before = site.spent();
        for time in 0..times {
            let start = Instant::now();
            let file = open().await?;
            match name {
                "rows" => {
                    let rows = corpus.rows() as u32;
                    let docs: Vec<u32> = (0..10).map(|at| (at * 7919 + time) % rows).collect();
                    let found = file.rows(&docs, &["n", "body"]).await?;
                    let first = found.column_by_name("n").expect("asked for");
                    let first = first.as_primitive::<Int64Type>().value(0);
                    assert_eq!(first, i64::from(docs[0]), "rows come in the order asked for");
                }
                "text" => drop(search_text(&file, &asked).await?),
                "vector" => {
                    let field = field(schema);
                    drop(search_near(&file, field, &corpus.near[0], &params, None).await?);
                }
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
