//! Bytes that are written once and copied out once: in memory while they are few, in a scratch file after that.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use crate::SuperfileError;

/// Grows at its end; [`Spool::copy_to`] reads it back.
#[derive(Debug)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    memory_max: usize,
    scratch_dir: Option<PathBuf>,
    file: Option<File>,
}

impl Spool {
    /// Holds up to `memory_max` bytes in memory, more in an unnamed file under `scratch_dir`, by default the system's.
    pub(crate) fn new(memory_max: usize, scratch_dir: Option<PathBuf>) -> Self {
        Self { memory: Vec::new(), memory_max, scratch_dir, file: None }
    }

    /// Writes the first `len` bytes to `out`.
    ///
    /// # Errors
    /// `Io` if reading the scratch file or writing fails.
    pub(crate) fn copy_to(
        &mut self,
        len: u64,
        out: &mut (dyn Write + Send),
    ) -> Result<(), SuperfileError> {
        let Some(file) = &mut self.file else {
            let len = usize::try_from(len).expect("no more than was held in memory");
            return out
                .write_all(&self.memory[..len])
                .map_err(|error| SuperfileError::io("writing the superfile", error));
        };
        let scratch = |error| SuperfileError::io("reading a scratch file back", error);
        file.write_all(&self.memory).map_err(scratch)?;
        self.memory = vec![0; 1 << 20];
        file.rewind().map_err(scratch)?;
        let mut left = len;
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.memory.len());
            file.read_exact(&mut self.memory[..step]).map_err(scratch)?;
            out.write_all(&self.memory[..step])
                .map_err(|error| SuperfileError::io("writing the superfile", error))?;
            left -= step as u64;
        }
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.memory.len() + bytes.len() > self.memory_max {
            if self.file.is_none() {
                self.file = Some(match &self.scratch_dir {
                    Some(folder) => tempfile::tempfile_in(folder)?,
                    None => tempfile::tempfile()?,
                });
            }
            let file = self.file.as_mut().expect("made above");
            file.write_all(&self.memory)?;
            self.memory.clear();
            file.write_all(bytes)?;
        } else {
            self.memory.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_went_in_from_memory_and_from_a_file() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        for memory_max in [0, 1_000, 1 << 20] {
            let mut spool = Spool::new(memory_max, None);
            bytes.chunks(777).for_each(|chunk| spool.write_all(chunk).unwrap());
            let mut out = Vec::new();
            spool.copy_to(99_999, &mut out).unwrap();
            assert!(out == bytes[..99_999], "memory_max {memory_max}");
        }
    }

    #[test]
    fn a_missing_scratch_folder_is_an_error() {
        let mut spool = Spool::new(10, Some("no/such/folder".into()));
        assert!(spool.write_all(&[0; 11]).is_err());
    }
}
