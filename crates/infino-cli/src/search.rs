//! `infino search`: the rows that best answer a text.

use std::io::{self, Write};

use arrow::datatypes::{DataType, Schema};
use infino::Supertable;

use crate::{
    CliError,
    args::{self, Mode},
    embed::{Embedder, HashedNgrams},
    hits,
    output::{self, Format},
};

/// Searches and writes the rows; those of the demo's table as places and excerpts, unless columns are asked for.
///
/// # Errors
/// A table, column or index that is not there; a condition that does not fit.
pub async fn run(args: &args::Search, out: &mut impl Write) -> Result<(), CliError> {
    let db = crate::connect(&args.store.uri()).await?;
    let table = db.open_table(&args.table).await?;
    let schema = table.schema()?;
    let shown: Vec<&str> = if args.columns.is_empty() {
        all_but_vectors(&schema)
    } else {
        args.columns.iter().map(String::as_str).collect()
    };
    let batches = search(&table, args, &shown).await?;
    let has = |name: &&str| schema.column_with_name(name).is_some();
    let passages = ["path", "line", "text"].iter().all(has) && args.columns.is_empty();
    if args.output == Format::Table && passages {
        let measure = if args.mode == Mode::Vector { "distance" } else { "score" };
        let hits = hits::of(&batches, measure)?;
        if hits.is_empty() {
            writeln!(io::stderr(), "no row answers {:?}", args.text)?;
        }
        return Ok(hits::write(out, &hits, &args.text, output::width())?);
    }
    Ok(output::write(out, &batches, args.output)?)
}

async fn search(
    table: &Supertable,
    args: &args::Search,
    columns: &[&str],
) -> Result<Vec<arrow::record_batch::RecordBatch>, infino::Error> {
    let mut vector = vec![0.0; HashedNgrams.dim()];
    HashedNgrams.embed(&args.text, &mut vector);
    let (text_column, vector_column) = (args.text_column.as_str(), args.vector_column.as_str());
    let k = args.k as usize;
    let search = match args.mode {
        Mode::Keyword => table.bm25_search(text_column, &args.text, k, columns),
        Mode::Vector => table.vector_search(vector_column, &vector, k, columns),
        Mode::Hybrid => {
            table.hybrid_search(text_column, &args.text, vector_column, &vector, k, columns)
        }
    };
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
