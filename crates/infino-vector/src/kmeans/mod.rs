//! Cutting vectors into lists: k-means, in two levels where lists are many.
//!
//! [`train`] clusters a sample coarsely, each cluster finely, and then lets rows move between them for a few rounds, in
//! which a row is compared with the lists of the [`GROUPS_VISITED`] nearest groups of lists alone ([`Assigner`]). That
//! takes a tenth of the arithmetic of comparing with all lists, for lists that are nearly as good. All distances come
//! from products of bytes ([`near`]).

mod assign;
mod near;
mod path;

use rayon::prelude::*;

pub(crate) use assign::Assigner;
use near::Near;
pub(crate) use path::path;

use crate::random::SplitMix64;

/// Rounds of Lloyd's algorithm within a level.
const ROUNDS: usize = 8;
/// Rounds in which rows move between clusters of the upper level.
const ROUNDS_ACROSS: usize = 3;
/// Up to so many lists are trained and compared at once.
const FLAT_MAX: usize = 128;
/// Groups of lists that a row is compared with.
const GROUPS_VISITED: usize = 4;
/// Rows a centroid of the upper level is trained with at most.
const ROWS_PER_GROUP: usize = 256;
/// The stream of the seed that starting points are drawn from.
const PURPOSE: u64 = 2;
/// Rows that are compared at a time.
const TILE_ROWS: usize = 64;

/// Points of `dim` floats each, and what compares rows with them.
#[derive(Clone)]
pub(crate) struct Centroids {
    pub(crate) dim: usize,
    pub(crate) points: Vec<f32>,
    near: Near,
}

impl Centroids {
    pub(crate) fn new(dim: usize, points: Vec<f32>) -> Self {
        let near = Near::new(dim, &points);
        Self { dim, points, near }
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len() / self.dim
    }

    /// The nearest point of each row, and its squared distance; the lower id if two are as near.
    fn nearest(&self, rows: &[&[f32]]) -> Vec<(f32, u32)> {
        let mut best = vec![(f32::INFINITY, 0); rows.len()];
        self.near.visit(rows, |row, distances| {
            let least = |least: f32, &x: &f32| if x < least { x } else { least };
            let least = distances.iter().fold(f32::INFINITY, least);
            let id = distances.iter().position(|&distance| distance == least).unwrap_or(0);
            best[row] = (least, id as u32);
        });
        best
    }

    /// Moves each point to the mean of its rows; one without rows stays.
    pub(crate) fn update(&self, rows: &[&[f32]], lists: &[u32]) -> Self {
        let mut points = self.points.clone();
        points.par_chunks_exact_mut(self.dim).zip(&members(self.len(), lists)).for_each(
            |(point, members)| {
                if !members.is_empty() {
                    mean(members.iter().map(|&row| rows[row as usize]), point);
                }
            },
        );
        Self::new(self.dim, points)
    }
}

/// At most `count` centroids of `sample`, depending on nothing but these and the seed.
pub(crate) fn train(dim: usize, sample: &[&[f32]], count: usize, seed: u64) -> Centroids {
    let mut random = SplitMix64::new(seed, PURPOSE);
    if count <= FLAT_MAX {
        return flat(dim, sample, count, &mut random);
    }
    let groups = count.isqrt();
    let few = random.sample(sample.len(), groups * ROWS_PER_GROUP);
    let few: Vec<&[f32]> = few.into_iter().map(|row| sample[row]).collect();
    let coarse = flat(dim, &few, groups, &mut random);
    let members = members(coarse.len(), &assign_all(&coarse, sample));
    let counts = share(count, &members);
    let seeds: Vec<u64> = members.iter().map(|_| random.next()).collect();
    let fine: Vec<Vec<f32>> = members
        .par_iter()
        .zip(counts)
        .zip(seeds)
        .map(|((members, count), seed)| {
            let rows: Vec<&[f32]> = members.iter().map(|&row| sample[row as usize]).collect();
            flat(dim, &rows, count, &mut SplitMix64::new(seed, PURPOSE)).points
        })
        .collect();
    let mut centroids = Centroids::new(dim, fine.concat());
    for _ in 0..ROUNDS_ACROSS {
        let lists = Assigner::new(&centroids, seed).assign(sample);
        centroids = centroids.update(sample, &lists);
    }
    centroids
}

/// Lloyd's algorithm from rows drawn at random.
pub(crate) fn flat(
    dim: usize,
    rows: &[&[f32]],
    count: usize,
    random: &mut SplitMix64,
) -> Centroids {
    let starts = random.sample(rows.len(), count);
    let points = starts.into_iter().map(|row| rows[row]).collect::<Vec<_>>().concat();
    let mut centroids = Centroids::new(dim, points);
    for _ in 0..ROUNDS {
        let lists = assign_all(&centroids, rows);
        centroids = centroids.update(rows, &lists);
    }
    centroids
}

/// The nearest of all centroids to each row.
pub(crate) fn assign_all(centroids: &Centroids, rows: &[&[f32]]) -> Vec<u32> {
    rows.par_chunks(TILE_ROWS)
        .flat_map_iter(|rows| centroids.nearest(rows).into_iter().map(|(_, id)| id))
        .collect()
}

/// The rows of each list, ascending.
pub(crate) fn members(lists: usize, list_of: &[u32]) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); lists];
    for (row, &list) in list_of.iter().enumerate() {
        members[list as usize].push(row as u32);
    }
    members
}

/// Shares `count` centroids out by the rows of each group, at least one for a group with rows.
fn share(count: usize, groups: &[Vec<u32>]) -> Vec<usize> {
    let rows: usize = groups.iter().map(Vec::len).sum();
    let (mut seen, mut given) = (0, 0);
    groups
        .iter()
        .map(|group| {
            seen += group.len();
            let here = (count * seen / rows.max(1)).saturating_sub(given).max(1).min(group.len());
            given += here;
            here
        })
        .collect()
}

/// Writes the mean of `rows`, at least one, to `out`.
pub(crate) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, out: &mut [f32]) {
    let mut sums = vec![0.0f64; out.len()];
    let mut count = 0.0;
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        count += 1.0;
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / count) as f32);
}
