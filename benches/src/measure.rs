//! Figures, taken.

use std::time::{Duration, Instant};

use crate::Options;
use crate::place::{Site, Spent};

/// What one measurement gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    /// `text/table/disk`.
    pub(crate) cell: String,
    /// What of it: `or3`.
    pub(crate) what: String,
    /// Median and 99th percentile, or a single figure.
    pub(crate) value: f64,
    pub(crate) p99: Option<f64>,
    pub(crate) unit: String,
    /// Calls a second, of as many callers as threads.
    pub(crate) per_second: Option<f64>,
    /// Share of answers that are right: recall, or exactness.
    pub(crate) right: Option<f64>,
    /// A call's requests to storage and the bytes they read.
    pub(crate) requests: Option<f64>,
    pub(crate) bytes: Option<f64>,
    /// Another figure of this run, and the quotient; below 1 this one is smaller.
    pub(crate) beside: Option<(String, f64)>,
    /// Peak memory of the cell's process so far, in MiB.
    pub(crate) peak_mib: f64,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &str) -> Self {
        let (what, unit) = (what.into(), unit.to_owned());
        Self { what, value, unit, peak_mib: peak_mib(), ..Self::default() }
    }

    /// Puts it beside another figure of this run.
    pub(crate) fn beside(mut self, what: &str, other: f64) -> Self {
        self.beside = Some((what.to_owned(), self.value / other));
        self
    }

    pub(crate) fn right(mut self, share: f64) -> Self {
        self.right = Some(share);
        self
    }
}

/// Calls `call` with each number below `queries` in turn, once untimed and then for as long as a measurement lasts.
pub(crate) async fn calls<E>(
    what: &str,
    options: &Options,
    site: &Site,
    queries: usize,
    mut call: impl AsyncFnMut(usize) -> Result<(), E>,
) -> Result<Figure, E> {
    for query in 0..if site.is_far() { queries.min(3) } else { queries } {
        call(query).await?;
    }
    let lasts = Duration::from_millis(if options.quick { 400 } else { 2000 });
    let before = site.spent();
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (began.elapsed() < lasts && times.len() < 100_000) {
        let start = Instant::now();
        call(times.len() % queries).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let count = times.len() as f64;
    let seconds = began.elapsed().as_secs_f64();
    let mut figure = of_times(what, times);
    figure.per_second = Some(count / seconds);
    let spent = site.spent().zip(before).map(|(now, before)| now.since(before));
    Ok(spending(figure, spent, count))
}

/// The median and 99th percentile of times in microseconds.
pub(crate) fn of_times(what: &str, mut times: Vec<f64>) -> Figure {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)];
    Figure { p99: Some(at(0.99)), ..Figure::new(what, at(0.5), "µs") }
}

/// `figure` with what each of `count` calls spent.
pub(crate) fn spending(mut figure: Figure, spent: Option<Spent>, count: f64) -> Figure {
    figure.requests = spent.map(|spent| spent.requests as f64 / count);
    figure.bytes = spent.map(|spent| spent.bytes as f64 / count);
    figure
}

/// Peak resident memory of this process in MiB; 0 where the system does not tell.
pub(crate) fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
