//! What a task does to the table in one commit, and what that makes of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use infino_table::{Matched, MergeSpec, NotMatched, Table, TableError};

use crate::random::Random;
use crate::rows::{Keys, batch};

/// Keys that rows of keyed tables have, below this.
const KEYS: u64 = 60;

/// A live row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The operation that wrote it.
    pub v: i64,
    /// Its id.
    pub id: i128,
    /// The version since which it is there as it is.
    pub since: u64,
}

/// The rows of a version, by key: no two live rows of a simulation have the same.
pub type State = BTreeMap<i64, Live>;

/// An operation; its rows carry its number.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// New rows, staged by a writer.
    Append(Vec<i64>),
    /// New rows, in a record that other tasks may share.
    Insert(Vec<i64>),
    /// Rows in the place of those with their keys.
    Upsert(Vec<i64>),
    /// The rows with these keys go.
    Remove(Vec<i64>),
    /// Inserted, appended, then upserted rows, in one commit.
    Mixed(Vec<i64>, Vec<i64>, Vec<i64>),
    /// The rows whose keys are in this range go.
    Delete(i64, i64),
    /// The table as it was at a version.
    Restore(u64),
}

/// What a commit said it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The version that shows it.
    pub version: u64,
    /// Rows that came, changed and went; `None` if it does not say.
    pub counts: Option<(u64, u64, u64)>,
    /// Whether it was committed before, and now again not.
    pub replayed: bool,
}

impl Op {
    /// Any operation that suits the table. `fresh` gives keys that nobody has had.
    pub fn random(
        random: &mut Random,
        keyed: bool,
        versions: std::ops::RangeInclusive<u64>,
        mut fresh: impl FnMut() -> i64,
    ) -> Self {
        let mut given = |random: &mut Random, most: u64| -> Vec<i64> {
            let count = 1 + random.below(most);
            match keyed {
                false => (0..count).map(|_| fresh()).collect(),
                true => {
                    let keys = (0..count).map(|_| random.below(KEYS) as i64);
                    keys.collect::<BTreeSet<_>>().into_iter().collect()
                }
            }
        };
        match random.below(if keyed { 24 } else { 13 }) {
            0..=4 => Self::Append(given(random, 6)),
            5..=8 => Self::Insert(given(random, 3)),
            9..=11 => {
                let from = random.below(if keyed { KEYS } else { 400 }) as i64;
                Self::Delete(from, from + 1 + random.below(12) as i64)
            }
            12 if random.chance(0.3) => {
                let (oldest, newest) = (*versions.start(), *versions.end());
                Self::Restore(oldest + random.below(newest + 1 - oldest))
            }
            12 => Self::Insert(given(random, 2)),
            13..=17 => Self::Upsert(given(random, 6)),
            18..=20 => Self::Remove(given(random, 3)),
            _ => Self::Mixed(given(random, 2), given(random, 2), given(random, 4)),
        }
    }

    /// Whether its record carries [`token`], so that it may be sent again.
    pub fn has_token(&self) -> bool {
        !matches!(self, Self::Insert(_) | Self::Restore(_))
    }

    /// Does it, as operation `number`.
    ///
    /// # Errors
    /// The table's.
    pub async fn run(&self, table: &Table, number: i64, vectors: bool) -> Result<Said, TableError> {
        let rows = |keys: &[i64]| batch(keys, number, vectors);
        let mut writer = table.writer().token(token(number));
        match self {
            Self::Insert(keys) => return table.insert(&rows(keys)).await.map(Said::from),
            Self::Restore(version) => {
                let version = table.restore(*version).await?;
                return Ok(Said { version, counts: None, replayed: false });
            }
            Self::Append(keys) => writer.append(&rows(keys)).await?,
            Self::Upsert(keys) => writer.upsert(&rows(keys)).await?,
            Self::Remove(keys) => {
                let gone = MergeSpec { matched: Matched::Delete, not_matched: NotMatched::Nothing };
                writer.merge_insert(&rows(keys), gone).await?;
            }
            Self::Mixed(inserted, appended, upserted) => {
                writer.insert(&rows(inserted)).await?;
                writer.append(&rows(appended)).await?;
                writer.upsert(&rows(upserted)).await?;
            }
            Self::Delete(from, to) => writer.delete(Arc::new(Keys(*from, *to))),
        }
        writer.commit().await.map(Said::from)
    }

    /// The rows after it, and how many came, changed and went, if it sees all rows of `before`; `None` if it must be
    /// refused. New rows have the id 0.
    pub fn apply(&self, number: i64, before: &State) -> Option<(State, (u64, u64, u64))> {
        let mut after = before.clone();
        let mut counts = (0, 0, 0);
        let steps: &[(bool, &[i64])] = match self {
            Self::Append(keys) | Self::Insert(keys) => &[(false, keys)],
            Self::Upsert(keys) => &[(true, keys)],
            Self::Mixed(inserted, appended, upserted) => {
                &[(false, inserted), (false, appended), (true, upserted)]
            }
            Self::Remove(keys) => {
                counts.2 = keys.iter().filter_map(|k| after.remove(k)).count() as u64;
                &[]
            }
            Self::Delete(from, to) => {
                after.retain(|k, _| !(*from..*to).contains(k));
                counts.2 = (before.len() - after.len()) as u64;
                &[]
            }
            Self::Restore(_) => &[],
        };
        for &(replaces, keys) in steps {
            for &k in keys {
                match after.get_mut(&k) {
                    Some(_) if !replaces => return None,
                    Some(live) => {
                        live.v = number;
                        counts.1 += 1;
                    }
                    None => {
                        after.insert(k, Live { v: number, id: 0, since: 0 });
                        counts.0 += 1;
                    }
                }
            }
        }
        Some((after, counts))
    }
}

impl From<infino_table::Receipt> for Said {
    fn from(receipt: infino_table::Receipt) -> Self {
        Self {
            version: receipt.version,
            counts: Some((receipt.inserted, receipt.updated, receipt.deleted)),
            replayed: receipt.replayed,
        }
    }
}

/// The token of operation `number`.
pub fn token(number: i64) -> String {
    format!("op {number}")
}

/// The number in a [`token`].
pub fn number_of(token: &str) -> Option<i64> {
    token.strip_prefix("op ")?.parse().ok()
}
