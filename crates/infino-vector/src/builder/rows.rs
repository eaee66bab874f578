//! The rows of a build, in memory or in a scratch file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use rayon::prelude::*;

use crate::{BuildOptions, VectorError};

/// Floats gathered before they go to the file.
const FLUSH_FLOATS: usize = 1 << 20;

/// Floats read at a time where records follow each other.
const RUN_FLOATS: usize = 1 << 16;

/// A scratch file without a name, gone when dropped.
pub(crate) struct Scratch {
    file: File,
    dir: PathBuf,
    /// Whether the folder was made for it.
    made: bool,
}

impl Scratch {
    pub(crate) fn new(options: &BuildOptions) -> Result<Self, VectorError> {
        let dir = options.scratch_dir.clone().unwrap_or_else(std::env::temp_dir);
        let made = !dir.exists();
        let file = fs::create_dir_all(&dir).and_then(|()| tempfile::tempfile_in(&dir));
        match file {
            Ok(file) => Ok(Self { file, dir, made }),
            Err(source) => Err(VectorError::Scratch { path: dir, source }),
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), VectorError> {
        self.file.write_all(bytes).map_err(|source| self.error(source))
    }

    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), VectorError> {
        read_exact_at(&self.file, out, at).map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> VectorError {
        VectorError::Scratch { path: self.dir.clone(), source }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.made {
            // Best effort, and only if nothing else is in it.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                out = &mut out[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// Records of `width` floats each.
pub(crate) struct Rows {
    width: usize,
    options: BuildOptions,
    /// All records, or those not yet in the file.
    held: Vec<f32>,
    scratch: Option<Scratch>,
}

impl Rows {
    pub(crate) fn new(width: usize, options: &BuildOptions) -> Self {
        Self { width, options: options.clone(), held: Vec::new(), scratch: None }
    }

    pub(crate) fn push(&mut self, record: &[f32]) -> Result<(), VectorError> {
        assert_eq!(record.len(), self.width, "records of one build share a width");
        self.held.extend_from_slice(record);
        let held = self.held.len() * 4;
        if held > self.options.spill_bytes && (self.scratch.is_none() || held >= 4 * FLUSH_FLOATS) {
            self.flush()?;
        }
        Ok(())
    }

    /// To be called when all records are there, before any is read.
    pub(crate) fn seal(&mut self) -> Result<(), VectorError> {
        if self.scratch.is_some() { self.flush() } else { Ok(()) }
    }

    /// Whether records went to a scratch file.
    pub(crate) fn spilled(&self) -> bool {
        self.scratch.is_some()
    }

    /// Reads the first floats of record `row`, as many as `out` has room for.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) -> Result<(), VectorError> {
        self.floats(row * self.width, out)
    }

    /// The first `len` floats of each of `rows`, one after the other.
    pub(crate) fn gather(&self, rows: &[u32], len: usize) -> Result<Vec<f32>, VectorError> {
        let mut out = vec![0.0; rows.len() * len];
        out.par_chunks_exact_mut(len)
            .zip(rows)
            .try_for_each(|(out, &row)| self.read(row as usize, out))?;
        Ok(out)
    }

    /// Consecutive whole records, from `first` until `out` is full.
    pub(crate) fn run(&self, first: usize, out: &mut [f32]) -> Result<(), VectorError> {
        out.par_chunks_mut(RUN_FLOATS)
            .enumerate()
            .try_for_each(|(i, out)| self.floats(first * self.width + i * RUN_FLOATS, out))
    }

    /// Floats a record.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    fn floats(&self, at: usize, out: &mut [f32]) -> Result<(), VectorError> {
        let Some(scratch) = &self.scratch else {
            out.copy_from_slice(&self.held[at..at + out.len()]);
            return Ok(());
        };
        let mut bytes = vec![0; out.len() * 4];
        scratch.read_at(at as u64 * 4, &mut bytes)?;
        for (x, bytes) in out.iter_mut().zip(bytes.chunks_exact(4)) {
            *x = f32::from_le_bytes(bytes.try_into().expect("chunks of 4"));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), VectorError> {
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            None => self.scratch.insert(Scratch::new(&self.options)?),
        };
        let mut bytes = Vec::with_capacity(4 * FLUSH_FLOATS);
        for floats in self.held.chunks(FLUSH_FLOATS) {
            bytes.clear();
            floats.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
            scratch.append(&bytes)?;
        }
        self.held.clear();
        self.held.shrink_to(FLUSH_FLOATS);
        Ok(())
    }
}
