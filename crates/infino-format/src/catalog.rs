//! The tables of a connection: names and the folders they stand for. Bytes: `docs/format/catalog.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::cursor::Cursor;
use crate::{FormatError, checksum, varint};

const WHAT: &str = "catalog";
const MAGIC: &[u8; 4] = b"ICAT";
const VERSION: u16 = 2;

/// Names that can be retired one by one; past that no name has a folder of its own any more.
const RETIRED_MAX: usize = 4096;
/// Stands for every name.
const ALL: u64 = u64::MAX;

/// Which name stands for which folder.
///
/// No folder is used twice, so a name that was dropped and made again never meets old objects. The first table of a name
/// gets the name's [own folder](Catalog::own_folder), which a reader can guess and open while it still reads the catalog;
/// later ones get folders drawn at random.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Folder by name.
    pub tables: BTreeMap<String, String>,
    /// Hashes of the names whose own folder must not be used again.
    retired: BTreeSet<u64>,
}

impl Catalog {
    /// The folder of the first table called `name`: up to 48 plain characters of it, and the hash of all.
    pub fn own_folder(name: &str) -> String {
        format!("{}-{:016x}", plain(name), hash(name))
    }

    /// A folder for a later table called `name`, of a number that nobody else draws.
    pub fn other_folder(name: &str, drawn: u128) -> String {
        format!("{}-{drawn:032x}", plain(name))
    }

    /// Whether the next table called `name` may be made in the name's own folder.
    pub fn may_own(&self, name: &str) -> bool {
        !self.retired.contains(&ALL) && !self.retired.contains(&hash(name))
    }

    /// Takes `name` away from its table; returns the folder.
    pub fn unbind(&mut self, name: &str) -> Option<String> {
        let folder = self.tables.remove(name)?;
        if folder == Self::own_folder(name) {
            self.retired.insert(hash(name));
        }
        if self.retired.len() > RETIRED_MAX {
            self.retired = BTreeSet::from([ALL]);
        }
        Some(folder)
    }

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
        varint::write(&mut out, self.retired.len() as u64);
        for hash in &self.retired {
            out.extend_from_slice(&hash.to_le_bytes());
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
        if !(1..=VERSION).contains(&version) {
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
        let mut retired = BTreeSet::new();
        if version > 1 {
            for _ in 0..cursor.count(8)? {
                retired.insert(cursor.u64()?);
            }
        }
        cursor.take(4)?;
        cursor.finish()?;
        Ok(Self { tables, retired })
    }
}

/// The start of a folder's name, recognisable to a person who lists the store.
fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().map(|c| if keep(c) { c } else { '_' }).take(48).collect()
}

/// The first bytes of the BLAKE3 hash of a name.
fn hash(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    let hash = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("8 of 32 bytes"));
    // That number stands for every name.
    hash.min(ALL - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(tables: &[(&str, &str)]) -> Catalog {
        let tables = tables.iter().map(|&(a, b)| (a.into(), b.into())).collect();
        Catalog { tables, ..Catalog::default() }
    }

    #[test]
    fn round_trips_and_refuses_every_flip_and_cut() {
        let mut catalog = catalog(&[("docs", "docs-1"), ("ä", "a-2"), ("gone", "")]);
        catalog.tables.insert("gone".into(), Catalog::own_folder("gone"));
        catalog.unbind("gone");
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
    fn a_name_owns_a_folder_once() {
        let mut catalog = Catalog::default();
        let own = Catalog::own_folder("docs");
        assert!(catalog.may_own("docs"));
        assert_eq!(own, "docs-2b9c4d61754b82c2");
        catalog.tables.insert("docs".into(), Catalog::other_folder("docs", 9));
        assert_eq!(catalog.unbind("docs"), Some(format!("docs-{:032x}", 9)));
        assert!(catalog.may_own("docs"), "its own folder was not used");
        catalog.tables.insert("docs".into(), own);
        catalog.unbind("docs");
        assert!(!catalog.may_own("docs"));
        assert!(catalog.may_own("other"));
        assert_eq!(catalog.unbind("docs"), None);
    }

    #[test]
    fn retired_names_take_bounded_room() {
        let mut catalog = Catalog::default();
        for i in 0..=RETIRED_MAX {
            let name = i.to_string();
            catalog.tables.insert(name.clone(), Catalog::own_folder(&name));
            catalog.unbind(&name);
        }
        assert!(!catalog.may_own("never seen"));
        assert!(catalog.encode(0).len() < 100);
    }

    #[test]
    fn golden_bytes() {
        let mut catalog = catalog(&[("a", "a-1")]);
        catalog.retired.insert(0x0807_0605_0403_0201);
        let bytes = catalog.encode(1);
        let body = [
            b'I', b'C', b'A', b'T', 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
            b'a', 3, b'a', b'-', b'1', 1, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        assert_eq!(bytes[..body.len()], body);
    }

    #[test]
    fn version_1_is_read() {
        let bytes = [
            b'I', b'C', b'A', b'T', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
            b'a', 3, b'a', b'-', b'1', 48, 21, 67, 40,
        ];
        assert_eq!(Catalog::decode(&bytes), Ok(catalog(&[("a", "a-1")])));
    }
}
