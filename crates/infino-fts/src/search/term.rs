//! One term of a query, moving along its list.

use infino_format::FormatError;

use super::load::{Lens, Load};
use super::window::{Bits, WINDOW};
use crate::bm25::Scorer;
use crate::kernel::find::{Lookup, place_of};
use crate::kernel::pack::BLOCK_LEN;
use crate::kernel::score;
use crate::postings::cursor::PostingsCursor;
use crate::reader::Field;

/// Per document of another list's block: the block of this list that holds it, and where in it.
pub(crate) type Places = [(u32, u8); BLOCK_LEN];

/// A term's list, what it is worth, and where we are in it.
pub(crate) struct TermOp<'a> {
    pub(crate) field: &'a Field,
    pub(crate) lens: Lens<'a>,
    pub(crate) cursor: PostingsCursor,
    pub(crate) block: usize,
    /// `None` if only matches are wanted.
    pub(crate) scorer: Option<Scorer>,
    /// Scores of the block `scored`.
    scores: Box<[f32; BLOCK_LEN]>,
    scored: usize,
}

impl<'a> TermOp<'a> {
    pub(crate) fn new(
        load: &'a Load,
        field: usize,
        cursor: PostingsCursor,
        scorer: Option<Scorer>,
    ) -> Self {
        Self {
            field: load.field(field),
            lens: load.lens(field),
            cursor,
            block: 0,
            scorer,
            scores: Box::new([0.0; BLOCK_LEN]),
            scored: usize::MAX,
        }
    }

    pub(crate) fn weight(&self) -> f32 {
        self.scorer.map_or(0.0, |scorer| scorer.weight)
    }

    /// A document from `from` on before which the term does not occur.
    pub(crate) fn next(&mut self, from: u32) -> Option<u32> {
        self.block = self.cursor.block_of(self.block, from);
        (self.block < self.cursor.blocks()).then(|| from.max(self.cursor.first(self.block)))
    }

    /// Marks the documents of the window at `base`, and adds their scores if they are wanted.
    pub(crate) fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        mut scores: Option<&mut [f32]>,
    ) -> Result<(), FormatError> {
        let end = base.saturating_add(WINDOW as u32);
        self.block = self.cursor.block_of(self.block, base);
        while self.block < self.cursor.blocks() && self.cursor.first(self.block) < end {
            let (from, to) = self.read_within(base, end)?;
            let last = self.cursor.docs()[self.cursor.len - 1];
            if let (Some(sums), Some(_)) = (&mut scores, self.scorer) {
                self.score_block()?;
                for (&doc, &score) in
                    self.cursor.docs()[from..to].iter().zip(&self.scores[from..to])
                {
                    sums[(doc - base) as usize] += score;
                }
            }
            for &doc in &self.cursor.docs()[from..to] {
                let at = (doc - base) as usize;
                bits[at / 64] |= 1 << (at % 64);
            }
            if last >= end {
                break;
            }
            self.block += 1;
        }
        Ok(())
    }

    /// Marks the documents of the window at `base`, and adds what `value` makes of each one's frequency and length.
    pub(crate) fn add_values(
        &mut self,
        base: u32,
        bits: &mut Bits,
        sums: &mut [f32],
        value: impl Fn(u32, u32) -> f32,
    ) -> Result<(), FormatError> {
        let end = base.saturating_add(WINDOW as u32);
        self.block = self.cursor.block_of(self.block, base);
        while self.block < self.cursor.blocks() && self.cursor.first(self.block) < end {
            let (from, to) = self.read_within(base, end)?;
            self.cursor.tfs(self.block)?;
            let (docs, tfs) = (self.cursor.docs(), self.cursor.read_tfs());
            let lens = self.cursor.inline_lens();
            for at in from..to {
                let doc = docs[at];
                let len = lens.map_or_else(|| self.lens.get(doc), |lens| lens[at]);
                let at_window = (doc - base) as usize;
                sums[at_window] += value(tfs[at], len);
                bits[at_window / 64] |= 1 << (at_window % 64);
            }
            if docs[docs.len() - 1] >= end {
                break;
            }
            self.block += 1;
        }
        Ok(())
    }

    /// Adds the scores of the window's documents, except in blocks of which `skip` is true; marks them if `bits` are given.
    pub(crate) fn add_scores(
        &mut self,
        base: u32,
        sums: &mut [f32],
        mut bits: Option<&mut Bits>,
        skip: impl Fn(usize) -> bool,
    ) -> Result<(), FormatError> {
        let end = base.saturating_add(WINDOW as u32);
        self.rewind(base);
        while self.block < self.cursor.blocks() && self.cursor.first(self.block) < end {
            if !skip(self.block) {
                let (from, to) = self.read_within(base, end)?;
                self.score_block()?;
                for (&doc, &score) in
                    self.cursor.docs()[from..to].iter().zip(&self.scores[from..to])
                {
                    sums[(doc - base) as usize] += score;
                }
                if let Some(bits) = &mut bits {
                    for &doc in &self.cursor.docs()[from..to] {
                        let at = (doc - base) as usize;
                        bits[at / 64] |= 1 << (at % 64);
                    }
                }
            }
            if self.cursor.last(self.block) >= end {
                break;
            }
            self.block += 1;
        }
        Ok(())
    }

    /// Reads the block we are at; where its documents from `base` to before `end` are in it.
    fn read_within(&mut self, base: u32, end: u32) -> Result<(usize, usize), FormatError> {
        self.cursor.read(self.block, self.field)?;
        let docs = self.cursor.docs();
        let from = if docs[0] >= base { 0 } else { docs.partition_point(|&doc| doc < base) };
        let last = docs[docs.len() - 1];
        let to = if last < end { docs.len() } else { docs.partition_point(|&doc| doc < end) };
        Ok((from, to))
    }

    /// Computes the scores of all documents of the block that has been read.
    pub(crate) fn score_block(&mut self) -> Result<&[f32; BLOCK_LEN], FormatError> {
        if self.scored != self.block {
            let Some(scorer) = self.scorer else { return Ok(&self.scores) };
            self.cursor.tfs(self.block)?;
            let mut lens = [0; BLOCK_LEN];
            let lens = match self.cursor.inline_lens() {
                Some(lens) => lens,
                None => {
                    self.lens.gather(self.cursor.docs(), &mut lens);
                    &lens
                }
            };
            score::scores(scorer, self.cursor.read_tfs(), lens, &mut self.scores);
            self.scored = self.block;
        }
        Ok(&self.scores)
    }

    /// Scores of the block that has been scored last.
    pub(crate) fn block_scores(&self) -> &[f32; BLOCK_LEN] {
        &self.scores
    }

    /// Moves to the block that may hold `doc`, back too; false if there is none.
    fn rewind(&mut self, doc: u32) -> bool {
        if self.block >= self.cursor.blocks() || self.cursor.first(self.block) > doc {
            self.block = 0;
        }
        let block = self.cursor.block_of(self.block, doc);
        if block != self.block {
            self.block = block;
        }
        block < self.cursor.blocks()
    }

    /// Moves to the block of `doc`; its index there, `None` if the list does not hold it.
    #[inline]
    pub(crate) fn seek(&mut self, doc: u32) -> Result<Option<usize>, FormatError> {
        if !self.rewind(doc) || self.cursor.first(self.block) > doc {
            return Ok(None);
        }
        self.cursor.find(self.block, doc, self.field)
    }

    /// Adds the scores of those of `candidates`, which ascend from `base`, that the list holds.
    pub(crate) fn add_candidates(
        &mut self,
        base: u32,
        candidates: &[u32],
        sums: &mut [f32],
    ) -> Result<(), FormatError> {
        let mut at = 0;
        while at < candidates.len() {
            let doc = base + candidates[at];
            if !self.rewind(doc) {
                break;
            }
            let (first, last) = (self.cursor.first(self.block), self.cursor.last(self.block));
            let run =
                candidates[at..].iter().take_while(|&&candidate| base + candidate <= last).count();
            let run = &candidates[at..at + run];
            at += run.len();
            if run.last().is_some_and(|&candidate| base + candidate < first) {
                continue;
            }
            self.cursor.read(self.block, self.field)?;
            if run.len() > BLOCK_LEN / 4 {
                self.score_block()?;
            }
            for &candidate in run {
                let doc = base + candidate;
                let place = place_of(self.cursor.docs_buffer(), self.cursor.len, doc);
                if self.cursor.docs_buffer()[place] == doc {
                    sums[candidate as usize] += self.score_at(place, doc)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps of the documents `docs[kept[..len]]`, which ascend, those that the list holds; returns how many, and if scores are
    /// wanted puts theirs at the same place of `scores`. Where they are in this list goes to `found`, if it is given.
    pub(crate) fn intersect(
        &mut self,
        docs: &[u32; BLOCK_LEN],
        kept: &mut [u8; BLOCK_LEN],
        len: usize,
        scores: &mut [f32; BLOCK_LEN],
        mut found: Option<&mut Places>,
    ) -> Result<usize, FormatError> {
        let mut lookup = Lookup { kept: *kept, places: [0; BLOCK_LEN], found: 0 };
        let mut at = 0;
        while at < len {
            let doc = docs[usize::from(kept[at])];
            if !self.rewind(doc) {
                break;
            }
            let (first, last) = (self.cursor.first(self.block), self.cursor.last(self.block));
            while at < len && docs[usize::from(kept[at])] < first {
                at += 1;
            }
            if at == len || docs[usize::from(kept[at])] > last {
                continue;
            }
            let start = lookup.found;
            let mut end = at + 1;
            while end < len && docs[usize::from(kept[end])] <= last {
                end += 1;
            }
            if end - at < self.cursor.lookups(self.block) {
                for &i in &kept[at..end] {
                    let doc = docs[usize::from(i)];
                    if let Some(place) = self.cursor.find(self.block, doc, self.field)? {
                        lookup.kept[lookup.found] = i;
                        lookup.places[lookup.found] = place as u8;
                        lookup.found += 1;
                    }
                }
            } else {
                self.cursor.read(self.block, self.field)?;
                let own = self.cursor.docs_buffer();
                match self.cursor.len {
                    BLOCK_LEN => lookup.full(own, docs, at..end),
                    own_len => lookup.partial(own, own_len, docs, at..end),
                }
            }
            at = end;
            let new = start..lookup.found;
            if let Some(found) = &mut found {
                for at in new.clone() {
                    found[usize::from(lookup.kept[at])] = (self.block as u32, lookup.places[at]);
                }
            }
            if self.scorer.is_some() {
                if new.len() > BLOCK_LEN / 4 {
                    self.cursor.read(self.block, self.field)?;
                    self.score_block()?;
                }
                for at in new {
                    let i = usize::from(lookup.kept[at]);
                    scores[i] = self.score_at(lookup.places[at].into(), docs[i])?;
                }
            }
        }
        *kept = lookup.kept;
        Ok(lookup.found)
    }

    /// The score of `doc`, which is at `index` of the block we are at.
    #[inline]
    pub(crate) fn score_at(&mut self, index: usize, doc: u32) -> Result<f32, FormatError> {
        if self.scored == self.block {
            return Ok(self.scores[index]);
        }
        let Some(scorer) = self.scorer else { return Ok(0.0) };
        let tf = self.cursor.tf(self.block, index)?;
        let len = match self.cursor.inline_lens() {
            Some(lens) => lens[index],
            None => self.lens.get(doc),
        };
        Ok(scorer.score(tf, len))
    }

    /// A bound on the scores of each block.
    pub(crate) fn bounds(&self) -> Vec<f32> {
        let mut bounds = Vec::with_capacity(self.cursor.blocks());
        if let Some(scorer) = self.scorer {
            self.cursor.bounds(scorer, &mut bounds);
        }
        bounds
    }
}
