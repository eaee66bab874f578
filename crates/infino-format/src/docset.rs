//! A set of rows of one superfile, as bits.

use roaring::RoaringBitmap;

use crate::{DocId, FormatError};

/// A set of documents of one superfile: one bit a row, so a membership test is one load.
///
/// Filters, deletes and matches all end as one of these; a superfile has at most a few million rows.
#[derive(Clone, PartialEq, Eq)]
pub struct DocSet {
    words: Vec<u64>,
    rows: u32,
    len: u32,
}

impl DocSet {
    /// No rows of a file of `rows`.
    pub fn empty(rows: u32) -> Self {
        Self { words: vec![0; rows.div_ceil(64) as usize], rows, len: 0 }
    }

    /// All rows of a file of `rows`.
    pub fn full(rows: u32) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64) as usize];
        if !rows.is_multiple_of(64) {
            words[rows as usize / 64] = (1 << (rows % 64)) - 1;
        }
        Self { words, rows, len: rows }
    }

    /// The rows of `docs`.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if one is not below `rows`.
    pub fn from_bitmap(rows: u32, docs: &RoaringBitmap) -> Result<Self, FormatError> {
        if let Some(max) = docs.max().filter(|&max| max >= rows) {
            return Err(FormatError::invalid(
                "row set",
                format!("holds row {max} of a file of {rows}"),
            ));
        }
        let mut set = Self::empty(rows);
        set.extend(docs.iter());
        Ok(set)
    }

    /// The set whose row `i` is in iff bit `i % 64` of `words[i / 64]` is set; bits past `rows` are dropped.
    ///
    /// # Panics
    /// If `words` does not hold one bit a row.
    pub fn from_words(rows: u32, mut words: Vec<u64>) -> Self {
        assert_eq!(words.len(), rows.div_ceil(64) as usize, "one bit a row");
        if !rows.is_multiple_of(64) {
            *words.last_mut().expect("rows is not 0") &= (1 << (rows % 64)) - 1;
        }
        let len = words.iter().map(|word| word.count_ones()).sum();
        Self { words, rows, len }
    }

    /// Rows of the file, in or out.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows in the set.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no row is in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `doc` is in; false for a row the file does not have.
    #[inline]
    pub fn contains(&self, doc: DocId) -> bool {
        self.words.get(doc as usize / 64).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    /// Puts `doc` in; returns whether it was out.
    ///
    /// # Panics
    /// If the file has no such row.
    pub fn insert(&mut self, doc: DocId) -> bool {
        assert!(doc < self.rows, "row {doc} of a file of {}", self.rows);
        let (word, bit) = (&mut self.words[doc as usize / 64], 1u64 << (doc % 64));
        let new = *word & bit == 0;
        *word |= bit;
        self.len += u32::from(new);
        new
    }

    /// Takes `doc` out; returns whether it was in.
    pub fn remove(&mut self, doc: DocId) -> bool {
        let Some(word) = self.words.get_mut(doc as usize / 64) else { return false };
        let bit = 1u64 << (doc % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        self.len -= u32::from(was);
        was
    }

    /// Keeps only the rows that are in both.
    ///
    /// # Panics
    /// If the sets are of files of different length.
    pub fn intersect(&mut self, other: &Self) {
        self.combine(other, |a, b| a & b);
    }

    /// Adds the rows of `other`.
    ///
    /// # Panics
    /// If the sets are of files of different length.
    pub fn unite(&mut self, other: &Self) {
        self.combine(other, |a, b| a | b);
    }

    /// Takes out the rows of `other`.
    ///
    /// # Panics
    /// If the sets are of files of different length.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |a, b| a & !b);
    }

    fn combine(&mut self, other: &Self, op: impl Fn(u64, u64) -> u64) {
        assert_eq!(self.rows, other.rows, "row sets of one file");
        self.len = 0;
        for (a, &b) in self.words.iter_mut().zip(&other.words) {
            *a = op(*a, b);
            self.len += a.count_ones();
        }
    }

    /// The rows in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = DocId> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors(Some(word), |&left| Some(left & left.wrapping_sub(1)))
                .take_while(|&left| left != 0)
                .map(move |left| i as u32 * 64 + left.trailing_zeros())
        })
    }

    /// The bits, 64 rows a word, row 0 lowest; bits past the last row are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Extend<DocId> for DocSet {
    fn extend<I: IntoIterator<Item = DocId>>(&mut self, docs: I) {
        for doc in docs {
            self.insert(doc);
        }
    }
}

impl std::fmt::Debug for DocSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DocSet({} of {} rows)", self.len, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_every_change() {
        let mut set = DocSet::empty(130);
        set.extend([0, 63, 64, 129, 129]);
        assert_eq!(set.len(), 4);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert!(set.remove(63) && !set.remove(63) && !set.contains(63));
        let mut all = DocSet::full(130);
        assert_eq!(all.len(), 130);
        all.subtract(&set);
        assert_eq!(all.len(), 127);
        all.intersect(&set);
        assert!(all.is_empty());
        all.unite(&set);
        assert_eq!(all, set);
    }

    #[test]
    fn a_row_the_file_does_not_have_is_refused() {
        assert!(DocSet::from_bitmap(3, &RoaringBitmap::from_iter([1, 3])).is_err());
        assert!(!DocSet::full(3).contains(3));
    }
}
