//! Reading and indexing, with a bar that shows how far it is.

use std::{io::Write, sync::Arc, time::Instant};

use arrow::datatypes::{Field, Schema};
use indicatif::{ProgressBar, ProgressStyle};
use infino::{Connection, IndexSpec, Metric, Supertable};

use super::{TABLE, rows};
use crate::{
    CliError,
    corpus::{Corpus, Counts, Survey},
    embed::{DIM, HashedNgrams},
    stopwatch::{bytes, count, duration},
};

/// What there is to read, which must be something.
pub(super) fn survey(corpus: &Corpus) -> Result<Survey, CliError> {
    let survey = corpus.survey();
    if survey.files == 0 { Err(nothing_to_index(corpus)) } else { Ok(survey) }
}

/// Fills a new table with the passages of `corpus`, in one commit.
pub(super) async fn run(
    db: &Connection,
    corpus: &Corpus,
    survey: Survey,
    out: &mut impl Write,
) -> Result<Supertable, CliError> {
    for root in corpus.roots() {
        writeln!(out, "Reading {}", root.display())?;
    }
    let table = create(db, out).await?;
    let start = Instant::now();
    let bar = bar(survey.bytes);
    let mut writer = table.writer()?;
    let mut counts = Counts::default();
    for read in rows::stream(corpus, HashedNgrams) {
        let (batch, read) = read?;
        writer.append(&batch).await?;
        counts = read;
        bar.set_position(counts.bytes);
    }
    bar.set_message("writing the rest");
    let receipt = writer.commit().await?;
    bar.finish_and_clear();
    if receipt.rows == 0 {
        return Err(nothing_to_index(corpus));
    }
    let (rows, files, elapsed) = (count(receipt.rows), count(counts.files), start.elapsed());
    let rate = counts.bytes as f64 / 1e6 / elapsed.as_secs_f64();
    let (read, took) = (bytes(counts.bytes), duration(elapsed));
    writeln!(out, "Indexed {rows} passages of {files} files: {read} in {took}, {rate:.1} MB/s")?;
    Ok(table)
}

/// A new table, in the place of one that an earlier run left.
async fn create(db: &Connection, out: &mut impl Write) -> Result<Supertable, CliError> {
    let schema = rows::schema(DIM);
    if db.table_names().await?.iter().any(|name| name == TABLE) {
        // Somebody else's table must survive; one that cannot be opened is not ours to judge either.
        if !is_alike(&*db.open_table(TABLE).await?.schema()?, &schema) {
            return Err(CliError::Usage(format!(
                "{} has a table {TABLE:?} that is not the demo's: choose another place with --uri",
                db.uri()
            )));
        }
        writeln!(out, "Replacing the table of an earlier run")?;
        db.drop_table(TABLE).await?;
    }
    let index = IndexSpec::new()
        .fts_with("text", "code-v1")
        .vector("embedding", DIM, Metric::Cosine)
        .keyword("crate")
        .keyword("language");
    Ok(db.create_table(TABLE, schema, index).await?)
}

/// Whether two schemas have the same names and types; what is noted beside them may differ.
pub(super) fn is_alike(a: &Schema, b: &Schema) -> bool {
    let alike = |(a, b): (&Arc<Field>, &Arc<Field>)| {
        a.name() == b.name() && a.data_type().equals_datatype(b.data_type())
    };
    a.fields().len() == b.fields().len() && a.fields().iter().zip(b.fields()).all(alike)
}

fn nothing_to_index(corpus: &Corpus) -> CliError {
    let roots: Vec<String> = corpus.roots().iter().map(|root| root.display().to_string()).collect();
    CliError::Usage(format!(
        "{} has no text files to index: name another folder, --path DIR",
        roots.join(", ")
    ))
}

/// A bar over the bytes to read; drawn only on a terminal.
fn bar(bytes: u64) -> ProgressBar {
    let template =
        "{bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template names known keys");
    ProgressBar::new(bytes).with_style(style)
}
