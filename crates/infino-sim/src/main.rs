//! `cargo xtask sim`: plays seeds and says which do not hold.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--from SEED] [--ops N] [--twice-every N]
       cargo xtask sim --seed SEED [--ops N] [--show]

  --seeds N        how many seeds are played (2000)
  --from SEED      the first (1)
  --ops N          operations of each, of all its processes together (200)
  --twice-every N  every so manieth seed is played twice and must do the same (10)
  --seed SEED      plays one seed, twice
  --show           prints every event of it
";

struct Options {
    seeds: u64,
    from: u64,
    ops: u64,
    twice_every: u64,
    show: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seeds: 2000, from: 1, ops: 200, twice_every: 10, show: false };
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{text:?} is no number"))
        };
        match arg.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--ops" => options.ops = number()?,
            "--twice-every" => options.twice_every = number()?.max(1),
            "--seed" => {
                (options.from, options.seeds, options.twice_every) = (number()?, 1, 1);
            }
            "--show" => options.show = true,
            _ => return Err(format!("unknown argument {arg}\n\n{USAGE}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(options) if play(&options) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn play(options: &Options) -> bool {
    let began = Instant::now();
    let (mut bad, mut events, mut versions) = (0, 0, 0);
    let mut all = blake3::Hasher::new();
    for seed in options.from..options.from + options.seeds {
        let mut outcome = infino_sim::run(seed, options.ops, options.show);
        if seed.is_multiple_of(options.twice_every) {
            let again = infino_sim::run(seed, options.ops, false);
            if again.trace != outcome.trace {
                outcome.violations.push("a second run did something else".to_owned());
            }
        }
        all.update(outcome.trace.as_bytes());
        (events, versions) = (events + outcome.events, versions + outcome.versions);
        if !outcome.violations.is_empty() {
            bad += 1;
            let ops = options.ops;
            println!(
                "seed {seed} does not hold; replay: cargo xtask sim --seed {seed} --ops {ops} --show"
            );
            outcome.violations.iter().take(3).for_each(|problem| println!("  {problem}"));
        }
    }
    let (seeds, seconds) = (options.seeds, began.elapsed().as_secs_f64());
    println!(
        "{seeds} seeds, {bad} do not hold; {versions} versions, {events} events, {seconds:.1} s, trace {}",
        &all.finalize().to_hex()[..16]
    );
    bad == 0
}
