//! `infino history`, `infino optimize` and `infino verify`: what happened to a table, and what keeps it well.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use infino::{MaintainOptions, VersionInfo};

use crate::{
    CliError, args,
    inspect::unsigned,
    output::{self, Format},
    settings::Settings,
    stopwatch::{bytes, count, duration},
};

/// Writes a line for each of the last versions, newest first.
///
/// # Errors
/// A table that is not there.
pub async fn history(
    args: &args::History,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let table = settings.connect().await?.open_table(&args.table).await?;
    let tags = table.tags().await?;
    let versions = table.history(args.limit as usize).await?;
    let tags_of = |version: &VersionInfo| {
        let of_it = tags.iter().filter(|(_, tagged)| *tagged == version.version);
        of_it.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    if settings.output() != Format::Table {
        let batch = history_batch(&versions, tags_of)?;
        return Ok(output::write(out, &[batch], settings.output())?);
    }
    for version in &versions {
        let made = UNIX_EPOCH + Duration::from_millis(version.time_ms);
        let age = SystemTime::now().duration_since(made).unwrap_or_default();
        write!(
            out,
            "{:>8}  {:>10} ago  {:<9} +{} rows, +{} −{} files",
            version.version,
            duration(age),
            operation(version),
            count(version.rows_added),
            version.superfiles_added,
            version.superfiles_removed,
        )?;
        match tags_of(version) {
            tags if tags.is_empty() => writeln!(out)?,
            tags => writeln!(out, "  tag {tags}")?,
        }
    }
    Ok(())
}

fn operation(version: &VersionInfo) -> String {
    format!("{:?}", version.operation).to_lowercase()
}

fn history_batch(
    versions: &[VersionInfo],
    tags_of: impl Fn(&VersionInfo) -> String,
) -> Result<RecordBatch, CliError> {
    let number = |of: fn(&VersionInfo) -> u64| unsigned(versions.iter().map(of).collect());
    let text = |values: Vec<Option<String>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let times = versions.iter().map(|version| i64::try_from(version.time_ms).unwrap_or(i64::MAX));
    let times = TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC");
    let each =
        |of: &dyn Fn(&VersionInfo) -> Option<String>| text(versions.iter().map(of).collect());
    Ok(RecordBatch::try_from_iter([
        ("version", number(|version| version.version)),
        ("time", Arc::new(times) as ArrayRef),
        ("operation", each(&|version| Some(operation(version)))),
        ("rows_added", number(|version| version.rows_added)),
        ("files_added", number(|version| version.superfiles_added as u64)),
        ("files_removed", number(|version| version.superfiles_removed as u64)),
        ("token", each(&|version| version.token.clone())),
        ("tags", each(&|version| Some(tags_of(version)))),
    ])?)
}

/// Optimizes a table and writes what that did.
///
/// # Errors
/// A table that is not there; storage that keeps failing.
pub async fn optimize(
    args: &args::Optimize,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let table = settings.connect().await?.open_table(&args.table).await?;
    let keep = args.keep.map(Duration::from_secs);
    let report = table.optimize_with(&MaintainOptions { keep, ..Default::default() }).await?;
    if settings.output() != Format::Table {
        let batch = RecordBatch::try_from_iter([
            ("files_removed", unsigned(vec![report.superfiles_removed as u64])),
            ("files_added", unsigned(vec![report.superfiles_added as u64])),
            ("rows_reclaimed", unsigned(vec![report.rows_reclaimed])),
            ("objects_removed", unsigned(vec![report.objects_removed as u64])),
            ("bytes_removed", unsigned(vec![report.bytes_removed])),
            ("version", unsigned(vec![report.version])),
        ]);
        return Ok(output::write(out, &[batch?], settings.output())?);
    }
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

/// Reads a whole table and writes what is wrong with it, or, if it is repaired before, what is wrong with it still.
///
/// # Errors
/// [`CliError::Damaged`] if anything is; a table that is not there.
pub async fn verify(
    args: &args::Verify,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let db = settings.connect().await?;
    let report = match args.repair {
        false => db.verify_table(&args.table).await?,
        true => {
            let repaired = db.repair_table(&args.table).await?;
            if settings.output() == Format::Table {
                for fix in &repaired.fixed {
                    writeln!(out, "{}: {}", fix.path, fix.action)?;
                }
                for lost in &repaired.lost {
                    writeln!(out, "{}: lost: {}", lost.path, lost.problem)?;
                }
            }
            repaired.left
        }
    };
    let problems = &report.problems;
    if settings.output() == Format::Table {
        for found in problems {
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
    } else {
        let text = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let batch = RecordBatch::try_from_iter([
            ("path", text(problems.iter().map(|found| found.path.to_string()).collect())),
            ("problem", text(problems.iter().map(|found| found.problem.to_string()).collect())),
        ]);
        output::write(out, &[batch?], settings.output())?;
    }
    match problems.len() {
        0 => Ok(()),
        problems => Err(CliError::Damaged { table: args.table.clone(), problems }),
    }
}
