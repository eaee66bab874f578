//! One section of a superfile: how much is in it and how it is spread.

use std::io::Write;

use bytes::Bytes;
use infino_format::summary::{SectionKind, SectionRef};
use infino_fts::FtsReader;
use infino_vector::IvfIndex;

use super::{
    Histogram,
    file::{Open, kind},
};
use crate::{
    CliError,
    output::Format,
    stopwatch::{bytes, count},
};

/// Writes what a section holds.
pub(super) async fn show(
    open: &Open,
    number: usize,
    format: Format,
    out: &mut impl Write,
) -> Result<(), CliError> {
    if format != Format::Table {
        return Err(CliError::Usage("a section is shown as text only: leave --output out".into()));
    }
    let sections = &open.summary().sections;
    let section = sections.get(number).ok_or_else(|| {
        CliError::Usage(format!("the file has the sections 0 to {}", sections.len() - 1))
    })?;
    let rows = open.summary().row_count.max(1);
    writeln!(out, "section  {number}, {}", kind(section.kind))?;
    writeln!(out, "columns  {}", open.columns(section))?;
    let a_row = section.len as f64 / f64::from(rows);
    writeln!(out, "bytes    {}, {a_row:.1} a row", bytes(section.len))?;
    writeln!(out, "opened   by the first {}", bytes(section.open_len))?;
    match section.kind {
        SectionKind::Text => text(open, section, out).await,
        SectionKind::Vector => vector(open, section, out).await,
        SectionKind::Key | SectionKind::BodyChecksums => Ok(()),
    }
}

async fn first_bytes(open: &Open, section: &SectionRef) -> Result<Bytes, CliError> {
    let range = section.offset..section.offset + section.open_len;
    let read = open.store.get_ranges(open.superfile.path(), &[range]).await;
    Ok(read.map_err(infino::Error::from)?.remove(0))
}

async fn text(open: &Open, section: &SectionRef, out: &mut impl Write) -> Result<(), CliError> {
    let reader = FtsReader::open(first_bytes(open, section).await?, section.len)
        .map_err(|error| CliError::Damage(error.to_string()))?;
    for field in reader.fields() {
        let stats = reader.field_stats(field).unwrap_or_default();
        let analyzer = reader.analyzer(field);
        let analyzer = analyzer.as_ref().map_or("unknown", |analyzer| analyzer.name());
        writeln!(
            out,
            "{field}: {} texts, {} terms in them, {:.1} a text, {analyzer}",
            count(stats.docs),
            count(stats.tokens),
            stats.tokens as f64 / stats.docs.max(1) as f64
        )?;
    }
    let text = |term: &[u8]| String::from_utf8_lossy(term).escape_debug().to_string();
    for stats in &open.summary().text {
        let (least, greatest) = (text(&stats.min_term), text(&stats.max_term));
        writeln!(out, "{}: terms from {least} to {greatest}", open.column(stats.field_id))?;
    }
    Ok(())
}

async fn vector(open: &Open, section: &SectionRef, out: &mut impl Write) -> Result<(), CliError> {
    let index = IvfIndex::open(first_bytes(open, section).await?, section.len)
        .map_err(|error| CliError::Damage(error.to_string()))?;
    writeln!(
        out,
        "vectors  {} of {} dimensions, {}",
        count(index.len().into()),
        index.dim(),
        format!("{:?}", index.metric()).to_lowercase()
    )?;
    let nprobe = index.nprobe(&infino_vector::SearchParams::default());
    writeln!(out, "lists    {}, of which a search visits {nprobe}", count(index.nlist().into()))?;
    writeln!(out, "rows in a list")?;
    let sizes = Histogram::of(index.list_rows().map(u64::from));
    Ok(sizes.write(out, "  ", count)?)
}
