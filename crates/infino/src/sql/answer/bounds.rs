//! Rows that pass for certain, and rows that may.

use infino_format::DocSet;

/// Two sets of rows of a file between which the rows that pass lie.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Bounds {
    /// Rows that pass for certain.
    pub(in crate::sql) sure: DocSet,
    /// Rows that may pass: all of `sure` among them.
    pub(in crate::sql) may: DocSet,
}

impl Bounds {
    /// Any of `rows` rows may pass.
    pub(in crate::sql) fn unknown(rows: u32) -> Self {
        Self { sure: DocSet::empty(rows), may: DocSet::full(rows) }
    }

    pub(super) fn all(rows: u32) -> Self {
        Self::exactly(DocSet::full(rows))
    }

    pub(super) fn none(rows: u32) -> Self {
        Self::exactly(DocSet::empty(rows))
    }

    /// Just these pass.
    pub(super) fn exactly(rows: DocSet) -> Self {
        Self { sure: rows.clone(), may: rows }
    }

    /// Only these may pass.
    pub(super) fn at_most(rows: DocSet) -> Self {
        Self { sure: DocSet::empty(rows.rows()), may: rows }
    }

    pub(super) fn and(&mut self, other: Self) {
        self.sure.intersect(&other.sure);
        self.may.intersect(&other.may);
    }

    pub(super) fn or(&mut self, other: Self) {
        self.sure.unite(&other.sure);
        self.may.unite(&other.may);
    }

    /// Whether no row may pass.
    pub(super) fn is_nothing(&self) -> bool {
        self.may.is_empty()
    }

    /// The rows that must be looked at to know whether they pass.
    pub(in crate::sql) fn open(&self) -> DocSet {
        let mut open = self.may.clone();
        open.subtract(&self.sure);
        open
    }
}
