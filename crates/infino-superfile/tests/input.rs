//! What cannot be written is refused, named, and leaves the builder as it was.

mod support;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int32Array, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Float32Type};
use infino_format::schema::{IndexSet, Metric, TextIndex};
use infino_superfile::{
    SuperfileBuilder, SuperfileError, SuperfileOptions, arrow_schema, table_schema,
};
use support::{DIM, batch, batch_with_ids, indexed_columns, indexed_schema};

/// Pushes a good batch around a bad one: only the bad one is refused, and its message holds `words`.
fn check_refused(bad: RecordBatch, words: &[&str]) {
    let schema = indexed_schema();
    let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default()).unwrap();
    builder.push(&batch(&schema, 1, indexed_columns(0..10))).unwrap();
    match builder.push(&bad) {
        Err(SuperfileError::Invalid { problem }) => {
            let missing = words.iter().find(|word| !problem.contains(*word));
            assert!(missing.is_none(), "{problem:?} lacks {missing:?}");
        }
        other => panic!("{other:?}"),
    }
    builder.push(&batch(&schema, 11, indexed_columns(10..20))).unwrap();
    let (_, summary) = builder.finish().unwrap();
    assert_eq!(summary.row_count, 20);
    let text = &indexed_columns(0..20)[1];
    assert_eq!(summary.text[0].docs, 20 - text.null_count() as u64);
    assert_eq!(summary.columns[1].null_count, text.null_count() as u64);
}

/// Columns with one item of the first vector replaced.
fn with_item(item: Option<f32>) -> Vec<ArrayRef> {
    let mut columns = indexed_columns(0..10);
    let lists = columns[2].as_fixed_size_list();
    let mut items: Vec<Option<f32>> = lists.values().as_primitive::<Float32Type>().iter().collect();
    let row = (0..10).find(|&row| lists.is_valid(row)).unwrap();
    items[row * DIM as usize + 3] = item;
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let items: Float32Array = items.into_iter().collect();
    let nulls = lists.nulls().cloned();
    columns[2] = Arc::new(FixedSizeListArray::new(item, DIM as i32, Arc::new(items), nulls));
    columns
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let schema = indexed_schema();
    let columns = || indexed_columns(0..10);
    check_refused(batch(&schema, 5, columns()), &["_id", "row 0", "ascend"]);
    let descending = (0..10).map(|row| 100 - row);
    check_refused(batch_with_ids(&schema, descending, columns()), &["_id", "row 1"]);
    for item in [Some(f32::NAN), Some(f32::INFINITY), None] {
        check_refused(batch(&schema, 50, with_item(item)), &["embedding", "item 3"]);
    }

    let good = batch(&schema, 50, columns());
    check_refused(good.project(&[0, 1, 2]).unwrap(), &["embedding", "body"]);
    check_refused(good.project(&[0, 1, 2, 4, 3]).unwrap(), &["key", "embedding"]);
    let mut columns = good.columns().to_vec();
    columns[1] = Arc::new(Int32Array::from(vec![1; 10]));
    let wrong = RecordBatch::try_from_iter_with_nullable(
        good.schema()
            .fields()
            .iter()
            .zip(columns)
            .map(|(field, column)| (field.name().clone(), column, true)),
    );
    check_refused(wrong.unwrap(), &["\"n\"", "Int32", "Int64"]);
}

#[test]
fn a_zero_vector_has_no_direction() {
    let mut schema = indexed_schema();
    schema.indexes.vectors[0].metric = Metric::Cosine;
    let mut columns = indexed_columns(0..10);
    let items = Float32Array::from(vec![0.0; 10 * DIM as usize]);
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    columns[2] = Arc::new(FixedSizeListArray::new(item, DIM as i32, Arc::new(items), None));
    let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default()).unwrap();
    let result = builder.push(&batch(&schema, 1, columns));
    assert!(
        matches!(result, Err(SuperfileError::Invalid { problem }) if problem.contains("zeros"))
    );
}

#[test]
fn a_file_without_rows_is_refused() {
    let schema = indexed_schema();
    let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default()).unwrap();
    builder.push(&batch(&schema, 1, indexed_columns(0..0))).unwrap();
    assert!(matches!(builder.finish(), Err(SuperfileError::Invalid { .. })));
}

#[test]
fn indexes_that_fit_no_column_are_refused() {
    let good = indexed_schema();
    let plain = arrow_schema(&good).unwrap();
    let text = |column: &str| TextIndex { column: column.into(), ..good.indexes.text[0].clone() };
    let mut dim = good.indexes.clone();
    dim.vectors[0].dim = 17;
    let mut narrow = good.indexes.clone();
    narrow.vectors[0].dim = 15;
    let bad = [
        (IndexSet { text: vec![text("nope")], ..IndexSet::default() }, "nope"),
        (IndexSet { text: vec![text("n")], ..IndexSet::default() }, "Int64"),
        (IndexSet { text: vec![text("body"), text("body")], ..IndexSet::default() }, "two"),
        (dim, "17"),
        (narrow, "15"),
    ];
    for (indexes, word) in bad {
        match table_schema(&plain, indexes) {
            Err(SuperfileError::Invalid { problem }) => {
                assert!(problem.contains(word), "{problem}")
            }
            other => panic!("{other:?}"),
        }
    }
    let mut unknown = good.clone();
    unknown.indexes.text[0].analyzer = "klingon-v1".into();
    let result = SuperfileBuilder::new(&unknown, SuperfileOptions::default());
    assert!(matches!(result, Err(SuperfileError::Text(_))));
}

#[test]
fn a_writer_that_fails_is_an_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let schema = indexed_schema();
    for room in [0, 10, 1_000, 10_000, 20_000] {
        let mut builder = SuperfileBuilder::new(&schema, SuperfileOptions::default()).unwrap();
        builder.push(&batch(&schema, 1, indexed_columns(0..200))).unwrap();
        let result = builder.finish_to(&mut Full(room));
        assert!(matches!(result, Err(SuperfileError::Io { .. })), "{room}: {result:?}");
    }
}
