//! Checked little-endian reads that move forward.

use crate::{FormatError, varint};

/// A position in bytes that somebody else wrote; every read is checked and moves past what it read.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident: $ty:ty),*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`FormatError::Truncated`] if the bytes end first.
        pub fn $name(&mut self) -> Result<$ty, FormatError> {
            self.array().map(<$ty>::from_le_bytes)
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`; `what` names the structure in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, what }
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`FormatError::Truncated`] if fewer are left.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(FormatError::Truncated {
                what: self.what,
                at: self.at,
                needed: len,
                len: self.bytes.len(),
            });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        Ok(self.take(N)?.try_into().expect("take returned N bytes"))
    }

    fixed! {
        /// The next byte.
        u8: u8,
        /// The next 2 bytes.
        u16: u16,
        /// The next 4 bytes.
        u32: u32,
        /// The next 8 bytes.
        u64: u64,
        /// The next 16 bytes.
        u128: u128,
        /// The next 8 bytes, signed.
        i64: i64,
        /// The next 4 bytes as a float, any bit pattern.
        f32: f32,
        /// The next 8 bytes as a float, any bit pattern.
        f64: f64
    }

    /// The next LEB128 integer ([`varint`]).
    ///
    /// # Errors
    /// [`FormatError::Truncated`] or [`FormatError::Invalid`] if it is not one.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, FormatError> {
        if let Some(&byte @ ..0x80) = self.bytes.get(self.at) {
            self.at += 1;
            return Ok(byte.into());
        }
        let (value, len) = varint::read(self.what, &self.bytes[self.at..])?;
        self.at += len;
        Ok(value)
    }

    /// A length of things that take at least `min_bytes` each, checked against the bytes left, so that a corrupt count
    /// can never reserve more memory than the input is long.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if so many cannot be there.
    #[inline]
    pub fn count(&mut self, min_bytes: usize) -> Result<usize, FormatError> {
        let count = self.varint()?;
        let fits = (self.remaining() / min_bytes.max(1)) as u64;
        if count > fits {
            return Err(FormatError::invalid(
                self.what,
                format!("counts {count} items where {fits} fit"),
            ));
        }
        Ok(count as usize)
    }

    /// Bytes behind a varint length.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if more are announced than there are.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], FormatError> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// UTF-8 text behind a varint length.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if it is not UTF-8.
    pub fn str(&mut self) -> Result<&'a str, FormatError> {
        let what = self.what;
        std::str::from_utf8(self.bytes()?)
            .map_err(|error| FormatError::invalid(what, error.to_string()))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if bytes follow.
    pub fn finish(self) -> Result<(), FormatError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(FormatError::invalid(self.what, format!("{left} bytes follow its end"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_refuses_the_rest() {
        let mut cursor = Cursor::new("test", &[7, 1, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(cursor.u8(), Ok(7));
        assert_eq!(cursor.u32(), Ok(1));
        assert_eq!(cursor.str(), Ok("abc"));
        assert_eq!(
            cursor.u16(),
            Err(FormatError::Truncated { what: "test", at: 9, needed: 2, len: 9 })
        );
        cursor.finish().unwrap();
    }

    #[test]
    fn a_count_never_exceeds_the_bytes() {
        let mut cursor = Cursor::new("test", &[200, 1, 0, 0]);
        assert!(matches!(cursor.count(4), Err(FormatError::Invalid { .. })));
    }
}
