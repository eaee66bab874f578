//! The words of one field, by term.

use infino_format::DocId;

use super::interner::Interner;
use super::streams::{Arena, Numbers, Stream};
use crate::analysis::Analyzer;
use crate::postings::List;

/// Inverts one field in memory.
///
/// A term's stream is, per document: its distance from the one before (from −1), then if positions are kept each
/// position's distance plus one and a zero, else the frequency.
#[derive(Debug)]
pub(crate) struct Inverter {
    analyzer: Analyzer,
    positions: bool,
    /// Words as the tokenizer cut them, if finding their term costs more than looking it up.
    words: Interner,
    word_terms: Vec<u32>,
    pub(crate) terms: Interner,
    states: Vec<State>,
    arena: Arena,
    scratch: String,
    /// Tokens of each document; 0 where the field is null.
    pub(crate) lens: Vec<u32>,
    /// Documents that are not null.
    pub(crate) docs: u64,
    pub(crate) tokens: u64,
}

/// A word that the chain leaves out.
const DROPPED: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    stream: Stream,
    /// The document being written, plus one.
    doc: u32,
    position: u32,
    tf: u32,
}

impl Inverter {
    pub(crate) fn new(analyzer: Analyzer, positions: bool) -> Self {
        Self {
            analyzer,
            positions,
            words: Interner::default(),
            word_terms: Vec::new(),
            terms: Interner::default(),
            states: Vec::new(),
            arena: Arena::default(),
            scratch: String::new(),
            lens: Vec::new(),
            docs: 0,
            tokens: 0,
        }
    }

    pub(crate) fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    pub(crate) fn keeps_positions(&self) -> bool {
        self.positions
    }

    /// Adds the next document.
    pub(crate) fn push(&mut self, value: Option<&str>) {
        let Some(text) = value else { return self.lens.push(0) };
        let doc = self.lens.len() as DocId;
        let analyzer = self.analyzer.clone();
        let mut len = 0u32;
        analyzer.words(text, |position, range| {
            let word = &text[range];
            let term = self.term(word);
            if term != DROPPED {
                self.occur(term, doc, position);
                len += 1;
            }
        });
        self.lens.push(len);
        self.docs += 1;
        self.tokens += u64::from(len);
    }

    #[inline]
    fn term(&mut self, word: &str) -> u32 {
        if self.analyzer.is_plain() {
            return match self.analyzer.term(word, &mut self.scratch) {
                Some(term) => self.terms.intern(term.as_bytes()).0,
                None => DROPPED,
            };
        }
        let (id, new) = self.words.intern(word.as_bytes());
        if new {
            let term = match self.analyzer.term(word, &mut self.scratch) {
                Some(term) => self.terms.intern(term.as_bytes()).0,
                None => DROPPED,
            };
            self.word_terms.push(term);
        }
        self.word_terms[id as usize]
    }

    #[inline]
    fn occur(&mut self, term: u32, doc: DocId, position: u32) {
        if term as usize == self.states.len() {
            self.states.push(State::default());
        }
        let (arena, state) = (&mut self.arena, &mut self.states[term as usize]);
        if state.doc != doc + 1 {
            close(arena, state, self.positions);
            arena.push_varint(&mut state.stream, doc - state.doc);
            state.doc = doc + 1;
            state.position = 0;
            state.tf = 0;
        }
        state.tf += 1;
        if self.positions {
            arena.push_varint(&mut state.stream, position - state.position + 1);
            state.position = position;
        }
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.terms_memory() + 4 * self.lens.len()
    }

    /// Bytes of memory that [`Inverter::clear_terms`] frees.
    pub(crate) fn terms_memory(&self) -> usize {
        self.words.memory()
            + 4 * self.word_terms.len()
            + self.terms.memory()
            + size_of::<State>() * self.states.len()
            + self.arena.memory()
    }

    /// Replaces `bytes` by the stream of `term`, which can grow no more.
    pub(crate) fn stream(&mut self, term: u32, bytes: &mut Vec<u8>) {
        let state = &mut self.states[term as usize];
        close(&mut self.arena, state, self.positions);
        state.tf = 0;
        self.arena.read(&state.stream, bytes);
    }

    /// Forgets all terms; lengths and sums stay.
    pub(crate) fn clear_terms(&mut self) {
        self.words = Interner::default();
        self.word_terms = Vec::new();
        self.terms = Interner::default();
        self.states = Vec::new();
        self.arena = Arena::default();
    }
}

/// Appends the documents of a stream to `list`.
pub(crate) fn append_stream(bytes: &[u8], positions: bool, list: &mut List) {
    let mut numbers = Numbers::new(bytes);
    let mut next = 0;
    while !numbers.is_empty() {
        let doc = next + numbers.next();
        next = doc + 1;
        list.docs.push(doc);
        if !positions {
            list.tfs.push(numbers.next());
            continue;
        }
        let (start, mut position) = (list.positions.len(), 0);
        loop {
            let gap = numbers.next();
            if gap == 0 {
                break;
            }
            position += gap - 1;
            list.positions.push(position);
        }
        list.tfs.push((list.positions.len() - start) as u32);
    }
}

/// Ends the document being written, if any.
#[inline]
fn close(arena: &mut Arena, state: &mut State, positions: bool) {
    if state.tf > 0 {
        arena.push_varint(&mut state.stream, if positions { 0 } else { state.tf });
    }
}
