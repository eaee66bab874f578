//! Bytes as a commit record.

use infino_format::Record;
use infino_format::cursor::Cursor;

/// Decodes `data`.
pub fn run(data: &[u8]) {
    let Ok(record) = Record::decode(&mut Cursor::new("record", data)) else { return };
    let mut encoded = Vec::new();
    record.encode(&mut encoded);
    assert_eq!(record.encoded_len(), encoded.len());
    let mut cursor = Cursor::new("record", &encoded);
    let again = Record::decode(&mut cursor).expect("what was just encoded");
    cursor.finish().expect("all of it was read");
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(twice, encoded);
}
