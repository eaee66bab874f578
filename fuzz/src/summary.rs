//! Bytes as the summary of a superfile.

use infino_format::SuperfileSummary;
use infino_format::cursor::Cursor;

/// Decodes `data`.
pub fn run(data: &[u8]) {
    let Ok(summary) = SuperfileSummary::decode(&mut Cursor::new("summary", data)) else { return };
    let mut encoded = Vec::new();
    summary.encode(&mut encoded);
    let mut cursor = Cursor::new("summary", &encoded);
    let again = SuperfileSummary::decode(&mut cursor).expect("what was just encoded");
    cursor.finish().expect("all of it was read");
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(twice, encoded);
}
