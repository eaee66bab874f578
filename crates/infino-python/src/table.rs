//! A table.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use futures::{StreamExt, TryStreamExt};
use infino::{
    Error, MaintainOptions, Matched, MergeSpec, NotMatched, Receipt, SchemaChange, Supertable,
};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3_arrow::{PyArray, PyField};

use crate::errors;
use crate::index::{IndexesOut, TextIn, VectorIn};
use crate::job::Job;
use crate::process::{Owned, Process};
use crate::reports::{Altered, FileOut, Mutated, Optimized, ReceiptOut, VersionOut};
use crate::rows::{self, Rows, RowsIn};
use crate::search::SearchIn;

/// A table, or a version of one.
#[pyclass(frozen, module = "infino._infino")]
pub(crate) struct Table {
    inner: Owned<Supertable>,
}

impl Table {
    pub(crate) fn give(
        py: Python<'_>,
        process: Process,
        table: Supertable,
    ) -> PyResult<Bound<'_, PyAny>> {
        Self { inner: Owned::new(process, table) }.into_bound_py_any(py)
    }

    fn here(&self, py: Python<'_>) -> PyResult<(Process, Supertable)> {
        self.inner.process().check(py)?;
        Ok((self.inner.process().clone(), self.inner.clone()))
    }

    /// A job whose result is another handle on the table.
    fn handle<F>(&self, py: Python<'_>, open: impl FnOnce(Supertable) -> F) -> PyResult<Job>
    where
        F: Future<Output = Result<Supertable, Error>> + Send + 'static,
    {
        let (process, table) = self.here(py)?;
        Ok(Job::new(&process.clone(), open(table), move |py, table| Self::give(py, process, table)))
    }

    /// A job whose result is a plain value.
    fn value<T, F>(&self, py: Python<'_>, work: impl FnOnce(Supertable) -> F) -> PyResult<Job>
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (process, table) = self.here(py)?;
        Ok(Job::value(&process, work(table)))
    }
}

#[pymethods]
impl Table {
    fn name(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.here(py)?.1.name().to_owned())
    }

    /// The columns as `pyarrow.Schema`.
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let schema = self.here(py)?.1.schema();
        rows::schema(py, schema.map_err(|error| errors::exception(py, &error))?)
    }

    fn indexes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        IndexesOut::from(self.here(py)?.1.indexes()).into_bound_py_any(py)
    }

    fn version(&self, py: Python<'_>) -> PyResult<Job> {
        self.value(py, |table| async move { table.version().await })
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<Job> {
        self.value(py, |table| async move { table.refresh().await })
    }

    fn count_rows(&self, py: Python<'_>, filter: Option<String>) -> PyResult<Job> {
        self.value(py, |table| async move {
            match filter {
                None => table.count_rows().await,
                Some(filter) => {
                    let rows = table.scan(&["_id"]).filter(filter).stream().await?;
                    rows.try_fold(0, |sum, batch| ready(Ok(sum + batch.num_rows() as u64))).await
                }
            }
        })
    }

    fn files(&self, py: Python<'_>) -> PyResult<Job> {
        self.value(py, |table| async move {
            let files = table.files().await?;
            Ok(files.into_iter().map(FileOut::from).collect::<Vec<_>>())
        })
    }

    /// The rows that answer, as `pyarrow.Table`.
    fn search(&self, py: Python<'_>, search: SearchIn) -> PyResult<Job> {
        let (process, table) = self.here(py)?;
        let search = search.on(py, &table)?;
        Ok(Job::new(&process, async move { search.await }, rows::table))
    }

    /// The rows, unranked, as [`Rows`].
    fn scan(
        &self,
        py: Python<'_>,
        columns: Vec<String>,
        filter: Option<String>,
        offset: usize,
        limit: Option<usize>,
    ) -> PyResult<Job> {
        let (process, table) = self.here(py)?;
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut scan = table.scan(&columns).offset(offset);
        if let Some(filter) = filter {
            scan = scan.filter(filter);
        }
        if let Some(limit) = limit {
            scan = scan.limit(limit);
        }
        Ok(Job::new(&process.clone(), async move { scan.stream().await }, move |py, rows| {
            let schema = rows.schema().clone();
            Rows::new(&process, schema, rows.boxed()).into_bound_py_any(py)
        }))
    }

    /// Adds rows in one commit, exactly once if there is a token.
    fn append(&self, py: Python<'_>, rows: RowsIn, token: Option<String>) -> PyResult<Job> {
        self.value(py, |table| async move {
            let mut writer = table.writer()?;
            if let Some(token) = token {
                writer = writer.token(token);
            }
            let mut rows = rows;
            loop {
                let batch;
                (rows, batch) = rows.next().await?;
                match batch {
                    Some(batch) => writer.append(&batch).await?,
                    None => return writer.commit().await.map(ReceiptOut::from),
                }
            }
        })
    }

    /// Adds a few rows, which ride in the log at first.
    fn insert(&self, py: Python<'_>, rows: RowsIn) -> PyResult<Job> {
        self.value(py, |table| async move {
            table.insert(rows.whole().await?).await.map(ReceiptOut::from)
        })
    }

    /// Merges rows by key: `matched` is `"update"`, `"delete"` or None, `not_matched` `"insert"` or None.
    fn merge_insert(
        &self,
        py: Python<'_>,
        rows: RowsIn,
        matched: Option<&str>,
        not_matched: Option<&str>,
    ) -> PyResult<Job> {
        let matched = match matched {
            None => Matched::Nothing,
            Some("delete") => Matched::Delete,
            Some(_) => Matched::Update,
        };
        let not_matched = match not_matched {
            None => NotMatched::Nothing,
            Some(_) => NotMatched::Insert,
        };
        let spec = MergeSpec { matched, not_matched };
        self.value(py, move |table| async move {
            let merged: Receipt = table.merge_insert(rows.whole().await?, spec).await?;
            Ok(ReceiptOut::from(merged))
        })
    }

    fn delete(&self, py: Python<'_>, predicate: String) -> PyResult<Job> {
        self.value(py, |table| async move { table.delete(predicate).await.map(Mutated::from) })
    }

    /// Sets columns to SQL expressions where `predicate` holds; how many rows that was.
    fn update(
        &self,
        py: Python<'_>,
        predicate: String,
        assignments: Vec<(String, String)>,
    ) -> PyResult<Job> {
        self.value(py, |table| async move {
            let assignments = assignments.iter().map(|(column, sql)| (&**column, &**sql));
            table.update_set(&predicate, &assignments.collect::<Vec<_>>()).await
        })
    }

    /// Replaces the rows where `predicate` holds, in the order of their ids.
    fn replace(&self, py: Python<'_>, predicate: String, rows: RowsIn) -> PyResult<Job> {
        self.value(py, |table| async move {
            table.update(predicate, rows.whole().await?).await.map(Mutated::from)
        })
    }

    fn optimize(&self, py: Python<'_>, keep: Option<f64>) -> PyResult<Job> {
        let keep = keep.map(|seconds| seconds_of(py, seconds)).transpose()?;
        self.value(py, move |table| async move {
            let options = MaintainOptions { keep, ..MaintainOptions::default() };
            table.optimize_with(&options).await.map(Optimized::from)
        })
    }

    fn retention(&self, py: Python<'_>) -> PyResult<Job> {
        self.value(py, |table| async move {
            Ok(table.retention().await?.map(|keep| keep.as_secs_f64()))
        })
    }

    fn set_retention(&self, py: Python<'_>, keep: Option<f64>) -> PyResult<Job> {
        let keep = keep.map(|seconds| seconds_of(py, seconds)).transpose()?;
        let (process, table) = self.here(py)?;
        Ok(Job::done(&process, async move { table.set_retention(keep).await }))
    }

    fn history(&self, py: Python<'_>, limit: usize) -> PyResult<Job> {
        self.value(py, move |table| async move {
            let versions = table.history(limit).await?;
            Ok(versions.into_iter().map(VersionOut::from).collect::<Vec<_>>())
        })
    }

    fn at_version(&self, py: Python<'_>, version: u64) -> PyResult<Job> {
        self.handle(py, move |table| async move { table.at_version(version).await })
    }

    /// The newest version made at `seconds` since 1970 or before.
    fn at_time(&self, py: Python<'_>, seconds: f64) -> PyResult<Job> {
        let time = SystemTime::UNIX_EPOCH + seconds_of(py, seconds)?;
        self.handle(py, move |table| async move { table.at_time(time).await })
    }

    fn at_tag(&self, py: Python<'_>, tag: String) -> PyResult<Job> {
        self.handle(py, |table| async move { table.at_tag(&tag).await })
    }

    fn restore(&self, py: Python<'_>, version: u64) -> PyResult<Job> {
        self.value(py, move |table| async move { table.restore(version).await })
    }

    fn tags(&self, py: Python<'_>) -> PyResult<Job> {
        self.value(py, |table| async move { table.tags().await })
    }

    fn create_tag(&self, py: Python<'_>, tag: String) -> PyResult<Job> {
        self.value(py, |table| async move { table.create_tag(&tag).await })
    }

    fn delete_tag(&self, py: Python<'_>, tag: String) -> PyResult<Job> {
        let (process, table) = self.here(py)?;
        Ok(Job::done(&process, async move { table.delete_tag(&tag).await }))
    }

    /// Changes columns and indexes, all in one commit.
    fn alter(&self, py: Python<'_>, changes: Vec<ChangeIn>) -> PyResult<Job> {
        let changes = changes.into_iter().map(|change| change.change(py));
        let changes = changes.collect::<PyResult<Vec<_>>>()?;
        self.value(py, |table| async move { table.alter(&changes).await.map(Altered::from) })
    }
}

fn seconds_of(py: Python<'_>, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| errors::invalid(py, &format!("a time of {seconds} seconds")))
}

/// A change of columns or indexes, as `infino.table` describes it.
#[derive(FromPyObject)]
pub(crate) enum ChangeIn {
    #[pyo3(from_item_all)]
    Add { add_column: PyField, default: Option<PyArray> },
    #[pyo3(from_item_all)]
    Drop { drop_column: String },
    #[pyo3(from_item_all)]
    Rename { rename_column: String, to: String },
    #[pyo3(from_item_all)]
    Widen { widen_column: String, field: PyField },
    #[pyo3(from_item_all)]
    Text { text_index: TextIn },
    #[pyo3(from_item_all)]
    Vector { vector_index: VectorIn },
    #[pyo3(from_item_all)]
    DropText { drop_text_index: String },
    #[pyo3(from_item_all)]
    DropVector { drop_vector_index: String },
}

impl ChangeIn {
    fn change(self, py: Python<'_>) -> PyResult<SchemaChange> {
        Ok(match self {
            Self::Add { add_column, default } => {
                let default: Option<ArrayRef> = default.map(|array| array.into_inner().0);
                SchemaChange::AddColumn { field: field(add_column), default }
            }
            Self::Drop { drop_column } => SchemaChange::DropColumn(drop_column),
            Self::Rename { rename_column, to } => {
                SchemaChange::RenameColumn { from: rename_column, to }
            }
            Self::Widen { widen_column, field: to } => {
                let to = field(to).data_type().clone();
                SchemaChange::WidenColumn { column: widen_column, to }
            }
            Self::Text { text_index } => SchemaChange::SetTextIndex(text_index.index()),
            Self::Vector { vector_index } => SchemaChange::SetVectorIndex(vector_index.index(py)?),
            Self::DropText { drop_text_index } => SchemaChange::DropTextIndex(drop_text_index),
            Self::DropVector { drop_vector_index } => {
                SchemaChange::DropVectorIndex(drop_vector_index)
            }
        })
    }
}

fn field(field: PyField) -> Field {
    Arc::unwrap_or_clone(field.into_inner())
}
