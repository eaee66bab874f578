//! Approximate nearest neighbours from an index that lives in an immutable file and is read by range.
//!
//! An inverted file (IVF): k-means cuts the vectors into lists, each row keeps a 1-bit RaBitQ code of its offset from the
//! list's centroid and, apart from it, a payload that candidates are reranked with. A query visits the lists that are
//! nearest to it, estimates every distance from the codes with a bound on the error, and reads the payload of only
//! those rows that the bound cannot rule out. [`IvfBuilder`] turns vectors into one section of bytes, [`IvfIndex`]
//! answers from it: from memory ([`IvfIndex::search_resident`]) or through [`infino_format::Fetch`] from anywhere that
//! can read ranges. Bytes: `docs/format/vector.md`.
//!
//! # Examples
//! ```
//! use infino_format::schema::Metric;
//! use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};
//!
//! # fn main() -> Result<(), infino_vector::VectorError> {
//! let mut builder = IvfBuilder::new(IvfSpec::new(16, Metric::L2), BuildOptions::default())?;
//! for doc in 0..100 {
//!     builder.push(doc, &[doc as f32; 16])?;
//! }
//! let (section, _) = builder.finish()?;
//! let index = IvfIndex::resident(section.into())?;
//! let hits = index.search_resident(&[7.2; 16], &SearchParams { k: 2, ..Default::default() }, None)?;
//! assert_eq!([hits[0].doc, hits[1].doc], [7, 8]);
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod builder;
mod error;
mod extended;
mod index;
mod kernel;
mod kmeans;
mod layout;
mod mmap;
mod payload;
mod positions;
mod rabitq;
mod random;
mod rotation;
mod search;
mod spec;
mod sq8;
#[cfg(test)]
mod tests;
mod vector;

pub use builder::{Built, IvfBuilder};
pub use error::VectorError;
pub use index::IvfIndex;
pub use search::Search;
pub use search::check_vector;
pub use spec::{BuildOptions, IvfSpec, Neighbor, SearchCounts, SearchParams};
pub use vector::Vector;
