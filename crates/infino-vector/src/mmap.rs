//! Files as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps a file that nobody changes or shortens while it is mapped.
pub(crate) fn map(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: index files are written once and never changed; the caller of `IvfIndex::open_file` is told to keep to it.
    let map = unsafe { Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}
