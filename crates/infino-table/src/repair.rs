//! A damaged table made whole, as far as what is left allows.
//!
//! Three steps, each of which leaves alone what is sound: the manifest is rebuilt from the log
//! ([`infino_manifest::repair`]), damaged index sections are built again from the rows of their file
//! ([`Superfile::mend`]), and the table is read through once more to say what is still wrong. An object that is restored is
//! the one that was written, byte for byte, under its old name; where that cannot be had, a commit or a swap of the head
//! names another in its stead. Nothing is deleted, no row and no version is given up for the sake of a clean report.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use infino_format::record::Operation;
use infino_format::summary::SuperfileSummary;
use infino_manifest::{Entry, Snapshot, Tag, deletes, repair as manifest, tags};
use infino_storage::{StorageError, Store};
use infino_superfile::{Mended, Superfile, SuperfileError};
use infino_wal::{Change, Log, Published, Relocation};

use crate::ingest::build::{self, local};
use crate::verify::{Problem, VerifyReport, verify};
use crate::{Runtime, Table, TableError, TableOptions, writer};

/// Something that was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The object that was damaged.
    pub path: String,
    /// What was done.
    pub action: String,
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// The table as it was found.
    pub found: VerifyReport,
    /// What was put right.
    pub fixed: Vec<Fix>,
    /// What is gone, and what went with it.
    pub lost: Vec<Problem>,
    /// The table as it is now.
    pub left: VerifyReport,
}

impl Table {
    /// Checks all that the table names and restores what can be restored. Safe beside readers and writers.
    ///
    /// # Errors
    /// As [`repair`].
    pub async fn repair(&self) -> Result<RepairReport, TableError> {
        let inner = &self.inner;
        repair(inner.store.clone(), &inner.root, inner.runtime.clone(), inner.options.clone()).await
    }
}

/// As [`Table::repair`], of a table that may be too damaged to open.
///
/// # Errors
/// `Wal` if the head itself is gone or damaged: it is the root of everything, and nothing stands for it. Storage errors; a
/// store that fails is not taken for a loss.
pub async fn repair(
    store: Arc<dyn Store>,
    root: &str,
    runtime: Runtime,
    options: TableOptions,
) -> Result<RepairReport, TableError> {
    let root = root.trim_end_matches('/');
    let found = verify(store.clone(), root).await;
    let mut report = RepairReport { left: found.clone(), found, ..RepairReport::default() };
    if report.found.is_sound() {
        return Ok(report);
    }
    let untagged = repair_manifest(&store, root, &mut report).await?;
    match Table::open(store.clone(), root, runtime, options).await {
        Ok(table) => {
            for (tag, snapshot) in untagged {
                retag(&table, &tag, &snapshot, &mut report).await?;
            }
            repair_superfiles(&table, &mut report).await?;
        }
        // What is lost of the manifest has been told.
        Err(error) if !report.lost.is_empty() => {
            tracing::warn!(%error, "the table cannot be opened, so its files are not looked at");
        }
        Err(error) => return Err(error),
    }
    report.left = verify(store, root).await;
    Ok(report)
}

async fn repair_manifest(
    store: &Arc<dyn Store>,
    root: &str,
    report: &mut RepairReport,
) -> Result<Vec<(Tag, Snapshot)>, TableError> {
    let log = Log::open(store.clone(), root).await?;
    let head = log.current().head;
    let repaired = manifest::repair(&**store, root, &head).await?;
    let restored = repaired.restored.into_iter();
    report.fixed.extend(restored.map(|path| Fix { path, action: "restored".to_owned() }));
    if let Some(manifest::Bypass { damaged, folded }) = repaired.bypass {
        let path = format!("{root}/{}", damaged.list.path);
        let action = match log.bypass(&damaged, &folded.checkpoint, folded.epoch).await? {
            Published::Done(_) => {
                format!("a checkpoint of version {} stands in its place", folded.checkpoint.version)
            }
            Published::Superseded(_) => "another checkpoint came before the repair's".to_owned(),
        };
        report.fixed.push(Fix { path, action });
    }
    let lost = repaired.lost.into_iter();
    report.lost.extend(lost.map(|lost| Problem { path: lost.path, problem: lost.problem }));
    Ok(repaired.untagged)
}

/// Writes down anew what a tag keeps; somebody who changes the tag meanwhile goes first.
async fn retag(
    table: &Table,
    tag: &Tag,
    snapshot: &Snapshot,
    report: &mut RepairReport,
) -> Result<(), TableError> {
    let inner = &table.inner;
    let head = inner.log.current().head;
    let (store, root, name) = (&*inner.store, &inner.root, &tag.name);
    let again = tags::stage(store, root, &head, snapshot, name).await?;
    let change = Change::new(Operation::Property, head.version, head.epoch);
    writer::publish(table, change.property(again.key(), Some(again.value()))).await?;
    let path = inner.path(&tag.checkpoint.list.path);
    let action = format!("tag {name:?} keeps version {} by another list", snapshot.version);
    report.fixed.push(Fix { path, action });
    Ok(())
}

/// Mends the files of the newest version that are damaged.
async fn repair_superfiles(table: &Table, report: &mut RepairReport) -> Result<(), TableError> {
    let snapshot = table.refresh().await?;
    for entry in snapshot.entries.iter().filter(|entry| entry.built.is_none()) {
        let path = table.inner.path(&entry.summary.path());
        if report.found.problems.iter().any(|problem| problem.path == path) {
            mend(table, &snapshot, entry, &path, report).await?;
        }
        let object = entry.deletes.as_ref().and_then(|deletes| deletes.object());
        let vector = object.map(|object| table.inner.path(&object.path));
        let damaged =
            |path: &String| report.found.problems.iter().any(|problem| problem.path == *path);
        if let Some(path) = vector.filter(damaged) {
            let problem = format!("says which rows of {} are dead", entry.summary.path());
            report.lost.push(Problem { path, problem });
        }
    }
    Ok(())
}

async fn mend(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    entry: &Entry,
    path: &str,
    report: &mut RepairReport,
) -> Result<(), TableError> {
    let inner = &table.inner;
    let store = &inner.store;
    let epoch = inner.log.current().head.epoch;
    // A cache may hold what the store has not, and the other way round.
    store.forget(path).await;
    let scratch = tempfile::NamedTempFile::new_in(inner.scratch_dir());
    let scratch = scratch.map_err(local("creating a scratch file"))?;
    let mut out = BufWriter::with_capacity(1 << 20, scratch.as_file());
    let (summary, options) = (&entry.summary, build::superfile_options(inner));
    let mended =
        Superfile::mend(store.clone(), path, summary, &snapshot.schema, options, &mut out).await;
    out.flush().map_err(local("writing a superfile to scratch space"))?;
    drop(out);
    let (damaged, action) = match mended {
        Ok(Mended::Sound) => return Ok(()),
        Ok(Mended::Restored { damaged }) => {
            store.put_file(path, scratch.path()).await?;
            store.forget(path).await;
            (damaged, "built again".to_owned())
        }
        Ok(Mended::Replaced { damaged, summary }) => {
            build::put(inner, scratch.path(), &summary).await?;
            let id = summary.id;
            replace(table, snapshot, entry, *summary, epoch).await?;
            (damaged, format!("built again in {id}, which stands in its place"))
        }
        Err(error) if is_loss(&error) => {
            let rows = entry.live_rows();
            let problem = format!("holds {rows} living rows: {error}");
            report.lost.push(Problem { path: path.to_owned(), problem });
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let action = format!("{}: {action}", damaged.join(", "));
    report.fixed.push(Fix { path: path.to_owned(), action });
    Ok(())
}

/// Whether the file is to blame, and not storage or this machine.
fn is_loss(error: &SuperfileError) -> bool {
    let gone = matches!(error, SuperfileError::Storage(StorageError::NotFound { .. }));
    gone || error.is_corrupt() || matches!(error, SuperfileError::Invalid { .. })
}

/// Names `new`, which has the rows of `old` in their places, in its stead.
async fn replace(
    table: &Table,
    snapshot: &Snapshot,
    old: &Entry,
    new: SuperfileSummary,
    epoch: u64,
) -> Result<(), TableError> {
    let (from, to) = (old.id(), new.id);
    let mut change = Change::new(Operation::Compact, snapshot.version, epoch).remove(from).add(new);
    if let Some(stored) = &old.deletes {
        let dead = deletes::load(&*table.inner.store, &table.inner.root, stored).await?;
        change = change.delete(to, None, dead);
    }
    let place = move |id, doc| (id == from).then_some((to, doc));
    let inputs = vec![(from, old.deletes.clone())];
    writer::publish(table, change.relocating(Relocation { inputs, place: Arc::new(place) }))
        .await?;
    Ok(())
}
