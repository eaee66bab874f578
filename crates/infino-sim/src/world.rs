//! All that processes share: storage, the clock, what goes wrong now, and an auditor who looks at every version as it is
//! made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use infino_format::Head;
use infino_manifest::Snapshot;
use infino_storage::{StorageError, Store, Swap, Tag};
use infino_table::{Runtime, Table, TableError, TableOptions};

use crate::disk::{BEGAN_MS, Disk};
use crate::ledger::Ledger;
use crate::plan::{Broken, Faults, Plan};
use crate::random::Random;
use crate::rows::{self, ROOT, Scanner};
use crate::trace::Trace;

/// The world of one simulation.
#[derive(Debug)]
pub struct World {
    /// Storage without faults.
    pub disk: Arc<Disk>,
    /// What happens.
    pub trace: Trace,
    /// What was asked for, what was said, and what every version holds.
    pub ledger: Ledger,
    /// Who takes part.
    pub plan: Plan,
    healed: AtomicBool,
    left: AtomicU64,
    auditor: tokio::sync::Mutex<Option<Auditor>>,
    /// The newest version that names each object.
    named: Mutex<BTreeMap<String, u64>>,
}

/// Looks at versions through a handle that nothing goes wrong for.
#[derive(Debug)]
struct Auditor {
    table: Table,
    head: Arc<Head>,
    bytes: Bytes,
    scanner: Scanner,
    random: Random,
}

/// How handles of a simulation are set.
pub fn options(plan: &Plan) -> TableOptions {
    TableOptions {
        probe: false,
        mutation_attempts: 50,
        seal_bytes: plan.seal_bytes,
        ..TableOptions::default()
    }
}

impl World {
    /// A new table that nobody has written to.
    ///
    /// # Errors
    /// The table's; nothing goes wrong yet.
    pub async fn new(plan: Plan, random: Random, shown: bool) -> Result<Arc<Self>, TableError> {
        let disk = Arc::new(Disk::new());
        let (schema, runtime) = (rows::schema(plan.keyed, plan.vectors), Runtime::inline());
        let table = Table::create(disk.clone(), ROOT, schema, runtime, options(&plan)).await?;
        let current = table.log().current();
        let (head, bytes) = (current.head, current.bytes);
        let auditor = Auditor { table, head, bytes, scanner: Scanner::default(), random };
        Ok(Arc::new(Self {
            disk,
            trace: Trace::new(shown),
            ledger: Ledger::new(),
            left: AtomicU64::new(plan.operations),
            plan,
            healed: AtomicBool::new(false),
            auditor: tokio::sync::Mutex::new(Some(auditor)),
            named: Mutex::default(),
        }))
    }

    /// Takes one of the operations that are left; false if none is, or something is wrong already.
    pub fn take(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        taken && self.ledger.violations().is_empty()
    }

    /// Nothing goes wrong from here on.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// What befalls an operation now; `None` if nothing does.
    pub fn faults(&self) -> Option<Faults> {
        if self.healed.load(Ordering::Relaxed) {
            return None;
        }
        let faults = self.plan.faults;
        if faults.storm_every_ms == 0 {
            return Some(faults);
        }
        match (self.disk.now_ms() - BEGAN_MS) % faults.storm_every_ms {
            0..5000 => Some(Faults { fail: 1.0, ..faults }),
            5000..10_000 => Some(Faults { fail: 0.3, ..faults }),
            _ => Some(faults),
        }
    }

    /// Swaps an object; a new head is audited before anybody hears of it.
    pub async fn swap(
        &self,
        process: u64,
        path: &str,
        expected: Option<&Tag>,
        bytes: Bytes,
    ) -> Swap {
        let there = self.disk.get(path).await.ok().map(|(_, tag)| tag);
        let forced = self.plan.broken == Some(Broken::Swap) && bytes.len().is_multiple_of(4);
        let expected = if forced { there.as_ref() } else { expected };
        let swapped = self.disk.swap(path, expected, bytes.clone()).await;
        let done = matches!(swapped, Swap::Done(_));
        self.trace.event(format_args!("p{process} swapped {path} {done}"));
        if done {
            // In one piece: nothing else moves while the auditor looks.
            tokio::task::unconstrained(self.audit(bytes)).await;
        }
        swapped
    }

    /// The newest version that names a superfile or deletion vector.
    pub fn last_named(&self, path: &str) -> Option<u64> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied()
    }

    /// Deletes an object, which no version that is kept may name.
    pub async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let named = self.last_named(path);
        let floor = self.ledger.floor();
        if named.is_some_and(|version| version >= floor) && self.disk.holds(path) {
            let named = named.unwrap_or_default();
            let problem = format!("{path} went, version {named} needs it, {floor} is kept");
            self.ledger.violation(problem);
        }
        self.trace.event(format_args!("deleted {path}"));
        self.disk.delete(path).await
    }

    async fn audit(&self, bytes: Bytes) {
        let mut held = self.auditor.lock().await;
        let Some(auditor) = held.as_mut() else { return };
        if let Err(problem) = self.audit_head(auditor, bytes).await {
            self.ledger.violation(problem);
        }
    }

    async fn audit_head(&self, auditor: &mut Auditor, bytes: Bytes) -> Result<(), String> {
        let text = |error: TableError| format!("auditor: {error}");
        let head = Head::decode(&bytes).map_err(|error| format!("a head: {error}"))?;
        let before = auditor.head.clone();
        let grown = head.swap == before.swap + 1
            && head.version >= before.version
            && head.floor >= before.floor
            && head.epoch >= before.epoch
            && head.table == before.table;
        if !grown || head.parent != *blake3::hash(&auditor.bytes).as_bytes() {
            return Err(format!("swap {} does not follow swap {}", head.swap, before.swap));
        }
        let head = Arc::new(head);
        (auditor.head, auditor.bytes) = (head.clone(), bytes);
        let table = auditor.table.clone();
        let newest = table.refresh().await.map_err(text)?;
        let records = table.log().since(&head, before.version).await;
        for record in records.map_err(|error| format!("auditor: {error}"))? {
            let snapshot = match record.version == newest.version {
                true => newest.clone(),
                false => table.at_version(record.version).await.map_err(text)?,
            };
            self.name_objects(&snapshot)?;
            let live = auditor.scanner.live(&table, &snapshot).await.map_err(text)?;
            self.ledger.add_version(&record, &live);
            let version = record.version;
            self.trace.event(format_args!("version {version} {:?}", record.operation));
            if auditor.random.chance(0.1) {
                let random = &mut auditor.random;
                self.check_searches(&table, &snapshot, random).await.map_err(text)??;
            }
        }
        self.ledger.set_floor(head.floor);
        if auditor.random.chance(0.01) {
            self.verify(&table).await?;
        }
        Ok(())
    }

    /// Notes the objects of a version, all of which must be there.
    fn name_objects(&self, snapshot: &Snapshot) -> Result<(), String> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        for path in objects(snapshot) {
            if !self.disk.holds(&path) {
                return Err(format!("version {} names {path}, not there", snapshot.version));
            }
            named.insert(path, snapshot.version);
        }
        Ok(())
    }

    /// Searches a snapshot for a random row and holds what comes against the model; the inner error is a violation.
    ///
    /// # Errors
    /// The table's.
    pub async fn check_searches(
        &self,
        table: &Table,
        snapshot: &Arc<Snapshot>,
        random: &mut Random,
    ) -> Result<Result<(), String>, TableError> {
        let state = self.ledger.state(snapshot.version);
        let version = snapshot.version;
        let v = match state.len() {
            0 => 1,
            len => state.values().nth(random.below(len as u64) as usize).expect("below len").v,
        };
        let found = rows::search_text(table, snapshot, &format!("value{v}")).await?;
        let right: Vec<i64> =
            state.iter().filter(|(_, live)| live.v == v).map(|(&k, _)| k).collect();
        if found != right {
            return Ok(Err(format!("version {version}, value{v}: {found:?}, not {right:?}")));
        }
        if !self.plan.vectors {
            return Ok(Ok(()));
        }
        let (near, count) = ((random.below(50) as i64, v), 1 + random.below(20) as usize);
        let found = rows::search_near(table, snapshot, near, count).await?;
        let live = state.iter().map(|(&k, live)| (k, live.v));
        let right = rows::nearest(live, near, count);
        Ok(match found == right {
            true => Ok(()),
            false => Err(format!("version {version}, near {near:?}: {found:?}, not {right:?}")),
        })
    }

    /// Reads all that the table names.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn verify(&self, table: &Table) -> Result<(), String> {
        let report = table.verify().await;
        match report.is_sound() {
            true => Ok(()),
            false => Err(format!("version {}: {:?}", report.version, report.problems)),
        }
    }
}

/// The superfiles and deletion vectors of a snapshot.
pub fn objects(snapshot: &Snapshot) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in snapshot.entries.iter() {
        if entry.built.is_none() {
            paths.push(format!("{ROOT}/{}", entry.summary.path()));
        }
        let vector = entry.deletes.iter().filter_map(|deletes| deletes.object());
        paths.extend(vector.map(|object| format!("{ROOT}/{}", object.path)));
    }
    paths
}
