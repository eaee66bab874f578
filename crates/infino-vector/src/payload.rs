//! What is kept of a row beside its code.

use infino_format::schema::{Metric, RerankCodec};

/// The kinds of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Nothing: codes rank alone.
    None,
    /// More bits of the code; see [`crate::extended`].
    Extended { bits: u8 },
    /// Sixteen bits a dimension; see [`crate::sq8`].
    Sq8,
    /// The vector as it was given.
    Floats,
    /// The vector as it was given, a bit a dimension.
    Bits,
}

impl Payload {
    pub(crate) fn of(metric: Metric, rerank: RerankCodec, extra_bits: u8) -> Self {
        match (rerank, metric) {
            (RerankCodec::None, _) if extra_bits > 0 => Self::Extended { bits: extra_bits },
            (RerankCodec::None, _) => Self::None,
            // Bits as they are take less than any other payload, and are exact.
            (_, Metric::Hamming) => Self::Bits,
            (RerankCodec::Sq8Residual, _) => Self::Sq8,
            (RerankCodec::F32, _) => Self::Floats,
        }
    }

    /// Bytes a row.
    pub(crate) fn stride(self, dim: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Extended { bits } => 4 + dim.div_ceil(8) * usize::from(bits),
            Self::Sq8 => 2 * dim,
            Self::Floats => 4 * dim,
            Self::Bits => dim / 8,
        }
    }

    /// Rows under one checksum: as many as a checksum is small beside, few enough to read for one of them.
    pub(crate) fn group_rows(self) -> u32 {
        match self {
            Self::Extended { .. } | Self::Bits => 16,
            _ => 4,
        }
    }

    /// Whether it is made of the vector as it was given, not as it is rotated.
    pub(crate) fn is_of_given(self) -> bool {
        matches!(self, Self::Floats | Self::Bits)
    }

    /// Whether it tells a distance without the row's code, so that rows can be scored wherever they are.
    pub(crate) fn stands_alone(self) -> bool {
        !matches!(self, Self::None | Self::Extended { .. })
    }
}

/// Appends a vector of zeros and ones as bits: coordinate `i` is bit `i % 8` of byte `i / 8`.
pub(crate) fn encode_bits(vector: &[f32], out: &mut Vec<u8>) {
    out.extend(vector.chunks(8).map(|eight| {
        eight.iter().enumerate().fold(0, |byte, (i, &x)| byte | u8::from(x != 0.0) << i)
    }));
}
