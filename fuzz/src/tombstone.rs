//! Bytes as a deletion vector, and as the deletes of a superfile.

use infino_format::Deletes;
use infino_format::cursor::Cursor;
use infino_format::tombstone;

/// Decodes `data` as it is, as the body of a vector whose length and checksum are right, and as deletes.
pub fn run(data: &[u8]) {
    check(data);
    check(&framed(data));
    if let Ok(deletes) = Deletes::decode(&mut Cursor::new("deletes", data)) {
        let mut encoded = Vec::new();
        deletes.encode(&mut encoded);
        let again = Deletes::decode(&mut Cursor::new("deletes", &encoded));
        assert_eq!(again.as_ref(), Ok(&deletes));
        if let Ok(rows) = deletes.rows(data) {
            assert_eq!(rows.len(), u64::from(deletes.count));
        }
    }
}

fn check(bytes: &[u8]) {
    if let Ok(rows) = tombstone::decode(bytes) {
        assert!(rows.iter().is_sorted_by(|a, b| a < b), "rows ascend");
        assert_eq!(rows.iter().count() as u64, rows.len());
        assert_eq!(tombstone::decode(&tombstone::encode(&rows)), Ok(rows));
    }
}

/// `data` with length and checksum set: what stands between them is kept.
fn framed(data: &[u8]) -> Vec<u8> {
    let body = data.get(4..data.len().saturating_sub(4)).unwrap_or_default();
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32fast::hash(body).to_be_bytes());
    out
}
