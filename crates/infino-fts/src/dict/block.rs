//! Reading a dictionary block.

use std::ops::Range;

use infino_format::FormatError;
use infino_format::cursor::Cursor;

use super::writer::RESTART;
use crate::kernel::pack::BLOCK_LEN;

const WHAT: &str = "dictionary block";

/// A block whose checksum has been verified.
#[derive(Debug, Clone)]
pub(crate) struct Block<'a> {
    count: usize,
    base: [u64; 3],
    restarts: &'a [u8],
    keys: &'a [u8],
    metas: &'a [u8],
    /// Where the metas begin in the block.
    metas_at: usize,
    positions: bool,
}

/// What the dictionary knows of a term; places are within the field's regions or, inline, within the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) df: u32,
    pub(crate) place: Place,
}

/// Where a term's list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// These bytes of the block.
    Inline(Range<usize>),
    /// Bytes of the postings region (of which `directory` come first) and of the positions region; its first unit.
    Listed { bytes: Range<u64>, directory: u64, positions: Range<u64>, unit: u64 },
}

impl<'a> Block<'a> {
    /// Reads the frame of a block; its checksum is the caller's to verify.
    pub(crate) fn read(bytes: &'a [u8], positions: bool) -> Result<Self, FormatError> {
        let body = bytes.len().checked_sub(4).map(|len| &bytes[..len]).unwrap_or_default();
        let mut cursor = Cursor::new(WHAT, body);
        let count = cursor.count(3)?;
        let base = [cursor.varint()?, cursor.varint()?, cursor.varint()?];
        let (keys_len, metas_len) = (cursor.varint()? as usize, cursor.varint()? as usize);
        let restarts = cursor.take(4 * count.div_ceil(RESTART))?;
        let keys = cursor.take(keys_len)?;
        let metas_at = cursor.position();
        let metas = cursor.take(metas_len)?;
        cursor.finish()?;
        if count == 0 {
            return Err(FormatError::invalid(WHAT, "no terms"));
        }
        Ok(Self { count, base, restarts, keys, metas, metas_at, positions })
    }

    fn restart(&self, group: usize) -> (usize, usize) {
        let at = 4 * group;
        let number =
            |at: usize| u16::from_le_bytes([self.restarts[at], self.restarts[at + 1]]).into();
        (number(at), number(at + 2))
    }

    fn groups(&self) -> usize {
        self.restarts.len() / 4
    }

    fn keys_from(&self, group: usize) -> Result<Cursor<'a>, FormatError> {
        let at = self.restart(group).0;
        let keys = self.keys.get(at..).ok_or_else(|| FormatError::invalid(WHAT, "restart"))?;
        Ok(Cursor::new(WHAT, keys))
    }

    /// The first term of a group.
    fn restart_key(&self, group: usize) -> Result<&'a [u8], FormatError> {
        let mut keys = self.keys_from(group)?;
        keys.varint()?;
        keys.bytes()
    }

    /// What is known of `term`, if the block holds it.
    pub(crate) fn find(&self, term: &[u8]) -> Result<Option<Found>, FormatError> {
        let (mut low, mut high) = (0, self.groups());
        while low < high {
            let middle = (low + high) / 2;
            if self.restart_key(middle)? <= term { low = middle + 1 } else { high = middle }
        }
        let Some(group) = low.checked_sub(1) else { return Ok(None) };
        let mut cursor = self.keys_from(group)?;
        // `same` bytes of `term` equal the term before, which is less.
        let mut same = 0;
        for i in 0..RESTART.min(self.count - group * RESTART) {
            let shared = cursor.varint()? as usize;
            let suffix = cursor.bytes()?;
            if shared > same {
                continue;
            }
            if shared < same {
                return Ok(None);
            }
            let rest = &term[same..];
            let more = suffix.iter().zip(rest).take_while(|(a, b)| a == b).count();
            same += more;
            if same == term.len() && more == suffix.len() {
                return self.found(group, i).map(Some);
            }
            let greater = match (suffix.get(more), rest.get(more)) {
                (Some(a), Some(b)) => a > b,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if greater {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn found(&self, group: usize, index: usize) -> Result<Found, FormatError> {
        let mut metas = self.metas_from(group)?;
        for _ in 0..index {
            metas.next(self)?;
        }
        metas.next(self)
    }

    fn metas_from(&self, group: usize) -> Result<Metas<'a>, FormatError> {
        let at = self.restart(group).1;
        let bytes = self.metas.get(at..).ok_or_else(|| FormatError::invalid(WHAT, "restart"))?;
        Ok(Metas { cursor: Cursor::new(WHAT, bytes), at: self.metas_at + at, next: None })
    }

    /// Calls `each` with the terms that `accept` takes, in order. `accept` is called with terms and how many bytes each
    /// shares with the one it was called with before, and may set the floor below which terms are passed over. `ruled_out`
    /// is asked, unless the walk seeks, what neighbours begin with, and how much of it is as when it was asked before:
    /// it tells how many bytes of it are refused whatever follows. `walk` goes from block to block.
    pub(crate) fn matching(
        &self,
        walk: &mut Walk,
        mut ruled_out: impl FnMut(&[u8], usize) -> Option<usize>,
        mut accept: impl FnMut(&[u8], usize, &mut Vec<u8>) -> Answer,
        mut each: impl FnMut(Found),
    ) -> Result<(), FormatError> {
        let mut asked: &[u8] = &[];
        let mut group = self.group_of(0, &walk.floor)?;
        while group < self.groups() && !walk.ended {
            if !walk.seeks && group + 1 < self.groups() {
                let first = self.restart_key(group)?;
                let begin = &first[..common(first, self.restart_key(group + 1)?)];
                let refused = ruled_out(begin, common(begin, asked));
                asked = begin;
                if let Some(len) = refused {
                    group = self.last_that_begins(group + 1, &first[..len.min(begin.len())])?;
                    continue;
                }
            }
            self.matching_of_group(group, walk, &mut accept, &mut each)?;
            group = self.group_of(group + 1, &walk.floor)?;
        }
        Ok(())
    }

    /// The last group from `group` on whose first term is at most `floor`, or `group`.
    fn group_of(&self, group: usize, floor: &[u8]) -> Result<usize, FormatError> {
        if floor.is_empty() {
            return Ok(group);
        }
        // Mostly it is not far.
        let (mut low, mut step) = (group, 1);
        while low + step < self.groups() && self.restart_key(low + step)? <= floor {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.groups());
        while low + 1 < high {
            let middle = (low + high) / 2;
            if self.restart_key(middle)? <= floor { low = middle } else { high = middle }
        }
        Ok(low)
    }

    /// The last group from `group` on, which begins with `prefix`, whose first term does.
    fn last_that_begins(&self, group: usize, prefix: &[u8]) -> Result<usize, FormatError> {
        let (mut low, mut high) = (group, self.groups());
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.restart_key(middle)?.starts_with(prefix) { low = middle } else { high = middle }
        }
        Ok(low)
    }

    fn matching_of_group(
        &self,
        group: usize,
        walk: &mut Walk,
        accept: &mut impl FnMut(&[u8], usize, &mut Vec<u8>) -> Answer,
        each: &mut impl FnMut(Found),
    ) -> Result<(), FormatError> {
        let mut keys = self.keys_from(group)?;
        let mut metas = None;
        let mut read = 0;
        // While terms are below the floor: how many bytes the last of them shares with it.
        let mut below = (!walk.floor.is_empty()).then_some(0);
        for i in 0..RESTART.min(self.count - group * RESTART) {
            let shared = keys.varint()? as usize;
            let suffix = keys.bytes()?;
            if let Some(same) = &mut below {
                match climb(&walk.floor, *same, shared, suffix) {
                    Some(more) => {
                        *same = more;
                        continue;
                    }
                    None => below = None,
                }
                walk.reach(shared, suffix)?;
            } else {
                // A restart is written whole.
                let shared = if i == 0 { common(&walk.term, suffix) } else { shared };
                walk.follow(if i == 0 { 0 } else { shared }, shared, suffix)?;
            }
            match accept(&walk.term, walk.shared, &mut walk.floor) {
                Answer::Taken => {}
                Answer::Passed => continue,
                Answer::Below => {
                    below = Some(common(&walk.term, &walk.floor));
                    continue;
                }
                Answer::Ended => {
                    walk.ended = true;
                    return Ok(());
                }
            }
            let metas = match &mut metas {
                Some(metas) => metas,
                none => none.insert(self.metas_from(group)?),
            };
            while read < i {
                metas.next(self)?;
                read += 1;
            }
            each(metas.next(self)?);
            read += 1;
        }
        Ok(())
    }
}

/// Whether a term that shares `shared` bytes with the one before and goes on with `suffix` is still below `floor`, with which the
/// one before shares `same` bytes: how many it shares itself; `None` if it is not below.
#[inline]
fn climb(floor: &[u8], same: usize, shared: usize, suffix: &[u8]) -> Option<usize> {
    if shared != same {
        // It parts from the floor where the one before does, or before that, upward.
        return (shared > same).then_some(same);
    }
    let rest = floor.get(same..).unwrap_or_default();
    let more = common(suffix, rest);
    match (suffix.get(more), rest.get(more)) {
        (Some(own), Some(least)) => (own < least).then_some(same + more),
        (None, Some(_)) => Some(same + more),
        (_, None) => None,
    }
}

/// What is said of a term.
pub(crate) enum Answer {
    Taken,
    Passed,
    /// The floor has been set above it.
    Below,
    /// No term that follows is taken.
    Ended,
}

/// Where we are in a dictionary.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The term that was asked for last.
    term: Vec<u8>,
    /// How many bytes it shares with the one before.
    shared: usize,
    /// What is below is passed over; empty once it has been reached.
    floor: Vec<u8>,
    ended: bool,
    seeks: bool,
}

impl Walk {
    /// At the start, of a walk that `seeks` if floors are to be set.
    pub(crate) fn new(seeks: bool) -> Self {
        Self { term: vec![], shared: 0, floor: vec![], ended: false, seeks }
    }

    /// Whether all terms below `term` are ruled out.
    pub(crate) fn is_past(&self, term: &[u8]) -> bool {
        self.ended || self.floor[..] >= *term
    }

    /// On to the term that keeps `kept` bytes of this one, of which it shares `shared`, and goes on with `suffix`.
    fn follow(&mut self, kept: usize, shared: usize, suffix: &[u8]) -> Result<(), FormatError> {
        if kept > self.term.len() {
            return Err(FormatError::invalid(WHAT, "shared prefix"));
        }
        self.term.truncate(kept);
        self.term.extend_from_slice(suffix);
        self.shared = shared;
        Ok(())
    }

    /// On to the term that shares `shared` bytes with the floor, which it has reached, and goes on with `suffix`.
    fn reach(&mut self, shared: usize, suffix: &[u8]) -> Result<(), FormatError> {
        self.floor.truncate(shared);
        if self.floor.len() < shared {
            return Err(FormatError::invalid(WHAT, "shared prefix"));
        }
        self.floor.extend_from_slice(suffix);
        self.shared = common(&self.term, &self.floor);
        std::mem::swap(&mut self.term, &mut self.floor);
        self.floor.clear();
        Ok(())
    }
}

/// How many bytes `a` and `b` share at their start.
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Walks the second column of a block.
struct Metas<'a> {
    cursor: Cursor<'a>,
    at: usize,
    next: Option<[u64; 3]>,
}

impl Metas<'_> {
    fn next(&mut self, block: &Block<'_>) -> Result<Found, FormatError> {
        let over = || FormatError::invalid(WHAT, "a place passes 64 bits");
        let mut next = match self.next {
            Some(next) => next,
            None => {
                let mut next = block.base;
                for place in &mut next {
                    *place = place.checked_add(self.cursor.varint()?).ok_or_else(over)?;
                }
                next
            }
        };
        let head = self.cursor.varint()?;
        let df = u32::try_from(head >> 1).map_err(|_| over())?;
        if df == 0 {
            return Err(FormatError::invalid(WHAT, "a term of no document"));
        }
        let place = if head & 1 == 1 {
            let len = self.cursor.bytes()?.len();
            let end = self.at + self.cursor.position();
            Place::Inline(end - len..end)
        } else {
            let len = self.cursor.varint()?;
            let directory = if df as usize > BLOCK_LEN { self.cursor.varint()? } else { 0 };
            let positions = if block.positions { self.cursor.varint()? } else { 0 };
            let units = crate::postings::units(df as usize, block.positions);
            let [list_at, positions_at, unit] = next;
            next = [
                list_at.checked_add(len).ok_or_else(over)?,
                positions_at.checked_add(positions).ok_or_else(over)?,
                unit.checked_add(units).ok_or_else(over)?,
            ];
            if directory > len {
                return Err(FormatError::invalid(WHAT, "a directory longer than its list"));
            }
            Place::Listed {
                bytes: list_at..next[0],
                directory,
                positions: positions_at..next[1],
                unit,
            }
        };
        self.next = Some(next);
        Ok(Found { df, place })
    }
}
