//! SQL over tables and searches, through DataFusion.
//!
//! | module | what it does |
//! |---|---|
//! | [`session`] | what a statement sees: functions, settings, the tables it names, pinned once each |
//! | [`statement`] | one statement, from text to rows |
//! | [`ddl`], [`alter`] | statements that make tables, or change their columns and indexes |
//! | [`dml`], [`merge`] | statements that change rows |
//! | [`provider`] | a pinned table as a relation of rows |
//! | [`scan`] | the rows of a table without a statement |
//! | [`source`] | the Parquet scan of it, dead rows taken out where a file is opened |
//! | [`identifiers`] | names without quotes, whatever their case |
//! | [`memory`] | what operators may take of the connection's memory |
//! | [`chains`] | long chains of AND or OR as shallow trees |
//! | [`functions`] | search functions as relations: parsing their arguments |
//! | [`search_exec`] | a search as an operator |
//! | [`expressions`] | `match`, `match_score`, `distance` |
//! | [`ranking`] | `ORDER BY` of those as a search |
//! | [`brief`] | short planning of statements that are one search |
//! | [`filter`] | a predicate as a set of rows a file |
//! | [`answer`] | what of a predicate the indexes know |
//! | [`row_sets`] | sets of rows that were found before |
//! | [`registered`] | tables in a session that is not ours |
//! | [`yielding`] | joins that give way to others |
//! | [`annotate`] | what a column is indexed with, told to expressions |

mod alter;
mod annotate;
mod answer;
mod brief;
mod chains;
mod ddl;
mod dml;
mod expressions;
pub(crate) mod filter;
mod functions;
mod identifiers;
mod memory;
mod merge;
mod provider;
mod ranking;
pub(crate) mod registered;
mod row_sets;
mod scan;
mod search_exec;
mod session;
mod source;
mod statement;
mod statistics;
mod yielding;

pub(crate) use brief::Brief;
pub(crate) use dml::{count_of, update_statement};
pub(crate) use provider::PinnedTable;
pub(crate) use row_sets::RowSets;
pub use scan::Scan;
pub use session::SqlQuery;
pub(crate) use session::base_state;
