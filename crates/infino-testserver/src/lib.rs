//! An S3 server for tests, in this process or as a program of its own.
//!
//! It speaks the part of the protocol that object stores are used by: objects by path-style URL, ranges, conditional reads
//! and writes, uploads in parts, listings in pages, deletion one by one and in bulk, requests signed with version 4. Its
//! conditional writes are exact: condition and write are one step under one lock. [`Flaw`]s take that away, [`Rule`]s make
//! single requests fail in every way a network knows, [`Stats`] count requests and bytes, and a trace of [`Traced`]
//! requests tells which of them waited for one another.
//!
//! Requests with a bearer token are taken for Google Cloud Storage's XML protocol, which differs in little: conditions on
//! the generation of an object instead of its ETag. Any token will do.
//!
//! ETags depend on the bytes alone, as on S3: writing A, B, A brings back the tag of A.
//!
//! ```
//! let server = infino_testserver::Server::start(infino_testserver::Options::default())?;
//! assert!(server.endpoint().starts_with("http://127.0.0.1:"));
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod admin;
mod auth;
mod date;
mod escape;
mod fault;
mod http;
mod objects;
mod s3;
mod server;
mod stats;
mod trace;

pub use fault::{Fault, Flaw, Rule};
pub use server::{Options, Server};
pub use stats::Stats;
pub use trace::{Traced, rounds};
