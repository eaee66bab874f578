//! A place with tables in it.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use infino::datafusion::common::ScalarValue;
use infino::{ConnectOptions, Error, ReadConsistency, SqlQuery, VerifyReport};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3_arrow::{PyArray, PySchema};

use crate::errors;
use crate::index::IndexesIn;
use crate::job::Job;
use crate::process::{Owned, Process};
use crate::rows::{self, Rows, RowsIn};
use crate::table::Table;

/// How fresh a query's snapshot is: `"strong"`, `"manual"`, or how many seconds old it may be.
#[derive(FromPyObject)]
enum Freshness {
    Named(String),
    Seconds(f64),
}

/// How to connect.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct OptionsIn {
    storage: Vec<(String, String)>,
    read_consistency: Freshness,
    threads: Option<usize>,
    cache_dir: Option<std::path::PathBuf>,
    cache_bytes: u64,
    cache_memory_bytes: Option<u64>,
    sql_memory_bytes: Option<usize>,
    write_buffer_bytes: Option<usize>,
    scratch_dir: Option<std::path::PathBuf>,
}

impl OptionsIn {
    fn options(self, py: Python<'_>) -> PyResult<ConnectOptions> {
        let mut options = ConnectOptions::new();
        for (key, value) in self.storage {
            options = options.storage(&key, value);
        }
        options = options.read_consistency(match self.read_consistency {
            Freshness::Named(name) if name == "strong" => ReadConsistency::Strong,
            Freshness::Named(name) if name == "manual" => ReadConsistency::Manual,
            Freshness::Named(name) => {
                let message = format!(
                    "read_consistency {name:?}: it is \"strong\", \"manual\" or a timedelta"
                );
                return Err(errors::invalid(py, &message));
            }
            Freshness::Seconds(seconds) => {
                let age = Duration::try_from_secs_f64(seconds);
                ReadConsistency::Bounded(age.map_err(|_| {
                    errors::invalid(py, &format!("read_consistency of {seconds} seconds"))
                })?)
            }
        });
        if let Some(threads) = self.threads {
            options = options.threads(threads);
        }
        if let Some(dir) = self.cache_dir {
            options = options.cache_dir(dir, self.cache_bytes);
        }
        if let Some(bytes) = self.cache_memory_bytes {
            options = options.cache_memory_bytes(bytes);
        }
        if let Some(bytes) = self.sql_memory_bytes {
            options = options.sql_memory_bytes(bytes);
        }
        if let Some(bytes) = self.write_buffer_bytes {
            options = options.write_buffer_bytes(bytes);
        }
        if let Some(dir) = self.scratch_dir {
            options = options.scratch_dir(dir);
        }
        Ok(options)
    }
}

/// Connects to `uri`.
#[pyfunction]
pub(crate) fn connect(py: Python<'_>, uri: String, options: OptionsIn) -> PyResult<Job> {
    let process = Process::current(py)?;
    let options = options.options(py)?;
    let owner = process.clone();
    Ok(Job::new(
        &process,
        async move { infino::connect_with(&uri, options).await },
        move |py, inner| Connection { inner: Owned::new(owner, inner) }.into_bound_py_any(py),
    ))
}

/// A place with tables in it.
#[pyclass(frozen, module = "infino._infino")]
pub(crate) struct Connection {
    inner: Owned<infino::Connection>,
}

impl Connection {
    fn here(&self, py: Python<'_>) -> PyResult<(Process, infino::Connection)> {
        self.inner.process().check(py)?;
        Ok((self.inner.process().clone(), self.inner.clone()))
    }
}

/// A table that is to be made.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct TableIn {
    name: String,
    schema: PySchema,
    indexes: IndexesIn,
    /// Rows that it begins with.
    rows: Option<RowsIn>,
    /// Whether it takes the place of the table of this name, if there is one.
    replace: bool,
}

#[pymethods]
impl Connection {
    /// Where it is, without secrets.
    fn uri(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.here(py)?.1.uri().to_owned())
    }

    fn table_names(&self, py: Python<'_>) -> PyResult<Job> {
        let (process, db) = self.here(py)?;
        Ok(Job::value(&process, async move { db.table_names().await }))
    }

    fn open_table(&self, py: Python<'_>, name: String) -> PyResult<Job> {
        let (process, db) = self.here(py)?;
        let open = async move { db.open_table(&name).await };
        Ok(Job::new(&process.clone(), open, move |py, table| Table::give(py, process, table)))
    }

    fn drop_table(&self, py: Python<'_>, name: String) -> PyResult<Job> {
        let (process, db) = self.here(py)?;
        Ok(Job::done(&process, async move { db.drop_table(&name).await }))
    }

    /// Makes a table. Nobody sees it before the rows it begins with are in it.
    fn create_table(&self, py: Python<'_>, table: TableIn) -> PyResult<Job> {
        let (process, db) = self.here(py)?;
        let TableIn { name, schema, indexes, rows, replace } = table;
        let (schema, index): (SchemaRef, _) = (schema.into_inner(), indexes.spec(py)?);
        let create = async move {
            if rows.is_none() && !replace {
                return db.create_table(&name, schema, index).await;
            }
            let draft = db.draft_table(&name, schema, index).await?;
            let filled = match rows {
                Some(rows) => fill(draft.table(), rows).await,
                None => Ok(()),
            };
            match filled {
                Ok(()) => draft.publish(replace).await,
                Err(error) => {
                    draft.discard().await;
                    Err(error)
                }
            }
        };
        Ok(Job::new(&process.clone(), create, move |py, table| Table::give(py, process, table)))
    }

    /// All rows of a statement's answer as `pyarrow.Table`.
    fn sql(&self, py: Python<'_>, sql: String, params: Vec<PyArray>) -> PyResult<Job> {
        let (process, query) = self.query(py, sql, &params)?;
        Ok(Job::new(&process, async move { query.await }, rows::table))
    }

    /// A statement's answer as [`Rows`].
    fn sql_rows(&self, py: Python<'_>, sql: String, params: Vec<PyArray>) -> PyResult<Job> {
        let (process, query) = self.query(py, sql, &params)?;
        let rows = async move {
            let (schema, rows) = query.stream_with_schema().await?;
            Ok((schema, rows.boxed()))
        };
        Ok(Job::new(&process.clone(), rows, move |py, (schema, rows)| {
            Rows::new(&process, schema, rows).into_bound_py_any(py)
        }))
    }

    /// What a walk over all of a table's bytes found.
    fn verify_table(&self, py: Python<'_>, name: String) -> PyResult<Job> {
        let (process, db) = self.here(py)?;
        let verify = async move { db.verify_table(&name).await.map(Verified::from) };
        Ok(Job::value(&process, verify))
    }
}

impl Connection {
    /// Each parameter is an array of one value.
    fn query(
        &self,
        py: Python<'_>,
        sql: String,
        params: &[PyArray],
    ) -> PyResult<(Process, SqlQuery)> {
        let (process, db) = self.here(py)?;
        let mut query = db.query_sql(sql);
        for param in params {
            let value = ScalarValue::try_from_array(param.array().as_ref(), 0);
            let value = value.map_err(|error| errors::exception(py, &Error::from(error)))?;
            query = query.bind(value);
        }
        Ok((process, query))
    }
}

async fn fill(table: &infino::Supertable, mut rows: RowsIn) -> Result<(), Error> {
    let mut writer = table.writer()?;
    loop {
        let batch;
        (rows, batch) = rows.next().await?;
        match batch {
            Some(batch) => writer.append(&batch).await?,
            None => break,
        }
    }
    writer.commit().await?;
    Ok(())
}

/// What a walk over a table found, as a dictionary.
#[derive(IntoPyObject)]
struct Verified {
    version: u64,
    superfiles: usize,
    bytes: u64,
    /// Which object, and what is wrong with it.
    problems: Vec<(String, String)>,
}

impl From<VerifyReport> for Verified {
    fn from(report: VerifyReport) -> Self {
        let problems = report.problems.into_iter().map(|found| (found.path, found.problem));
        Self {
            version: report.version,
            superfiles: report.superfiles,
            bytes: report.bytes,
            problems: problems.collect(),
        }
    }
}
