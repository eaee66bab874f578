//! From passages to record batches, on a thread of its own, a few batches ahead of the table.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use arrow::{
    array::{
        ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch, StringArray, UInt32Array,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type},
    error::ArrowError,
};

use crate::{
    corpus::{Corpus, Counts, Passage},
    embed::Embedder,
    hits::column,
};

/// Rows of a batch: about 1.5 MB of text and 1 MB of vectors.
const BATCH_ROWS: usize = 1024;
/// Batches made ahead; with those the table holds, what bounds the memory of reading.
const BATCHES_AHEAD: usize = 2;

/// The columns of the demo's table, for vectors of `dim` places.
pub(super) fn schema(dim: usize) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        text("path"),
        text("crate"),
        text("version"),
        text("language"),
        Field::new("line", DataType::UInt32, false),
        text("text"),
        Field::new("embedding", vector_type(dim), false),
    ]))
}

fn vector_type(dim: usize) -> DataType {
    let dim = i32::try_from(dim).expect("vectors have thousands of places at most");
    DataType::FixedSizeList(vector_item(), dim)
}

fn vector_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

/// One batch of rows and how far the corpus has been read when it was made.
pub(super) type Read = (RecordBatch, Counts);

/// Reads `corpus` on another thread; the receiver ends with the corpus, dropping it ends the thread.
pub(super) fn stream<E>(corpus: &Corpus, embedder: E) -> Receiver<Result<Read, ArrowError>>
where
    E: Embedder + Send + 'static,
{
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    let mut passages = corpus.passages();
    thread::spawn(move || {
        loop {
            let rows: Vec<Passage> = passages.by_ref().take(BATCH_ROWS).collect();
            if rows.is_empty() {
                break;
            }
            let read = batch(&rows, &embedder).map(|batch| (batch, passages.counts()));
            if sender.send(read).is_err() {
                break;
            }
        }
    });
    receiver
}

/// `passages` with their vectors, as rows of the [`schema`].
pub(super) fn batch(
    passages: &[Passage],
    embedder: &impl Embedder,
) -> Result<RecordBatch, ArrowError> {
    let dim = embedder.dim();
    let mut vectors = vec![0.0; passages.len() * dim];
    for (passage, vector) in passages.iter().zip(vectors.chunks_exact_mut(dim)) {
        embedder.embed(&passage.text, vector);
    }
    let text = |of: fn(&Passage) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(passages.iter().map(of)))
    };
    let values = Arc::new(Float32Array::from(vectors));
    let dim = i32::try_from(dim).expect("vectors have thousands of places at most");
    let columns: Vec<ArrayRef> = vec![
        text(|passage| &passage.path),
        text(|passage| &passage.crate_name),
        text(|passage| &passage.version),
        text(|passage| &passage.language),
        Arc::new(UInt32Array::from_iter_values(passages.iter().map(|passage| passage.line))),
        text(|passage| &passage.text),
        Arc::new(FixedSizeListArray::try_new(vector_item(), dim, values, None)?),
    ];
    RecordBatch::try_new(schema(embedder.dim()), columns)
}

/// The passages that rows of the [`schema`] stand for, whatever the width of their columns.
pub(super) fn passages(batches: &[RecordBatch]) -> io::Result<Vec<Passage>> {
    let mut passages = Vec::new();
    for batch in batches {
        let text = |name| column(batch, name, &DataType::Utf8);
        let (paths, crates, versions) = (text("path")?, text("crate")?, text("version")?);
        let (languages, texts) = (text("language")?, text("text")?);
        let lines = column(batch, "line", &DataType::UInt32)?;
        for row in 0..batch.num_rows() {
            let at = |column: &ArrayRef| column.as_string::<i32>().value(row).to_owned();
            passages.push(Passage {
                path: at(&paths),
                crate_name: at(&crates),
                version: at(&versions),
                language: at(&languages).into(),
                line: lines.as_primitive::<UInt32Type>().value(row),
                text: at(&texts),
            });
        }
    }
    Ok(passages)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::embed::HashedNgrams;

    #[test]
    fn a_corpus_streams_as_batches_with_vectors() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for n in 0..1500 {
            let file = folder.path().join(format!("{n:04}.md"));
            fs::write(file, format!("# Note {n}\n\nThe note with number {n}.\n")).expect("a file");
        }
        let corpus = Corpus::open(&[folder.path().to_owned()], None).expect("it is there");
        let batches: Vec<Read> = stream(&corpus, HashedNgrams)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("sound rows");
        let rows: Vec<usize> = batches.iter().map(|(batch, _)| batch.num_rows()).collect();
        assert_eq!(rows, [1024, 476]);
        assert_eq!(batches[1].1.files, 1500);
        let (last, _) = &batches[1];
        assert_eq!(
            last["text"].as_string::<i32>().value(475),
            "# Note 1499\n\nThe note with number 1499."
        );
        assert_eq!(last["embedding"].as_fixed_size_list().value_length(), 256);
    }

    #[test]
    fn a_dropped_receiver_ends_the_reading() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("a.md"), "Words enough for a passage.\n").expect("a file");
        let corpus = Corpus::open(&[folder.path().to_owned()], None).expect("it is there");
        drop(stream(&corpus, HashedNgrams));
    }
}
