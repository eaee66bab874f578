//! Walking a list, a block at a time.

use bytes::Bytes;
use infino_format::{FormatError, checksum};

use super::impacts::{CODE_LENS, TF_OPEN};
use super::long::{Directory, Tf};
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
    /// The block whose frequencies have been summed up, and their sums from the first on.
    sum_block: usize,
    sums: Vec<u32>,
    /// The block in which a frequency was looked up last without reading them all.
    tf_looked: usize,
    /// The block in which documents were looked up last, and how many without reading it.
    looked: (usize, usize),
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
            sum_block: NONE,
            sums: Vec::new(),
            tf_looked: NONE,
            looked: (NONE, 0),
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
            sum_block: NONE,
            sums: Vec::new(),
            tf_looked: NONE,
            looked: (NONE, 0),
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

    /// So many documents are looked up in `block` one by one sooner than by reading it; none if it has been read.
    pub(crate) fn lookups(&self, block: usize) -> usize {
        match &self.source {
            Source::Short => 0,
            Source::Long { directory, .. } => match self.block == block {
                true => 0,
                false => directory.lookups(block),
            },
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
            let times = if self.looked.0 == block { self.looked.1 } else { 0 };
            if times < directory.lookups(block) {
                self.looked = (block, times + 1);
                if let Some(found) = directory.find(data, block, doc)? {
                    return Ok(found);
                }
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

    /// The frequency of document `index` of `block`, whose group has been verified, and around it.
    #[inline]
    pub(crate) fn tf_at(&mut self, block: usize, index: usize) -> Result<Tf, FormatError> {
        if let Some(found) = self.tf_alone(block, index)? {
            return Ok(found);
        }
        let len = self.block_len(block);
        self.tfs(block)?;
        if self.sum_block != block {
            self.sums.resize(BLOCK_LEN, 0);
            let mut sum = 0u32;
            for (to, &tf) in self.sums.iter_mut().zip(&self.buffer.tfs[..len]) {
                sum = sum.wrapping_add(tf);
                *to = sum;
            }
            self.sum_block = block;
        }
        let own = self.buffer.tfs[index];
        Ok(Tf { own, before: self.sums[index].wrapping_sub(own), all: self.sums[len - 1] })
    }

    /// The frequency of document `index` of `block`, whose group has been verified.
    #[inline]
    pub(crate) fn tf(&mut self, block: usize, index: usize) -> Result<u32, FormatError> {
        if self.tf_block == block {
            return Ok(self.buffer.tfs[index]);
        }
        match self.tf_alone(block, index)? {
            Some(found) => Ok(found.own),
            None => Ok(self.tfs(block)?[index]),
        }
    }

    /// What is sought first in a block without reading all of its frequencies, if it can be: one is had sooner so, several by
    /// reading all.
    #[inline]
    fn tf_alone(&mut self, block: usize, index: usize) -> Result<Option<Tf>, FormatError> {
        match &self.source {
            Source::Long { directory, data, .. } if self.tf_block != block => {
                match std::mem::replace(&mut self.tf_looked, block) == block {
                    true => Ok(None),
                    false => directory.tf_at(data, block, index),
                }
            }
            _ => Ok(None),
        }
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
