//! Searches over the sections of a superfile answer as over the same index alone, in few round trips.

mod support;

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use infino_format::fetch::run_resident;
use infino_format::summary::SectionKind;
use infino_fts::{CorpusStats, FtsBuilder, FtsReader, Operator, Query};
use infino_superfile::{Superfile, SuperfileError, table_schema};
use infino_vector::{IvfBuilder, IvfIndex, IvfSpec, SearchParams};
use support::{DIM, batch, build, indexed_columns, indexed_schema, mix, open, small};

const ROWS: u64 = 3_000;
const BODY: &str = "body";
const EMBEDDING: u32 = 3;

async fn opened() -> (Arc<support::OneObject>, Arc<Superfile>) {
    let schema = indexed_schema();
    let batches: Vec<_> = (0..ROWS)
        .step_by(1_000)
        .map(|at| batch(&schema, 1 + u128::from(at), indexed_columns(at..at + 1_000)))
        .collect();
    let (bytes, summary) = build(&schema, small(), &batches).unwrap();
    open(bytes, Some(summary)).await
}

fn queries() -> Vec<Query> {
    vec![
        Query::matching(BODY, "brown fox", Operator::Or),
        Query::matching(BODY, "lazy rust compiles", Operator::And),
        Query::phrase(BODY, "brown fox"),
        Query::term(BODY, "row77"),
        Query::term("key", "key-7"),
        Query::matching(BODY, "absent", Operator::Or),
    ]
}

#[tokio::test]
async fn text_answers_as_the_index_alone() {
    let columns = indexed_columns(0..ROWS);
    let (body, key) = (columns[1].as_string::<i32>(), columns[3].as_string::<i32>());
    let mut builder = FtsBuilder::new(&indexed_schema().indexes.text, Default::default()).unwrap();
    for row in 0..ROWS as usize {
        let value = |column: &arrow::array::StringArray| {
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        builder.push(&[value(body).as_deref(), value(key).as_deref()]).unwrap();
    }
    let section = bytes::Bytes::from(builder.finish().unwrap().0);
    let alone = FtsReader::resident(section.clone()).unwrap();

    let (store, file) = opened().await;
    let reader = file.text().await.unwrap();
    store.spent();
    for query in queries() {
        let prepared = run_resident(&section, alone.prepare(&query).unwrap()).unwrap();
        let stats = CorpusStats::of(&alone, &prepared);
        let search = alone.search(&prepared, &stats, 10, None, None).unwrap();
        let expected = run_resident(&section, search).unwrap();

        let prepared = file.run_text(reader.prepare(&query).unwrap()).await.unwrap();
        let stats = CorpusStats::of(&reader, &prepared);
        let search = reader.search(&prepared, &stats, 10, None, None).unwrap();
        assert_eq!(file.run_text(search).await.unwrap(), expected, "{query:?}");
        assert!(store.spent().0 <= 2, "{query:?}");
    }
}

#[tokio::test]
async fn vectors_answer_as_the_index_alone() {
    let schema = indexed_schema();
    let spec = IvfSpec::from(&schema.indexes.vectors[0]);
    let mut builder = IvfBuilder::new(spec, Default::default()).unwrap();
    let columns = indexed_columns(0..ROWS);
    let vectors = columns[2].as_fixed_size_list();
    for row in (0..ROWS as usize).filter(|&row| vectors.is_valid(row)) {
        let vector = vectors.value(row);
        builder.push(row as u32, vector.as_primitive::<Float32Type>().values()).unwrap();
    }
    let alone = IvfIndex::resident(builder.finish().unwrap().0.into()).unwrap();

    let (store, file) = opened().await;
    let index = file.vector(EMBEDDING).await.unwrap();
    assert_eq!(u64::from(index.len()), file.summary().vectors[0].vectors);
    store.spent();
    for seed in 0..10 {
        let query: Vec<f32> =
            (0..u64::from(DIM)).map(|i| mix(seed * 99 + i) as f32 / u64::MAX as f32).collect();
        let params = SearchParams { k: 10, ..Default::default() };
        let expected = alone.search_resident(&query, &params, None).unwrap();
        let search = index.search(&query, &params, None).unwrap();
        assert_eq!(file.run_vector(EMBEDDING, search).await.unwrap(), expected, "seed {seed}");
        assert!(store.spent().0 <= 3, "seed {seed}");
    }
}

#[tokio::test]
async fn the_summary_tells_what_the_sections_hold() {
    let (_, file) = opened().await;
    let summary = file.summary();
    let columns = indexed_columns(0..ROWS);
    assert_eq!(summary.text[0].docs, ROWS - columns[1].null_count() as u64);
    assert_eq!(summary.text[1].max_term, b"key-9");
    assert_eq!(summary.columns.len(), 4);
    let kinds: Vec<_> = summary.sections.iter().map(|section| section.kind).collect();
    assert_eq!(kinds, [SectionKind::Text, SectionKind::Vector, SectionKind::BodyChecksums]);
}

#[tokio::test]
async fn a_column_that_is_not_stored_is_searched_and_not_read() {
    let mut indexed = indexed_schema();
    indexed.indexes.text[0].stored = false;
    indexed.indexes.vectors[0].stored = false;
    let schema =
        table_schema(&infino_superfile::arrow_schema(&indexed).unwrap(), indexed.indexes).unwrap();
    let rows = batch(&schema, 1, indexed_columns(0..500));
    let (bytes, summary) = build(&schema, small(), &[rows]).unwrap();
    let (_, file) = open(bytes, Some(summary)).await;
    let names: Vec<_> = file.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_id", "n", "key"]);
    assert!(matches!(file.rows(&[1], &[BODY]).await, Err(SuperfileError::UnknownColumn { .. })));
    let reader = file.text().await.unwrap();
    let prepared =
        file.run_text(reader.prepare(&Query::term(BODY, "row77")).unwrap()).await.unwrap();
    let matches = file.run_text(reader.matches(&prepared).unwrap()).await.unwrap();
    assert!(matches.len() <= 1);
    assert_eq!(file.summary().text[0].docs, 500 - indexed_columns(0..500)[1].null_count() as u64);
}

#[tokio::test]
async fn a_file_without_an_index_says_so() {
    let indexed = indexed_schema();
    let plain = infino_superfile::arrow_schema(&indexed).unwrap();
    let schema = table_schema(&plain, Default::default()).unwrap();
    let rows = batch(&schema, 1, indexed_columns(0..10));
    let (bytes, summary) = build(&schema, small(), &[rows]).unwrap();
    let (_, file) = open(bytes, Some(summary)).await;
    assert!(matches!(file.text().await, Err(SuperfileError::NotIndexed { .. })));
    assert!(matches!(file.vector(3).await, Err(SuperfileError::NotIndexed { .. })));
}
