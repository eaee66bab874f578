//! What the values of a column lie between, gathered as rows are pushed.
//!
//! Bounds follow the order in which Arrow compares: a column that holds a NaN has none, because NaN stands above (or,
//! negative, below) every other float; a bound of zero is widened to cover both zeros; long text and bytes are cut.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{bool_and, bool_or, cast, max, min};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use infino_format::summary::{ColumnStats, Scalar};

use crate::SuperfileError;

/// Longest bound of text or bytes.
const CUT_BYTES: usize = 64;

/// The statistics of a whole column.
///
/// # Errors
/// `Arrow` if a dictionary cannot be unpacked.
pub fn column_stats(field_id: u32, values: &ArrayRef) -> Result<ColumnStats, SuperfileError> {
    let mut stats = StatsBuilder::new(field_id);
    stats.push(values)?;
    Ok(stats.finish())
}

/// Gathers one column.
#[derive(Debug)]
pub(crate) struct StatsBuilder {
    field_id: u32,
    null_count: u64,
    bounds: Option<(Scalar, Scalar)>,
    has_nan: bool,
}

impl StatsBuilder {
    pub(crate) fn new(field_id: u32) -> Self {
        Self { field_id, null_count: 0, bounds: None, has_nan: false }
    }

    /// Takes in the next rows.
    pub(crate) fn push(&mut self, values: &ArrayRef) -> Result<(), SuperfileError> {
        self.null_count += values.logical_null_count() as u64;
        if let DataType::Dictionary(_, value_type) = values.data_type() {
            return self.bound(&cast(values, value_type)?);
        }
        self.bound(values)
    }

    pub(crate) fn finish(self) -> ColumnStats {
        let Self { field_id, null_count, bounds, has_nan } = self;
        let Some((min, max)) = bounds.filter(|_| !has_nan) else {
            return ColumnStats { field_id, null_count, min: None, max: None, exact: false };
        };
        let (min, min_exact) = lower(min);
        let (max, max_exact) = upper(max);
        let exact = min_exact && max_exact && max.is_some();
        ColumnStats { field_id, null_count, min: Some(min), max, exact }
    }

    fn bound(&mut self, values: &ArrayRef) -> Result<(), SuperfileError> {
        let bounds = match values.data_type() {
            DataType::Boolean => bool_bounds(values.as_boolean()),
            DataType::Float16 => self.float_bounds::<Float16Type>(values, |x| x.to_f64()),
            DataType::Float32 => self.float_bounds::<Float32Type>(values, f64::from),
            DataType::Float64 => self.float_bounds::<Float64Type>(values, |x| x),
            DataType::Utf8 => text_bounds(values.as_string::<i32>().iter()),
            DataType::LargeUtf8 => text_bounds(values.as_string::<i64>().iter()),
            DataType::Utf8View => text_bounds(values.as_string_view().iter()),
            DataType::Binary => byte_bounds(values.as_binary::<i32>().iter()),
            DataType::LargeBinary => byte_bounds(values.as_binary::<i64>().iter()),
            DataType::BinaryView => byte_bounds(values.as_binary_view().iter()),
            DataType::FixedSizeBinary(_) => byte_bounds(values.as_fixed_size_binary().iter()),
            _ => number_bounds(values),
        };
        if let Some((low, high)) = bounds {
            self.bounds = Some(match self.bounds.take() {
                None => (low, high),
                Some((min, max)) => (
                    if below(&low, &min) { low } else { min },
                    if below(&max, &high) { high } else { max },
                ),
            });
        }
        Ok(())
    }

    fn float_bounds<T: ArrowPrimitiveType>(
        &mut self,
        values: &ArrayRef,
        widen: impl Fn(T::Native) -> f64,
    ) -> Option<(Scalar, Scalar)> {
        let mut bounds: Option<(f64, f64)> = None;
        for value in values.as_primitive::<T>().iter().flatten().map(widen) {
            self.has_nan |= value.is_nan();
            let (low, high) = bounds.get_or_insert((value, value));
            *low = if value.total_cmp(low).is_lt() { value } else { *low };
            *high = if value.total_cmp(high).is_gt() { value } else { *high };
        }
        bounds.map(|(low, high)| (Scalar::Float(low), Scalar::Float(high)))
    }
}

fn bool_bounds(values: &BooleanArray) -> Option<(Scalar, Scalar)> {
    Some((Scalar::Bool(bool_and(values)?), Scalar::Bool(bool_or(values)?)))
}

fn text_bounds<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Option<(Scalar, Scalar)> {
    let (low, high) = ends(values.flatten())?;
    Some((Scalar::Text(low.to_owned()), Scalar::Text(high.to_owned())))
}

fn byte_bounds<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Option<(Scalar, Scalar)> {
    let (low, high) = ends(values.flatten())?;
    Some((Scalar::Binary(low.to_vec()), Scalar::Binary(high.to_vec())))
}

fn ends<T: Ord + Copy>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}

fn number_bounds(values: &ArrayRef) -> Option<(Scalar, Scalar)> {
    macro_rules! bounds {
        ($scalar:ident, $($pattern:pat => $type:ty),* $(,)?) => {
            match values.data_type() {
                $($pattern => {
                    let values = values.as_primitive::<$type>();
                    return Some((
                        Scalar::$scalar(min(values)?.into()),
                        Scalar::$scalar(max(values)?.into()),
                    ));
                })*
                _ => {}
            }
        };
    }
    bounds!(Int,
        DataType::Int8 => Int8Type,
        DataType::Int16 => Int16Type,
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::Date32 => Date32Type,
        DataType::Date64 => Date64Type,
        DataType::Time32(TimeUnit::Second) => Time32SecondType,
        DataType::Time32(TimeUnit::Millisecond) => Time32MillisecondType,
        DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType,
        DataType::Time64(TimeUnit::Nanosecond) => Time64NanosecondType,
        DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
        DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
        DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
        DataType::Duration(TimeUnit::Second) => DurationSecondType,
        DataType::Duration(TimeUnit::Millisecond) => DurationMillisecondType,
        DataType::Duration(TimeUnit::Microsecond) => DurationMicrosecondType,
        DataType::Duration(TimeUnit::Nanosecond) => DurationNanosecondType,
    );
    bounds!(UInt,
        DataType::UInt8 => UInt8Type,
        DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type,
        DataType::UInt64 => UInt64Type,
    );
    bounds!(Decimal,
        DataType::Decimal32(..) => Decimal32Type,
        DataType::Decimal64(..) => Decimal64Type,
        DataType::Decimal128(..) => Decimal128Type,
    );
    None
}

/// Whether `a` is below `b`; both are of one column.
fn below(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a < b,
        (Scalar::Int(a), Scalar::Int(b)) => a < b,
        (Scalar::UInt(a), Scalar::UInt(b)) => a < b,
        (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b).is_lt(),
        (Scalar::Decimal(a), Scalar::Decimal(b)) => a < b,
        (Scalar::Text(a), Scalar::Text(b)) => a < b,
        (Scalar::Binary(a), Scalar::Binary(b)) => a < b,
        _ => unreachable!("the values of a column are of one kind"),
    }
}

/// A value that nothing at or above `min` is below, and whether it is `min` itself.
fn lower(min: Scalar) -> (Scalar, bool) {
    match min {
        Scalar::Float(0.0) => (Scalar::Float(-0.0), false),
        Scalar::Text(text) if text.len() > CUT_BYTES => {
            (Scalar::Text(text[..text.floor_char_boundary(CUT_BYTES)].to_owned()), false)
        }
        Scalar::Binary(bytes) if bytes.len() > CUT_BYTES => {
            (Scalar::Binary(bytes[..CUT_BYTES].to_vec()), false)
        }
        other => (other, true),
    }
}

/// A value that nothing at or below `max` is above, if a short one exists, and whether it is `max` itself.
fn upper(max: Scalar) -> (Option<Scalar>, bool) {
    match max {
        Scalar::Float(0.0) => (Some(Scalar::Float(0.0)), false),
        Scalar::Text(text) if text.len() > CUT_BYTES => {
            (text_above(&text[..text.floor_char_boundary(CUT_BYTES)]).map(Scalar::Text), false)
        }
        Scalar::Binary(bytes) if bytes.len() > CUT_BYTES => {
            (bytes_above(&bytes[..CUT_BYTES]).map(Scalar::Binary), false)
        }
        other => (Some(other), true),
    }
}

/// The least text of its length or shorter that is above everything that begins with `prefix`.
fn text_above(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The surrogates are not characters: the step over them goes to the first that is one again.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            return Some(chars.into_iter().chain([next]).collect());
        }
    }
    None
}

/// As [`text_above`], of bytes.
fn bytes_above(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut above = prefix[..=keep].to_vec();
    above[keep] += 1;
    Some(above)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, StringArray};

    use super::*;

    fn stats(values: ArrayRef) -> ColumnStats {
        let mut builder = StatsBuilder::new(1);
        for at in 0..values.len() {
            builder.push(&values.slice(at, 1)).unwrap();
        }
        builder.finish()
    }

    fn floats(values: &[f64]) -> (Option<Scalar>, Option<Scalar>, bool) {
        let found = stats(Arc::new(Float64Array::from(values.to_vec())));
        (found.min, found.max, found.exact)
    }

    #[test]
    fn bounds_are_values_that_occur() {
        let found = stats(Arc::new(Int32Array::from(vec![Some(3), None, Some(-7)])));
        assert_eq!(found.null_count, 1);
        assert_eq!((found.min, found.max), (Some(Scalar::Int(-7)), Some(Scalar::Int(3))));
        assert!(found.exact);
    }

    #[test]
    fn zeros_are_widened_and_a_nan_leaves_no_bounds() {
        assert_eq!(
            floats(&[1.5, -2.0]),
            (Some(Scalar::Float(-2.0)), Some(Scalar::Float(1.5)), true)
        );
        let (min, max, exact) = floats(&[0.0]);
        assert!(matches!(min, Some(Scalar::Float(x)) if x.is_sign_negative()));
        assert!(matches!(max, Some(Scalar::Float(x)) if x.is_sign_positive()));
        assert!(!exact);
        assert_eq!(floats(&[1.0, f64::NAN]), (None, None, false));
        assert_eq!(floats(&[]), (None, None, false));
    }

    #[test]
    fn long_text_is_cut_to_bounds_that_hold() {
        let cases = ["ä".repeat(40), "\u{10ffff}".repeat(40), "\u{d7ff}".repeat(30)];
        for text in cases {
            let found = stats(Arc::new(StringArray::from(vec![text.as_str()])));
            assert!(!found.exact);
            assert!(matches!(&found.min, Some(Scalar::Text(min)) if *min <= text));
            match &found.max {
                Some(Scalar::Text(max)) => assert!(*max > text && max.len() <= CUT_BYTES + 4),
                other => assert!(other.is_none() && text.starts_with('\u{10ffff}')),
            }
        }
        assert_eq!(bytes_above(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(bytes_above(&[0xff]), None);
    }
}
