//! Object storage for infino: bytes by exact range, and one object that changes by compare-and-swap.
//!
//! [`Store`] is what the crates above see of a place that keeps objects; the rest of this crate makes one from a URI,
//! or out of another one.
#![forbid(unsafe_code)]

pub mod error;
pub mod store;

pub use error::StorageError;
pub use store::{ObjectInfo, Store, Swap, Tag};
