//! The handle on one table.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use infino_format::SuperfileId;
use infino_format::schema::TableSchema;
use infino_manifest::{Entry, Snapshot};
use infino_storage::Store;
use infino_superfile::Superfile;
use infino_wal::Log;

use crate::ingest::mint::RowIdMint;
use crate::{ReadConsistency, Runtime, TableError, TableOptions, Writer, fresh};

/// A table in a folder of a store; cheap to clone, every clone shares one state.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones of a [`Table`] share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) root: String,
    pub(crate) log: Log,
    pub(crate) runtime: Runtime,
    pub(crate) options: TableOptions,
    pub(crate) mint: RowIdMint,
    files: moka::future::Cache<SuperfileId, Arc<Superfile>>,
    current: Mutex<Current>,
    /// Held while the head is read, so that many queries that want a fresh snapshot share one read.
    refreshing: tokio::sync::Mutex<()>,
    /// Rows that wait to be inserted.
    pub(crate) inserts: fresh::Queue,
    pub(crate) upkeep: fresh::Upkeep,
}

#[derive(Debug, Clone)]
struct Current {
    snapshot: Arc<Snapshot>,
    checked: Instant,
}

impl Table {
    /// Makes a table in the empty folder `root` of `store`.
    ///
    /// # Errors
    /// `Storage` if the store is unfit for commits; `Wal` if a table is there already.
    pub async fn create(
        store: Arc<dyn Store>,
        root: &str,
        schema: TableSchema,
        runtime: Runtime,
        options: TableOptions,
    ) -> Result<Self, TableError> {
        infino_superfile::arrow_schema(&schema)?;
        if options.probe {
            runtime.probe(&*store).await?;
        }
        let log = Log::create(store.clone(), root, schema).await?;
        Self::with_log(store, root, log, runtime, options).await
    }

    /// Opens the table in the folder `root` of `store`: one read, and more only if its manifest is large.
    ///
    /// # Errors
    /// `Wal` if no table is there, or its head is damaged or of a newer format.
    pub async fn open(
        store: Arc<dyn Store>,
        root: &str,
        runtime: Runtime,
        options: TableOptions,
    ) -> Result<Self, TableError> {
        let log = Log::open(store.clone(), root).await?;
        Self::with_log(store, root, log, runtime, options).await
    }

    async fn with_log(
        store: Arc<dyn Store>,
        root: &str,
        log: Log,
        runtime: Runtime,
        options: TableOptions,
    ) -> Result<Self, TableError> {
        let snapshot = Snapshot::load(&*store, root, &log.current().head).await?;
        let files = moka::future::Cache::builder()
            .max_capacity(options.open_files_bytes)
            .weigher(|_, file: &Arc<Superfile>| {
                u32::try_from(file.memory_bytes()).unwrap_or(u32::MAX)
            })
            .build();
        let empty = Arc::new(Snapshot::empty(snapshot.table));
        let table = Self {
            inner: Arc::new(Inner {
                store,
                root: root.to_owned(),
                log,
                runtime,
                options,
                mint: RowIdMint::default(),
                files,
                current: Mutex::new(Current { snapshot: empty, checked: Instant::now() }),
                refreshing: tokio::sync::Mutex::new(()),
                inserts: fresh::Queue::default(),
                upkeep: fresh::Upkeep::default(),
            }),
        };
        let checked = Instant::now();
        let shown = fresh::show(&table.inner, snapshot).await?;
        table.inner.publish(shown, checked);
        Ok(table)
    }

    /// The columns of the user, without `_id`.
    ///
    /// # Errors
    /// `Superfile` if the stored schema is damaged.
    pub fn schema(&self) -> Result<SchemaRef, TableError> {
        Ok(infino_superfile::arrow_schema(&self.snapshot().schema)?)
    }

    /// The newest snapshot this handle has seen; no read.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.current_snapshot()
    }

    /// The snapshot a query runs on, as fresh as [`TableOptions::consistency`] asks.
    ///
    /// # Errors
    /// `Wal` if storage keeps failing.
    pub async fn pin(&self) -> Result<Arc<Snapshot>, TableError> {
        self.pin_as(self.inner.options.consistency).await
    }

    /// The snapshot of a query that asks for another consistency than the handle's.
    ///
    /// # Errors
    /// As [`Table::pin`].
    pub async fn pin_as(&self, consistency: ReadConsistency) -> Result<Arc<Snapshot>, TableError> {
        let current = self.inner.current.lock().expect("no panic while held").clone();
        match consistency {
            ReadConsistency::Manual => Ok(current.snapshot),
            ReadConsistency::Bounded(age) if current.checked.elapsed() <= age => {
                Ok(current.snapshot)
            }
            _ => self.refresh().await,
        }
    }

    /// Asks storage whether the head moved, and if so reads the new snapshot.
    ///
    /// # Errors
    /// `Wal` if storage keeps failing.
    pub async fn refresh(&self) -> Result<Arc<Snapshot>, TableError> {
        let asked = Instant::now();
        let _one_at_a_time = self.inner.refreshing.lock().await;
        {
            let current = self.inner.current.lock().expect("no panic while held");
            if current.checked > asked {
                // Somebody read the head after this call began.
                return Ok(current.snapshot.clone());
            }
        }
        let started = Instant::now();
        let head = self.inner.log.refresh().await?.head;
        let known = self.snapshot();
        let snapshot = if head.version == known.version {
            known
        } else {
            let next = known.advance(&*self.inner.store, &self.inner.root, &head).await?;
            fresh::show(&self.inner, next).await?
        };
        Ok(self.inner.publish(snapshot, started))
    }

    /// A writer that stages rows and mutations and commits them as one.
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// An open superfile of a snapshot; opening it costs one round of reads, once.
    ///
    /// # Errors
    /// `Superfile` if it cannot be read or is damaged.
    pub async fn file(&self, entry: &Entry) -> Result<Arc<Superfile>, TableError> {
        self.inner.file(entry).await
    }

    /// The open superfile `id` of `snapshot`.
    ///
    /// # Errors
    /// As [`Table::file`].
    pub(crate) async fn file_of(
        &self,
        snapshot: &Snapshot,
        id: SuperfileId,
    ) -> Result<Arc<Superfile>, TableError> {
        let entry = snapshot.entries.get(id).expect("a hit is of a file of its snapshot");
        self.inner.file(entry).await
    }

    /// The store the table lives in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The folder of the table in its store.
    pub fn root(&self) -> &str {
        &self.inner.root
    }

    /// Where CPU work of this table runs.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// The log of commits.
    pub fn log(&self) -> &Log {
        &self.inner.log
    }
}

impl Inner {
    pub(crate) fn current_snapshot(&self) -> Arc<Snapshot> {
        self.current.lock().expect("no panic while held").snapshot.clone()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(crate) fn scratch_dir(&self) -> PathBuf {
        self.options.scratch_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    pub(crate) async fn file(&self, entry: &Entry) -> Result<Arc<Superfile>, TableError> {
        if let Some(built) = &entry.built {
            return Ok(fresh::FreshFile::of(built)?.file.clone());
        }
        let id = entry.summary.id;
        if let Some(file) = self.files.get(&id).await {
            return Ok(file);
        }
        let path = self.path(&entry.summary.path());
        let open = Superfile::open(self.store.clone(), &path, Some(entry.summary.clone()));
        self.files.try_get_with(id, open).await.map_err(TableError::Open)
    }

    /// Makes `snapshot` current unless a newer one is; returns the current one.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>, checked: Instant) -> Arc<Snapshot> {
        let mut current = self.current.lock().expect("no panic while held");
        if snapshot.version >= current.snapshot.version {
            *current = Current { snapshot, checked: checked.max(current.checked) };
        }
        current.snapshot.clone()
    }
}
