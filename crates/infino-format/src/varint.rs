//! LEB128 integers: seven bits a byte, low bits first, the top bit set on all but the last.

use crate::FormatError;

/// Appends `value`, 1 to 10 bytes.
pub fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `bytes` behind their length.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The value at the start of `bytes` and the number of bytes it takes.
///
/// # Errors
/// [`FormatError::Truncated`] if the bytes end within it, [`FormatError::Invalid`] if it does not fit 64 bits.
pub fn read(what: &'static str, bytes: &[u8]) -> Result<(u64, usize), FormatError> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        if i == 9 && byte > 1 {
            return Err(FormatError::invalid(what, "a varint passes 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    if bytes.len() >= 10 {
        return Err(FormatError::invalid(what, "a varint passes 64 bits"));
    }
    Err(FormatError::Truncated { what, at: bytes.len(), needed: 1, len: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_round_trips() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                write(&mut out, value);
                assert_eq!(read("test", &out), Ok((value, out.len())));
                assert!(read("test", &out[..out.len() - 1]).is_err());
            }
        }
        assert!(read("test", &[0xff; 11]).is_err());
    }
}
