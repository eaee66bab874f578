//! Rows of the table of faults that need a whole table.

mod numbers;
#[path = "../../infino-manifest/tests/support/row.rs"]
#[expect(clippy::print_stdout, unreachable_pub, reason = "it is shared, and says what it did")]
mod row;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field};
use infino_storage::fault::{Fault, FaultStore, Operation as StoreOperation, Rule};
use infino_storage::{MemoryStore, Store};
use infino_table::{SchemaChange, Table, TableError};
use numbers::*;
use row::Row;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

type Rows = BTreeMap<i64, usize>;

/// Fifty random steps of two handles on one table, each held against a model; now and then storage fails a step.
async fn steps(seed: u64, faults: bool) {
    let clean: Arc<dyn Store> = Arc::new(MemoryStore::new());
    drop(create(clean.clone(), options()).await);
    let store = FaultStore::new(clean.clone(), seed);
    let tables = [open(store.clone(), options()).await, open(store.clone(), options()).await];
    if faults {
        store.add(Rule::new(Fault::FailAfter).on([StoreOperation::Swap]).chance(0.1));
        store.add(Rule::new(Fault::Duplicate).on([StoreOperation::Swap]).chance(0.05));
        store.add(Rule::new(Fault::Fail).on([StoreOperation::Put]).chance(0.05));
        store.add(Rule::new(Fault::Truncate).on([StoreOperation::Get]).chance(0.02));
    }
    let mut random = Random(seed);
    let mut model: Vec<Rows> = vec![Rows::new(), Rows::new()];
    let mut tagged: BTreeMap<String, u64> = BTreeMap::new();
    let mut next = 0;
    for step in 0..50 {
        let table = &tables[random.below(2) as usize];
        let mut now = model.last().expect("one version").clone();
        let outcome = act(table, &mut random, &model, &mut now, &mut next, &mut tagged, step).await;
        match outcome {
            Ok(()) => {}
            // A step that failed for storage's sake did nothing, or all of it.
            Err(TableError::Wal(_) | TableError::Storage(_) | TableError::Manifest(_))
                if faults => {}
            Err(error) => panic!("seed {seed}, step {step}: {error}"),
        }
        let calm = open(clean.clone(), options()).await;
        let snapshot = calm.refresh().await.unwrap();
        let found = Reader::default().live(&calm, &snapshot).await;
        let before = model.last().expect("one version");
        assert!(found == now || (faults && found == *before), "seed {seed}, step {step}");
        while (model.len() as u64) <= snapshot.version {
            model.push(found.clone());
        }
    }
    store.heal();
    let calm = open(clean, options()).await;
    let mut reader = Reader::default();
    for _ in 0..5 {
        let version = 1 + random.below(model.len() as u64 - 1);
        let old = calm.at_version(version).await.unwrap();
        let found = reader.live(&calm, &old).await;
        assert_eq!(found, model[version as usize], "seed {seed}, version {version}");
    }
    for (name, version) in tagged {
        let Ok(old) = calm.at_tag(&name).await else { continue };
        assert_eq!(reader.live(&calm, &old).await, model[version as usize], "seed {seed}, {name}");
    }
    assert!(calm.verify().await.is_sound(), "seed {seed}");
}

async fn act(
    table: &Table,
    random: &mut Random,
    model: &[Rows],
    now: &mut Rows,
    next: &mut i64,
    tagged: &mut BTreeMap<String, u64>,
    step: u64,
) -> Result<(), TableError> {
    match random.below(20) {
        0..=6 => {
            let numbers = *next..*next + 1 + random.below(5) as i64;
            *next = numbers.end;
            now.extend(once(numbers.clone()));
            let mut writer = table.writer();
            writer.append(&rows(numbers)).await?;
            writer.commit().await?;
        }
        7..=9 => {
            let numbers = *next..*next + 1;
            *next = numbers.end;
            now.extend(once(numbers.clone()));
            table.insert(&rows(numbers)).await?;
        }
        10..=13 => {
            let from = random.below(1 + *next as u64) as i64;
            now.retain(|n, _| !(from..=from + 2).contains(n));
            table.delete(Arc::new(Between(from, from + 2))).await?;
        }
        14 => {
            table.compact(&Default::default()).await?;
        }
        15 => {
            table.checkpoint().await?;
        }
        16 => {
            table.optimize(Duration::from_secs(3600)).await?;
        }
        17 => {
            let version = 1 + random.below(model.len() as u64 - 1);
            *now = model[version as usize].clone();
            table.restore(version).await?;
        }
        18 => {
            let version = 1 + random.below(model.len() as u64 - 1);
            let name = format!("tag {step}");
            table.create_tag(&name, Some(version)).await?;
            tagged.insert(name, version);
        }
        _ => {
            let field = Field::new(format!("column {step}"), DataType::Int64, true);
            table.alter(&[SchemaChange::AddColumn { field, default: None }]).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn f16_random_steps_do_as_the_model_does() {
    let mut row = Row::new("F16");
    for seed in row.seeds(512) {
        row.run(seed, async move {
            steps(seed, seed % 2 == 0).await;
            1
        })
        .await;
    }
    row.finish();
}
