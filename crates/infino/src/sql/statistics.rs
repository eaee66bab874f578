//! What the manifest knows of a superfile, in DataFusion's terms.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use infino_format::schema::TableSchema;
use infino_format::summary::{ColumnStats, Scalar, SuperfileSummary};
use infino_manifest::Entry;

/// The statistics of one superfile, one container, as a pruning predicate asks for them.
#[derive(Debug)]
pub(super) struct SummaryStatistics<'a> {
    pub(super) schema: &'a TableSchema,
    pub(super) file: &'a SchemaRef,
    pub(super) summary: &'a SuperfileSummary,
}

impl SummaryStatistics<'_> {
    fn stats(&self, column: &Column) -> Option<(&ColumnStats, &DataType)> {
        let id = self.schema.columns.iter().find(|c| c.name == column.name)?.field_id;
        let stats = self.summary.columns.iter().find(|stats| stats.field_id == id)?;
        Some((stats, self.file.field_with_name(&column.name).ok()?.data_type()))
    }

    fn bound(
        &self,
        column: &Column,
        pick: impl Fn(&ColumnStats) -> Option<&Scalar>,
    ) -> Option<ArrayRef> {
        let (stats, data_type) = self.stats(column)?;
        scalar_value(pick(stats)?, data_type)?.to_array().ok()
    }
}

impl PruningStatistics for SummaryStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |stats| stats.min.as_ref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |stats| stats.max.as_ref())
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (stats, _) = self.stats(column)?;
        Some(Arc::new(UInt64Array::from(vec![stats.null_count])))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![u64::from(self.summary.row_count)])))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The statistics of all rows of some files: how many, and where no row is dead what the `wanted` columns lie between.
/// Places of columns count from the row ids, which have no statistics: no statement asks for the least of them.
pub(super) fn of_files(
    schema: &TableSchema,
    file: &SchemaRef,
    entries: &[Arc<Entry>],
    wanted: impl IntoIterator<Item = usize>,
) -> Statistics {
    let mut statistics = Statistics::new_unknown(file);
    let live = entries.iter().map(|entry| entry.live_rows() as usize).sum();
    statistics.num_rows = Precision::Exact(live);
    for at in wanted {
        if let Some(column) = at.checked_sub(1).and_then(|at| schema.columns.get(at)) {
            let found = of_column(column.field_id, file.field(at).data_type(), entries);
            statistics.column_statistics[at] = found.unwrap_or_else(ColumnStatistics::new_unknown);
        }
    }
    statistics
}

/// One column in all of some files; `None` if a file does not know.
fn of_column(
    field_id: u32,
    data_type: &DataType,
    entries: &[Arc<Entry>],
) -> Option<ColumnStatistics> {
    let mut merged: Option<ColumnStatistics> = None;
    for entry in entries {
        let stats = entry.summary.columns.iter().find(|stats| stats.field_id == field_id)?;
        let whole = entry.deletes.is_none();
        let said = |value: Option<ScalarValue>, exact: bool| match value {
            None => Precision::Absent,
            Some(value) if exact => Precision::Exact(value),
            Some(value) => Precision::Inexact(value),
        };
        let all_null = stats.null_count == u64::from(entry.summary.row_count);
        let bound = |bound: &Option<Scalar>| match bound {
            // A column of nulls has no bounds, and NULL is what MIN and MAX say of it.
            None if all_null => ScalarValue::try_from(data_type).ok(),
            bound => scalar_value(bound.as_ref()?, data_type),
        };
        let exact = whole && (stats.exact || all_null);
        let mut next = ColumnStatistics::new_unknown();
        next.min_value = said(bound(&stats.min), exact);
        next.max_value = said(bound(&stats.max), exact);
        next.null_count = match whole {
            true => Precision::Exact(stats.null_count as usize),
            false => Precision::Inexact(stats.null_count as usize),
        };
        merged = Some(match merged {
            None => next,
            Some(merged) => ColumnStatistics {
                min_value: merged.min_value.min(&next.min_value),
                max_value: merged.max_value.max(&next.max_value),
                null_count: merged.null_count.add(&next.null_count),
                ..merged
            },
        });
    }
    merged
}

/// A bound as a value of the column's type; `None` where that type has no such value.
pub(super) fn scalar_value(scalar: &Scalar, data_type: &DataType) -> Option<ScalarValue> {
    let value = match scalar {
        Scalar::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Scalar::UInt(value) => ScalarValue::UInt64(Some(*value)),
        Scalar::Float(value) => ScalarValue::Float64(Some(*value)),
        Scalar::Text(value) => ScalarValue::Utf8(Some(value.clone())),
        Scalar::Binary(value) => ScalarValue::Binary(Some(value.clone())),
        Scalar::Decimal(value) => {
            let DataType::Decimal128(precision, scale) = data_type else { return None };
            return Some(ScalarValue::Decimal128(Some(*value), *precision, *scale));
        }
        Scalar::Int(value) => return int_value(*value, data_type),
    };
    value.cast_to(data_type).ok()
}

/// Dates, times and timestamps are stored as the integer they are made of.
fn int_value(value: i64, data_type: &DataType) -> Option<ScalarValue> {
    let integer = ScalarValue::Int64(Some(value));
    match data_type {
        DataType::Date32 | DataType::Time32(_) => {
            integer.cast_to(&DataType::Int32).ok()?.cast_to(data_type).ok()
        }
        _ => integer.cast_to(data_type).ok(),
    }
}
