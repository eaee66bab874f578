//! Nearest neighbours over the whole table.

use std::sync::Arc;

use infino_format::schema::VectorIndex;
use infino_manifest::Snapshot;
use infino_vector::SearchParams;

use super::files;
use super::merge::{self, FileHit, Order};
use super::{Hit, exact, fan_out, within};
use crate::{RowFilter, Table, TableError};

/// The vector index on `column` and the column's field id.
///
/// # Errors
/// `Invalid` if there is no such column, `NotIndexed` if it has no vector index; both name what there is.
pub fn index<'a>(
    snapshot: &'a Snapshot,
    column: &str,
) -> Result<(&'a VectorIndex, u32), TableError> {
    let indexes = &snapshot.schema.indexes.vectors;
    if let Some(index) = indexes.iter().find(|index| index.column == column) {
        let id = snapshot.schema.columns.iter().find(|c| c.name == column).map(|c| c.field_id);
        return Ok((index, id.expect("an index names a column of its table")));
    }
    super::rows::result_schema(snapshot, None, &[column])?;
    let known = indexes.iter().map(|index| format!("{:?}", index.column)).collect::<Vec<_>>();
    Err(TableError::NotIndexed {
        column: column.to_owned(),
        index: "vector",
        instead: match known.is_empty() {
            true => "the table has none, create it with `IndexSpec::vector`".to_owned(),
            false => format!("columns with one: {}", known.join(", ")),
        },
    })
}

/// The `params.k` rows whose `column` is nearest to `query`, nearest first, equal distances by row id.
///
/// `params.exact` compares with the stored vectors themselves, or, where the column is not stored, with all that the index
/// keeps of them.
///
/// # Errors
/// `Invalid` or `NotIndexed` as [`index`]; `Vector` if the query has another dimension or is not finite; storage and
/// corruption errors.
pub async fn search(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    column: &str,
    query: &[f32],
    params: &SearchParams,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, TableError> {
    let (index, field_id) = index(snapshot, column)?;
    check(index, query)?;
    // No more rows than there are: memory is set aside by `k`.
    let params = SearchParams { k: within(snapshot, params.k), ..params.clone() };
    if params.k == 0 {
        return Ok(Vec::new());
    }
    let candidates = files::candidates(table, snapshot, filter).await?;
    let query: Arc<[f32]> = query.into();
    let hits = fan_out::each(candidates, |candidate| {
        let (table, query, params) = (table.clone(), query.clone(), params.clone());
        let exact_index = (params.exact && index.stored).then(|| index.clone());
        async move {
            let file = table.file(&candidate.entry).await?;
            if let Some(index) = exact_index {
                return exact::search(
                    &file,
                    &index,
                    &query,
                    params.k,
                    candidate.allowed.as_deref(),
                )
                .await;
            }
            let index = file.vector(field_id).await?;
            let search = index.search(&query, &params, candidate.allowed.as_deref())?;
            let found = file.run_vector(field_id, search).await?;
            let hits = found.into_iter().map(|n| FileHit {
                file: candidate.entry.id(),
                doc: n.doc,
                value: n.distance,
            });
            Ok(hits.collect::<Vec<_>>())
        }
    })
    .await?;
    merge::best_first(table, snapshot, hits.concat(), params.k, Order::Ascending).await
}

fn check(index: &VectorIndex, query: &[f32]) -> Result<(), TableError> {
    let checked = infino_vector::check_vector(index.metric, index.dim as usize, query);
    checked.map_err(|problem| {
        TableError::invalid(format!("the query for column {:?}: {problem}", index.column))
    })
}
