//! What a writer wants to commit, before it has a version.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use infino_format::{
    Action, CommitId, Deletes, DocId, FreshRows, Operation, Record, SuperfileId, SuperfileSummary,
    TableSchema,
};
use roaring::RoaringBitmap;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 256;

/// A change to a table, made against one version of it.
///
/// Every object that it names is durable in the store before it is committed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Names the change; the outcome of an unclear commit is asked for by it.
    pub commit: CommitId,
    /// What kind of change it is. All but `Delete` and `Compact` conflict with others that kill the same rows.
    pub operation: Operation,
    /// What it does. Deletes are in `deletes`, unless the change is `exclusive`.
    pub actions: Vec<Action>,
    /// The rows it kills.
    pub deletes: Vec<DeadRows>,
    /// Where the rows of the superfiles it removes went, so that deletes which land meanwhile can follow them.
    pub relocation: Option<Relocation>,
    /// The caller's own name for the change: of all changes with one token, one is committed.
    pub token: Option<String>,
    /// The version it was made against.
    pub read_version: u64,
    /// The head's epoch before the first object that the change names was put.
    pub epoch: u64,
    /// Whether any commit after `read_version` conflicts with it.
    pub exclusive: bool,
    /// What tells whether a commit took a key that the change rests on being free; `None` if it rests on none.
    pub keys: Option<Arc<dyn KeyGuard>>,
}

/// Knows the keys of the rows that a change adds to a table with a key.
#[async_trait]
pub trait KeyGuard: fmt::Debug + Send + Sync {
    /// Whether a row that `winner` adds has one of them; `true` when in doubt. What `winner` names is in storage.
    async fn clashes(&self, winner: &Record) -> bool;
}

/// Rows of one superfile that a change kills.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadRows {
    /// The superfile.
    pub superfile: SuperfileId,
    /// Its deletes at the version that the change was made against.
    pub base: Option<Deletes>,
    /// The rows that die beside those.
    pub rows: RoaringBitmap,
}

/// Where the rows of superfiles that a compaction removes went.
#[derive(Clone)]
pub struct Relocation {
    /// The superfiles it removes, and their deletes at the version that it was made against.
    pub inputs: Vec<(SuperfileId, Option<Deletes>)>,
    /// The new place of a row of an input; `None` if it was dropped.
    pub place: Arc<PlaceFn>,
}

/// Maps a row of a removed superfile to its new place.
pub type PlaceFn = dyn Fn(SuperfileId, DocId) -> Option<(SuperfileId, DocId)> + Send + Sync;

impl Change {
    /// An empty change against `read_version`; `epoch` is that of a head read before its objects were put.
    pub fn new(operation: Operation, read_version: u64, epoch: u64) -> Self {
        Self {
            commit: CommitId::new(),
            operation,
            actions: Vec::new(),
            deletes: Vec::new(),
            relocation: None,
            token: None,
            read_version,
            epoch,
            exclusive: false,
            keys: None,
        }
    }

    /// Adds a superfile.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a change is built by what it does")]
    pub fn add(mut self, summary: SuperfileSummary) -> Self {
        self.actions.push(Action::AddSuperfile(summary));
        self
    }

    /// Adds rows that stand in the log.
    #[must_use]
    pub fn add_fresh(mut self, rows: FreshRows) -> Self {
        self.actions.push(Action::AddFresh(rows));
        self
    }

    /// Makes every commit that took one of the change's keys a conflict.
    #[must_use]
    pub fn guarding(mut self, keys: Arc<dyn KeyGuard>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Removes a superfile.
    #[must_use]
    pub fn remove(mut self, superfile: SuperfileId) -> Self {
        self.actions.push(Action::RemoveSuperfile(superfile));
        self
    }

    /// Kills `rows` of a superfile whose deletes were `base` at `read_version`.
    #[must_use]
    pub fn delete(
        mut self,
        superfile: SuperfileId,
        base: Option<Deletes>,
        rows: RoaringBitmap,
    ) -> Self {
        self.deletes.push(DeadRows { superfile, base, rows });
        self
    }

    /// Gives the table another schema.
    #[must_use]
    pub fn schema(mut self, schema: TableSchema) -> Self {
        self.actions.push(Action::ChangeSchema(schema));
        self
    }

    /// Sets or removes a property.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: Option<String>) -> Self {
        self.actions.push(Action::SetProperty { key: key.into(), value });
        self
    }

    /// Names the change, so that it is committed at most once however often it is tried.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Says where the rows of removed superfiles went.
    #[must_use]
    pub fn relocating(mut self, relocation: Relocation) -> Self {
        self.relocation = Some(relocation);
        self
    }

    /// Makes every commit after `read_version` a conflict.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// What can be wrong with a change whatever the table.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.actions.is_empty() && self.deletes.is_empty() {
            return Some("the change does nothing".into());
        }
        if self.token.as_ref().is_some_and(|token| token.len() > TOKEN_BYTES_MAX) {
            return Some(format!("the token is longer than {TOKEN_BYTES_MAX} bytes"));
        }
        let given = |action: &Action| matches!(action, Action::SetDeletes { .. });
        if !self.exclusive && self.actions.iter().any(given) {
            return Some("deletion vectors are given as rows, so that they can be merged".into());
        }
        let mut seen: Vec<_> = self.deletes.iter().map(|dead| dead.superfile).collect();
        seen.sort_unstable();
        seen.windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| format!("the deletes of superfile {} are given twice", pair[0]))
    }
}

impl fmt::Debug for Relocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relocation").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}
