//! What the fuzz targets run: one module for each target, each with a `run` that panics if a promise is broken.
//!
//! A decoder given any bytes returns a value or an error; a value it returns encodes to bytes that decode to it again.
//! Checksums would stop nearly every mutated input at the door, so each target also offers the input with its checksums
//! made right ([`seal`]), as a crafted file would have them.
#![forbid(unsafe_code)]

pub mod analyzer;
pub mod catalog;
pub mod head;
pub mod highlight;
pub mod manifest_parts;
pub mod query_parser;
pub mod record;
pub mod regex;
pub mod seal;
pub mod section_flips;
pub mod seeds;
pub mod summary;
pub mod text_reader;
pub mod text_round_trip;
pub mod tombstone;
pub mod vector_reader;
pub mod vector_round_trip;

/// A target: its name, also that of its folder of inputs, and what it does with one.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 15] = [
    ("catalog", catalog::run),
    ("head", head::run),
    ("record", record::run),
    ("summary", summary::run),
    ("tombstone", tombstone::run),
    ("manifest_parts", manifest_parts::run),
    ("text_reader", text_reader::run),
    ("vector_reader", vector_reader::run),
    ("query_parser", query_parser::run),
    ("regex", regex::run),
    ("analyzer", analyzer::run),
    ("highlight", highlight::run),
    ("text_round_trip", text_round_trip::run),
    ("vector_round_trip", vector_round_trip::run),
    ("section_flips", section_flips::run),
];
