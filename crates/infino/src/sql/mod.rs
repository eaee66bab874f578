//! SQL over tables and searches, through DataFusion.
//!
//! | module | what it does |
//! |---|---|
//! | [`session`] | one statement: which tables it names, pinned once each; plan; run |
//! | [`provider`] | a pinned table as a relation of rows |
//! | [`source`] | the Parquet scan of it, dead rows taken out where a file is opened |
//! | [`functions`] | search functions as relations: parsing their arguments |
//! | [`search_exec`] | a search as an operator |
//! | [`filter`] | a predicate as a set of rows a file |

pub(crate) mod filter;
mod functions;
mod provider;
mod search_exec;
mod session;
mod source;
mod statistics;

pub use session::SqlQuery;
pub(crate) use session::base_state;
