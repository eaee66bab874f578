//! A query, a line break, a text: what answers is part of the text.

use infino_fts::{Analyzer, FragmentOptions, Highlighter, Markup, ParseOptions, parse_query};

/// Marks the rest of `data` by the query that its first line is.
pub fn run(data: &[u8]) {
    let input = String::from_utf8_lossy(data);
    let (query, text) = input.split_once('\n').unwrap_or((&input, &input));
    let options = ParseOptions { default_fields: vec!["a".into()], ..ParseOptions::default() };
    let Ok(query) = parse_query(query, &options) else { return };
    for analyzer in ["english-v1", "code-v1", "cjk-v1", "trigram-v1", "keyword-v1"] {
        let analyzer = Analyzer::named(analyzer).expect("a known name");
        let Ok(highlighter) = Highlighter::new(&query, "a", &analyzer) else { continue };
        let ranges = highlighter.ranges(text);
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(ranges.iter().all(|range| text.get(range.clone()).is_some()));
        for len_max in [0, 7, 100] {
            let options = FragmentOptions { count_max: 3, len_max, or_beginning: true };
            let fragments = highlighter.fragments(text, &options);
            assert!(fragments.len() <= 3);
            assert!(fragments.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for fragment in fragments {
                let shown = fragment.render(text, &Markup::HTML);
                assert!(shown.len() >= fragment.range.len());
            }
        }
    }
}
