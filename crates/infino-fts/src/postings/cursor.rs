//! Walking a list, a block at a time.

use bytes::Bytes;
use infino_format::{FormatError, checksum};

use super::impacts::{CODE_LENS, TF_OPEN};
use super::long::Directory;
use super::short::Short;
use crate::bm25::Scorer;
use crate::kernel::find::place_of;
use crate::kernel::pack::BLOCK_LEN;
use crate::reader::Field;

/// The list of a term, at one of its blocks.
#[derive(Debug)]
pub(crate) struct PostingsCursor {
    pub(crate) df: usize,
    source: Source,
    /// The block that has been read.
    block: usize,
    pub(crate) len: usize,
    /// The block whose frequencies have been read.
    tf_block: usize,
    buffer: Box<Short>,
}

#[derive(Debug)]
enum Source {
    /// All of it is in the buffer, lengths too.
    Short,
    Long {
        directory: Directory,
        data: Bytes,
        first_unit: u64,
    },
}

/// No block has been read.
const NONE: usize = usize::MAX;

impl PostingsCursor {
    pub(crate) fn short(short: Box<Short>) -> Self {
        Self {
            df: short.len,
            source: Source::Short,
            block: 0,
            len: short.len,
            tf_block: 0,
            buffer: short,
        }
    }

    pub(crate) fn long(df: usize, directory: Directory, data: Bytes, first_unit: u64) -> Self {
        Self {
            df,
            source: Source::Long { directory, data, first_unit },
            block: NONE,
            len: 0,
            tf_block: NONE,
            buffer: Box::new(Short::empty()),
        }
    }

    /// The documents of the block that has been read.
    #[inline(always)]
    pub(crate) fn docs(&self) -> &[u32] {
        &self.buffer.docs[..self.len]
    }

    /// Their room, of which [`PostingsCursor::docs`] is the beginning.
    #[inline(always)]
    pub(crate) fn docs_buffer(&self) -> &[u32; BLOCK_LEN] {
        &self.buffer.docs
    }

    /// How many blocks it has.
    pub(crate) fn blocks(&self) -> usize {
        match &self.source {
            Source::Short => 1,
            Source::Long { directory, .. } => directory.blocks(),
        }
    }

    /// The last document of `block`.
    #[inline]
    pub(crate) fn last(&self, block: usize) -> u32 {
        match &self.source {
            Source::Short => self.buffer.docs[self.len - 1],
            Source::Long { directory, .. } => directory.last(block),
        }
    }

    /// No document of `block` is below this.
    #[inline]
    pub(crate) fn first(&self, block: usize) -> u32 {
        match &self.source {
            Source::Short => self.buffer.docs[0],
            Source::Long { directory, .. } => directory.first(block),
        }
    }

    /// The first block from `from` on whose last document is at least `doc`; [`PostingsCursor::blocks`] if there is none.
    pub(crate) fn block_of(&self, from: usize, doc: u32) -> usize {
        match &self.source {
            Source::Short => from.max(usize::from(self.buffer.docs[self.len - 1] < doc)),
            Source::Long { directory, .. } => {
                let lasts = directory.lasts();
                let last = |block: usize| u32::from_le_bytes(lasts[block]);
                if from < lasts.len() && last(from) >= doc {
                    return from;
                }
                // Doubling steps: what is sought is usually near.
                let (mut low, mut step) = (from, 1);
                while low + step < lasts.len() && last(low + step) < doc {
                    low += step;
                    step *= 2;
                }
                let high = (low + step).min(lasts.len());
                low + lasts[low.min(high)..high]
                    .partition_point(|&last| u32::from_le_bytes(last) < doc)
            }
        }
    }

    /// Reads the documents of `block`, unless it is the one already read.
    #[inline]
    pub(crate) fn read(&mut self, block: usize, field: &Field) -> Result<(), FormatError> {
        if self.block == block {
            return Ok(());
        }
        self.read_new(block, field)
    }

    fn read_new(&mut self, block: usize, field: &Field) -> Result<(), FormatError> {
        if let Source::Long { directory, data, first_unit } = &self.source {
            verify(directory, data, *first_unit, block, field)?;
            self.block = NONE;
            self.len = directory.docs(data, block, &mut self.buffer.docs)?;
            self.block = block;
        }
        Ok(())
    }

    /// Whether documents are found in `block` without reading it: it is a bitset and has not been read.
    pub(crate) fn finds_bits(&self, block: usize) -> bool {
        match &self.source {
            Source::Short => false,
            Source::Long { directory, .. } => self.block != block && directory.is_bits(block),
        }
    }

    /// Where `doc` is in `block`, which may hold it.
    #[inline]
    pub(crate) fn find(
        &mut self,
        block: usize,
        doc: u32,
        field: &Field,
    ) -> Result<Option<usize>, FormatError> {
        if self.block != block
            && let Source::Long { directory, data, first_unit } = &self.source
        {
            verify(directory, data, *first_unit, block, field)?;
            if let Some(found) = directory.find_bit(data, block, doc)? {
                return Ok(found);
            }
            self.read_new(block, field)?;
        }
        let place = place_of(&self.buffer.docs, self.len, doc);
        Ok((self.buffer.docs[place] == doc).then_some(place))
    }

    /// The frequencies of `block`, whose group has been verified, as reading or finding in it does.
    #[inline]
    pub(crate) fn tfs(&mut self, block: usize) -> Result<&[u32; BLOCK_LEN], FormatError> {
        if self.tf_block != block {
            if let Source::Long { directory, data, .. } = &self.source {
                self.tf_block = NONE;
                directory.tfs(data, block, &mut self.buffer.tfs)?;
            }
            self.tf_block = block;
        }
        Ok(&self.buffer.tfs)
    }

    /// How many documents `block` has.
    pub(crate) fn block_len(&self, block: usize) -> usize {
        match &self.source {
            Source::Short => self.len,
            Source::Long { directory, .. } => directory.block_len(block),
        }
    }

    /// The frequencies, once [`PostingsCursor::tfs`] has read them.
    pub(crate) fn read_tfs(&self) -> &[u32; BLOCK_LEN] {
        &self.buffer.tfs
    }

    /// The lengths of the block's documents, if the list holds them.
    pub(crate) fn inline_lens(&self) -> Option<&[u32; BLOCK_LEN]> {
        match &self.source {
            Source::Short => Some(&self.buffer.lens),
            Source::Long { .. } => None,
        }
    }

    /// Appends a bound on the score of any document of each block.
    pub(crate) fn bounds(&self, scorer: Scorer, out: &mut Vec<f32>) {
        match &self.source {
            Source::Short => {
                let best = (0..self.len)
                    .map(|i| scorer.bound(self.buffer.tfs[i] as f32, self.buffer.lens[i] as f32));
                out.push(best.fold(0.0, f32::max));
            }
            Source::Long { directory, .. } => {
                out.extend(directory.impacts().map(|pairs| block_bound(scorer, pairs)));
            }
        }
    }
}

/// Verifies the group of `block`, once.
#[inline]
fn verify(
    directory: &Directory,
    data: &[u8],
    first_unit: u64,
    block: usize,
    field: &Field,
) -> Result<(), FormatError> {
    let (group, range, crc) = directory.group(block)?;
    field.verified.once(field.unit(first_unit + 1 + group as u64), || {
        checksum::verify("posting blocks", &data[range], crc)
    })
}

/// The best of `pairs`; without any, nothing is known.
#[inline]
fn block_bound(scorer: Scorer, pairs: &[u8]) -> f32 {
    if pairs.is_empty() {
        return scorer.ceiling();
    }
    let pairs = pairs.chunks_exact(2);
    pairs.map(|pair| pair_bound(scorer, pair[0], pair[1])).fold(0.0, f32::max)
}

#[inline]
fn pair_bound(scorer: Scorer, tf: u8, code: u8) -> f32 {
    if tf == TF_OPEN {
        return scorer.ceiling();
    }
    scorer.bound(f32::from(tf), CODE_LENS[code as usize])
}
