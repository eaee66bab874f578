//! A reference to an immutable object: its name, its length and the digest of its bytes.

use crate::cursor::Cursor;
use crate::{FormatError, varint};

const WHAT: &str = "object reference";

/// Names an object under the table's root and says what its bytes are.
///
/// A name holds a random part beside the digest and is never used twice: an object that was collected as garbage can
/// then never be mistaken for one of equal bytes that is just being written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Its name, relative to the table's root.
    pub path: String,
    /// Its length in bytes.
    pub len: u64,
    /// BLAKE3 of its bytes.
    pub digest: [u8; 32],
}

impl ObjectRef {
    /// A new name for `bytes` in `folder`, ending in `extension`.
    pub fn name(folder: &str, extension: &str, bytes: &[u8]) -> Self {
        let digest = *blake3::hash(bytes).as_bytes();
        let unique = crate::entropy::unique();
        let path = format!("{folder}/{unique:032x}-{}.{extension}", short(&digest));
        Self { path, len: bytes.len() as u64, digest }
    }

    /// A reference to the object that stands under `path` and holds `bytes`.
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        let digest = *blake3::hash(bytes).as_bytes();
        Self { path: path.to_owned(), len: bytes.len() as u64, digest }
    }

    /// Whether `path` may be the name of an object of this digest: names hold a part of it.
    pub fn may_be_named(&self, path: &str) -> bool {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        stem.rsplit_once('-').is_some_and(|(_, named)| named == short(&self.digest))
    }

    /// Checks that `bytes` are the object's.
    ///
    /// # Errors
    /// [`FormatError`] if length or digest differ.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), FormatError> {
        if bytes.len() as u64 != self.len {
            return Err(FormatError::invalid(
                "object",
                format!("{} has {} bytes where {} were written", self.path, bytes.len(), self.len),
            ));
        }
        if *blake3::hash(bytes).as_bytes() != self.digest {
            return Err(FormatError::invalid(
                "object",
                format!("{} does not hold the bytes that were written", self.path),
            ));
        }
        Ok(())
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write_bytes(out, self.path.as_bytes());
        varint::write(out, self.len);
        out.extend_from_slice(&self.digest);
    }

    /// Reads what [`ObjectRef::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one, or the name leads out of the table's root.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let path = cursor.str()?.to_owned();
        check_path(&path)?;
        Ok(Self {
            path,
            len: cursor.varint()?,
            digest: cursor.take(32)?.try_into().expect("took 32 bytes"),
        })
    }
}

/// The part of a digest that a name holds.
fn short(digest: &[u8; 32]) -> String {
    let short = u64::from_be_bytes(digest[..8].try_into().expect("8 of 32 bytes"));
    format!("{short:016x}")
}

/// Checks that `path` stays below the root it is relative to.
///
/// # Errors
/// [`FormatError::Invalid`] if a segment is empty, `.` or `..`.
pub(crate) fn check_path(path: &str) -> Result<(), FormatError> {
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(FormatError::invalid(WHAT, format!("the name {path:?} leads elsewhere")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_table_are_refused() {
        for path in ["", "/etc/passwd", "a//b", "../x", "a/../../x", "a/."] {
            let object = ObjectRef { path: path.into(), ..ObjectRef::name("x", "y", b"x") };
            let mut bytes = Vec::new();
            object.encode(&mut bytes);
            assert!(ObjectRef::decode(&mut Cursor::new("test", &bytes)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn equal_bytes_get_different_names() {
        let (a, b) = (ObjectRef::name("log", "seg", b"x"), ObjectRef::name("log", "seg", b"x"));
        assert!(a.digest == b.digest && a.path != b.path);
        assert!(a.verify(b"x").is_ok() && a.verify(b"y").is_err() && a.verify(b"xx").is_err());
    }
}
