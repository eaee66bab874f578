//! Columns and indexes that change while rows are there and writers write.

mod numbers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use futures::TryStreamExt;
use infino_manifest::Snapshot;
use infino_storage::fault::{Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::{SchemaChange, Table, TableError, evolve};
use infino_wal::{Conflict, WalError};
use numbers::*;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// All live rows of a version, with the columns that its schema has.
async fn all(table: &Table, snapshot: &Snapshot) -> RecordBatch {
    let names: Vec<_> = snapshot.schema.columns.iter().map(|column| column.name.as_str()).collect();
    let mut batches = Vec::new();
    for entry in snapshot.entries.iter() {
        let file = table.file(entry).await.unwrap();
        let mut keep = infino_format::DocSet::full(entry.summary.row_count);
        keep.subtract(&infino_table::query::dead_rows(table, entry).await.unwrap());
        let rows = evolve::scan(&file, &snapshot.schema, &names, Some(&keep)).await.unwrap();
        batches.extend(rows.try_collect::<Vec<_>>().await.unwrap());
    }
    let schema = infino_superfile::arrow_schema(&snapshot.schema).unwrap();
    compute::concat_batches(&schema, &batches).unwrap()
}

async fn now(table: &Table) -> RecordBatch {
    let snapshot = table.refresh().await.unwrap();
    all(table, &snapshot).await
}

fn ints(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn add(name: &str) -> SchemaChange {
    SchemaChange::AddColumn { field: Field::new(name, DataType::Int64, true), default: None }
}

async fn put(table: &Table, columns: &[(&str, i64)]) {
    let fields: Vec<_> =
        columns.iter().map(|(name, _)| Field::new(*name, DataType::Int64, true)).collect();
    let arrays = columns.iter().map(|(_, value)| Arc::new(Int64Array::from(vec![*value])) as _);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect()).unwrap();
    let mut writer = table.writer();
    writer.append(&batch).await.unwrap();
    writer.commit().await.unwrap();
}

#[tokio::test]
async fn columns_come_and_go_without_a_rewrite() {
    let table = create(memory(), options()).await;
    append(&table, 0..3).await;
    let report = table.alter(&[add("extra")]).await.unwrap();
    assert_eq!((report.version, report.superfiles_rewritten), (3, 0));
    put(&table, &[("n", 3), ("extra", 30)]).await;
    assert_eq!(ints(&now(&table).await, "extra"), [None, None, None, Some(30)]);
    // A search hands out the column of files that lack it, too.
    let hits = infino_table::query::text::index(&table.snapshot(), "body").unwrap().clone();
    assert_eq!(hits.column, "body");
    table.alter(&[SchemaChange::DropColumn("extra".into())]).await.unwrap();
    assert!(now(&table).await.column_by_name("extra").is_none());
    assert!(table.schema().unwrap().column_with_name("extra").is_none());
    // The name again is another column, though files hold the old one.
    let report = table.alter(&[add("extra")]).await.unwrap();
    assert_eq!(report.superfiles_rewritten, 2);
    assert_eq!(ints(&now(&table).await, "extra"), [None; 4]);
    // Each version is as it was.
    let old = table.at_version(4).await.unwrap();
    assert_eq!(ints(&all(&table, &old).await, "extra"), [None, None, None, Some(30)]);
    table.compact(&Default::default()).await.unwrap();
    assert_eq!(ints(&now(&table).await, "n"), [0, 1, 2, 3].map(Some));
    assert_eq!(ints(&now(&table).await, "extra"), [None; 4]);
}

#[tokio::test]
async fn files_of_several_generations_merge() {
    let table = create(memory(), options()).await;
    append(&table, 0..2).await;
    table.alter(&[add("a")]).await.unwrap();
    put(&table, &[("n", 2), ("a", 20)]).await;
    table.alter(&[add("b"), SchemaChange::DropColumn("a".into())]).await.unwrap();
    put(&table, &[("n", 3), ("b", 30)]).await;
    let before = now(&table).await;
    table.compact(&Default::default()).await.unwrap();
    assert_eq!(table.snapshot().entries.len(), 1);
    assert_eq!(now(&table).await, before);
    assert_eq!(ints(&before, "b"), [None, None, None, Some(30)]);
}

#[tokio::test]
async fn a_default_fills_the_rows_that_are_there() {
    let table = create(memory(), options()).await;
    append(&table, 0..3).await;
    table.delete(Arc::new(Between(1, 1))).await.unwrap();
    let default: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let field = Field::new("stock", DataType::Int64, false);
    let bare = SchemaChange::AddColumn { field: field.clone(), default: None };
    assert!(matches!(table.alter(&[bare]).await, Err(TableError::Invalid(_))));
    table.alter(&[SchemaChange::AddColumn { field, default: Some(default) }]).await.unwrap();
    put(&table, &[("n", 3), ("stock", 8)]).await;
    let rows = now(&table).await;
    assert_eq!(ints(&rows, "n"), [0, 2, 3].map(Some), "the dead row stays dead");
    assert_eq!(ints(&rows, "stock"), [7, 7, 8].map(Some));
}

#[tokio::test]
async fn columns_are_renamed_and_widened() {
    let table = create(memory(), options()).await;
    append(&table, 0..3).await;
    let changes = [
        SchemaChange::RenameColumn { from: "body".into(), to: "text".into() },
        SchemaChange::RenameColumn { from: "n".into(), to: "number".into() },
    ];
    let ids: Vec<_> = table.snapshot().schema.columns.iter().map(|c| c.field_id).collect();
    table.alter(&changes).await.unwrap();
    let rows = now(&table).await;
    assert_eq!(ints(&rows, "number"), [0, 1, 2].map(Some));
    assert!(rows.column_by_name("text").unwrap().as_string::<i32>().value(1).contains("row 1"));
    let after: Vec<_> = table.snapshot().schema.columns.iter().map(|c| c.field_id).collect();
    assert_eq!((ids, "text"), (after, table.snapshot().schema.indexes.text[0].column.as_str()));
    let small = Field::new("small", DataType::Int32, true);
    table.alter(&[SchemaChange::AddColumn { field: small, default: None }]).await.unwrap();
    let fields = vec![
        Field::new("number", DataType::Int64, true),
        Field::new("small", DataType::Int32, true),
    ];
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![3])),
        Arc::new(arrow::array::Int32Array::from(vec![-5])),
    ];
    let mut writer = table.writer();
    writer
        .append(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
        .await
        .unwrap();
    writer.commit().await.unwrap();
    let widen = |to| SchemaChange::WidenColumn { column: "small".into(), to };
    assert!(matches!(table.alter(&[widen(DataType::Int16)]).await, Err(TableError::Invalid(_))));
    assert_eq!(table.alter(&[widen(DataType::Float64)]).await.unwrap().superfiles_rewritten, 0);
    let rows = now(&table).await;
    let small = rows.column_by_name("small").unwrap().as_primitive::<Float64Type>();
    assert_eq!((small.value(3), small.null_count()), (-5.0, 3));
    table.compact(&Default::default()).await.unwrap();
    assert_eq!(now(&table).await, rows);
}

#[tokio::test]
async fn indexes_come_and_go_on_rows_that_are_there() {
    let table = create(memory(), options()).await;
    append(&table, 0..30).await;
    append(&table, 30..60).await;
    table.delete(Arc::new(Between(10, 12))).await.unwrap();
    table.alter(&[SchemaChange::DropTextIndex("body".into())]).await.unwrap();
    let snapshot = table.refresh().await.unwrap();
    let refused = infino_table::query::text::index(&snapshot, "body").cloned();
    assert!(matches!(refused, Err(TableError::NotIndexed { .. })));
    let mut keyword = text_index("body");
    keyword.analyzer = "keyword-v1".into();
    keyword.positions = false;
    let report = table.alter(&[SchemaChange::SetTextIndex(keyword)]).await.unwrap();
    assert_eq!(report.superfiles_rewritten, 2);
    let snapshot = table.refresh().await.unwrap();
    assert_eq!(snapshot.schema.indexes.text[0].analyzer, "keyword-v1");
    for entry in snapshot.entries.iter() {
        assert_eq!(entry.summary.text[0].docs, u64::from(entry.summary.row_count));
    }
    assert_eq!(live(&table).await, once((0..10).chain(13..60)));
    let unknown = SchemaChange::DropVectorIndex("body".into());
    assert!(matches!(table.alter(&[unknown]).await, Err(TableError::Invalid(_))));
}

#[tokio::test]
async fn rows_staged_under_the_old_schema_are_taken_only_where_they_are_right() {
    let columns = |name: &str| vec![SchemaChange::DropColumn(name.into())];
    let widen = SchemaChange::RenameColumn { from: "n".into(), to: "m".into() };
    for (changes, safe) in [
        (vec![add("extra")], true),
        (columns("body"), true),
        (vec![SchemaChange::DropTextIndex("body".into())], true),
        (vec![widen], false),
        (
            vec![
                SchemaChange::DropTextIndex("body".into()),
                SchemaChange::SetTextIndex(text_index("body")),
                add("x"),
            ],
            true,
        ),
    ] {
        let store = memory();
        let table = create(store.clone(), options()).await;
        append(&table, 0..2).await;
        let mut writer = table.writer();
        writer.append(&rows(2..4)).await.unwrap();
        open(store, options()).await.alter(&changes).await.unwrap();
        let outcome = writer.commit().await;
        match (&outcome, safe) {
            (Ok(_), true) => assert_eq!(ints(&now(&table).await, "n"), [0, 1, 2, 3].map(Some)),
            (Err(TableError::Wal(WalError::Conflict(Conflict::SchemaChanged { .. }))), false) => {}
            other => panic!("{changes:?}: {other:?}"),
        }
    }
}

/// Appends and deletes go on while every file is written anew; nothing is lost, doubled or brought back.
#[tokio::test]
async fn a_rewrite_beside_writers_keeps_what_they_did() {
    let store = FaultStore::new(memory(), 1);
    let table = create(store.clone(), options()).await;
    for i in 0..6 {
        append(&table, i * 10..i * 10 + 10).await;
    }
    store.add(Rule::new(Fault::Delay(Duration::from_millis(5))).on([StoreOperation::PutFile]));
    let other = open(store.clone(), options()).await;
    let default: arrow::array::ArrayRef = Arc::new(StringArray::from(vec!["new"]));
    let field = Field::new("state", DataType::Utf8, true);
    let changes = [SchemaChange::AddColumn { field, default: Some(default) }];
    let altering = table.alter(&changes);
    let writing = async {
        for i in 0..4 {
            tokio::time::sleep(Duration::from_millis(4)).await;
            other.delete(Arc::new(Between(i * 10, i * 10 + 1))).await.unwrap();
            append(&other, [100 + i]).await;
        }
    };
    let (report, ()) = tokio::join!(altering, writing);
    report.unwrap();
    let mut expected: BTreeMap<_, _> = once((0..60).chain(100..104));
    expected.retain(|n, _| *n >= 40 || n % 10 > 1);
    assert_eq!(live(&table).await, expected);
    let rows = now(&table).await;
    let state = rows.column_by_name("state").unwrap().as_string::<i32>();
    let n = ints(&rows, "n");
    assert!((0..rows.num_rows()).all(|at| n[at].unwrap() >= 100 || state.value(at) == "new"));
}
