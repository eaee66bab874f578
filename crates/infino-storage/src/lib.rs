//! Object storage for infino: bytes by exact range, and one object that changes by compare-and-swap.
//!
//! [`Store`] is what the crates above see of a place that keeps objects; the rest of this crate makes one from a URI
//! ([`connect()`]), asks whether it keeps its promises ([`probe()`]), or makes one out of another ([`folder`], [`cache`], [`fault`]).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "aws", feature = "azure", feature = "gcp")),
    allow(dead_code, unused_imports, reason = "some of it serves only the backends left out")
)]

pub mod cache;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
mod cas;
pub mod connect;
pub mod credentials;
pub mod error;
pub mod fault;
pub mod folder;
pub mod local;
pub mod memory;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub mod object;
pub mod options;
pub mod path;
pub mod probe;
pub mod retry;
pub mod source;
pub mod store;

pub use cache::{Cache, CacheOptions, CachedStore};
pub use connect::connect;
pub use credentials::{Credentials, CredentialsProvider};
pub use error::StorageError;
pub use folder::FolderStore;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use options::StoreOptions;
pub use probe::probe;
pub use source::{RunError, run};
pub use store::{ObjectInfo, Store, Swap, Tag};
