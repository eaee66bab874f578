use proptest::prelude::*;

use super::*;

fn options(operator: Operator) -> ParseOptions {
    ParseOptions { default_fields: vec!["t".into()], default_operator: operator }
}

/// The tree as text: `+` must, `-` must not, `|` should.
fn show(query: &Query) -> String {
    match query {
        Query::Term { field, text } => format!("{field}:{text}"),
        Query::Phrase { field, text, slop } => format!("{field}:\"{text}\"~{slop}"),
        Query::Prefix { field, text } => format!("{field}:{text}*"),
        Query::Wildcard { field, pattern } => format!("{field}:w({pattern})"),
        Query::Fuzzy { field, text, distance, .. } => format!("{field}:{text}~{distance:?}"),
        Query::Regex { field, expression } => format!("{field}:/{expression}/"),
        Query::Range { field, from, to } => {
            format!("{field}:{}", crate::query::leaf::show_range(from, to))
        }
        Query::Boost { query, boost } => format!("{}^{boost}", show(query)),
        Query::Boolean(all) => {
            let part = |sign: &str, queries: &[Query]| -> Vec<String> {
                queries.iter().map(|query| format!("{sign}{}", show(query))).collect()
            };
            let parts = [part("+", &all.must), part("|", &all.should), part("-", &all.must_not)];
            format!("({})", parts.concat().join(" "))
        }
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(show(&parse_query(text, &options(Operator::Or)).unwrap()), expected);
}

#[track_caller]
fn check_error(text: &str, at: usize) {
    let error = parse_query(text, &options(Operator::Or)).unwrap_err();
    assert_eq!(error.at, at, "{error}");
}

#[test]
fn the_syntax_users_know() {
    check("rust", "t:rust");
    check("a b", "(|t:a |t:b)");
    check("+a -b c", "(+t:a |t:c -t:b)");
    check("a AND b", "(+t:a +t:b)");
    check("a OR b AND c", "(|t:a |(+t:b +t:c))");
    check("NOT a b", "(|t:b -t:a)");
    check("\"a b\"~2^3", "t:\"a b\"~2^3");
    check("title:rust body:(a b)", "(|title:rust |(|body:a |body:b))");
    check("rust* colou?r a*b", "(|t:rust* |t:w(colou?r) |t:w(a*b))");
    check("color~ colour~1", "(|t:color~None |t:colour~Some(1))");
    check("(a OR b)^2.5 c", "(|(|t:a |t:b)^2.5 |t:c)");
    check(r"a\:b \(x", "(|t:a:b |t:(x)");
    check("can't e-mail", "(|t:can't |t:e-mail)");
    check("/ru[sx]t?/ a", "(|t:/ru[sx]t?/ |t:a)");
    check(r"x:/a\/b\d/^2 c/d", r"(|x:/a/b\d/^2 |t:c/d)");
    check("[a TO b] x:{a TO *}", "(|t:[a TO b] |x:{a TO *])");
    check(r#"[* TO "b c"} [\* TO x]"#, "(|t:[* TO b c} |t:[* TO x])");
    check(r"\/a \[b", "(|t:/a |t:[b)");
    check("", "()");
    check("ANDROID ORDER", "(|t:ANDROID |t:ORDER)");
    let and = parse_query("a b -c", &options(Operator::And)).unwrap();
    assert_eq!(show(&and), "(+t:a +t:b -t:c)");
    let two =
        ParseOptions { default_fields: vec!["x".into(), "y".into()], ..ParseOptions::default() };
    assert_eq!(show(&parse_query("a", &two).unwrap()), "(|x:a |y:a)");
}

#[test]
fn mistakes_are_pointed_at() {
    check_error("say \"hello", 4);
    check_error("a (b", 2);
    check_error("a b)", 3);
    check_error("a AND", 5);
    check_error("OR a", 0);
    check_error("a ^x", 2);
    check_error("word^", 4);
    check_error("title:", 6);
    check_error("*", 0);
    check_error("a -", 3);
    check_error("a~7", 1);
    check_error("a /b", 2);
    check_error("a /b(/", 2);
    check_error("a [b", 2);
    check_error("a [b TO c", 2);
    check_error("a [b c]", 2);
    check_error("a [ TO c]", 2);
    check_error("[a TO ]", 6);
    check_error("[\"a TO b]", 1);
    check_error("x \\", 2);
    let error = parse_query("é (b", &options(Operator::Or)).unwrap_err().to_string();
    assert!(error.ends_with("\n  é (b\n    ^"), "{error}");
}

proptest! {
    #[test]
    fn nothing_panics(text in "[ab:()\"~^*?+\\\\!/TO{} \\[\\]1-]{0,30}|\\PC{0,20}|(a (AND|OR|NOT) ){0,5}") {
        for operator in [Operator::Or, Operator::And] {
            if let Err(error) = parse_query(&text, &options(operator)) {
                prop_assert!(error.at <= text.chars().count());
            }
        }
    }
}
