//! Columns and indexes that change while the table lives.
//!
//! What old files can still be read under changes only the schema: a column that comes in as null, one that goes, one
//! that widens, an index that goes. Everything else writes every file anew, row by row in the same places, and switches
//! all of them and the schema in one commit: until then readers see the old generation, from then on the new one.

mod plan;
mod read;
mod rewrite;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use infino_format::record::Operation;
use infino_format::schema::{TextIndex, VectorIndex};
use infino_wal::Change;

pub(crate) use self::plan::accepts;
pub use self::read::scan;
pub(crate) use self::read::{rows, scan_all};
use crate::{Table, TableError, writer};

/// One change of a table's schema.
#[derive(Debug, Clone)]
pub enum SchemaChange {
    /// A column comes in, behind the others. Rows that are there get `default`, an array of one value, or null.
    AddColumn {
        /// Its name and type; it must be nullable unless there is a default.
        field: Field,
        /// What rows that are there get.
        default: Option<ArrayRef>,
    },
    /// A column goes, with its indexes.
    DropColumn(String),
    /// A column gets another name.
    RenameColumn {
        /// The name now.
        from: String,
        /// The name then.
        to: String,
    },
    /// A column gets a type that holds all values of the one it has: a wider number, a longer text.
    WidenColumn {
        /// The column.
        column: String,
        /// The type then.
        to: DataType,
    },
    /// A column gets a text index, or another one in place of the one it has.
    SetTextIndex(TextIndex),
    /// A column gets a vector index, or another one in place of the one it has. Another dimension takes another column.
    SetVectorIndex(VectorIndex),
    /// A column's text index goes.
    DropTextIndex(String),
    /// A column's vector index goes.
    DropVectorIndex(String),
}

/// What [`Table::alter`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlterReport {
    /// The version that has the new schema.
    pub version: u64,
    /// Superfiles that were written anew.
    pub superfiles_rewritten: usize,
    /// Their bytes.
    pub bytes_written: u64,
}

impl Table {
    /// Changes the schema, all `changes` in one commit.
    ///
    /// Writers beside it are safe: rows staged under the old schema are taken where they are right under the new one too,
    /// and are refused as a conflict where not; rows committed while files are written anew are written anew as well.
    ///
    /// # Errors
    /// `Invalid` naming what does not fit, and nothing changes; `Contention` if others kept committing so fast that no
    /// attempt caught up with them; storage and build errors.
    pub async fn alter(&self, changes: &[SchemaChange]) -> Result<AlterReport, TableError> {
        let mut done = rewrite::Done::default();
        let mut report = AlterReport::default();
        let attempts = self.inner.options.mutation_attempts.max(1);
        for attempt in 1.. {
            let now = self.refresh().await?;
            let head = self.inner.log.current().head;
            let plan = plan::plan(&now, changes)?;
            let schemas = Some((now.schema.clone(), plan.schema.clone()));
            if done.epoch.is_none_or(|epoch| epoch + 1 < head.epoch) || done.schemas != schemas {
                // What was written before is of another schema, or may have been collected.
                let epoch = Some(head.epoch);
                done = rewrite::Done { epoch, schemas, ..rewrite::Done::default() };
            }
            let epoch = done.epoch.expect("set above");
            let mut change = Change::new(Operation::Schema, now.version, epoch);
            if plan.rewrites {
                change = rewrite::all(self, &now, &plan, &mut done, change).await?;
                report.superfiles_rewritten = done.files.len();
                report.bytes_written = done.files.values().map(|new| new.file_len).sum();
            }
            change = change.schema(plan.schema.clone());
            if plan.dropped_now != plan.dropped_before {
                change = change.property(plan::DROPPED, plan.dropped_now.clone());
            }
            match writer::publish(self, change).await {
                Ok(committed) => {
                    report.version = committed.version;
                    return Ok(report);
                }
                Err(error) if error.is_conflict() && attempt < attempts => {
                    tracing::debug!(%error, attempt, "a schema change tries again");
                }
                Err(TableError::Wal(source))
                    if matches!(source, infino_wal::WalError::Conflict(_)) =>
                {
                    return Err(TableError::Contention { attempts, source: Box::new(source) });
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }
}
