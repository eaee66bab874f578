//! The nearest list of many rows, without comparing each with every list.

use rayon::prelude::*;

use super::{Centroids, FLAT_MAX, GROUPS_VISITED, TILE_ROWS, assign_all, flat, members};
use crate::random::SplitMix64;

/// The stream of the seed that groups are drawn from.
const PURPOSE: u64 = 5;

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
        let mut visitors = vec![Vec::new(); self.groups.len()];
        for (row, groups) in self.nearest_groups(rows).into_iter().enumerate() {
            groups.into_iter().for_each(|group| visitors[group as usize].push(row as u32));
        }
        let found: Vec<Vec<(f32, u32)>> = self
            .groups
            .par_iter()
            .zip(&visitors)
            .map(|(group, visitors)| {
                let near = visitors.par_chunks(4 * TILE_ROWS).flat_map_iter(|visitors| {
                    let rows: Vec<&[f32]> =
                        visitors.iter().map(|&row| rows[row as usize]).collect();
                    group.points.nearest(&rows)
                });
                near.map(|(distance, i)| (distance, group.ids.get(i as usize).map_or(0, |&id| id)))
                    .collect()
            })
            .collect();
        let mut best = vec![(f32::INFINITY, 0); rows.len()];
        for (found, visitors) in found.into_iter().zip(&visitors) {
            for (near, &row) in found.into_iter().zip(visitors) {
                let best = &mut best[row as usize];
                if near.0 < best.0 || (near.0 == best.0 && near.1 < best.1) {
                    *best = near;
                }
            }
        }
        best.into_iter().map(|(_, id)| id).collect()
    }

    fn nearest_groups(&self, rows: &[&[f32]]) -> Vec<[u32; GROUPS_VISITED]> {
        rows.par_chunks(TILE_ROWS)
            .flat_map_iter(|rows| {
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
                nearest.into_iter().map(|nearest| nearest.map(|(_, id)| id))
            })
            .collect()
    }
}
