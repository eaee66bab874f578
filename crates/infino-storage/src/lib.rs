//! Object storage for infino: bytes by exact range, and one object that changes by compare-and-swap.
//!
//! [`Store`] is what the crates above see of a place that keeps objects; the rest of this crate makes one from a URI
//! ([`connect()`]), asks whether it keeps its promises ([`probe()`]), or makes one out of another ([`folder`], [`cache`], [`fault`]).
//!
//! ```
//! use infino_storage::{StoreOptions, Swap, connect};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let store = connect("memory://example/tables", &StoreOptions::new())?;
//! store.put("data/1", "some bytes".into()).await?;
//! assert_eq!(store.get_ranges("data/1", &[0..4, 5..10]).await?, ["some", "bytes"]);
//!
//! let Swap::Done(first) = store.swap("head", None, "1".into()).await else { panic!("it is new") };
//! assert!(matches!(store.swap("head", Some(&first), "2".into()).await, Swap::Done(_)));
//! assert!(matches!(store.swap("head", Some(&first), "3".into()).await, Swap::Lost));
//! # Ok::<(), infino_storage::StorageError>(()) }).unwrap();
//! ```
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
pub mod meter;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub mod object;
pub mod options;
pub mod path;
pub mod probe;
pub mod retry;
pub mod source;
pub mod store;

pub use cache::{Cache, CacheOptions, CacheStats, CachedStore, WarmObject, WarmUp};
pub use connect::connect;
pub use credentials::{Credentials, CredentialsProvider};
pub use error::StorageError;
pub use folder::FolderStore;
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use meter::MeteredStore;
pub use options::StoreOptions;
pub use probe::probe;
pub use source::{RunError, run};
pub use store::{ObjectInfo, Store, Swap, Tag};
