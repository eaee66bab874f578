//! `distance(column, vector [, metric])`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, GenericListArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use infino_format::schema::Metric;

use super::{invalid, scalar_vector};
use crate::sql::annotate::{METRIC, metric_name, metric_named};

/// Its name.
pub(in crate::sql) const DISTANCE: &str = "distance";

/// How far the vectors of a column are from a vector, each compared by itself. Smaller is nearer in every metric.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Distance {
    signature: Signature,
}

impl Distance {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn is_numbers(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => {
            item.data_type().is_numeric() || item.data_type().is_null()
        }
        _ => false,
    }
}

impl ScalarUDFImpl for Distance {
    fn name(&self) -> &str {
        DISTANCE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if !(2..=3).contains(&given.len()) {
            return Err(invalid(DISTANCE, "takes a column, a vector and perhaps a metric"));
        }
        if let Some(other) = given[..2].iter().find(|given| !is_numbers(given) && !given.is_null())
        {
            return Err(invalid(DISTANCE, format!("compares lists of numbers, not {other}")));
        }
        let text = given[2..].iter().map(|_| DataType::Utf8);
        Ok(given[..2].iter().cloned().chain(text).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let metric = match args.scalar_arguments.get(2) {
            Some(Some(name)) => {
                let name = name.try_as_str().flatten().unwrap_or_default();
                metric_named(name).ok_or_else(|| {
                    invalid(DISTANCE, format!("no metric is called {name:?}; known are l2, cosine, inner_product, hamming"))
                })?
            }
            Some(None) => return Err(invalid(DISTANCE, "the metric must be constant")),
            None => {
                let name =
                    args.arg_fields[..2].iter().find_map(|field| field.metadata().get(METRIC));
                name.and_then(|name| metric_named(name)).ok_or_else(|| {
                    let column = args.arg_fields[0].name();
                    invalid(DISTANCE, format!(
                        "{column:?} is no column of a table with a vector index on it; name the metric as third argument"
                    ))
                })?
            }
        };
        for (field, value) in args.arg_fields.iter().zip(args.scalar_arguments).take(2) {
            if let (DataType::FixedSizeList(_, dim), Some(other)) =
                (args.arg_fields[0].data_type(), value)
                && let Some(vector) = scalar_vector(other)
                && vector.len() != *dim as usize
            {
                return Err(invalid(
                    DISTANCE,
                    format!("{:?} has {dim} dimensions, the vector {}", field.name(), vector.len()),
                ));
            }
        }
        let metadata = [(METRIC.to_owned(), metric_name(metric).to_owned())].into();
        Ok(Arc::new(Field::new(DISTANCE, DataType::Float32, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let metric = args.return_field.metadata().get(METRIC).and_then(|name| metric_named(name));
        let metric = metric.ok_or_else(|| invalid(DISTANCE, "was planned without its column"))?;
        let rows = args.number_rows;
        let (left, right) = (&args.args[0], &args.args[1]);
        let constant = |side: &ColumnarValue| match side {
            ColumnarValue::Scalar(value) => Some(scalar_vector(value)),
            ColumnarValue::Array(_) => None,
        };
        let null = || Ok(ColumnarValue::Scalar(ScalarValue::Float32(None)));
        let sides = [(left, constant(left)), (right, constant(right))];
        if sides.iter().any(|(_, constant)| matches!(constant, Some(None))) {
            return null();
        }
        let vectors = sides.map(|(side, constant)| match constant {
            Some(constant) => Ok(Vectors::One(constant.expect("checked above"))),
            None => Vectors::of(&side.to_array(rows)?),
        });
        let [left, right] = vectors;
        let (left, right) = (left?, right?);
        let distances = (0..rows).map(|row| match (left.get(row), right.get(row)) {
            (Some(a), Some(b)) if a.len() == b.len() => Ok(Some(between(metric, a, b))),
            (Some(a), Some(b)) => Err(invalid(
                DISTANCE,
                format!("one vector has {} dimensions, the other {}", a.len(), b.len()),
            )),
            _ => Ok(None),
        });
        Ok(ColumnarValue::Array(Arc::new(distances.collect::<Result<Float32Array>>()?)))
    }
}

/// The vectors of one side.
enum Vectors {
    One(Vec<f32>),
    Rows { values: ArrayRef, places: Vec<Option<(usize, usize)>> },
}

impl Vectors {
    fn of(column: &ArrayRef) -> Result<Self> {
        let (values, places) = match column.data_type() {
            DataType::FixedSizeList(_, dim) => {
                let lists = column.as_fixed_size_list();
                let place = |row| {
                    let start = lists.value_offset(row) as usize;
                    lists.is_valid(row).then_some((start, start + *dim as usize))
                };
                (lists.values().clone(), (0..lists.len()).map(place).collect())
            }
            DataType::LargeList(_) => places::<i64>(column.as_list()),
            _ => places::<i32>(column.as_list()),
        };
        Ok(Self::Rows { values: cast(&values, &DataType::Float32)?, places })
    }

    fn get(&self, row: usize) -> Option<&[f32]> {
        match self {
            Self::One(vector) => Some(vector),
            Self::Rows { values, places } => {
                let (start, end) = places[row]?;
                let floats = values.as_primitive::<Float32Type>();
                let nulls =
                    floats.nulls().is_some_and(|nulls| (start..end).any(|at| nulls.is_null(at)));
                (!nulls).then(|| &floats.values()[start..end])
            }
        }
    }
}

fn places<O: OffsetSizeTrait>(
    lists: &GenericListArray<O>,
) -> (ArrayRef, Vec<Option<(usize, usize)>>) {
    let offsets = lists.value_offsets();
    let place = |row: usize| {
        lists.is_valid(row).then(|| (offsets[row].as_usize(), offsets[row + 1].as_usize()))
    };
    (lists.values().clone(), (0..lists.len()).map(place).collect())
}

fn between(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    infino_table::query::exact_distance(metric, a, b)
}
