//! How well rankings agree with human judgements, and stems with Snowball's vocabularies.
//!
//! `quality judged <folder> <analyzer>...` reads `corpus.jsonl` (`_id` or `doc_id`, `title`, `text`), `queries.jsonl` (`_id` or
//! `query_id`, `text`), judgements in TREC's form (`qrels.trec`, or the file that `reference-metrics.json` names) and prints
//! nDCG@10 with linear gain, recall@100 and MAP@100 for each analyzer, beside the reference if the folder has one.
//!
//! `quality stems <folder>` reads `<stemmer>.tsv` (word, tab, stem) and counts the words that stem otherwise.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "printing is what it does")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{Analyzer, BuildOptions, CorpusStats, FtsBuilder, FtsReader, Operator, Query};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [task, folder, analyzers @ ..] if task == "judged" && !analyzers.is_empty() => {
            let collection = Collection::read(Path::new(folder))?;
            analyzers.iter().try_for_each(|analyzer| collection.measure(analyzer))
        }
        [task, folder] if task == "stems" => stems(Path::new(folder)),
        _ => Err("usage: quality judged <folder> <analyzer>... | quality stems <folder>".into()),
    }
}

/// Documents, queries and which documents answer which query how well.
struct Collection {
    name: String,
    docs: Vec<(String, String)>,
    queries: Vec<(String, String)>,
    grades: HashMap<String, BTreeMap<String, f64>>,
    reference: Option<f64>,
}

impl Collection {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let reference: Option<Value> =
            match std::fs::read_to_string(folder.join("reference-metrics.json")) {
                Ok(text) => Some(serde_json::from_str(&text)?),
                Err(_) => None,
            };
        let named = reference.as_ref().and_then(|metrics| metrics["qrels"].as_str());
        let qrels = std::fs::read_to_string(folder.join(named.unwrap_or("qrels.trec")))?;
        let mut grades: HashMap<String, BTreeMap<String, f64>> = HashMap::new();
        for line in qrels.lines() {
            let [query, _, doc, grade] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(format!("no judgement: {line:?}").into());
            };
            let grade: f64 = grade.parse()?;
            if grade > 0.0 {
                grades.entry(query.into()).or_default().insert(doc.into(), grade);
            }
        }
        Ok(Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            docs: lines(&folder.join("corpus.jsonl"), "doc_id", &["title", "text"])?,
            queries: lines(&folder.join("queries.jsonl"), "query_id", &["text"])?,
            grades,
            reference: reference.and_then(|metrics| metrics["bm25"]["ndcg10"].as_f64()),
        })
    }

    fn measure(&self, analyzer: &str) -> Result<(), Failure> {
        let field = TextIndex {
            column: "t".into(),
            analyzer: analyzer.into(),
            positions: false,
            stored: false,
        };
        let mut builder = FtsBuilder::new(&[field], BuildOptions::default())?;
        for (_, text) in &self.docs {
            builder.push(&[Some(text)])?;
        }
        let section = Bytes::from(builder.finish()?.0);
        let reader = FtsReader::resident(section.clone())?;
        let (mut judged, mut ndcg, mut recall, mut map) = (0.0, 0.0, 0.0, 0.0);
        for (id, text) in &self.queries {
            let Some(grades) = self.grades.get(id) else { continue };
            let query = Query::matching("t", text, Operator::Or);
            let prepared = run_resident(&section, reader.prepare(&query)?)?;
            let stats = CorpusStats::of(&reader, &prepared);
            let search = reader.search(&prepared, &stats, 100, None, None)?;
            let found: Vec<f64> = run_resident(&section, search)?
                .iter()
                .map(|hit| grades.get(&self.docs[hit.doc as usize].0).copied().unwrap_or(0.0))
                .collect();
            let gain = |gains: &[f64]| -> f64 {
                gains.iter().take(10).zip(2u32..).map(|(g, n)| g / f64::from(n).log2()).sum()
            };
            let mut ideal: Vec<f64> = grades.values().copied().collect();
            ideal.sort_by(|a, b| b.total_cmp(a));
            let mut relevant = 0.0;
            for (at, _) in found.iter().enumerate().filter(|(_, grade)| **grade > 0.0) {
                relevant += 1.0;
                map += relevant / (at + 1) as f64 / grades.len() as f64;
            }
            judged += 1.0;
            ndcg += gain(&found) / gain(&ideal);
            recall += relevant / grades.len() as f64;
        }
        let mean = |sum: f64| (sum / f64::max(judged, 1.0) * 1e4).round() / 1e4;
        let line = json!({
            "collection": self.name, "analyzer": analyzer, "queries": judged, "ndcg10": mean(ndcg),
            "recall100": mean(recall), "map100": mean(map), "reference_ndcg10": self.reference,
        });
        println!("{line}");
        Ok(())
    }
}

/// Identifier and text of each line's object; of several `parts` those there are, joined by a space.
fn lines(path: &Path, id: &str, parts: &[&str]) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let read = |line: &str| -> Result<(String, String), Failure> {
        let object: Value = serde_json::from_str(line)?;
        let own = object["_id"].as_str().or_else(|| object[id].as_str());
        let own = own.ok_or_else(|| format!("{line:?} has no {id}"))?;
        let text: Vec<&str> = parts.iter().filter_map(|part| object[part].as_str()).collect();
        Ok((own.to_owned(), text.join(" ")))
    };
    text.lines().map(read).collect()
}

fn stems(folder: &Path) -> Result<(), Failure> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for path in files.iter().map(std::fs::DirEntry::path) {
        let (Some(name), Some("tsv")) =
            (path.file_stem().and_then(|s| s.to_str()), path.extension().and_then(|s| s.to_str()))
        else {
            continue;
        };
        let analyzer = Analyzer::named(&format!("stem-v1: keyword | stem({name})"))?;
        let text = std::fs::read_to_string(&path)?;
        let (mut words, mut wrong) = (0, Vec::new());
        for (word, stem) in text.lines().filter_map(|line| line.split_once('\t')) {
            words += 1;
            let tokens = analyzer.analyze(word);
            // A word whose stem is empty has no term.
            if tokens.first().map_or("", |token| &token.term[..]) != stem {
                wrong.push(word.to_owned());
            }
        }
        let first = &wrong[..wrong.len().min(5)];
        println!(
            "{}",
            json!({"stemmer": name, "words": words, "wrong": wrong.len(), "first": first})
        );
    }
    Ok(())
}
