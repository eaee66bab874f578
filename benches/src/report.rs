//! Figures, written and read.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::measure::Figure;

/// The figures as a Markdown table. The last columns are ratios: to the same figure of the cell's twin in memory, and to an
/// earlier run if there is one.
pub(crate) fn markdown(figures: &[Figure], baseline: Option<&[Figure]>) -> String {
    let key = |figure: &Figure| (figure.cell.clone(), figure.what.clone());
    let by_key = |figures: &[Figure]| -> BTreeMap<(String, String), f64> {
        figures.iter().map(|figure| (key(figure), figure.value)).collect()
    };
    let (here, before) = (by_key(figures), baseline.map(by_key).unwrap_or_default());
    let mut out = String::from(
        "| cell | what | figure | p99 | unit | /s | right | requests | kB | beside | ratio | peak MiB | to memory | to baseline |\n\
         |---|---|--:|--:|---|--:|--:|--:|--:|---|--:|--:|--:|--:|\n",
    );
    for figure in figures {
        let shown = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        let (kind, _) = figure.cell.rsplit_once('/').unwrap_or((&figure.cell, ""));
        let twin = here.get(&(format!("{kind}/memory"), figure.what.clone()));
        let (beside, ratio) = figure.beside.clone().unzip();
        let _ = writeln!(
            out,
            "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {} | {} |",
            figure.cell,
            figure.what,
            figure.value,
            shown(figure.p99, 1),
            figure.unit,
            shown(figure.per_second, 0),
            shown(figure.right, 3),
            shown(figure.requests, 1),
            shown(figure.bytes.map(|bytes| bytes / 1e3), 1),
            beside.unwrap_or_default(),
            shown(ratio, 2),
            figure.peak_mib,
            shown(twin.map(|twin| figure.value / twin), 2),
            shown(before.get(&key(figure)).map(|before| figure.value / before), 2),
        );
    }
    out
}

pub(crate) fn to_json(figures: &[Figure]) -> String {
    let figures = figures.iter().map(|figure| {
        let (beside, ratio) = figure.beside.clone().unzip();
        json!({
            "cell": figure.cell, "what": figure.what, "value": figure.value, "p99": figure.p99,
            "unit": figure.unit, "per_second": figure.per_second, "right": figure.right,
            "requests": figure.requests, "bytes": figure.bytes, "beside": beside, "ratio": ratio,
            "peak_mib": figure.peak_mib,
        })
    });
    Value::Array(figures.collect()).to_string()
}

/// What [`to_json`] wrote.
pub(crate) fn from_json(text: &str) -> Result<Vec<Figure>, String> {
    let all: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let words = |value: &Value| value.as_str().map(str::to_owned);
    let figure = |value: &Value| {
        Some(Figure {
            cell: words(&value["cell"])?,
            what: words(&value["what"])?,
            value: value["value"].as_f64()?,
            p99: value["p99"].as_f64(),
            unit: words(&value["unit"])?,
            per_second: value["per_second"].as_f64(),
            right: value["right"].as_f64(),
            requests: value["requests"].as_f64(),
            bytes: value["bytes"].as_f64(),
            beside: words(&value["beside"]).zip(value["ratio"].as_f64()),
            peak_mib: value["peak_mib"].as_f64()?,
        })
    };
    all.iter().map(|value| figure(value).ok_or_else(|| format!("no figure: {value}"))).collect()
}

/// The figures of an earlier run.
pub(crate) fn read(path: &str) -> Result<Vec<Figure>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    from_json(&text).map_err(|error| format!("{path}: {error}"))
}
