//! From vectors to one section of bytes.
//!
//! Rows are rotated as they come and held in [`rows`], in memory or in a scratch file. When all are there, a sample
//! trains the centroids, every row goes to its nearest, and [`encode`] turns list after list into codes and payload.
//! [`calibrate`] then asks the codes how many lists a recall takes, and the section is written front to back.

mod calibrate;
mod encode;
mod rows;

use std::io::Write;

use bytes::Bytes;
use infino_format::DocId;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::kmeans::{self, Assigner, Centroids};
use crate::layout::{Calibration, Header, Layout, Patience, ProbeOrder, Reach};
use crate::random::SplitMix64;
use crate::rotation::Rotation;
use crate::search::query::scale;
use crate::{BuildOptions, IvfSpec, Vector, VectorError};
use encode::Encoded;
use rows::Rows;

/// Vectors that are taken in together.
const PENDING_ROWS: usize = 256;
/// The stream of the seed that the rows kept from training are drawn from.
const KEPT: u64 = 4;
/// Rows kept from training at most, to calibrate with, as many as `KEPT_SCANNED` codes allow but for the fewest, and of a
/// small index one row in `KEPT_ONE_IN`.
const KEPT_ROWS: std::ops::RangeInclusive<usize> = 512..=1024;
const KEPT_SCANNED: usize = 400_000_000;
const KEPT_ONE_IN: usize = 4;
/// The stream of the seed that the training sample is drawn from.
const SAMPLE: u64 = 3;
/// Rows drawn for each centroid to train it with.
const SAMPLE_PER_LIST: usize = 256;
/// Bytes of rows drawn at most.
const SAMPLE_BYTES_MAX: usize = 384 << 20;
/// Bytes of rows that are assigned to lists at a time.
const ASSIGN_BYTES: usize = 64 << 20;
/// A list is split when it is longer than the mean by more than this factor.
const LIST_ROWS_EXCESS: usize = 4;
/// Lists that one is split into at most.
const SPLIT_MAX: usize = 64;
/// The stream of the seed that splits are drawn from.
const SPLIT: u64 = 6;
/// Rows that a list has at least on average, unless the spec says otherwise: of them, and of the dimension by which they
/// pay for the bytes of their centroid.
const LIST_ROWS_MIN: usize = 64;
const DIMS_PER_LIST_ROW: usize = 5;

/// What a build made, beside the bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Bytes of the section.
    pub len: u64,
    /// How many of its first bytes open it.
    pub open_len: u64,
    /// Rows that have a vector.
    pub vectors: u32,
    /// Their mean, of the vectors scaled to length 1 under cosine; zeros if there are none.
    pub centroid: Vec<f32>,
    /// No vector is farther from the mean than this (Euclidean).
    pub radius: f32,
}

/// Builds one index: vectors in, one section of bytes out.
///
/// The bytes depend on the spec and the vectors alone, not on threads, memory or how they are written.
pub struct IvfBuilder {
    spec: IvfSpec,
    options: BuildOptions,
    rotation: Rotation,
    rows: Rows,
    docs: Vec<DocId>,
    sum: Vec<f64>,
    /// Vectors not handed to the rows yet, at the length that the metric works on, and as they were given.
    scaled: Vec<f32>,
    given: Vec<f32>,
    /// The threads asked for, once there is work for them.
    pool: Option<ThreadPool>,
}

impl IvfBuilder {
    /// Starts an index.
    ///
    /// # Errors
    /// [`VectorError::Spec`] if there can be no such index.
    pub fn new(spec: IvfSpec, options: BuildOptions) -> Result<Self, VectorError> {
        spec.check()?;
        let rotation = Rotation::new(spec.dim, spec.seed);
        // What a payload is made of is kept beside the rotated vector.
        let rows = Rows::new(spec.dim, spec.payload().is_of_given(), &options);
        let sum = vec![0.0; spec.dim];
        Ok(Self {
            spec,
            options,
            rotation,
            rows,
            docs: Vec::new(),
            sum,
            scaled: Vec::new(),
            given: Vec::new(),
            pool: None,
        })
    }

    /// Adds the vector of row `doc`. Rows come in ascending order; those left out have no vector.
    ///
    /// # Errors
    /// [`VectorError::Vector`] if the vector has another dimension, a coordinate that is not finite, or no direction under
    /// cosine, or if the row does not follow the last one; the builder goes on as if it had not been offered.
    /// [`VectorError::Scratch`] if scratch space fails; the builder is then of no more use.
    pub fn push(&mut self, doc: DocId, vector: &[f32]) -> Result<(), VectorError> {
        let refuse = |problem| Err(VectorError::Vector { doc, problem });
        if let Some(&last) = self.docs.last().filter(|&&last| doc <= last) {
            return refuse(format!("it comes after row {last}; push rows in ascending order"));
        }
        if doc == DocId::MAX {
            return refuse("row numbers end before it; start another index".into());
        }
        let scale = match scale(self.spec.metric, self.spec.dim, vector) {
            Ok(scale) => scale,
            Err(problem) => return refuse(problem),
        };
        for (x, sum) in vector.iter().zip(&mut self.sum) {
            let x = x * scale;
            self.scaled.push(x);
            *sum += f64::from(x);
        }
        if self.spec.payload().is_of_given() {
            self.given.extend_from_slice(vector);
        }
        self.docs.push(doc);
        if self.scaled.len() >= PENDING_ROWS * self.spec.dim { self.take_in() } else { Ok(()) }
    }

    /// Hands the vectors that came last to the rows.
    fn take_in(&mut self) -> Result<(), VectorError> {
        let Self { options, pool, rows, rotation, scaled, given, .. } = self;
        if options.threads > 0 && pool.is_none() {
            let built = ThreadPoolBuilder::new().num_threads(options.threads).build();
            *pool =
                Some(built.map_err(|error| VectorError::Threads { problem: error.to_string() })?);
        }
        match pool {
            Some(pool) => pool.install(|| rows.push(rotation, scaled, given))?,
            None => rows.push(rotation, scaled, given)?,
        }
        scaled.clear();
        given.clear();
        Ok(())
    }

    /// [`IvfBuilder::push`] of a vector of another type.
    ///
    /// # Errors
    /// As [`IvfBuilder::push`].
    pub fn push_vector(&mut self, doc: DocId, vector: Vector<'_>) -> Result<(), VectorError> {
        match vector {
            Vector::F32(vector) => self.push(doc, vector),
            other => self.push(doc, &other.to_floats()),
        }
    }

    /// Rows pushed so far.
    pub fn len(&self) -> u32 {
        self.docs.len() as u32
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// Builds the index in memory.
    ///
    /// # Errors
    /// As [`IvfBuilder::finish_to`].
    pub fn finish(self) -> Result<(Vec<u8>, Built), VectorError> {
        let mut section = Vec::new();
        let built = self.finish_to(&mut section)?;
        Ok((section, built))
    }

    /// Builds the index and writes it to `out`, front to back.
    ///
    /// # Errors
    /// [`VectorError::Scratch`], [`VectorError::Write`] or [`VectorError::Threads`] if the system refuses.
    pub fn finish_to(mut self, out: &mut dyn Write) -> Result<Built, VectorError> {
        self.take_in()?;
        let ready = match self.pool.take() {
            Some(pool) => pool.install(|| self.build())?,
            None => self.build()?,
        };
        out.write_all(&ready.layout.encode()).map_err(VectorError::Write)?;
        out.write_all(&ready.codes).map_err(VectorError::Write)?;
        out.write_all(&ready.positions).map_err(VectorError::Write)?;
        ready.payload.write_to(out)?;
        out.flush().map_err(VectorError::Write)?;
        Ok(ready.built)
    }

    fn build(mut self) -> Result<Ready, VectorError> {
        self.rows.seal()?;
        let kept = self.kept();
        let lists = self.lists(&kept)?;
        let mut mean: Vec<f32> =
            self.sum.iter().map(|sum| (sum / self.docs.len().max(1) as f64) as f32).collect();
        let centroid = mean.clone();
        self.rotation.apply(&mut mean);
        let Encoded { lists, centroids, order, codes, payload, radius } =
            encode::encode(&self.spec, &self.options, &self.rows, &self.docs, lists, &mean)?;
        let header = Header {
            metric: self.spec.metric,
            rerank: self.spec.rerank,
            extra_bits: self.spec.extra_bits,
            dim: self.spec.dim,
            rows: self.docs.len() as u32,
            doc_end: self.docs.last().map_or(0, |last| last + 1),
            seed: self.spec.seed,
            target_recall: self.spec.target_recall,
            order: ProbeOrder { mean: 0.0, spread: 0.0 },
            calibration: Calibration::default(),
            patience: Patience::default(),
            reach: Reach::default(),
        };
        let mut layout = Layout::new(header, lists, Bytes::from(centroids));
        calibrate::calibrate(&mut layout, &codes, &self.rows, &order, &kept)?;
        let docs = order.iter().map(|&row| self.docs[row as usize]);
        let positions = layout.positions.map_or(Vec::new(), |positions| positions.encode(docs));
        let built = Built {
            len: layout.section_len,
            open_len: layout.open_len,
            vectors: layout.header.rows,
            centroid,
            radius,
        };
        Ok(Ready { layout, codes, positions, payload, built })
    }

    /// Rows that train no centroid, ascending: searches for them are like searches for vectors that the index has not seen.
    fn kept(&self) -> Vec<u32> {
        let rows = self.docs.len();
        let most = (KEPT_SCANNED / rows.max(1)).clamp(*KEPT_ROWS.start(), *KEPT_ROWS.end());
        let kept = SplitMix64::new(self.spec.seed, KEPT).sample(rows, most.min(rows / KEPT_ONE_IN));
        kept.into_iter().map(|row| row as u32).collect()
    }

    /// The lists, none of them empty; `kept` are rows that no centroid learns of.
    fn lists(&self, kept: &[u32]) -> Result<Vec<List>, VectorError> {
        let (rows, dim) = (self.docs.len(), self.spec.dim);
        if rows == 0 {
            return Ok(Vec::new());
        }
        let wanted = match self.spec.nlist {
            Some(nlist) => nlist as usize,
            None => self.nlist(rows),
        };
        let drawn = (wanted * SAMPLE_PER_LIST).min(SAMPLE_BYTES_MAX / (4 * dim)).max(wanted);
        let mut trains = vec![true; rows];
        kept.iter().for_each(|&row| trains[row as usize] = false);
        let trained: Vec<u32> = (0..rows as u32).filter(|&row| trains[row as usize]).collect();
        let sample = SplitMix64::new(self.spec.seed, SAMPLE).sample(trained.len(), drawn);
        let sample: Vec<u32> = sample.into_iter().map(|i| trained[i]).collect();
        let drawn = sample.len();
        let sample = self.rows.gather(&sample)?;
        let refs: Vec<&[f32]> = sample.chunks_exact(dim).collect();
        let mut centroids = kmeans::train(dim, &refs, wanted, self.spec.seed);
        drop(sample);
        if drawn < trained.len() {
            // What the sample was too small for, all rows together can tell.
            let lists = self.assign(&centroids, &trains)?;
            let means: Vec<f32> = lists.into_iter().flat_map(|list| list.mean).collect();
            centroids = Centroids::new(dim, means);
        }
        let mut lists = self.assign(&centroids, &trains)?;
        lists.retain(|list| !list.rows.is_empty());
        // Lists asked for by number stay as many.
        if self.spec.nlist.is_some() { Ok(lists) } else { self.split(lists) }
    }

    /// About four times the root: scanning codes and ordering lists then cost alike.
    fn nlist(&self, rows: usize) -> usize {
        let most = rows as f64 / self.list_rows_min() as f64;
        ((4.096 * (rows as f64).sqrt()).min(most).round() as usize).max(1)
    }

    fn list_rows_min(&self) -> usize {
        // An index of codes alone is there to be small.
        let small = usize::from(!self.spec.payload().stands_alone());
        LIST_ROWS_MIN.max(self.spec.dim / (DIMS_PER_LIST_ROW - small))
    }

    /// Every row in its nearest list, whose mean is that of the rows that train, its centroid if there are none.
    fn assign(&self, centroids: &Centroids, trains: &[bool]) -> Result<Vec<List>, VectorError> {
        let assigner = Assigner::new(centroids, self.spec.seed);
        let dim = self.spec.dim;
        let empty = Gathered { rows: Vec::new(), trained: 0, sum: vec![0.0; dim] };
        let mut lists = vec![empty; centroids.len()];
        let (rows, chunk) = (self.docs.len(), (ASSIGN_BYTES / (4 * dim)).max(1));
        let mut vectors = vec![0.0; chunk.min(rows) * dim];
        for start in (0..rows).step_by(chunk) {
            vectors.truncate((rows - start) * dim);
            self.rows.run(start, &mut vectors)?;
            let refs: Vec<&[f32]> = vectors.chunks_exact(dim).collect();
            let members = kmeans::members(lists.len(), &assigner.assign(&refs));
            lists.par_iter_mut().zip(members).for_each(|(list, members)| {
                for row in members {
                    list.rows.push(start as u32 + row);
                    if trains[start + row as usize] {
                        list.trained += 1;
                        let vector = refs[row as usize];
                        list.sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x));
                    }
                }
            });
        }
        let points = centroids.points.chunks_exact(dim);
        Ok(lists.into_iter().zip(points).map(|(list, point)| list.done(point)).collect())
    }

    /// Splits lists that are much longer than the others, so that no query pays for one.
    fn split(&self, lists: Vec<List>) -> Result<Vec<List>, VectorError> {
        let dim = self.spec.dim;
        let mean = (self.docs.len() / lists.len()).max(self.list_rows_min());
        let mut even = Vec::with_capacity(lists.len());
        for list in lists {
            if list.rows.len() <= LIST_ROWS_EXCESS * mean {
                even.push(list);
                continue;
            }
            let gathered = self.rows.gather(&list.rows)?;
            let rows: Vec<&[f32]> = gathered.chunks_exact(dim).collect();
            let mut random = SplitMix64::new(self.spec.seed, SPLIT);
            let parts = (list.rows.len() / mean).min(SPLIT_MAX);
            let centroids = kmeans::flat(dim, &rows, parts, &mut random);
            let parts = kmeans::members(centroids.len(), &kmeans::assign_all(&centroids, &rows));
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                let mut mean = vec![0.0; dim];
                kmeans::mean(part.iter().map(|&i| rows[i as usize]), &mut mean);
                let rows = part.into_iter().map(|i| list.rows[i as usize]).collect();
                even.push(List { rows, mean });
            }
        }
        Ok(even)
    }
}

/// A list that rows are assigned to.
#[derive(Clone)]
struct Gathered {
    rows: Vec<u32>,
    /// How many of them train, and their sum.
    trained: usize,
    sum: Vec<f64>,
}

impl Gathered {
    /// The list; `point` is its centroid so far.
    fn done(self, point: &[f32]) -> List {
        let count = self.trained as f64;
        let mean = self.sum.into_iter().map(|sum| (sum / count) as f32);
        List {
            rows: self.rows,
            mean: if self.trained > 0 { mean.collect() } else { point.to_vec() },
        }
    }
}

/// A list before it is encoded: its rows, ascending, and their mean.
#[derive(Clone)]
struct List {
    rows: Vec<u32>,
    mean: Vec<f32>,
}

/// A section whose parts are all known.
struct Ready {
    layout: Layout,
    codes: Vec<u8>,
    positions: Vec<u8>,
    payload: encode::PayloadRegion,
    built: Built,
}
