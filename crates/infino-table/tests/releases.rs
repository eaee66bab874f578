//! Tables that earlier releases wrote, kept as files beside this test: they open, and say what they said then.
//!
//! `releases/VERSION` holds a table as its objects, and `answers.txt`, what was asked of it when it was written. A release that
//! changes a format adds its own: `cargo test -p infino-table --test releases -- --ignored` writes the folder of the
//! current version, which must not exist yet. The folders of others never change.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float32Type, Int64Type, Schema};
use async_trait::async_trait;
use futures::TryStreamExt;
use infino_format::DocSet;
use infino_format::checksum::crc32c;
use infino_format::schema::{IndexSet, Metric, RerankCodec, TableSchema, TextIndex, VectorIndex};
use infino_format::summary::SuperfileSummary;
use infino_manifest::Snapshot;
use infino_storage::{MemoryStore, Store};
use infino_superfile::Superfile;
use infino_table::query::{rows, text, vector};
use infino_table::{
    RowFilter, Runtime, SchemaChange, Table, TableError, TableOptions, evolve, query,
};
use infino_vector::SearchParams;

const ROOT: &str = "t";
const DIM: i32 = 16;

fn folder(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases").join(release)
}

fn columns() -> Vec<Field> {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    vec![
        Field::new("n", DataType::Int64, false),
        Field::new("body", DataType::Utf8, true),
        Field::new("near", DataType::FixedSizeList(item, DIM), true),
    ]
}

fn schema() -> TableSchema {
    let body = TextIndex {
        column: "body".into(),
        analyzer: "standard-v1".into(),
        positions: true,
        stored: true,
    };
    let near = VectorIndex {
        column: "near".into(),
        dim: DIM as u32,
        metric: Metric::L2,
        rerank: RerankCodec::Sq8Residual,
        target_recall_millis: 950,
        stored: true,
    };
    let indexes = IndexSet { text: vec![body], vectors: vec![near], key: vec!["n".into()] };
    infino_superfile::table_schema(&Schema::new(columns()), indexes).unwrap()
}

fn batch(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
    let n: Vec<i64> = numbers.into_iter().collect();
    let body = n.iter().map(|n| (n % 5 != 3).then(|| format!("row {n} of a release, {}", n % 4)));
    let body: StringArray = body.collect();
    let near = n.iter().map(|n| {
        let item = |i: i32| Some(((n * 31 + i64::from(i) * 7) % 23) as f32);
        Some((0..DIM).map(item).collect::<Vec<_>>())
    });
    let near = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(near, DIM);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(n)), Arc::new(body), Arc::new(near)];
    RecordBatch::try_new(Arc::new(Schema::new(columns_of(&columns))), columns).unwrap()
}

fn columns_of(arrays: &[ArrayRef]) -> Vec<Field> {
    columns().into_iter().zip(arrays).map(|(field, _)| field).collect()
}

#[derive(Debug)]
struct Numbers(fn(i64) -> bool);

#[async_trait]
impl RowFilter for Numbers {
    fn may_match(&self, _: &SuperfileSummary) -> bool {
        true
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let batches: Vec<_> = file.scan(Some(&["n"]), None).await?.try_collect().await?;
        let values = batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values());
        let mut found = DocSet::empty(file.row_count());
        for (at, _) in (0..).zip(values).filter(|(_, n)| (self.0)(**n)) {
            found.insert(at);
        }
        Ok(found)
    }
}

fn options() -> TableOptions {
    TableOptions { probe: false, seal_bytes: 0, ..TableOptions::default() }
}

/// A table with one of everything: files, dead rows in and out of line, fresh rows, an upsert, a tag, a column that came
/// later, checkpoints and a tail.
async fn write(store: Arc<dyn Store>) -> Table {
    let runtime = Runtime::new(1).unwrap();
    let table = Table::create(store, ROOT, schema(), runtime, options()).await.unwrap();
    let append = async |numbers: std::ops::Range<i64>| {
        let mut writer = table.writer();
        writer.append(&batch(numbers)).await.unwrap();
        writer.commit().await.unwrap();
    };
    append(0..300).await;
    table.delete(Arc::new(Numbers(|n| n % 50 == 7))).await.unwrap();
    append(300..340).await;
    table.create_tag("early", None).await.unwrap();
    table.checkpoint().await.unwrap();
    table.upsert(&batch([5, 305, 1000])).await.unwrap();
    table.delete(Arc::new(Numbers(|n| (n * 7919) % 13 < 5))).await.unwrap();
    table.checkpoint().await.unwrap();
    let field = Field::new("later", DataType::Int64, true);
    table.alter(&[SchemaChange::AddColumn { field, default: None }]).await.unwrap();
    table.compact(&Default::default()).await.unwrap();
    table.checkpoint().await.unwrap();
    table.insert(&batch(2000..2003)).await.unwrap();
    append(400..420).await;
    table.delete(Arc::new(Numbers(|n| n == 2001 || n == 410))).await.unwrap();
    table
}

/// What a version says: its columns, how many rows, and the checksum of a line a row.
async fn dump(table: &Table, snapshot: &Snapshot, out: &mut String) {
    let names = snapshot.schema.columns.iter().map(|column| column.name.as_str());
    let names: Vec<_> = ["_id"].into_iter().chain(names).collect();
    let mut lines = Vec::new();
    for entry in snapshot.entries.iter() {
        let file = table.file(entry).await.unwrap();
        let mut keep = DocSet::full(entry.summary.row_count);
        keep.subtract(&query::dead_rows(table, entry).await.unwrap());
        let rows = evolve::scan(&file, &snapshot.schema, &names, Some(&keep)).await.unwrap();
        for batch in rows.try_collect::<Vec<_>>().await.unwrap() {
            for row in 0..batch.num_rows() {
                let id = batch.column(0).as_primitive::<Decimal128Type>().value(row);
                let n = batch.column(1).as_primitive::<Int64Type>().value(row);
                let body = batch.column(2).as_string::<i32>();
                let body = if body.is_null(row) { "-" } else { body.value(row) };
                let near = batch.column(3).as_fixed_size_list().value(row);
                let near: f32 = near.as_primitive::<Float32Type>().values().iter().sum();
                lines.push(format!("{id} {n} {near} {body}"));
            }
        }
    }
    lines.sort_unstable();
    let (rows, sum) = (lines.len(), crc32c(lines.join("\n").as_bytes()));
    let (version, names) = (snapshot.version, names[1..].join(","));
    writeln!(out, "version {version}: {rows} rows of {names}, {sum:08x}").unwrap();
}

/// What every kept version says, and what the newest answers.
async fn answers(table: &Table) -> String {
    let mut out = String::new();
    let newest = table.refresh().await.unwrap();
    for version in 1..=newest.version {
        dump(table, &table.at_version(version).await.unwrap(), &mut out).await;
    }
    out.push_str("tag early\n");
    dump(table, &table.at_tag("early").await.unwrap(), &mut out).await;
    for word in ["release", "305", "3"] {
        let query = infino_fts::Query::term("body", word);
        let hits = text::search(table, &newest, &query, 5, None).await.unwrap();
        let found = rows::fetch(table, &newest, &hits, None, &["n"]).await.unwrap();
        let found = found.column(1).as_primitive::<Int64Type>().values().to_vec();
        let scores: Vec<_> = hits.iter().map(|hit| format!("{:.4}", hit.value)).collect();
        writeln!(out, "{word:?}: {found:?} {scores:?}").unwrap();
    }
    let wanted: Vec<f32> = (0..DIM).map(|i| (i % 5) as f32).collect();
    let params = SearchParams { k: 5, exact: true, ..SearchParams::default() };
    let hits = vector::search(table, &newest, "near", &wanted, &params, None).await.unwrap();
    let found = rows::fetch(table, &newest, &hits, None, &["n"]).await.unwrap();
    let found = found.column(1).as_primitive::<Int64Type>().values().to_vec();
    writeln!(out, "nearest: {found:?}").unwrap();
    out
}

/// The objects of a folder of this repository, in a store of their own.
async fn load(folder: &Path) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut folders = vec![folder.join(ROOT)];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
            let bytes = fs::read(&path).unwrap().into();
            match name.ends_with("/head") {
                true => drop(store.swap(&name, None, bytes).await),
                false => store.put(&name, bytes).await.unwrap(),
            }
        }
    }
    store
}

#[tokio::test]
async fn tables_of_earlier_releases_open_and_go_on() {
    let mut releases: Vec<_> =
        fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    releases.sort();
    assert!(!releases.is_empty());
    for release in releases {
        let store = load(&release).await;
        let runtime = Runtime::new(1).unwrap();
        let table = Table::open(store, ROOT, runtime, options()).await.unwrap();
        let expected = fs::read_to_string(release.join("answers.txt")).unwrap();
        assert!(answers(&table).await == expected, "{}", release.display());
        assert!(table.verify().await.is_sound(), "{}", release.display());
        let report = table.upsert(&batch([5, 7000])).await.unwrap();
        assert_eq!((report.updated, report.inserted), (1, 1));
        table.optimize(Duration::ZERO).await.unwrap();
        assert!(table.verify().await.is_sound(), "{}", release.display());
    }
}

#[tokio::test]
#[ignore = "writes the folder of this release"]
async fn write_the_table_of_this_release() {
    let to = folder(env!("CARGO_PKG_VERSION"));
    assert!(!to.exists(), "{} never changes", to.display());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = write(store.clone()).await;
    for info in store.list("").await.unwrap() {
        let path = to.join(&info.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, store.get(&info.path).await.unwrap().0).unwrap();
    }
    fs::write(to.join("answers.txt"), answers(&table).await).unwrap();
}
