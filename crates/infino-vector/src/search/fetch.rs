//! A search that asks for its bytes: a round for the lists it visits, one for the payload of its candidates.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use infino_format::{DocId, DocSet, Fetch, FormatError, Step};

use super::ranges::{RANGES_ENOUGH, RANGES_FEW, Read, close_gaps, runs};
use super::rerank::Scorer;
use super::route::Route;
use super::scan::{Candidates, Shortlist};
use super::stop::Stop;
use super::{Plan, Query};
use crate::index::Inner;
use crate::layout::{Layout, ListBytes, verify_tail};
use crate::payload::Payload;
use crate::positions::Positions;
use crate::{Neighbor, SearchParams, VectorError};

/// Bytes between the payload of two candidates that may be read in vain to save a range.
const PAYLOAD_SPARE: u64 = 4 << 20;

/// A search in progress; see [`crate::IvfIndex::search`].
///
/// It asks for the lists it visits in one round, near ones as one range, for more of them only while rows are missing,
/// and for the payload of its candidates in one more, or two where the estimates of the first few were far off. The
/// answer is that of [`crate::IvfIndex::search_resident`].
pub struct Search {
    inner: Arc<Inner>,
    query: Query,
    k: usize,
    allowed: Option<DocSet>,
    state: State,
    /// The ranges asked for last.
    asked: Vec<Range<u64>>,
    /// Ranges of lists asked for.
    lists_asked: usize,
}

enum State {
    Start(Plan),
    /// Waiting for the lists of `ids`, nearest first.
    Lists {
        scan: Scan,
        ids: Vec<u32>,
    },
    /// Waiting for the payload of candidates, which come most promising first; some may have been read before.
    Payload {
        shortlist: Shortlist,
        read: Vec<Read>,
    },
    /// Waiting for the positions of the rows allowed.
    Positions(Positions),
    /// Waiting for all lists.
    AllLists,
    /// Waiting for the payload of every row that counts.
    AllPayload {
        rows: Vec<(u32, DocId)>,
    },
    Ended,
}

/// A scan in progress.
struct Scan {
    route: Route,
    candidates: Candidates,
    stop: Stop,
}

impl Search {
    pub(crate) fn new(
        inner: Arc<Inner>,
        query: &[f32],
        params: &SearchParams,
        allowed: Option<DocSet>,
    ) -> Result<Self, VectorError> {
        let query = Query::new(&inner, query, params)?;
        let plan = Plan::new(&inner.layout, params, allowed.as_ref());
        let state = State::Start(plan);
        // Memory is set aside by `k`, and no more rows than there are can come.
        let k = params.k.min(inner.layout.header.rows as usize);
        Ok(Self { inner, query, k, allowed, state, asked: Vec::new(), lists_asked: 0 })
    }

    fn ask(&mut self, state: State, ranges: Vec<Range<u64>>) -> Step<Vec<Neighbor>> {
        self.state = state;
        self.asked.clone_from(&ranges);
        Step::Ranges(ranges)
    }

    fn ask_lists(&mut self, mut scan: Scan, wanted: usize) -> Step<Vec<Neighbor>> {
        let ids = scan.route.take(wanted).to_vec();
        let mut in_place = ids.clone();
        in_place.sort_unstable();
        let ranges: Vec<_> =
            in_place.iter().map(|&id| self.inner.layout.list_range(id as usize)).collect();
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let ranges = close_gaps(ranges, bytes / 5, RANGES_FEW);
        self.lists_asked += ranges.len();
        self.ask(State::Lists { scan, ids }, ranges)
    }

    fn scan(
        &mut self,
        mut scan: Scan,
        ids: &[u32],
        read: &Read,
    ) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let inner = self.inner.clone();
        let layout = &inner.layout;
        let candidates = &mut scan.candidates;
        for &id in ids {
            if !scan.stop.visits(layout, &scan.route, candidates.worst(), id) {
                continue;
            }
            let list = list(layout, read, id as usize)?;
            candidates.scan(layout, &self.query, id as usize, &list, self.allowed.as_ref());
            let rows = layout.lists[id as usize].rows;
            if scan.stop.after(rows, candidates.take_changed(), candidates.len() >= self.k) {
                break;
            }
        }
        let found = (candidates.len(), self.k);
        let worst = candidates.worst();
        let wanted = scan.stop.more(layout, &mut scan.route, found, worst);
        if wanted > 0 {
            return Ok(self.ask_lists(scan, wanted));
        }
        let candidates = scan.candidates;
        let mut shortlist = candidates.finish(layout, &self.query);
        if layout.header.payload() == Payload::None {
            return Ok(Step::Done(shortlist.by_estimate(layout, self.query.within, self.k)));
        }
        shortlist.sort();
        let promising = shortlist.promising(self.k);
        if shortlist.rows().is_empty() {
            return Ok(Step::Done(Vec::new()));
        }
        let first = shortlist.rows()[..promising].iter().map(|row| row.position);
        let ranges = self.payload_ranges(first);
        Ok(self.ask(State::Payload { shortlist, read: Vec::new() }, ranges))
    }

    /// Scores candidates until no other can be among the nearest, or the payload of one is missing.
    fn rerank(
        &mut self,
        shortlist: Shortlist,
        read: Vec<Read>,
    ) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let inner = self.inner.clone();
        let layout = &inner.layout;
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        let mut missing = Vec::new();
        for candidate in shortlist.rows() {
            if scorer.rules_out(candidate) {
                break;
            }
            let mut payload = None;
            for read in &read {
                payload = payload.or(read.payload(layout, candidate.position)?);
            }
            match payload {
                Some(payload) => scorer.score_candidate(&shortlist, candidate, payload),
                None => missing.push(candidate.position),
            }
        }
        if missing.is_empty() {
            return Ok(Step::Done(scorer.finish()));
        }
        let ranges = self.payload_ranges(missing.into_iter());
        Ok(self.ask(State::Payload { shortlist, read }, ranges))
    }

    fn payload_ranges(&self, positions: impl Iterator<Item = u32>) -> Vec<Range<u64>> {
        let layout = &self.inner.layout;
        let mut groups: Vec<u32> =
            positions.map(|position| position / layout.group_rows()).collect();
        groups.sort_unstable();
        let ranges = runs(groups.into_iter())
            .into_iter()
            .map(|run| layout.group_range(run.start).start..layout.group_range(run.end - 1).end)
            .collect();
        // Few lists leave room for more of these.
        let few = RANGES_ENOUGH.saturating_sub(self.lists_asked).max(RANGES_FEW);
        close_gaps(ranges, PAYLOAD_SPARE, few)
    }

    fn ask_positions(&mut self, positions: Positions) -> Step<Vec<Neighbor>> {
        let groups = runs(self.entries(&positions).map(|(_, group)| group));
        let ranges: Vec<_> = groups
            .into_iter()
            .map(|run| {
                positions.group_range(run.start).start..positions.group_range(run.end - 1).end
            })
            .collect();
        if ranges.is_empty() {
            return Step::Done(Vec::new());
        }
        self.ask(State::Positions(positions), close_gaps(ranges, positions.len(), RANGES_FEW))
    }

    /// The rows allowed, and the group of positions that each is in.
    fn entries(&self, positions: &Positions) -> impl Iterator<Item = (DocId, u32)> {
        let docs = self.allowed.iter().flat_map(|allowed| allowed.iter());
        docs.map_while(|doc| Some((doc, positions.group_of(doc)?)))
    }

    fn allowed_rows(
        &mut self,
        positions: Positions,
        read: &Read,
    ) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let mut rows = Vec::new();
        let mut verified = None;
        for (doc, group) in self.entries(&positions) {
            let bytes = read.slice(&positions.group_range(group)).ok_or_else(unread)?;
            if verified != Some(group) {
                verify_tail("vector positions", bytes)?;
                verified = Some(group);
            }
            rows.extend(positions.read(bytes, doc).map(|position| (position, doc)));
        }
        rows.sort_unstable();
        Ok(self.ask_payload(rows))
    }

    fn all_rows(&mut self, read: &Read) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let layout = &self.inner.layout;
        let mut rows = Vec::new();
        for (id, entry) in layout.lists.iter().enumerate() {
            let list = list(layout, read, id)?;
            for i in 0..entry.rows {
                let doc = list.doc(i as usize);
                if self.allowed.as_ref().is_none_or(|allowed| allowed.contains(doc)) {
                    rows.push((entry.first + i, doc));
                }
            }
        }
        Ok(self.ask_payload(rows))
    }

    /// `rows` are positions, ascending, and row numbers.
    fn ask_payload(&mut self, rows: Vec<(u32, DocId)>) -> Step<Vec<Neighbor>> {
        if rows.is_empty() {
            return Step::Done(Vec::new());
        }
        let ranges = self.payload_ranges(rows.iter().map(|&(position, _)| position));
        self.ask(State::AllPayload { rows }, ranges)
    }

    fn score_all(&self, rows: &[(u32, DocId)], read: &Read) -> Result<Vec<Neighbor>, VectorError> {
        let layout = &self.inner.layout;
        let mut scorer = Scorer::new(layout, &self.query, self.k);
        for &(position, doc) in rows {
            let step = layout.lists[layout.list_of(position)].step;
            let payload = read.payload(layout, position)?.ok_or_else(unread)?;
            scorer.score(doc, step, payload);
        }
        Ok(scorer.finish())
    }
}

impl Fetch for Search {
    type Output = Vec<Neighbor>;
    type Error = VectorError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Self::Output>, Self::Error> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let read = Read::new(std::mem::take(&mut self.asked), bytes)?;
        let inner = self.inner.clone();
        let layout = &inner.layout;
        match state {
            State::Start(Plan::Nothing) => Ok(Step::Done(Vec::new())),
            State::Start(Plan::All) => match layout.positions {
                Some(positions) if self.allowed.is_some() => Ok(self.ask_positions(positions)),
                _ => {
                    let codes = layout.open_len..layout.codes_end;
                    Ok(self.ask(State::AllLists, Vec::from_iter([codes])))
                }
            },
            State::Start(Plan::Probe(end)) => {
                let scan = Scan {
                    route: end.route(layout, &self.query),
                    candidates: Candidates::new(layout, self.k),
                    stop: Stop::new(end),
                };
                Ok(self.ask_lists(scan, end.first_read()))
            }
            State::Lists { scan, ids } => self.scan(scan, &ids, &read),
            State::Payload { shortlist, read: mut before } => {
                before.push(read);
                self.rerank(shortlist, before)
            }
            State::Positions(positions) => self.allowed_rows(positions, &read),
            State::AllLists => self.all_rows(&read),
            State::AllPayload { rows } => Ok(Step::Done(self.score_all(&rows, &read)?)),
            State::Ended => Err(VectorError::query("the search has ended; start another")),
        }
    }
}

fn list<'a>(layout: &Layout, read: &'a Read, id: usize) -> Result<ListBytes<'a>, FormatError> {
    let bytes = read.slice(&layout.list_range(id)).ok_or_else(unread)?;
    ListBytes::new(bytes, layout.lists[id].rows, layout.header.dim, false)
}

/// Ranges come from the layout that the search is over, so this says that the layout contradicts itself.
fn unread() -> FormatError {
    FormatError::invalid("vector index", "a part lies outside the ranges that hold it")
}
