//! What must hold once storage heals and all is quiet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use infino_storage::Store;
use infino_table::{Runtime, Table, TableError};
use infino_wal::Resolved;
use tokio::time::sleep;

use crate::link::Link;
use crate::op::Op;
use crate::random::Random;
use crate::rows::{ROOT, Scanner};
use crate::world::{World, objects, options};

/// By then every request that was on its way has arrived.
const ARRIVED: Duration = Duration::from_secs(120);
/// Commits that may fail for a race before one goes through.
const TRIES: usize = 3;

/// Heals storage, waits, and checks liveness, unclear commits, wholeness and garbage.
///
/// # Errors
/// What does not hold.
pub async fn check(world: &Arc<World>, random: &mut Random) -> Result<(), String> {
    world.heal();
    sleep(ARRIVED).await;
    if !world.ledger.violations().is_empty() {
        return Ok(());
    }
    let text = |error: TableError| error.to_string();
    let link = Link::new(world.clone(), u64::MAX, random.child(), None);
    let table = Table::open(link, ROOT, Runtime::inline(), options(&world.plan)).await;
    let table = table.map_err(text)?;
    commit(world, &table).await?;
    resolve(world, &table).await?;
    tags(world, &table).await?;
    world.verify(&table).await?;
    let before = table.refresh().await.map_err(text)?;
    let mut snapshot = before.clone();
    // Two fences free what nothing names, the third call takes it; one more for what the calls themselves left.
    for _ in 0..4 {
        sleep(Duration::from_secs(1)).await;
        let version = table.optimize(Duration::ZERO).await.map_err(text)?.version;
        snapshot = table.at_version(version).await.map_err(text)?;
    }
    let rows = Scanner::default().live(&table, &snapshot).await.map_err(text)?;
    if rows != Scanner::default().live(&table, &before).await.unwrap_or(rows.clone()) {
        return Err("optimising changed rows".to_owned());
    }
    garbage(world, &table).await?;
    world.verify(&table).await
}

/// A commit goes through in a few tries, whatever was before.
async fn commit(world: &World, table: &Table) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        // No key of a simulation is so large.
        let number = world.ledger.ask(Op::Append(vec![1_000_000]));
        let op = world.ledger.op(number);
        match op.run(table, number, world.plan.vectors).await {
            Ok(said) => {
                world.ledger.told(number, said);
                return Ok(());
            }
            Err(error) => {
                world.ledger.refuse(number, false);
                last = error.to_string();
            }
        }
    }
    Err(format!("no commit goes through: {last}"))
}

/// Another process learns of every unclear commit what became of it.
async fn resolve(world: &World, table: &Table) -> Result<(), String> {
    for (commit, number) in world.ledger.unknown() {
        let resolved = table.log().resolve(commit).await.map_err(|error| error.to_string())?;
        let (op, applied) = (world.ledger.op(number), world.ledger.applied(number));
        // Two that restore the same are told apart by their commits only.
        if matches!(op, Op::Restore(_)) {
            continue;
        }
        let right = match resolved {
            Resolved::Committed { version } => applied == Some(version),
            // What a token sent again made has another commit, and old versions are forgotten.
            Resolved::Absent => {
                op.has_token() || applied.is_none_or(|version| version < world.ledger.floor())
            }
        };
        if !right {
            return Err(format!("{number} resolved to {resolved:?}, it made {applied:?}"));
        }
    }
    Ok(())
}

/// Every tag opens to the version that it keeps.
async fn tags(world: &World, table: &Table) -> Result<(), String> {
    for (name, version) in world.ledger.tags() {
        let failed = |error: TableError| format!("{name} of version {version}: {error}");
        let snapshot = table.at_tag(&name).await.map_err(failed)?;
        let rows = Scanner::default().live(table, &snapshot).await.map_err(failed)?;
        let state = world.ledger.state(version);
        let right: BTreeSet<_> = state.iter().map(|(&k, live)| (live.id, k, live.v)).collect();
        if snapshot.version != version || rows.into_iter().collect::<BTreeSet<_>>() != right {
            return Err(format!("{name} does not keep version {version}"));
        }
    }
    Ok(())
}

/// What is left under `data` and `deletes` is what a tag names, or a version that a change made an epoch ago may bring back.
async fn garbage(world: &World, table: &Table) -> Result<(), String> {
    let text = |error: TableError| error.to_string();
    table.refresh().await.map_err(text)?;
    let head = table.log().current().head;
    let kept = match &head.fences[..] {
        [.., before, _] => before.floor.min(head.floor),
        _ => 0,
    };
    let mut tagged = BTreeSet::new();
    // Those too whose makers, or removers, heard of a failure.
    for tag in table.tags().await.map_err(text)? {
        tagged.extend(objects(&*table.at_tag(&tag.name).await.map_err(text)?));
    }
    for folder in ["data", "deletes"] {
        let listed = world.disk.list(&format!("{ROOT}/{folder}")).await;
        for info in listed.map_err(|error| error.to_string())? {
            let named = world.last_named(&info.path);
            if named.is_none_or(|version| version < kept) && !tagged.contains(&info.path) {
                let path = info.path;
                return Err(format!("{path}, last of version {named:?}, stays; {kept} is kept"));
            }
        }
    }
    Ok(())
}
