//! Names to tables: one small object, changed by compare-and-swap.

use std::sync::Arc;

use infino_format::catalog::Catalog;
use infino_storage::{StorageError, Store, Swap, Tag};

use crate::{Error, ErrorKind};

const PATH: &str = "catalog";
/// Attempts at a swap before giving up; each lost one means that somebody else won.
const ATTEMPTS: u32 = 20;

/// The catalog as stored, and the tag to swap it by.
pub(crate) async fn read(store: &Arc<dyn Store>) -> Result<(Catalog, Option<Tag>), Error> {
    match store.get(PATH).await {
        Ok((bytes, tag)) => Ok((Catalog::decode(&bytes)?, Some(tag))),
        Err(StorageError::NotFound { .. }) => Ok((Catalog::default(), None)),
        Err(error) => Err(error.into()),
    }
}

/// The catalog as stored if it is not the one that `known` tags.
pub(crate) async fn read_if_changed(
    store: &Arc<dyn Store>,
    known: Option<&Tag>,
) -> Result<Option<(Catalog, Option<Tag>)>, Error> {
    let Some(known) = known else { return read(store).await.map(Some) };
    match store.get_if_changed(PATH, known).await {
        Ok(None) => Ok(None),
        Ok(Some((bytes, tag))) => Ok(Some((Catalog::decode(&bytes)?, Some(tag)))),
        Err(StorageError::NotFound { .. }) => Ok(Some((Catalog::default(), None))),
        Err(error) => Err(error.into()),
    }
}

/// Binds `name` to `folder`, which no other table has ever been in; `false` if that cannot be told of this folder any more.
///
/// # Errors
/// `AlreadyExists` if the name is bound to another folder.
pub(crate) async fn bind(store: &Arc<dyn Store>, name: &str, folder: &str) -> Result<bool, Error> {
    change(store, |catalog| match catalog.tables.get(name) {
        Some(bound) if bound == folder => Ok(Edit::Done),
        Some(_) => Err(taken(name)),
        None if is_spent(catalog, name, folder) => Ok(Edit::Spent),
        None => {
            catalog.tables.insert(name.to_owned(), folder.to_owned());
            Ok(Edit::Write)
        }
    })
    .await
}

fn taken(name: &str) -> Error {
    let problem = format!("table {name:?} exists; open it or drop it first");
    Error::new(ErrorKind::AlreadyExists, problem)
}

/// Binds `name` to `folder`, whatever it was bound to; returns that.
pub(crate) async fn rebind(
    store: &Arc<dyn Store>,
    name: &str,
    folder: &str,
) -> Result<Option<String>, Error> {
    let before = std::sync::Mutex::new(None);
    change(store, |catalog| {
        if catalog.tables.get(name).is_some_and(|bound| bound == folder) {
            return Ok(Edit::Done);
        }
        let bound = catalog.unbind(name);
        catalog.tables.insert(name.to_owned(), folder.to_owned());
        *before.lock().expect("no panic while held") = bound;
        Ok(Edit::Write)
    })
    .await?;
    Ok(before.into_inner().expect("no panic while held"))
}

/// Unbinds `name` from `folder`; no error if somebody else did.
pub(crate) async fn unbind(store: &Arc<dyn Store>, name: &str, folder: &str) -> Result<(), Error> {
    change(store, |catalog| {
        if catalog.tables.get(name).is_none_or(|bound| bound != folder) {
            return Ok(Edit::Done);
        }
        catalog.unbind(name);
        Ok(Edit::Write)
    })
    .await
    .map(drop)
}

/// Whether `folder` is the own folder of a name that has given it up.
fn is_spent(catalog: &Catalog, name: &str, folder: &str) -> bool {
    folder == Catalog::own_folder(name) && !catalog.may_own(name)
}

/// Gives the table in `folder`, which is named `from`, the name `to`.
///
/// # Errors
/// `NotFound` if `from` does not name it; `AlreadyExists` if `to` names another.
pub(crate) async fn rename(
    store: &Arc<dyn Store>,
    from: &str,
    to: &str,
    folder: &str,
) -> Result<(), Error> {
    change(store, |catalog| {
        let bound = |name: &str| catalog.tables.get(name).map(String::as_str);
        match (bound(from), bound(to)) {
            (_, Some(bound)) if bound == folder => Ok(Edit::Done),
            (_, Some(_)) => Err(taken(to)),
            (Some(bound), None) if bound == folder => {
                catalog.unbind(from);
                catalog.tables.insert(to.to_owned(), folder.to_owned());
                Ok(Edit::Write)
            }
            _ => Err(crate::connection::not_found(from, catalog.tables.keys())),
        }
    })
    .await
    .map(drop)
}

/// What an edit found.
enum Edit {
    /// The catalog says so already: by an earlier delivery of this very change, or by somebody else.
    Done,
    /// It must be written.
    Write,
    /// It must not be made.
    Spent,
}

/// Applies `edit` until it is done; `false` if it must not be made. An unclear swap is settled by reading again: the edit
/// itself tells whether its effect is there, since a folder belongs to one attempt only.
async fn change(
    store: &Arc<dyn Store>,
    edit: impl Fn(&mut Catalog) -> Result<Edit, Error>,
) -> Result<bool, Error> {
    let mut last = None;
    for attempt in 0..ATTEMPTS {
        let (mut catalog, tag) = read(store).await?;
        match edit(&mut catalog)? {
            Edit::Done => return Ok(true),
            Edit::Spent => return Ok(false),
            Edit::Write => {}
        }
        let bytes = catalog.encode(uuid::Uuid::new_v4().as_u128());
        match store.swap(PATH, tag.as_ref(), bytes.into()).await {
            Swap::Done(_) => return Ok(true),
            Swap::Lost => {}
            Swap::Unclear(error) => last = Some(error),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5 << attempt.min(6))).await;
    }
    Err(match last {
        Some(error) => error.into(),
        None => Error::new(ErrorKind::Conflict, "the catalog kept changing; try again"),
    })
}
