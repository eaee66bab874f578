//! One superfile: its parts, its columns, its sections.

use std::{io::Write, sync::Arc};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use infino::FileInfo;
use infino_format::summary::{SectionKind, SectionRef, SuperfileSummary};
use infino_storage::Store;
use infino_superfile::Superfile;

use super::unsigned;
use crate::{
    CliError,
    output::{self, Format},
    settings::Settings,
    stopwatch::{bytes, count},
};

/// A superfile and where it is.
pub(super) struct Open {
    pub(super) store: Arc<dyn Store>,
    pub(super) superfile: Arc<Superfile>,
}

pub(super) async fn open(settings: &Settings, info: &FileInfo) -> Result<Open, CliError> {
    let store = infino_storage::connect(&settings.uri()?, &settings.store_options())
        .map_err(infino::Error::from)?;
    let superfile = Superfile::open(store.clone(), &info.path, None).await;
    Ok(Open { store, superfile: superfile.map_err(infino::Error::from)? })
}

impl Open {
    pub(super) fn summary(&self) -> &SuperfileSummary {
        self.superfile.summary()
    }

    /// The name of a column by its field id.
    pub(super) fn column(&self, field_id: u32) -> String {
        let fields = self.superfile.schema().fields();
        let found =
            fields.iter().find(|field| infino_superfile::schema::field_id(field) == Some(field_id));
        // A column that is indexed and not stored is no column of the Parquet schema.
        found.map_or_else(|| format!("field {field_id}"), |field| field.name().clone())
    }

    pub(super) fn columns(&self, section: &SectionRef) -> String {
        let names: Vec<String> = section.field_ids.iter().map(|&id| self.column(id)).collect();
        names.join(", ")
    }
}

pub(super) fn kind(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Text => "text",
        SectionKind::Vector => "vector",
        SectionKind::BodyChecksums => "checksums",
        SectionKind::Key => "key",
    }
}

/// Writes what the file is made of; in a format for programs, its sections.
pub(super) fn show(open: &Open, format: Format, out: &mut impl Write) -> Result<(), CliError> {
    let summary = open.summary();
    if format != Format::Table {
        return Ok(output::write(out, &[sections(open)?], format)?);
    }
    let metadata = open.superfile.parquet_metadata();
    writeln!(out, "file     {}", open.superfile.path())?;
    writeln!(out, "bytes    {}", bytes(summary.file_len))?;
    writeln!(out, "rows     {}", count(summary.row_count.into()))?;
    let body: u64 = summary.sections.first().map_or(0, |section| section.offset);
    writeln!(out, "body     {} in {} row groups", bytes(body), metadata.num_row_groups())?;
    let schema = metadata.file_metadata().schema_descr();
    for (at, column) in schema.columns().iter().enumerate() {
        let (mut stored, mut plain) = (0_u64, 0_u64);
        for group in metadata.row_groups() {
            stored += u64::try_from(group.column(at).compressed_size()).unwrap_or(0);
            plain += u64::try_from(group.column(at).uncompressed_size()).unwrap_or(0);
        }
        let ratio = plain as f64 / stored.max(1) as f64;
        writeln!(out, "  {:>9}  1:{ratio:<5.1} {}", bytes(stored), column.path().string())?;
    }
    writeln!(out, "sections")?;
    for (number, section) in summary.sections.iter().enumerate() {
        writeln!(
            out,
            "  {number}  {:<9} {:>9} at {}, opened by {}; {}",
            kind(section.kind),
            bytes(section.len),
            section.offset,
            bytes(section.open_len),
            open.columns(section)
        )?;
    }
    writeln!(out, "footer   {}", bytes(summary.footer_len))?;
    statistics(open, out)
}

fn statistics(open: &Open, out: &mut impl Write) -> Result<(), CliError> {
    let summary = open.summary();
    writeln!(out, "values")?;
    for column in &summary.columns {
        let bound = |value: &Option<infino_format::summary::Scalar>| match value {
            None => "unknown".to_owned(),
            Some(value) => output::cut(&output::one_line(&scalar(value)), 32),
        };
        write!(
            out,
            "  {}: {} to {}",
            open.column(column.field_id),
            bound(&column.min),
            bound(&column.max)
        )?;
        if column.null_count > 0 {
            write!(out, ", {} null", count(column.null_count))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn scalar(value: &infino_format::summary::Scalar) -> String {
    use infino_format::summary::Scalar::*;
    match value {
        Bool(value) => value.to_string(),
        Int(value) => value.to_string(),
        UInt(value) => value.to_string(),
        Float(value) => value.to_string(),
        Decimal(value) => value.to_string(),
        Text(value) => format!("{value:?}"),
        Binary(value) => format!("{} bytes", value.len()),
    }
}

fn sections(open: &Open) -> Result<RecordBatch, CliError> {
    let sections = &open.summary().sections;
    let number = |of: fn(&SectionRef) -> u64| unsigned(sections.iter().map(of).collect());
    let text = |of: &dyn Fn(&SectionRef) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(sections.iter().map(of)))
    };
    Ok(RecordBatch::try_from_iter([
        ("section", unsigned((0..sections.len() as u64).collect())),
        ("kind", text(&|section| kind(section.kind).to_owned())),
        ("columns", text(&|section| open.columns(section))),
        ("version", number(|section| section.version.into())),
        ("offset", number(|section| section.offset)),
        ("bytes", number(|section| section.len)),
        ("open_bytes", number(|section| section.open_len)),
    ])?)
}
