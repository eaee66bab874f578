//! The rows of a build: the first in memory, the others in a scratch file.
//!
//! A record is the rotated vector in 16-bit integers with a step of its own, as fine as the finest payload that is made of
//! it, and the vector as it was given where the payload is made of that. Records are gathered into blocks; which of these
//! are in memory changes no byte of the index.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use rayon::prelude::*;

use crate::rotation::Rotation;
use crate::{BuildOptions, VectorError, kernel, sq8};

/// Bytes of a block, about.
const BLOCK_BYTES: usize = 4 << 20;
/// Records that one task makes at a time.
const RECORDS_TOGETHER: usize = 32;
/// Bytes read at a time where records follow each other, about.
const RUN_BYTES: usize = 1 << 18;

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

/// Records of `dim` coordinates each.
pub(crate) struct Rows {
    dim: usize,
    /// Bytes of a record.
    stride: usize,
    /// Records of a block.
    block_rows: usize,
    options: BuildOptions,
    /// Whole blocks in memory, and the one that is being filled.
    held: Vec<Vec<u8>>,
    open: Vec<u8>,
    /// All later blocks.
    scratch: Option<Scratch>,
}

impl Rows {
    /// Room for rows of `dim` coordinates; `given` says whether they are kept as given, too.
    pub(crate) fn new(dim: usize, given: bool, options: &BuildOptions) -> Self {
        let stride = 4 + 2 * dim + if given { 4 * dim } else { 0 };
        let block_rows = (BLOCK_BYTES / stride).max(1);
        let options = options.clone();
        Self { dim, stride, block_rows, options, held: Vec::new(), open: Vec::new(), scratch: None }
    }

    /// Adds records: vectors of `vectors` are rotated and rounded, those of `given` kept, empty where none are.
    pub(crate) fn push(
        &mut self,
        rotation: &Rotation,
        vectors: &[f32],
        given: &[f32],
    ) -> Result<(), VectorError> {
        let stride = self.stride;
        let mut records = vec![0; vectors.len() / self.dim * stride];
        records.par_chunks_mut(RECORDS_TOGETHER * stride).enumerate().for_each(|(i, records)| {
            let mut rotated = vec![0.0; self.dim];
            for (j, record) in records.chunks_exact_mut(stride).enumerate() {
                let at = (i * RECORDS_TOGETHER + j) * self.dim;
                rotated.copy_from_slice(&vectors[at..at + self.dim]);
                rotation.apply(&mut rotated);
                let (rounded, kept) = record.split_at_mut(4 + 2 * self.dim);
                encode(&rotated, rounded);
                for (out, x) in kept.chunks_exact_mut(4).zip(&given[at.min(given.len())..]) {
                    out.copy_from_slice(&x.to_le_bytes());
                }
            }
        });
        let mut left = records.as_slice();
        while !left.is_empty() {
            let room = self.block_rows * stride - self.open.len();
            let (head, tail) = left.split_at(room.min(left.len()));
            self.open.extend_from_slice(head);
            left = tail;
            if self.open.len() == self.block_rows * stride {
                self.close()?;
            }
        }
        Ok(())
    }

    /// To be called when all records are there, before any is read.
    pub(crate) fn seal(&mut self) -> Result<(), VectorError> {
        if self.open.is_empty() { Ok(()) } else { self.close() }
    }

    /// Whether records went to a scratch file.
    pub(crate) fn spilled(&self) -> bool {
        self.scratch.is_some()
    }

    fn close(&mut self) -> Result<(), VectorError> {
        let held = (self.held.len() + 1) * self.block_rows * self.stride;
        if self.scratch.is_none() && held <= self.options.spill_bytes {
            let room = Vec::with_capacity(self.open.len());
            self.held.push(std::mem::replace(&mut self.open, room));
            return Ok(());
        }
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            None => self.scratch.insert(Scratch::new(&self.options)?),
        };
        scratch.append(&self.open)?;
        self.open.clear();
        Ok(())
    }

    /// Reads the rotated vector of `row`.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) -> Result<(), VectorError> {
        self.records(row, 4 + 2 * self.dim, |record| decode(record, out))
    }

    /// The rotated vectors of `rows`, one after the other.
    pub(crate) fn gather(&self, rows: &[u32]) -> Result<Vec<f32>, VectorError> {
        let mut out = vec![0.0; rows.len() * self.dim];
        out.par_chunks_exact_mut(self.dim)
            .zip(rows)
            .try_for_each(|(out, &row)| self.read(row as usize, out))?;
        Ok(out)
    }

    /// Reads the vector of `row` as it was given.
    pub(crate) fn read_given(&self, row: usize, out: &mut [f32]) -> Result<(), VectorError> {
        self.records(row, self.stride, |record| {
            let given = record[4 + 2 * self.dim..].chunks_exact(4);
            for (out, bytes) in out.iter_mut().zip(given) {
                *out = f32::from_le_bytes(bytes.try_into().expect("chunks of 4"));
            }
        })
    }

    /// The rotated vectors of consecutive rows, from `first` until `out` is full.
    pub(crate) fn run(&self, first: usize, out: &mut [f32]) -> Result<(), VectorError> {
        let rows = (RUN_BYTES / self.stride).max(1);
        out.par_chunks_mut(rows * self.dim).enumerate().try_for_each(|(i, out)| {
            let (mut row, mut out) = (first + i * rows, out);
            while !out.is_empty() {
                // No further than the end of the block.
                let here = (self.block_rows - row % self.block_rows).min(out.len() / self.dim);
                let (head, tail) = out.split_at_mut(here * self.dim);
                self.records(row, here * self.stride, |records| {
                    let records = records.chunks_exact(self.stride);
                    records
                        .zip(head.chunks_exact_mut(self.dim))
                        .for_each(|(r, out)| decode(r, out));
                })?;
                (row, out) = (row + here, tail);
            }
            Ok(())
        })
    }

    /// Hands `len` bytes from the start of record `row` to `see`; they lie in one block.
    fn records(&self, row: usize, len: usize, see: impl FnOnce(&[u8])) -> Result<(), VectorError> {
        if let Some(block) = self.held.get(row / self.block_rows) {
            see(&block[row % self.block_rows * self.stride..][..len]);
            return Ok(());
        }
        let scratch = self.scratch.as_ref().expect("what is not held was spilled");
        let mut bytes = vec![0; len];
        let before = self.held.len() * self.block_rows;
        scratch.read_at(((row - before) * self.stride) as u64, &mut bytes)?;
        see(&bytes);
        Ok(())
    }
}

/// Writes the rounded part of a record.
fn encode(rotated: &[f32], record: &mut [u8]) {
    let max = rotated.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let step = sq8::step(max);
    let (head, code) = record.split_at_mut(4);
    head.copy_from_slice(&step.to_le_bytes());
    kernel::sq_of_floats(rotated, step, code);
}

/// The rotated vector of a record.
fn decode(record: &[u8], out: &mut [f32]) {
    let (step, code) = record.split_at(4);
    let step = f32::from_le_bytes(step.try_into().expect("4 bytes"));
    kernel::floats_of_sq(&code[..2 * out.len()], step, out);
}
