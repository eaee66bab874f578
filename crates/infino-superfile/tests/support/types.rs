//! A column of every Arrow type that Parquet carries.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;

use super::mix;

/// The columns, `rows` long; about one in seven values is null, extremes come first.
pub fn columns(rows: usize) -> Vec<(Field, ArrayRef)> {
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    let mut add = |name: &str, array: ArrayRef| {
        columns.push((Field::new(name, array.data_type().clone(), true), array));
    };
    let bits: Int64Array = (0..rows).map(|row| value(row, 0).map(|bits| bits as i64)).collect();
    let bits: ArrayRef = Arc::new(bits);
    numbers(rows, &bits, &mut add);
    temporal(&bits, &mut add);
    bytes(rows, &mut add);
    nested(rows, &mut add);
    columns
}

/// Extremes, then numbers from all over; `None` for about one row in seven.
fn value(row: usize, salt: u64) -> Option<u64> {
    let extremes = [0, 1, u64::MAX, i64::MAX as u64, i64::MIN as u64, u64::from(u32::MAX)];
    match extremes.get(row) {
        Some(&extreme) => Some(extreme),
        None => {
            let bits = mix(row as u64 * 31 + salt);
            (!bits.is_multiple_of(7)).then_some(bits)
        }
    }
}

fn narrowed<T: ArrowPrimitiveType>(bits: &ArrayRef, narrow: impl Fn(i64) -> T::Native) -> ArrayRef {
    let bits = bits.as_primitive::<Int64Type>();
    Arc::new(bits.unary::<_, T>(narrow))
}

fn numbers(rows: usize, bits: &ArrayRef, add: &mut impl FnMut(&str, ArrayRef)) {
    add("null", Arc::new(NullArray::new(rows)));
    add(
        "bool",
        Arc::new((0..rows).map(|row| value(row, 1).map(|x| x % 2 == 1)).collect::<BooleanArray>()),
    );
    add("i8", narrowed::<Int8Type>(bits, |x| x as i8));
    add("i16", narrowed::<Int16Type>(bits, |x| x as i16));
    add("i32", narrowed::<Int32Type>(bits, |x| x as i32));
    add("i64", bits.clone());
    add("u8", narrowed::<UInt8Type>(bits, |x| x as u8));
    add("u16", narrowed::<UInt16Type>(bits, |x| x as u16));
    add("u32", narrowed::<UInt32Type>(bits, |x| x as u32));
    add("u64", narrowed::<UInt64Type>(bits, |x| x as u64));
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1.5];
    let float = move |row: usize| {
        value(row, 2).map(|x| special.get(row).copied().unwrap_or(x as i64 as f64 / 1e9))
    };
    add("f64", Arc::new((0..rows).map(float).collect::<Float64Array>()));
    add(
        "f32",
        Arc::new((0..rows).map(|row| float(row).map(|x| x as f32)).collect::<Float32Array>()),
    );
    let small: Float32Array =
        (0..rows).map(|row| value(row, 3).map(|x| (x % 999) as f32 / 8.0)).collect();
    add("f16", cast(&small, &DataType::Float16).unwrap());
    let decimal = |precision: u32| {
        let top = 10i128.pow(precision.min(37));
        move |x: i64| (i128::from(x) * 1_000_003) % top
    };
    let d32: Decimal32Array =
        narrowed::<Decimal32Type>(bits, |x| decimal(9)(x) as i32).as_primitive().clone();
    add("decimal32", Arc::new(d32.with_precision_and_scale(9, 2).unwrap()));
    let d64: Decimal64Array =
        narrowed::<Decimal64Type>(bits, |x| decimal(18)(x) as i64).as_primitive().clone();
    add("decimal64", Arc::new(d64.with_precision_and_scale(18, 4).unwrap()));
    for (name, precision, scale) in
        [("decimal128_9", 9, 2), ("decimal128_18", 18, 0), ("decimal128_38", 38, 10)]
    {
        let array: Decimal128Array =
            narrowed::<Decimal128Type>(bits, decimal(precision)).as_primitive().clone();
        add(name, Arc::new(array.with_precision_and_scale(precision as u8, scale).unwrap()));
    }
    let wide =
        |x: i64| i256::from_i128(decimal(37)(x)).wrapping_mul(i256::from_i128(i128::from(x)));
    let d256: Decimal256Array = narrowed::<Decimal256Type>(bits, wide).as_primitive().clone();
    add("decimal256", Arc::new(d256.with_precision_and_scale(76, 5).unwrap()));
}

fn temporal(bits: &ArrayRef, add: &mut impl FnMut(&str, ArrayRef)) {
    let day = 86_400;
    add("date32", narrowed::<Date32Type>(bits, |x| (x % 20_000) as i32));
    add("date64", narrowed::<Date64Type>(bits, move |x| x % 20_000 * day * 1000));
    add("time32_s", narrowed::<Time32SecondType>(bits, move |x| x.rem_euclid(day) as i32));
    add(
        "time32_ms",
        narrowed::<Time32MillisecondType>(bits, move |x| x.rem_euclid(day * 1000) as i32),
    );
    add(
        "time64_us",
        narrowed::<Time64MicrosecondType>(bits, move |x| x.rem_euclid(day * 1_000_000)),
    );
    add(
        "time64_ns",
        narrowed::<Time64NanosecondType>(bits, move |x| x.rem_euclid(day * 1_000_000_000)),
    );
    let span = |x: i64, unit: i64| x % (4_000_000_000 * unit / 2);
    add("timestamp_s", narrowed::<TimestampSecondType>(bits, |x| span(x, 1)));
    add("timestamp_ms", narrowed::<TimestampMillisecondType>(bits, |x| span(x, 1_000)));
    add("timestamp_us", narrowed::<TimestampMicrosecondType>(bits, |x| span(x, 1_000_000)));
    add("timestamp_ns", narrowed::<TimestampNanosecondType>(bits, |x| span(x, 1_000_000_000)));
    let zoned = narrowed::<TimestampMicrosecondType>(bits, |x| span(x, 1_000_000));
    let zoned = zoned.as_primitive::<TimestampMicrosecondType>().clone();
    add("timestamp_utc", Arc::new(zoned.clone().with_timezone("UTC")));
    add("timestamp_offset", Arc::new(zoned.with_timezone("+02:00")));
    add("duration_s", narrowed::<DurationSecondType>(bits, |x| x));
    add("duration_ms", narrowed::<DurationMillisecondType>(bits, |x| x));
    add("duration_us", narrowed::<DurationMicrosecondType>(bits, |x| x));
    add("duration_ns", narrowed::<DurationNanosecondType>(bits, |x| x));
}

fn bytes(rows: usize, add: &mut impl FnMut(&str, ArrayRef)) {
    let text = |row: usize, salt: u64| {
        value(row, salt).map(|x| match x % 5 {
            0 => String::new(),
            1 => format!("käse {x}"),
            2 => "東京".repeat((x % 9) as usize + 1),
            3 => format!("row {row}: {}", "word ".repeat((x % 40) as usize)),
            _ => format!("tag-{}", x % 20),
        })
    };
    let utf8: StringArray = (0..rows).map(|row| text(row, 4)).collect();
    let binary = cast(&utf8, &DataType::Binary).unwrap();
    add("large_utf8", cast(&utf8, &DataType::LargeUtf8).unwrap());
    add("utf8_view", cast(&utf8, &DataType::Utf8View).unwrap());
    add("binary", binary.clone());
    add("large_binary", cast(&binary, &DataType::LargeBinary).unwrap());
    add("binary_view", cast(&binary, &DataType::BinaryView).unwrap());
    let fixed = (0..rows).map(|row| value(row, 5).map(|x| [x as u8, (x >> 8) as u8, 7]));
    add(
        "fixed_binary",
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 3).unwrap()),
    );
    let tags: StringArray =
        (0..rows).map(|row| value(row, 6).map(|x| format!("tag {}", x % 9))).collect();
    let keyed =
        |values: DataType| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    add("dictionary_utf8", cast(&tags, &keyed(DataType::Utf8)).unwrap());
    let small: Int64Array = (0..rows).map(|row| value(row, 7).map(|x| (x % 9) as i64)).collect();
    add("dictionary_i64", cast(&small, &keyed(DataType::Int64)).unwrap());
    add("utf8", Arc::new(utf8));
}

/// Lengths 0 to 3, some lists null.
fn lists(rows: usize, salt: u64) -> (Vec<i32>, NullBuffer) {
    let mut offsets = vec![0];
    let mut valid = Vec::new();
    for row in 0..rows {
        let found = value(row, salt);
        valid.push(found.is_some());
        offsets.push(offsets[row] + found.map_or(0, |x| (x % 4) as i32));
    }
    (offsets, valid.into())
}

fn nested(rows: usize, add: &mut impl FnMut(&str, ArrayRef)) {
    let ints = |len: usize, salt: u64| -> ArrayRef {
        Arc::new((0..len).map(|i| value(i, salt).map(|x| x as i64)).collect::<Int64Array>())
    };
    let texts = |len: usize, salt: u64| -> ArrayRef {
        Arc::new(
            (0..len)
                .map(|i| value(i, salt).map(|x| format!("t{}", x % 99)))
                .collect::<StringArray>(),
        )
    };
    let item = |data_type: &DataType| Arc::new(Field::new("item", data_type.clone(), true));

    let (offsets, valid) = lists(rows, 8);
    let len = *offsets.last().unwrap() as usize;
    let list = ListArray::new(
        item(&DataType::Int64),
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        ints(len, 9),
        Some(valid),
    );
    add("large_list", cast(&list, &DataType::LargeList(item(&DataType::Int64))).unwrap());
    add("list", Arc::new(list));

    let valid: Vec<bool> = (0..rows).map(|row| value(row, 10).is_some()).collect();
    let fixed =
        FixedSizeListArray::new(item(&DataType::Int64), 2, ints(rows * 2, 11), Some(valid.into()));
    add("fixed_list", Arc::new(fixed));

    let fields: Fields =
        vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)].into();
    let valid: Vec<bool> = (0..rows).map(|row| value(row, 12).is_some()).collect();
    let structs =
        StructArray::new(fields.clone(), vec![ints(rows, 13), texts(rows, 14)], Some(valid.into()));
    add("struct", Arc::new(structs));

    let (offsets, valid) = lists(rows, 15);
    let len = *offsets.last().unwrap() as usize;
    let inner = StructArray::new(fields, vec![ints(len, 16), texts(len, 17)], None);
    add(
        "list_of_struct",
        Arc::new(ListArray::new(
            item(inner.data_type()),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Arc::new(inner),
            Some(valid),
        )),
    );

    let (offsets, valid) = lists(rows, 18);
    let len = *offsets.last().unwrap() as usize;
    let entries: Fields =
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)]
            .into();
    let keys: StringArray = (0..len).map(|i| Some(format!("k{i}"))).collect();
    let entries = StructArray::new(entries, vec![Arc::new(keys), ints(len, 19)], None);
    add(
        "map",
        Arc::new(MapArray::new(
            Arc::new(Field::new("entries", entries.data_type().clone(), false)),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            entries,
            Some(valid),
            false,
        )),
    );
}
