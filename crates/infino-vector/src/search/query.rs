//! A query, made ready once for all lists.

use infino_format::schema::Metric;

use crate::index::Inner;
use crate::rabitq::QueryCode;
use crate::spec::bound;
use crate::{SearchParams, VectorError};

/// The greatest `‖x‖²`: distances of such vectors stay finite.
pub(crate) const NORM2_MAX: f64 = 1e36;
/// The least `‖x‖²` under cosine: below, a float does not tell the direction.
pub(crate) const NORM2_MIN: f64 = 1e-30;

pub(crate) struct Query {
    /// As asked.
    pub(crate) raw: Vec<f32>,
    /// Rotated, of length 1 under cosine.
    pub(crate) rotated: Vec<f32>,
    pub(crate) code: QueryCode,
    /// Of `rotated`.
    pub(crate) norm2: f32,
    /// ε of the error bound.
    pub(crate) width: f32,
    /// The greatest distance of a neighbour.
    pub(crate) within: f32,
}

impl Query {
    pub(crate) fn new(
        inner: &Inner,
        query: &[f32],
        params: &SearchParams,
    ) -> Result<Self, VectorError> {
        params.check()?;
        let header = &inner.layout.header;
        let recall = params.target_recall.unwrap_or(header.target_recall);
        let width = params.bound.unwrap_or_else(|| bound(recall));
        let scale = scale(header.metric, header.dim, query).map_err(VectorError::query)?;
        let mut rotated: Vec<f32> = query.iter().map(|x| x * scale).collect();
        inner.rotation.apply(&mut rotated);
        let code = QueryCode::new(&rotated);
        let norm2 = crate::kernel::dot(&rotated, &rotated);
        Ok(Self {
            raw: query.to_vec(),
            rotated,
            code,
            norm2,
            width,
            within: params.within.unwrap_or(f32::INFINITY),
        })
    }

    /// A row, rotated and scaled as it is stored.
    pub(crate) fn of_row(rotated: Vec<f32>) -> Self {
        let code = QueryCode::new(&rotated);
        let norm2 = crate::kernel::dot(&rotated, &rotated);
        Self { raw: Vec::new(), rotated, code, norm2, width: bound(1.0), within: f32::INFINITY }
    }
}

/// Checks a vector and says what brings it to the length that the metric works on.
pub(crate) fn scale(metric: Metric, dim: usize, vector: &[f32]) -> Result<f32, String> {
    if vector.len() != dim {
        return Err(format!("it has {} dimensions, the index {dim}", vector.len()));
    }
    let norm2: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if !norm2.is_finite() {
        let at = vector.iter().position(|x| !x.is_finite()).unwrap_or(0);
        return Err(format!("coordinate {at} is {}; only finite ones have a place", vector[at]));
    }
    if norm2 > NORM2_MAX {
        return Err(format!("its length {:.3e} passes 1e18; scale the vectors", norm2.sqrt()));
    }
    if metric == Metric::Hamming {
        return match vector.iter().position(|&x| x != 0.0 && x != 1.0) {
            Some(at) => Err(format!("coordinate {at} is {}; bits are 0 or 1", vector[at])),
            None => Ok(1.0),
        };
    }
    if metric != Metric::Cosine {
        return Ok(1.0);
    }
    if norm2 < NORM2_MIN {
        return Err("a zero vector has no direction, so no cosine".into());
    }
    Ok((1.0 / norm2.sqrt()) as f32)
}
