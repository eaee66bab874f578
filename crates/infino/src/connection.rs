//! A place with tables in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use arrow::datatypes::Schema;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use infino_format::catalog::Catalog;
use infino_manifest::Snapshot;
use infino_storage::{
    Cache, CacheOptions, CachedStore, MeteredStore, Store, StoreOptions, Tag, WarmUp,
};
use infino_table::verify::VerifyReport;
use infino_table::{Budget, Held, ReadConsistency, RepairReport, Runtime, Table, TableOptions};

use crate::rerank::{Reranker, Rerankers};
use crate::sql::{self, Brief, PinnedTable, SqlQuery};
use crate::trace::{span, traced};
use crate::{Error, ErrorKind, IndexSpec, Metrics, Supertable, catalog};

/// How to connect; see the methods.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    storage: StoreOptions,
    table: TableOptions,
    threads: usize,
    memory_bytes: Option<usize>,
    sql_memory_bytes: Option<usize>,
    cache: CacheOptions,
    filter_cache_bytes: u64,
    warm_up: WarmUp,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            storage: StoreOptions::default(),
            table: TableOptions::default(),
            threads: 0,
            memory_bytes: None,
            sql_memory_bytes: None,
            cache: CacheOptions { memory_bytes: 128 << 20, ..CacheOptions::default() },
            filter_cache_bytes: 32 << 20,
            warm_up: WarmUp::None,
        }
    }
}

impl ConnectOptions {
    /// The defaults: every core, strong reads, credentials from the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option of the store: `region`, `endpoint`, `access_key_id`, `secret_access_key`, `allow_http`, …
    #[must_use]
    pub fn storage(mut self, key: &str, value: impl Into<String>) -> Self {
        self.storage = self.storage.with(key, value);
        self
    }

    /// How fresh the snapshot of a query is; [`ReadConsistency::Strong`] unless set.
    #[must_use]
    pub fn read_consistency(mut self, consistency: ReadConsistency) -> Self {
        self.table.consistency = consistency;
        self
    }

    /// Threads for CPU work; as many as the machine has cores unless set.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of memory for all that the connection does: rows that wait to be written, builds and merges, caches, SQL
    /// operators; 60 % of what the machine or its control group has unless set. Work that finds no room waits or spills.
    ///
    /// The sizes of caches and buffers are cut to a part of it. What a query returns is the caller's and not counted.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Bytes of rows that a writer holds before it builds superfiles; 128 MiB unless set, an eighth of the memory at most.
    #[must_use]
    pub fn write_buffer_bytes(mut self, bytes: usize) -> Self {
        self.table.buffer_bytes = bytes;
        self
    }

    /// Bytes that the operators of SQL statements (sorts, joins, aggregates) may hold together before they spill; what the
    /// caches leave of the memory unless set.
    #[must_use]
    pub fn sql_memory_bytes(mut self, bytes: usize) -> Self {
        self.sql_memory_bytes = Some(bytes);
        self
    }

    /// Bytes of what was read from storage that are kept in memory; 128 MiB unless set, a quarter of the memory at most, 0
    /// for none. Every byte is checked
    /// again when it is used.
    #[must_use]
    pub fn cache_memory_bytes(mut self, bytes: u64) -> Self {
        self.cache.memory_bytes = bytes;
        self
    }

    /// A folder on a local disk for what was read from storage, and the bytes it may take; none unless set. It outlives
    /// the connection, and other connections may use it too.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<std::path::PathBuf>, bytes: u64) -> Self {
        self.cache.disk = Some((dir.into(), bytes));
        self
    }

    /// What of a table is read ahead, in the background, when it is opened; nothing unless set.
    /// [`Supertable::warm_up`] does the same and tells when it is done.
    #[must_use]
    pub fn warm_up(mut self, mode: WarmUp) -> Self {
        self.warm_up = mode;
        self
    }

    /// Bytes of row sets that are kept in memory, so that a filter is not evaluated twice on the same file; 32 MiB unless
    /// set, a bit a row.
    #[must_use]
    pub fn filter_cache_bytes(mut self, bytes: u64) -> Self {
        self.filter_cache_bytes = bytes;
        self
    }

    /// Folder for what builds spill; the system's temporary folder unless set.
    #[must_use]
    pub fn scratch_dir(mut self, dir: impl Into<std::path::PathBuf>) -> Self {
        self.table.scratch_dir = Some(dir.into());
        self
    }

    /// Rows a delete or an update may match before it is refused; 10 million unless set.
    #[must_use]
    pub fn mutation_rows_max(mut self, rows: u64) -> Self {
        self.table.mutation_rows_max = rows;
        self
    }
}

/// A place with tables in it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    /// The store without a cache before it.
    bare: Arc<MeteredStore>,
    cache: Option<Arc<Cache>>,
    warm_up: WarmUp,
    pub(crate) state: Arc<SessionState>,
    pub(crate) brief: Brief,
    rerankers: Rerankers,
    runtime: Runtime,
    /// What the caches may take, theirs for as long as they are there.
    _caches: Held,
    options: TableOptions,
    /// Open tables by folder: all handles on a table share its snapshot and its open files.
    open: Mutex<HashMap<String, Table>>,
    /// The catalog as it was last read.
    names: Mutex<Named>,
    /// By folder, what statements last knew a table as.
    pinned: Mutex<HashMap<String, Arc<PinnedTable>>>,
}

/// Names to folders, and the tag of the catalog that says so.
#[derive(Debug, Default)]
struct Named {
    tables: Arc<BTreeMap<String, String>>,
    tag: Option<Tag>,
}

impl Inner {
    /// The tables that are open and whose names `wanted` says yes to, by the name and the folder they were last known by.
    pub(crate) fn opened(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String, Table)> {
        let names = self.names.lock().expect("no panic while held").tables.clone();
        let open = self.open.lock().expect("no panic while held");
        let opened = names.iter().filter(|(name, _)| wanted(name)).filter_map(|(name, folder)| {
            Some((name.clone(), folder.clone(), open.get(folder)?.clone()))
        });
        opened.collect()
    }

    /// The snapshot of a table as a relation; the same one again while the snapshot is the same.
    pub(crate) fn relation(
        &self,
        table: &Table,
        snapshot: Arc<Snapshot>,
    ) -> Result<Arc<PinnedTable>, Error> {
        let known = self.pinned.lock().expect("no panic while held").get(table.root()).cloned();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.snapshot, &snapshot)) {
            return Ok(known);
        }
        let made = Arc::new(PinnedTable::new(table.clone(), snapshot, self.state.clone())?);
        let mut pinned = self.pinned.lock().expect("no panic while held");
        pinned.insert(table.root().to_owned(), made.clone());
        Ok(made)
    }
}

/// Connects to the place that `uri` names: `memory://`, a path or `file://…`, `s3://bucket/prefix`, `az://…`, `gs://…`.
///
/// # Errors
/// `Invalid` for a scheme or option that is not known, `Unavailable` if the place cannot be reached or used.
pub async fn connect(uri: &str) -> Result<Connection, Error> {
    connect_with(uri, ConnectOptions::default()).await
}

/// [`connect`], with options.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(uri: &str, options: ConnectOptions) -> Result<Connection, Error> {
    let budget = options.memory_bytes.map_or_else(Budget::of_machine, Budget::new);
    let mut options = options;
    options.cache.memory_bytes = options.cache.memory_bytes.min(budget.limit() as u64 / 4);
    options.filter_cache_bytes = options.filter_cache_bytes.min(budget.limit() as u64 / 16);
    let bare = infino_storage::connect(uri, &options.storage)?;
    let bare = Arc::new(MeteredStore::new(bare));
    let uncached = uri.starts_with("memory:")
        || (options.cache.memory_bytes == 0 && options.cache.disk.is_none());
    let cache = if uncached { None } else { Some(Cache::open(&options.cache)?) };
    let store: Arc<dyn Store> = match &cache {
        Some(cache) => Arc::new(CachedStore::new(bare.clone(), cache.clone())),
        None => bare.clone(),
    };
    let cached = if cache.is_some() { options.cache.memory_bytes } else { 0 };
    let caches = budget.hold((cached + options.filter_cache_bytes) as usize);
    let runtime = Runtime::with_budget(options.threads, budget.clone())?;
    let left = budget.limit().saturating_sub(budget.used());
    let sql_bytes = options.sql_memory_bytes.unwrap_or(left).min(left);
    let rerankers = Rerankers::default();
    Ok(Connection {
        inner: Arc::new(Inner {
            store,
            bare,
            cache,
            warm_up: options.warm_up,
            state: Arc::new(sql::base_state(
                sql_bytes,
                &budget,
                sql::RowSets::new(options.filter_cache_bytes),
                rerankers.clone(),
            )?),
            brief: Brief::default(),
            rerankers,
            runtime,
            _caches: caches,
            options: options.table,
            open: Mutex::default(),
            names: Mutex::default(),
            pinned: Mutex::default(),
        }),
    })
}

impl Connection {
    /// Makes a table with the columns of `schema`; `_id` is added to them.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; `Invalid` if the name, a column or an index cannot be, or the store does not
    /// keep the promises that commits rest on.
    pub async fn create_table(
        &self,
        name: &str,
        schema: impl Into<Arc<Schema>>,
        index: IndexSpec,
    ) -> Result<Supertable, Error> {
        check_name(name)?;
        let (catalog, _) = catalog::read(&self.inner.store).await?;
        if catalog.tables.contains_key(name) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("table {name:?} exists; open it or drop it first"),
            ));
        }
        let schema = schema.into();
        if catalog.may_own(name)
            && let Some(table) = self.make_owner(name, &schema, index.clone()).await?
        {
            return Ok(table);
        }
        let table = self.make_unnamed(name, &schema, index).await?;
        // From here on the name leads to the table; before, its head is garbage that nothing names.
        catalog::bind(&self.inner.store, name, table.table().root()).await?;
        Ok(table)
    }

    /// Makes a table in the own folder of its name, where whoever opens it looks first; `None` if a table is or was there.
    async fn make_owner(
        &self,
        name: &str,
        schema: &Arc<Schema>,
        index: IndexSpec,
    ) -> Result<Option<Supertable>, Error> {
        let folder = Catalog::own_folder(name);
        let table = match self.make_in(&folder, name, schema, index).await {
            // Left by somebody who got no further, or about to get its name.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            made => made?,
        };
        if catalog::bind(&self.inner.store, name, &folder).await? {
            return Ok(Some(table));
        }
        // A table of this name came and went since the catalog was read; the folder may be in the middle of its removal.
        self.discard(&folder).await?;
        Ok(None)
    }

    /// Makes a table that the catalog does not name yet.
    pub(crate) async fn make_unnamed(
        &self,
        name: &str,
        schema: &Arc<Schema>,
        index: IndexSpec,
    ) -> Result<Supertable, Error> {
        let folder = Catalog::other_folder(name, uuid::Uuid::new_v4().as_u128());
        self.make_in(&folder, name, schema, index).await
    }

    async fn make_in(
        &self,
        folder: &str,
        name: &str,
        schema: &Arc<Schema>,
        index: IndexSpec,
    ) -> Result<Supertable, Error> {
        check_name(name)?;
        let schema = infino_superfile::table_schema(schema, index.into_set())?;
        self.inner.runtime.probe(&*self.inner.store).await?;
        let store = self.inner.store.clone();
        let (runtime, options) = (self.inner.runtime.clone(), self.inner.options.clone());
        let table = Table::create(store, folder, schema, runtime, options).await?;
        Ok(Supertable::new(self.clone(), name, self.remember(folder, table)))
    }

    /// Gives a table that was made without one its name, in the place of the table that has it if it may be replaced.
    pub(crate) async fn name_table(&self, table: &Supertable, replace: bool) -> Result<(), Error> {
        let (store, folder) = (&self.inner.store, table.table().root());
        match replace {
            false => catalog::bind(store, table.name(), folder).await.map(drop),
            true => match catalog::rebind(store, table.name(), folder).await? {
                Some(before) => self.discard(&before).await,
                None => Ok(()),
            },
        }
    }

    /// Removes the objects of a folder that nothing names.
    pub(crate) async fn discard(&self, folder: &str) -> Result<(), Error> {
        self.inner.open.lock().expect("no panic while held").remove(folder);
        self.inner.pinned.lock().expect("no panic while held").remove(folder);
        // The head first: without it nobody who still holds the table can commit to it, or read half of it.
        self.inner.store.delete(&format!("{folder}/head")).await?;
        for object in self.inner.store.list(folder).await? {
            self.inner.store.delete(&object.path).await?;
        }
        Ok(())
    }

    /// Opens a table by name.
    ///
    /// # Errors
    /// `NotFound`, naming the tables there are.
    pub async fn open_table(&self, name: &str) -> Result<Supertable, Error> {
        traced(span!("open", table = name), self.open_named(name)).await
    }

    async fn open_named(&self, name: &str) -> Result<Supertable, Error> {
        let (names, ahead) = futures::join!(self.names(), self.open_guess(name));
        let names = names?;
        let Some(folder) = names.get(name) else {
            return Err(not_found(name, names.keys()));
        };
        let table = match ahead {
            Some((guess, Ok(table))) if guess == *folder => self.remember(folder, table),
            _ => self.open_folder(folder).await?,
        };
        Ok(Supertable::new(self.clone(), name, table))
    }

    /// The names of all tables, in order.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing.
    pub async fn table_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.names().await?.keys().cloned().collect())
    }

    /// Names to folders, as the catalog says now.
    pub(crate) async fn names(&self) -> Result<Arc<BTreeMap<String, String>>, Error> {
        let (known, tag) = {
            let names = self.inner.names.lock().expect("no panic while held");
            (names.tables.clone(), names.tag.clone())
        };
        match catalog::read_if_changed(&self.inner.store, tag.as_ref()).await? {
            None => Ok(known),
            Some((catalog, tag)) => {
                let tables = Arc::new(catalog.tables);
                let named = Named { tables: tables.clone(), tag };
                *self.inner.names.lock().expect("no panic while held") = named;
                Ok(tables)
            }
        }
    }

    /// Drops a table: its name at once, then its objects.
    ///
    /// # Errors
    /// `NotFound`; storage errors, after which the name is gone and some objects may be left.
    pub async fn drop_table(&self, name: &str) -> Result<(), Error> {
        let (names, _) = catalog::read(&self.inner.store).await?;
        let Some(folder) = names.tables.get(name) else {
            return Err(not_found(name, names.tables.keys()));
        };
        catalog::unbind(&self.inner.store, name, folder).await?;
        let folder = folder.clone();
        self.discard(&folder).await
    }

    /// Gives a table another name, at once for everybody who looks it up from then on. Handles that are open keep working.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` if another table has the name; `Invalid` if the name cannot be.
    pub async fn rename_table(&self, from: &str, to: &str) -> Result<(), Error> {
        check_name(to)?;
        let (names, _) = catalog::read(&self.inner.store).await?;
        let Some(folder) = names.tables.get(from) else {
            return Err(not_found(from, names.tables.keys()));
        };
        if from == to {
            return Ok(());
        }
        catalog::rename(&self.inner.store, from, to, folder).await
    }

    /// Reads all that a table names, every byte of it, and says what is not as it was written; also of a table that is too
    /// damaged to open.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if storage keeps failing. Damage is no error, it is in the report.
    pub async fn verify_table(&self, name: &str) -> Result<VerifyReport, Error> {
        let names = self.names().await?;
        let Some(folder) = names.get(name) else {
            return Err(not_found(name, names.keys()));
        };
        // From the store itself: what a cache still holds proves nothing.
        let work =
            async { Ok(infino_table::verify::verify(self.inner.bare.clone(), folder).await) };
        traced(span!("verify", table = name), work).await
    }

    /// Reads all that a table names and restores what can be restored of it: manifest objects from the log, index sections
    /// from the rows of their file. Nothing is given up: what cannot be had back is named in the report, and stays as it is.
    ///
    /// Safe beside readers and writers, and works on a table that is too damaged to open.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` if the table's head is gone, for which nothing stands; `Unavailable` if storage keeps failing.
    pub async fn repair_table(&self, name: &str) -> Result<RepairReport, Error> {
        let names = self.names().await?;
        let Some(folder) = names.get(name) else {
            return Err(not_found(name, names.keys()));
        };
        let (store, runtime) = (self.inner.bare.clone(), self.inner.runtime.clone());
        let options = self.inner.options.clone();
        let work =
            async { Ok(infino_table::repair::repair(store, folder, runtime, options).await?) };
        traced(span!("repair", table = name), work).await
    }

    /// A SQL statement over the tables; awaiting it runs it.
    ///
    /// Search functions are relations: `bm25_search('docs', 'body', 'words', k => 10)`, `vector_search('docs', 'embedding',
    /// $1, k => 10)`, `hybrid_search(…)`, `token_match(…)`, `exact_match(…)`.
    pub fn query_sql(&self, sql: impl Into<String>) -> SqlQuery {
        SqlQuery::new(self.clone(), sql.into())
    }

    /// Makes the tables known to a DataFusion session of yours, under their names, and with them the search functions,
    /// `match`, `match_score` and `distance`.
    ///
    /// A table is read at its newest version whenever a statement names it; within one statement two mentions of it may
    /// read two versions. Tables made later are not known until this is called again. Rows are written through the
    /// connection.
    ///
    /// # Errors
    /// `Unavailable` if storage keeps failing; `Invalid` if the session has a table of the same name.
    pub async fn register_into(&self, context: &SessionContext) -> Result<(), Error> {
        sql::registered::register(self, context).await
    }

    /// Makes `reranker` known to SQL statements of this connection: `hybrid_search(…, rerank => 'name')`. One that had the
    /// name before is replaced.
    pub fn register_reranker(&self, name: &str, reranker: Arc<dyn Reranker>) {
        self.inner.rerankers.register(name, reranker);
    }

    /// What was asked of the store since this connection was made, and what its cache answered.
    pub fn metrics(&self) -> Metrics {
        let cache = self.inner.cache.as_ref().map(|cache| cache.stats());
        Metrics { store: self.inner.bare.counters(), cache }
    }

    /// Writes down in the cache's directory what is in memory now, for a later [`WarmUp::Heat`] by whichever process;
    /// nothing without a directory.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written.
    pub async fn save_heat(&self) -> Result<(), Error> {
        match &self.inner.cache {
            Some(cache) => Ok(cache.save_heat().await?),
            None => Ok(()),
        }
    }

    /// The store's URI, without secrets.
    pub fn uri(&self) -> &str {
        self.inner.store.uri()
    }

    pub(crate) async fn open_folder(&self, folder: &str) -> Result<Table, Error> {
        let known = self.inner.open.lock().expect("no panic while held").get(folder).cloned();
        if let Some(table) = known {
            return Ok(table);
        }
        let store = self.inner.store.clone();
        let table =
            Table::open(store, folder, self.inner.runtime.clone(), self.inner.options.clone())
                .await?;
        Ok(self.remember(folder, table))
    }

    /// Opens the table where a table called `name` was last, or is at first, so that the catalog, which decides, is read
    /// meanwhile. No folder is used twice, so a table found there is the named one if the catalog then names the folder.
    async fn open_guess(&self, name: &str) -> Option<(String, Result<Table, Error>)> {
        let known = self.inner.names.lock().expect("no panic while held").tables.get(name).cloned();
        let folder = known.unwrap_or_else(|| Catalog::own_folder(name));
        if self.inner.open.lock().expect("no panic while held").contains_key(&folder) {
            return None;
        }
        let (runtime, options) = (self.inner.runtime.clone(), self.inner.options.clone());
        let table = Table::open(self.inner.store.clone(), &folder, runtime, options).await;
        Some((folder, table.map_err(Error::from)))
    }

    fn remember(&self, folder: &str, table: Table) -> Table {
        let mut open = self.inner.open.lock().expect("no panic while held");
        if let Some(known) = open.get(folder) {
            return known.clone();
        }
        open.insert(folder.to_owned(), table.clone());
        if self.inner.warm_up != WarmUp::None {
            let (table, mode) = (table.clone(), self.inner.warm_up);
            tokio::spawn(async move {
                // Nobody waits for it: what fails is read when it is asked for.
                if let Err(error) = table.warm_up(mode).await {
                    tracing::debug!(root = table.root(), %error, "a table was not warmed up");
                }
            });
        }
        table
    }
}

pub(crate) fn not_found<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    let there = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("tables here: {known}")
    };
    Error::new(ErrorKind::NotFound, format!("no table {name:?}; {there}"))
}

fn check_name(name: &str) -> Result<(), Error> {
    let problem = if name.is_empty() || name.len() > 128 {
        "must have 1 to 128 bytes"
    } else if name.starts_with("inf.") {
        "must not begin with \"inf.\", which is reserved"
    } else if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        "must not hold slashes or control characters"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("table name {name:?} {problem}")))
}
