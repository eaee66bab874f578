//! Is everything there that the table names, and is it what was written?
//!
//! The walk reads whatever the head leads to, past the first damage: the tail, each checkpoint back to the oldest kept
//! version, tags, and of the newest version every superfile and deletion vector, whole. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use infino_format::head::TailItem;
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::PartEntry;
use infino_format::{
    Action, Deletes, FreshRows, Head, ObjectRef, Record, SuperfileSummary, TableSchema,
};
use infino_manifest::tags;
use infino_storage::Store;
use infino_superfile::Superfile;

use crate::{Table, fresh};

/// Superfiles read at once; of each, some megabytes are in memory.
const PARALLEL: usize = 4;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a walk over a table found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The newest version.
    pub version: u64,
    /// The oldest version that is kept.
    pub floor: u64,
    /// Checkpoints and tags, with their lists.
    pub lists: usize,
    /// Manifest parts.
    pub parts: usize,
    /// Log segments.
    pub segments: usize,
    /// Records.
    pub records: usize,
    /// Superfiles of the newest version.
    pub superfiles: usize,
    /// Its deletion vectors.
    pub deletion_vectors: usize,
    /// Its lots of fresh rows.
    pub fresh_lots: usize,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Table {
    /// Reads all that the table names and checks every byte and every reference.
    pub async fn verify(&self) -> VerifyReport {
        verify(self.store().clone(), self.root()).await
    }
}

/// As [`Table::verify`], of a table that may be too damaged to open.
pub async fn verify(store: Arc<dyn Store>, root: &str) -> VerifyReport {
    let mut walk = Walk {
        store,
        root: root.trim_end_matches('/').to_owned(),
        report: VerifyReport::default(),
        seen: BTreeSet::new(),
    };
    walk.head().await;
    walk.report
}

/// The superfiles of a version and their dead rows; `None` while it is not known.
type Files = Option<BTreeMap<u128, (Arc<SuperfileSummary>, Option<Deletes>)>>;

/// What else a version says.
#[derive(Default)]
struct Rest {
    properties: BTreeMap<String, String>,
    schema: Option<TableSchema>,
    /// Fresh rows, by id: the object that holds them, and they.
    fresh: BTreeMap<u128, (String, FreshRows)>,
}

struct Walk {
    store: Arc<dyn Store>,
    root: String,
    report: VerifyReport,
    /// Parts that were read.
    seen: BTreeSet<String>,
}

impl Walk {
    fn path(&self, name: &str) -> String {
        if self.root.is_empty() { name.to_owned() } else { format!("{}/{name}", self.root) }
    }

    fn note(&mut self, path: &str, problem: impl Display) {
        self.report.problems.push(Problem { path: path.to_owned(), problem: problem.to_string() });
    }

    /// The object's bytes if they are those that the reference says.
    async fn get(&mut self, object: &ObjectRef) -> Option<bytes::Bytes> {
        let path = self.path(&object.path);
        let bytes = match self.store.get(&path).await {
            Ok((bytes, _)) => bytes,
            Err(error) => {
                self.note(&path, error);
                return None;
            }
        };
        self.report.bytes += bytes.len() as u64;
        match object.verify(&bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                self.note(&path, error);
                None
            }
        }
    }

    async fn head(&mut self) {
        let path = self.path("head");
        let read = self.store.get(&path).await;
        let head = match read.map(|(bytes, _)| Head::decode(&bytes)) {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return self.note(&path, error),
            Err(error) => return self.note(&path, error),
        };
        (self.report.version, self.report.floor) = (head.version, head.floor);
        let (mut files, mut rest) = (Some(BTreeMap::new()), Rest::default());
        let mut at = head.checkpoint.clone();
        let mut newest = true;
        while let Some(checkpoint) = at {
            let Some(list) = self.list(&checkpoint).await else {
                files = if newest { None } else { files };
                break;
            };
            let entries = self.parts(&list).await;
            if newest {
                let path = self.path(&checkpoint.list.path);
                let fresh = list.fresh.iter();
                rest = Rest {
                    properties: list.properties.iter().cloned().collect(),
                    schema: Some(list.schema.clone()),
                    fresh: fresh.map(|(r, _)| (r.id.0, (path.clone(), r.clone()))).collect(),
                };
                files = entries;
            }
            newest = false;
            for segment in list.segments.iter().filter(|segment| segment.last >= head.floor) {
                self.segment(segment).await;
            }
            if checkpoint.version <= head.floor {
                break;
            }
            at = list.ancestors.into_iter().next();
        }
        let mut version = head.checkpoint_version();
        for item in &head.tail {
            let (from, records) = match item {
                TailItem::Inline(record) => {
                    self.report.records += 1;
                    (path.clone(), vec![record.clone()])
                }
                TailItem::Segment(segment) => {
                    (self.path(&segment.object.path), self.segment(segment).await)
                }
            };
            for record in records {
                if record.version != version + 1 {
                    self.note(&path, format!("version {} follows {version}", record.version));
                }
                version = record.version;
                apply(&mut files, &mut rest, &from, &record);
            }
        }
        if version != head.version {
            self.note(
                &path,
                format!("its records lead to version {version}, not {}", head.version),
            );
        }
        match tags::all(&rest.properties) {
            Err(error) => self.note(&path, error),
            Ok(tags) => {
                for tag in tags {
                    if let Some(list) = self.list(&tag.checkpoint).await {
                        self.parts(&list).await;
                    }
                }
            }
        }
        self.fresh(&rest);
        if let Some(files) = files {
            self.superfiles(files.into_values().collect()).await;
        }
    }

    async fn list(&mut self, checkpoint: &CheckpointRef) -> Option<CheckpointList> {
        let bytes = self.get(&checkpoint.list).await?;
        self.report.lists += 1;
        checkpoint
            .list(&bytes)
            .map_err(|error| self.note(&self.path(&checkpoint.list.path), error))
            .ok()
    }

    /// What the list's parts name, if all could be read.
    async fn parts(&mut self, list: &CheckpointList) -> Files {
        let mut files = Some(BTreeMap::new());
        for part in &list.parts {
            let known = !self.seen.insert(part.object.path.clone());
            self.report.parts += usize::from(!known);
            let Some(bytes) = self.get(&part.object).await else {
                files = None;
                continue;
            };
            match part.entries(&bytes) {
                Ok(entries) => {
                    let named = entries.into_iter().map(|PartEntry { summary, deletes }| {
                        (summary.id.0, (Arc::new(summary), deletes))
                    });
                    if let Some(files) = &mut files {
                        files.extend(named);
                    }
                }
                Err(error) => {
                    self.note(&self.path(&part.object.path), error);
                    files = None;
                }
            }
        }
        files
    }

    async fn segment(&mut self, segment: &infino_format::segment::SegmentRef) -> Vec<Record> {
        let Some(bytes) = self.get(&segment.object).await else { return Vec::new() };
        self.report.segments += 1;
        match segment.records(&bytes) {
            Ok(records) => {
                self.report.records += records.len();
                records
            }
            Err(error) => {
                self.note(&self.path(&segment.object.path), error);
                Vec::new()
            }
        }
    }

    /// Decodes the fresh rows, as whoever opens the table does.
    fn fresh(&mut self, rest: &Rest) {
        let Some(schema) = &rest.schema else { return };
        for (path, rows) in rest.fresh.values() {
            self.report.fresh_lots += 1;
            if let Err(error) = fresh::decode(rows, schema) {
                self.note(path, format!("fresh rows {}: {error}", rows.id));
            }
        }
    }

    async fn superfiles(&mut self, files: Vec<(Arc<SuperfileSummary>, Option<Deletes>)>) {
        for (summary, deletes) in &files {
            self.report.superfiles += 1;
            self.report.bytes += summary.file_len;
            let Some(deletes) = deletes else { continue };
            self.report.deletion_vectors += 1;
            let bytes = match deletes.object() {
                None => bytes::Bytes::new(),
                Some(object) => match self.get(object).await {
                    Some(bytes) => bytes,
                    None => continue,
                },
            };
            let path = self.path(&summary.path());
            match deletes.rows(&bytes) {
                Err(error) => self.note(&path, format!("its deletion vector: {error}")),
                Ok(dead) if dead.max().is_some_and(|row| row >= summary.row_count) => {
                    let row = dead.max().unwrap_or_default();
                    self.note(&path, format!("row {row} is dead, it has {}", summary.row_count));
                }
                Ok(_) => {}
            }
        }
        let store = self.store.clone();
        let work = files.into_iter().map(|(summary, _)| {
            let (store, path) = (store.clone(), self.path(&summary.path()));
            async move {
                let outcome = async {
                    let found = store.head(&path).await.map_err(|error| error.to_string())?;
                    if found.len != summary.file_len {
                        return Err(format!(
                            "{} bytes, the manifest says {}",
                            found.len, summary.file_len
                        ));
                    }
                    let open = Superfile::open(store, &path, Some(summary));
                    let file = open.await.map_err(|error| error.to_string())?;
                    file.verify().await.map_err(|error| error.to_string())
                };
                outcome.await.err().map(|problem| Problem { path, problem })
            }
        });
        let work: Vec<_> = work.collect();
        let found: Vec<_> = stream::iter(work).buffered(PARALLEL).collect().await;
        self.report.problems.extend(found.into_iter().flatten());
    }
}

fn apply(files: &mut Files, rest: &mut Rest, from: &str, record: &Record) {
    for action in &record.actions {
        match (action, &mut *files) {
            (Action::AddSuperfile(summary), Some(files)) => {
                files.insert(summary.id.0, (Arc::new(summary.clone()), None));
            }
            (Action::RemoveSuperfile(id), files) => {
                rest.fresh.remove(&id.0);
                files.as_mut().and_then(|files| files.remove(&id.0));
            }
            (Action::SetDeletes { superfile, deletes }, Some(files)) => {
                if let Some(file) = files.get_mut(&superfile.0) {
                    file.1 = Some(deletes.clone());
                }
            }
            (Action::AddFresh(rows), _) => {
                rest.fresh.insert(rows.id.0, (from.to_owned(), rows.clone()));
            }
            (Action::ChangeSchema(schema), _) => rest.schema = Some(schema.clone()),
            (Action::SetProperty { key, value: Some(value) }, _) => {
                rest.properties.insert(key.clone(), value.clone());
            }
            (Action::SetProperty { key, value: None }, _) => drop(rest.properties.remove(key)),
            _ => {}
        }
    }
}
