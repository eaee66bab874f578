//! `infino tables` and `infino inspect`: what is in a store, a table, a file, a section.

mod file;
mod histogram;
mod section;

use std::{io::Write, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array},
    error::ArrowError,
};
use infino::{Connection, FileInfo, IndexSet, Supertable};

use crate::{
    CliError, args,
    output::{self, Format},
    settings::Settings,
    stopwatch::{bytes, count},
};
use histogram::Histogram;

/// Writes a line for each table, or what there is to know about one, a file of it, or a section of that.
///
/// # Errors
/// A table, file or section that is not there.
pub async fn run(
    args: &args::Inspect,
    settings: &Settings,
    out: &mut (impl Write + Send),
) -> Result<(), CliError> {
    let db = settings.connect().await?;
    let format = settings.output();
    let Some(name) = &args.table else { return tables(&db, format, out).await };
    let table = db.open_table(name).await?;
    match (&args.file, args.section) {
        (None, _) => self::table(&table, format, settings, out).await,
        (Some(part), section) => {
            let info = the_file(table.files().await?, part)?;
            let open = file::open(settings, &info).await?;
            match section {
                None => file::show(&open, format, out),
                Some(number) => section::show(&open, number, format, out).await,
            }
        }
    }
}

/// `infino tables`: a line for each table.
///
/// # Errors
/// A table that cannot be opened.
pub async fn tables(db: &Connection, format: Format, out: &mut impl Write) -> Result<(), CliError> {
    let names = db.table_names().await?;
    let (mut rows, mut sizes, mut files, mut versions) = (vec![], vec![], vec![], vec![]);
    for name in &names {
        let table = db.open_table(name).await?;
        let of_table = table.files().await?;
        sizes.push(of_table.iter().map(|file| file.bytes).sum());
        files.push(of_table.len() as u64);
        rows.push(table.count_rows().await?);
        versions.push(table.version().await?);
    }
    if format == Format::Table {
        if names.is_empty() {
            writeln!(out, "no tables in {}", db.uri())?;
        }
        for (at, name) in names.iter().enumerate() {
            let (rows, size) = (count(rows[at]), bytes(sizes[at]));
            let (files, version) = (files[at], versions[at]);
            writeln!(out, "{name}: {rows} rows, {size} in {files} files, version {version}")?;
        }
        return Ok(());
    }
    let batch = RecordBatch::try_from_iter([
        ("table", Arc::new(StringArray::from(names)) as ArrayRef),
        ("rows", unsigned(rows)),
        ("bytes", unsigned(sizes)),
        ("files", unsigned(files)),
        ("version", unsigned(versions)),
    ]);
    Ok(output::write(out, &[batch?], format)?)
}

pub(crate) fn unsigned(values: Vec<u64>) -> ArrayRef {
    Arc::new(UInt64Array::from(values))
}

fn files_batch(files: &[FileInfo]) -> Result<RecordBatch, ArrowError> {
    let paths = files.iter().map(|file| Some(file.path.as_str()));
    let number = |of: fn(&FileInfo) -> u64| unsigned(files.iter().map(of).collect());
    RecordBatch::try_from_iter([
        ("path", Arc::new(paths.collect::<StringArray>()) as ArrayRef),
        ("bytes", number(|file| file.bytes)),
        ("rows", Arc::new(Int64Array::from_iter_values(files.iter().map(|file| file.rows.into())))),
        ("dead_rows", number(|file| file.dead_rows)),
    ])
}

/// One table: rows, columns, indexes, files. In a format for programs, its files.
pub(crate) async fn table(
    table: &Supertable,
    format: Format,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let files = table.files().await?;
    if format != Format::Table {
        return Ok(output::write(out, &[files_batch(&files)?], format)?);
    }
    let rows = table.count_rows().await?;
    writeln!(out, "table    {}", table.name())?;
    writeln!(out, "version  {}", table.version().await?)?;
    writeln!(out, "rows     {}", count(rows))?;
    let (all, dead) = files
        .iter()
        .fold((0, 0), |(all, dead), file| (all + u64::from(file.rows), dead + file.dead_rows));
    if rows > all - dead {
        writeln!(out, "fresh    {} rows still in the log", count(rows - (all - dead)))?;
    }
    if let Some(keep) = table.retention().await? {
        writeln!(out, "keeps    versions of the last {}", crate::stopwatch::duration(keep))?;
    }
    writeln!(out, "columns")?;
    let schema = table.schema()?;
    let widest = schema.fields().iter().map(|field| field.name().len()).max().unwrap_or(0);
    let indexes = table.indexes();
    for field in schema.fields() {
        let null = if field.is_nullable() { "" } else { ", never null" };
        let index = index_of(&indexes, field.name());
        writeln!(out, "  {:<widest$}  {}{null}{index}", field.name(), field.data_type())?;
    }
    write_files(&files, settings, out)
}

/// How a column is indexed.
fn index_of(indexes: &IndexSet, column: &str) -> String {
    let mut found = String::new();
    for index in indexes.text.iter().filter(|index| index.column == column) {
        let positions = if index.positions { ", positions" } else { "" };
        found.push_str(&format!("; text {}{positions}", index.analyzer));
    }
    for index in indexes.vectors.iter().filter(|index| index.column == column) {
        let recall = f64::from(index.target_recall_millis) / 1000.0;
        found.push_str(&format!("; vectors {:?}, recall {recall}", index.metric).to_lowercase());
    }
    if indexes.key.iter().any(|key| key == column) {
        found.push_str("; key");
    }
    found
}

fn write_files(
    files: &[FileInfo],
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let total = bytes(files.iter().map(|file| file.bytes).sum());
    writeln!(out, "files    {} with {total}", files.len())?;
    if files.len() > 8 {
        let sizes = Histogram::of(files.iter().map(|file| file.bytes));
        sizes.write(out, "  ", bytes)?;
    }
    if settings.quiet {
        return Ok(());
    }
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

/// The file whose name holds `part`.
fn the_file(files: Vec<FileInfo>, part: &str) -> Result<FileInfo, CliError> {
    let mut found: Vec<FileInfo> =
        files.into_iter().filter(|file| file.path.contains(part)).collect();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(CliError::Usage(format!("the table has no file with {part:?} in its name"))),
        n => Err(CliError::Usage(format!("{n} files of the table have {part:?} in their names"))),
    }
}
