//! Searches on a warm table.

use infino::arrow::array::{AsArray, RecordBatch};
use infino::arrow::datatypes::Int64Type;
use infino::{Error, Supertable};

use crate::corpus::{Random, vector, word};
use crate::measure::{Cell, median_us};

/// Which retriever.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Vector,
}

pub(crate) async fn cells(table: &Supertable, kind: Kind) -> Result<Vec<Cell>, Error> {
    match kind {
        Kind::Text => text(table).await,
        Kind::Vector => vectors(table).await,
    }
}

/// Queries by how common their words are.
fn texts() -> [(&'static str, String); 4] {
    let words = |ranks: &[u64]| ranks.iter().map(|&rank| word(rank)).collect::<Vec<_>>().join(" ");
    [
        ("rare", words(&[90_000])),
        ("common", words(&[300])),
        ("or3", words(&[200, 3000, 20_000])),
        ("stop3", words(&[0, 1, 2])),
    ]
}

async fn text(table: &Supertable) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    for (name, query) in texts() {
        let us = median_us(async || table.bm25_search("body", &query, 10, &[]).await).await?;
        let rows =
            median_us(async || table.bm25_search("body", &query, 10, &["n", "body"]).await).await?;
        cells.push(Cell::new(format!("text/{name}"), us, "µs"));
        cells.push(Cell::new(format!("text/{name}+rows"), rows, "µs").beside("without rows", us));
    }
    Ok(cells)
}

fn queries() -> Vec<Vec<f32>> {
    let mut random = Random(7_777_777);
    (0..50).map(|_| vector(&mut random)).collect()
}

fn ns(batches: &[RecordBatch]) -> Vec<i64> {
    batches[0].column_by_name("n").expect("asked for").as_primitive::<Int64Type>().values().to_vec()
}

async fn vectors(table: &Supertable) -> Result<Vec<Cell>, Error> {
    let queries = queries();
    let mut found = 0;
    for query in &queries {
        let truth = ns(&table.vector_search("embedding", query, 10, &["n"]).exact().await?);
        let hits = ns(&table.vector_search("embedding", query, 10, &["n"]).await?);
        found += hits.iter().filter(|hit| truth.contains(hit)).count();
    }
    let mut turn = queries.iter().cycle();
    let exact = median_us(async || {
        table.vector_search("embedding", turn.next().expect("cycles"), 10, &[]).exact().await
    });
    let exact = exact.await?;
    let mut turn = queries.iter().cycle();
    let us = median_us(async || {
        table.vector_search("embedding", turn.next().expect("cycles"), 10, &[]).await
    });
    Ok(vec![
        Cell::new("vector/recall@10", found as f64 / (10 * queries.len()) as f64, ""),
        Cell::new("vector/top10", us.await?, "µs").beside("exact scan", exact),
    ])
}

pub(crate) async fn filtered(table: &Supertable) -> Result<Vec<Cell>, Error> {
    let queries = queries();
    let mut turn = queries.iter().cycle();
    let free = median_us(async || {
        table.vector_search("embedding", turn.next().expect("cycles"), 10, &[]).await
    });
    let free = free.await?;
    let mut cells = Vec::new();
    for (name, filter) in [("50%", "n % 2 = 0"), ("1%", "n % 100 = 0"), ("0.1%", "tag = 'tag-7'")] {
        let mut turn = queries.iter().cycle();
        let us = median_us(async || {
            table
                .vector_search("embedding", turn.next().expect("cycles"), 10, &[])
                .filter(filter)
                .await
        });
        cells.push(
            Cell::new(format!("filtered/{name}"), us.await?, "µs").beside("unfiltered", free),
        );
    }
    Ok(cells)
}

pub(crate) async fn hybrid(table: &Supertable) -> Result<Vec<Cell>, Error> {
    let (_, text) = &texts()[2];
    let query = &queries()[0];
    let words = median_us(async || table.bm25_search("body", text, 100, &[]).await).await?;
    let near = median_us(async || table.vector_search("embedding", query, 100, &[]).await).await?;
    let both =
        median_us(async || table.hybrid_search("body", text, "embedding", query, 10, &[]).await)
            .await?;
    Ok(vec![Cell::new("hybrid/top10", both, "µs").beside("slower retriever", words.max(near))])
}
