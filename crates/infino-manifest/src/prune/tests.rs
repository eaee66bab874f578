use infino_format::summary::{TextStats, VectorStats};
use infino_format::{RowId, SuperfileId, SuperfileSummary};
use proptest::prelude::*;

use super::*;

const NUMBER: u32 = 1;
const BODY: u32 = 2;
const VECTOR: u32 = 3;

/// A superfile of these rows: a number or null, a term, a vector.
type Rows = Vec<(Option<i64>, u8, [f32; 2])>;

fn entry(id: u128, rows: &Rows) -> Arc<Entry> {
    let numbers = || rows.iter().filter_map(|row| row.0);
    let terms = || rows.iter().map(|row| row.1);
    let mean = |axis: usize| rows.iter().map(|row| row.2[axis]).sum::<f32>() / rows.len() as f32;
    let mean = [mean(0), mean(1)];
    let radius = rows.iter().map(|row| to_centroid(&row.2, &mean, Metric::L2).sqrt());
    let summary = SuperfileSummary {
        id: SuperfileId(id),
        file_len: 1000,
        footer_len: 100,
        footer_crc: 0,
        row_count: rows.len() as u32,
        min_row_id: RowId(0),
        max_row_id: RowId(0),
        columns: vec![ColumnStats {
            field_id: NUMBER,
            null_count: rows.iter().filter(|row| row.0.is_none()).count() as u64,
            min: numbers().min().map(Scalar::Int),
            max: numbers().max().map(Scalar::Int),
            exact: true,
        }],
        text: vec![TextStats {
            field_id: BODY,
            docs: rows.len() as u64,
            tokens: rows.len() as u64,
            min_term: vec![terms().min().unwrap()],
            max_term: vec![terms().max().unwrap()],
        }],
        vectors: vec![VectorStats {
            field_id: VECTOR,
            vectors: rows.len() as u64,
            centroid: mean.to_vec(),
            radius: radius.fold(0.0, f32::max),
        }],
        sections: Vec::new(),
        key: None,
    };
    Arc::new(Entry { summary: Arc::new(summary), deletes: None, built: None })
}

/// Whether a row satisfies a predicate: the definition that pruning must never contradict.
fn satisfies(predicate: &Predicate, value: Option<i64>) -> bool {
    let int = |scalar: &Scalar| match scalar {
        Scalar::Int(value) => *value,
        Scalar::UInt(value) => *value as i64,
        other => panic!("{other:?}"),
    };
    match predicate {
        Predicate::And(all) => all.iter().all(|one| satisfies(one, value)),
        Predicate::Or(any) => any.iter().any(|one| satisfies(one, value)),
        Predicate::Between { min, max, .. } => value.is_some_and(|value| {
            min.as_ref().is_none_or(|min| int(min) <= value)
                && max.as_ref().is_none_or(|max| value <= int(max))
        }),
        Predicate::In { values, .. } => values.iter().any(|one| Some(int(one)) == value),
        Predicate::IsNull { .. } => value.is_none(),
        Predicate::IsNotNull { .. } => value.is_some(),
        Predicate::Unknown => true,
    }
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let scalar =
        || prop_oneof![(-20..20i64).prop_map(Scalar::Int), (0..20u64).prop_map(Scalar::UInt),];
    let leaf = prop_oneof![
        (proptest::option::of(scalar()), proptest::option::of(scalar()))
            .prop_map(|(min, max)| Predicate::Between { field_id: NUMBER, min, max }),
        proptest::collection::vec(scalar(), 0..4)
            .prop_map(|values| Predicate::In { field_id: NUMBER, values }),
        Just(Predicate::IsNull { field_id: NUMBER }),
        Just(Predicate::IsNotNull { field_id: NUMBER }),
        Just(Predicate::Unknown),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Predicate::And),
            proptest::collection::vec(inner, 0..3).prop_map(Predicate::Or),
        ]
    })
}

fn rows() -> impl Strategy<Value = Rows> {
    let number = proptest::option::weighted(0.8, -20..20i64);
    let axis = || -10.0..10.0f32;
    let row = (number, b'a'..=b'z', (axis(), axis()).prop_map(|(x, y)| [x, y]));
    proptest::collection::vec(row, 1..6)
}

proptest! {
    #[test]
    fn a_superfile_with_a_match_is_never_pruned(
        files in proptest::collection::vec(rows(), 1..6),
        predicate in predicate(),
        terms in proptest::collection::vec(b'a'..=b'z', 1..3),
        query in (-15.0..15.0f32, -15.0..15.0f32),
    ) {
        let entries: Vec<_> = (1..).zip(&files).map(|(id, rows)| entry(id, rows)).collect();
        let kept = |kept: &[&Arc<Entry>], at: usize| kept.iter().any(|one| one.id().0 == at as u128 + 1);
        let by_stats = by_stats(&entries, &predicate);
        let terms: Vec<[u8; 1]> = terms.iter().map(|&term| [term]).collect();
        let any = by_terms(&entries, BODY, &terms, false);
        let all = by_terms(&entries, BODY, &terms, true);
        let query = [query.0, query.1];
        let ranked = by_distance(&entries, VECTOR, &query, Metric::L2);
        prop_assert!(ranked.is_sorted_by(|a, b| a.1 <= b.1) && ranked.len() == files.len());
        for (at, rows) in files.iter().enumerate() {
            if rows.iter().any(|row| satisfies(&predicate, row.0)) {
                prop_assert!(kept(&by_stats, at), "{predicate:?} on {rows:?}");
            }
            let held = |term: &[u8; 1]| rows.iter().any(|row| row.1 == term[0]);
            prop_assert!(!terms.iter().any(held) || kept(&any, at));
            prop_assert!(!terms.iter().all(held) || kept(&all, at));
            let bound = ranked.iter().find(|(one, _)| one.id().0 == at as u128 + 1).unwrap().1;
            for row in rows {
                let distance = to_centroid(&row.2, &query, Metric::L2);
                prop_assert!(bound <= distance + 1e-4, "{bound} {distance}");
            }
        }
    }
}

#[test]
fn what_cannot_match_is_pruned() {
    let files: Vec<Rows> = vec![
        vec![(Some(1), b'a', [0.0, 0.0]), (Some(5), b'f', [1.0, 0.0])],
        vec![(Some(10), b'k', [50.0, 0.0])],
        vec![(None, b'x', [0.0, 90.0])],
    ];
    let entries: Vec<_> = (1..).zip(&files).map(|(id, rows)| entry(id, rows)).collect();
    let ids = |kept: Vec<&Arc<Entry>>| kept.iter().map(|entry| entry.id().0).collect::<Vec<_>>();
    let at_least = |min| Predicate::Between { field_id: NUMBER, min: Some(min), max: None };
    assert_eq!(ids(by_stats(&entries, &at_least(Scalar::Int(6)))), [2]);
    assert_eq!(ids(by_stats(&entries, &Predicate::equals(NUMBER, Scalar::Int(3)))), [1]);
    assert_eq!(ids(by_stats(&entries, &Predicate::IsNull { field_id: NUMBER })), [3]);
    assert_eq!(ids(by_stats(&entries, &at_least(Scalar::Text("a".into())))), [1, 2]);
    assert_eq!(ids(by_stats(&entries, &Predicate::equals(77, Scalar::Int(3)))), [1, 2, 3]);
    assert_eq!(ids(by_terms(&entries, BODY, &[b"b"], false)), [1]);
    assert_eq!(ids(by_terms(&entries, BODY, &["b", "k"], false)), [1, 2]);
    assert!(by_terms(&entries, BODY, &["b", "k"], true).is_empty());
    let near = by_distance(&entries, VECTOR, &[49.0, 0.0], Metric::L2);
    assert_eq!(near.iter().map(|(entry, _)| entry.id().0).collect::<Vec<_>>(), [2, 1, 3]);
}
