//! `faults`: the rows of the table of faults, each a test that prints what it did; one line a row.

use std::{fmt::Write as _, fs, path::Path};

use crate::{cmd::Cmd, error::Failed, tests_run};

/// Row, package, test binary.
const ROWS: [(&str, &str, &str); 21] = [
    ("F1", "infino-manifest", "faults"),
    ("F2", "infino-manifest", "faults"),
    ("F3", "infino-manifest", "faults"),
    ("F4", "infino-storage", "fault_rows"),
    ("F5", "infino-manifest", "garbage"),
    ("F6", "infino-storage", "fault_rows"),
    ("F7", "infino-superfile", "fault_rows"),
    ("F8", "infino-superfile", "fault_rows"),
    ("F9", "infino-storage", "fault_rows"),
    ("F10", "infino-manifest", "processes"),
    ("F11", "infino-manifest", "processes"),
    ("F12", "infino-manifest", "processes"),
    ("F13", "infino-manifest", "garbage"),
    ("F14", "infino-manifest", "garbage"),
    ("F15", "infino-sim", "seeds"),
    ("F16", "infino-table", "fault_rows"),
    ("F17", FUZZ, "corpus"),
    ("F18", "infino-sim", "schedules"),
    ("F19", "infino-storage", "fault_rows"),
    ("F20", "infino-manifest", "versions"),
    ("F21", "infino-manifest", "faults"),
];

/// The package that is a workspace of its own.
const FUZZ: &str = "infino-fuzz";

/// How much more of each row a soak runs.
const SOAK: &str = "50";

/// What a row did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    row: String,
    count: u64,
    violations: u64,
    seed: u64,
}

impl Outcome {
    /// Reads a line like `row=F1 count=408 violations=0 seed=1`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(|word| word.split_once('='));
        let mut value = |name: &str| {
            let (key, value) = words.next()??;
            (key == name).then(|| value.to_owned())
        };
        Some(Self {
            row: value("row")?,
            count: value("count")?.parse().ok()?,
            violations: value("violations")?.parse().ok()?,
            seed: value("seed")?.parse().ok()?,
        })
    }
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    rows: Vec<String>,
    soak: bool,
    json: Option<String>,
}

impl Asked {
    fn parse(args: &[String]) -> Result<Self, Failed> {
        let mut asked = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                let missing = || Failed::new(format!("{arg} takes a value"));
                args.next().cloned().ok_or_else(missing)
            };
            match arg.as_str() {
                "--row" => asked.rows.push(value()?.to_uppercase()),
                "--json" => asked.json = Some(value()?),
                "--soak" => asked.soak = true,
                other => return Err(Failed::new(format!("faults knows no {other:?}"))),
            }
        }
        if let Some(unknown) =
            asked.rows.iter().find(|row| ROWS.iter().all(|known| known.0 != **row))
        {
            let known: Vec<_> = ROWS.iter().map(|row| row.0).collect();
            return Err(Failed::new(format!("no row {unknown}; there are {}", known.join(", "))));
        }
        Ok(asked)
    }
}

/// Runs the rows asked for, or all, in release. A test that ends without its line is a violation.
pub(crate) fn faults(root: &Path, args: &[String]) -> Result<(), Failed> {
    let asked = Asked::parse(args)?;
    let chosen = |row: &str| asked.rows.is_empty() || asked.rows.iter().any(|asked| asked == row);
    let mut outcomes = Vec::new();
    for (row, package, binary) in ROWS.into_iter().filter(|(row, ..)| chosen(row)) {
        let test = format!("{}_", row.to_lowercase());
        let mut found = None;
        let mut cargo = Cmd::cargo(root).args(["test", "--release", "--quiet"]);
        cargo = match package {
            FUZZ => cargo
                .args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
                .args([tests_run::target(root).join("fuzz")]),
            _ => cargo.args(["-p", package]),
        };
        cargo =
            cargo.args(["--test", binary, "--", &test]).args(["--nocapture", "--test-threads=1"]);
        if asked.soak {
            cargo = cargo.env("INFINO_FAULT_SCALE", SOAK);
        }
        let ended = cargo.run_seeing(|line| found = Outcome::parse(line).or(found.take()));
        if let Err(failed) = &ended {
            println!("{row}: {failed}");
        }
        let mut outcome = found.filter(|found| found.row == row).unwrap_or(Outcome {
            row: row.to_owned(),
            count: 0,
            violations: 1,
            seed: 0,
        });
        if ended.is_err() {
            outcome.violations = outcome.violations.max(1);
        }
        outcomes.push(outcome);
    }
    for Outcome { row, count, violations, seed } in &outcomes {
        println!("{row:<4} count={count} violations={violations} seed={seed}");
    }
    if let Some(file) = &asked.json {
        let file = root.join(file);
        fs::write(&file, json(&outcomes)).map_err(|error| Failed::at(&file, &error))?;
    }
    match outcomes.iter().filter(|outcome| outcome.violations > 0).count() {
        0 => Ok(()),
        bad => Err(Failed::new(format!(
            "{bad} rows do not hold; replay one with INFINO_FAULT_SEED=<seed> cargo xtask faults --row <row>"
        ))),
    }
}

fn json(outcomes: &[Outcome]) -> String {
    let mut out = "[".to_owned();
    for (at, Outcome { row, count, violations, seed }) in outcomes.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let line =
            format!(r#"{{"row":"{row}","count":{count},"violations":{violations},"seed":{seed}}}"#);
        write!(out, "{comma}\n  {line}").expect("a string takes all");
    }
    out.push_str("\n]\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_passed_by() {
        let read = Outcome::parse("row=F10 count=400 violations=0 seed=7").unwrap();
        let expected = Outcome { row: "F10".to_owned(), count: 400, violations: 0, seed: 7 };
        assert_eq!(read, expected);
        for line in ["", "running 1 test", "row=F1", "row=F1 count=x violations=0 seed=1"] {
            assert_eq!(Outcome::parse(line), None, "{line:?}");
        }
        let expected = "[\n  {\"row\":\"F10\",\"count\":400,\"violations\":0,\"seed\":7}\n]\n";
        assert_eq!(json(&[read]), expected);
    }

    #[test]
    fn rows_are_asked_for_by_name() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let asked = Asked::parse(&words(&["--row", "f3", "--soak", "--json", "out"])).unwrap();
        assert_eq!(
            (asked.rows, asked.soak, asked.json),
            (words(&["F3"]), true, Some("out".into()))
        );
        assert!(Asked::parse(&words(&["--row", "F99"])).is_err());
        assert!(Asked::parse(&words(&["--row"])).is_err() && Asked::parse(&words(&["x"])).is_err());
    }
}
