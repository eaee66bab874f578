//! `infino import`: rows of files into a table, in whole commits.
//!
//! A thread reads (`feed`) a few batches ahead of the table; batches are brought into its shape (`shape`) and staged;
//! whenever enough have come in they are committed, under a token that says how far the sources were read (`lot`). So
//! memory is bounded by a commit, ^C (`stop`) and errors leave whole commits, and `--resume` knows where to go on.

mod columnar;
mod delimited;
mod feed;
mod json;
mod json_infer;
mod lot;
mod open;
mod progress;
mod remote;
mod shape;
mod source;
mod stop;

use std::{
    io::{self, Write},
    time::Instant,
};

use infino::{Connection, Supertable};

use crate::{CliError, args, settings::Settings};
use feed::Chunk;
use lot::{Lots, Tally};
use progress::Progress;
pub use source::{Packed, format_of};
use stop::Stop;

/// Fills a table and writes what came of it. What was committed before an error or ^C stands, and is told.
///
/// # Errors
/// A source that is not there or not what it is taken for, naming file and line; a row that does not fit the table;
/// [`CliError::Stopped`] by ^C.
pub async fn run(
    args: &args::Import,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let stop = Stop::listen()?;
    let start = Instant::now();
    let sources = source::expand(args, settings).await?;
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let print = source::fingerprint(&args.table, &sources);
    let progress = Progress::over(&sources, settings.quiet);
    let db = settings.connect().await?;
    let mut work = Work::prepare(args, &db, sources).await?;
    let mut lots = Lots::new(args, &work.table, print).await?;
    let outcome = work.carry(&mut lots, &stop, &progress).await;
    progress.finish();
    let tally = lots.tally();
    if work.made && tally.commits == 0 && outcome.is_err() {
        // The store is left as it was found.
        db.drop_table(&args.table).await?;
    }
    match outcome {
        Ok(()) => Ok(tally.write(out, &args.table, start.elapsed(), progress.bytes(), settings)?),
        Err(error) => {
            tell(&tally, args, &work, &names)?;
            Err(error)
        }
    }
}

/// Says on standard error what of an import that did not come to its end is in the table.
fn tell(tally: &Tally, args: &args::Import, work: &Work, names: &[String]) -> Result<(), CliError> {
    let mut err = io::stderr();
    let table = &args.table;
    if tally.commits == 0 {
        let state = if work.made { "was not made" } else { "is as it was" };
        writeln!(err, "nothing was committed: table {table:?} {state}")?;
        return Ok(());
    }
    writeln!(err, "{}", tally.committed(table))?;
    let read = work.read_until(tally.rows_read, names);
    writeln!(err, "in the table is {read}; --resume goes on from there")?;
    Ok(())
}

/// An import under way.
struct Work {
    table: Supertable,
    /// Whether this import made the table.
    made: bool,
    feed: feed::Receiver,
    /// The batch that was read to learn the columns.
    first: Option<Chunk>,
    shape: shape::Shape,
    /// Source and rows of it that were read when so many rows had been read in all, at the ends of sources.
    ends: Vec<(usize, u64)>,
}

impl Work {
    /// Opens or makes the table and starts to read.
    async fn prepare(
        args: &args::Import,
        db: &Connection,
        sources: Vec<source::Source>,
    ) -> Result<Self, CliError> {
        let wanted = shape::Indexes::parse(args)?;
        let known = db.table_names().await?.contains(&args.table);
        if known && args.create {
            return Err(CliError::Usage(format!("table {:?} exists already", args.table)));
        }
        let table = match known {
            true => Some(db.open_table(&args.table).await?),
            // Says which tables there are.
            false if args.append => Some(db.open_table(&args.table).await?),
            false => None,
        };
        let schema = match &table {
            Some(table) => {
                wanted.check(table)?;
                Some(table.schema()?)
            }
            None => None,
        };
        let mut feed = feed::start(args, sources, schema.clone(), wanted.vector_dims()).await?;
        let first = feed.next().await.transpose()?;
        let (table, made) = match table {
            Some(table) => (table, false),
            None => {
                let Some(first) = &first else {
                    return Err(CliError::Usage(
                        "there are no rows in it: nothing says what columns to make".to_owned(),
                    ));
                };
                let (schema, spec) = wanted.table(&first.batch, args)?;
                (db.create_table(&args.table, schema, spec).await?, true)
            }
        };
        let shape = shape::Shape::new(&*table.schema()?, args);
        Ok(Self { table, made, feed, first, shape, ends: Vec::new() })
    }

    /// Reads, stages and commits until the sources end.
    async fn carry(
        &mut self,
        lots: &mut Lots,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<(), CliError> {
        loop {
            let chunk = match self.first.take() {
                Some(chunk) => Some(chunk),
                None => tokio::select! {
                    chunk = self.feed.next() => chunk.transpose()?,
                    () = stop.asked() => return Err(CliError::Stopped),
                },
            };
            let Some(chunk) = chunk else { break };
            if self.ends.len() <= chunk.source {
                self.ends.resize(chunk.source + 1, (0, 0));
            }
            self.ends[chunk.source] = (chunk.source, chunk.row + chunk.batch.num_rows() as u64);
            let Some(batch) = lots.unread(&chunk) else { continue };
            let placed = |error: CliError| chunk.place(error);
            let batch = self.shape.fit(&batch).map_err(placed)?;
            tokio::select! {
                staged = lots.stage(&batch) => staged.map_err(placed)?,
                () = stop.asked() => return Err(CliError::Stopped),
            }
            if lots.is_full() {
                progress.message("committing");
                lots.commit().await?;
                progress.message("");
            }
            progress.set(chunk.position, lots.tally().rows_read);
            if stop.is_asked() {
                return Err(CliError::Stopped);
            }
        }
        progress.message("committing");
        lots.commit().await
    }

    /// The part of the sources that holds the first `rows` rows, for people.
    fn read_until(&self, rows: u64, names: &[String]) -> String {
        let mut before = 0;
        for &(source, of_source) in &self.ends {
            if rows <= before + of_source {
                let row = rows - before;
                let earlier = if source > 0 { " and all before it" } else { "" };
                return format!("{} up to row {row}{earlier}", names[source]);
            }
            before += of_source;
        }
        format!("{rows} rows of the sources")
    }
}
