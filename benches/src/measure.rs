//! Figures: taken, compared, printed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

/// One figure of one cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// What was measured: `text/or3`.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit: `µs`, `MB/s`, `requests`.
    pub(crate) unit: &'static str,
    /// What it is beside in this run, and the quotient; 1 is equal.
    pub(crate) ratio: Option<(&'static str, f64)>,
}

impl Cell {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, ratio: None }
    }

    /// Puts it beside another figure of this run.
    pub(crate) fn beside(mut self, what: &'static str, other: f64) -> Self {
        self.ratio = Some((what, self.value / other));
        self
    }
}

/// The median time of a call in microseconds, over as many calls as fit a second, at least five, after one untimed.
pub(crate) async fn median_us<T, E>(mut call: impl AsyncFnMut() -> Result<T, E>) -> Result<f64, E> {
    call().await?;
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (began.elapsed().as_secs_f64() < 1.0 && times.len() < 1000) {
        let start = Instant::now();
        call().await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Peak resident memory of this process in MiB; 0 where the system does not tell.
pub(crate) fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// The figures as a Markdown table, with their ratios to an earlier run if there is one.
pub(crate) fn markdown(cells: &[Cell], baseline: Option<&BTreeMap<String, f64>>) -> String {
    let mut out = String::from(
        "| cell | figure | unit | beside | ratio | to baseline |\n|---|--:|---|---|--:|--:|\n",
    );
    for cell in cells {
        let (beside, ratio) =
            cell.ratio.map_or((String::new(), String::new()), |(beside, ratio)| {
                (beside.to_owned(), format!("{ratio:.2}"))
            });
        let before = baseline.and_then(|figures| figures.get(&cell.name));
        let before = before.map_or(String::new(), |before| format!("{:.2}", cell.value / before));
        let _ = writeln!(
            out,
            "| {} | {:.1} | {} | {beside} | {ratio} | {before} |",
            cell.name, cell.value, cell.unit
        );
    }
    out
}

pub(crate) fn to_json(cells: &[Cell]) -> String {
    let cells = cells.iter().map(|cell| {
        let (beside, ratio) = cell.ratio.unzip();
        serde_json::json!({
            "cell": cell.name, "value": cell.value, "unit": cell.unit, "beside": beside, "ratio": ratio,
        })
    });
    serde_json::Value::Array(cells.collect()).to_string()
}

/// The figures that [`to_json`] wrote, by cell.
pub(crate) fn read_baseline(path: &str) -> Result<BTreeMap<String, f64>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let cells: Vec<serde_json::Value> =
        serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    let figure = |cell: &serde_json::Value| {
        Some((cell["cell"].as_str()?.to_owned(), cell["value"].as_f64()?))
    };
    Ok(cells.iter().filter_map(figure).collect())
}
