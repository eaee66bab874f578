//! Bytes as a table's head.

use infino_format::Head;

use crate::seal;

/// Decodes `data`, as it is and sealed.
pub fn run(data: &[u8]) {
    check(data);
    check(&seal::tail(data));
}

fn check(bytes: &[u8]) {
    let Ok(head) = Head::decode(bytes) else { return };
    // A head may be decoded that is too large to be written.
    let Ok(encoded) = head.encode() else { return };
    // Bytes are compared, because statistics may hold NaN, which equals nothing.
    let again = Head::decode(&encoded).expect("what was just encoded");
    assert_eq!(again.encode().expect("it was encoded before"), encoded);
}
