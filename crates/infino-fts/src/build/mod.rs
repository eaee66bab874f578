//! Documents to a section.
//!
//! Each field is inverted in memory: an [`interner`] gives every word a number, [`streams`] collect what is known of each
//! term in chunks of one arena, and [`encode`] turns them into lists and a dictionary, in term order.

mod builder;
mod encode;
mod interner;
mod inverter;
mod streams;

pub use builder::{BuildOptions, Built, FieldSummary, FtsBuilder};
