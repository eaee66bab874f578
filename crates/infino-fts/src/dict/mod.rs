//! The dictionary of a field: its terms in byte order, in blocks of some 4 KiB that are read by range.
//!
//! The first term of every block stands in the section's open bytes ([`top::Top`]), so that a term costs one block. Within a
//! block terms are front-coded, with a restart every 16, and what is known of each follows in a second column.
//! Bytes: `docs/format/text.md`.

pub(crate) mod block;
pub(crate) mod top;
pub(crate) mod writer;
