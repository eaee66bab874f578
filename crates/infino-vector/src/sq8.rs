//! The default rerank payload: 8 bits a dimension and an 8-bit residual.
//!
//! A list stores one `step`; coordinate `x` of a rotated row becomes the integer `v` nearest to `x / step`, −32767 to
//! 32767, two bytes, low first. The high byte is the 8-bit code, the low byte its residual.

use crate::kernel;

/// The step at which no coordinate up to `max` overflows.
pub(crate) fn step(max: f32) -> f32 {
    max / 32_767.0
}

/// Appends the code of `row`.
pub(crate) fn encode(row: &[f32], step: f32, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + 2 * row.len(), 0);
    kernel::sq_of_floats(row, step, &mut out[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errs_by_half_a_step_at_most() {
        let row: Vec<f32> = (0..100).map(|i| (i as f32 - 49.0) * 0.37).collect();
        let step = step(row.iter().fold(0.0, |max, x| x.abs().max(max)));
        let mut code = Vec::new();
        encode(&row, step, &mut code);
        assert!(kernel::l2_sq(&row, &code, step) <= 100.0 * step * step * 0.26);
        assert!((kernel::dot_sq(&row, &code, step) / kernel::dot(&row, &row) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_row_of_zeros_has_no_step() {
        let mut code = Vec::new();
        encode(&[0.0; 4], step(0.0), &mut code);
        assert_eq!(code, [0; 8]);
    }
}
