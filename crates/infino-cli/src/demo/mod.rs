//! `infino demo`: real files in, every kind of question out.
//!
//! [`run`] is the tour: read and index (`ingest`), ask (`questions`), change, come back, look into the past
//! (`changes`), and show where the files are (`files`). Only the public API of `infino` is used, so each
//! stop can be read as an example of it.

mod changes;
mod files;
mod ingest;
mod questions;
mod rows;

use std::{io::Write, time::Instant};

use infino::{Connection, Supertable};

use crate::{
    CliError, args,
    corpus::Corpus,
    embed::{DIM, Embedder, HashedNgrams},
    hits::{self, Hit},
    output,
    settings::Settings,
    stopwatch::{self, Timing},
};

/// The table that the demo fills.
pub const TABLE: &str = "passages";
/// What is searched for unless something else is asked: most code has an answer.
const QUERY: &str = "spawn a thread with a name";
/// Hits shown of each search.
const SHOWN: usize = 3;
/// Hits asked of each search.
const K: usize = 10;
/// Warm runs of which the median is shown.
const REPEATS: usize = 15;
/// Columns that a shown hit is made of.
const COLUMNS: [&str; 3] = ["path", "line", "text"];

/// Indexes the files and shows what can be asked of them.
///
/// # Errors
/// A folder that cannot be read, a store that cannot be written, a table of that name that is not the demo's.
pub async fn run(
    args: &args::Demo,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let start = Instant::now();
    let corpus = Corpus::open(&args.paths, args.limit_mb.map(|mb| mb.saturating_mul(1_000_000)))?;
    let survey = ingest::survey(&corpus)?;
    let uri = settings.demo_uri();
    let db = settings.connect_to(&uri).await?;
    writeln!(out, "Table {TABLE:?} in {}", db.uri())?;
    let table = ingest::run(&db, &corpus, survey, out).await?;

    let query = questions::query(&db, &table, args.query.as_deref()).await?;
    let mut tour = Tour::new(out, db, table, query);
    let best = questions::ask(&mut tour).await?;
    changes::make(&mut tour, settings, &uri, best).await?;
    files::show(&mut tour, &uri).await?;

    let peak = stopwatch::peak_memory().map_or("not known here".to_owned(), stopwatch::bytes);
    writeln!(
        out,
        "\nAll of it took {}; peak memory {peak}.",
        stopwatch::duration(start.elapsed())
    )?;
    Ok(())
}

/// Whether a table is one that the demo made, whose vectors come from its own embedder.
///
/// # Errors
/// A schema that cannot be read.
pub fn is_its_table(table: &Supertable) -> Result<bool, CliError> {
    Ok(table.name() == TABLE && ingest::is_alike(&*table.schema()?, &rows::schema(DIM)))
}

/// What the stops of the demo share.
struct Tour<'o, W> {
    out: &'o mut W,
    db: Connection,
    table: Supertable,
    query: String,
    vector: Vec<f32>,
    stop: u32,
}

impl<'o, W: Write> Tour<'o, W> {
    fn new(out: &'o mut W, db: Connection, table: Supertable, query: String) -> Self {
        let mut vector = vec![0.0; HashedNgrams.dim()];
        HashedNgrams.embed(&query, &mut vector);
        Self { out, db, table, query, vector, stop: 0 }
    }

    /// The headline of the next stop.
    fn headline(&mut self, text: &str) -> Result<(), CliError> {
        self.stop += 1;
        let bold = console::Style::new().bold();
        writeln!(self.out, "\n{}", bold.apply_to(format!("{}. {text}", self.stop)))?;
        Ok(())
    }

    /// A line below it.
    fn line(&mut self, text: &str) -> Result<(), CliError> {
        Ok(writeln!(self.out, "   {text}")?)
    }

    fn timing(&mut self, timing: Timing) -> Result<(), CliError> {
        self.line(&timing.to_string())
    }

    /// The best of `hits`.
    fn hits(&mut self, hits: &[Hit]) -> Result<(), CliError> {
        if hits.is_empty() {
            return self.line("no row answers");
        }
        let shown = &hits[..hits.len().min(SHOWN)];
        Ok(hits::write(self.out, shown, &self.query, output::width())?)
    }
}

/// `text` as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
