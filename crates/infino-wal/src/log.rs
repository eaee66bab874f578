//! The handle on a table's log.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use infino_format::head::TokenMark;
use infino_format::{
    Action, CommitId, Head, Operation, Record, TableId, TableSchema, WriterId, entropy,
};
use infino_storage::{StorageError, Store, Tag};

use crate::change::Change;
use crate::error::WalError;
use crate::group::Queue;
use crate::swap::{Pending, Settled};
use crate::{tail, token};

/// How a log behaves.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// How many races a commit may lose in a row.
    pub attempts_max: u32,
    /// How often an unclear swap is asked about before it is left unknown.
    pub asks_max: u32,
    /// The wait after the first lost race or failed ask, in milliseconds; it doubles each time, with jitter.
    pub backoff_min_ms: u64,
    /// The longest wait, in milliseconds.
    pub backoff_max_ms: u64,
    /// The clock that dates records, in milliseconds since the Unix epoch.
    pub now_ms: fn() -> u64,
    /// What decides how long a wait is within its bounds.
    pub random: fn() -> u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            attempts_max: 32,
            asks_max: 16,
            backoff_min_ms: 5,
            backoff_max_ms: 250,
            now_ms: entropy::now_ms,
            random: entropy::random,
        }
    }
}

/// A head as it was read or written.
#[derive(Debug, Clone)]
pub struct Current {
    /// The head.
    pub head: Arc<Head>,
    /// Its tag in the store.
    pub tag: Tag,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What a commit gives.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The version that it made.
    pub version: u64,
    /// The commit: the change's own, or with `replayed` the earlier one.
    pub commit: CommitId,
    /// A head that holds it, maybe not the first.
    pub head: Arc<Head>,
    /// Whether its token was committed before, and nothing now.
    pub replayed: bool,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It made this version.
    Committed {
        /// The version.
        version: u64,
    },
    /// No kept version holds it, and no request that was on its way when this was asked can land any more.
    Absent,
}

/// A table's log: reads its head, commits to it.
///
/// Cheap to clone; clones are one writer and share its swaps. Any number of logs, in any number of processes, may be
/// open on one table. Runs on tokio; a commit goes on when its future is dropped.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) root: String,
    pub(crate) head_path: String,
    pub(crate) writer: WriterId,
    pub(crate) options: LogOptions,
    pub(crate) queue: Queue,
    /// The newest head seen.
    pub(crate) current: Mutex<Current>,
    /// Held while the head is being swapped.
    pub(crate) state: tokio::sync::Mutex<State>,
}

/// What only the task that swaps knows.
#[derive(Debug)]
pub(crate) struct State {
    /// The number of this writer's next attempt.
    pub(crate) next_seq: u64,
    /// The swap whose outcome is not known yet; there is never a second one.
    pub(crate) pending: Option<Pending>,
}

impl Log {
    /// Creates a table with `schema` under the folder `root` of `store`, which becomes its version 1.
    ///
    /// # Errors
    /// [`WalError::AlreadyExists`] if there is one; [`WalError::Unknown`] if the store gave no clear answer, in which
    /// case opening the table tells.
    pub async fn create(
        store: Arc<dyn Store>,
        root: &str,
        schema: TableSchema,
    ) -> Result<Self, WalError> {
        let change = Change::new(Operation::Create, 0, 0).schema(schema);
        Self::create_with(store, root, change, LogOptions::default()).await
    }

    /// Creates a table by `change`, which sets its schema and may hold its first rows and properties.
    ///
    /// # Errors
    /// As [`Log::create`]; [`WalError::Invalid`] if the change sets no schema first.
    pub async fn create_with(
        store: Arc<dyn Store>,
        root: &str,
        change: Change,
        options: LogOptions,
    ) -> Result<Self, WalError> {
        if !matches!(change.actions.first(), Some(Action::ChangeSchema(_)))
            || !change.deletes.is_empty()
        {
            let problem = "a table begins with its schema and without deletes".to_owned();
            return Err(WalError::Invalid { problem });
        }
        let writer = WriterId::new();
        let record = Record {
            version: 1,
            commit: change.commit,
            writer,
            writer_seq: 1,
            time_ms: (options.now_ms)(),
            operation: change.operation,
            token: change.token,
            actions: change.actions,
        };
        let mut head = Head {
            table: TableId::new(),
            version: 1,
            swap: 1,
            commit: record.commit,
            parent: [0; 32],
            time_ms: record.time_ms,
            floor: 1,
            epoch: 0,
            fences: Vec::new(),
            checkpoint: None,
            tail: Vec::new(),
            writers: Vec::new(),
            tokens: Vec::new(),
        };
        token::remember(&mut head, &record);
        for segment in tail::push(&mut head.tail, record.clone(), &mut 0) {
            let path = join(root, &segment.reference.object.path);
            store.put(&path, segment.bytes.into()).await?;
        }
        let head_path = join(root, "head");
        let pending = Pending::new(&head_path, None, head, vec![record])?;
        let commit = pending.head.commit;
        match pending.settle(true, &*store, &head_path, &options).await {
            Settled::Won(current) => Ok(Self::with(store, root, writer, 2, current, options)),
            // The reply was lost, and somebody has opened the table and committed since.
            Settled::Moved(current) if current.head.writers.iter().any(|m| m.writer == writer) => {
                Ok(Self::with(store, root, writer, 2, current, options))
            }
            Settled::Moved(_) => Err(WalError::AlreadyExists { path: head_path }),
            Settled::Open(_) => Err(WalError::Unknown(commit)),
            Settled::Refused(error) => Err(error.into()),
        }
    }

    /// Opens the table under the folder `root` of `store`: one read.
    ///
    /// # Errors
    /// [`WalError::NotFound`] if there is none.
    pub async fn open(store: Arc<dyn Store>, root: &str) -> Result<Self, WalError> {
        Self::open_with(store, root, LogOptions::default()).await
    }

    /// Opens the table under the folder `root` of `store`: one read.
    ///
    /// # Errors
    /// [`WalError::NotFound`] if there is none.
    pub async fn open_with(
        store: Arc<dyn Store>,
        root: &str,
        options: LogOptions,
    ) -> Result<Self, WalError> {
        let head_path = join(root, "head");
        let (bytes, tag) = store.get(&head_path).await.map_err(|error| match error {
            StorageError::NotFound { path } => WalError::NotFound { path },
            other => other.into(),
        })?;
        let current = Current::decode(&head_path, bytes, tag)?;
        Ok(Self::with(store, root, WriterId::new(), 1, current, options))
    }

    fn with(
        store: Arc<dyn Store>,
        root: &str,
        writer: WriterId,
        next_seq: u64,
        current: Current,
        options: LogOptions,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                root: root.to_owned(),
                head_path: join(root, "head"),
                writer,
                options,
                queue: Queue::default(),
                current: Mutex::new(current),
                state: tokio::sync::Mutex::new(State { next_seq, pending: None }),
            }),
        }
    }

    /// The newest head seen; reads nothing.
    pub fn current(&self) -> Current {
        self.inner.current()
    }

    /// The version that a change with this token made, as far as the newest head seen remembers; reads nothing.
    pub fn committed_by(&self, token: &str) -> Option<u64> {
        let (head, hash) = (self.current().head, TokenMark::hash(token));
        head.tokens.iter().rev().find(|mark| mark.hash == hash).map(|mark| mark.version)
    }

    /// The newest head there is: one conditional read.
    ///
    /// # Errors
    /// [`WalError::Storage`] if the store fails, [`WalError::Rewound`] if its head is older than one seen before.
    pub async fn refresh(&self) -> Result<Current, WalError> {
        self.inner.refresh().await
    }

    /// The folder of the table in its store.
    pub fn root(&self) -> &str {
        &self.inner.root
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The records after version `from` up to that of `head`, oldest first; only large or folded ones are read.
    ///
    /// # Errors
    /// [`WalError::Storage`] or [`WalError::Corrupt`] naming the object.
    pub async fn since(&self, head: &Head, from: u64) -> Result<Vec<Record>, WalError> {
        self.inner.since(head, from).await
    }
}

impl Inner {
    pub(crate) fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers `found` if it is newer than the newest head seen.
    pub(crate) fn advance(&self, found: &Current) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if found.head.swap > current.head.swap {
            *current = found.clone();
        }
    }

    pub(crate) async fn refresh(&self) -> Result<Current, WalError> {
        let known = self.current();
        if let Some((bytes, tag)) = self.store.get_if_changed(&self.head_path, &known.tag).await? {
            let found = Current::decode(&self.head_path, bytes, tag)?;
            self.not_rewound(&known, &found)?;
            self.advance(&found);
        }
        Ok(self.current())
    }

    /// Checks that `found`, which was read after `known`, is the same head or a later one.
    pub(crate) fn not_rewound(&self, known: &Current, found: &Current) -> Result<(), WalError> {
        let (known, found) = (&known.head, &found.head);
        let same = known.swap == found.swap && known.commit != found.commit;
        if known.table != found.table || found.swap < known.swap || same {
            return Err(WalError::Rewound {
                path: self.head_path.clone(),
                known: known.swap,
                found: found.swap,
            });
        }
        Ok(())
    }

    pub(crate) fn path(&self, path: &str) -> String {
        join(&self.root, path)
    }
}

impl Current {
    pub(crate) fn decode(path: &str, bytes: Bytes, tag: Tag) -> Result<Self, WalError> {
        let head = Head::decode(&bytes).map_err(WalError::corrupt(path))?;
        Ok(Self { head: Arc::new(head), tag, bytes })
    }
}

/// `path` under the folder `root`; an empty root is the store's own.
pub(crate) fn join(root: &str, path: &str) -> String {
    match root.trim_end_matches('/') {
        "" => path.to_owned(),
        root => format!("{root}/{path}"),
    }
}
