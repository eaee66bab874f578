//! Kinds of vectors and payload beside the usual.

use bytes::Bytes;
use infino_format::schema::{Metric, RerankCodec};

use super::{METRICS, brute_force, build, clustered, doc, recall, search, spec, vectors};
use crate::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams, Vector, VectorError};

#[test]
fn extra_bits_find_most_neighbours() {
    let rows = clustered(6000, 96, 13);
    let queries = clustered(6060, 96, 13).split_off(6000);
    for metric in METRICS {
        let mut last = 0.0;
        for extra_bits in [0, 3, 6] {
            let spec = IvfSpec { extra_bits, ..spec(96, metric, RerankCodec::None) };
            let section: Bytes = build(spec, BuildOptions::default(), &rows).0.into();
            let index = IvfIndex::resident(section.clone()).unwrap();
            let mean = queries
                .iter()
                .map(|query| {
                    let hits = search(&index, query, &SearchParams::default(), None, &section);
                    recall(&hits, &brute_force(metric, &rows, query, 10, None))
                })
                .sum::<f64>()
                / queries.len() as f64;
            assert!(mean > last, "recall {mean} after {last}, {metric:?} {extra_bits} extra bits");
            last = mean;
            if extra_bits == 3 {
                assert!(mean > 0.9, "recall {mean}, {metric:?}");
                let filler = (rows.len() * (96 / 2 + 24)) as u64 + 20_000;
                assert!(index.section_len() < filler, "{} bytes", index.section_len());
            }
        }
        assert!(last > 0.95, "recall {last}, {metric:?}");
    }
}

#[test]
fn bits_are_as_near_as_few_of_them_differ() {
    let rows = vectors(Metric::Hamming, &clustered(3000, 128, 14));
    let spec = IvfSpec::new(128, Metric::Hamming);
    let (section, _) = build(spec.clone(), BuildOptions::default(), &rows);
    let mut packed = IvfBuilder::new(spec, BuildOptions::default()).unwrap();
    for (i, row) in rows.iter().enumerate() {
        let mut bits = Vec::new();
        crate::payload::encode_bits(row, &mut bits);
        packed.push_vector(doc(i), Vector::Bits(&bits)).unwrap();
    }
    assert!(packed.finish().unwrap().0 == section, "packed or not");
    let section = Bytes::from(section);
    let index = IvfIndex::resident(section.clone()).unwrap();
    let mut found = 0.0;
    for query in rows.iter().step_by(100) {
        let truth = brute_force(Metric::L2, &rows, query, 20, None);
        let exact = SearchParams { k: 20, exact: true, ..Default::default() };
        assert_eq!(search(&index, query, &exact, None, &section), truth);
        let hits = search(&index, query, &SearchParams::default(), None, &section);
        // Distances tie, so that other rows may be as near.
        let far = truth[9].distance;
        found += hits.iter().filter(|hit| hit.distance <= far).count() as f64 / 300.0;
    }
    assert!(found > 0.9, "recall {found}");
    let half = vec![0.5; 128];
    let refused = index.search_resident(&half, &SearchParams::default(), None);
    assert!(matches!(refused, Err(VectorError::Query { .. })));
}

#[test]
fn every_type_of_vector_is_the_same_index() {
    let rows: Vec<Vec<i8>> = (0..200)
        .map(|i| (0..16).map(|j| ((i * 31 + j * 17) % 255 - 127) as i8).collect())
        .collect();
    let spec = IvfSpec::new(16, Metric::L2);
    let build = |push: &dyn Fn(&mut IvfBuilder, u32, &[i8])| {
        let mut builder = IvfBuilder::new(spec.clone(), BuildOptions::default()).unwrap();
        (0..).zip(&rows).for_each(|(doc, row)| push(&mut builder, doc, row));
        builder.finish().unwrap().0
    };
    let floats = |row: &[i8]| row.iter().map(|&x| f32::from(x)).collect::<Vec<f32>>();
    let bytes = build(&|builder, doc, row| builder.push_vector(doc, Vector::I8(row)).unwrap());
    let plain = build(&|builder, doc, row| builder.push(doc, &floats(row)).unwrap());
    let f32s =
        build(&|builder, doc, row| builder.push_vector(doc, Vector::F32(&floats(row))).unwrap());
    assert!(bytes == plain && f32s == plain);
}
