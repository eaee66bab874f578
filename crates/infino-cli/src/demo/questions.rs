//! The questions: keyword, vector, hybrid, filtered, SQL.

use std::io::Write;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::DataType,
};
use infino::{Connection, Supertable};

use super::{COLUMNS, K, QUERY, REPEATS, TABLE, Tour, literal};
use crate::{
    CliError,
    hits::{self, Hit, column},
    output,
    stopwatch::time,
};

/// What to search for: what was asked for, or a text with an answer in this table.
pub(super) async fn query(
    db: &Connection,
    table: &Supertable,
    asked: Option<&str>,
) -> Result<String, CliError> {
    if let Some(asked) = asked {
        return Ok(asked.to_owned());
    }
    let answers = table.bm25_search("text", QUERY, 1, &[]).await?;
    if answers.iter().any(|batch| batch.num_rows() > 0) {
        return Ok(QUERY.to_owned());
    }
    let sample = db.query_sql(format!("SELECT text FROM {TABLE} LIMIT 1")).await?;
    let text = strings(&sample, "text")?.pop().unwrap_or_default();
    let mut words: Vec<&str> = text.split(|ch: char| !ch.is_alphanumeric()).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len().min(12)));
    words.truncate(3);
    Ok(words.join(" "))
}

/// Asks every kind of question; the best hit of the keyword search is what the rest of the demo works on.
pub(super) async fn ask<W: Write>(tour: &mut Tour<'_, W>) -> Result<Option<Hit>, CliError> {
    let best = keyword(tour).await?;
    vector(tour).await?;
    hybrid(tour).await?;
    filtered(tour).await?;
    sql(tour).await?;
    Ok(best)
}

async fn keyword<W: Write>(tour: &mut Tour<'_, W>) -> Result<Option<Hit>, CliError> {
    tour.headline(&format!("Keyword search, BM25: {:?}", tour.query))?;
    let search = async || tour.table.bm25_search("text", &tour.query, K, &COLUMNS).await;
    let (batches, timing) = time(REPEATS, search).await?;
    tour.timing(timing)?;
    let hits = hits::of(&batches, "score")?;
    tour.hits(&hits)?;
    Ok(hits.into_iter().next())
}

async fn vector<W: Write>(tour: &mut Tour<'_, W>) -> Result<(), CliError> {
    tour.headline("Vector search: the passages nearest to the embedding of that text")?;
    let search = async || tour.table.vector_search("embedding", &tour.vector, K, &COLUMNS).await;
    let (batches, timing) = time(REPEATS, search).await?;
    tour.timing(timing)?;
    tour.hits(&hits::of(&batches, "distance")?)
}

async fn hybrid<W: Write>(tour: &mut Tour<'_, W>) -> Result<(), CliError> {
    tour.headline("Hybrid search: both rankings fused")?;
    let search = async || {
        let Tour { table, query, vector, .. } = &*tour;
        table.hybrid_search("text", query, "embedding", vector, K, &COLUMNS).await
    };
    let (batches, timing) = time(REPEATS, search).await?;
    tour.timing(timing)?;
    tour.hits(&hits::of(&batches, "score")?)
}

async fn filtered<W: Write>(tour: &mut Tour<'_, W>) -> Result<(), CliError> {
    // A language that is there and does not hold nearly everything makes the filter worth its name.
    let languages =
        format!("SELECT language FROM {TABLE} GROUP BY language ORDER BY count(*) DESC LIMIT 2");
    let languages = strings(&tour.db.query_sql(languages).await?, "language")?;
    let predicate = format!("language = {}", literal(languages.last().map_or("", String::as_str)));
    tour.headline(&format!(
        "Vector search where {predicate}: the filter comes before the ranking"
    ))?;
    let search = async || {
        let search = tour.table.vector_search("embedding", &tour.vector, K, &COLUMNS);
        search.filter(predicate.as_str()).await
    };
    let (batches, timing) = time(REPEATS, search).await?;
    tour.timing(timing)?;
    tour.hits(&hits::of(&batches, "distance")?)
}

async fn sql<W: Write>(tour: &mut Tour<'_, W>) -> Result<(), CliError> {
    tour.headline("SQL: search results joined and aggregated like any relation")?;
    let query = literal(&tour.query);
    let statement = format!(
        "SELECT hit.crate, count(*) AS hits, max(hit.score) AS best, total.passages\n\
         FROM bm25_search('{TABLE}', 'text', {query}, k => 100) AS hit\n\
         JOIN (SELECT crate, count(*) AS passages FROM {TABLE} GROUP BY crate) AS total\n  \
         ON total.crate = hit.crate\n\
         GROUP BY hit.crate, total.passages ORDER BY hits DESC, best DESC LIMIT 5"
    );
    for line in statement.lines() {
        tour.line(line)?;
    }
    let (batches, timing) =
        time(REPEATS, async || tour.db.query_sql(statement.clone()).await).await?;
    tour.timing(timing)?;
    let mut table = Vec::new();
    output::write_table(&mut table, &batches, output::width().map(|width| width - 3))?;
    for line in String::from_utf8_lossy(&table).lines() {
        tour.line(line)?;
    }
    Ok(())
}

/// The values of a text column.
fn strings(batches: &[RecordBatch], name: &str) -> Result<Vec<String>, CliError> {
    let mut values = Vec::new();
    for batch in batches {
        let column = column(batch, name, &DataType::Utf8)?;
        values.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(values)
}
