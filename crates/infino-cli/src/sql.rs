//! `infino sql`: one statement, its rows.

use std::io::{Read, Write};

use arrow::{array::AsArray, datatypes::DataType, record_batch::RecordBatch};

use crate::{
    CliError, args,
    hits::column,
    output::{self, Format},
};

/// Runs the statement and writes its rows.
///
/// # Errors
/// A statement that cannot be planned or run.
pub async fn run(args: &args::Sql, out: &mut impl Write) -> Result<(), CliError> {
    let mut statement = args.statement.clone();
    if statement == "-" {
        statement.clear();
        std::io::stdin().read_to_string(&mut statement)?;
    }
    let db = crate::connect(&args.store.uri()).await?;
    let batches = db.query_sql(statement.trim().trim_end_matches(';')).await?;
    if args.output == Format::Table && is_plan(&batches) {
        return write_plan(&batches, out);
    }
    Ok(output::write(out, &batches, args.output)?)
}

/// Whether this is what EXPLAIN gives: plans, whose lines matter.
fn is_plan(batches: &[RecordBatch]) -> bool {
    batches.first().is_some_and(|batch| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        names == ["plan_type", "plan"]
    })
}

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
