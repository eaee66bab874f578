//! Small commits, one after another: what the last of them cost beside the first.

use std::time::Instant;

use infino::{Connection, Error, IndexSpec};
use infino_testserver::{Options, Server};

use super::cold;
use crate::corpus;
use crate::measure::Cell;

/// Commits at either end that are held against each other.
const WINDOW: usize = 100;

/// `commits` one-row appends in memory, and as many on an S3 server.
pub(crate) async fn cells(commits: usize) -> Result<Vec<Cell>, Error> {
    let commits = commits.max(2 * WINDOW);
    let mut cells = Vec::new();
    let memory = Times::of(&infino::connect("memory://").await?, commits, || (0, 0)).await?;
    memory.cells("memory", &mut cells);
    let server = Server::start(Options::default()).expect("a port on 127.0.0.1 is free");
    let spent = || {
        let stats = server.stats();
        (stats.requests_total(), stats.bytes_in + stats.bytes_out)
    };
    let remote = Times::of(&cold::connect(&server).await?, commits, spent).await?;
    remote.cells("s3", &mut cells);
    let [first, last] = remote.spent;
    for (what, unit, first, last) in
        [("requests", "requests", first.0, last.0), ("bytes", "bytes", first.1, last.1)]
    {
        let each = |spent: u64| spent as f64 / (WINDOW * SPENT_WINDOWS) as f64;
        let cell = Cell::new(format!("commit/s3 {what} of the last"), each(last), unit);
        cells.push(cell.beside("the first", each(first)));
    }
    Ok(cells)
}

/// Requests and bytes are counted over so many windows, as folds come in one commit of many.
const SPENT_WINDOWS: usize = 16;

struct Times {
    micros: Vec<f64>,
    /// Requests and bytes of the first windows and of the last ones.
    spent: [(u64, u64); 2],
}

impl Times {
    async fn of(
        db: &Connection,
        commits: usize,
        spent: impl Fn() -> (u64, u64),
    ) -> Result<Self, Error> {
        let index = IndexSpec::new().fts("body");
        let table = db.create_table("commits", corpus::schema(), index).await?;
        let (row, _) = corpus::rows(0, 1);
        let counted = (WINDOW * SPENT_WINDOWS).min(commits);
        let begun = spent();
        let (mut early, mut late) = (begun, begun);
        let mut micros = Vec::with_capacity(commits);
        for at in 0..commits {
            if at == counted {
                early = spent();
            }
            if at == commits - counted {
                late = spent();
            }
            let start = Instant::now();
            table.append(row.clone()).await?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let end = spent();
        let since = |a: (u64, u64), b: (u64, u64)| (b.0 - a.0, b.1 - a.1);
        let early = if counted == commits { end } else { early };
        Ok(Self { micros, spent: [since(begun, early), since(late, end)] })
    }

    fn cells(&self, store: &str, cells: &mut Vec<Cell>) {
        let median = |times: &[f64]| {
            let mut times = times.to_vec();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let commits = self.micros.len();
        let (first, last) =
            (median(&self.micros[..WINDOW]), median(&self.micros[commits - WINDOW..]));
        let name = format!("commit/{store}, the last {WINDOW} of {commits}");
        cells.push(Cell::new(name, last, "µs").beside("the first", first));
    }
}
