//! `cargo xtask bench`: what searches, statements and commits cost, by kind, scope and place.
//!
//! Each cell runs in a process of its own, pinned to as many cores as it has threads. Machines are shared and noisy, so every
//! figure stands beside another of the same run: an exact scan, plain DataFusion, the same unfiltered, the first commits,
//! the same cell in memory; and counts of requests and bytes hold on any machine.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod cells;
mod corpus;
mod measure;
mod oracle;
mod place;
mod report;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use cells::Cell;
use measure::Figure;

const USAGE: &str = "\
usage: cargo xtask bench [--rows N] [--quick] [--data DIR] [--cell PART]... [--threads N] [--delay-ms N]
                         [--json FILE] [--baseline FILE]
       cargo xtask bench peers [arguments of benches/peers/run.py]

  --rows N         rows (200000; 20000 with --quick)
  --quick          fewer rows, shorter measurements: every cell in under ten minutes
  --data DIR       real rows: the largest .parquet of DIR and the vectors of its largest .f32.npy
  --cell PART      only cells whose name holds this: text vector filtered hybrid sql ingest commit cold,
                   superfile table, memory disk s3, or a whole name like text/table/disk
  --threads N      threads and cores of a cell (1)
  --delay-ms N     what the S3 server waits before each request (30)
  --json FILE      writes the figures there too
  --baseline FILE  figures of an earlier run; prints the ratio to them
";

/// What the command line asks for.
#[derive(Debug, Clone)]
struct Options {
    rows: usize,
    quick: bool,
    data: Option<PathBuf>,
    parts: Vec<String>,
    threads: usize,
    delay_ms: u64,
    json: Option<String>,
    baseline: Option<String>,
    /// The cell that this process is to run.
    run: Option<String>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        rows: 0,
        quick: false,
        data: None,
        parts: Vec::new(),
        threads: 1,
        delay_ms: 30,
        json: None,
        baseline: None,
        run: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number =
            |text: String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--rows" => options.rows = number(value()?)? as usize,
            "--data" => options.data = Some(value()?.into()),
            "--cell" => options.parts.push(value()?),
            "--threads" => options.threads = number(value()?)?.max(1) as usize,
            "--delay-ms" => options.delay_ms = number(value()?)?,
            "--json" => options.json = Some(value()?),
            "--baseline" => options.baseline = Some(value()?),
            "--run" => options.run = Some(value()?),
            _ => return Err(format!("unknown argument {arg}\n\n{USAGE}")),
        }
    }
    if options.rows == 0 {
        options.rows = if options.quick { 20_000 } else { 200_000 };
    }
    Ok(options)
}

fn main() -> ExitCode {
    let outcome = parse(std::env::args().skip(1)).and_then(|options| match &options.run {
        Some(name) => run_here(&options, name),
        None => run_all(&options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one cell in this process; prints its figures as JSON.
fn run_here(options: &Options, name: &str) -> Result<(), String> {
    let cell = Cell::all().find(|cell| cell.to_string() == name).ok_or("no such cell")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let figures = runtime.block_on(cells::run(cell, options)).map_err(|error| error.to_string())?;
    println!("{}", report::to_json(&figures));
    Ok(())
}

/// Runs every cell that is asked for in a process of its own.
fn run_all(options: &Options) -> Result<(), String> {
    let wanted = |cell: &Cell| {
        let name = cell.to_string();
        let part = |part: &String| name == *part || name.split('/').any(|own| own == part);
        options.parts.is_empty() || options.parts.iter().any(part)
    };
    let baseline = options.baseline.as_deref().map(report::read).transpose()?;
    let cores = cores(options.threads);
    let mut figures = Vec::new();
    let mut failures = Vec::new();
    for cell in Cell::all().filter(wanted) {
        match in_a_process(&cell, cores.as_deref()) {
            Ok(found) => figures.extend(found),
            Err(problem) => failures.push(format!("{cell}: {problem}")),
        }
        eprintln!("{cell}");
    }
    let pinned = cores.map_or("not pinned".to_owned(), |cores| format!("core {cores}"));
    println!("{} rows, {} thread(s), {pinned}\n", options.rows, options.threads);
    print!("{}", report::markdown(&figures, baseline.as_deref()));
    if let Some(path) = &options.json {
        let json = report::to_json(&figures);
        std::fs::write(path, json).map_err(|error| format!("{path}: {error}"))?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// This program again, with the same arguments, for one cell.
fn in_a_process(cell: &Cell, cores: Option<&str>) -> Result<Vec<Figure>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match cores {
        Some(cores) => {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", cores]).arg(program);
            pinned
        }
        None => Command::new(program),
    };
    command.args(std::env::args().skip(1)).args(["--run", &cell.to_string()]);
    let ended = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if !ended.status.success() {
        return Err(format!("ended with {}", ended.status));
    }
    report::from_json(&String::from_utf8_lossy(&ended.stdout))
}

/// The last cores of the machine, as `taskset` takes them; `None` where it is not there.
fn cores(threads: usize) -> Option<String> {
    let there = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    let all = std::thread::available_parallelism().ok()?.get();
    let first = all.saturating_sub(threads);
    there.is_ok_and(|status| status.success()).then(|| format!("{first}-{}", all - 1))
}
