//! Regular expressions over terms, as an automaton that reads a byte at a time.

use std::sync::Arc;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

/// The longest expression in bytes.
const EXPRESSION_LEN_MAX: usize = 1000;
/// The most memory that the expression or its automaton may take, in bytes.
const AUTOMATON_BYTES_MAX: usize = 4 << 20;

/// A state of an automaton.
pub(crate) type State = StateID;

/// The set of texts that an expression describes from end to end.
#[derive(Debug, Clone)]
pub(crate) struct Automaton {
    expression: String,
    dfa: Arc<dense::DFA<Vec<u32>>>,
    start: State,
}

impl PartialEq for Automaton {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Automaton {}

impl Automaton {
    /// The automaton of `expression`; letters of either case stand for each other if `ignores_case`.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub(crate) fn new(expression: &str, ignores_case: bool) -> Result<Self, String> {
        if expression.len() > EXPRESSION_LEN_MAX {
            return Err(format!(
                "it takes {} bytes; at most {EXPRESSION_LEN_MAX} are allowed",
                expression.len()
            ));
        }
        // The whole term must match, so every alternative is followed, not just the one a search would prefer.
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .determinize_size_limit(Some(AUTOMATON_BYTES_MAX));
        let dfa = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().case_insensitive(ignores_case).nest_limit(50))
            .thompson(thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)))
            .build(expression)
            .map_err(|error| problem(&error))?;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| error.to_string())?;
        Ok(Self { expression: expression.to_owned(), dfa: Arc::new(dfa), start })
    }

    /// The state before the first byte.
    pub(crate) fn start(&self) -> State {
        self.start
    }

    /// The state after `byte`.
    #[inline]
    pub(crate) fn next(&self, state: State, byte: u8) -> State {
        self.dfa.next_state(state, byte)
    }

    /// Whether nothing that follows can make a match.
    #[inline]
    pub(crate) fn is_dead(&self, state: State) -> bool {
        self.dfa.is_dead_state(state) || self.dfa.is_quit_state(state)
    }

    /// Whether a text that ends here matches.
    #[inline]
    pub(crate) fn accepts(&self, state: State) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// What every text of the set begins with, as far as one byte alone can follow.
    pub(crate) fn literal(&self) -> Vec<u8> {
        let mut literal = Vec::new();
        let mut state = self.start;
        while literal.len() < crate::analysis::TERM_LEN_MAX && !self.accepts(state) {
            let mut alive = (0..=u8::MAX)
                .map(|byte| (byte, self.next(state, byte)))
                .filter(|&(_, next)| !self.is_dead(next));
            let (Some((byte, next)), None) = (alive.next(), alive.next()) else { break };
            literal.push(byte);
            state = next;
        }
        literal
    }
}

/// The first line that says what is wrong; the library draws the expression around it.
fn problem(error: &dense::BuildError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    match text.lines().rev().find(|line| line.starts_with("error: ")) {
        Some(line) => line["error: ".len()..].to_owned(),
        None if text.contains("limit") => "it stands for too much; make it simpler".into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, ignores_case: bool, text: &str) -> bool {
        let automaton = Automaton::new(expression, ignores_case).unwrap();
        let end = text.bytes().fold(automaton.start(), |state, byte| automaton.next(state, byte));
        automaton.accepts(end)
    }

    #[test]
    fn the_whole_term_must_match() {
        for (expression, text, expected) in [
            ("a|ab", "ab", true),
            ("a|ab", "abc", false),
            ("a.*c", "abbc", true),
            ("colou?r", "color", true),
            ("r[uo]st{1,2}", "rosttt", false),
            ("", "", true),
            ("", "a", false),
            (".", "é", true),
            ("..", "é", false),
            ("\\\\d+", "123", false),
            ("[0-9]+", "123", true),
            ("a+?", "aaa", true),
        ] {
            assert_eq!(matches(expression, false, text), expected, "{expression} {text}");
        }
        assert!(matches("RUST", true, "rust") && !matches("RUST", false, "rust"));
    }

    #[test]
    fn what_every_match_begins_with_is_known() {
        let literal = |text| Automaton::new(text, false).unwrap().literal();
        assert_eq!(literal("rust(ic|y)"), b"rust");
        assert_eq!(literal("abc"), b"abc");
        assert_eq!(literal("ab?"), b"a");
        assert_eq!(literal(".*a"), b"");
    }

    #[test]
    fn what_cannot_be_understood_says_why() {
        for expression in ["(", "[a", "a**{", "x{2,1}"] {
            assert!(!Automaton::new(expression, false).unwrap_err().is_empty(), "{expression}");
        }
        for expression in ["(.*a.{20})", "\\w{900}", "((a{90}){90}){90}"] {
            let problem = Automaton::new(expression, false).unwrap_err();
            assert!(problem.contains("too much"), "{expression}: {problem}");
        }
        assert!(Automaton::new(&"a".repeat(1001), false).unwrap_err().contains("1001"));
        assert!(Automaton::new(&"(".repeat(900), false).is_err());
    }
}
