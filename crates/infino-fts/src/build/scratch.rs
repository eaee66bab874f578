//! Files that live as long as a build.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file of our own in the scratch folder, gone when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn create(dir: Option<&Path>) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let dir = dir.map_or_else(std::env::temp_dir, Path::to_path_buf);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("infino-fts-{}-{number}.tmp", std::process::id()));
            let mut options = File::options();
            match options.read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { file, path }),
                // An earlier process of this number left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let message = format!("scratch file {}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a file that does not go.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Bytes at which a spool goes on in its file.
const SPOOL_BYTES: usize = 1 << 20;

/// Bytes in order: in memory, or if it has a file in that.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    /// What has been appended last.
    pub(crate) buffer: Vec<u8>,
    file: Option<Scratch>,
    flushed: u64,
}

impl Spool {
    /// One that holds all but its last bytes in a file.
    pub(crate) fn on_disk(dir: Option<&Path>) -> io::Result<Self> {
        Ok(Self { file: Some(Scratch::create(dir)?), ..Self::default() })
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// To be called after appending to the buffer.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if self.buffer.len() >= SPOOL_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(scratch) = &mut self.file {
            scratch.file.write_all(&self.buffer)?;
            self.flushed += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Copies everything to `out`.
    pub(crate) fn copy_to(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.flush()?;
        if let Some(scratch) = &mut self.file {
            scratch.file.seek(SeekFrom::Start(0))?;
            io::copy(&mut BufReader::with_capacity(SPOOL_BYTES, &scratch.file), out)?;
        }
        out.write_all(&self.buffer)
    }

    /// Reads it from the start; the file goes with the reader.
    pub(crate) fn into_reader(mut self) -> io::Result<SpoolReader> {
        self.flush()?;
        let mut scratch = self.file.ok_or_else(|| io::Error::other("a run is on disk"))?;
        scratch.file.seek(SeekFrom::Start(0))?;
        Ok(SpoolReader { buffer: Vec::new(), at: 0, scratch })
    }
}

/// Reads a spool's file in order.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    buffer: Vec<u8>,
    at: usize,
    scratch: Scratch,
}

impl SpoolReader {
    /// The next four bytes as a number, `None` at the end.
    pub(crate) fn number(&mut self) -> io::Result<Option<u32>> {
        let mut bytes = Vec::new();
        Ok(match self.read(4, &mut bytes)? {
            false => None,
            true => Some(u32::from_le_bytes(bytes.try_into().expect("four bytes"))),
        })
    }

    /// Appends the next `len` bytes to `out`; false if nothing is left.
    pub(crate) fn read(&mut self, len: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut left = len;
        while left > 0 {
            if self.at == self.buffer.len() {
                self.buffer.resize(1 << 16, 0);
                let read = self.scratch.file.read(&mut self.buffer)?;
                self.buffer.truncate(read);
                self.at = 0;
                if read == 0 {
                    let ended = left == len;
                    return if ended {
                        Ok(false)
                    } else {
                        Err(io::ErrorKind::UnexpectedEof.into())
                    };
                }
            }
            let take = left.min(self.buffer.len() - self.at);
            out.extend_from_slice(&self.buffer[self.at..self.at + take]);
            self.at += take;
            left -= take;
        }
        Ok(true)
    }
}
