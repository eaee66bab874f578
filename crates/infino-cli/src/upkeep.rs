//! `infino history`, `infino optimize` and `infino verify`: what happened to a table, and what keeps it well.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    CliError, args,
    stopwatch::{bytes, count, duration},
};

/// Writes a line for each of the last versions, newest first.
///
/// # Errors
/// A table that is not there.
pub async fn history(args: &args::History, out: &mut impl Write) -> Result<(), CliError> {
    let db = crate::connect(&args.store.uri()).await?;
    let table = db.open_table(&args.table).await?;
    let tags = table.tags().await?;
    for version in table.history(args.limit as usize).await? {
        let made = UNIX_EPOCH + Duration::from_millis(version.time_ms);
        let age = SystemTime::now().duration_since(made).unwrap_or_default();
        write!(
            out,
            "{:>8}  {:>10} ago  {:<9} +{} rows, +{} −{} files",
            version.version,
            duration(age),
            format!("{:?}", version.operation).to_lowercase(),
            count(version.rows_added),
            version.superfiles_added,
            version.superfiles_removed,
        )?;
        for (name, _) in tags.iter().filter(|(_, tagged)| *tagged == version.version) {
            write!(out, "  tag {name}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Optimizes a table and writes what that did.
///
/// # Errors
/// A table that is not there; storage that keeps failing.
pub async fn optimize(args: &args::Optimize, out: &mut impl Write) -> Result<(), CliError> {
    let db = crate::connect(&args.store.uri()).await?;
    let report = db.open_table(&args.table).await?.optimize().await?;
    writeln!(
        out,
        "{} files became {}, {} dead rows reclaimed, {} objects ({}) removed, version {}",
        report.superfiles_removed,
        report.superfiles_added,
        count(report.rows_reclaimed),
        report.objects_removed,
        bytes(report.bytes_removed),
        report.version,
    )?;
    Ok(())
}

/// Reads a whole table and writes what is wrong with it.
///
/// # Errors
/// [`CliError::Damaged`] if anything is; a table that is not there.
pub async fn verify(args: &args::Verify, out: &mut impl Write) -> Result<(), CliError> {
    let db = crate::connect(&args.store.uri()).await?;
    let report = db.verify_table(&args.table).await?;
    for found in &report.problems {
        writeln!(out, "{}: {}", found.path, found.problem)?;
    }
    writeln!(
        out,
        "version {}: {} superfiles, {} deletion vectors, {} manifest objects, {} read",
        report.version,
        report.superfiles,
        report.deletion_vectors,
        report.lists + report.parts + report.segments,
        bytes(report.bytes),
    )?;
    match report.problems.len() {
        0 => Ok(()),
        problems => Err(CliError::Damaged { table: args.table.clone(), problems }),
    }
}
