//! The change that does after a commit what it did before it. Pure.

use std::collections::BTreeMap;

use infino_format::{Action, Deletes, FormatError, Record, SuperfileId};
use roaring::RoaringBitmap;

use crate::change::{Change, DeadRows};
use crate::vectors::Vectors;

/// `change` made against `winner`'s version. [`conflict`](crate::conflict::conflict) has said that it may follow.
///
/// Deletes merge: the union of both is dead. Deletes that landed on the inputs of a compaction move to where their rows
/// went.
///
/// # Errors
/// [`FormatError`] if a deletion vector cannot be read.
pub fn rebase(
    mut change: Change,
    winner: &Record,
    vectors: &Vectors,
) -> Result<Change, FormatError> {
    for action in &winner.actions {
        let Action::SetDeletes { superfile, deletes } = action else { continue };
        if let Some(dead) = change.deletes.iter_mut().find(|dead| dead.superfile == *superfile) {
            dead.base = Some(deletes.clone());
        }
        relocate(&mut change, *superfile, deletes, vectors)?;
    }
    change.read_version = winner.version;
    Ok(change)
}

/// Moves what `deletes` adds to the deletes of an input of `change`'s compaction to where those rows are now.
fn relocate(
    change: &mut Change,
    superfile: SuperfileId,
    deletes: &Deletes,
    vectors: &Vectors,
) -> Result<(), FormatError> {
    let Some(relocation) = &mut change.relocation else { return Ok(()) };
    let input = relocation.inputs.iter_mut().find(|(input, _)| *input == superfile);
    let Some((_, base)) = input else { return Ok(()) };
    let fresh = vectors.rows(Some(deletes))? - vectors.rows(base.as_ref())?;
    *base = Some(deletes.clone());
    let mut moved: BTreeMap<SuperfileId, RoaringBitmap> = BTreeMap::new();
    for doc in &fresh {
        if let Some((output, place)) = (relocation.place)(superfile, doc) {
            moved.entry(output).or_default().insert(place);
        }
    }
    for (output, rows) in moved {
        match change.deletes.iter_mut().find(|dead| dead.superfile == output) {
            Some(dead) => dead.rows |= rows,
            None => change.deletes.push(DeadRows { superfile: output, base: None, rows }),
        }
    }
    Ok(())
}

/// The deletion vectors that deciding whether `change` may follow `winner`, and merging the two, looks at.
pub fn looked_at(change: &Change, winner: &Record) -> Vec<Deletes> {
    let mut found = Vec::new();
    for action in &winner.actions {
        let Action::SetDeletes { superfile, deletes } = action else { continue };
        let dead = change.deletes.iter().find(|dead| dead.superfile == *superfile);
        let input = change
            .relocation
            .iter()
            .flat_map(|relocation| &relocation.inputs)
            .find(|(input, _)| input == superfile);
        if dead.is_some() || input.is_some() {
            found.push(deletes.clone());
            found.extend(dead.and_then(|dead| dead.base.clone()));
            found.extend(input.and_then(|(_, base)| base.clone()));
        }
    }
    found
}
