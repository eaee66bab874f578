//! A description of an analyzer, a line break, a text.

use infino_fts::Analyzer;

/// Analyzes the rest of `data` by the chain that its first line describes.
pub fn run(data: &[u8]) {
    let input = String::from_utf8_lossy(data);
    let (spec, text) = input.split_once('\n').unwrap_or((&input, &input));
    let analyzer = match Analyzer::named(spec) {
        Ok(analyzer) => analyzer,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = Analyzer::named(analyzer.name()).expect("the shortest form is understood");
    assert_eq!(again.name(), analyzer.name());
    let tokens = analyzer.analyze(text);
    assert_eq!(again.analyze(text), tokens);
    assert!(tokens.windows(2).all(|pair| pair[0].position <= pair[1].position));
    for token in tokens.iter().chain(&analyzer.analyze_query(text)) {
        assert!(text.get(token.range.clone()).is_some() && token.term.len() <= 1024);
    }
}
