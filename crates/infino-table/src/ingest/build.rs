//! Checked, numbered rows become superfiles in storage.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_superfile::{SuperfileBuilder, SuperfileOptions};

use crate::table::Inner;
use crate::{Held, TableError, ingest::shard};

/// A superfile holds at most this many rows: more make exact lengths and row sets fall out of the CPU's caches.
pub(crate) const SUPERFILE_ROWS_MAX: usize = 2_000_000;

/// Builds `batches` (with `_id`, ascending) into as many superfiles as the CPU pool has threads, and puts them into
/// storage; they are durable on return, and nothing names them yet.
pub(crate) async fn shards(
    inner: &Arc<Inner>,
    schema: &Arc<TableSchema>,
    batches: &[RecordBatch],
) -> Result<Vec<SuperfileSummary>, TableError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let threads = inner.runtime.threads();
    // A shard below this is not worth a file of its own: every file costs each later query a look.
    let worth = rows.div_ceil(SHARD_ROWS_MIN).min(threads);
    let runs = shard::cut(rows, worth, SUPERFILE_ROWS_MAX);
    stream::iter(runs)
        .map(|run| {
            let part = slice(batches, run.start, run.len());
            async move { one(inner, schema, part).await }
        })
        .buffered(threads)
        .try_collect()
        .await
}

/// Rows that make a superfile worth its while when many writers could share the work.
const SHARD_ROWS_MIN: usize = 4096;

/// Builds one superfile of `batches` and puts it into storage.
pub(crate) async fn one(
    inner: &Arc<Inner>,
    schema: &Arc<TableSchema>,
    batches: Vec<RecordBatch>,
) -> Result<SuperfileSummary, TableError> {
    let _turn = turn(inner).await;
    let options = superfile_options(inner);
    let (schema, scratch) = (schema.clone(), inner.scratch_dir());
    let (file, summary) = inner
        .runtime
        .run(move || {
            let file = tempfile::NamedTempFile::new_in(&scratch)
                .map_err(local("creating a scratch file"))?;
            let mut builder = SuperfileBuilder::new(&schema, options)?;
            for batch in &batches {
                builder.push(batch)?;
            }
            drop(batches);
            let summary = finish(builder, file.as_file())?;
            Ok::<_, TableError>((file, summary))
        })
        .await?;
    put(inner, file.path(), &summary).await?;
    Ok(summary)
}

/// Writes the rest of `builder` to `file`.
pub(crate) fn finish(
    builder: SuperfileBuilder,
    file: &File,
) -> Result<SuperfileSummary, TableError> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let summary = builder.finish_to(&mut out)?;
    out.flush().map_err(local("writing a superfile to scratch space"))?;
    Ok(summary)
}

/// Puts a finished superfile where its summary says.
pub(crate) async fn put(
    inner: &Inner,
    file: &std::path::Path,
    summary: &SuperfileSummary,
) -> Result<(), TableError> {
    inner.store.put_file(&inner.path(&summary.path()), file).await?;
    tracing::debug!(superfile = %summary.id, rows = summary.row_count, bytes = summary.file_len, "superfile put");
    Ok(())
}

/// Waits for the memory that building one superfile takes.
pub(crate) async fn turn(inner: &Inner) -> Held {
    // Indexes and body within `build_bytes`, and as much again for what is encoded and on its way to scratch space.
    inner.runtime.budget().turn(inner.options.build_bytes * 2).await
}

pub(crate) fn superfile_options(inner: &Inner) -> SuperfileOptions {
    SuperfileOptions {
        memory_bytes: inner.options.build_bytes,
        scratch_dir: Some(inner.scratch_dir()),
        threads: 1,
        ..SuperfileOptions::default()
    }
}

pub(crate) fn local(what: &'static str) -> impl Fn(std::io::Error) -> TableError {
    move |source| TableError::Local { what, source }
}

/// Rows `start..start + len` of the batches laid end to end, without copying.
fn slice(batches: &[RecordBatch], mut start: usize, mut len: usize) -> Vec<RecordBatch> {
    let mut part = Vec::new();
    for batch in batches {
        let rows = batch.num_rows();
        if start < rows && len > 0 {
            let take = len.min(rows - start);
            part.push(batch.slice(start, take));
            len -= take;
            start = 0;
        } else {
            start = start.saturating_sub(rows);
        }
    }
    part
}

/// Finishes a superfile on the CPU pool, in a scratch file, and puts it.
pub(crate) async fn store(
    inner: &Inner,
    builder: SuperfileBuilder,
) -> Result<SuperfileSummary, TableError> {
    let scratch = inner.scratch_dir();
    let (file, summary) = inner
        .runtime
        .run(move || {
            let create = tempfile::NamedTempFile::new_in(&scratch);
            let file = create.map_err(local("creating a scratch file"))?;
            let summary = finish(builder, file.as_file())?;
            Ok::<_, TableError>((file, summary))
        })
        .await?;
    put(inner, file.path(), &summary).await?;
    Ok(summary)
}
