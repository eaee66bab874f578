//! Tests over whole indexes, against brute force.

mod kinds;

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::{Metric, RerankCodec};
use infino_format::{DocSet, Fetch, Step};

use crate::random::SplitMix64;
use crate::{
    BuildOptions, Built, IvfBuilder, IvfIndex, IvfSpec, Neighbor, SearchParams, VectorError,
};

const METRICS: [Metric; 3] = [Metric::L2, Metric::Cosine, Metric::InnerProduct];
const CODECS: [RerankCodec; 3] = [RerankCodec::None, RerankCodec::Sq8Residual, RerankCodec::F32];

/// A spec of each kind of section.
fn specs(dim: usize) -> Vec<IvfSpec> {
    let mut specs: Vec<_> = CODECS.map(|rerank| spec(dim, Metric::L2, rerank)).into();
    for metric in METRICS {
        specs.push(IvfSpec { extra_bits: 3, ..spec(dim, metric, RerankCodec::None) });
    }
    specs.push(spec(dim, Metric::Hamming, RerankCodec::Sq8Residual));
    specs
}

/// Vectors for a metric: those under Hamming distance are bits.
fn vectors(metric: Metric, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let bit = |x: &f32| f32::from(u8::from(*x > 1.0));
    match metric {
        Metric::Hamming => rows.iter().map(|row| row.iter().map(bit).collect()).collect(),
        _ => rows.to_vec(),
    }
}

/// Clusters of different sizes and widths, away from the origin.
fn clustered(rows: usize, dim: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = SplitMix64::new(seed, 77);
    let mut uniform = move || random.below(1 << 24) as f32 / (1 << 24) as f32;
    let centres: Vec<Vec<f32>> =
        (0..20).map(|_| (0..dim).map(|_| 4.0 * uniform() - 1.0).collect()).collect();
    (0..rows)
        .map(|_| {
            let centre = &centres[(uniform() * uniform() * 20.0) as usize];
            centre.iter().map(|c| c + uniform() + uniform() - 1.0).collect()
        })
        .collect()
}

fn spec(dim: usize, metric: Metric, rerank: RerankCodec) -> IvfSpec {
    IvfSpec { rerank, ..IvfSpec::new(dim, metric) }
}

/// Every third row has no vector.
fn doc(i: usize) -> u32 {
    (i + i / 2) as u32
}

fn build(spec: IvfSpec, options: BuildOptions, rows: &[Vec<f32>]) -> (Vec<u8>, Built) {
    let mut builder = IvfBuilder::new(spec, options).unwrap();
    for (i, row) in rows.iter().enumerate() {
        builder.push(doc(i), row).unwrap();
    }
    builder.finish().unwrap()
}

fn index(spec: IvfSpec, rows: &[Vec<f32>]) -> IvfIndex {
    IvfIndex::resident(build(spec, BuildOptions::default(), rows).0.into()).unwrap()
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    (match metric {
        Metric::InnerProduct => -dot(a, b),
        Metric::Cosine => 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        _ => a.iter().zip(b).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum(),
    }) as f32
}

fn brute_force(
    metric: Metric,
    rows: &[Vec<f32>],
    query: &[f32],
    k: usize,
    allowed: Option<&DocSet>,
) -> Vec<Neighbor> {
    let mut hits: Vec<Neighbor> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| Neighbor { doc: doc(i), distance: distance(metric, query, row) })
        .filter(|hit| allowed.is_none_or(|allowed| allowed.contains(hit.doc)))
        .collect();
    hits.sort_by(Neighbor::order);
    hits.truncate(k);
    hits
}

fn docs(hits: &[Neighbor]) -> Vec<u32> {
    hits.iter().map(|hit| hit.doc).collect()
}

fn recall(found: &[Neighbor], truth: &[Neighbor]) -> f64 {
    let truth = docs(truth);
    let found = found.iter().filter(|hit| truth.contains(&hit.doc)).count();
    found as f64 / truth.len() as f64
}

/// Searches by both ways in and checks that they agree.
fn search(
    index: &IvfIndex,
    query: &[f32],
    params: &SearchParams,
    allowed: Option<&DocSet>,
    section: &Bytes,
) -> Vec<Neighbor> {
    let hits = index.search_resident(query, params, allowed).unwrap();
    let fetched = run_resident(section, index.search(query, params, allowed).unwrap()).unwrap();
    assert_eq!(hits, fetched);
    assert!(hits.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt()), "ascending, distinct");
    hits
}

#[test]
fn exact_search_is_exact() {
    let rows = clustered(700, 33, 1);
    for metric in METRICS {
        for rerank in [RerankCodec::Sq8Residual, RerankCodec::F32] {
            let section: Bytes =
                build(spec(33, metric, rerank), BuildOptions::default(), &rows).0.into();
            let index = IvfIndex::resident(section.clone()).unwrap();
            for query in rows.iter().step_by(70) {
                let params = SearchParams { k: 20, exact: true, ..Default::default() };
                let hits = search(&index, query, &params, None, &section);
                let truth = brute_force(metric, &rows, query, 20, None);
                if rerank == RerankCodec::F32 {
                    assert_eq!(docs(&hits), docs(&truth));
                }
                let scale = truth[19].distance.abs() + 1e-3;
                for (hit, truth) in hits.iter().zip(&truth) {
                    assert!(
                        (hit.distance - truth.distance).abs() < 1e-3 * scale,
                        "{hit:?} {truth:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn recall_follows_the_target() {
    let rows = clustered(6000, 48, 2);
    let queries = clustered(6100, 48, 2).split_off(6000);
    for metric in METRICS {
        for rerank in CODECS {
            let section: Bytes =
                build(spec(48, metric, rerank), BuildOptions::default(), &rows).0.into();
            let index = IvfIndex::resident(section.clone()).unwrap();
            for target in [0.9, 0.99] {
                let params = SearchParams { target_recall: Some(target), ..Default::default() };
                let mean = queries
                    .iter()
                    .map(|query| {
                        let hits = search(&index, query, &params, None, &section);
                        recall(&hits, &brute_force(metric, &rows, query, 10, None))
                    })
                    .sum::<f64>()
                    / queries.len() as f64;
                // Codes alone rank 48 dimensions coarsely.
                let floor =
                    if rerank == RerankCodec::None { 0.3 } else { f64::from(target) - 0.02 };
                assert!(mean >= floor, "recall {mean} of {target}, {metric:?} {rerank:?}");
            }
        }
    }
}

#[test]
fn a_filter_comes_before_the_ranking() {
    let rows = clustered(4000, 32, 3);
    let all = doc(rows.len());
    for metric in METRICS {
        for rerank in CODECS {
            let section: Bytes =
                build(spec(32, metric, rerank), BuildOptions::default(), &rows).0.into();
            let index = IvfIndex::resident(section.clone()).unwrap();
            for every in [2, 3, 40, 900] {
                let mut allowed = DocSet::empty(all);
                allowed.extend((0..rows.len()).map(doc).filter(|doc| doc % every == 1));
                let here = allowed.len() as usize;
                let mut found = 0.0;
                for query in rows.iter().step_by(100) {
                    for params in [
                        SearchParams::default(),
                        SearchParams { nprobe: Some(1), k: 50, ..Default::default() },
                        SearchParams { exact: true, k: 5000, ..Default::default() },
                    ] {
                        let hits = search(&index, query, &params, Some(&allowed), &section);
                        assert_eq!(hits.len(), params.k.min(here));
                        assert!(hits.iter().all(|hit| allowed.contains(hit.doc)));
                        if params.k == 10 {
                            let truth = brute_force(metric, &rows, query, 10, Some(&allowed));
                            found += recall(&hits, &truth) / 40.0;
                        }
                    }
                }
                let floor = if rerank == RerankCodec::None { 0.3 } else { 0.9 };
                assert!(found >= floor, "recall {found} at 1 in {every}, {metric:?} {rerank:?}");
            }
        }
    }
}

#[test]
fn bytes_depend_on_spec_and_vectors_alone() {
    let rows = clustered(1500, 20, 4);
    for rerank in CODECS {
        let spec = spec(20, Metric::Cosine, rerank);
        let (plain, built) = build(spec.clone(), BuildOptions::default(), &rows);
        assert_eq!(built.len, plain.len() as u64);
        let dir = std::env::temp_dir().join(format!("infino-vector-{}", std::process::id()));
        let scratch = dir.join(format!("{rerank:?}"));
        for (threads, spill_bytes) in [(1, 0), (2, 20_000), (3, usize::MAX)] {
            let options = BuildOptions { spill_bytes, scratch_dir: Some(scratch.clone()), threads };
            let mut builder = IvfBuilder::new(spec.clone(), options).unwrap();
            for (i, row) in rows.iter().enumerate() {
                builder.push(doc(i), row).unwrap();
            }
            let mut out = Vec::new();
            assert_eq!(builder.finish_to(&mut out).unwrap(), built);
            assert!(out == plain, "{threads} threads, {spill_bytes} bytes of spill");
        }
        assert!(!scratch.exists(), "scratch is gone");
        let _ = std::fs::remove_dir(dir);
    }
}

#[test]
fn degenerate_inputs_have_an_answer() {
    let params = SearchParams { k: 7, ..Default::default() };
    for metric in METRICS {
        for rerank in CODECS {
            let spec = spec(16, metric, rerank);
            let nothing = index(spec.clone(), &[]);
            assert_eq!((nothing.len(), nothing.nlist()), (0, 0));
            assert_eq!(nothing.search_resident(&[1.0; 16], &params, None).unwrap(), []);
            let exact = SearchParams { exact: true, ..params.clone() };
            assert_eq!(nothing.search_resident(&[1.0; 16], &exact, None).unwrap(), []);

            let one = index(spec.clone(), &[vec![2.0; 16]]);
            assert_eq!(docs(&one.search_resident(&[1.0; 16], &params, None).unwrap()), [0]);

            let same = index(spec.clone(), &vec![vec![3.0; 16]; 500]);
            let hits = same.search_resident(&[1.0; 16], &params, None).unwrap();
            assert_eq!(docs(&hits), (0..7).map(doc).collect::<Vec<_>>(), "ties go by row");

            let few = IvfSpec { nlist: Some(50), ..spec };
            let few = index(few, &clustered(9, 16, 5));
            assert_eq!(few.search_resident(&[1.0; 16], &params, None).unwrap().len(), 7);
        }
    }
}

#[test]
fn the_mean_and_radius_cover_every_vector() {
    let rows = clustered(300, 24, 6);
    for metric in METRICS {
        let (_, built) = build(spec(24, metric, RerankCodec::None), BuildOptions::default(), &rows);
        let mut most = 0.0f32;
        for row in &rows {
            let norm = distance(Metric::InnerProduct, row, row).abs().sqrt();
            let scale = if metric == Metric::Cosine { 1.0 / norm } else { 1.0 };
            let scaled: Vec<f32> = row.iter().map(|x| x * scale).collect();
            most = most.max(distance(Metric::L2, &scaled, &built.centroid).sqrt());
        }
        assert!(most <= built.radius && built.radius < 1.001 * most);
    }
}

#[test]
fn refused_vectors_leave_the_builder_usable() {
    let mut builder =
        IvfBuilder::new(IvfSpec::new(16, Metric::Cosine), BuildOptions::default()).unwrap();
    builder.push(4, &[1.0; 16]).unwrap();
    let mut nan = [1.0; 16];
    nan[3] = f32::NAN;
    for (doc, vector) in [
        (4, &[1.0f32; 16][..]),
        (2, &[1.0; 16]),
        (5, &[1.0; 15]),
        (5, &[0.0; 16]),
        (5, &[f32::INFINITY; 16]),
        (5, &nan),
        (5, &[1e30; 16]),
        (u32::MAX, &[1.0; 16]),
    ] {
        assert!(matches!(builder.push(doc, vector), Err(VectorError::Vector { .. })), "{vector:?}");
    }
    builder.push(5, &[2.0; 16]).unwrap();
    let index = IvfIndex::resident(builder.finish().unwrap().0.into()).unwrap();
    let hits = index.search_resident(&[1.0; 16], &SearchParams::default(), None).unwrap();
    assert_eq!(docs(&hits), [4, 5]);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for spec in [
        IvfSpec::new(15, Metric::L2),
        IvfSpec::new(4097, Metric::L2),
        IvfSpec::new(63, Metric::Hamming),
        IvfSpec { nlist: Some(0), ..IvfSpec::new(16, Metric::L2) },
        IvfSpec { nlist: Some(100_000), ..IvfSpec::new(16, Metric::L2) },
        IvfSpec { target_recall: f32::NAN, ..IvfSpec::new(16, Metric::L2) },
        IvfSpec { extra_bits: 2, ..IvfSpec::new(16, Metric::L2) },
        IvfSpec { extra_bits: 8, ..spec(16, Metric::L2, RerankCodec::None) },
    ] {
        let refused = IvfBuilder::new(spec, BuildOptions::default());
        assert!(matches!(refused, Err(VectorError::Spec { .. })));
    }
    let (section, built) =
        build(IvfSpec::new(16, Metric::Cosine), BuildOptions::default(), &clustered(100, 16, 7));
    let section = Bytes::from(section);
    let index = IvfIndex::resident(section.clone()).unwrap();
    let fine = SearchParams::default;
    for (query, params) in [
        (vec![1.0; 17], fine()),
        (vec![f32::NAN; 16], fine()),
        (vec![0.0; 16], fine()),
        (vec![1.0; 16], SearchParams { k: 0, ..fine() }),
        (vec![1.0; 16], SearchParams { nprobe: Some(0), ..fine() }),
        (vec![1.0; 16], SearchParams { target_recall: Some(1.5), ..fine() }),
        (vec![1.0; 16], SearchParams { within: Some(f32::NAN), ..fine() }),
        (vec![1.0; 16], SearchParams { bound: Some(f32::NAN), ..fine() }),
    ] {
        let refused = index.search_resident(&query, &params, None);
        assert!(matches!(refused, Err(VectorError::Query { .. })), "{params:?}");
    }
    let opened = IvfIndex::open(section.slice(..built.open_len as usize), built.len).unwrap();
    assert!(matches!(
        opened.search_resident(&[1.0; 16], &fine(), None),
        Err(VectorError::NotResident)
    ));
    let huge = SearchParams { k: usize::MAX, nprobe: Some(u32::MAX), ..fine() };
    assert_eq!(index.search_resident(&[1.0; 16], &huge, None).unwrap().len(), 100);
}

#[test]
fn a_search_over_ranges_takes_two_rounds() {
    let rows = clustered(5000, 32, 8);
    let (section, built) = build(IvfSpec::new(32, Metric::L2), BuildOptions::default(), &rows);
    let section = Bytes::from(section);
    let index = IvfIndex::open(section.slice(..built.open_len as usize), built.len).unwrap();
    let mut search = index.search(&rows[17], &SearchParams::default(), None).unwrap();
    let (mut rounds, mut bytes) = (0, Vec::new());
    let hits = loop {
        match search.step(bytes).unwrap() {
            Step::Done(hits) => break hits,
            Step::Ranges(ranges) => {
                rounds += 1;
                bytes = ranges
                    .iter()
                    .map(|range| section.slice(range.start as usize..range.end as usize))
                    .collect();
            }
        }
    };
    assert_eq!((rounds, hits[0].doc), (2, doc(17)));
}

#[test]
fn every_flipped_byte_is_an_error_or_the_same_answer() {
    for spec in specs(16) {
        let rows = vectors(spec.metric, &clustered(90, 16, 9));
        let spec = IvfSpec { nlist: Some(3), ..spec };
        let section = build(spec, BuildOptions::default(), &rows).0;
        let probe = SearchParams { k: 5, nprobe: Some(2), ..Default::default() };
        let exact = SearchParams { k: 5, exact: true, ..Default::default() };
        let ask = |section: Vec<u8>| -> Result<_, VectorError> {
            let section = Bytes::from(section);
            let index = IvfIndex::resident(section.clone())?;
            let ranged = index.search(&rows[3], &probe, None)?;
            Ok([
                index.search_resident(&rows[3], &probe, None)?,
                index.search_resident(&rows[3], &exact, None)?,
                run_resident(&section, ranged)?,
            ])
        };
        let truth = ask(section.clone()).unwrap();
        for at in 0..section.len() {
            let mut flipped = section.clone();
            flipped[at] ^= 1 << (at % 8);
            match ask(flipped) {
                Ok(answer) => assert_eq!(answer, truth, "byte {at}"),
                Err(error) => {
                    assert!(matches!(error, VectorError::Corrupt(_)), "byte {at}: {error}")
                }
            }
            assert!(IvfIndex::resident(section[..at].to_vec().into()).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn a_greatest_distance_leaves_the_rest_out() {
    let rows = clustered(800, 24, 10);
    for metric in METRICS {
        for rerank in CODECS {
            let index = index(spec(24, metric, rerank), &rows);
            let all = SearchParams { k: 800, exact: true, ..Default::default() };
            let mut hits = index.search_resident(&rows[5], &all, None).unwrap();
            let within = Some(hits[30].distance);
            hits.retain(|hit| Some(hit.distance) <= within);
            let near = SearchParams { within, ..all };
            assert_eq!(index.search_resident(&rows[5], &near, None).unwrap(), hits);
            let probed = SearchParams { exact: false, nprobe: Some(u32::MAX), ..near };
            let found = index.search_resident(&rows[5], &probed, None).unwrap();
            assert!(found.iter().all(|hit| Some(hit.distance) <= within));
            let codes_alone = rerank == RerankCodec::None;
            assert!(codes_alone || found.len() + 2 >= hits.len(), "{} rows", found.len());
        }
    }
}

#[test]
fn a_batch_answers_as_its_queries_do() {
    let rows = clustered(500, 20, 11);
    let index = index(IvfSpec::new(20, Metric::Cosine), &rows);
    let params = SearchParams::default();
    let batch = index.search_batch(&rows[..40].concat(), &params, None).unwrap();
    for (query, hits) in rows.iter().zip(&batch) {
        assert_eq!(&index.search_resident(query, &params, None).unwrap(), hits);
    }
    assert!(matches!(
        index.search_batch(&[1.0; 30], &params, None),
        Err(VectorError::Query { .. })
    ));
}

#[test]
fn a_file_answers_as_its_bytes_do() {
    let rows = clustered(300, 16, 12);
    let (section, _) = build(IvfSpec::new(16, Metric::L2), BuildOptions::default(), &rows);
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(IvfIndex::open_file(file.path()), Err(VectorError::Corrupt(_))), "empty");
    std::fs::write(file.path(), &section).unwrap();
    let mapped = IvfIndex::open_file(file.path()).unwrap();
    let held = IvfIndex::resident(section.into()).unwrap();
    let params = SearchParams::default();
    let ask = |index: &IvfIndex| index.search_resident(&rows[3], &params, None).unwrap();
    assert_eq!(ask(&mapped), ask(&held));
    let missing = file.path().join("missing");
    assert!(matches!(IvfIndex::open_file(missing), Err(VectorError::File { .. })));
}

#[test]
fn scratch_space_that_fails_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let scratch_dir = Some(file.path().to_path_buf());
    let options = BuildOptions { spill_bytes: 0, scratch_dir, threads: 1 };
    let mut builder = IvfBuilder::new(IvfSpec::new(16, Metric::L2), options).unwrap();
    builder.push(0, &[1.0; 16]).unwrap();
    let refused = builder.finish();
    assert!(matches!(refused, Err(VectorError::Scratch { path, .. }) if path == file.path()));
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let rows = clustered(200, 16, 15);
    for room in [0, 100, 5_000] {
        let scratch_dir = Some(dir.path().join("scratch"));
        let options = BuildOptions { spill_bytes: 0, scratch_dir, threads: 1 };
        let mut builder = IvfBuilder::new(IvfSpec::new(16, Metric::L2), options).unwrap();
        (0..).zip(&rows).for_each(|(doc, row)| builder.push(doc, row).unwrap());
        assert!(matches!(builder.finish_to(&mut Full(room)), Err(VectorError::Write(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "scratch is gone");
    }
}
