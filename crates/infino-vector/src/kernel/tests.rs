//! Every width that this CPU has gives the scalar result, bit for bit.

use super::*;
use crate::random::SplitMix64;

fn bytes(random: &mut SplitMix64, len: usize) -> Vec<u8> {
    (0..len).map(|_| random.next() as u8).collect()
}

fn floats(random: &mut SplitMix64, len: usize) -> Vec<f32> {
    (0..len).map(|_| (random.below(2_000_001) as f32 - 1e6) * 3.1e-6).collect()
}

/// Calls a kernel at every width there is and compares what `$run` says of it.
macro_rules! check_widths {
    ($run:ident) => {{
        let expected = $run!(scalar,);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(cpu) = avx2::Avx2::detect() {
                assert_eq!($run!(avx2, cpu,), expected, "AVX2");
            }
            if let Some(cpu) = avx512::Avx512::detect() {
                assert_eq!($run!(avx512, cpu,), expected, "AVX-512");
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(cpu) = neon::Neon::detect() {
            assert_eq!($run!(neon, cpu,), expected, "NEON");
        }
    }};
}

#[test]
fn block_scans_agree() {
    let mut random = SplitMix64::new(1, 1);
    for code_len in [1, 2, 3, 16, 33, 96, 512] {
        for width in (8..=64).step_by(8) {
            let codes = bytes(&mut random, code_len * width);
            let cap = (65_535 / (2 * code_len)).min(63) as u64;
            let table: Vec<u8> = (0..code_len * 32).map(|_| random.below(cap + 1) as u8).collect();
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {{
                    let mut sums = [7; BLOCK_ROWS];
                    $module::scan_block($($cpu,)? &codes, width, &table, &mut sums);
                    sums[..width].to_vec()
                }};
            }
            check_widths!(run);
        }
    }
}

#[test]
fn bounds_agree() {
    let mut random = SplitMix64::new(2, 1);
    for width in (8..=64).step_by(8) {
        let sums: [u16; BLOCK_ROWS] = std::array::from_fn(|_| random.next() as u16);
        let le = |x: Vec<f32>| x.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let (adds, muls) = (le(floats(&mut random, width)), le(floats(&mut random, width)));
        let bounding = Bounding { base: 0.3, error: 0.7, delta: 1.3e-4, total: 40_000, worst: 1.0 };
        macro_rules! run {
            ($module:ident, $($cpu:ident,)?) => {{
                let mut lowers = [0.0; BLOCK_ROWS];
                let mask =
                    $module::lower_bounds($($cpu,)? &sums, &adds, &muls, &bounding, &mut lowers);
                (mask, lowers[..width].to_vec())
            }};
        }
        check_widths!(run);
    }
}

#[test]
fn float_sums_agree() {
    let mut random = SplitMix64::new(3, 1);
    for dim in [1, 16, 17, 31, 32, 33, 50, 64, 100, 383, 384, 1000] {
        let (a, b) = (floats(&mut random, dim), floats(&mut random, dim));
        let code = bytes(&mut random, 2 * dim);
        macro_rules! run {
            ($module:ident, $($cpu:ident,)?) => {
                [
                    $module::dot($($cpu,)? &a, &b),
                    $module::l2($($cpu,)? &a, &b),
                    $module::dot_sq($($cpu,)? &a, &code, 0.01),
                    $module::l2_sq($($cpu,)? &a, &code, 0.01),
                    $module::dot_bytes($($cpu,)? &a, &code[..dim], 0.01),
                    $module::l2_bytes($($cpu,)? &a, &code[..dim], 0.01),
                ]
                .map(f32::to_bits)
            };
        }
        check_widths!(run);
    }
}

#[test]
fn panels_agree() {
    let mut random = SplitMix64::new(4, 1);
    for width in [4, 16, 20, 384] {
        for (height, panels) in [(1, 1), (4, 2), (5, 3), (9, 1), (17, 4)] {
            let mut rows: Vec<i8> = bytes(&mut random, height * width)
                .into_iter()
                .map(|byte| (byte as i8).max(-127))
                .collect();
            let mut panels: Vec<u8> = bytes(&mut random, panels * PANEL * width);
            panels.iter_mut().for_each(|byte| *byte &= 127);
            // The most that two products can come to.
            rows[..2].fill(-127);
            panels[..2].fill(127);
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {{
                    let mut out = vec![0; height * panels.len() / width];
                    $module::dot_panels($($cpu,)? &rows, width, &panels, &mut out);
                    out
                }};
            }
            check_widths!(run);
        }
    }
}

#[test]
fn bytes_of_floats_agree() {
    let mut random = SplitMix64::new(9, 1);
    for dim in [1, 7, 8, 16, 19, 40, 384, 1001] {
        let (row, origin) = (floats(&mut random, dim), floats(&mut random, dim));
        let half: Vec<f32> =
            (0..dim).map(|i| if i == 0 { 127.0 } else { i as f32 - 5.5 }).collect();
        for (row, origin) in [(&row, &origin), (&row, &row), (&half, &vec![0.0; dim])] {
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {{
                    let mut out = vec![7; dim.next_multiple_of(QUAD)];
                    ($module::to_bytes($($cpu,)? row, origin, &mut out), out)
                }};
            }
            check_widths!(run);
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {{
                    let mut code = vec![7; dim.div_ceil(8)];
                    let sums = $module::signs($($cpu,)? row, origin, &mut code);
                    let (mut sq, mut back) = (vec![7; 2 * dim], vec![7.0; dim]);
                    $module::sq_of_floats($($cpu,)? row, 1e-4, &mut sq);
                    $module::floats_of_sq($($cpu,)? &sq, 0.3, &mut back);
                    (sums.map(f32::to_bits), code, sq, back)
                }};
            }
            check_widths!(run);
        }
    }
}

#[test]
fn byte_products_agree() {
    let mut random = SplitMix64::new(5, 1);
    for dim in [1, 16, 63, 64, 65, 100, 768, 4096] {
        for rows in [1, 3, 4, 9] {
            let query: Vec<i8> = bytes(&mut random, dim).into_iter().map(|x| x as i8).collect();
            let rows = bytes(&mut random, rows * dim);
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {{
                    let mut out = vec![0; rows.len() / dim];
                    $module::dot_i8($($cpu,)? &query, &rows, &mut out);
                    out
                }};
            }
            check_widths!(run);
        }
    }
}

#[test]
fn code_products_agree() {
    let mut random = SplitMix64::new(7, 1);
    for dim in [16, 17, 31, 64, 100, 384, 1000] {
        let query = floats(&mut random, dim);
        let (centroid, signs) = (bytes(&mut random, dim), bytes(&mut random, dim.div_ceil(8)));
        for bits in 1..=7 {
            let code = bytes(&mut random, bits * signs.len());
            macro_rules! run {
                ($module:ident, $($cpu:ident,)?) => {
                    (
                        $module::dot_extended($($cpu,)? &query, &centroid, 0.02, &signs, &code)
                            .to_bits(),
                        $module::hamming($($cpu,)? &centroid, &centroid.iter().rev().copied().collect::<Vec<_>>()),
                    )
                };
            }
            check_widths!(run);
        }
    }
}

/// `cargo test --release -p infino-vector --lib -- --ignored --nocapture kernel_times`
#[test]
#[ignore = "it measures, and asserts nothing"]
#[expect(clippy::print_stdout, reason = "what it measures is to be seen")]
fn kernel_times() {
    // Codes of 4,000 rows of 1,024 dimensions stay in the second cache.
    let (code_len, blocks, rounds) = (128, 63, 300);
    let mut random = SplitMix64::new(8, 1);
    let codes = bytes(&mut random, code_len * BLOCK_ROWS * blocks);
    let table: Vec<u8> = (0..code_len * 32).map(|_| random.below(64) as u8).collect();
    let factors: Vec<u8> =
        floats(&mut random, BLOCK_ROWS).into_iter().flat_map(f32::to_le_bytes).collect();
    let bounding = Bounding { base: 0.3, error: 0.7, delta: 1.3e-4, total: 40_000, worst: 1.0 };
    let mut least = [f64::INFINITY; 2];
    for _ in 0..rounds {
        macro_rules! run {
            ($module:ident, $cpu:expr) => {{
                let started = std::time::Instant::now();
                let (mut sums, mut lowers, mut seen) = ([0; BLOCK_ROWS], [0.0; BLOCK_ROWS], 0);
                for codes in codes.chunks_exact(code_len * BLOCK_ROWS) {
                    $module::scan_block($cpu, codes, BLOCK_ROWS, &table, &mut sums);
                    seen ^= $module::lower_bounds(
                        $cpu,
                        &sums,
                        &factors,
                        &factors,
                        &bounding,
                        &mut lowers,
                    );
                }
                std::hint::black_box((seen, lowers));
                started.elapsed().as_secs_f64() * 1e9 / (blocks * BLOCK_ROWS) as f64
            }};
        }
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(cpu) = avx2::Avx2::detect() {
                least[0] = least[0].min(run!(avx2, cpu));
            }
            if let Some(cpu) = avx512::Avx512::detect() {
                least[1] = least[1].min(run!(avx512, cpu));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(cpu) = neon::Neon::detect() {
            least[0] = least[0].min(run!(neon, cpu));
        }
    }
    println!(
        "ns a 1-bit code of 1024 dimensions: {:.2} at 128 or 256 bits, {:.2} at 512",
        least[0], least[1]
    );
}

#[test]
fn transforms_agree() {
    let mut random = SplitMix64::new(6, 1);
    for len in [8, 16, 64, 512] {
        let x = floats(&mut random, len);
        macro_rules! run {
            ($module:ident, $($cpu:ident,)?) => {{
                let mut x = x.clone();
                $module::hadamard($($cpu,)? &mut x);
                x
            }};
        }
        check_widths!(run);
    }
}
