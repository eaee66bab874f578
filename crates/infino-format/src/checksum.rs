//! CRC-32C, the checksum of every unit that is read as one.

use crate::FormatError;

/// CRC-32C (Castagnoli) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of `previous`' bytes followed by `bytes`.
pub fn crc32c_append(previous: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(previous, bytes)
}

/// Checks that `bytes` have the checksum `expected`.
///
/// # Errors
/// [`FormatError::Checksum`] naming `what` if they do not.
pub fn verify(what: &'static str, bytes: &[u8], expected: u32) -> Result<(), FormatError> {
    let found = crc32c(bytes);
    if found == expected { Ok(()) } else { Err(FormatError::Checksum { what, expected, found }) }
}

/// CRC-32C of two pieces in a row, from the checksum of each and the length of the second.
pub fn crc32c_combine(first: u32, second: u32, second_len: usize) -> u32 {
    crc32c::crc32c_combine(first, second, second_len)
}
