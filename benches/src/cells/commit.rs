//! Small commits, one after another.

use std::time::Instant;

use infino::{Error, IndexSpec};

use crate::corpus;
use crate::measure::Cell;

const COMMITS: usize = 400;

pub(crate) async fn cells() -> Result<Vec<Cell>, Error> {
    let db = infino::connect("memory://").await?;
    let table = db.create_table("commits", corpus::schema(), IndexSpec::new().fts("body")).await?;
    let (row, _) = corpus::rows(0, 1);
    let mut times = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let start = Instant::now();
        table.append(row.clone()).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let median = |times: &[f64]| {
        let mut times = times.to_vec();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (first, last) = (median(&times[..100]), median(&times[COMMITS - 100..]));
    Ok(vec![
        Cell::new("commit/one row, the 301st to 400th", last, "µs").beside("the first 100", first),
    ])
}
