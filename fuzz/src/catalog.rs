//! Bytes as a catalog.

use infino_format::catalog::Catalog;

use crate::seal;

/// Decodes `data`, as it is and sealed.
pub fn run(data: &[u8]) {
    check(data);
    check(&seal::tail(data));
}

fn check(bytes: &[u8]) {
    if let Ok(catalog) = Catalog::decode(bytes) {
        assert_eq!(Catalog::decode(&catalog.encode(0)), Ok(catalog));
    }
}
