//! Any vectors: an index of them gives as many rows as there are, each once, nearest first, and exactly the nearest where
//! that is asked for.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use infino_format::DocSet;
use infino_format::fetch::run_resident;
use infino_format::schema::{Metric, RerankCodec};
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams, VectorError};

/// Builds an index of what `data` holds and searches it.
pub fn run(data: &[u8]) {
    // Input that ends too soon is no case.
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let dim = input.int_in_range(16..=24)?;
    let metric = *input.choose(&[Metric::L2, Metric::Cosine, Metric::InnerProduct])?;
    let rerank = *input.choose(&[RerankCodec::None, RerankCodec::Sq8Residual, RerankCodec::F32])?;
    let extra_bits = match rerank {
        RerankCodec::None => input.int_in_range(0..=7)?,
        _ => 0,
    };
    let nlist = match input.int_in_range(0..=6)? {
        0 => None,
        nlist => Some(nlist),
    };
    let tame = input.ratio(3u8, 4u8)?;
    let k = input.int_in_range(1..=50)?;
    let exact = input.arbitrary()?;
    let spec = IvfSpec { rerank, extra_bits, nlist, ..IvfSpec::new(dim, metric) };
    let options = BuildOptions { threads: 0, ..BuildOptions::default() };
    let mut builder = IvfBuilder::new(spec, options).expect("a sound spec");
    let query = vector(input, dim, true)?;
    let mut kept: Vec<(u32, Vec<f32>)> = Vec::new();
    let mut doc = 0;
    while !input.is_empty() && kept.len() < 80 {
        doc += input.int_in_range(1..=3)?;
        let vector = vector(input, dim, tame)?;
        match builder.push(doc, &vector) {
            Ok(()) => kept.push((doc, vector)),
            Err(VectorError::Vector { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let section = Bytes::from(builder.finish().expect("memory takes every write").0);
    let index = IvfIndex::resident(section.clone()).expect("what was just built opens");
    assert_eq!(index.len() as usize, kept.len());
    let odd = kept.iter().map(|&(doc, _)| doc).filter(|doc| doc % 2 == 1).collect::<Vec<_>>();
    let mut allowed = DocSet::empty(doc + 1);
    allowed.extend(odd.iter().copied());
    let params = SearchParams { k, exact, ..SearchParams::default() };
    for allowed in [None, Some(&allowed)] {
        let pass = |doc: u32| allowed.is_none_or(|allowed| allowed.contains(doc));
        let hits = index.search_resident(&query, &params, allowed).expect("a sound section");
        let passing: Vec<&(u32, Vec<f32>)> = kept.iter().filter(|(doc, _)| pass(*doc)).collect();
        assert_eq!(hits.len(), k.min(passing.len()), "as many rows as there are");
        assert!(hits.iter().all(|hit| passing.iter().any(|(doc, _)| *doc == hit.doc)));
        let ordered = hits
            .is_sorted_by(|a, b| a.distance.total_cmp(&b.distance).then(a.doc.cmp(&b.doc)).is_lt());
        assert!(ordered, "nearest first, ties by row: {hits:?}");
        let ranged = index.search(&query, &params, allowed).expect("a sound query");
        let ranged = run_resident(&section, ranged).expect("a sound section");
        // Distances of vectors as wild as these may be no numbers; rows are what must agree.
        let rows =
            |hits: &[infino_vector::Neighbor]| hits.iter().map(|h| h.doc).collect::<Vec<_>>();
        assert_eq!(rows(&ranged), rows(&hits));
        if tame && exact && rerank != RerankCodec::None {
            let mut truth: Vec<f64> =
                passing.iter().map(|(_, vector)| distance(metric, &query, vector)).collect();
            truth.sort_by(f64::total_cmp);
            for (hit, truth) in hits.iter().zip(truth) {
                let slack = 2e-3 * (1.0 + truth.abs());
                assert!((f64::from(hit.distance) - truth).abs() < slack, "{hit:?} is not {truth}");
            }
        }
    }
    Ok(())
}

/// Few distinct values if `tame`, so that distances tie and are exact enough to compare; else any floats.
fn vector(input: &mut Unstructured<'_>, dim: usize, tame: bool) -> Result<Vec<f32>> {
    let wild = |input: &mut Unstructured<'_>| Ok(f32::from_bits(input.arbitrary()?));
    let small = |input: &mut Unstructured<'_>| Ok(f32::from(input.int_in_range(-2..=2i8)?) + 0.25);
    (0..dim).map(|_| if tame { small(input) } else { wild(input) }).collect()
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
