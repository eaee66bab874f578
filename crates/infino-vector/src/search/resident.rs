//! A search of a section in memory.

use infino_format::DocSet;
use infino_format::schema::RerankCodec;

use super::rerank::Scorer;
use super::route::Route;
use super::scan::Candidates;
use super::{Plan, Query};
use crate::index::{Inner, Resident};
use crate::{Neighbor, SearchCounts, SearchParams, VectorError};

pub(crate) fn resident(
    inner: &Inner,
    resident: &Resident,
    query: &[f32],
    params: &SearchParams,
    allowed: Option<&DocSet>,
) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
    let search =
        Run { inner, resident, query: Query::new(inner, query, params)?, k: params.k, allowed };
    match Plan::new(&inner.layout, params, allowed) {
        Plan::Nothing => Ok(Default::default()),
        Plan::All => search.all(),
        Plan::Probe { lists } => search.probe(lists),
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

    /// Visits `lists` lists, then more while rows are missing.
    fn probe(&self, lists: usize) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let layout = &self.inner.layout;
        let mut route = Route::new(layout, &self.query);
        let mut candidates = Candidates::new(layout, self.k);
        let mut counts = SearchCounts::default();
        let (mut visited, mut wanted) = (0, lists);
        loop {
            for &id in route.take(wanted) {
                let list = self.resident.list(layout, id as usize)?;
                candidates.scan(layout, &self.query, id as usize, &list, self.allowed);
                counts.scanned += layout.lists[id as usize].rows;
                counts.lists += 1;
            }
            visited += wanted;
            if candidates.len() >= self.k || visited >= layout.lists.len() {
                break;
            }
            wanted = visited;
        }
        let mut shortlist = candidates.finish();
        if layout.header.rerank == RerankCodec::None {
            return Ok((shortlist.by_estimate(layout, self.k), counts));
        }
        shortlist.sort();
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        for candidate in shortlist.iter() {
            if scorer.rules_out(candidate) {
                break;
            }
            let payload = self.resident.payload(layout, candidate.position)?;
            let step = layout.lists[candidate.list as usize].step;
            scorer.score(candidate.doc, step, payload);
            counts.reranked += 1;
        }
        Ok((scorer.finish(), counts))
    }
}
