//! `infino sql`: statements, one after another, and their rows.

mod literal;
#[cfg(feature = "prompt")]
mod prompt;
mod split;

use std::io::{IsTerminal, Read, Write};

use arrow::{array::AsArray, datatypes::DataType, record_batch::RecordBatch};
use futures::{StreamExt, TryStreamExt, stream};
use infino::Connection;

use crate::{
    CliError, args,
    hits::column,
    output::{self, Format},
    settings::Settings,
};

/// Runs the statements and writes their rows; without any, and at a terminal, asks for them.
///
/// # Errors
/// A statement that cannot be planned or run; those after it are not run.
pub async fn run(
    args: &args::Sql,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let db = settings.connect().await?;
    let text = match (&args.statement, &args.file) {
        (Some(statement), _) if statement != "-" => statement.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))?,
        (None, None) if std::io::stdin().is_terminal() => {
            return ask(&db, settings, out).await;
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    let statements = split::statements(&text);
    if statements.is_empty() {
        return Err(CliError::Usage("there is no statement in it".to_owned()));
    }
    for statement in statements {
        one(&db, statement, &args.params, settings.output(), out).await?;
    }
    Ok(())
}

#[cfg(feature = "prompt")]
async fn ask(db: &Connection, settings: &Settings, out: &mut impl Write) -> Result<(), CliError> {
    prompt::run(db, settings, out).await
}

#[cfg(not(feature = "prompt"))]
async fn ask(_: &Connection, _: &Settings, _: &mut impl Write) -> Result<(), CliError> {
    Err(CliError::Usage("this binary has no prompt: give a statement, or --file".to_owned()))
}

/// Runs one statement and writes its rows as they come.
async fn one(
    db: &Connection,
    statement: &str,
    params: &[String],
    format: Format,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let mut query = db.query_sql(statement);
    for param in params {
        query = match literal::parse(param) {
            literal::Param::Value(value) => query.bind(value),
            literal::Param::Vector(vector) => query.bind_vector(&vector),
        };
    }
    let (schema, rows) = query.stream_with_schema().await?;
    if schema.fields().is_empty() {
        // A statement that has no rows, such as CREATE TABLE.
        let _: Vec<RecordBatch> = rows.try_collect().await?;
        return Ok(());
    }
    let mut rows = rows.boxed();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if format == Format::Table && names == ["plan_type", "plan"] {
        let batches: Vec<RecordBatch> = rows.try_collect().await?;
        return write_plan(&batches, out);
    }
    // The first batch before anything is written, so that a statement that fails leaves no half of an output.
    let first = rows.next().await.transpose()?;
    let rows = stream::iter(first.map(Ok)).chain(rows);
    output::write_stream(out, &schema, rows, format).await
}

/// Plans as they are: their lines matter.
fn write_plan(batches: &[RecordBatch], out: &mut impl Write) -> Result<(), CliError> {
    for batch in batches {
        let text = |name| column(batch, name, &DataType::Utf8);
        let (kinds, plans) = (text("plan_type")?, text("plan")?);
        let (kinds, plans) = (kinds.as_string::<i32>(), plans.as_string::<i32>());
        for (kind, plan) in kinds.iter().flatten().zip(plans.iter().flatten()) {
            writeln!(out, "{kind}\n{}", plan.trim_end())?;
        }
    }
    Ok(())
}
