//! What everybody asked for and was told, and the rows of every version: the model that the table is held against.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use infino_format::{CommitId, Operation, Record};

use crate::op::{Live, Op, Said, State, number_of};
use crate::rows::Row;

/// An operation and what is known of it.
#[derive(Debug)]
struct Entry {
    op: Op,
    /// The newest version when it was first asked for.
    asked_at: u64,
    /// The version that it made.
    applied: Option<u64>,
    /// Whether somebody was told that it did not happen and never will.
    refused: bool,
    /// Whether a process died over it or was told that nothing is known.
    in_doubt: bool,
}

/// The model.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Operation 1 is the first.
    entries: Vec<Entry>,
    /// Version 0 has no rows and is no version.
    states: Vec<Arc<State>>,
    floor: u64,
    next_key: i64,
    unknown: Vec<(CommitId, i64)>,
    tags: BTreeMap<String, u64>,
    violations: Vec<String>,
}

impl Ledger {
    /// A table that is just made: version 1 has no rows.
    pub fn new() -> Self {
        let states = vec![Arc::default(), Arc::default()];
        Self { inner: Mutex::new(Inner { states, floor: 1, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an invariant does not hold.
    pub fn violation(&self, what: String) {
        self.inner().violations.push(what);
    }

    /// What does not hold; the first is the cause.
    pub fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    /// The newest version.
    pub fn newest(&self) -> u64 {
        self.inner().states.len() as u64 - 1
    }

    /// The oldest version that is kept.
    pub fn floor(&self) -> u64 {
        self.inner().floor
    }

    /// Notes the oldest version that is kept.
    pub fn set_floor(&self, floor: u64) {
        self.inner().floor = floor;
    }

    /// The rows of a version that was made.
    pub fn state(&self, version: u64) -> Arc<State> {
        self.inner().states[version as usize].clone()
    }

    /// A key that nobody has had.
    pub fn fresh_key(&self) -> i64 {
        let mut inner = self.inner();
        inner.next_key += 1;
        inner.next_key
    }

    /// Notes that an operation is asked for; gives its number.
    pub fn ask(&self, op: Op) -> i64 {
        let mut inner = self.inner();
        let asked_at = inner.states.len() as u64 - 1;
        let (applied, refused, in_doubt) = (None, false, false);
        inner.entries.push(Entry { op, asked_at, applied, refused, in_doubt });
        inner.entries.len() as i64
    }

    /// What `number` asks for.
    pub fn op(&self, number: i64) -> Op {
        self.inner().entries[number as usize - 1].op.clone()
    }

    /// Notes that whoever asked for `number` will not hear what became of it.
    pub fn doubt(&self, number: i64, commit: Option<CommitId>) {
        let mut inner = self.inner();
        inner.entries[number as usize - 1].in_doubt = true;
        inner.unknown.extend(commit.map(|commit| (commit, number)));
    }

    /// Commits whose askers were told that their outcome is not known.
    pub fn unknown(&self) -> Vec<(CommitId, i64)> {
        self.inner().unknown.clone()
    }

    /// The version that `number` made.
    pub fn applied(&self, number: i64) -> Option<u64> {
        self.inner().entries[number as usize - 1].applied
    }

    /// Holds what an asker was told against what happened.
    pub fn told(&self, number: i64, said: Said) {
        let mut inner = self.inner();
        let newest = inner.states.len() as u64 - 1;
        let Inner { entries, states, violations, .. } = &mut *inner;
        let Entry { op, asked_at, applied, .. } = &entries[number as usize - 1];
        if let Op::Restore(of) = op {
            // Which of two that restore the same made the version does not show.
            if !rows(&states[said.version as usize]).eq(rows(&states[*of as usize])) {
                violations.push(format!("{op:?} is not what version {} is", said.version));
            }
            return;
        }
        let changed = said.counts.is_none_or(|(inserted, updated, deleted)| {
            inserted + updated + deleted > 0 || said.replayed
        });
        let problem = match (applied, changed) {
            (Some(version), true) => (*version != said.version).then_some("made another version"),
            (Some(_), false) => Some("was said to have changed nothing"),
            (None, true) => Some("is in no version"),
            (None, false) => {
                let nothing = |version: u64| {
                    let state = &states[version as usize];
                    op.apply(number, state).is_some_and(|(_, counts)| counts == (0, 0, 0))
                };
                (!(*asked_at..=newest).any(nothing)).then_some("should have changed something")
            }
        };
        if let Some(problem) = problem {
            violations.push(format!("operation {number} {op:?}, told {said:?}, {problem}"));
        }
    }

    /// Notes that an asker was told that the operation did not happen; `duplicate` if for a key that is taken.
    pub fn refuse(&self, number: i64, duplicate: bool) {
        let mut inner = self.inner();
        let newest = inner.states.len() as u64 - 1;
        let Inner { entries, states, violations, .. } = &mut *inner;
        let entry = &mut entries[number as usize - 1];
        let taken = |version: u64| entry.op.apply(number, &states[version as usize]).is_none();
        if duplicate && !(entry.asked_at..=newest).any(taken) {
            violations.push(format!("operation {number} {:?} was refused a free key", entry.op));
        }
        // An earlier attempt may have happened, or happen yet.
        if entry.in_doubt {
            return;
        }
        entry.refused = true;
        if let (Some(version), false) = (entry.applied, matches!(entry.op, Op::Restore(_))) {
            violations.push(format!("operation {number} was refused and made version {version}"));
        }
    }

    /// Notes a tag that is there, or with `None` that it may be gone.
    pub fn tag(&self, name: &str, version: Option<u64>) {
        let mut inner = self.inner();
        match version {
            Some(version) => drop(inner.tags.insert(name.to_owned(), version)),
            None => drop(inner.tags.remove(name)),
        }
    }

    /// Tags that are there, and what they keep.
    pub fn tags(&self) -> BTreeMap<String, u64> {
        self.inner().tags.clone()
    }

    /// Adds the version that `record` made, whose rows are `found`: only what was asked for may have made it of the
    /// version before.
    pub fn add_version(&self, record: &Record, found: &[Row]) {
        let mut inner = self.inner();
        let version = inner.states.len() as u64;
        let before = inner.states.last().expect("version 1 is there").clone();
        let mut after = State::new();
        for &(id, k, v) in found {
            let since = before.get(&k).filter(|live| live.v == v).map_or(version, |l| l.since);
            if after.insert(k, Live { v, id, since }).is_some() {
                inner.violations.push(format!("version {version} has two rows of key {k}"));
            }
        }
        let ids = after.values().map(|live| live.id).collect::<std::collections::BTreeSet<_>>();
        if ids.len() != found.len() {
            inner.violations.push(format!("version {version} has two rows of one id"));
        }
        let outcome = inner.explain(version, record, &before, &after);
        if let Err(problem) = outcome {
            let operation = record.operation;
            let problem = format!(
                "version {version} ({operation:?}, token {:?}): {problem}; before {}, after {}",
                record.token,
                shown(&before),
                shown(&after)
            );
            inner.violations.push(problem);
        }
        inner.states.push(Arc::new(after));
    }
}

impl Inner {
    /// Finds the operations that made `after` of `before`.
    fn explain(
        &mut self,
        version: u64,
        record: &Record,
        before: &State,
        after: &State,
    ) -> Result<(), String> {
        if let Some(token) = &record.token {
            let number = number_of(token).ok_or("a token that nobody gave")?;
            self.apply(number, version)?;
            let entry = &self.entries[number as usize - 1];
            return match &entry.op {
                Op::Delete(from, to) => deleted(*from..*to, entry.asked_at, before, after),
                op => {
                    let (expected, _) =
                        op.apply(number, before).ok_or("it takes a key that is taken")?;
                    same(&expected, after, before)
                }
            };
        }
        match record.operation {
            Operation::Append => self.inserted(version, before, after),
            Operation::Restore => {
                let restores = |entry: &Entry| {
                    let Op::Restore(of) = entry.op else { return false };
                    let open = entry.applied.is_none() && !entry.refused;
                    open && rows(&self.states[of as usize]).eq(rows(after))
                };
                let at = self.entries.iter().position(restores).ok_or("nobody restored this")?;
                self.apply(at as i64 + 1, version)
            }
            Operation::Compact | Operation::Property | Operation::Schema => {
                if rows(before).eq(rows(after)) { Ok(()) } else { Err("rows changed".to_owned()) }
            }
            _ => Err("a record without its token".to_owned()),
        }
    }

    /// Whole inserts came in beside what was there.
    fn inserted(&mut self, version: u64, before: &State, after: &State) -> Result<(), String> {
        let mut expected = before.clone();
        let numbers: std::collections::BTreeSet<i64> = after
            .iter()
            .filter(|(k, live)| before.get(k).is_none_or(|was| was.v != live.v))
            .map(|(_, live)| live.v)
            .collect();
        for number in numbers {
            let op = usize::try_from(number - 1).ok().and_then(|at| self.entries.get(at));
            let Some(Op::Insert(_)) = op.map(|entry| &entry.op) else {
                return Err(format!("{number} is no insert"));
            };
            self.apply(number, version)?;
            let op = self.entries[number as usize - 1].op.clone();
            (expected, _) = op.apply(number, &expected).ok_or("it takes a key that is taken")?;
        }
        same(&expected, after, before)
    }

    /// Marks an operation as done, for the first time and rightly.
    fn apply(&mut self, number: i64, version: u64) -> Result<(), String> {
        let entry = usize::try_from(number - 1).ok().and_then(|at| self.entries.get_mut(at));
        let entry = entry.ok_or("an operation that nobody asked for")?;
        if let Some(first) = entry.applied.replace(version) {
            return Err(format!("operation {number} made version {first} already"));
        }
        if entry.refused {
            return Err(format!("operation {number} was said not to have happened"));
        }
        Ok(())
    }
}

fn rows(state: &State) -> impl Iterator<Item = (i64, i64, i128)> + '_ {
    state.iter().map(|(&k, live)| (k, live.v, live.id))
}

fn shown(state: &State) -> String {
    let rows: Vec<String> = state.iter().map(|(k, live)| format!("{k}:{}", live.v)).collect();
    rows.join(" ")
}

/// The rows expected are there; those that were there before kept their ids.
fn same(expected: &State, after: &State, before: &State) -> Result<(), String> {
    let values =
        |state: &State| -> Vec<(i64, i64)> { state.iter().map(|(&k, live)| (k, live.v)).collect() };
    if values(expected) != values(after) {
        return Err(format!("expected {}", shown(expected)));
    }
    let moved = after.iter().find(|(k, live)| before.get(k).is_some_and(|was| was.id != live.id));
    moved.map_or(Ok(()), |(k, _)| Err(format!("the row of key {k} changed its id")))
}

/// Rows of the range are gone and no others; one may have stayed only if it came in after the delete was asked for.
fn deleted(
    range: std::ops::Range<i64>,
    asked_at: u64,
    before: &State,
    after: &State,
) -> Result<(), String> {
    for (k, was) in before {
        let stayed = after.get(k).is_some_and(|is| (is.v, is.id) == (was.v, was.id));
        let must_go = range.contains(k) && was.since <= asked_at;
        if stayed && must_go || !stayed && !range.contains(k) {
            return Err(format!("key {k}: stayed {stayed}, must go {must_go}"));
        }
    }
    let new = after.keys().find(|k| !before.contains_key(k));
    new.map_or(Ok(()), |k| Err(format!("key {k} came in with a delete")))
}
