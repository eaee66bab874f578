//! SQL through tables, beside DataFusion on the same Parquet files.

use infino::datafusion::prelude::{ParquetReadOptions, SessionContext};
use infino::{Connection, Error, Supertable};

use crate::corpus::{Random, vector};
use crate::measure::{Cell, median_us};

pub(crate) async fn cells(
    db: &Connection,
    table: &Supertable,
    folder: &str,
) -> Result<Vec<Cell>, Error> {
    let plain = SessionContext::new();
    let first = table.files().await?.remove(0);
    let data = first.path.rsplit_once('/').map_or("", |(data, _)| data).to_owned();
    plain
        .register_parquet("bench", format!("{folder}/{data}/"), ParquetReadOptions::default())
        .await?;
    let statements = [
        (
            "aggregate",
            "SELECT tag, count(*), avg(n) FROM bench GROUP BY tag ORDER BY 2 DESC LIMIT 10",
        ),
        ("range", "SELECT count(*) FROM bench WHERE n BETWEEN 1000 AND 2000"),
        ("like", "SELECT count(*) FROM bench WHERE body LIKE '%zz%'"),
        ("point", "SELECT body FROM bench WHERE n = 12345"),
    ];
    let mut cells = Vec::new();
    for (name, sql) in statements {
        let ours = median_us(async || db.query_sql(sql).await).await?;
        let theirs = median_us(async || plain.sql(sql).await?.collect().await).await?;
        cells.push(Cell::new(format!("sql/{name}"), ours, "µs").beside("plain DataFusion", theirs));
    }
    let sql = "SELECT n, score FROM bm25_search('bench', 'body', 'abc', k => 10)";
    let ours = median_us(async || db.query_sql(sql).await).await?;
    let direct = median_us(async || table.bm25_search("body", "abc", 10, &["n"]).await).await?;
    cells.push(Cell::new("sql/bm25_search", ours, "µs").beside("direct call", direct));
    cells.extend(vectors(db, table).await?);
    Ok(cells)
}

/// Statements that a vector index answers, beside the calls that ask it the same.
async fn vectors(db: &Connection, table: &Supertable) -> Result<Vec<Cell>, Error> {
    let vector = vector(&mut Random(7));
    let mut cells = Vec::new();
    let function = "SELECT n, distance FROM vector_search('bench', 'embedding', $1, k => 10)";
    let order = "SELECT n FROM bench ORDER BY distance(embedding, $1) LIMIT 10";
    let direct =
        median_us(async || table.vector_search("embedding", &vector, 10, &["n"]).await).await?;
    for (name, sql) in [("vector_search", function), ("order by distance", order)] {
        let ours = median_us(async || db.query_sql(sql).bind_vector(&vector).await).await?;
        cells.push(Cell::new(format!("sql/{name}"), ours, "µs").beside("direct call", direct));
    }
    let sql = "SELECT n FROM bench WHERE tag = 'tag-7' ORDER BY distance(embedding, $1) LIMIT 10";
    let filtered = || {
        let search = table.vector_search("embedding", &vector, 10, &["n"]);
        search.filter("tag = 'tag-7'")
    };
    let ours = median_us(async || db.query_sql(sql).bind_vector(&vector).await).await?;
    let direct = median_us(async || filtered().await).await?;
    cells.push(Cell::new("sql/filtered order by", ours, "µs").beside("direct call", direct));
    let sql =
        "SELECT n, score FROM hybrid_search('bench', 'body', 'abc', 'embedding', $1, k => 10)";
    let ours = median_us(async || db.query_sql(sql).bind_vector(&vector).await).await?;
    let hybrid = || table.hybrid_search("body", "abc", "embedding", &vector, 10, &["n"]);
    let direct = median_us(async || hybrid().await).await?;
    cells.push(Cell::new("sql/hybrid_search", ours, "µs").beside("direct call", direct));
    Ok(cells)
}
