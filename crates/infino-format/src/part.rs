//! Manifest parts: the entries of a table's superfiles, some hundred in an object. Bytes: `docs/format/manifest.md#part`.

use crate::cursor::Cursor;
use crate::{Deletes, FormatError, ObjectRef, SuperfileId, SuperfileSummary, avro};

const WHAT: &str = "manifest part";

/// The Avro schema of a part's rows.
pub const PART_SCHEMA: &str = concat!(
    r#"{"type":"record","name":"entry","namespace":"infino.v1","fields":["#,
    r#"{"name":"superfile","type":"string"},"#,
    r#"{"name":"file_len","type":"long"},"#,
    r#"{"name":"row_count","type":"long"},"#,
    r#"{"name":"deleted_count","type":"long"},"#,
    r#"{"name":"summary","type":"bytes"},"#,
    r#"{"name":"deletes","type":["null","bytes"]}]}"#
);

/// A superfile of a snapshot and which of its rows are dead.
#[derive(Debug, Clone, PartialEq)]
pub struct PartEntry<S = SuperfileSummary> {
    /// The superfile.
    pub summary: S,
    /// Its dead rows, if any.
    pub deletes: Option<Deletes>,
}

/// Names a part and says what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartRef {
    /// The object.
    pub object: ObjectRef,
    /// How many superfiles it lists.
    pub entries: u64,
    /// Rows of all of them, dead ones included.
    pub rows: u64,
    /// Dead rows of all of them.
    pub deleted: u64,
    /// The least superfile id.
    pub first: SuperfileId,
    /// The greatest superfile id.
    pub last: SuperfileId,
}

/// A part of `entries`, ascending by superfile id, and the reference to it.
///
/// # Errors
/// [`FormatError::Invalid`] if there are none, they do not ascend, or they are too large for one part.
pub fn build<S: AsRef<SuperfileSummary>>(
    entries: &[PartEntry<S>],
) -> Result<(PartRef, Vec<u8>), FormatError> {
    let ids: Vec<_> = entries.iter().map(|entry| entry.summary.as_ref().id).collect();
    let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
        return Err(FormatError::invalid(WHAT, "no entries"));
    };
    if !ids.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::invalid(WHAT, "entries do not ascend"));
    }
    let (mut out, mut rows, mut deleted) = (Vec::new(), 0, 0);
    let mut body = Vec::new();
    for entry in entries {
        let summary = entry.summary.as_ref();
        let dead = entry.deletes.as_ref().map_or(0, |deletes| u64::from(deletes.count));
        rows += u64::from(summary.row_count);
        deleted += dead;
        avro::write_bytes(&mut out, summary.id.to_string().as_bytes());
        avro::write_long(&mut out, summary.file_len as i64);
        avro::write_long(&mut out, summary.row_count.into());
        avro::write_long(&mut out, dead as i64);
        body.clear();
        summary.encode(&mut body);
        avro::write_bytes(&mut out, &body);
        avro::write_long(&mut out, i64::from(entry.deletes.is_some()));
        if let Some(deletes) = &entry.deletes {
            body.clear();
            deletes.encode(&mut body);
            avro::write_bytes(&mut out, &body);
        }
    }
    let bytes = avro::write_container(WHAT, PART_SCHEMA, &[], ids.len() as u64, &out)?;
    let object = ObjectRef::name("manifest", "avro", &bytes);
    Ok((PartRef { object, entries: ids.len() as u64, rows, deleted, first, last }, bytes))
}

impl PartRef {
    /// The entries in `bytes`, the object's content.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not those that were written, or differ from what this reference says.
    pub fn entries(&self, bytes: &[u8]) -> Result<Vec<PartEntry>, FormatError> {
        self.object.verify(bytes)?;
        let entries = decode(bytes)?;
        let sum = |of: fn(&PartEntry) -> u64| entries.iter().map(of).sum::<u64>();
        let found = (
            entries.len() as u64,
            sum(|entry| entry.summary.row_count.into()),
            sum(|entry| entry.deletes.as_ref().map_or(0, |deletes| deletes.count.into())),
            entries.first().map(|entry| entry.summary.id),
            entries.last().map(|entry| entry.summary.id),
        );
        if found != (self.entries, self.rows, self.deleted, Some(self.first), Some(self.last)) {
            return Err(FormatError::invalid(
                WHAT,
                format!("{} is not what the list says", self.object.path),
            ));
        }
        Ok(entries)
    }
}

/// The entries of a part.
///
/// # Errors
/// [`FormatError`] if the bytes are not one.
pub fn decode(bytes: &[u8]) -> Result<Vec<PartEntry>, FormatError> {
    let container = avro::read_container(WHAT, PART_SCHEMA, bytes)?;
    let mut cursor = Cursor::new(WHAT, &container.rows);
    let mut entries: Vec<PartEntry> = Vec::new();
    for _ in 0..container.count {
        let entry = read_entry(&mut cursor)?;
        if entries.last().is_some_and(|last| last.summary.id >= entry.summary.id) {
            return Err(FormatError::invalid(WHAT, "entries do not ascend"));
        }
        entries.push(entry);
    }
    cursor.finish()?;
    Ok(entries)
}

fn read_entry(cursor: &mut Cursor<'_>) -> Result<PartEntry, FormatError> {
    let id = avro::read_bytes(WHAT, cursor)?;
    let file_len = avro::read_unsigned(WHAT, cursor)?;
    let row_count = avro::read_unsigned(WHAT, cursor)?;
    let deleted = avro::read_unsigned(WHAT, cursor)?;
    let mut body = Cursor::new(WHAT, avro::read_bytes(WHAT, cursor)?);
    let summary = SuperfileSummary::decode(&mut body)?;
    body.finish()?;
    let deletes = match avro::read_long(cursor)? {
        0 => None,
        1 => {
            let mut body = Cursor::new(WHAT, avro::read_bytes(WHAT, cursor)?);
            let deletes = Deletes::decode(&mut body)?;
            body.finish()?;
            Some(deletes)
        }
        other => return Err(FormatError::invalid(WHAT, format!("union branch {other}"))),
    };
    let stated = deletes.as_ref().map_or(0, |deletes| u64::from(deletes.count));
    if id != summary.id.to_string().as_bytes()
        || file_len != summary.file_len
        || row_count != u64::from(summary.row_count)
        || deleted != stated
        || deleted > row_count
    {
        return Err(FormatError::invalid(
            WHAT,
            format!("the columns of {} contradict its summary", summary.id),
        ));
    }
    Ok(PartEntry { summary, deletes })
}

impl AsRef<Self> for SuperfileSummary {
    fn as_ref(&self) -> &Self {
        self
    }
}
