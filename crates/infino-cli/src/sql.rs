//! `infino sql`: one statement, its rows.

use std::io::{Read, Write};

use crate::{CliError, args, output};

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
    Ok(output::write(out, &batches, args.output)?)
}
