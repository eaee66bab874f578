//! What a schema change makes of a schema, and what it takes. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use infino_format::schema::{ColumnId, IndexSet, TableSchema};
use infino_manifest::Snapshot;

use super::SchemaChange;
use crate::TableError;

/// The property that lists, a line each, the names of dropped columns that files may still hold.
pub(super) const DROPPED: &str = "schema.dropped";

/// What a change takes.
pub(super) struct Plan {
    pub(super) schema: TableSchema,
    /// Whether files of the old schema cannot be read under the new one.
    pub(super) rewrites: bool,
    /// What rows that are there get in new columns, by field id.
    pub(super) fills: Vec<(u32, ArrayRef)>,
    pub(super) dropped_before: Option<String>,
    pub(super) dropped_now: Option<String>,
}

/// A schema while it is changed.
struct Draft {
    fields: Vec<FieldRef>,
    columns: Vec<ColumnId>,
    indexes: IndexSet,
    next_field_id: u32,
    rewrites: bool,
    fills: Vec<(u32, ArrayRef)>,
    dropped: BTreeSet<String>,
}

/// # Errors
/// `Invalid` naming the change that does not fit.
pub(super) fn plan(now: &Snapshot, changes: &[SchemaChange]) -> Result<Plan, TableError> {
    let old = &now.schema;
    let user = infino_superfile::arrow_schema(old)?;
    let dropped_before = now.properties.get(DROPPED).cloned();
    let mut draft = Draft {
        fields: user.fields().iter().cloned().collect(),
        columns: old.columns.clone(),
        indexes: old.indexes.clone(),
        next_field_id: old.next_field_id,
        rewrites: false,
        fills: Vec::new(),
        dropped: dropped_before.iter().flat_map(|all| all.lines()).map(str::to_owned).collect(),
    };
    if changes.is_empty() {
        return Err(TableError::invalid("no change of the schema was given"));
    }
    changes.iter().try_for_each(|change| draft.apply(change))?;
    let Draft { fields, columns, indexes, next_field_id, rewrites, fills, dropped } = draft;
    if rewrites && let Some(column) = unstored(old).next() {
        return Err(TableError::invalid(format!(
            "column {column:?} is indexed and not stored, so files cannot be written anew; drop it first"
        )));
    }
    let arrow = Schema::new_with_metadata(fields, user.metadata().clone());
    // Checks names, types and indexes; the field ids that it gives are those of a new table.
    let checked = infino_superfile::table_schema(&arrow, indexes)?;
    let schema = TableSchema { columns, next_field_id, ..checked };
    let dropped_now = match rewrites || dropped.is_empty() {
        true => None,
        false => Some(dropped.into_iter().collect::<Vec<_>>().join("\n")),
    };
    Ok(Plan { schema, rewrites, fills, dropped_before, dropped_now })
}

/// The columns that only an index holds.
pub(crate) fn unstored(schema: &TableSchema) -> impl Iterator<Item = &str> {
    let text = schema.indexes.text.iter().filter(|index| !index.stored);
    let vectors = schema.indexes.vectors.iter().filter(|index| !index.stored);
    text.map(|index| index.column.as_str()).chain(vectors.map(|index| index.column.as_str()))
}

impl Draft {
    fn apply(&mut self, change: &SchemaChange) -> Result<(), TableError> {
        match change {
            SchemaChange::AddColumn { field, default } => self.add(field, default.as_ref()),
            SchemaChange::DropColumn(name) => {
                let at = self.find(name)?;
                self.refuse_key(name, "be dropped")?;
                self.columns.remove(at);
                self.fields.remove(at);
                self.indexes.text.retain(|index| index.column != *name);
                self.indexes.vectors.retain(|index| index.column != *name);
                self.dropped.insert(name.clone());
                Ok(())
            }
            SchemaChange::RenameColumn { from, to } => {
                let at = self.find(from)?;
                self.columns[at].name.clone_from(to);
                self.fields[at] = Arc::new(self.fields[at].as_ref().clone().with_name(to));
                let text = self.indexes.text.iter_mut().map(|index| &mut index.column);
                let vectors = self.indexes.vectors.iter_mut().map(|index| &mut index.column);
                text.chain(vectors)
                    .chain(&mut self.indexes.key)
                    .filter(|column| *column == from)
                    .for_each(|column| to.clone_into(column));
                // Readers of Parquet know columns by name.
                self.rewrites = true;
                Ok(())
            }
            SchemaChange::WidenColumn { column, to } => {
                let at = self.find(column)?;
                // What is known of its values would be that of other bytes.
                self.refuse_key(column, "widen")?;
                let field = &self.fields[at];
                if !widens(field.data_type(), to) {
                    return Err(TableError::invalid(format!(
                        "column {column:?} is {}; not every value of that is one of {to}",
                        field.data_type()
                    )));
                }
                self.fields[at] = Arc::new(field.as_ref().clone().with_data_type(to.clone()));
                Ok(())
            }
            SchemaChange::SetTextIndex(index) => {
                self.find(&index.column)?;
                self.indexes.text.retain(|other| other.column != index.column);
                self.indexes.text.push(index.clone());
                self.rewrites = true;
                Ok(())
            }
            SchemaChange::SetVectorIndex(index) => {
                self.find(&index.column)?;
                self.indexes.vectors.retain(|other| other.column != index.column);
                self.indexes.vectors.push(index.clone());
                self.rewrites = true;
                Ok(())
            }
            SchemaChange::DropTextIndex(column) => {
                let known = self.indexes.text.iter().find(|index| index.column == *column);
                self.check_drop("text", column, known.map(|index| index.stored))?;
                self.indexes.text.retain(|index| index.column != *column);
                Ok(())
            }
            SchemaChange::DropVectorIndex(column) => {
                let known = self.indexes.vectors.iter().find(|index| index.column == *column);
                self.check_drop("vector", column, known.map(|index| index.stored))?;
                self.indexes.vectors.retain(|index| index.column != *column);
                Ok(())
            }
        }
    }

    fn add(&mut self, field: &Field, default: Option<&ArrayRef>) -> Result<(), TableError> {
        let name = field.name();
        if self.columns.iter().any(|column| column.name == *name) {
            return Err(TableError::invalid(format!("there is a column {name:?} already")));
        }
        if let Some(default) = default {
            if default.len() != 1 || default.data_type() != field.data_type() {
                return Err(TableError::invalid(format!(
                    "the default of column {name:?} must be one value of {}, it is {} of {}",
                    field.data_type(),
                    default.len(),
                    default.data_type()
                )));
            }
            self.fills.push((self.next_field_id, default.clone()));
        }
        let null = default.is_none_or(|default| default.null_count() > 0);
        if null && !field.is_nullable() {
            return Err(TableError::invalid(format!(
                "column {name:?} is not nullable, so rows that are there need a default"
            )));
        }
        // A file that still holds a dropped column of this name would show its values.
        self.rewrites |= !null || self.dropped.contains(name);
        self.columns.push(ColumnId { name: name.clone(), field_id: self.next_field_id });
        self.fields.push(Arc::new(field.clone()));
        self.next_field_id += 1;
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, TableError> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let known: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            TableError::invalid(format!(
                "the table has no column {name:?}; its columns are {}",
                known.join(", ")
            ))
        })
    }

    fn refuse_key(&self, column: &str, what: &str) -> Result<(), TableError> {
        match self.indexes.key.iter().any(|key| key == column) {
            false => Ok(()),
            true => Err(TableError::invalid(format!(
                "column {column:?} is part of the table's key and cannot {what}"
            ))),
        }
    }

    fn check_drop(&self, kind: &str, column: &str, stored: Option<bool>) -> Result<(), TableError> {
        match stored {
            None => Err(TableError::invalid(format!("column {column:?} has no {kind} index"))),
            Some(false) => Err(TableError::invalid(format!(
                "only its {kind} index holds column {column:?}; drop the column"
            ))),
            Some(true) => Ok(()),
        }
    }
}

/// Whether every value of `from` is one of `to`, and a cast keeps it.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let width = |of: &DataType| of.primitive_width();
    let wider = width(from).zip(width(to)).is_some_and(|(from, to)| from < to);
    match (from, to) {
        (from, to) if from.is_signed_integer() && to.is_signed_integer() => wider,
        (from, to) if from.is_unsigned_integer() && to.is_integer() => wider,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Int8 | Int16 | UInt8 | UInt16, Float32 | Float64) | (Int32 | UInt32, Float64) => true,
        (Decimal128(p, s), Decimal128(q, t)) => p < q && s == t,
        (Utf8, LargeUtf8) | (Binary, LargeBinary) => true,
        _ => false,
    }
}

/// Whether a file written under `old` is read right in `now` and after: rows staged then can be taken now.
pub(crate) fn accepts(now: &Snapshot, old: &TableSchema) -> Result<bool, TableError> {
    let new = &now.schema;
    // A file brings back a dropped column unless the table remembers the name as one that files may still hold.
    let remembered = now.properties.get(DROPPED).map_or("", String::as_str);
    let gone = |column: &&ColumnId| !new.columns.contains(column);
    if old.columns.iter().filter(gone).any(|column| !remembered.lines().any(|n| n == column.name)) {
        return Ok(false);
    }
    let indexed = new.indexes.key == old.indexes.key
        && new.indexes.text.iter().all(|index| old.indexes.text.contains(index))
        && new.indexes.vectors.iter().all(|index| old.indexes.vectors.contains(index));
    let (was, is) = (infino_superfile::arrow_schema(old)?, infino_superfile::arrow_schema(new)?);
    let mut columns = new.columns.iter().zip(is.fields());
    Ok(indexed
        && columns.all(|(column, field)| {
            match old.columns.iter().position(|other| other.name == column.name) {
                None => {
                    let renamed = |other: &ColumnId| other.field_id == column.field_id;
                    field.is_nullable() && !old.columns.iter().any(renamed)
                }
                Some(at) => {
                    let (id, before) = (old.columns[at].field_id, was.field(at));
                    let kept = before.data_type() == field.data_type()
                        || widens(before.data_type(), field.data_type());
                    id == column.field_id && kept && (field.is_nullable() || !before.is_nullable())
                }
            }
        }))
}
