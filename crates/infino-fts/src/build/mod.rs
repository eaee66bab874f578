//! Documents to a section.
//!
//! Each field is inverted in memory: an [`interner`] gives every word a number, [`streams`] collect what is known of each
//! term in chunks of one arena, and [`encode`] turns them into lists and a dictionary, in term order. What passes the
//! memory budget goes to disk in runs, which are merged by term at the end. [`sections`] makes one section of several
//! without their text.

mod builder;
mod encode;
mod interner;
mod inverter;
mod merge;
mod scratch;
mod sections;
mod streams;

pub use builder::{BuildOptions, Built, FieldSummary, FtsBuilder};
pub use sections::{RowMap, merge_sections};
