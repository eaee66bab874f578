//! Rows of a snapshot that stand in the log, and how they come to look like superfiles.

use std::sync::Arc;

use infino_format::{Deletes, FreshRows, SuperfileSummary};

use crate::entry::{Built, Entry};
use crate::snapshot::Snapshot;

/// Fresh rows of a snapshot and which of them are dead.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    /// The rows.
    pub rows: FreshRows,
    /// The dead ones, if any.
    pub deletes: Option<Deletes>,
}

impl Fresh {
    /// The living rows.
    pub fn live_rows(&self) -> u64 {
        u64::from(self.rows.row_count) - self.deletes.as_ref().map_or(0, |d| d.count.into())
    }
}

impl Snapshot {
    /// The same version with its fresh rows among the superfiles, each built into the one that `built` gives for it.
    ///
    /// Such a view answers queries; what leads to later versions starts from the snapshot that it was made of.
    #[must_use]
    pub fn showing(&self, built: impl IntoIterator<Item = (Arc<SuperfileSummary>, Built)>) -> Self {
        let base = self.base().clone();
        let mut view = base.clone();
        for (summary, built) in built {
            if let Some(fresh) = view.fresh.get(&summary.id) {
                let deletes = fresh.deletes.clone();
                view.entries.insert(Entry { summary, deletes, built: Some(built) });
            }
        }
        view.base = Some(Arc::new(base));
        view
    }

    /// The snapshot that a view shows; itself if it is none.
    pub fn base(&self) -> &Self {
        self.base.as_deref().unwrap_or(self)
    }

    /// Bytes that the fresh rows take in the log.
    pub fn fresh_bytes(&self) -> u64 {
        self.fresh.values().map(|fresh| fresh.rows.payload.len() as u64).sum()
    }
}
