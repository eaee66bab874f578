//! A change becomes the newest version, and what the handle knows follows.

use std::time::Instant;

use infino_format::Action;
use infino_storage::StorageError;
use infino_wal::{Change, Committed, Conflict, Resolved, WalError};

use crate::{Table, TableError, evolve};

/// Commits `change` and makes its snapshot current. An unclear outcome is resolved if storage answers at last.
pub(crate) async fn publish(table: &Table, change: Change) -> Result<Committed, TableError> {
    let started = Instant::now();
    if table.inner.options.probe {
        table.inner.runtime.probe(&*table.inner.store).await?;
    }
    let committed = commit(table, change).await?;
    let known = table.snapshot();
    if committed.head.version > known.version {
        let inner = &table.inner;
        let next = async {
            let next = known.advance(&*inner.store, &inner.root, &committed.head).await?;
            crate::fresh::show(inner, next).await
        };
        match next.await {
            Ok(next) => drop(inner.publish(next, started)),
            // The commit is durable, so this is no error of it; the next pin reads the head again.
            Err(error) => tracing::warn!(%error, "reading the version just committed failed"),
        }
    }
    Ok(committed)
}

/// Commits `change`; appended files of an older schema are taken where they are right under the newest one too.
async fn commit(table: &Table, mut change: Change) -> Result<Committed, TableError> {
    let added = |action: &Action| matches!(action, Action::AddSuperfile(_) | Action::AddFresh(_));
    let only_adds =
        change.keys.is_none() && change.deletes.is_empty() && change.actions.iter().all(added);
    let built_at = change.read_version;
    loop {
        let refused =
            match settled(table, &change).await {
                Err(TableError::Wal(WalError::Conflict(
                    refused @ Conflict::SchemaChanged { .. },
                ))) if only_adds => refused,
                other => return other,
            };
        // Each round compares with what the files were built under: two changes that each could be followed need not be.
        let Ok(old) = table.at_version(built_at).await else {
            return Err(WalError::Conflict(refused).into());
        };
        let new = table.refresh().await?;
        if new.version <= change.read_version || !evolve::accepts(&new, &old.schema)? {
            return Err(WalError::Conflict(refused).into());
        }
        change.read_version = new.version;
    }
}

/// Commits `change`; an unclear outcome is asked for.
async fn settled(table: &Table, change: &Change) -> Result<Committed, TableError> {
    let log = &table.inner.log;
    let (mut unclear, mut full) = (0, 0);
    loop {
        let commit = match log.commit(change.clone()).await {
            Ok(committed) => return Ok(committed),
            Err(WalError::Unknown(commit)) => commit,
            // Nothing was committed, and nobody else need fold for it.
            Err(WalError::TailFull { .. }) if full < FULL_MAX => {
                full += 1;
                table.checkpoint().await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match log.resolve(commit).await {
            Ok(Resolved::Committed { version }) => {
                let head = log.current().head;
                return Ok(Committed { version, commit, head, replayed: false });
            }
            // It never happened and never will: it may be sent again.
            Ok(Resolved::Absent) if unclear < UNCLEAR_MAX => unclear += 1,
            Ok(Resolved::Absent) => return Err(absent(table)),
            Err(error) => {
                tracing::warn!(%error, %commit, "what became of a commit is not known");
                return Err(WalError::Unknown(commit).into());
            }
        }
    }
}

/// How often the log is folded because a commit found no room in it; others may fill it again meanwhile.
const FULL_MAX: u32 = 4;

/// How often a commit is sent again that storage gave no clear answer to and that did not happen.
const UNCLEAR_MAX: u32 = 4;

fn absent(table: &Table) -> TableError {
    TableError::Storage(StorageError::Unavailable {
        path: table.inner.path("head"),
        operation: "swap",
        problem: "it gave no clear answer again and again; nothing was committed".to_owned(),
    })
}
