//! A search of a section in memory.

use infino_format::DocSet;

use super::rerank::Scorer;
use super::route::Route;
use super::scan::Candidates;
use super::stop::Stop;
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
    let k = params.k.min(inner.layout.header.rows as usize);
    let search = Run { inner, resident, query: Query::new(inner, query, params)?, k, allowed };
    match Plan::new(&inner.layout, params, allowed) {
        Plan::Nothing => Ok(Default::default()),
        Plan::All => match (inner.layout.positions, allowed) {
            (Some(positions), Some(allowed)) => search.few(&positions, allowed),
            _ => search.all(),
        },
        Plan::Probe { lists, patience } => search.probe(lists, patience),
    }
}

struct Run<'a> {
    inner: &'a Inner,
    resident: &'a Resident,
    query: Query,
    k: usize,
    allowed: Option<&'a DocSet>,
}

impl Run<'_> {
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

    /// Visits `lists` lists at most, then more while rows are missing.
    fn probe(
        &self,
        lists: usize,
        patience: f32,
    ) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let layout = &self.inner.layout;
        let mut route = Route::new(layout, &self.query, lists);
        let mut candidates = Candidates::new(layout, self.k);
        let mut counts = SearchCounts::default();
        let mut stop = Stop::new(lists, patience);
        let (mut visited, mut wanted) = (0, lists);
        loop {
            let ids = route.take(wanted);
            for (i, &id) in ids.iter().enumerate() {
                if let Some(&next) = ids.get(i + 1) {
                    self.resident.prefetch_list(layout, next as usize);
                }
                let list = self.resident.list(layout, id as usize)?;
                candidates.scan(layout, &self.query, id as usize, &list, self.allowed);
                counts.scanned += layout.lists[id as usize].rows;
                counts.lists += 1;
                if stop.after(candidates.take_changed(), candidates.len() >= self.k) {
                    break;
                }
            }
            visited += wanted;
            if candidates.len() >= self.k || visited >= layout.lists.len() {
                break;
            }
            wanted = visited;
        }
        let mut shortlist = candidates.finish();
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
