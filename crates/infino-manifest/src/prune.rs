//! Which superfiles may hold what a query looks for. Whatever is unknown may match.

use std::cmp::Ordering;
use std::sync::Arc;

use infino_format::schema::Metric;
use infino_format::summary::{ColumnStats, Scalar};

use crate::entry::Entry;

/// A condition on columns, as far as statistics can tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// All of them.
    And(Vec<Predicate>),
    /// At least one of them.
    Or(Vec<Predicate>),
    /// The value is not null and within both bounds, each inclusive; no bound, no limit.
    Between {
        /// The column.
        field_id: u32,
        /// The least.
        min: Option<Scalar>,
        /// The greatest.
        max: Option<Scalar>,
    },
    /// The value is one of these.
    In {
        /// The column.
        field_id: u32,
        /// The values.
        values: Vec<Scalar>,
    },
    /// The value is null.
    IsNull {
        /// The column.
        field_id: u32,
    },
    /// The value is not null.
    IsNotNull {
        /// The column.
        field_id: u32,
    },
    /// Anything statistics say nothing about.
    Unknown,
}

impl Predicate {
    /// The value is this one.
    pub fn equals(field_id: u32, value: Scalar) -> Self {
        Self::In { field_id, values: vec![value] }
    }

    /// Whether a row of `entry` may satisfy it. A wrong `true` costs time; `false` is a proof.
    pub fn may_match(&self, entry: &Entry) -> bool {
        let rows = u64::from(entry.summary.row_count);
        let stats = |field_id: &u32| {
            entry.summary.columns.iter().find(|column| column.field_id == *field_id)
        };
        match self {
            Self::And(all) => all.iter().all(|one| one.may_match(entry)),
            Self::Or(any) => any.iter().any(|one| one.may_match(entry)),
            Self::Between { field_id, min, max } => stats(field_id).is_none_or(|column| {
                column.null_count < rows && overlaps(column, min.as_ref(), max.as_ref())
            }),
            Self::In { field_id, values } => stats(field_id).is_none_or(|column| {
                let may = |value: &Scalar| overlaps(column, Some(value), Some(value));
                column.null_count < rows && values.iter().any(may)
            }),
            Self::IsNull { field_id } => stats(field_id).is_none_or(|column| column.null_count > 0),
            Self::IsNotNull { field_id } => {
                stats(field_id).is_none_or(|column| column.null_count < rows)
            }
            Self::Unknown => true,
        }
    }
}

/// Whether a value of the column may lie within the bounds.
fn overlaps(column: &ColumnStats, min: Option<&Scalar>, max: Option<&Scalar>) -> bool {
    let below = |a: Option<&Scalar>, b: Option<&Scalar>| match (a, b) {
        (Some(a), Some(b)) => compare(a, b) == Some(Ordering::Less),
        _ => false,
    };
    !below(column.max.as_ref(), min) && !below(max, column.min.as_ref())
}

/// The order of two values; `None` if they are of kinds that cannot be compared, or one is NaN.
pub fn compare(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
        (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(b)),
        (Scalar::UInt(a), Scalar::UInt(b)) => Some(a.cmp(b)),
        (Scalar::Int(a), Scalar::UInt(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Scalar::UInt(a), Scalar::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(b),
        (Scalar::Decimal(a), Scalar::Decimal(b)) => Some(a.cmp(b)),
        (Scalar::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
        (Scalar::Binary(a), Scalar::Binary(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// The entries of which a row may satisfy `predicate`, in order.
pub fn by_stats<'a>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    predicate: &Predicate,
) -> Vec<&'a Arc<Entry>> {
    entries.into_iter().filter(|entry| predicate.may_match(entry)).collect()
}

/// The entries whose term range on the column holds any of `terms`, or with `all` each of them, in order.
///
/// An entry that has no text statistics on the column is kept: it was written before the column was indexed.
pub fn by_terms<'a, T: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    field_id: u32,
    terms: &[T],
    all: bool,
) -> Vec<&'a Arc<Entry>> {
    let may_match = |entry: &&Arc<Entry>| {
        let text = entry.summary.text.iter().find(|text| text.field_id == field_id);
        text.is_none_or(|text| {
            let range = text.min_term.as_slice()..=text.max_term.as_slice();
            let mut held = terms.iter().map(|term| range.contains(&term.as_ref()));
            text.docs > 0 && if all { held.all(|held| held) } else { held.any(|held| held) }
        })
    };
    entries.into_iter().filter(may_match).collect()
}

/// The entries that hold vectors of the column, nearest first, each with a distance that no vector of it is nearer than.
///
/// Exact for `L2` (squared Euclidean); for the other metrics the order is by distance to the mean vector and the bound
/// says nothing (negative infinity). An entry without statistics on the column comes first: nothing is known of it.
pub fn by_distance<'a>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    field_id: u32,
    query: &[f32],
    metric: Metric,
) -> Vec<(&'a Arc<Entry>, f32)> {
    let mut ranked: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| {
            let stats = entry.summary.vectors.iter().find(|stats| stats.field_id == field_id);
            let Some(stats) = stats else {
                return Some((entry, f32::NEG_INFINITY, f32::NEG_INFINITY));
            };
            if stats.vectors == 0 {
                return None;
            }
            let distance = to_centroid(query, &stats.centroid, metric);
            let bound = match metric {
                Metric::L2 => (distance.max(0.0).sqrt() - stats.radius).max(0.0).powi(2),
                _ => f32::NEG_INFINITY,
            };
            // Rounding must never make the bound of a file pass a vector in it.
            Some((entry, distance, if bound.is_nan() { f32::NEG_INFINITY } else { bound * 0.999 }))
        })
        .collect();
    ranked.sort_by(|a, b| {
        a.2.total_cmp(&b.2).then(a.1.total_cmp(&b.1)).then(a.0.id().cmp(&b.0.id()))
    });
    ranked.into_iter().map(|(entry, _, bound)| (entry, bound)).collect()
}

fn to_centroid(query: &[f32], centroid: &[f32], metric: Metric) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    match metric {
        Metric::L2 | Metric::Hamming => {
            query.iter().zip(centroid).map(|(x, y)| (x - y) * (x - y)).sum()
        }
        Metric::InnerProduct => -dot(query, centroid),
        Metric::Cosine => {
            let norms = (dot(query, query) * dot(centroid, centroid)).sqrt();
            if norms > 0.0 { 1.0 - dot(query, centroid) / norms } else { 1.0 }
        }
    }
}

#[cfg(test)]
mod tests;
