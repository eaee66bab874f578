//! Every Arrow type that Parquet carries comes back as it went in; the others are refused with advice.

mod support;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit, UnionMode};
use futures::TryStreamExt;
use infino_superfile::{SuperfileError, table_schema};
use support::{batch, build, open, small, types};

const ROWS: usize = 2_000;

#[tokio::test]
async fn every_type_round_trips() {
    let (fields, columns): (Vec<_>, Vec<_>) = types::columns(ROWS).into_iter().unzip();
    let names: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
    let schema = table_schema(&Schema::new(fields), Default::default()).unwrap();
    let pushed = batch(&schema, 1, columns);
    let parts = [pushed.slice(0, 900), pushed.slice(900, ROWS - 900)];
    let (bytes, summary) = build(&schema, small(), &parts).unwrap();
    let (_, file) = open(bytes, Some(summary)).await;
    let stream = file.scan(None, None).await.unwrap();
    let found: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let found = concat_batches(file.schema(), &found).unwrap();
    for (at, name) in (1..).zip(&names) {
        assert_eq!(found.column(at), pushed.column(at), "{name}");
    }
    assert_eq!(found.schema().fields(), pushed.schema().fields());

    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let docs = [1_999, 0, 5, 700, 699, 1_234];
    let found = file.rows(&docs, &names).await.unwrap();
    let expected = take_record_batch(&pushed, &UInt32Array::from(docs.to_vec())).unwrap();
    for (at, name) in names.iter().enumerate() {
        assert_eq!(found.column(at), expected.column(at + 1), "{name}");
    }
}

fn check_refused(data_type: DataType, advice: &str) {
    let schema = Schema::new(vec![Field::new("column", data_type, true)]);
    match table_schema(&schema, Default::default()) {
        Err(SuperfileError::Invalid { problem }) => {
            assert!(problem.contains("column") && problem.contains(advice), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn types_that_parquet_lacks_are_refused() {
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    check_refused(
        DataType::Union(arrow::datatypes::UnionFields::empty(), UnionMode::Dense),
        "struct",
    );
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    check_refused(DataType::RunEndEncoded(ends, item.clone()), "cast");
    check_refused(DataType::Struct(Fields::empty()), "fields");
    check_refused(DataType::Time32(TimeUnit::Nanosecond), "not a type");
    for unit in [IntervalUnit::YearMonth, IntervalUnit::DayTime, IntervalUnit::MonthDayNano] {
        check_refused(DataType::Interval(unit), "struct");
    }
    check_refused(DataType::FixedSizeList(item.clone(), 0), "at least one");
    check_refused(DataType::FixedSizeBinary(0), "at least one");
    let list =
        DataType::List(Arc::new(Field::new("item", DataType::Struct(Fields::empty()), true)));
    check_refused(list, "fields");
    let keyed = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::List(item)));
    check_refused(keyed, "cast");
}

#[test]
fn names_that_cannot_be_are_refused() {
    for names in [&["_id"][..], &["inf.x"], &[""], &["a\nb"], &["a", "a"], &[]] {
        let fields: Vec<_> =
            names.iter().map(|name| Field::new(*name, DataType::Int8, true)).collect();
        let result = table_schema(&Schema::new(fields), Default::default());
        assert!(matches!(result, Err(SuperfileError::Invalid { .. })), "{names:?}");
    }
}
