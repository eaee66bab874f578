//! The tables of a connection: names and the folders they stand for. Bytes: `docs/format/catalog.md`.

use std::collections::BTreeMap;

use crate::cursor::Cursor;
use crate::{FormatError, checksum, varint};

const WHAT: &str = "catalog";
const MAGIC: &[u8; 4] = b"ICAT";
const VERSION: u16 = 1;

/// Which name stands for which folder.
///
/// A folder is drawn anew for every table ever made, so a name that was dropped and made again never meets old objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Folder by name.
    pub tables: BTreeMap<String, String>,
}

impl Catalog {
    /// The bytes of the catalog object; `nonce` makes every write's bytes its own, so that equal tables never bring back an
    /// old ETag.
    pub fn encode(&self, nonce: u128) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&nonce.to_le_bytes());
        varint::write(&mut out, self.tables.len() as u64);
        for (name, folder) in &self.tables {
            varint::write_bytes(&mut out, name.as_bytes());
            varint::write_bytes(&mut out, folder.as_bytes());
        }
        let crc = checksum::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`Catalog::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not a catalog, are damaged, or come from a newer release.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(WHAT, bytes);
        let magic = cursor.take(4)?;
        if magic != MAGIC {
            return Err(FormatError::Magic { what: WHAT, found: magic.to_vec() });
        }
        let version = cursor.u16()?;
        if version != VERSION {
            return Err(FormatError::Version {
                what: WHAT,
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        let body = bytes.len().saturating_sub(4);
        let stored = Cursor::new(WHAT, &bytes[body..]).u32()?;
        checksum::verify(WHAT, &bytes[..body], stored)?;
        cursor.u128()?;
        let mut tables = BTreeMap::new();
        for _ in 0..cursor.count(2)? {
            let name = cursor.str()?.to_owned();
            tables.insert(name, cursor.str()?.to_owned());
        }
        cursor.take(4)?;
        cursor.finish()?;
        Ok(Self { tables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_every_flip_and_cut() {
        let catalog = Catalog {
            tables: [("docs", "docs-1"), ("ä", "a-2")].map(|(a, b)| (a.into(), b.into())).into(),
        };
        let bytes = catalog.encode(7);
        assert_eq!(Catalog::decode(&bytes), Ok(catalog.clone()));
        assert_ne!(bytes, catalog.encode(8));
        for at in 0..bytes.len() {
            assert!(Catalog::decode(&bytes[..at]).is_err());
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(Catalog::decode(&flipped).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn golden_bytes() {
        let catalog = Catalog { tables: [("a".to_owned(), "a-1".to_owned())].into() };
        let bytes = catalog.encode(1);
        assert_eq!(
            bytes,
            [
                b'I', b'C', b'A', b'T', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                b'a', 3, b'a', b'-', b'1', 48, 21, 67, 40
            ]
        );
    }
}
