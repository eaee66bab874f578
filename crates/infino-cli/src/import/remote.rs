//! An object of a store, read from a thread that may wait: from its start, or by range as readers of Parquet do.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use infino_storage::Store;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};
use tokio::runtime::Handle;

/// What is read of an object in order at a time.
const STRETCH: u64 = 8 << 20;
/// What is read at a time by range, and how many such blocks are kept.
const BLOCK: u64 = 1 << 20;
const BLOCKS_KEPT: usize = 64;

/// An object from its first byte to its last.
pub(super) struct RemoteReader {
    store: Arc<dyn Store>,
    path: String,
    len: u64,
    at: u64,
    stretch: Bytes,
    runtime: Handle,
}

impl RemoteReader {
    pub(super) fn new(store: Arc<dyn Store>, path: &str, len: u64, runtime: Handle) -> Self {
        Self { store, path: path.to_owned(), len, at: 0, stretch: Bytes::new(), runtime }
    }
}

impl Read for RemoteReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stretch.is_empty() && self.at < self.len {
            let end = (self.at + STRETCH).min(self.len);
            let ranges = [self.at..end];
            let read = self.store.get_ranges(&self.path, &ranges);
            self.stretch = self.runtime.block_on(read).map_err(io::Error::other)?.remove(0);
            self.at = end;
        }
        let taken = buf.len().min(self.stretch.len());
        buf[..taken].copy_from_slice(&self.stretch.split_to(taken));
        Ok(taken)
    }
}

/// An object by range; the blocks last read are kept, since pages are asked for one after another in each column.
pub(super) struct RemoteFile {
    store: Arc<dyn Store>,
    path: String,
    len: u64,
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
    runtime: Handle,
}

impl RemoteFile {
    pub(super) fn new(store: Arc<dyn Store>, path: &str, len: u64, runtime: Handle) -> Self {
        Self { store, path: path.to_owned(), len, blocks: Mutex::default(), runtime }
    }

    fn read(&self, range: std::ops::Range<u64>) -> io::Result<Bytes> {
        let read = self.store.get_ranges(&self.path, std::slice::from_ref(&range));
        Ok(self.runtime.block_on(read).map_err(io::Error::other)?.remove(0))
    }

    /// Block number `n`, the last one shorter.
    fn block(&self, n: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock().expect("no panic while held");
        if let Some((_, bytes)) = blocks.iter().find(|(number, _)| *number == n) {
            return Ok(bytes.clone());
        }
        let bytes = self.read(n * BLOCK..((n + 1) * BLOCK).min(self.len))?;
        if blocks.len() == BLOCKS_KEPT {
            blocks.pop_front();
        }
        blocks.push_back((n, bytes.clone()));
        Ok(bytes)
    }

    fn range(&self, start: u64, len: u64) -> io::Result<Bytes> {
        let end = start.checked_add(len).filter(|&end| end <= self.len);
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if len > 4 * BLOCK {
            return self.read(start..end);
        }
        let mut bytes = BytesMut::new();
        let mut at = start;
        while at < end {
            let block = self.block(at / BLOCK)?;
            let from = (at % BLOCK) as usize;
            let part = block.slice(from..block.len().min(from + (end - at) as usize));
            at += part.len() as u64;
            if at == end && bytes.is_empty() {
                return Ok(part);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }
}

impl Length for RemoteFile {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for RemoteFile {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // A header that is read from here is a few hundred bytes, so the rest of the block is ample.
        let rest = BLOCK - start % BLOCK;
        let next = self.range(start, (rest + BLOCK).min(self.len.saturating_sub(start)))?;
        Ok(Box::new(io::Cursor::new(next)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.range(start, length as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_are_however_they_fall_on_blocks() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let bytes: Vec<u8> = (0..5 * BLOCK + 77).map(|n| (n % 251) as u8).collect();
        let store: Arc<dyn Store> = Arc::new(infino_storage::MemoryStore::new());
        runtime.block_on(store.put("o", bytes.clone().into())).expect("memory takes it");
        let (len, handle) = (bytes.len() as u64, runtime.handle());
        let file = RemoteFile::new(store.clone(), "o", len, handle.clone());
        for (start, len) in
            [(0, 10), (BLOCK - 1, 2), (3, 4 * BLOCK), (1, 5 * BLOCK), (len - 7, 7), (9, 0)]
        {
            let found = file.range(start, len).expect("it is there");
            assert_eq!(found, bytes[start as usize..(start + len) as usize], "{start} {len}");
        }
        assert!(file.range(len - 7, 8).is_err());
        let mut whole = Vec::new();
        let mut reader = RemoteReader::new(store, "o", len, handle.clone());
        reader.read_to_end(&mut whole).expect("it is there");
        assert!(whole == bytes);
    }
}
