//! The query language: what a person types.
//!
//! `+must -not "a phrase"~2 field:word rust* colou?r color~1 (a OR b)^2 [a TO b] /regex/`. Grammar and examples: `docs/guides/query-language.md`.

use std::ops::Bound;

use super::automaton::Automaton;
use super::{Boolean, Operator, Query};

/// How text is understood.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// The fields that words without a field are sought in; each word in any of them.
    pub default_fields: Vec<String>,
    /// Whether words side by side must all occur.
    pub default_operator: Operator,
}

/// Text that is no query, and where it stops being one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}\n  {text}\n  {}^", " ".repeat(*.at))]
pub struct QueryError {
    /// The text.
    pub text: String,
    /// How many characters come before the mistake.
    pub at: usize,
    /// What is wrong.
    pub problem: String,
}

/// How deep parentheses may nest.
const DEPTH_MAX: usize = 50;

/// Reads a query.
///
/// # Errors
/// [`QueryError`], which points at the character.
pub fn parse_query(text: &str, options: &ParseOptions) -> Result<Query, QueryError> {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { text, chars, at: 0, options };
    let query = parser.clauses(0)?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.error(parser.at, "a parenthesis is closed that was not opened")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Default,
    Must,
    MustNot,
}

/// What a word with `*` or `?` is.
enum Wild {
    /// The star ends it.
    Prefix,
    /// All of it, backslashes kept.
    Pattern(String),
}

struct Parser<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
    options: &'a ParseOptions,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn error(&self, at: usize, problem: impl Into<String>) -> QueryError {
        let text = self.text.replace(['\n', '\r', '\t'], " ");
        QueryError { text, at, problem: problem.into() }
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Whether `word` stands here on its own; it is skipped if so.
    fn keyword(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let here = self.chars[self.at..].iter().take(word.len()).copied().eq(word.chars());
        let alone = self.chars.get(end).is_none_or(|c| c.is_whitespace() || *c == '(');
        if here && alone {
            self.at = end;
        }
        here && alone
    }

    /// Clauses up to the end or a closing parenthesis: `AND` binds tighter than `OR`.
    fn clauses(&mut self, depth: usize) -> Result<Query, QueryError> {
        if depth > DEPTH_MAX {
            return Err(self.error(self.at, format!("parentheses nest deeper than {DEPTH_MAX}")));
        }
        let mut groups: Vec<Vec<(Role, Query)>> = vec![Vec::new()];
        let (mut and_next, mut explicit_or) = (false, false);
        loop {
            self.skip_space();
            let start = self.at;
            match self.peek() {
                None | Some(')') => break,
                _ => {}
            }
            if self.keyword("AND") || self.keyword("&&") {
                let last = groups.last_mut().and_then(|group| group.last_mut());
                let Some((role, _)) = last.filter(|_| !and_next) else {
                    return Err(self.error(start, "AND needs a condition on its left"));
                };
                if *role == Role::Default {
                    *role = Role::Must;
                }
                and_next = true;
                continue;
            }
            if self.keyword("OR") || self.keyword("||") {
                if and_next || groups.last().is_none_or(Vec::is_empty) {
                    return Err(self.error(start, "OR needs a condition on its left"));
                }
                explicit_or = true;
                groups.push(Vec::new());
                continue;
            }
            let mut role = Role::Default;
            if self.keyword("NOT") {
                role = Role::MustNot;
            } else if self.peek() == Some('+') {
                self.at += 1;
                role = Role::Must;
            } else if matches!(self.peek(), Some('-' | '!')) {
                self.at += 1;
                role = Role::MustNot;
            }
            self.skip_space();
            if self.peek().is_none_or(|c| c == ')') {
                return Err(self.error(self.at, "a condition is missing here"));
            }
            if and_next && role == Role::Default {
                role = Role::Must;
            }
            and_next = false;
            let query = self.clause(None, depth)?;
            groups.last_mut().expect("one is always open").push((role, query));
        }
        if and_next || explicit_or && groups.last().is_none_or(Vec::is_empty) {
            return Err(self.error(self.at, "a condition is missing here"));
        }
        Ok(self.combine(groups, explicit_or))
    }

    fn combine(&self, groups: Vec<Vec<(Role, Query)>>, explicit_or: bool) -> Query {
        let mut all = Boolean::default();
        if explicit_or {
            for group in groups {
                let plain = group.iter().all(|(role, _)| *role == Role::Default);
                if plain && self.options.default_operator == Operator::Or {
                    // `a b OR c` under OR: all are alternatives.
                    all.should.extend(group.into_iter().map(|(_, query)| query));
                } else {
                    all.should.push(self.group(group));
                }
            }
            return one(all);
        }
        self.group(groups.into_iter().next().unwrap_or_default())
    }

    fn group(&self, group: Vec<(Role, Query)>) -> Query {
        let mut all = Boolean::default();
        for (role, query) in group {
            match role {
                Role::Must => all.must.push(query),
                Role::MustNot => all.must_not.push(query),
                Role::Default if self.options.default_operator == Operator::And => {
                    all.must.push(query)
                }
                Role::Default => all.should.push(query),
            }
        }
        one(all)
    }

    /// One condition: `field:`, then a group, a phrase or a word, then `~` and `^`.
    fn clause(&mut self, field: Option<&str>, depth: usize) -> Result<Query, QueryError> {
        let query = match self.peek() {
            Some('(') => {
                let open = self.at;
                self.at += 1;
                let query = match field {
                    None => self.clauses(depth + 1)?,
                    Some(field) => {
                        let fields = vec![field.to_owned()];
                        let options =
                            ParseOptions { default_fields: fields, ..self.options.clone() };
                        let chars = std::mem::take(&mut self.chars);
                        let mut inner =
                            Parser { text: self.text, chars, at: self.at, options: &options };
                        let query = inner.clauses(depth + 1);
                        (self.chars, self.at) = (inner.chars, inner.at);
                        query?
                    }
                };
                if self.peek() != Some(')') {
                    return Err(self.error(open, "this parenthesis is not closed"));
                }
                self.at += 1;
                query
            }
            Some('"') => self.phrase(field)?,
            Some('/') => self.regex(field)?,
            Some('[' | '{') => self.range(field)?,
            _ => {
                let start = self.at;
                let (word, pattern) = self.word()?;
                let wild = pattern.is_some();
                if field.is_none() && self.peek() == Some(':') && !wild {
                    self.at += 1;
                    if word.is_empty() {
                        return Err(self.error(start, "a field name is missing before the colon"));
                    }
                    if self.peek().is_none_or(|c| c.is_whitespace() || c == ')') {
                        let problem = format!("what is sought in field {word:?} is missing");
                        return Err(self.error(self.at, problem));
                    }
                    return self.clause(Some(&word), depth);
                }
                if word.is_empty() {
                    let here = self.peek().map_or("the end".into(), |c| format!("{c:?}"));
                    let problem = format!(
                        "a word was expected, not {here}; a backslash before it takes it literally"
                    );
                    return Err(self.error(self.at, problem));
                }
                let fuzzy =
                    if self.peek() == Some('~') && !wild { Some(self.distance()?) } else { None };
                self.in_fields(field, |field| match (&pattern, fuzzy) {
                    (Some(Wild::Prefix), _) => Query::Prefix { field, text: word.clone() },
                    (Some(Wild::Pattern(pattern)), _) => {
                        Query::Wildcard { field, pattern: pattern.clone() }
                    }
                    (None, Some(distance)) => Query::Fuzzy {
                        field,
                        text: word.clone(),
                        distance,
                        prefix: 0,
                        transpositions: true,
                    },
                    (None, None) => Query::Term { field, text: word.clone() },
                })
            }
        };
        self.boost(query)
    }

    fn boost(&mut self, query: Query) -> Result<Query, QueryError> {
        if self.peek() != Some('^') {
            return Ok(query);
        }
        let start = self.at;
        self.at += 1;
        let number: String =
            self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        self.at += number.len();
        match number.parse::<f32>() {
            Ok(boost) if boost.is_finite() => Ok(query.boosted(boost)),
            _ => Err(self.error(start, "a number must follow ^")),
        }
    }

    fn phrase(&mut self, field: Option<&str>) -> Result<Query, QueryError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error(open, "this quote is not closed")),
                Some('"') => break,
                Some('\\') if self.at + 1 < self.chars.len() => {
                    self.at += 1;
                    text.push(self.chars[self.at]);
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        let mut slop = 0;
        if self.peek() == Some('~') {
            let start = self.at;
            self.at += 1;
            let number: String =
                self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
            self.at += number.len();
            slop = number
                .parse()
                .map_err(|_| self.error(start, "a number must follow ~ after a phrase"))?;
        }
        Ok(self.in_fields(field, |field| Query::Phrase { field, text: text.clone(), slop }))
    }

    /// `/expression/`; a backslash before a slash takes it literally, any other is the expression's.
    fn regex(&mut self, field: Option<&str>) -> Result<Query, QueryError> {
        let open = self.at;
        self.at += 1;
        let mut expression = String::new();
        loop {
            match self.peek() {
                None => {
                    let problem = "this expression is not closed by a slash; a backslash before the slash takes it literally";
                    return Err(self.error(open, problem));
                }
                Some('/') => break,
                Some('\\') if self.at + 1 < self.chars.len() => {
                    self.at += 1;
                    let c = self.chars[self.at];
                    if c != '/' {
                        expression.push('\\');
                    }
                    expression.push(c);
                }
                Some(c) => expression.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        if let Err(problem) = Automaton::new(&expression, true) {
            return Err(self.error(open, format!("this expression: {problem}")));
        }
        Ok(self.in_fields(field, |field| Query::Regex { field, expression: expression.clone() }))
    }

    /// `[a TO b]`, with a brace for an end that is left out and a star for one that is open.
    fn range(&mut self, field: Option<&str>) -> Result<Query, QueryError> {
        let open = self.at;
        let includes = self.peek() == Some('[');
        self.at += 1;
        let from = self.bound()?;
        if !self.keyword("TO") {
            return Err(self.error(
                open,
                "a range is written [a TO b]; a backslash before the bracket takes it literally",
            ));
        }
        let to = self.bound()?;
        let bound = |text: Option<String>, includes| match text {
            None => Bound::Unbounded,
            Some(text) if includes => Bound::Included(text),
            Some(text) => Bound::Excluded(text),
        };
        let from = bound(from, includes);
        let to = match self.peek() {
            Some(']') => bound(to, true),
            Some('}') => bound(to, false),
            _ => return Err(self.error(open, "this range is not closed")),
        };
        self.at += 1;
        Ok(self.in_fields(field, |field| Query::Range {
            field,
            from: from.clone(),
            to: to.clone(),
        }))
    }

    /// An end of a range and the space around it; `None` if it is open.
    fn bound(&mut self) -> Result<Option<String>, QueryError> {
        self.skip_space();
        let start = self.at;
        let quoted = self.peek() == Some('"');
        self.at += usize::from(quoted);
        let (mut text, mut plain) = (String::new(), !quoted);
        loop {
            match self.peek() {
                None if quoted => return Err(self.error(start, "this quote is not closed")),
                None => break,
                Some('"') if quoted => {
                    self.at += 1;
                    break;
                }
                Some(c) if !quoted && (c.is_whitespace() || c == ']' || c == '}') => break,
                Some('\\') if self.at + 1 < self.chars.len() => {
                    self.at += 1;
                    plain = false;
                    text.push(self.chars[self.at]);
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
        if text.is_empty() && !quoted {
            return Err(self.error(start, "an end of the range is missing; a star leaves it open"));
        }
        self.skip_space();
        Ok(Some(text).filter(|text| !(plain && text == "*")))
    }

    /// `~` and how many edits, if a number follows.
    fn distance(&mut self) -> Result<Option<u8>, QueryError> {
        let start = self.at;
        self.at += 1;
        let number: String =
            self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += number.len();
        match &number[..] {
            "" => Ok(None),
            "0" | "1" | "2" => Ok(number.parse().ok()),
            _ => Err(self.error(start, "a word may be 0, 1 or 2 edits away")),
        }
    }

    /// A word without its backslashes, and what kind of pattern it is if it holds `*` or `?`.
    fn word(&mut self) -> Result<(String, Option<Wild>), QueryError> {
        let (mut word, mut pattern) = (String::new(), String::new());
        let (start, mut wild, mut last_star) = (self.at, 0, false);
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    last_star = false;
                    self.at += 1;
                    let Some(c) = self.peek() else {
                        return Err(
                            self.error(self.at - 1, "a backslash needs a character after it")
                        );
                    };
                    word.push(c);
                    pattern.extend(['\\', c]);
                }
                '*' | '?' => {
                    wild += 1;
                    last_star = c == '*';
                    pattern.push(c);
                }
                '(' | ')' | '"' | '^' | ':' | '~' => break,
                c if c.is_whitespace() => break,
                c => {
                    last_star = false;
                    word.push(c);
                    pattern.push(c);
                }
            }
            self.at += 1;
        }
        if wild > 0 && word.is_empty() {
            return Err(self.error(start, "a pattern needs at least one letter of the word"));
        }
        Ok((
            word,
            match wild {
                0 => None,
                1 if last_star => Some(Wild::Prefix),
                _ => Some(Wild::Pattern(pattern)),
            },
        ))
    }

    fn in_fields(&self, field: Option<&str>, leaf: impl Fn(String) -> Query) -> Query {
        match (field, &self.options.default_fields[..]) {
            (Some(field), _) => leaf(field.to_owned()),
            (None, [field]) => leaf(field.clone()),
            (None, fields) => Query::any(fields.iter().map(|field| leaf(field.clone())).collect()),
        }
    }
}

/// `all` without the wrapping if it is one condition.
fn one(mut all: Boolean) -> Query {
    let alone = all.must_not.is_empty() && all.must.len() + all.should.len() == 1;
    match alone.then(|| all.must.pop().or_else(|| all.should.pop())).flatten() {
        Some(query) => query,
        None => Query::Boolean(all),
    }
}

#[cfg(test)]
mod tests;
