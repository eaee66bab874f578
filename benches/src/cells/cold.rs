//! First queries on a freshly opened table, on an S3 server that takes its time.

use std::time::{Duration, Instant};

use infino::{ConnectOptions, Connection, Error};
use infino_testserver::{Options, Server};

use crate::corpus::{Random, vector, word};
use crate::measure::Cell;

pub(crate) async fn cells(rows: usize, delay_ms: u64) -> Result<Vec<Cell>, Error> {
    let server = Server::start(Options::default()).expect("a port on 127.0.0.1 is free");
    super::ingest(&connect(&server).await?, rows).await?;
    server.set_delay(Duration::from_millis(delay_ms));
    let text = [word(200), word(3000), word(20_000)].join(" ");
    let near = vector(&mut Random(7_777_777));
    let mut cells = Vec::new();
    for name in ["open", "count", "text", "vector"] {
        let db = connect(&server).await?;
        let before = server.stats();
        let start = Instant::now();
        let table = db.open_table("bench").await?;
        match name {
            "count" => drop(table.count_rows().await?),
            "text" => drop(table.bm25_search("body", &text, 10, &["n", "body"]).await?),
            "vector" => drop(table.vector_search("embedding", &near, 10, &["n"]).await?),
            _ => {}
        }
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let after = server.stats();
        let requests = (after.requests_total() - before.requests_total()) as f64;
        let bytes = (after.bytes_out - before.bytes_out) as f64;
        cells.push(
            Cell::new(format!("cold/{name}"), ms, "ms").beside("one delay", delay_ms.max(1) as f64),
        );
        cells.push(Cell::new(format!("cold/{name} requests"), requests, "requests"));
        cells.push(Cell::new(format!("cold/{name} bytes"), bytes / 1e3, "kB"));
    }
    Ok(cells)
}

async fn connect(server: &Server) -> Result<Connection, Error> {
    let options = server
        .client_options()
        .into_iter()
        .fold(ConnectOptions::new(), |options, (key, value)| options.storage(key, value));
    infino::connect_with(&server.uri("bench"), options).await
}
