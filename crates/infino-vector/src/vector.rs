//! Vectors in the types they come in.

/// A vector as models and files give it; the index works on its floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Vector<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 16-bit floats (IEEE 754 binary16), by their bits.
    F16(&'a [u16]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// Bits, eight a byte, low first: coordinates 0 and 1.
    Bits(&'a [u8]),
}

impl Vector<'_> {
    /// Coordinates.
    pub fn dim(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::I8(x) => x.len(),
            Self::Bits(x) => 8 * x.len(),
        }
    }

    /// The same numbers as 32-bit floats, which hold every one of them exactly.
    pub fn to_floats(&self) -> Vec<f32> {
        match self {
            Self::F32(x) => x.to_vec(),
            Self::F16(x) => x.iter().map(|&bits| half(bits)).collect(),
            Self::I8(x) => x.iter().map(|&x| f32::from(x)).collect(),
            Self::Bits(x) => {
                x.iter().flat_map(|&byte| (0..8).map(move |i| f32::from(byte >> i & 1))).collect()
            }
        }
    }
}

/// The value of 16 bits of IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    match exponent {
        // Zero, and what is below the least normal number: multiples of 2^-24, exact in a float.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_gives_its_numbers() {
        let halves = [0x3c00, 0xc000, 0x3555, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x0400];
        let floats = Vector::F16(&halves).to_floats();
        let third = 0.333_251_95;
        let least = 5.960_464_5e-8;
        assert_eq!(floats, [1.0, -2.0, third, least, -0.0, 65504.0, f32::INFINITY, 6.103_515_6e-5]);
        assert!(Vector::F16(&[0x7e00]).to_floats()[0].is_nan());
        assert_eq!(Vector::I8(&[-128, 0, 127]).to_floats(), [-128.0, 0.0, 127.0]);
        let bits = Vector::Bits(&[0b1000_0101, 0]);
        assert_eq!(bits.to_floats()[..9], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!((bits.dim(), Vector::F32(&[1.5]).to_floats()), (16, vec![1.5]));
    }
}
