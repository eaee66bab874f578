//! Whether a dictionary pays for a column, judged by the file's first rows.
//!
//! A dictionary that overflows is kept for the pages written before, and is then read with every row of its row group for
//! nothing. So the number of distinct values is estimated before the first page is written.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use crate::SuperfileError;

/// Rows that are looked at.
pub(crate) const SAMPLE_ROWS: usize = 8192;

/// Whether the distinct values of a flat column are expected to take no more than `bytes_max`; true if that cannot be
/// told.
pub(crate) fn pays(sample: &ArrayRef, bytes_max: usize) -> Result<bool, SuperfileError> {
    let sample = match sample.data_type() {
        DataType::Dictionary(_, values) => cast(sample, values)?,
        _ => sample.clone(),
    };
    let filled = sample.len() - sample.logical_null_count();
    if sample.data_type().is_nested() || filled == 0 {
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
        assert!(pays(&numbers(50), 64 << 10).unwrap());
        assert!(pays(&numbers(5_000), 128 << 10).unwrap());
        assert!(!pays(&numbers(1 << 40), 64 << 10).unwrap());
        let texts: StringArray =
            (0..8192).map(|i| Some(format!("{i}{}", "x".repeat(500)))).collect();
        assert!(!pays(&(Arc::new(texts) as ArrayRef), 256 << 10).unwrap());
        let nulls: StringArray = (0..10).map(|_| None::<&str>).collect();
        assert!(pays(&(Arc::new(nulls) as ArrayRef), 1).unwrap());
    }
}
