//! Terms in order to dictionary blocks.

use infino_format::{checksum, varint};

/// Bytes at which a block is closed.
const BLOCK_BYTES: usize = 4096;
/// Terms between restarts of the front coding.
pub(crate) const RESTART: usize = 16;

/// What the dictionary keeps of a term.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// The list itself.
    Inline { df: u32, bytes: &'a [u8] },
    /// The length of the list, of the directory at its start (0 if it has none), and of its positions (0 if none are kept).
    Listed { df: u32, len: u64, directory: u64, positions: u64 },
}

/// Builds the blocks of one field; terms come in ascending order.
#[derive(Debug, Default)]
pub(crate) struct DictWriter {
    first: Vec<u8>,
    last: Vec<u8>,
    count: usize,
    keys: Vec<u8>,
    metas: Vec<u8>,
    restarts: Vec<(u32, u32)>,
    /// Where the next list, positions and checksummed unit are in their regions, and where the block's first were.
    next: [u64; 3],
    base: [u64; 3],
    /// First term and length of every closed block.
    pub(crate) blocks: Vec<(Vec<u8>, usize)>,
    /// Terms in all of them.
    pub(crate) terms: u64,
}

impl DictWriter {
    /// Adds a term; `units` is how many checksummed units its list has. A block that is full goes to `out`.
    pub(crate) fn push(
        &mut self,
        term: &[u8],
        entry: Entry<'_>,
        units: u64,
        positions: bool,
        out: &mut Vec<u8>,
    ) {
        let restart = self.count.is_multiple_of(RESTART);
        if restart {
            self.restarts.push((self.keys.len() as u32, self.metas.len() as u32));
            for (next, base) in self.next.iter().zip(&self.base) {
                varint::write(&mut self.metas, next - base);
            }
        }
        if self.count == 0 {
            self.first = term.to_vec();
        }
        let shared = match restart {
            true => 0,
            false => self.last.iter().zip(term).take_while(|(a, b)| a == b).count(),
        };
        varint::write(&mut self.keys, shared as u64);
        varint::write_bytes(&mut self.keys, &term[shared..]);
        match entry {
            Entry::Inline { df, bytes } => {
                varint::write(&mut self.metas, u64::from(df) << 1 | 1);
                varint::write_bytes(&mut self.metas, bytes);
            }
            Entry::Listed { df, len, directory, positions: positions_len } => {
                varint::write(&mut self.metas, u64::from(df) << 1);
                varint::write(&mut self.metas, len);
                if df as usize > crate::kernel::pack::BLOCK_LEN {
                    varint::write(&mut self.metas, directory);
                }
                if positions {
                    varint::write(&mut self.metas, positions_len);
                }
                self.next[0] += len;
                self.next[1] += positions_len;
                self.next[2] += units;
            }
        }
        self.last.clear();
        self.last.extend_from_slice(term);
        self.count += 1;
        self.terms += 1;
        if self.keys.len() + self.metas.len() >= BLOCK_BYTES {
            self.close(out);
        }
    }

    /// Closes the block being filled, if any.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let start = out.len();
        varint::write(out, self.count as u64);
        self.base.iter().for_each(|&base| varint::write(out, base));
        varint::write(out, self.keys.len() as u64);
        varint::write(out, self.metas.len() as u64);
        for (key, meta) in &self.restarts {
            out.extend_from_slice(&(*key as u16).to_le_bytes());
            out.extend_from_slice(&(*meta as u16).to_le_bytes());
        }
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&self.metas);
        let crc = checksum::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        self.blocks.push((std::mem::take(&mut self.first), out.len() - start));
        self.base = self.next;
        self.count = 0;
        self.keys.clear();
        self.metas.clear();
        self.restarts.clear();
    }

    /// The last term pushed.
    pub(crate) fn last(&self) -> &[u8] {
        &self.last
    }

    /// Checksummed units of all lists.
    pub(crate) fn units(&self) -> u64 {
        self.next[2]
    }
}
