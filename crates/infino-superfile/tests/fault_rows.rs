//! Rows of the table of faults that are this crate's: each is a test that prints what it did.
//!
//! `INFINO_FAULT_SCALE` multiplies the counts (1 in release builds, a fifth in others), `INFINO_FAULT_SEED` changes what
//! chance decides.
#![allow(clippy::print_stdout, reason = "a row says how much it tried")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use infino_format::summary::SuperfileSummary;
use infino_storage::{Store, StoreOptions, connect};
use infino_superfile::{Superfile, SuperfileError};
use infino_testserver::{Fault, Options, Rule, Server};
use support::questions::{Answer, QUESTIONS, ask};
use support::{OneObject, batch, build, keyed_columns, keyed_schema, mix, small};

const PATH: &str = "data/one.parquet";

struct Row {
    name: &'static str,
    seed: u64,
    count: u64,
    violations: u64,
}

impl Row {
    fn new(name: &'static str) -> Self {
        let seed = std::env::var("INFINO_FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
        Self { name, seed: seed.unwrap_or(1), count: 0, violations: 0 }
    }

    /// `count`, scaled, at least 1.
    fn scaled(&self, count: u64) -> u64 {
        let scale = std::env::var("INFINO_FAULT_SCALE").ok().and_then(|scale| scale.parse().ok());
        let usual = if cfg!(debug_assertions) { 0.2 } else { 1.0 };
        ((count as f64 * scale.unwrap_or(usual)) as u64).max(1)
    }

    /// One more try: the answer must be what it was, or an error that says what is wrong.
    fn check(
        &mut self,
        expected: &Answer,
        found: Result<Answer, SuperfileError>,
        is_honest: impl Fn(&SuperfileError) -> bool,
        what: impl FnOnce() -> String,
    ) {
        self.count += 1;
        let holds = match &found {
            Ok(answer) => answer == expected,
            Err(error) => is_honest(error),
        };
        if !holds {
            self.violations += 1;
            let shown = found.map(|_| "another answer");
            println!("{} seed={}: {}: {shown:?}", self.name, self.seed, what());
        }
    }

    fn finish(self) {
        let Self { name, seed, count, violations } = self;
        println!("row={name} count={count} violations={violations} seed={seed}");
        assert_eq!(violations, 0);
    }
}

fn built() -> (Bytes, Arc<SuperfileSummary>) {
    let schema = keyed_schema();
    let rows = batch(&schema, 1, keyed_columns(0..600));
    let (bytes, summary) = build(&schema, small(), &[rows]).unwrap();
    assert!(bytes.len() >= 64 << 10);
    (bytes.into(), Arc::new(summary))
}

async fn answers(file: &Superfile) -> Vec<Answer> {
    let mut answers = Vec::new();
    for question in 0..QUESTIONS {
        answers.push(ask(file, question).await.unwrap());
    }
    answers
}

async fn asked(
    store: Arc<dyn Store>,
    summary: Option<&Arc<SuperfileSummary>>,
    question: usize,
) -> Result<Answer, SuperfileError> {
    let file = Superfile::open(store, PATH, summary.cloned()).await?;
    ask(&file, question).await
}

/// F7: bodies of replies that are cut short or have a bit changed, over HTTP.
#[tokio::test]
async fn f7_spoilt_replies_change_no_answer() {
    let mut row = Row::new("F7");
    let (bytes, summary) = built();
    let server = Server::start(Options { seed: row.seed, ..Options::default() }).unwrap();
    let options = StoreOptions::new().without_environment().with_all(server.client_options());
    let store = connect(&server.uri("f7"), &options).unwrap();
    store.put(PATH, bytes).await.unwrap();
    let mut file =
        Superfile::open(Arc::clone(&store), PATH, Some(Arc::clone(&summary))).await.unwrap();
    let expected = answers(&file).await;
    for query in 0..row.scaled(1_000) {
        let question = (mix(row.seed ^ query << 8) % QUESTIONS as u64) as usize;
        server.heal();
        server.add(Rule::new(Fault::Truncate).method("GET").chance(0.2));
        server.add(Rule::new(Fault::BitFlip).method("GET").chance(0.2));
        let found = match query % 4 {
            0 => asked(Arc::clone(&store), Some(&summary), question).await,
            1 => asked(Arc::clone(&store), None, question).await,
            _ => ask(&file, question).await,
        };
        let is_honest = |error: &SuperfileError| error.is_corrupt() || error.is_retryable();
        row.check(&expected[question], found, is_honest, || format!("query {query}"));
        if query % 50 == 0 {
            server.heal();
            assert_eq!(answers(&file).await, expected);
            file = Superfile::open(Arc::clone(&store), PATH, None).await.unwrap();
        }
    }
    row.finish();
}

/// F8: a file of every kind of section with a bit flipped, cut, with two sections swapped, a page of zeros.
#[tokio::test]
async fn f8_no_damage_to_a_file_changes_an_answer() {
    let mut row = Row::new("F8");
    let (bytes, summary) = built();
    let store = OneObject::new(bytes.clone());
    let open = Superfile::open(store.clone(), PATH, Some(Arc::clone(&summary))).await.unwrap();
    let expected = answers(&open).await;
    let len = bytes.len() as u64;
    let corrupt = SuperfileError::is_corrupt;

    // Bytes in an order that looks random, each once: all of them, or fewer where the row is scaled down.
    let flips = match row.scaled(65_536) {
        65_536.. => len,
        fewer => fewer.min(len),
    };
    for turn in 0..flips {
        let byte = (turn.wrapping_mul(1_000_003).wrapping_add(row.seed) % len) as usize;
        let question = (turn % QUESTIONS as u64) as usize;
        store.flip(byte, turn as usize % 8);
        let found = match turn % 16 {
            0 => asked(store.clone(), Some(&summary), question).await,
            1 => asked(store.clone(), None, question).await,
            _ => ask(&open, question).await,
        };
        row.check(&expected[question], found, corrupt, || format!("flip of byte {byte}"));
    }
    // Every bit of what opens a section, and of the footer.
    let heads = summary.sections.iter().map(|s| s.offset..s.offset + s.open_len.min(256));
    let tail = len - summary.footer_len..len;
    let ends: Vec<u64> = heads.chain([tail]).flatten().collect();
    let bits = row.scaled(8 * 4_096).min(ends.len() as u64 * 8);
    for turn in 0..bits {
        let bit = turn.wrapping_mul(16_807).wrapping_add(row.seed) % (ends.len() as u64 * 8);
        let byte = ends[(bit / 8) as usize];
        store.flip(byte as usize, (bit % 8) as usize);
        let question = (turn % QUESTIONS as u64) as usize;
        let known = (turn % 2 == 0).then_some(&summary);
        let found = asked(store.clone(), known, question).await;
        row.check(&expected[question], found, corrupt, || {
            format!("bit {} of byte {byte}", bit % 8)
        });
    }
    for turn in 0..row.scaled(4_096) {
        let cut = (mix(row.seed ^ turn << 20) % len) as usize;
        let known = (turn % 2 == 0).then_some(&summary);
        let found = asked(OneObject::new(bytes.slice(..cut)), known, 0).await;
        row.check(&expected[0], found, corrupt, || format!("cut at {cut}"));
    }
    for (what, bad) in moved(&bytes, &summary) {
        for (question, answer) in expected.iter().enumerate() {
            let found = asked(OneObject::new(bad.clone()), Some(&summary), question).await;
            row.check(answer, found, corrupt, || what.clone());
        }
    }
    row.finish();
}

/// The file with each two sections swapped, and with each 4 KiB of it zeroed.
fn moved(bytes: &Bytes, summary: &SuperfileSummary) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let sections: Vec<_> = summary
        .sections
        .iter()
        .map(|section| section.offset as usize..(section.offset + section.len) as usize)
        .collect();
    for pair in sections.windows(2) {
        let (one, two) = (pair[0].clone(), pair[1].clone());
        let mut bad = bytes[..one.start].to_vec();
        bad.extend_from_slice(&bytes[two.clone()]);
        bad.extend_from_slice(&bytes[one]);
        bad.extend_from_slice(&bytes[two.end..]);
        found.push((format!("sections at {pair:?} swapped"), bad));
    }
    for page in (0..bytes.len()).step_by(4096) {
        let mut bad = bytes.to_vec();
        let end = (page + 4096).min(bad.len());
        bad[page..end].fill(0);
        found.push((format!("zeros at {page}"), bad));
    }
    found
}
