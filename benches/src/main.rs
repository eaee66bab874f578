//! `cargo xtask bench`: what whole tables cost, each figure beside one from the same run.
//!
//! Machines are shared and noisy, so a cell gives a ratio (to an exact scan, to plain DataFusion, to the same thing
//! unfiltered, to the first commits) and counts of requests and bytes; a time alone says little.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod cells;
mod corpus;
mod measure;

use std::process::ExitCode;

use measure::{Cell, markdown, to_json};

const USAGE: &str = "\
usage: cargo xtask bench [CELL]... [--rows N] [--quick] [--delay-ms N] [--trace] [--json FILE] [--baseline FILE]

  CELL             only these: ingest text vector filtered hybrid sql selective commit cold
  --cell NAME      the same
  --rows N         rows of the generated table (200000; 20000 with --quick)
  --delay-ms N     what the S3 server of the cell `cold` waits before each request (30)
  --trace          prints every request of the cell `cold`
  --json FILE      writes the figures there too
  --baseline FILE  figures of an earlier run; prints the ratio to them
";

const CELLS: [&str; 8] =
    ["ingest", "text", "vector", "filtered", "hybrid", "sql", "commit", "cold"];

/// What the command line asks for.
struct Options {
    rows: usize,
    cells: Vec<String>,
    delay_ms: u64,
    trace: bool,
    json: Option<String>,
    baseline: Option<String>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        rows: 200_000,
        cells: Vec::new(),
        delay_ms: 30,
        trace: false,
        json: None,
        baseline: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number =
            |text: String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match arg.as_str() {
            "--quick" => options.rows = 20_000,
            "--rows" => options.rows = number(value()?)? as usize,
            "--cell" => options.cells.push(value()?),
            "--delay-ms" => options.delay_ms = number(value()?)?,
            "--trace" => options.trace = true,
            "--json" => options.json = Some(value()?),
            "--baseline" => options.baseline = Some(value()?),
            name if !name.starts_with('-') => options.cells.push(name.to_owned()),
            _ => return Err(format!("unknown argument {arg}\n\n{USAGE}")),
        }
    }
    match options.cells.iter().find(|cell| !CELLS.contains(&cell.as_str())) {
        Some(unknown) => Err(format!("there is no cell {unknown}\n\n{USAGE}")),
        None => Ok(options),
    }
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let wanted =
        |name: &str| options.cells.is_empty() || options.cells.iter().any(|cell| cell == name);
    let measured =
        runtime.block_on(cells::run(options.rows, options.delay_ms, options.trace, &wanted));
    let cells: Vec<Cell> = measured.map_err(|error| error.to_string())?;
    let baseline = options.baseline.as_deref().map(measure::read_baseline).transpose()?;
    print!("{}", markdown(&cells, baseline.as_ref()));
    if let Some(path) = &options.json {
        std::fs::write(path, to_json(&cells)).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}
