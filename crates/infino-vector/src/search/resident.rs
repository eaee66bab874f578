//! A search of a section in memory.

use infino_format::DocSet;
use rayon::prelude::*;

use super::rerank::Scorer;
use super::route::Route;
use super::scan::Candidates;
use super::stop::{End, Stop};
use super::{Plan, Query};
use crate::index::{Inner, Resident};
use crate::payload::Payload;
use crate::positions::Positions;
use crate::{Neighbor, SearchCounts, SearchParams, VectorError};

/// Rows whose payload is on its way from memory while one is scored.
const AHEAD: usize = 4;

pub(crate) fn resident(
    inner: &Inner,
    resident: &Resident,
    query: &[f32],
    params: &SearchParams,
    allowed: Option<&DocSet>,
) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
    Run::new(inner, resident, query, params, allowed)?.search()
}

/// Searches for each of `queries`, those that begin in the same list one after the other, so that it is in cache for them.
pub(crate) fn batch(
    inner: &Inner,
    resident: &Resident,
    queries: &[&[f32]],
    params: &SearchParams,
    allowed: Option<&DocSet>,
) -> Result<Vec<Vec<Neighbor>>, VectorError> {
    let mut runs = queries
        .par_iter()
        .enumerate()
        .map(|(i, query)| {
            let run = Run::new(inner, resident, query, params, allowed)?;
            Ok((run.route.as_ref().map(Route::first), i, run))
        })
        .collect::<Result<Vec<_>, VectorError>>()?;
    runs.sort_unstable_by_key(|(list, i, _)| (*list, *i));
    let mut found = runs
        .into_par_iter()
        .map(|(_, i, run)| Ok((i, run.search()?.0)))
        .collect::<Result<Vec<_>, VectorError>>()?;
    found.sort_unstable_by_key(|(i, _)| *i);
    Ok(found.into_iter().map(|(_, hits)| hits).collect())
}

struct Run<'a> {
    inner: &'a Inner,
    resident: &'a Resident,
    query: Query,
    k: usize,
    allowed: Option<&'a DocSet>,
    plan: Plan,
    /// The order of the lists, if the plan visits them by it.
    route: Option<Route>,
}

impl<'a> Run<'a> {
    fn new(
        inner: &'a Inner,
        resident: &'a Resident,
        query: &[f32],
        params: &SearchParams,
        allowed: Option<&'a DocSet>,
    ) -> Result<Self, VectorError> {
        let query = Query::new(inner, query, params)?;
        let plan = Plan::new(&inner.layout, params, allowed);
        let route = match plan {
            Plan::Probe(end) => Some(end.route(&inner.layout, &query)),
            _ => None,
        };
        let k = params.k.min(inner.layout.header.rows as usize);
        Ok(Self { inner, resident, query, k, allowed, plan, route })
    }

    fn search(mut self) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        match (self.plan, self.route.take()) {
            (Plan::Probe(end), Some(route)) => self.probe(route, end),
            (Plan::All, _) => match (self.inner.layout.positions, self.allowed) {
                (Some(positions), Some(allowed)) => self.few(&positions, allowed),
                _ => self.all(),
            },
            _ => Ok(Default::default()),
        }
    }

    /// Scores the payload of the rows allowed.
    fn few(
        &self,
        positions: &Positions,
        allowed: &DocSet,
    ) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let layout = &self.inner.layout;
        let mut rows = Vec::with_capacity(allowed.len() as usize);
        for doc in allowed.iter().take_while(|&doc| positions.group_of(doc).is_some()) {
            if let Some(position) = self.resident.position(positions, doc)? {
                rows.push((position, doc));
            }
        }
        rows.sort_unstable();
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        let mut list = 0;
        for &(position, _) in rows.iter().take(AHEAD) {
            self.resident.prefetch(layout, position);
        }
        for (i, &(position, doc)) in rows.iter().enumerate() {
            if let Some(&(next, _)) = rows.get(i + AHEAD) {
                self.resident.prefetch(layout, next);
            }
            while layout.lists.get(list + 1).is_some_and(|next| next.first <= position) {
                list += 1;
            }
            let payload = self.resident.payload(layout, position)?;
            scorer.score(doc, layout.lists[list].step, payload);
        }
        let counts = SearchCounts { reranked: rows.len() as u32, ..Default::default() };
        Ok((scorer.finish(), counts))
    }

    /// Scores the payload of every row that counts.
    fn all(&self) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let layout = &self.inner.layout;
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        let mut counts = SearchCounts { lists: layout.lists.len() as u32, ..Default::default() };
        for (id, entry) in layout.lists.iter().enumerate() {
            let list = self.resident.list(layout, id)?;
            for i in 0..entry.rows {
                let doc = list.doc(i as usize);
                if self.allowed.is_none_or(|allowed| allowed.contains(doc)) {
                    let payload = self.resident.payload(layout, entry.first + i)?;
                    scorer.score(doc, entry.step, payload);
                    counts.reranked += 1;
                }
            }
        }
        Ok((scorer.finish(), counts))
    }

    /// Visits lists until the end, then more while rows are missing.
    fn probe(
        &self,
        mut route: Route,
        end: End,
    ) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let layout = &self.inner.layout;
        let mut candidates = Candidates::new(layout, self.k);
        let mut counts = SearchCounts::default();
        let mut stop = Stop::new(end);
        let mut wanted = end.first();
        while wanted > 0 {
            route.take(wanted);
            let ids = route.ids();
            for (i, &id) in ids.iter().enumerate() {
                if !stop.visits(layout, &route, candidates.worst(), id) {
                    continue;
                }
                if let Some(&next) = ids.get(i + 1) {
                    self.resident.prefetch_list(layout, next as usize);
                }
                let list = self.resident.list(layout, id as usize)?;
                candidates.scan(layout, &self.query, id as usize, &list, self.allowed);
                let rows = layout.lists[id as usize].rows;
                counts.scanned += rows;
                counts.lists += 1;
                if stop.after(rows, candidates.take_changed(), candidates.len() >= self.k) {
                    break;
                }
            }
            let found = (candidates.len(), self.k);
            wanted = stop.more(layout, &mut route, found, candidates.worst());
        }
        let mut shortlist = candidates.finish(layout, &self.query);
        if layout.header.payload() == Payload::None {
            return Ok((shortlist.by_estimate(layout, self.query.within, self.k), counts));
        }
        shortlist.sort();
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        for candidate in shortlist.rows().iter().take(AHEAD) {
            self.resident.prefetch(layout, candidate.position);
        }
        for (i, candidate) in shortlist.rows().iter().enumerate() {
            if scorer.rules_out(candidate) {
                break;
            }
            if let Some(next) = shortlist.rows().get(i + AHEAD) {
                self.resident.prefetch(layout, next.position);
            }
            let payload = self.resident.payload(layout, candidate.position)?;
            scorer.score_candidate(&shortlist, candidate, payload);
            counts.reranked += 1;
        }
        Ok((scorer.finish(), counts))
    }
}
