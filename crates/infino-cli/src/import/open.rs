//! The bytes of a source, unpacked.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;
use tokio::runtime::Handle;

use super::{
    remote::RemoteReader,
    source::{Place, Source},
};

/// Bytes on their way in.
pub(super) type Input = Box<dyn Read + Send>;

const BUFFER: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Opens a source; what it is packed with shows in its first bytes. `read` counts bytes as they are stored.
pub(super) fn open(source: &Source, read: &Arc<AtomicU64>, runtime: &Handle) -> io::Result<Input> {
    let stored: Input = match &source.place {
        Place::Local(path) => Box::new(File::open(path)?),
        Place::Stdin => Box::new(io::stdin()),
        Place::Remote { store, path } => {
            let len = source.len.unwrap_or(0);
            Box::new(RemoteReader::new(store.clone(), path, len, runtime.clone()))
        }
    };
    let counted = Counted { inner: stored, count: Arc::clone(read) };
    let mut buffered = BufReader::with_capacity(BUFFER, counted);
    // A pipe may give less than is asked for, so the first bytes are gathered.
    let mut start = Vec::new();
    while start.len() < ZSTD.len() {
        let more = buffered.fill_buf()?;
        if more.is_empty() {
            break;
        }
        let taken = more.len().min(ZSTD.len() - start.len());
        start.extend_from_slice(&more[..taken]);
        buffered.consume(taken);
    }
    let (gzip, zstd) = (start.starts_with(&GZIP), start == ZSTD);
    let whole = io::Cursor::new(start).chain(buffered);
    Ok(if gzip {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole)))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER, whole))?)
    } else {
        Box::new(whole)
    })
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
