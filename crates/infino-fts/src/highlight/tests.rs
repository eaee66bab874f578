use proptest::prelude::*;

use super::*;
use crate::{ParseOptions, parse_query};

fn highlighter(query: &str, analyzer: &str) -> Highlighter {
    let options = ParseOptions { default_fields: vec!["t".into()], ..ParseOptions::default() };
    let query = parse_query(query, &options).unwrap();
    Highlighter::new(&query, "t", &Analyzer::named(analyzer).unwrap()).unwrap()
}

/// The text with brackets around what is marked.
#[track_caller]
fn check(query: &str, analyzer: &str, text: &str, expected: &str) {
    let marks = highlighter(query, analyzer).ranges(text);
    let fragment = Fragment { range: 0..text.len(), marks, score: 0.0 };
    let markup = Markup { before: "[", after: "]", escapes_html: false };
    assert_eq!(fragment.render(text, &markup), expected, "{query}");
}

#[test]
fn what_answers_is_marked() {
    let text = "Running dogs run; a dog ran.";
    check("run dog", "english-v1", text, "[Running] [dogs] [run]; a [dog] ran.");
    check("\"run dog\"", "english-v1", text, "[Running] [dogs] run; a dog ran.");
    check("\"dog run\"~2", "english-v1", text, "Running [dogs] [run]; a dog ran.");
    check("\"dog a\"~3", "standard-v1", text, "Running dogs run; [a] [dog] ran.");
    check("do*", "standard-v1", text, "Running [dogs] run; a [dog] ran.");
    check("r?n", "standard-v1", text, "Running dogs [run]; a dog [ran].");
    check("/r.n(ning)?/", "standard-v1", text, "[Running] dogs [run]; a dog [ran].");
    check("[dog TO e]", "standard-v1", text, "Running [dogs] run; a [dog] ran.");
    check("dig~1", "standard-v1", text, "Running dogs run; a [dog] ran.");
    check("dog -run x:ran", "standard-v1", text, "Running dogs run; a [dog] ran.");
    check("+dog^2 OR (ran AND a)", "standard-v1", text, "Running dogs run; [a] [dog] [ran].");
    check("the", "english-v1", "the end", "the end");
    check("ÉTÉ", "folded-v1", "L'été, l'Eté", "L'été, l'Eté");
}

#[test]
fn scripts_without_spaces_and_parts_of_words_are_marked() {
    check("東京", "cjk-v1", "私は東京タワーへ", "私は[東京]タワーへ");
    check("東京タワー", "cjk-v1", "東京と東京タワー", "東京と[東京タワー]");
    check("html", "code-v1", "parseHtml(x)", "parse[Html](x)");
    check("\"bcd\"", "trigram-v1", "abcde", "a[bcd]e");
    check("sea", "a-v1: words | lower | edge(1, 5)", "Search", "[Sea]rch");
}

#[test]
fn the_best_parts_come_first_in_the_order_of_the_text() {
    let filler = "Nothing of note happens in this sentence at all. ".repeat(20);
    let text = format!(
        "{filler}Here is rust alone. {filler}Now rust and tokio together. {filler}A tokio here."
    );
    let highlighter = highlighter("rust tokio", "standard-v1");
    let options = FragmentOptions { count_max: 1, len_max: 60, or_beginning: false };
    let shown = |options: &FragmentOptions| -> Vec<String> {
        let fragments = highlighter.fragments(&text, options);
        fragments.iter().map(|fragment| fragment.render(&text, &Markup::HTML)).collect()
    };
    let best = shown(&options);
    assert_eq!(best.len(), 1);
    assert!(
        best[0].starts_with("Now <mark>rust</mark> and <mark>tokio</mark> together."),
        "{best:?}"
    );
    let all = shown(&FragmentOptions { count_max: 9, ..options });
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].contains("<mark>rust</mark> alone") && all[2].contains("A <mark>tokio</mark>"));
    assert!(shown(&FragmentOptions { count_max: 0, ..options }).is_empty());
}

#[test]
fn text_is_escaped_and_may_be_shown_by_its_beginning() {
    let highlighter = highlighter("b", "standard-v1");
    let text = "a <b> & 'c'";
    let html =
        highlighter.fragments(text, &FragmentOptions::default())[0].render(text, &Markup::HTML);
    assert_eq!(html, "a &lt;<mark>b</mark>&gt; &amp; &#39;c&#39;");
    let beginning = FragmentOptions { count_max: 2, len_max: 10, or_beginning: true };
    let fragments = highlighter.fragments("some words that go on", &beginning);
    assert_eq!(fragments, [Fragment { range: 0..10, marks: vec![], score: 0.0 }]);
    assert!(highlighter.fragments("", &beginning).is_empty());
    assert_eq!(highlighter.fragments(&"東".repeat(9), &beginning)[0].range, 0..9);
}

proptest! {
    #[test]
    fn fragments_are_parts_of_the_text(
        text in "([a-d]{1,3}[ .\n]{0,2}|東|é){0,60}",
        query in "[a-d]{1,2}( [a-d]{1,2}| \"[a-d] [a-d]\"~3| [a-d]\\*){0,3}",
        count_max in 0usize..4,
        len_max in 0usize..40,
    ) {
        for analyzer in ["standard-v1", "cjk-v1", "trigram-v1", "english-v1"] {
            let highlighter = highlighter(&query, analyzer);
            let ranges = highlighter.ranges(&text);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
            let options = FragmentOptions { count_max, len_max, or_beginning: true };
            let fragments = highlighter.fragments(&text, &options);
            prop_assert!(fragments.len() <= count_max);
            prop_assert!(fragments.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for fragment in fragments {
                let (start, end) = (fragment.range.start, fragment.range.end);
                prop_assert!(fragment.marks.iter().all(|mark| start <= mark.start && mark.end <= end));
                fragment.render(&text, &Markup::HTML);
            }
        }
    }
}
