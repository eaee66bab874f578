//! Indexes over rows that stand already: the same ones give the same file, others answer as if built at once.

mod support;

use infino_format::schema::{RerankCodec, TableSchema};
use infino_format::summary::SuperfileSummary;
use infino_superfile::{Superfile, SuperfileError, SuperfileOptions, arrow_schema, table_schema};
use support::{batch, build, indexed_columns, indexed_schema, open, small};

const ROWS: u64 = 2_000;

fn with(change: impl FnOnce(&mut TableSchema)) -> TableSchema {
    let mut schema = indexed_schema();
    change(&mut schema);
    schema
}

fn built(schema: &TableSchema) -> (Vec<u8>, SuperfileSummary) {
    let rows = batch(schema, 1, indexed_columns(0..ROWS));
    build(schema, small(), &[rows]).unwrap()
}

async fn reindexed(
    file: &Superfile,
    from: &TableSchema,
    to: &TableSchema,
    options: SuperfileOptions,
) -> Result<(Vec<u8>, SuperfileSummary), SuperfileError> {
    let mut out = Vec::new();
    let summary = file.reindex(from, to, options, &mut out).await?;
    Ok((out, summary))
}

/// A file of `from` under the indexes of `to` is the file that is built under those, but for its footer.
async fn check(from: &TableSchema, to: &TableSchema) {
    let (bytes, summary) = built(from);
    let (_, file) = open(bytes, Some(summary)).await;
    let (expected, mut expected_summary) = built(to);
    for memory_bytes in [10_000, 64 << 20] {
        let options = SuperfileOptions { memory_bytes, ..small() };
        let (found, summary) = reindexed(&file, from, to, options).await.unwrap();
        // The footer leaves out statistics that Parquet has deprecated and the crate does not read back.
        let footer = (expected_summary.file_len - expected_summary.footer_len) as usize;
        assert!(found[..footer] == expected[..footer], "with {memory_bytes} bytes of memory");
        expected_summary = SuperfileSummary {
            id: summary.id,
            file_len: summary.file_len,
            footer_len: summary.footer_len,
            footer_crc: summary.footer_crc,
            ..expected_summary
        };
        assert_eq!(summary, expected_summary);
        let (_, again) = open(found, Some(summary)).await;
        again.verify().await.unwrap();
    }
}

#[tokio::test]
async fn any_set_of_indexes_gives_the_file_that_is_built_with_it() {
    let indexed = indexed_schema();
    let plain = table_schema(&arrow_schema(&indexed).unwrap(), Default::default()).unwrap();
    let other_rerank = with(|schema| schema.indexes.vectors[0].rerank = RerankCodec::F32);
    let other_analyzer = with(|schema| schema.indexes.text[0].positions = false);
    let only_vectors = with(|schema| schema.indexes.text.clear());
    for (from, to) in [
        (&indexed, &indexed),
        (&plain, &indexed),
        (&indexed, &plain),
        (&indexed, &other_rerank),
        (&other_rerank, &indexed),
        (&other_analyzer, &indexed),
        (&indexed, &only_vectors),
        (&only_vectors, &other_analyzer),
    ] {
        check(from, to).await;
    }
}

#[tokio::test]
async fn what_is_not_stored_is_carried_over_and_cannot_be_built() {
    let hidden = with(|schema| {
        schema.indexes.text[0].stored = false;
        schema.indexes.vectors[0].stored = false;
    });
    check(&hidden, &hidden).await;
    let (bytes, summary) = built(&hidden);
    let (_, file) = open(bytes, Some(summary)).await;
    let mut other = hidden.clone();
    other.indexes.vectors[0].target_recall_millis = 990;
    let error = reindexed(&file, &hidden, &other, small()).await.unwrap_err();
    assert!(error.to_string().contains("embedding"), "{error}");
    for to in [&indexed_schema(), &with(|schema| drop(schema.columns.pop()))] {
        let refused = reindexed(&file, &hidden, to, small()).await;
        assert!(matches!(refused, Err(SuperfileError::Invalid { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn damage_is_not_copied() {
    let schema = indexed_schema();
    let (bytes, summary) = built(&schema);
    let sections = summary.sections.clone();
    let (store, file) = open(bytes, Some(summary)).await;
    for byte in [100, sections[0].offset + sections[0].open_len, sections[1].offset + 500] {
        store.flip(byte as usize, 3);
        let outcome = reindexed(&file, &schema, &schema, small()).await;
        assert!(outcome.is_err_and(|error| error.is_corrupt()), "byte {byte}");
    }
}
