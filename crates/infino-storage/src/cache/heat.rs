//! Which blocks were in use: written down beside the disk tier, so that the next process can have them in memory before
//! they are asked for.
//!
//! | at | field            | meaning                                              |
//! |---:|------------------|------------------------------------------------------|
//! |  0 | `magic: [u8; 4]` | `INFH`                                               |
//! |  4 | `version: u32`   | 1                                                    |
//! |  8 | `block: u64`     | bytes of a block                                     |
//! | 16 | n × 32 bytes     | `object: u128`, `first: u64`, `count: u64` of blocks |
//! |    | `crc: u32`       | CRC-32C of all before                                |
//!
//! A file that is gone, damaged or of another block size is no heat.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use infino_format::checksum::crc32c;

use super::sieve::Key;

const MAGIC: [u8; 4] = *b"INFH";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const RUN_BYTES: usize = 32;

/// The longest file that is read: a million runs.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Blocks that were in memory, by object.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Heat(pub(super) HashMap<u128, Vec<Range<u64>>>);

impl Heat {
    /// Of keys in ascending order.
    pub(super) fn of(keys: impl Iterator<Item = Key>) -> Self {
        let mut heat: HashMap<u128, Vec<Range<u64>>> = HashMap::new();
        for key in keys.filter(|key| key.len == 0) {
            let runs = heat.entry(key.object).or_default();
            match runs.last_mut() {
                Some(run) if run.end == key.block => run.end += 1,
                _ => runs.push(key.block..key.block + 1),
            }
        }
        Self(heat)
    }

    pub(super) fn save(&self, file: &Path, block_bytes: u64) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&block_bytes.to_le_bytes());
        let mut objects: Vec<_> = self.0.iter().collect();
        objects.sort_unstable_by_key(|(object, _)| **object);
        for (object, runs) in objects {
            for run in runs {
                bytes.extend_from_slice(&object.to_le_bytes());
                bytes.extend_from_slice(&run.start.to_le_bytes());
                bytes.extend_from_slice(&(run.end - run.start).to_le_bytes());
            }
        }
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, &bytes)?;
        fs::rename(&temporary, file)
    }

    pub(super) fn load(file: &Path, block_bytes: u64) -> Self {
        let is_short = fs::metadata(file).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX);
        match fs::read(file) {
            Ok(bytes) if is_short => Self::parse(&bytes, block_bytes).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    fn parse(bytes: &[u8], block_bytes: u64) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let (header, runs) = body.split_at_checked(HEADER_BYTES)?;
        let mut expected = [0; HEADER_BYTES];
        expected[..4].copy_from_slice(&MAGIC);
        expected[4..8].copy_from_slice(&VERSION.to_le_bytes());
        expected[8..].copy_from_slice(&block_bytes.to_le_bytes());
        if crc32c(body) != u32::from_le_bytes(*crc)
            || header != expected
            || !runs.len().is_multiple_of(RUN_BYTES)
        {
            return None;
        }
        let mut heat: HashMap<u128, Vec<Range<u64>>> = HashMap::new();
        for run in runs.as_chunks::<RUN_BYTES>().0 {
            let object = u128::from_le_bytes(run[..16].try_into().ok()?);
            let first = u64::from_le_bytes(run[16..24].try_into().ok()?);
            let count = u64::from_le_bytes(run[24..].try_into().ok()?);
            heat.entry(object).or_default().push(first..first.checked_add(count)?);
        }
        Some(Self(heat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_comes_back_and_damage_is_no_heat() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heat");
        let keys = [(1, 4), (1, 5), (1, 7), (9, 0)];
        let heat = Heat::of(keys.into_iter().map(|(object, block)| Key::block(object, block)));
        assert_eq!(heat.0[&1], [4..6, 7..8]);
        heat.save(&file, 4096).unwrap();
        assert_eq!(Heat::load(&file, 4096), heat);
        assert_eq!(Heat::load(&file, 8192), Heat::default());
        let bytes = fs::read(&file).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, bad).unwrap();
            assert_eq!(Heat::load(&file, 4096), Heat::default(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            fs::write(&file, &bytes[..len]).unwrap();
            assert_eq!(Heat::load(&file, 4096), Heat::default(), "cut at {len}");
        }
    }
}
