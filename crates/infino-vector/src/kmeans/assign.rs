//! The nearest list of many rows, without comparing each with every list.

use rayon::prelude::*;

use super::{Centroids, FLAT_MAX, GROUPS_VISITED, assign_all, flat, members};
use crate::random::SplitMix64;

/// The stream of the seed that groups are drawn from.
const PURPOSE: u64 = 5;

/// Rows that one task assigns at a time.
const ROWS_TOGETHER: usize = 512;

/// Centroids, themselves clustered into groups.
pub(crate) struct Assigner<'a> {
    centroids: &'a Centroids,
    /// Empty where lists are few.
    groups: Vec<Group>,
    heads: Centroids,
}

struct Group {
    ids: Vec<u32>,
    points: Centroids,
}

impl<'a> Assigner<'a> {
    pub(crate) fn new(centroids: &'a Centroids, seed: u64) -> Self {
        let dim = centroids.dim;
        if centroids.len() <= FLAT_MAX {
            return Self { centroids, groups: Vec::new(), heads: Centroids::new(dim, Vec::new()) };
        }
        let mut random = SplitMix64::new(seed, PURPOSE);
        let points: Vec<&[f32]> = centroids.points.chunks_exact(dim).collect();
        let heads = flat(dim, &points, centroids.len().isqrt(), &mut random);
        let groups = members(heads.len(), &assign_all(&heads, &points))
            .into_iter()
            .map(|ids| {
                let near: Vec<&[f32]> = ids.iter().map(|&id| points[id as usize]).collect();
                Group { ids, points: Centroids::new(dim, near.concat()) }
            })
            .collect();
        Self { centroids, groups, heads }
    }

    /// The nearest list of each row, among those of its nearest groups.
    pub(crate) fn assign(&self, rows: &[&[f32]]) -> Vec<u32> {
        if self.groups.is_empty() {
            return assign_all(self.centroids, rows);
        }
        // So many rows stay in cache while groups come and go.
        rows.par_chunks(ROWS_TOGETHER).flat_map_iter(|rows| self.assign_some(rows)).collect()
    }

    fn assign_some(&self, rows: &[&[f32]]) -> Vec<u32> {
        let mut visitors = vec![Vec::new(); self.groups.len()];
        for (row, groups) in self.nearest_groups(rows).into_iter().enumerate() {
            groups.into_iter().for_each(|group| visitors[group as usize].push(row as u32));
        }
        let mut best = vec![(f32::INFINITY, 0); rows.len()];
        for (group, visitors) in self.groups.iter().zip(&visitors) {
            let here: Vec<&[f32]> = visitors.iter().map(|&row| rows[row as usize]).collect();
            for ((distance, i), &row) in group.points.nearest(&here).into_iter().zip(visitors) {
                let found = (distance, group.ids.get(i as usize).map_or(0, |&id| id));
                let best = &mut best[row as usize];
                if found.0 < best.0 || (found.0 == best.0 && found.1 < best.1) {
                    *best = found;
                }
            }
        }
        best.into_iter().map(|(_, id)| id).collect()
    }

    fn nearest_groups(&self, rows: &[&[f32]]) -> Vec<[u32; GROUPS_VISITED]> {
        let mut nearest = vec![[(f32::INFINITY, 0); GROUPS_VISITED]; rows.len()];
        self.heads.near.visit(rows, |row, distances| {
            let nearest = &mut nearest[row];
            for (id, &distance) in distances.iter().enumerate() {
                let farthest = nearest[GROUPS_VISITED - 1].0;
                if distance < farthest && !self.groups[id].ids.is_empty() {
                    let at = nearest.partition_point(|near| near.0 <= distance);
                    nearest[at..].rotate_right(1);
                    nearest[at] = (distance, id as u32);
                }
            }
        });
        nearest.into_iter().map(|nearest| nearest.map(|(_, id)| id)).collect()
    }
}
