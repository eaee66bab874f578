//! Whatever is built and asked: as many rows as there are, each allowed, each once, nearest first, and exactly the nearest
//! where that is asked for.

use infino_format::DocSet;
use infino_format::fetch::run_resident;
use infino_format::schema::{Metric, RerankCodec};
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};
use proptest::prelude::*;

fn metric() -> impl Strategy<Value = Metric> {
    prop_oneof![Just(Metric::L2), Just(Metric::Cosine), Just(Metric::InnerProduct)]
}

fn rerank() -> impl Strategy<Value = RerankCodec> {
    prop_oneof![Just(RerankCodec::None), Just(RerankCodec::Sq8Residual), Just(RerankCodec::F32)]
}

/// Few distinct values, so that rows repeat and distances tie; never all zero.
fn rows(dim: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    let row = prop::collection::vec(-2i8..=2, dim)
        .prop_map(|row| row.into_iter().map(|x| f32::from(x) + 0.25).collect());
    prop::collection::vec(row, 0..150)
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    match metric {
        Metric::InnerProduct => -dot(a, b),
        Metric::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        _ => a.iter().zip(b).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_sound(
        (rows, query) in (16usize..40).prop_flat_map(|dim| {
            (rows(dim), prop::collection::vec(0.1f32..3.0, dim))
        }),
        metric in metric(),
        rerank in rerank(),
        extra_bits in prop_oneof![Just(0u8), 1..=7u8],
        nlist in prop::option::of(1u32..20),
        gap in 1u32..4,
        k in 1usize..60,
        nprobe in prop::option::of(1u32..5),
        exact: bool,
        filter in prop::option::of(prop::collection::vec(any::<bool>(), 700)),
    ) {
        let extra_bits = if rerank == RerankCodec::None { extra_bits } else { 0 };
        let spec = IvfSpec { rerank, extra_bits, nlist, ..IvfSpec::new(query.len(), metric) };
        let mut builder = IvfBuilder::new(spec, BuildOptions::default()).unwrap();
        for (i, row) in rows.iter().enumerate() {
            builder.push(i as u32 * gap, row).unwrap();
        }
        let section = bytes::Bytes::from(builder.finish().unwrap().0);
        let index = IvfIndex::resident(section.clone()).unwrap();
        let allowed = filter.map(|filter| {
            let mut allowed = DocSet::empty(filter.len() as u32);
            allowed.extend((0..).zip(filter).filter(|(_, pass)| *pass).map(|(doc, _)| doc));
            allowed
        });
        let params = SearchParams { k, nprobe, exact, ..Default::default() };
        let hits = index.search_resident(&query, &params, allowed.as_ref()).unwrap();
        let passing: Vec<u32> = (0..rows.len() as u32)
            .map(|i| i * gap)
            .filter(|&doc| allowed.as_ref().is_none_or(|allowed| allowed.contains(doc)))
            .collect();
        prop_assert_eq!(hits.len(), k.min(passing.len()));
        prop_assert!(hits.iter().all(|hit| passing.contains(&hit.doc)), "only rows that pass");
        let ordered = hits
            .windows(2)
            .all(|pair| (pair[0].distance, pair[0].doc) < (pair[1].distance, pair[1].doc));
        prop_assert!(ordered, "nearest first, ties by row");
        let ranged = index.search(&query, &params, allowed.as_ref()).unwrap();
        prop_assert_eq!(&run_resident(&section, ranged).unwrap(), &hits);
        if exact && rerank != RerankCodec::None {
            let of = |doc: u32| distance(metric, &query, &rows[(doc / gap) as usize]);
            let mut truth: Vec<f64> = passing.iter().map(|&doc| of(doc)).collect();
            truth.sort_by(f64::total_cmp);
            for (hit, truth) in hits.iter().zip(truth) {
                let slack = 2e-3 * (1.0 + truth.abs());
                prop_assert!((f64::from(hit.distance) - truth).abs() < slack);
                prop_assert!((of(hit.doc) - truth).abs() < slack);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        magic: bool,
    ) {
        if magic && bytes.len() >= 6 {
            bytes[..6].copy_from_slice(b"IVEC\x01\x00");
        }
        let opened = IvfIndex::resident(bytes.into());
        prop_assert!(opened.is_err());
    }
}
