//! Pins the bytes of `docs/format/vector.md`: a build of today gives those of yesterday, on every machine.

use std::fmt::Write;
use std::path::Path;

use infino_format::DocSet;
use infino_format::checksum::crc32c;
use infino_format::schema::{Metric, RerankCodec};
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};

/// Row `i`: small multiples of 1/8, so that they are exact.
fn row(i: u32, dim: usize) -> Vec<f32> {
    let value = |j: u32| (i * 7919 + j * 104_729 + i * j * 31) % 97;
    (0..dim as u32).map(|j| value(j) as f32 / 8.0 - 5.0 + (i % 5) as f32).collect()
}

fn section(metric: Metric, rerank: RerankCodec, dim: usize, rows: u32, nlist: u32) -> Vec<u8> {
    section_of(IvfSpec { rerank, ..IvfSpec::new(dim, metric) }, rows, nlist)
}

fn section_of(spec: IvfSpec, rows: u32, nlist: u32) -> Vec<u8> {
    let (dim, metric) = (spec.dim, spec.metric);
    let spec = IvfSpec { nlist: Some(nlist), seed: 7, ..spec };
    let mut builder = IvfBuilder::new(spec, BuildOptions::default()).unwrap();
    for i in 0..rows {
        let mut row = row(i, dim);
        if metric == Metric::Hamming {
            row.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.0)));
        }
        builder.push(i * 2, &row).unwrap();
    }
    builder.finish().unwrap().0
}

fn check_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let pinned = std::fs::read_to_string(&path).unwrap();
    assert!(found == pinned, "{name} differs from what is pinned");
}

#[test]
fn golden_small_section() {
    let bytes = section(Metric::L2, RerankCodec::Sq8Residual, 16, 11, 2);
    let mut text = String::new();
    for line in bytes.chunks(32) {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    check_golden("small.hex", &text);
}

#[test]
fn golden_checksums() {
    let mut text = String::new();
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for rerank in [RerankCodec::None, RerankCodec::Sq8Residual, RerankCodec::F32] {
            for (dim, rows, nlist) in [(16, 0, 1), (50, 400, 9), (100, 900, 200)] {
                let bytes = section(metric, rerank, dim, rows, nlist);
                let (len, crc) = (bytes.len(), crc32c(&bytes));
                writeln!(text, "{metric:?} {rerank:?} {dim}x{rows}/{nlist}: {len} {crc:08x}")
                    .unwrap();
            }
        }
    }
    for extra_bits in [1, 3, 7] {
        let metric = if extra_bits == 3 { Metric::InnerProduct } else { Metric::L2 };
        let spec = IvfSpec { extra_bits, rerank: RerankCodec::None, ..IvfSpec::new(50, metric) };
        let bytes = section_of(spec, 400, 9);
        let (len, crc) = (bytes.len(), crc32c(&bytes));
        writeln!(text, "{metric:?} {extra_bits} extra bits 50x400/9: {len} {crc:08x}").unwrap();
    }
    let bytes = section_of(IvfSpec::new(64, Metric::Hamming), 400, 9);
    writeln!(text, "Hamming 64x400/9: {} {:08x}", bytes.len(), crc32c(&bytes)).unwrap();
    check_golden("checksums.txt", &text);
}

#[test]
fn golden_section_still_answers() {
    check_answers("small.hex");
}

#[test]
fn golden_section_of_version_1_still_answers() {
    check_answers("small-v1.hex");
}

fn check_answers(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(path).unwrap().replace('\n', "");
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect();
    let index = IvfIndex::resident(bytes.into()).unwrap();
    for i in 0..11 {
        let params = SearchParams { k: 1, exact: true, ..Default::default() };
        let hits = index.search_resident(&row(i, 16), &params, None).unwrap();
        assert_eq!(hits[0].doc, i * 2);
        let mut allowed = DocSet::empty(22);
        allowed.extend((0..22).filter(|doc| doc % 4 == 0));
        let params = SearchParams { k: 5, ..Default::default() };
        let hits = index.search_resident(&row(i, 16), &params, Some(&allowed)).unwrap();
        assert_eq!(hits.len(), 5);
    }
}
