//! Rows that behave like real ones: words as often as in English prose, lengths log-normal, vectors in clusters.

use std::sync::Arc;

use infino::arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use infino::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// Dimension of the generated vectors.
pub(crate) const DIM: usize = 128;
const CLUSTERS: u64 = 500;
const WORDS: f64 = 200_000.0;

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

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

pub(crate) fn schema() -> SchemaRef {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("tag", DataType::Utf8, false),
        Field::new("body", DataType::Utf8, false),
        Field::new("embedding", DataType::FixedSizeList(item, DIM as i32), false),
    ]))
}

/// A word of the given rank: the more common, the shorter.
pub(crate) fn word(rank: u64) -> String {
    let mut rank = rank + 1;
    let mut word = String::new();
    while rank > 0 {
        word.push(char::from(b'a' + (rank % 26) as u8));
        rank /= 26;
    }
    word
}

/// A rank by Zipf's law.
pub(crate) fn zipf(random: &mut Random) -> u64 {
    WORDS.powf(random.unit()) as u64 - 1
}

/// A vector near one of the clusters' centres.
pub(crate) fn vector(random: &mut Random) -> Vec<f32> {
    let mut centre = Random(random.next() % CLUSTERS);
    let mut vector: Vec<f32> =
        (0..DIM).map(|_| (centre.normal() + 0.7 * random.normal()) as f32).collect();
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// Rows `from..from + count`, and the bytes of their text.
pub(crate) fn rows(from: usize, count: usize) -> (RecordBatch, usize) {
    let mut random = Random(from as u64);
    let mut bodies = Vec::with_capacity(count);
    let mut vectors = Vec::with_capacity(count * DIM);
    let mut tags = Vec::with_capacity(count);
    for _ in 0..count {
        let words = (4.0 + random.normal() * 0.7).exp().clamp(3.0, 2000.0) as usize;
        let words = (0..words).map(|_| word(zipf(&mut random))).collect::<Vec<_>>();
        bodies.push(words.join(" "));
        tags.push(format!("tag-{}", random.next() % 1000));
        vectors.extend(vector(&mut random));
    }
    let bytes = bodies.iter().map(String::len).sum();
    let DataType::FixedSizeList(item, _) = schema().field(3).data_type().clone() else {
        unreachable!("see `schema`")
    };
    let values: ArrayRef = Arc::new(Float32Array::from(vectors));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values((from..from + count).map(|n| n as i64))),
        Arc::new(StringArray::from(tags)),
        Arc::new(StringArray::from(bodies)),
        Arc::new(FixedSizeListArray::new(item, DIM as i32, values, None)),
    ];
    (RecordBatch::try_new(schema(), columns).expect("columns follow the schema"), bytes)
}
