//! `infino search`: the rows that best answer a text, a vector, or both.

use std::io::{self, Write};

use arrow::datatypes::{DataType, Schema};
use infino::{Connection, Supertable, TextMode};

use crate::{
    CliError,
    args::{self, Mode},
    demo,
    embed::{Embedder, HashedNgrams},
    hits,
    output::{self, Format},
    settings::Settings,
    vectors,
};

/// What is asked of a table.
struct Question {
    mode: Mode,
    text: String,
    text_column: String,
    vector: Vec<f32>,
    vector_column: String,
}

/// Searches and writes the rows; those of the demo's table as places and excerpts, unless columns are asked for.
///
/// # Errors
/// A table, column or index that is not there; a condition that does not fit; a vector that cannot be read.
pub async fn run(
    args: &args::Search,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let db = settings.connect().await?;
    let table = table(&db, args.table.as_deref()).await?;
    let schema = table.schema()?;
    let question = question(args, &table, demo::is_its_table(&table)?)?;
    let shown: Vec<&str> = if args.columns.is_empty() {
        all_but_vectors(&schema)
    } else {
        args.columns.iter().map(String::as_str).collect()
    };
    let batches = search(&table, args, &question, &shown).await?;
    let has = |name: &&str| schema.column_with_name(name).is_some();
    let passages = ["path", "line", "text"].iter().all(has) && args.columns.is_empty();
    let format = settings.output();
    if format == Format::Table && passages {
        let measure = if question.mode == Mode::Vector { "distance" } else { "score" };
        let hits = hits::of(&batches, measure)?;
        if hits.is_empty() {
            writeln!(io::stderr(), "no row answers {:?}", question.text)?;
        }
        return Ok(hits::write(out, &hits, &question.text, output::width())?);
    }
    Ok(output::write(out, &batches, format)?)
}

/// The table that is named, or the only one there is.
async fn table(db: &Connection, name: Option<&str>) -> Result<Supertable, CliError> {
    if let Some(name) = name {
        return Ok(db.open_table(name).await?);
    }
    let names = db.table_names().await?;
    match names.as_slice() {
        [only] => Ok(db.open_table(only).await?),
        [] => Err(CliError::Usage(format!("no tables in {}", db.uri()))),
        several => Err(CliError::Usage(format!(
            "which table? Name it with --table: {}",
            several.join(", ")
        ))),
    }
}

/// Makes of the arguments a question; the text of a question to the demo's table has a vector too.
fn question(args: &args::Search, table: &Supertable, is_demo: bool) -> Result<Question, CliError> {
    let indexes = table.indexes();
    let text = args.text.clone().unwrap_or_default();
    let embeds = is_demo && args.text.is_some() && args.vector.is_none();
    let has_vector = args.vector.is_some() || embeds;
    let mode = args.mode.unwrap_or(match (args.text.is_some(), has_vector) {
        (true, true) => Mode::Hybrid,
        (_, true) => Mode::Vector,
        (_, false) => Mode::Keyword,
    });
    if mode != Mode::Keyword && !has_vector {
        return Err(CliError::Usage("give the vector to search for, --vector FILE".to_owned()));
    }
    if mode != Mode::Vector && args.text.is_none() {
        return Err(CliError::Usage("give the text to search for".to_owned()));
    }
    let text_columns = indexes.text.iter().filter(|index| index.analyzer != "keyword-v1");
    let text_columns = text_columns.map(|index| index.column.as_str()).collect::<Vec<_>>();
    let vector_columns =
        indexes.vectors.iter().map(|index| index.column.as_str()).collect::<Vec<_>>();
    let mut question = Question {
        mode,
        text,
        text_column: String::new(),
        vector: Vec::new(),
        vector_column: String::new(),
    };
    if mode != Mode::Vector {
        question.text_column =
            column(args.text_column.as_deref(), &text_columns, "full-text", "--text-column")?;
    }
    if mode != Mode::Keyword {
        question.vector_column =
            column(args.vector_column.as_deref(), &vector_columns, "vector", "--vector-column")?;
        question.vector = match &args.vector {
            Some(path) => vectors::read(path, args.vector_row)?,
            None => {
                let mut vector = vec![0.0; HashedNgrams.dim()];
                HashedNgrams.embed(&question.text, &mut vector);
                vector
            }
        };
    }
    Ok(question)
}

/// The column that is named, or the only one with such an index.
fn column(
    named: Option<&str>,
    known: &[&str],
    kind: &str,
    option: &str,
) -> Result<String, CliError> {
    match (named, known) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(CliError::Usage(format!("the table has no {kind} index"))),
        (None, several) => Err(CliError::Usage(format!(
            "which {kind} column? Name it with {option}: {}",
            several.join(", ")
        ))),
    }
}

async fn search(
    table: &Supertable,
    args: &args::Search,
    question: &Question,
    columns: &[&str],
) -> Result<Vec<arrow::record_batch::RecordBatch>, infino::Error> {
    let Question { mode, text, text_column, vector, vector_column } = question;
    let k = args.k as usize;
    let search = match mode {
        Mode::Keyword => table.bm25_search(text_column, text, k, columns),
        Mode::Vector => table.vector_search(vector_column, vector, k, columns),
        Mode::Hybrid => table.hybrid_search(text_column, text, vector_column, vector, k, columns),
    };
    let search = search.mode(TextMode::named(&args.text_mode)?);
    match &args.predicate {
        Some(predicate) => search.filter(predicate.as_str()).await,
        None => search.await,
    }
}

/// The columns a person wants to see.
fn all_but_vectors(schema: &Schema) -> Vec<&str> {
    let fields = schema.fields().iter();
    let shown = fields.filter(|field| !matches!(field.data_type(), DataType::FixedSizeList(..)));
    shown.map(|field| field.name().as_str()).collect()
}
