//! Conflicts and rebases against a model that knows every row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infino_format::{Action, Deletes, Operation, SuperfileId};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::testing::*;
use crate::*;

const ROWS: u32 = 100;

/// A row of the table, whatever file it is in: the file it was born in and its place there.
type Row = (u128, u32);

/// What a version of the table holds: for each superfile which row stands at each place, and which places are dead.
#[derive(Debug, Clone, Default)]
struct Model {
    files: BTreeMap<u128, File>,
    generation: u8,
}

#[derive(Debug, Clone, Default)]
struct File {
    rows: Vec<Row>,
    dead: BTreeSet<u32>,
}

impl Model {
    fn live(&self) -> BTreeSet<Row> {
        let live = |file: &File| {
            let rows = file.rows.iter().zip(0..);
            rows.filter(|(_, at)| !file.dead.contains(at)).map(|(row, _)| *row).collect::<Vec<_>>()
        };
        self.files.values().flat_map(live).collect()
    }
}

/// One change, made against a version so many commits ago.
#[derive(Debug, Clone)]
enum Step {
    Append,
    Delete { file: usize, rows: Vec<u32> },
    Update { file: usize, rows: Vec<u32> },
    Compact { first: usize, count: usize, follows: bool },
    Schema,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let rows = || proptest::collection::vec(0..ROWS, 1..6);
    let step = prop_oneof![
        3 => Just(Step::Append),
        4 => (0..8usize, rows()).prop_map(|(file, rows)| Step::Delete { file, rows }),
        4 => (0..8usize, rows()).prop_map(|(file, rows)| Step::Update { file, rows }),
        2 => (0..8usize, 1..4usize, any::<bool>())
            .prop_map(|(first, count, follows)| Step::Compact { first, count, follows }),
        1 => Just(Step::Schema),
    ];
    (step, 0..4u64)
}

/// A version: the model, and the deletes of each superfile as the log knows them.
#[derive(Debug, Clone, Default)]
struct Version {
    model: Model,
    deletes: BTreeMap<u128, Deletes>,
}

struct World {
    log: Log,
    versions: Vec<Version>,
    next_file: u128,
}

impl World {
    async fn new() -> Self {
        let store = faulty(1);
        let log = create(&store).await;
        Self { log, versions: vec![Version::default(); 2], next_file: 1 }
    }

    /// Commits `step` made `lag` versions ago and checks what the log says against what the model does.
    async fn run(&mut self, step: Step, lag: u64) {
        let newest = self.versions.len() as u64 - 1;
        let read = newest.saturating_sub(lag).max(1);
        let old = self.versions[read as usize].clone();
        let Some((change, effect)) = self.plan(&step, &old, read) else { return };
        let expected = self.expected(&effect, read);
        let outcome = self.log.commit(change).await;
        match (&outcome, expected) {
            (Ok(_), Ok(())) => {}
            (Err(WalError::Conflict(_)), Err(_)) => return,
            (found, expected) => {
                panic!("{step:?} at {read} of {newest}: {found:?}, expected {expected:?}")
            }
        }
        self.publish(effect).await;
    }

    /// The change of `step`, and what it does to rows.
    fn plan(&mut self, step: &Step, old: &Version, read: u64) -> Option<(Change, Effect)> {
        let epoch = self.log.current().head.epoch;
        let file_at = |at: &usize| old.model.files.keys().copied().nth(*at);
        let mut fresh = || {
            self.next_file += 1;
            self.next_file
        };
        let mut effect = Effect::default();
        let change = match step {
            Step::Append => {
                let id = fresh();
                effect.born = Some((id, (0..ROWS).map(|at| (id, at)).collect()));
                Change::new(Operation::Append, read, epoch).add(superfile(id))
            }
            Step::Delete { file, rows } | Step::Update { file, rows } => {
                let id = file_at(file)?;
                let held = &old.model.files[&id];
                let dead: RoaringBitmap = rows
                    .iter()
                    .copied()
                    .filter(|row| (*row as usize) < held.rows.len() && !held.dead.contains(row))
                    .collect();
                if dead.is_empty() {
                    return None;
                }
                effect.dead = dead.iter().map(|at| held.rows[at as usize]).collect();
                effect.file = Some(id);
                let mut change = Change::new(Operation::Delete, read, epoch);
                if matches!(step, Step::Update { .. }) {
                    let id = fresh();
                    change.operation = Operation::Update;
                    change = change.add(superfile(id));
                    effect.born = Some((id, (0..dead.len() as u32).map(|at| (id, at)).collect()));
                    effect.replaces = true;
                }
                change.delete(SuperfileId(id), old.deletes.get(&id).cloned(), dead)
            }
            Step::Compact { first, count, follows } => {
                let inputs: Vec<u128> =
                    old.model.files.keys().copied().skip(*first).take(*count).collect();
                let mut places: BTreeMap<(u128, u32), u32> = BTreeMap::new();
                let mut rows = Vec::new();
                for id in &inputs {
                    let file = &old.model.files[id];
                    for (row, at) in file.rows.iter().zip(0..) {
                        if !file.dead.contains(&at) {
                            places.insert((*id, at), rows.len() as u32);
                            rows.push(*row);
                        }
                    }
                }
                if rows.is_empty() {
                    return None;
                }
                let id = fresh();
                let mut change = Change::new(Operation::Compact, read, epoch);
                for input in &inputs {
                    change = change.remove(SuperfileId(*input));
                }
                change = change.add(superfile(id));
                if *follows {
                    let known =
                        |input: &u128| (SuperfileId(*input), old.deletes.get(input).cloned());
                    change = change.relocating(Relocation {
                        inputs: inputs.iter().map(known).collect(),
                        place: Arc::new(move |file, at| {
                            places.get(&(file.0, at)).map(|&to| (SuperfileId(id), to))
                        }),
                    });
                }
                effect.removed = inputs;
                effect.follows = *follows;
                effect.born = Some((id, rows));
                change
            }
            Step::Schema => {
                effect.schema = true;
                Change::new(Operation::Schema, read, epoch).schema(schema())
            }
        };
        Some((change, effect))
    }

    /// Whether the change may follow what came after version `read`, from what happened to rows alone.
    fn expected(&self, effect: &Effect, read: u64) -> Result<(), &'static str> {
        let (old, new) = (&self.versions[read as usize], self.versions.last().unwrap());
        let bound = effect.schema || effect.born.is_some();
        if bound && old.model.generation != new.model.generation {
            return Err("the schema changed");
        }
        let came = new.model.files.keys().any(|id| !old.model.files.contains_key(id));
        if effect.schema && (came || self.any_added_since(read)) {
            return Err("rows came in");
        }
        let gone = |id: &u128| !new.model.files.contains_key(id);
        if effect.file.iter().chain(&effect.removed).any(gone) {
            return Err("a file is gone");
        }
        if let Some(id) = effect.file {
            for version in read as usize + 1..self.versions.len() {
                let (before, after) = (&self.versions[version - 1], &self.versions[version]);
                let dead = |at: &Version| -> BTreeSet<Row> {
                    let file = &at.model.files[&id];
                    file.dead.iter().map(|place| file.rows[*place as usize]).collect()
                };
                let killed: BTreeSet<Row> = &dead(after) - &dead(before);
                let both = killed.intersection(&effect.dead).next().is_some();
                if both && (effect.replaces || after.model.replaced(&before.model)) {
                    return Err("the same rows changed");
                }
            }
        }
        let killed = |id: &u128| old.model.files[id].dead != new.model.files[id].dead;
        if !effect.follows && effect.removed.iter().any(killed) {
            return Err("rows of an input died");
        }
        Ok(())
    }

    fn any_added_since(&self, read: u64) -> bool {
        let versions = self.versions[read as usize..].windows(2);
        versions
            .into_iter()
            .any(|pair| pair[1].model.files.keys().any(|id| !pair[0].model.files.contains_key(id)))
    }

    /// The next version by the log's record, checked against the rows that should live.
    async fn publish(&mut self, effect: Effect) {
        let head = self.log.current().head;
        let before = self.versions.last().unwrap().clone();
        let records = self.log.since(&head, self.versions.len() as u64 - 1).await.unwrap();
        assert_eq!(records.len(), 1);
        let mut after = before.clone();
        for action in &records[0].actions {
            match action {
                Action::AddSuperfile(summary) => {
                    let (id, rows) = effect.born.clone().expect("only a birth adds");
                    assert_eq!(summary.id.0, id);
                    after.model.files.insert(id, File { rows, dead: BTreeSet::new() });
                }
                Action::RemoveSuperfile(id) => {
                    after.model.files.remove(&id.0).expect("was there");
                    after.deletes.remove(&id.0);
                }
                Action::SetDeletes { superfile, deletes } => {
                    let dead = deletes.rows(&[]).unwrap().iter().collect();
                    after.model.files.get_mut(&superfile.0).expect("is there").dead = dead;
                    after.deletes.insert(superfile.0, deletes.clone());
                }
                Action::ChangeSchema(_) => after.model.generation += 1,
                Action::SetProperty { .. } => {}
                Action::AddFresh(_) => panic!("no step of the model adds fresh rows"),
            }
        }
        let mut live = before.model.live();
        live.retain(|row| !effect.dead.contains(row));
        if effect.removed.is_empty() {
            live.extend(effect.born.into_iter().flat_map(|(_, rows)| rows));
        }
        assert_eq!(after.model.live(), live, "the rows that live");
        self.versions.push(after);
    }
}

impl Model {
    /// Whether the commit that led from `before` to here put rows in place of others.
    fn replaced(&self, before: &Self) -> bool {
        let came = self.files.keys().any(|id| !before.files.contains_key(id));
        let left = before.files.keys().any(|id| !self.files.contains_key(id));
        came && !left
    }
}

/// What a change does to rows.
#[derive(Debug, Clone, Default)]
struct Effect {
    dead: BTreeSet<Row>,
    file: Option<u128>,
    born: Option<(u128, Vec<Row>)>,
    removed: Vec<u128>,
    follows: bool,
    replaces: bool,
    schema: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Any changes, each made against a version that may be old: the log refuses exactly those that must be, and the
    /// others leave exactly the right rows alive.
    #[test]
    fn rebased_changes_do_what_they_did(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for _ in 0..4 {
                world.run(Step::Append, 0).await;
            }
            for (step, lag) in steps {
                world.run(step, lag).await;
            }
        });
    }
}
