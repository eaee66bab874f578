//! Whether a dictionary pays for a column, judged by the file's first rows.
//!
//! A dictionary that overflows is kept for the pages written before, and is then read with every row of its row group for
//! nothing. So the number of distinct values is estimated before the first page is written.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};

use crate::SuperfileError;

/// Rows that are looked at.
pub(crate) const SAMPLE_ROWS: usize = 8192;

/// Most values of a leaf that are looked at, where rows hold many.
const LEAF_VALUES_MAX: usize = 2 * SAMPLE_ROWS;

/// Per leaf of the columns of `sample`, in Parquet's order, whether its distinct values are expected to take no more than
/// `bytes_max`; true where that cannot be told.
pub(crate) fn pays(sample: &RecordBatch, bytes_max: usize) -> Result<Vec<bool>, SuperfileError> {
    let mut found = Vec::new();
    sample.columns().iter().try_for_each(|column| leaves(column, bytes_max, &mut found))?;
    Ok(found)
}

/// Judges each leaf of a column.
fn leaves(
    values: &ArrayRef,
    bytes_max: usize,
    found: &mut Vec<bool>,
) -> Result<(), SuperfileError> {
    match values.data_type() {
        DataType::List(_) => leaves(&items(values.as_list::<i32>()), bytes_max, found),
        DataType::LargeList(_) => leaves(&items(values.as_list::<i64>()), bytes_max, found),
        DataType::Map(..) => {
            let map = values.as_map();
            let (first, last) = (map.offsets()[0] as usize, map.offsets()[map.len()] as usize);
            let entries = map.entries().slice(first, last - first);
            entries.columns().iter().try_for_each(|column| leaves(column, bytes_max, found))
        }
        DataType::Struct(_) => values
            .as_struct()
            .columns()
            .iter()
            .try_for_each(|column| leaves(column, bytes_max, found)),
        DataType::FixedSizeList(..) => {
            leaves(values.as_fixed_size_list().values(), bytes_max, found)
        }
        DataType::ListView(_) => leaves(values.as_list_view::<i32>().values(), bytes_max, found),
        DataType::LargeListView(_) => {
            leaves(values.as_list_view::<i64>().values(), bytes_max, found)
        }
        _ => {
            found.push(leaf_pays(values, bytes_max)?);
            Ok(())
        }
    }
}

/// The items that the lists hold.
fn items<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> ArrayRef {
    let offsets = lists.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[lists.len()].as_usize());
    lists.values().slice(first, last - first)
}

fn leaf_pays(sample: &ArrayRef, bytes_max: usize) -> Result<bool, SuperfileError> {
    let sample = sample.slice(0, sample.len().min(LEAF_VALUES_MAX));
    let sample = match sample.data_type() {
        DataType::Dictionary(_, values) => cast(&sample, values)?,
        _ => sample,
    };
    let filled = sample.len() - sample.logical_null_count();
    if filled == 0 {
        return Ok(true);
    }
    let converter = RowConverter::new(vec![SortField::new(sample.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(&sample))?;
    let distinct: HashSet<&[u8]> = (0..sample.len())
        .filter(|&row| sample.is_valid(row))
        .map(|row| rows.row(row).data())
        .collect();
    let value_bytes = distinct.iter().map(|value| value.len()).sum::<usize>() / distinct.len();
    let values = population(distinct.len() as f64, filled as f64);
    Ok(values * value_bytes as f64 <= bytes_max as f64)
}

/// How many values there are if `drawn` draws, all equally likely, gave `distinct` of them: the inverse of the
/// expectation `n (1 − exp(−drawn / n))`.
fn population(distinct: f64, drawn: f64) -> f64 {
    let (mut low, mut high) = (distinct, 1e9);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let expected = middle * (1.0 - (-drawn / middle).exp());
        if expected < distinct { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn few_values_pay_and_many_do_not() {
        let numbers = |of: i64| -> ArrayRef {
            Arc::new(
                (0..8192).map(|i: i64| i.wrapping_mul(0x9e37_79b9) % of).collect::<Int64Array>(),
            )
        };
        assert!(leaf_pays(&numbers(50), 64 << 10).unwrap());
        assert!(leaf_pays(&numbers(5_000), 128 << 10).unwrap());
        assert!(!leaf_pays(&numbers(1 << 40), 64 << 10).unwrap());
        let texts: StringArray =
            (0..8192).map(|i| Some(format!("{i}{}", "x".repeat(500)))).collect();
        assert!(!leaf_pays(&(Arc::new(texts) as ArrayRef), 256 << 10).unwrap());
        let nulls: StringArray = (0..10).map(|_| None::<&str>).collect();
        assert!(leaf_pays(&(Arc::new(nulls) as ArrayRef), 1).unwrap());
    }
}
