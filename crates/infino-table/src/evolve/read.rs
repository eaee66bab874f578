//! Files of an older schema, read as if they were of the newest.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute;
use arrow::datatypes::{Schema, SchemaRef};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use infino_format::schema::TableSchema;
use infino_format::{DocId, DocSet};
use infino_superfile::Superfile;

use crate::TableError;
use crate::maintain::Rows;

/// The rows of `keep`, or all of them, in file order, with the named columns of a table of `schema`, in the order named. A
/// column that came in after the file was written is null, one that has widened since is cast.
///
/// # Errors
/// `Superfile` if the table has no such column, or the file cannot be read.
pub async fn scan(
    file: &Superfile,
    schema: &TableSchema,
    columns: &[&str],
    keep: Option<&DocSet>,
) -> Result<BoxStream<'static, Result<RecordBatch, TableError>>, TableError> {
    let all = infino_superfile::body_schema(schema)?;
    let fields: Result<Vec<_>, _> =
        columns.iter().map(|name| all.field_with_name(name).cloned()).collect();
    Columns::held(file, Arc::new(Schema::new(fields?))).scan(file, keep).await
}

/// As [`scan`], with all columns, as a builder of `schema` takes them.
pub(crate) async fn scan_all(
    file: &Superfile,
    schema: &TableSchema,
    keep: Option<&DocSet>,
) -> Result<Rows, TableError> {
    Columns::held(file, infino_superfile::file_schema(schema)?).scan(file, keep).await
}

/// The rows `docs`, in their order, with the columns `names`, of which the file may lack some, as `target` has them.
pub(crate) async fn rows(
    file: &Superfile,
    target: &SchemaRef,
    docs: &[DocId],
    names: &[&str],
) -> Result<RecordBatch, TableError> {
    let fields: Result<Vec<_>, _> =
        names.iter().map(|name| target.field_with_name(name).cloned()).collect();
    let columns = Columns::held(file, Arc::new(Schema::new(fields?)));
    columns.of(&file.rows(docs, &columns.asked()).await?)
}

/// Where the columns of a schema come from when a file is read.
pub(super) struct Columns {
    target: SchemaRef,
    /// For each, its name in the file, or what stands in for it; null if neither.
    sources: Vec<Source>,
}

pub(super) enum Source {
    File(String),
    Value(ArrayRef),
    Null,
}

impl Columns {
    /// `target`, of which each column comes from where `source` says.
    pub(super) fn new(target: SchemaRef, source: impl Fn(&str) -> Source) -> Self {
        let sources = target.fields().iter().map(|field| source(field.name())).collect();
        Self { target, sources }
    }

    /// The columns that the file has under the same names, null for the others.
    fn held(file: &Superfile, target: SchemaRef) -> Self {
        Self::new(target, |name| match file.schema().field_with_name(name) {
            Ok(_) => Source::File(name.to_owned()),
            Err(_) => Source::Null,
        })
    }

    pub(super) async fn scan(
        self,
        file: &Superfile,
        keep: Option<&DocSet>,
    ) -> Result<Rows, TableError> {
        let batches = file.scan(Some(&self.asked()), keep).await?;
        Ok(batches.map(move |batch| self.of(&batch?)).boxed())
    }

    /// The same of batches that hold all columns of a file.
    pub(super) fn over(self, batches: Vec<RecordBatch>) -> Rows {
        let rows = batches.into_iter().map(move |batch| {
            let places = self.asked().into_iter().map(|name| batch.schema().index_of(name));
            self.of(&batch.project(&places.collect::<Result<Vec<_>, _>>()?)?)
        });
        stream::iter(rows.collect::<Vec<_>>()).boxed()
    }

    /// What is read of the file.
    fn asked(&self) -> Vec<&str> {
        let of = |source| match source {
            &Source::File(ref name) => Some(name.as_str()),
            _ => None,
        };
        let asked: Vec<_> = self.sources.iter().filter_map(of).collect();
        // Something must say how many rows there are.
        if asked.is_empty() { vec!["_id"] } else { asked }
    }

    /// The columns of the target, from those that were asked for.
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
        let rows = batch.num_rows();
        let mut read = 0;
        let columns = self.sources.iter().zip(self.target.fields()).map(|(source, field)| {
            Ok(match source {
                Source::File(_) => {
                    let column = batch.column(read);
                    read += 1;
                    match column.data_type() == field.data_type() {
                        true => column.clone(),
                        false => compute::cast(column, field.data_type())?,
                    }
                }
                Source::Value(value) => {
                    compute::take(value, &UInt32Array::from(vec![0; rows]), None)?
                }
                Source::Null => new_null_array(field.data_type(), rows),
            })
        });
        let columns = columns.collect::<Result<Vec<_>, TableError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.target.clone(), columns, &options)?)
    }
}
