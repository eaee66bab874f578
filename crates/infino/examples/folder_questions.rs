//! Questions over a folder of text: the retrieval half of retrieval-augmented generation.
//!
//! `cargo run --example folder_questions -- FOLDER "a question"`. Files are cut into paragraphs, kept by path and number, so that
//! a second run replaces what changed. The paragraphs that answer a question best, by words and by vector, are what
//! would go into the prompt of a language model.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use infino::arrow::array::{
    ArrayRef, AsArray, FixedSizeListArray, RecordBatch, StringArray, UInt32Array,
};
use infino::arrow::datatypes::Float32Type;
use infino::{IndexSpec, Metric, Supertable};

const DIM: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides")),
        PathBuf::from,
    );
    let question = args.next().unwrap_or_else(|| "which rows does a filter let pass".to_owned());

    let db = infino::connect("memory://").await?; // a folder or a bucket keeps it
    let first = paragraphs(&folder)?;
    let index = IndexSpec::new()
        .fts_with("text", "english-v1")
        .vector("embedding", DIM, Metric::Cosine)
        .key(&["path", "paragraph"]);
    let passages = db.create_table("passages", first.schema(), index).await?;
    passages.upsert(first).await?;
    passages.upsert(paragraphs(&folder)?).await?; // a second run changes nothing that did not change

    println!("{} paragraphs; context for {question:?}:\n", passages.count_rows().await?);
    for (path, text) in context(&passages, &question).await? {
        println!("--- {path}\n{text}\n");
    }
    Ok(())
}

/// The three passages that answer best, by both rankings fused.
async fn context(
    passages: &Supertable,
    question: &str,
) -> Result<Vec<(String, String)>, infino::Error> {
    let hits = passages
        .hybrid_search("text", question, "embedding", &embed(question), 3, &["path", "text"])
        .await?;
    let text = |name: &str, row| hits[0][name].as_string::<i32>().value(row).to_owned();
    Ok((0..hits[0].num_rows()).map(|row| (text("path", row), text("text", row))).collect())
}

/// The paragraphs of every file in a folder, with their vectors.
fn paragraphs(folder: &Path) -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let (mut paths, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What is no text is passed by.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, paragraph) in
            text.split("\n\n").filter(|text| !text.trim().is_empty()).enumerate()
        {
            paths.push(path.display().to_string());
            numbers.push(number as u32);
            texts.push(paragraph.trim().to_owned());
        }
    }
    let vectors = texts.iter().map(|text| Some(embed(text).map(Some).to_vec()));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, DIM as i32);
    Ok(RecordBatch::try_from_iter([
        ("path", Arc::new(StringArray::from(paths)) as ArrayRef),
        ("paragraph", Arc::new(UInt32Array::from(numbers))),
        ("text", Arc::new(StringArray::from(texts))),
        ("embedding", Arc::new(vectors)),
    ])?)
}

/// Stands in for a model: counts of words, hashed into a vector. Texts are near when they share words.
fn embed(text: &str) -> [f32; DIM] {
    let mut vector = [0.0; DIM];
    for word in text.split(|ch: char| !ch.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = word.to_lowercase().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        vector[(hash >> 32) as usize % DIM] += if hash & 1 == 0 { 1.0 } else { -1.0 };
    }
    vector[0] += 1e-3; // so that a text without words has a direction too
    vector
}
