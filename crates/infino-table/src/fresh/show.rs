//! A snapshot with its fresh rows among its superfiles.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::try_join_all;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_format::{FormatError, FreshRows};
use infino_manifest::{Built, Snapshot};
use infino_storage::{MemoryStore, Store};
use infino_superfile::{Compression, Superfile, SuperfileBuilder, SuperfileOptions};

use super::rows::decode;
use crate::TableError;
use crate::table::Inner;

/// Fresh rows as a superfile in memory.
#[derive(Debug)]
pub(crate) struct FreshFile {
    pub(crate) file: Arc<Superfile>,
    rows: FreshRows,
    schema: Arc<TableSchema>,
}

impl FreshFile {
    /// The rows, all columns, dead ones included.
    pub(crate) fn batches(&self) -> Result<Vec<RecordBatch>, TableError> {
        decode(&self.rows, &self.schema)
    }

    /// What an entry of a view holds, if it is of fresh rows.
    pub(crate) fn of(built: &Built) -> Result<Arc<Self>, TableError> {
        built.0.clone().downcast::<Self>().map_err(|_| {
            TableError::Format(FormatError::invalid("snapshot", "shows rows built elsewhere"))
        })
    }
}

/// The view of `snapshot` that queries run on; rows that the current view shows already are not built again.
pub(crate) async fn show(inner: &Inner, snapshot: Snapshot) -> Result<Arc<Snapshot>, TableError> {
    let snapshot = snapshot.base().clone();
    if snapshot.fresh.is_empty() {
        return Ok(Arc::new(snapshot));
    }
    let known = inner.current_snapshot();
    let same_schema = known.schema == snapshot.schema;
    let built = snapshot.fresh.values().map(|fresh| {
        let shown = known.entries.get(fresh.rows.id).filter(|_| same_schema);
        let shown = shown.and_then(|entry| Some((entry.summary.clone(), entry.built.clone()?)));
        let (rows, schema) = (fresh.rows.clone(), snapshot.schema.clone());
        async move {
            match shown {
                Some(shown) => Ok(shown),
                None => build(inner, rows, schema).await,
            }
        }
    });
    let built = try_join_all(built).await?;
    Ok(Arc::new(snapshot.showing(built)))
}

async fn build(
    inner: &Inner,
    rows: FreshRows,
    schema: Arc<TableSchema>,
) -> Result<(Arc<SuperfileSummary>, Built), TableError> {
    let options = SuperfileOptions {
        compression: Compression::Uncompressed,
        memory_bytes: inner.options.build_bytes,
        scratch_dir: Some(inner.scratch_dir()),
        ..SuperfileOptions::default()
    };
    let (id, of, under) = (rows.id, rows.clone(), schema.clone());
    let (bytes, mut summary) = inner
        .runtime
        .run(move || {
            let mut builder = SuperfileBuilder::new(&under, options)?;
            for batch in decode(&of, &under)? {
                builder.push(&batch)?;
            }
            Ok::<_, TableError>(builder.finish()?)
        })
        .await?;
    summary.id = id;
    let (summary, path) = (Arc::new(summary), format!("fresh/{id}"));
    let store = Arc::new(MemoryStore::new());
    store.put(&path, bytes.into()).await?;
    let file = Superfile::open(store, &path, Some(summary.clone())).await?;
    Ok((summary, Built(Arc::new(FreshFile { file, rows, schema }))))
}
