//! How a superfile is written.

use std::path::PathBuf;

/// How pages of the Parquet body are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard at a level from 1 to 22.
    Zstd(u8),
    /// LZ4 blocks: larger, faster to read.
    Lz4,
    /// None.
    Uncompressed,
}

/// How a superfile is written. The same batches, schema, sizes and compression give the same bytes; memory, scratch space
/// and threads do not show in them, except that less memory than a row group needs makes row groups smaller.
#[derive(Debug, Clone)]
pub struct SuperfileOptions {
    /// How pages are compressed.
    pub compression: Compression,
    /// Most rows of a row group.
    pub row_group_rows: usize,
    /// Bytes at which a row group is closed before it has that many rows.
    pub row_group_bytes: usize,
    /// Bytes of values, before compression, at which a page of text, bytes or lists is closed. A row is read by its
    /// page: smaller pages cost less to fetch a row from and compress worse.
    pub wide_page_bytes: usize,
    /// The same of a page of numbers.
    pub narrow_page_bytes: usize,
    /// Bytes of distinct values at which a column stops being dictionary-encoded; a dictionary is read with every row.
    pub dictionary_bytes: usize,
    /// Whether floats are stored as byte streams. That takes about 3% off embeddings under Zstandard, and not every
    /// reader of Parquet knows the encoding (fastparquet does not).
    pub byte_stream_split: bool,
    /// Bytes that the build may hold before it moves to scratch files.
    pub memory_bytes: usize,
    /// Where scratch files go; the system's temporary folder if `None`.
    pub scratch_dir: Option<PathBuf>,
    /// Threads that index builders may use.
    pub threads: usize,
}

impl Default for SuperfileOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd(5),
            row_group_rows: 1 << 17,
            row_group_bytes: 64 << 20,
            wide_page_bytes: 256 << 10,
            narrow_page_bytes: 32 << 10,
            dictionary_bytes: 384 << 10,
            byte_stream_split: false,
            memory_bytes: 256 << 20,
            scratch_dir: None,
            threads: 1,
        }
    }
}
