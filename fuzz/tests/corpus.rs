//! Runs every target on its seeds and on mutations of them, always the same ones; needs neither cargo-fuzz nor nightly.
//!
//! `FUZZ_ROUNDS` mutations of each seed are tried, by default [`ROUNDS`] and in release builds a hundred times as many;
//! `FUZZ_TARGET` names the one target to try. Row F17 of the table of faults.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use infino_fuzz::TARGETS;
use infino_fuzz::seeds::Random;

const ROUNDS: u64 = 300;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("every target has seeds")
        .map(|entry| entry.expect("a readable folder"))
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).expect("a readable file");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    inputs.sort();
    inputs
}

fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1)).min(bytes.len());
        match random.below(7) {
            _ if bytes.is_empty() => bytes.push(random.next() as u8),
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            4 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
            5 => bytes.insert(at, random.next() as u8),
            _ if random.below(4) == 0 => bytes.truncate(at),
            _ => {
                let from = random.below(bytes.len());
                let copied = bytes[from..(from + 8).min(bytes.len())].to_vec();
                let end = (at + copied.len()).min(bytes.len());
                bytes.splice(at..end, copied);
            }
        }
    }
    bytes
}

#[test]
fn f17_every_target_takes_its_seeds_and_mutations_of_them() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let usual = if cfg!(debug_assertions) { ROUNDS } else { 100 * ROUNDS };
    let soak = number("INFINO_FAULT_SCALE").unwrap_or(1);
    let rounds = number("FUZZ_ROUNDS").unwrap_or(usual * soak);
    let mut tried = 0;
    let only = std::env::var("FUZZ_TARGET").ok();
    for (target, run) in TARGETS {
        if only.as_ref().is_some_and(|only| only != target) {
            continue;
        }
        let mut random = Random(7);
        for (name, seed) in corpus(target) {
            run(&seed);
            tried += 1 + rounds;
            for round in 0..rounds {
                let input = mutated(&seed, &mut random);
                if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
                    panic!("{target}: {name}, mutation {round}: {}", input.escape_ascii());
                }
            }
        }
    }
    println!("\nrow=F17 count={tried} violations=0 seed=7");
}

#[test]
fn the_seeds_are_sound() {
    use infino_format::cursor::Cursor;
    for (target, name, bytes) in infino_fuzz::seeds::all() {
        let sound = match target {
            "catalog" => infino_format::catalog::Catalog::decode(&bytes).is_ok(),
            "head" => infino_format::Head::decode(&bytes).is_ok(),
            "record" => infino_format::Record::decode(&mut Cursor::new("record", &bytes)).is_ok(),
            "text_reader" => infino_fts::FtsReader::resident(bytes.into()).is_ok(),
            "vector_reader" => infino_vector::IvfIndex::resident(bytes.into()).is_ok(),
            _ => true,
        };
        assert!(sound, "{target}: {name}");
    }
}
