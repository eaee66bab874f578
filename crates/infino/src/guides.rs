//! The pages of the documents, so that their Rust blocks are compiled and run as documentation tests.

#[doc = include_str!("../../../README.md")]
pub struct Readme;

#[doc = include_str!("../../../docs/guides/ingest.md")]
pub struct Ingest;

#[doc = include_str!("../../../docs/guides/search.md")]
pub struct Search;

#[doc = include_str!("../../../docs/guides/filters.md")]
pub struct Filters;

#[doc = include_str!("../../../docs/guides/operations.md")]
pub struct Operations;

#[doc = include_str!("../../../docs/guides/vector.md")]
pub struct Vector;

#[doc = include_str!("../../../docs/guides/query-language.md")]
pub struct QueryLanguage;

#[doc = include_str!("../../../docs/guides/text-analysis.md")]
pub struct TextAnalysis;

#[doc = include_str!("../../../crates/infino/README.md")]
pub struct Crate;
