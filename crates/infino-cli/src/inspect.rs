//! `infino inspect`: what is in a store, what is in a table.

use std::io::Write;

use infino::{Connection, Supertable};

use crate::{
    CliError, args,
    stopwatch::{bytes, count},
};

/// Writes a line for each table, or all there is to know about one.
///
/// # Errors
/// A table that is not there.
pub async fn run(args: &args::Inspect, out: &mut impl Write) -> Result<(), CliError> {
    let db = crate::connect(&args.store.uri()).await?;
    match &args.table {
        Some(name) => one(&db.open_table(name).await?, out).await,
        None => all(&db, out).await,
    }
}

async fn all(db: &Connection, out: &mut impl Write) -> Result<(), CliError> {
    let names = db.table_names().await?;
    if names.is_empty() {
        writeln!(out, "no tables in {}", db.uri())?;
    }
    for name in names {
        let table = db.open_table(&name).await?;
        let files = table.files().await?;
        let size = bytes(files.iter().map(|file| file.bytes).sum());
        let rows = count(table.count_rows().await?);
        let version = table.version().await?;
        writeln!(out, "{name}: {rows} rows, {size} in {} files, version {version}", files.len())?;
    }
    Ok(())
}

async fn one(table: &Supertable, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "table    {}", table.name())?;
    writeln!(out, "version  {}", table.version().await?)?;
    writeln!(out, "rows     {}", count(table.count_rows().await?))?;
    writeln!(out, "columns")?;
    let schema = table.schema()?;
    let widest = schema.fields().iter().map(|field| field.name().len()).max().unwrap_or(0);
    for field in schema.fields() {
        let null = if field.is_nullable() { "" } else { ", never null" };
        writeln!(out, "  {:<widest$}  {}{null}", field.name(), field.data_type())?;
    }
    let files = table.files().await?;
    writeln!(out, "files    {}", bytes(files.iter().map(|file| file.bytes).sum()))?;
    for file in files {
        let rows = count(u64::from(file.rows));
        write!(out, "  {:>9}  {rows:>9} rows", bytes(file.bytes))?;
        if file.dead_rows > 0 {
            write!(out, ", {} deleted", count(file.dead_rows))?;
        }
        writeln!(out, "  {}", file.path)?;
    }
    Ok(())
}
