//! Deletes, updates, coming back, and the past.

use std::{io::Write, time::Instant};

use infino::Supertable;

use super::{COLUMNS, K, TABLE, Tour, literal, rows};
use crate::{
    CliError,
    corpus::Passage,
    embed::HashedNgrams,
    hits::{self, Hit},
    settings::Settings,
    stopwatch::{count, duration},
};

/// A word that no file holds.
const NEW_WORD: &str = "infinodemoedited";

/// Deletes the file of the best hit, edits the next best, reopens the table, and asks the version before all that.
pub(super) async fn make<W: Write>(
    tour: &mut Tour<'_, W>,
    settings: &Settings,
    uri: &str,
    best: Option<Hit>,
) -> Result<(), CliError> {
    let before = tour.table.version().await?;
    let Some(best) = best else {
        tour.headline("Changes: none, as nothing answered the query")?;
        return Ok(());
    };
    delete(tour, &best).await?;
    update(tour).await?;
    reopen(tour, settings, uri).await?;
    look_back(tour, before).await
}

async fn delete<W: Write>(tour: &mut Tour<'_, W>, best: &Hit) -> Result<(), CliError> {
    let predicate = format!("path = {}", literal(&best.path));
    tour.headline(&format!("Delete where {predicate}"))?;
    let start = Instant::now();
    let stats = tour.table.delete(predicate).await?;
    let (rows, took) = (count(stats.tombstoned), duration(start.elapsed()));
    tour.line(&format!("{rows} rows gone in {took}, version {}; the best is now", stats.version))?;
    let hits = keyword_hits(&tour.table, &tour.query).await?;
    tour.hits(&hits[..hits.len().min(1)])
}

async fn update<W: Write>(tour: &mut Tour<'_, W>) -> Result<(), CliError> {
    let hits = keyword_hits(&tour.table, &tour.query).await?;
    let Some(hit) = hits.into_iter().next() else {
        tour.headline("Update: nothing left to edit")?;
        return Ok(());
    };
    tour.headline(&format!("Update the passage at {}:{}, its vector with it", hit.path, hit.line))?;
    let predicate = format!("path = {} AND line = {}", literal(&hit.path), hit.line);
    let found =
        format!("SELECT path, crate, version, language, line, text FROM {TABLE} WHERE {predicate}");
    let mut passages = rows::passages(&tour.db.query_sql(found).await?)?;
    for passage in &mut passages {
        edit(passage);
    }
    let start = Instant::now();
    let stats = tour.table.update(predicate, rows::batch(&passages, &HashedNgrams)?).await?;
    let (version, took) = (stats.version, duration(start.elapsed()));
    tour.line(&format!(
        "done in {took}, version {version}; a search for its new word {NEW_WORD:?} finds"
    ))?;
    let hits = keyword_hits(&tour.table, NEW_WORD).await?;
    tour.hits(&hits)
}

fn edit(passage: &mut Passage) {
    passage.text = format!("// {NEW_WORD}: {}", passage.text);
}

/// Forgets all that is in memory: what is searched from here on came back from storage.
async fn reopen<W: Write>(
    tour: &mut Tour<'_, W>,
    settings: &Settings,
    uri: &str,
) -> Result<(), CliError> {
    tour.headline("Reopen the table from storage")?;
    if uri.starts_with("memory:") {
        return tour.line("left out: a store in memory is gone with its connection");
    }
    let answer = keyword_hits(&tour.table, &tour.query).await?;
    let start = Instant::now();
    tour.db = settings.connect_to(uri).await?;
    tour.table = tour.db.open_table(TABLE).await?;
    let rows = count(tour.table.count_rows().await?);
    let opened = duration(start.elapsed());
    let start = Instant::now();
    let again = keyword_hits(&tour.table, &tour.query).await?;
    let asked = duration(start.elapsed());
    if again != answer {
        return Err(CliError::Usage(
            "the reopened table answers differently; please report this".into(),
        ));
    }
    let version = tour.table.version().await?;
    tour.line(&format!(
        "open in {opened}: {rows} rows, version {version}; the same answer in {asked}"
    ))
}

async fn look_back<W: Write>(tour: &mut Tour<'_, W>, before: u64) -> Result<(), CliError> {
    tour.headline(&format!("Ask version {before}, from before the changes"))?;
    let old = tour.table.at_version(before).await?;
    let (then, now) = (old.count_rows().await?, tour.table.count_rows().await?);
    let edited = keyword_hits(&old, NEW_WORD).await?.len();
    let (then, now) = (count(then), count(now));
    tour.line(&format!(
        "{then} rows then, {now} now; {edited} of them with the new word; the best was"
    ))?;
    let hits = keyword_hits(&old, &tour.query).await?;
    tour.hits(&hits[..hits.len().min(1)])
}

async fn keyword_hits(table: &Supertable, query: &str) -> Result<Vec<Hit>, CliError> {
    Ok(hits::of(&table.bm25_search("text", query, K, &COLUMNS).await?, "score")?)
}
