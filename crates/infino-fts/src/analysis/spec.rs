//! The text that describes a chain: `name-v1: words | lower | stop(english) | stem(english)`.

use std::borrow::Cow;

use frostem::Algorithm;

use super::chain::{Chain, Tokenizer};
use super::{fold, stop_words};

/// The longest description in bytes.
const SPEC_LEN_MAX: usize = 4096;
/// The most characters of an n-gram.
pub(crate) const GRAM_LEN_MAX: u32 = 8;
/// The most characters of an edge n-gram.
const EDGE_LEN_MAX: u32 = 64;

/// Filters in the order they may stand in.
const FILTERS: [&str; 6] = ["lower", "fold", "stop", "stem", "length", "edge"];

/// The chain that `text` describes under a name of its own.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Chain, String> {
    if text.len() > SPEC_LEN_MAX {
        return Err(format!("it takes {} bytes; at most {SPEC_LEN_MAX} are allowed", text.len()));
    }
    let (name, steps) =
        text.split_once(':').ok_or("a colon must follow the name, as in `my-v1: words | lower`")?;
    let name = name.trim();
    let version = name.rsplit_once("-v").map(|(_, version)| version);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let versioned = version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()));
    if !name.chars().all(plain) || !versioned || name.starts_with("-v") {
        return Err(format!(
            "{name:?} is no name: it needs letters a to z, digits, `-`, `_` or `.`, and a version at its end, as in `my-v1`"
        ));
    }
    chain(name, steps).map(|chain| Chain { name: format!("{name}: {}", chain.name), ..chain })
}

/// The chain of `steps`, which is called by them in their shortest form.
pub(crate) fn chain(name: &str, steps: &str) -> Result<Chain, String> {
    let mut steps = steps.split('|').map(str::trim);
    let (tokenizer, shown) = tokenizer(steps.next().unwrap_or_default())?;
    let mut chain = Chain { name: shown, ..Chain::new(tokenizer) };
    let mut rank = 0;
    for step in steps {
        let (filter, args) = call(step)?;
        let place = FILTERS.iter().position(|known| *known == filter).ok_or_else(|| {
            format!("no filter is called {filter:?}; known are {}", FILTERS.join(", "))
        })? + 1;
        if place <= rank || place == 2 && rank == 1 {
            return Err(format!(
                "`{filter}` cannot stand here: filters come once each, in the order lower or fold, stop, stem, length, edge"
            ));
        }
        rank = place;
        apply(&mut chain, filter, &args).map_err(|problem| format!("`{filter}`: {problem}"))?;
        chain.name.push_str(" | ");
        chain.name.push_str(filter);
        if !args.is_empty() {
            chain.name.push_str(&format!("({})", args.join(", ")));
        }
    }
    if chain.edge.is_some() && (chain.stemmer.is_some() || !chain.stop_words.is_empty()) {
        return Err(format!(
            "`edge` cuts the beginnings of words as written, which `stop` and `stem` in {name:?} cannot follow; leave either out"
        ));
    }
    Ok(chain)
}

fn tokenizer(step: &str) -> Result<(Tokenizer, String), String> {
    let (name, args) = call(step)?;
    let tokenizer = match (name, &args[..]) {
        ("words", []) => Tokenizer::Words,
        ("spaces", []) => Tokenizer::Spaces,
        ("keyword", []) => Tokenizer::Whole,
        ("code", []) => Tokenizer::Code,
        ("cjk", []) => Tokenizer::Cjk,
        ("grams", [len]) => Tokenizer::Grams(number(len, 1, GRAM_LEN_MAX)? as usize),
        _ => {
            return Err(format!(
                "no tokenizer is called {step:?}; known are words, spaces, keyword, code, cjk, grams(n)"
            ));
        }
    };
    let shown = match tokenizer {
        Tokenizer::Grams(len) => format!("grams({len})"),
        _ => name.to_owned(),
    };
    Ok((tokenizer, shown))
}

fn apply(chain: &mut Chain, filter: &str, args: &[&str]) -> Result<(), String> {
    match (filter, args) {
        ("lower", []) => chain.lower = true,
        ("fold", []) => (chain.lower, chain.folds) = (true, true),
        ("stop", [_, ..]) => {
            for arg in args {
                stop(chain, arg)?;
            }
            chain.stop_words.sort_unstable();
            chain.stop_words.dedup();
        }
        ("stem", [language]) => {
            let known = || Algorithm::all().iter().map(|algorithm| algorithm.name());
            chain.stemmer = Some(Algorithm::from_name(language).map_err(|_| {
                let known: Vec<&str> = known().collect();
                format!("no stemmer is called {language:?}; known are {}", known.join(", "))
            })?);
        }
        ("length", [min, max]) => chain.chars = Some(span(min, max, u32::MAX)?),
        ("edge", [min, max]) => chain.edge = Some(span(min, max, EDGE_LEN_MAX)?),
        _ => {
            return Err(
                "it is written lower, fold, stop(list, +word, -word), stem(language), length(min, max) or edge(min, max)"
                    .into(),
            );
        }
    }
    Ok(())
}

/// Adds a list or a word to the stop words, or takes a word off.
fn stop(chain: &mut Chain, arg: &str) -> Result<(), String> {
    let folded = |word: &'static str| -> Cow<'static, str> {
        if !chain.folds || word.is_ascii() {
            return word.into();
        }
        let mut folded = String::new();
        fold::fold(word, &mut folded);
        folded.into()
    };
    match (arg.strip_prefix('+'), arg.strip_prefix('-')) {
        (Some(word), _) if !word.is_empty() => chain.stop_words.push(word.to_owned().into()),
        (_, Some(word)) if !word.is_empty() => chain.stop_words.retain(|other| other != word),
        _ => {
            let list = stop_words::list(arg).ok_or_else(|| {
                let known: Vec<&str> = stop_words::names().collect();
                format!("no list is called {arg:?}; known are {}", known.join(", "))
            })?;
            let words: Vec<_> = list.map(folded).collect();
            chain.stop_words.extend(words);
        }
    }
    Ok(())
}

/// `name` or `name(a, b)`.
fn call(step: &str) -> Result<(&str, Vec<&str>), String> {
    let Some((name, rest)) = step.split_once('(') else {
        return match step {
            "" => Err("a step is missing: there is nothing before or after a `|`".into()),
            name => Ok((name, vec![])),
        };
    };
    let args = rest.strip_suffix(')').ok_or_else(|| format!("{step:?} lacks a `)` at its end"))?;
    Ok((name.trim(), args.split(',').map(str::trim).collect()))
}

fn number(text: &str, min: u32, max: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("{text:?} is no number from {min} to {max}"))
}

fn span(min: &str, max: &str, most: u32) -> Result<(u32, u32), String> {
    let min = number(min, 1, most)?;
    Ok((min, number(max, min, most)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_description_has_one_shortest_form() {
        let check = |text, expected| {
            let chain = parse(text).unwrap();
            assert_eq!(chain.name, expected);
            assert_eq!(parse(&chain.name).unwrap().name, expected);
        };
        check("a-v1:words|lower", "a-v1: words | lower");
        check(
            " my_title-v12 :  words| fold |stop( german ,+foo,-und)| stem(german)|length(2,20)",
            "my_title-v12: words | fold | stop(german, +foo, -und) | stem(german) | length(2, 20)",
        );
        check("g-v1: grams( 2 ) | lower", "g-v1: grams(2) | lower");
        check("e-v1: keyword | lower | edge(1, 9)", "e-v1: keyword | lower | edge(1, 9)");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, problem) in [
            ("words | lower", "colon"),
            ("my: words", "version"),
            ("My-v1: words", "letters"),
            ("-v1: words", "no name"),
            ("a-v1: ", "missing"),
            ("a-v1: words |", "missing"),
            ("a-v1: letters", "known are words"),
            ("a-v1: grams(9)", "1 to 8"),
            ("a-v1: words | upper", "known are lower"),
            ("a-v1: words | lower | fold", "order"),
            ("a-v1: words | stem(english) | stop(english)", "order"),
            ("a-v1: words | stem(klingon)", "known are arabic"),
            ("a-v1: words | stop(klingon)", "known are danish"),
            ("a-v1: words | stop()", "no list"),
            ("a-v1: words | lower(x)", "written"),
            ("a-v1: words | stem(english", "lacks"),
            ("a-v1: words | length(5, 2)", "5 to"),
            ("a-v1: words | edge(0, 2)", "1 to 64"),
            ("a-v1: words | stem(english) | edge(1, 2)", "leave either out"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(parse(&format!("a-v1: words | stop({})", "+a,".repeat(4000))).is_err());
    }
}
