//! Large, odd and hostile input.

use std::ops::Bound;

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{
    Analyzer, BuildOptions, CorpusStats, FragmentOptions, FtsBuilder, FtsError, FtsReader,
    Highlighter, Hit, Markup, Operator, ParseOptions, Query, parse_query,
};

fn build(analyzer: &str, positions: bool, rows: &[&str]) -> Bytes {
    let field =
        TextIndex { column: "t".into(), analyzer: analyzer.into(), positions, stored: true };
    let mut builder = FtsBuilder::new(&[field], BuildOptions::default()).unwrap();
    rows.iter().for_each(|row| {
        builder.push(&[Some(row)]).unwrap();
    });
    builder.finish().unwrap().0.into()
}

fn search(section: &Bytes, query: &Query, k: usize) -> Result<Vec<Hit>, FtsError> {
    let reader = FtsReader::resident(section.clone())?;
    let prepared = run_resident(section, reader.prepare(query)?)?;
    let stats = CorpusStats::of(&reader, &prepared);
    run_resident(section, reader.search(&prepared, &stats, k, None, None)?)
}

fn docs(section: &Bytes, query: &Query) -> Vec<u32> {
    let mut docs: Vec<u32> =
        search(section, query, 1000).unwrap().iter().map(|hit| hit.doc).collect();
    docs.sort_unstable();
    docs
}

#[test]
fn sloppy_phrases_are_those_within_reach() {
    let mut state = 1u32;
    let mut next = |bound: u32| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 16) % bound
    };
    let texts: Vec<Vec<u32>> = (0..400).map(|_| (0..next(25)).map(|_| next(9)).collect()).collect();
    let rows: Vec<String> =
        texts.iter().map(|words| words.iter().map(|word| format!("w{word} ")).collect()).collect();
    let section = build("standard-v1", true, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    for (phrase, slop) in
        [([0, 1, 2], 1), ([2, 1, 0], 2), ([3, 5, 4], 4), ([8, 0, 7], 7), ([1, 2, 3], 0)]
    {
        let text = phrase.map(|word: u32| format!("w{word}")).join(" ");
        let places = |words: &[u32], word: u32| -> Vec<i64> {
            (0..).zip(words).filter(|&(_, &other)| other == word).map(|(at, _)| at).collect()
        };
        let within = |words: &Vec<u32>| {
            places(words, phrase[0]).iter().any(|a| {
                places(words, phrase[1]).iter().any(|b| {
                    places(words, phrase[2]).iter().any(|c| {
                        let shifted = [*a, b - 1, c - 2];
                        shifted.iter().max().unwrap() - shifted.iter().min().unwrap() <= slop
                    })
                })
            })
        };
        let expected: Vec<u32> =
            (0..).zip(&texts).filter(|(_, words)| within(words)).map(|(doc, _)| doc).collect();
        let query = Query::Phrase { field: "t".into(), text: text.clone(), slop: slop as u32 };
        assert_eq!(docs(&section, &query), expected, "{text} within {slop}");
    }
}

#[test]
fn a_query_of_ten_thousand_words_is_answered() {
    let rows: Vec<String> = (0..300).map(|i| format!("w{i} w{} same", i * 31 % 300)).collect();
    let section = build("standard-v1", true, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let words: String = (0..10_000).map(|i| format!("w{} ", i % 5000)).collect();
    assert_eq!(docs(&section, &Query::matching("t", &words, Operator::Or)).len(), 300);
    assert!(docs(&section, &Query::matching("t", &words, Operator::And)).is_empty());
}

#[test]
fn long_words_and_long_rows_are_indexed() {
    let word = "é".repeat(500_000);
    let row = "many words in a long row ".repeat(200_000);
    for analyzer in ["standard-v1", "english-v1", "keyword-v1", "code-v1", "cjk-v1", "folded-v1"] {
        let section = build(analyzer, true, &[&word, &row, "\0\u{1}\u{fffd}\u{202e}", ""]);
        assert!(docs(&section, &Query::term("t", &word)).contains(&0), "{analyzer}");
        if analyzer != "keyword-v1" {
            assert_eq!(docs(&section, &Query::phrase("t", "long row")), [1], "{analyzer}");
        }
    }
}

#[test]
fn questions_that_cannot_be_asked_say_why() {
    let section = build("english-v1", false, &["the cat", "a dog"]);
    let error = search(&section, &Query::term("x", "cat"), 1).unwrap_err();
    assert!(matches!(&error, FtsError::UnknownField { known, .. } if known == &["t"]), "{error}");
    let error = search(&section, &Query::phrase("t", "cat dog"), 1).unwrap_err();
    assert!(matches!(error, FtsError::NoPositions { .. }), "{error}");
    let error = search(&section, &Query::term("t", "cat").boosted(f32::NAN), 1).unwrap_err();
    assert!(matches!(error, FtsError::Invalid(_)), "{error}");
    let mut deep = Query::term("t", "cat");
    for _ in 0..1000 {
        deep = Query::all(vec![deep]);
    }
    assert!(matches!(search(&section, &deep, 1).unwrap_err(), FtsError::Invalid(_)));
    for text in ["", "the", "the of and"] {
        assert!(docs(&section, &Query::matching("t", text, Operator::And)).is_empty(), "{text:?}");
    }
    let with_stop_word = Query::all(vec![Query::term("t", "the"), Query::term("t", "cats")]);
    assert_eq!(docs(&section, &with_stop_word), [0]);
    assert!(search(&section, &Query::All, 0).unwrap().is_empty());
    assert_eq!(search(&section, &Query::All, usize::MAX).unwrap().len(), 2);
}

#[test]
fn a_pattern_that_stands_for_too_much_is_an_error() {
    let row: String = (0..70_000).map(|i| format!("w{i} ")).collect();
    let section = build("standard-v1", false, &[&row]);
    let all = Query::Wildcard { field: "t".into(), pattern: "*".into() };
    assert!(matches!(search(&section, &all, 1).unwrap_err(), FtsError::TooManyTerms { .. }));
    let some = Query::Wildcard { field: "t".into(), pattern: "w1?3".into() };
    assert_eq!(docs(&section, &some), [0]);
}

fn regex(expression: &str) -> Query {
    Query::Regex { field: "t".into(), expression: expression.into() }
}

#[test]
fn expressions_and_ranges_over_the_dictionary_are_bounded() {
    let row: String = (0..70_000).map(|i| format!("w{i} ")).collect();
    let section = build("english-v1", false, &[&row, "Größe"]);
    for all in [regex(".*"), regex("w[0-9]+")] {
        let error = search(&section, &all, 1).unwrap_err();
        assert!(matches!(&error, FtsError::TooManyTerms { .. }), "{error}");
    }
    let open = |from| Query::Range { field: "t".into(), from, to: Bound::Unbounded };
    let error = search(&section, &open(Bound::Unbounded), 1).unwrap_err().to_string();
    assert!(error.contains("[* TO *]") && error.contains("65536"), "{error}");
    assert_eq!(docs(&section, &open(Bound::Included("X".into()))), Vec::<u32>::new());
    assert_eq!(docs(&section, &open(Bound::Excluded("w9999".into()))), Vec::<u32>::new());
    assert_eq!(docs(&section, &open(Bound::Included("w9999".into()))), [0]);
    assert_eq!(docs(&section, &regex("W[0-9]{3}7")), [0], "letters of either case");
    assert_eq!(docs(&section, &regex("gr..e")), [1]);
    for bad in ["(", "a{3,2}", "(.*a.{20})"] {
        let error = search(&section, &regex(bad), 1).unwrap_err();
        assert!(
            matches!(&error, FtsError::BadPattern { pattern, .. } if pattern.contains(bad)),
            "{error}"
        );
    }
}

#[test]
fn fields_that_cannot_be_combined_say_so() {
    let section = build("standard-v1", true, &["a b", "c"]);
    let combined = |fields: &[(&str, f32)]| Query::Combined {
        fields: fields.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect(),
        text: "a c".into(),
        operator: Operator::Or,
    };
    assert_eq!(docs(&section, &combined(&[("t", 2.0)])), [0, 1]);
    assert!(docs(&section, &combined(&[])).is_empty());
    for fields in [&[("t", 1.0), ("t", 2.0)][..], &[("t", 0.0)], &[("t", f32::NAN)]] {
        let error = search(&section, &combined(fields), 1).unwrap_err();
        assert!(matches!(error, FtsError::Invalid(_)), "{error}");
    }
    let error = search(&section, &combined(&[("t", 1.0), ("x", 1.0)]), 1).unwrap_err();
    assert!(matches!(error, FtsError::UnknownField { .. }), "{error}");
    let query = Query::DisMax { queries: vec![Query::All], tie_breaker: 2.0 };
    assert!(matches!(search(&section, &query, 1).unwrap_err(), FtsError::Invalid(_)));
}

#[test]
fn a_described_analyzer_is_kept_in_the_section() {
    let spec = "title-v3:words|fold|stop(german,+gmbh)|stem(german)";
    let section = build(spec, true, &["Die Häuser der Firma GmbH", "Ein Haus am See"]);
    let reader = FtsReader::resident(section.clone()).unwrap();
    let name = "title-v3: words | fold | stop(german, +gmbh) | stem(german)";
    assert_eq!(reader.analyzer("t").unwrap().name(), name);
    assert_eq!(docs(&section, &Query::matching("t", "HAUSER gmbh", Operator::And)), [0, 1]);
    let typed = build("auto-v1: words | lower | edge(1, 12)", true, &["Search engines", "Seas"]);
    assert_eq!(docs(&typed, &Query::term("t", "sea")), [0, 1]);
    assert_eq!(docs(&typed, &Query::phrase("t", "search eng")), [0]);
}

#[test]
fn a_query_of_ten_thousand_conditions_is_answered() {
    let section = build("standard-v1", true, &["w1 w2", "w3", "x"]);
    let text: String = (0..10_000).map(|i| format!("w{i}~0 OR ")).collect::<String>() + "x";
    let options = ParseOptions { default_fields: vec!["t".into()], ..ParseOptions::default() };
    let query = parse_query(&text, &options).unwrap();
    assert_eq!(docs(&section, &query), [0, 1, 2]);
}

#[test]
fn a_long_text_is_highlighted() {
    let text = format!("{} needle {}", "some words of hay ".repeat(50_000), "é".repeat(1 << 19));
    let query = Query::all(vec![
        Query::phrase("t", "some words"),
        Query::term("t", "needle"),
        regex("h.y"),
    ]);
    let highlighter =
        Highlighter::new(&query, "t", &Analyzer::named("english-v1").unwrap()).unwrap();
    let best =
        highlighter.fragments(&text, &FragmentOptions { count_max: 1, ..Default::default() });
    assert!(best[0].render(&text, &Markup::ANSI).contains("\x1b[1mneedle\x1b[0m"));
    assert!(best[0].range.len() <= 160);
}
