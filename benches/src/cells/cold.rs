//! First queries on a freshly opened table of eight files, on an S3 server that takes its time.

use std::time::{Duration, Instant};

use infino::{ConnectOptions, Connection, Error, Supertable};
use infino_testserver::{Options, Server, Traced, rounds};

use crate::corpus::{Random, vector, word};
use crate::measure::Cell;

/// Threads that build, each a file a commit.
const THREADS: usize = 2;
/// Commits that make the table.
const COMMITS: usize = 4;
/// Times that each query is asked, each time by a connection that has read nothing.
const TIMES: usize = 5;

/// What is asked of the table.
#[derive(Clone, Copy)]
enum Query {
    Count,
    Text,
    Vector,
    Filtered,
    Sql,
}

/// What a query cost: opening the table, and the query itself.
struct Cost {
    open_ms: f64,
    query_ms: f64,
    open: Vec<Traced>,
    query: Vec<Traced>,
}

/// Figures of each query; with `trace`, every request of it on standard error as well.
pub(crate) async fn cells(rows: usize, delay_ms: u64, trace: bool) -> Result<Vec<Cell>, Error> {
    let server = Server::start(Options::default()).expect("a port on 127.0.0.1 is free");
    let db = connect(&server).await?;
    let (table, _) = super::ingest(&db, rows, rows.div_ceil(COMMITS)).await?;
    let files = table.files().await?.len();
    drop((table, db));
    server.set_delay(Duration::from_millis(delay_ms));
    let mut cells = vec![Cell::new("cold/files", files as f64, "files")];
    let queries = [
        ("count", Query::Count),
        ("text", Query::Text),
        ("vector", Query::Vector),
        ("filtered", Query::Filtered),
        ("sql", Query::Sql),
    ];
    for (name, query) in queries {
        let mut costs = Vec::new();
        for _ in 0..TIMES {
            costs.push(ask(&server, query).await?);
        }
        if trace {
            print_trace(name, &costs[0]);
        }
        cells.extend(report(name, &mut costs, delay_ms));
    }
    Ok(cells)
}

/// Opens the table anew and asks one query of it.
async fn ask(server: &Server, query: Query) -> Result<Cost, Error> {
    let db = connect(server).await?;
    server.trace_begin();
    let start = Instant::now();
    let table = db.open_table("bench").await?;
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let open = server.trace_end();
    server.trace_begin();
    let start = Instant::now();
    run(&db, &table, query).await?;
    let query_ms = start.elapsed().as_secs_f64() * 1e3;
    Ok(Cost { open_ms, query_ms, open, query: server.trace_end() })
}

async fn run(db: &Connection, table: &Supertable, query: Query) -> Result<(), Error> {
    let text = [word(200), word(3000), word(20_000)].join(" ");
    let near = vector(&mut Random(7_777_777));
    match query {
        Query::Count => drop(table.count_rows().await?),
        Query::Text => drop(table.bm25_search("body", &text, 10, &["n", "body"]).await?),
        Query::Vector => drop(table.vector_search("embedding", &near, 10, &["n"]).await?),
        Query::Filtered => {
            let search = table.bm25_search("body", &text, 10, &["n", "body"]);
            drop(search.filter("tag = 'tag-7'").await?);
        }
        Query::Sql => {
            let sql =
                format!("SELECT n, body FROM bm25_search('bench', 'body', '{text}', k => 10)");
            drop(db.query_sql(sql).await?);
        }
    }
    Ok(())
}

/// The medians of the times, beside one delay a round; requests and bytes of the first time.
fn report(name: &str, costs: &mut [Cost], delay_ms: u64) -> Vec<Cell> {
    let delay = delay_ms.max(1) as f64;
    let (open, query) = (&costs[0].open, &costs[0].query);
    let bytes = |trace: &[Traced]| trace.iter().map(|r| r.bytes).sum::<u64>() as f64 / 1e3;
    let cell = |what: &str, value: f64, unit| Cell::new(format!("cold/{name}{what}"), value, unit);
    let counts = [
        cell(" rounds", rounds(query) as f64, "rounds"),
        cell(" requests", query.len() as f64, "requests"),
        cell(" bytes", bytes(query), "kB"),
        cell(" opening rounds", rounds(open) as f64, "rounds"),
        cell(" opening requests", open.len() as f64, "requests"),
        cell(" opening bytes", bytes(open), "kB"),
    ];
    let mut median = |of: fn(&Cost) -> f64| {
        costs.sort_by(|a, b| of(a).total_cmp(&of(b)));
        of(&costs[costs.len() / 2])
    };
    let times = [
        cell("", median(|cost| cost.query_ms), "ms").beside("one delay", delay),
        cell(" with opening", median(|cost| cost.open_ms + cost.query_ms), "ms")
            .beside("one delay", delay),
    ];
    times.into_iter().chain(counts).collect()
}

/// Every request of a query: when it came and was answered, what it asked for.
fn print_trace(name: &str, cost: &Cost) {
    for (stage, trace) in [("opening", &cost.open), ("query", &cost.query)] {
        eprintln!("{name}, {stage}:");
        for request in trace {
            let (began, ended) = (request.began.as_secs_f64(), request.ended.as_secs_f64());
            let file = request.path.rsplit('/').next().unwrap_or_default();
            let range = request.range.as_deref().unwrap_or("all");
            let (began, ended) = (began * 1e3, ended * 1e3);
            eprintln!("{began:7.1}..{ended:7.1} ms {:>9} B {file} {range}", request.bytes);
        }
    }
}

async fn connect(server: &Server) -> Result<Connection, Error> {
    let options = server
        .client_options()
        .into_iter()
        .fold(ConnectOptions::new().threads(THREADS), |options, (key, value)| {
            options.storage(key, value)
        });
    infino::connect_with(&server.uri("bench"), options).await
}
