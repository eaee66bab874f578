//! A search that asks for its bytes: a round for the lists it visits, one for the payload of its candidates.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use infino_format::schema::RerankCodec;
use infino_format::{DocId, DocSet, Fetch, FormatError, Step};

use super::rerank::Scorer;
use super::route::Route;
use super::scan::{Candidate, Candidates};
use super::{Plan, Query};
use crate::index::Inner;
use crate::layout::{GROUP_ROWS, Layout, ListBytes, verify_tail};
use crate::positions::Positions;
use crate::{Neighbor, SearchParams, VectorError};

/// A search in progress; see [`crate::IvfIndex::search`].
///
/// It asks for the lists it visits in one round, adjacent ones as one range, for more of them only while rows are
/// missing, and for the payload of its candidates in one more.
pub struct Search {
    inner: Arc<Inner>,
    query: Query,
    k: usize,
    allowed: Option<DocSet>,
    state: State,
}

enum State {
    Start(Plan),
    /// Waiting for the lists of `ids`.
    Lists {
        route: Route,
        candidates: Candidates,
        ids: Vec<u32>,
        visited: usize,
    },
    /// Waiting for the payload of candidates, which come most promising first.
    Payload {
        candidates: Vec<Candidate>,
        groups: Vec<Range<u32>>,
    },
    /// Waiting for the positions of the rows allowed, in these runs of groups.
    Positions {
        groups: Vec<Range<u32>>,
    },
    /// Waiting for all lists.
    AllLists,
    /// Waiting for the payload of every row that counts.
    AllPayload {
        rows: Vec<(u32, DocId)>,
        groups: Vec<Range<u32>>,
    },
    Ended,
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
        Ok(Self { inner, query, k: params.k, allowed, state: State::Start(plan) })
    }

    fn ask_lists(
        &mut self,
        mut route: Route,
        candidates: Candidates,
        visited: usize,
        wanted: usize,
    ) -> Step<Vec<Neighbor>> {
        let mut ids = route.take(wanted).to_vec();
        ids.sort_unstable();
        let ranges = merge(ids.iter().map(|&id| self.inner.layout.list_range(id as usize)));
        let visited = visited + ids.len();
        self.state = State::Lists { route, candidates, ids, visited };
        Step::Ranges(ranges)
    }

    fn scan(
        &mut self,
        route: Route,
        mut candidates: Candidates,
        ids: &[u32],
        visited: usize,
        bytes: &[Bytes],
    ) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let inner = self.inner.clone();
        let layout = &inner.layout;
        let ranges = merge(ids.iter().map(|&id| layout.list_range(id as usize)));
        let read = Read::new(&ranges, bytes)?;
        for &id in ids {
            let entry = &layout.lists[id as usize];
            let bytes = read.slice(&layout.list_range(id as usize));
            let list = ListBytes::new(bytes, entry.rows, layout.header.dim, false)?;
            candidates.scan(layout, &self.query, id as usize, &list, self.allowed.as_ref());
        }
        if candidates.len() < self.k && visited < layout.lists.len() {
            return Ok(self.ask_lists(route, candidates, visited, visited));
        }
        let mut shortlist = candidates.finish();
        if layout.header.rerank == RerankCodec::None {
            return Ok(Step::Done(shortlist.by_estimate(layout, self.k)));
        }
        shortlist.sort();
        let candidates: Vec<_> = shortlist.rows().to_vec();
        let mut groups: Vec<u32> =
            candidates.iter().map(|candidate| candidate.position / GROUP_ROWS).collect();
        groups.sort_unstable();
        let groups = runs(groups.into_iter());
        if groups.is_empty() {
            return Ok(Step::Done(Vec::new()));
        }
        let ranges = group_ranges(layout, &groups);
        self.state = State::Payload { candidates, groups };
        Ok(Step::Ranges(ranges))
    }

    fn all_rows(&mut self, bytes: &[Bytes]) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let layout = &self.inner.layout;
        let codes = layout.open_len..layout.codes_end;
        let read = Read::new(std::slice::from_ref(&codes), bytes)?;
        let mut rows = Vec::new();
        for (id, entry) in layout.lists.iter().enumerate() {
            let bytes = read.slice(&layout.list_range(id));
            let list = ListBytes::new(bytes, entry.rows, layout.header.dim, false)?;
            for i in 0..entry.rows {
                let doc = list.doc(i as usize);
                if self.allowed.as_ref().is_none_or(|allowed| allowed.contains(doc)) {
                    rows.push((entry.first + i, doc));
                }
            }
        }
        Ok(self.ask_payload(rows))
    }

    fn ask_positions(&mut self, positions: &Positions) -> Step<Vec<Neighbor>> {
        let docs = self.allowed.iter().flat_map(|allowed| allowed.iter());
        let groups = runs(docs.map_while(|doc| positions.group_of(doc)));
        if groups.is_empty() {
            return Step::Done(Vec::new());
        }
        let ranges = position_ranges(positions, &groups);
        self.state = State::Positions { groups };
        Step::Ranges(ranges)
    }

    fn allowed_rows(
        &mut self,
        groups: &[Range<u32>],
        bytes: &[Bytes],
    ) -> Result<Step<Vec<Neighbor>>, VectorError> {
        let layout = &self.inner.layout;
        let Some(positions) = layout.positions else { return Ok(Step::Done(Vec::new())) };
        let ranges = position_ranges(&positions, groups);
        let read = Read::new(&ranges, bytes)?;
        for group in groups.iter().cloned().flatten() {
            verify_tail("vector positions", read.slice(&positions.group_range(group)))?;
        }
        let docs = self.allowed.iter().flat_map(|allowed| allowed.iter());
        let mut rows: Vec<(u32, DocId)> = docs
            .map_while(|doc| Some((doc, positions.group_of(doc)?)))
            .filter_map(|(doc, group)| {
                let group = read.slice(&positions.group_range(group));
                Some((positions.read(group, doc)?, doc))
            })
            .collect();
        rows.sort_unstable();
        Ok(self.ask_payload(rows))
    }

    /// `rows` are positions, ascending, and row numbers.
    fn ask_payload(&mut self, rows: Vec<(u32, DocId)>) -> Step<Vec<Neighbor>> {
        if rows.is_empty() {
            return Step::Done(Vec::new());
        }
        let groups = runs(rows.iter().map(|&(position, _)| position / GROUP_ROWS));
        let ranges = group_ranges(&self.inner.layout, &groups);
        self.state = State::AllPayload { rows, groups };
        Step::Ranges(ranges)
    }
}

impl Fetch for Search {
    type Output = Vec<Neighbor>;
    type Error = VectorError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Self::Output>, Self::Error> {
        let inner = self.inner.clone();
        let layout = &inner.layout;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start(Plan::Nothing) => Ok(Step::Done(Vec::new())),
            State::Start(Plan::All) => {
                if let Some(positions) = layout.positions.filter(|_| self.allowed.is_some()) {
                    return Ok(self.ask_positions(&positions));
                }
                self.state = State::AllLists;
                let codes = layout.open_len..layout.codes_end;
                Ok(Step::Ranges(Vec::from_iter([codes])))
            }
            State::Start(Plan::Probe { lists }) => {
                let route = Route::new(layout, &self.query);
                let candidates = Candidates::new(layout, self.k);
                Ok(self.ask_lists(route, candidates, 0, lists))
            }
            State::Lists { route, candidates, ids, visited } => {
                self.scan(route, candidates, &ids, visited, &bytes)
            }
            State::Payload { candidates, groups } => {
                let payload = Payload::new(layout, groups, &bytes)?;
                let mut scorer = Scorer::new(layout, &self.query, self.k);
                for candidate in &candidates {
                    if scorer.rules_out(candidate) {
                        break;
                    }
                    let step = layout.lists[candidate.list as usize].step;
                    scorer.score(candidate.doc, step, payload.row(candidate.position));
                }
                Ok(Step::Done(scorer.finish()))
            }
            State::Positions { groups } => self.allowed_rows(&groups, &bytes),
            State::AllLists => self.all_rows(&bytes),
            State::AllPayload { rows, groups } => {
                let payload = Payload::new(layout, groups, &bytes)?;
                let mut scorer = Scorer::new(layout, &self.query, self.k);
                for &(position, doc) in &rows {
                    let step = layout.lists[layout.list_of(position)].step;
                    scorer.score(doc, step, payload.row(position));
                }
                Ok(Step::Done(scorer.finish()))
            }
            State::Ended => Err(VectorError::query("the search has ended; start another")),
        }
    }
}

/// Ranges in ascending order, adjacent ones as one.
fn merge(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}

/// Ascending numbers, repeated or not, as runs.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(last) if number < last.end => {}
            Some(last) if number == last.end => last.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

fn position_ranges(positions: &Positions, runs: &[Range<u32>]) -> Vec<Range<u64>> {
    runs.iter()
        .map(|run| positions.group_range(run.start).start..positions.group_range(run.end - 1).end)
        .collect()
}

fn group_ranges(layout: &Layout, runs: &[Range<u32>]) -> Vec<Range<u64>> {
    runs.iter()
        .map(|run| layout.group_range(run.start).start..layout.group_range(run.end - 1).end)
        .collect()
}

/// The bytes of a round.
struct Read<'a> {
    ranges: &'a [Range<u64>],
    bytes: &'a [Bytes],
}

impl<'a> Read<'a> {
    fn new(ranges: &'a [Range<u64>], bytes: &'a [Bytes]) -> Result<Self, FormatError> {
        let read: Vec<_> = bytes.iter().map(|bytes| bytes.len() as u64).collect();
        let asked: Vec<_> = ranges.iter().map(|range| range.end - range.start).collect();
        if read != asked {
            let problem = format!("ranges of {asked:?} bytes were asked for, {read:?} came");
            return Err(FormatError::invalid("vector index", problem));
        }
        Ok(Self { ranges, bytes })
    }

    /// A part of one of the ranges.
    fn slice(&self, part: &Range<u64>) -> &'a [u8] {
        let i = self.ranges.partition_point(|range| range.end < part.end);
        let at = (part.start - self.ranges[i].start) as usize;
        &self.bytes[i][at..at + (part.end - part.start) as usize]
    }
}

/// Payload groups of a round, verified.
struct Payload<'a> {
    layout: &'a Layout,
    groups: Vec<Range<u32>>,
    bytes: &'a [Bytes],
}

impl<'a> Payload<'a> {
    fn new(
        layout: &'a Layout,
        groups: Vec<Range<u32>>,
        bytes: &'a [Bytes],
    ) -> Result<Self, FormatError> {
        let ranges = group_ranges(layout, &groups);
        let read = Read::new(&ranges, bytes)?;
        for group in groups.iter().cloned().flatten() {
            verify_tail("vector payload", read.slice(&layout.group_range(group)))?;
        }
        Ok(Self { layout, groups, bytes })
    }

    fn row(&self, position: u32) -> &'a [u8] {
        let group = position / GROUP_ROWS;
        let run = self.groups.partition_point(|run| run.end <= group);
        let first = self.layout.group_range(self.groups[run].start).start;
        let at = (self.layout.group_range(group).start - first) as usize
            + (position % GROUP_ROWS) as usize * self.layout.stride();
        &self.bytes[run][at..at + self.layout.stride()]
    }
}
