//! The README's example: one table, asked in every way.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use infino::arrow::array::{ArrayRef, FixedSizeListArray, RecordBatch, StringArray};
use infino::arrow::datatypes::Float32Type;
use infino::arrow::util::pretty::pretty_format_batches;
use infino::{IndexSpec, Metric};

#[tokio::main]
async fn main() -> Result<(), infino::Error> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "memory://".to_owned());
    let db = infino::connect(&uri).await?;

    let body: ArrayRef = Arc::new(StringArray::from(vec!["the quick brown fox", "a lazy dog"]));
    let vectors = [[0.1f32; 16], [0.9; 16]].map(|v| Some(v.map(Some).to_vec()));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 16);
    let rows =
        RecordBatch::try_from_iter([("body", body), ("embedding", Arc::new(vectors) as ArrayRef)])?;

    let index = IndexSpec::new().fts("body").vector("embedding", 16, Metric::L2);
    let docs = db.create_table("docs", rows.schema(), index).await?;
    docs.append(rows).await?;

    let hits = docs.bm25_search("body", "fox", 10, &["body"]).await?;
    println!("{}", pretty_format_batches(&hits)?);
    let near = docs
        .vector_search("embedding", &[0.1; 16], 10, &["body"])
        .filter("body LIKE 'the%'")
        .await?;
    println!("{}", pretty_format_batches(&near)?);
    let both = docs.hybrid_search("body", "fox", "embedding", &[0.1; 16], 10, &["body"]).await?;
    println!("{}", pretty_format_batches(&both)?);

    let sql = "SELECT d.body, s.score
               FROM bm25_search('docs', 'body', 'fox', k => 100, filter => 'body IS NOT NULL') s
               JOIN docs d ON d._id = s._id ORDER BY s.score DESC LIMIT 10";
    println!("{}", pretty_format_batches(&db.query_sql(sql).await?)?);
    let gone = docs.delete("body LIKE '%dog%'").await?;
    println!("{} row deleted, version {}", gone.tombstoned, gone.version);
    Ok(())
}
