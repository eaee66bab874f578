//! The rows of a cell and what is asked of them: real ones, or made up to behave like real ones (words as often as in English
//! prose, lengths log-normal, vectors in clusters).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use infino::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch,
    StringArray,
};
use infino::arrow::compute::cast;
use infino::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use infino::datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::Options;

/// Dimension of vectors that are made up.
const DIM: usize = 128;
const CLUSTERS: u64 = 500;
const WORDS: f64 = 200_000.0;
/// Queries of a kind.
pub(crate) const QUERIES: usize = 20;

/// Rows, and vectors to look for that are not among them.
pub(crate) struct Corpus {
    pub(crate) texts: Vec<String>,
    pub(crate) vectors: Vec<f32>,
    pub(crate) dim: usize,
    pub(crate) near: Vec<Vec<f32>>,
}

/// SplitMix64: the same rows on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

impl Corpus {
    pub(crate) fn of(options: &Options) -> Self {
        match &options.data {
            Some(folder) => Self::read(folder, options.rows)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
            None => Self::made(options.rows),
        }
    }

    fn made(rows: usize) -> Self {
        let mut random = Random(1);
        let text = |random: &mut Random| {
            let words = (4.0 + random.normal() * 0.7).exp().clamp(3.0, 2000.0) as usize;
            let zipf = |random: &mut Random| WORDS.powf(random.unit()) as u64 - 1;
            (0..words).map(|_| word(zipf(random))).collect::<Vec<_>>().join(" ")
        };
        let texts = (0..rows).map(|_| text(&mut random)).collect();
        let vectors = (0..rows).flat_map(|_| vector(&mut random)).collect();
        let near = (0..QUERIES).map(|_| vector(&mut random)).collect();
        Self { texts, vectors, dim: DIM, near }
    }

    /// The longest text column of the largest `.parquet`, and as many vectors of the largest `.f32.npy`; the last are queries.
    fn read(folder: &Path, rows: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let file = File::open(largest(folder, ".parquet")?)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        let schema = batches.first().ok_or("no rows")?.schema();
        let is_text = |at: &usize| {
            matches!(schema.field(*at).data_type(), DataType::Utf8 | DataType::LargeUtf8)
        };
        let bytes = |at: &usize| -> usize {
            batches.iter().map(|batch| batch.column(*at).get_array_memory_size()).sum()
        };
        let at = (0..schema.fields().len()).filter(is_text).max_by_key(bytes);
        let at = at.ok_or("no text column")?;
        let mut texts = Vec::new();
        for batch in &batches {
            let column = cast(batch.column(at), &DataType::Utf8)?;
            texts.extend(column.as_string::<i32>().iter().map(|text| plain(text.unwrap_or(""))));
        }
        let (mut vectors, dim) = npy(&std::fs::read(largest(folder, ".f32.npy")?)?)?;
        let rows = rows.min(texts.len()).min(vectors.len() / dim - QUERIES);
        let near = vectors.split_off(rows * dim);
        let near = near.chunks_exact(dim).take(QUERIES).map(<[f32]>::to_vec).collect();
        texts.truncate(rows);
        Ok(Self { texts, vectors, dim, near })
    }

    pub(crate) fn rows(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn text_bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        let vector = DataType::FixedSizeList(item, self.dim as i32);
        Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("tag", DataType::Utf8, false),
            Field::new("body", DataType::Utf8, false),
            Field::new("embedding", vector, false),
        ]))
    }

    /// Rows `from..from + count`, fewer at the end.
    pub(crate) fn batch(&self, from: usize, count: usize) -> RecordBatch {
        let to = (from + count).min(self.rows());
        let DataType::FixedSizeList(item, _) = self.schema().field(3).data_type().clone() else {
            unreachable!("see `schema`")
        };
        let values = self.vectors[from * self.dim..to * self.dim].to_vec();
        let values: ArrayRef = Arc::new(Float32Array::from(values));
        let tags = (from..to).map(|n| format!("tag-{}", Random(n as u64).next() % 1000));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values((from..to).map(|n| n as i64))),
            Arc::new(StringArray::from_iter_values(tags)),
            Arc::new(StringArray::from_iter_values(&self.texts[from..to])),
            Arc::new(FixedSizeListArray::new(item, self.dim as i32, values, None)),
        ];
        RecordBatch::try_new(self.schema(), columns).expect("columns follow the schema")
    }

    /// Queries of the kind, each of words of one row.
    pub(crate) fn queries(&self, kind: Words) -> Vec<Vec<String>> {
        let mut random = Random(2);
        let mut queries = Vec::new();
        while queries.len() < QUERIES {
            let text = &self.texts[random.next() as usize % self.rows()];
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            if words.len() < 2 {
                continue;
            }
            let at = random.next() as usize % (words.len() - 1);
            let mut any = || words[random.next() as usize % words.len()].to_owned();
            queries.push(match kind {
                Words::Term => vec![any()],
                Words::Or3 => (0..3).map(|_| any()).collect(),
                Words::And2 => (0..2).map(|_| any()).collect(),
                Words::Phrase2 => words[at..at + 2].iter().map(|&word| word.to_owned()).collect(),
            });
        }
        queries
    }
}

/// Kinds of text queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    Term,
    Or3,
    And2,
    Phrase2,
}

impl Words {
    pub(crate) const ALL: [(Self, &str); 4] = [
        (Self::Term, "term"),
        (Self::Or3, "or3"),
        (Self::And2, "and2"),
        (Self::Phrase2, "phrase2"),
    ];
}

/// A word of the given rank: the more common, the shorter.
fn word(rank: u64) -> String {
    let mut rank = rank + 1;
    let mut word = String::new();
    while rank > 0 {
        word.push(char::from(b'a' + (rank % 26) as u8));
        rank /= 26;
    }
    word
}

/// A unit vector near one of the clusters' centres.
fn vector(random: &mut Random) -> Vec<f32> {
    let mut centre = Random(random.next() % CLUSTERS);
    let mut vector: Vec<f32> =
        (0..DIM).map(|_| (centre.normal() + 0.7 * random.normal()) as f32).collect();
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// Lower-case ASCII words, which every analyzer takes for the same words.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
}

fn largest(folder: &Path, ending: &str) -> Result<std::path::PathBuf, Box<dyn std::error::Error>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            found.push((std::fs::metadata(&path)?.len(), path));
        }
    }
    let largest = found.into_iter().max();
    Ok(largest.ok_or_else(|| format!("no file ends in {ending}"))?.1)
}

/// Values and columns of a NumPy file of 32-bit floats in C order.
fn npy(bytes: &[u8]) -> Result<(Vec<f32>, usize), Box<dyn std::error::Error>> {
    let header_len = bytes.get(8..10).ok_or("no NumPy file")?;
    let start = 10 + usize::from(u16::from_le_bytes([header_len[0], header_len[1]]));
    let header = std::str::from_utf8(bytes.get(10..start).ok_or("cut short")?)?;
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let (shape, _) = shape.filter(|_| header.contains("<f4")).ok_or("not 32-bit floats")?;
    let dim = shape.split(',').nth(1).and_then(|dim| dim.trim().parse().ok());
    let values =
        bytes[start..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok((values.collect(), dim.ok_or("not two dimensions")?))
}
