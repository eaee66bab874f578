//! What an index is, how it is built and how it is asked.

use std::path::PathBuf;

use infino_format::DocId;
use infino_format::schema::{Metric, RerankCodec, VectorIndex};

use crate::VectorError;
use crate::extended::BITS_MAX;
use crate::payload::Payload;

/// The least dimension of a vector.
pub(crate) const DIM_MIN: usize = 16;
/// The greatest dimension of a vector.
pub(crate) const DIM_MAX: usize = 4096;
/// The most lists an index may have.
pub(crate) const LISTS_MAX: u32 = 1 << 16;

/// ε of the error bound where none is asked for, by recall: 1.9, as the RaBitQ paper proposes, costs 0.2 to 0.4 % of the
/// neighbours.
pub(crate) fn bound(recall: f32) -> f32 {
    match recall {
        ..0.985 => 1.9,
        ..0.997 => 2.3,
        _ => 3.2,
    }
}

/// What an index is: fixed when it is built, stored with it.
#[derive(Debug, Clone, PartialEq)]
pub struct IvfSpec {
    /// Coordinates of a vector, 16 to 4096; a multiple of 8 under Hamming distance.
    pub dim: usize,
    /// What near means.
    pub metric: Metric,
    /// What is kept of each vector to rerank candidates with. Under Hamming distance, whatever it is but
    /// [`RerankCodec::None`], the bits themselves are.
    pub rerank: RerankCodec,
    /// Bits a dimension, at most 7, that codes have beside their first, with [`RerankCodec::None`] alone (extended RaBitQ):
    /// 3 find some 95 % of the neighbours at a quarter of the default's size, 5 some 98 %.
    pub extra_bits: u8,
    /// Recall@10 that a search without settings of its own is to reach, 0 to 1.
    pub target_recall: f32,
    /// What every random choice of the build derives from.
    pub seed: u64,
    /// Lists to cut the vectors into, at most 65,536; by default about four times the root of their number.
    pub nlist: Option<u32>,
}

impl IvfSpec {
    /// The defaults: 16-bit rerank payload, recall 0.95.
    pub fn new(dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            rerank: RerankCodec::Sq8Residual,
            extra_bits: 0,
            target_recall: 0.95,
            seed: 0x1f1_0000,
            nlist: None,
        }
    }

    pub(crate) fn payload(&self) -> Payload {
        Payload::of(self.metric, self.rerank, self.extra_bits)
    }

    pub(crate) fn check(&self) -> Result<(), VectorError> {
        if !(DIM_MIN..=DIM_MAX).contains(&self.dim) {
            return Err(VectorError::spec(format!(
                "dimension {} is outside {DIM_MIN} to {DIM_MAX}",
                self.dim
            )));
        }
        if self.metric == Metric::Hamming && !self.dim.is_multiple_of(8) {
            let dim = self.dim;
            return Err(VectorError::spec(format!(
                "{dim} bits are not whole bytes; pad them with zeros"
            )));
        }
        if self.extra_bits > BITS_MAX {
            let bits = self.extra_bits;
            return Err(VectorError::spec(format!("{bits} extra bits are more than {BITS_MAX}")));
        }
        if self.extra_bits > 0 && self.rerank != RerankCodec::None {
            return Err(VectorError::spec(
                "extra bits take the place of a rerank payload; use one of the two",
            ));
        }
        if !(0.0..=1.0).contains(&self.target_recall) {
            return Err(VectorError::spec(format!(
                "target recall {} is outside 0 to 1",
                self.target_recall
            )));
        }
        match self.nlist {
            Some(nlist) if nlist == 0 || nlist > LISTS_MAX => {
                Err(VectorError::spec(format!("{nlist} lists are outside 1 to {LISTS_MAX}")))
            }
            _ => Ok(()),
        }
    }
}

impl From<&VectorIndex> for IvfSpec {
    fn from(index: &VectorIndex) -> Self {
        Self {
            rerank: index.rerank,
            target_recall: f32::from(index.target_recall_millis) / 1000.0,
            ..Self::new(index.dim as usize, index.metric)
        }
    }
}

/// How an index is built; nothing here changes the bytes of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOptions {
    /// Bytes of vectors held in memory; past it they go to a scratch file. 0 sends all of them there.
    pub spill_bytes: usize,
    /// The folder for scratch files, made when first needed; by default the system's.
    pub scratch_dir: Option<PathBuf>,
    /// Threads to build with; 0 uses the caller's rayon pool.
    pub threads: usize,
}

impl Default for BuildOptions {
    /// 256 MiB, the system's scratch folder, the caller's pool.
    fn default() -> Self {
        Self { spill_bytes: 256 << 20, scratch_dir: None, threads: 0 }
    }
}

/// How an index is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchParams {
    /// Neighbours wanted.
    pub k: usize,
    /// Lists to visit; overrides `target_recall`. More are visited when these hold fewer than `k` rows that count.
    pub nprobe: Option<u32>,
    /// Recall to reach, 0 to 1; by default the one the index was built for.
    pub target_recall: Option<f32>,
    /// Whether to score every row by its rerank payload, and none by its code. With [`RerankCodec::F32`] the answer is
    /// exact; with [`RerankCodec::Sq8Residual`] it is exact for the vectors as stored, 16 bits a dimension; with
    /// [`RerankCodec::None`] every row is scored by its code, and the most promising by their extra bits.
    pub exact: bool,
    /// The greatest distance of a neighbour, in the metric of the index; those farther are left out, so fewer than `k` may
    /// come.
    pub within: Option<f32>,
    /// Width of the error bound of a code in standard deviations: a row whose distance is below the estimate by more than
    /// this may be missed. Wider reranks more rows; by default 1.9, and more for recalls from 0.985.
    pub bound: Option<f32>,
}

impl Default for SearchParams {
    fn default() -> Self {
        Self { k: 10, nprobe: None, target_recall: None, exact: false, within: None, bound: None }
    }
}

impl SearchParams {
    pub(crate) fn check(&self) -> Result<(), VectorError> {
        if self.k == 0 {
            return Err(VectorError::query("k is 0; ask for at least one neighbour"));
        }
        if self.nprobe == Some(0) {
            return Err(VectorError::query("nprobe is 0; visit at least one list"));
        }
        if let Some(target) = self.target_recall.filter(|target| !(0.0..=1.0).contains(target)) {
            return Err(VectorError::query(format!("target recall {target} is outside 0 to 1")));
        }
        if self.within.is_some_and(f32::is_nan) {
            return Err(VectorError::query("the greatest distance is not a number"));
        }
        if let Some(bound) = self.bound.filter(|bound| !(*bound >= 0.0 && bound.is_finite())) {
            return Err(VectorError::query(format!("bound {bound} is not a width")));
        }
        Ok(())
    }
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// The row.
    pub doc: DocId,
    /// How far it is, in the metric of the index: squared Euclidean, 1 − cosine, negative inner product,
    /// or bits that differ.
    pub distance: f32,
}

impl Neighbor {
    /// Nearest first, then by row.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.doc.cmp(&other.doc))
    }
}

/// What a search went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchCounts {
    /// Lists visited.
    pub lists: u32,
    /// Rows whose distance was estimated.
    pub scanned: u32,
    /// Rows whose payload was read.
    pub reranked: u32,
}
