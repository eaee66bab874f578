//! The manifest list: a checkpoint's parts, schema and place in the history. Bytes: `docs/format/manifest.md`.

use crate::cursor::Cursor;
use crate::part::PartRef;
use crate::segment::SegmentRef;
use crate::sequence::{counter, list, option, read_list, read_option};
use crate::{Deletes, FormatError, FreshRows, ObjectRef, SuperfileId, TableSchema, avro, varint};

const WHAT: &str = "manifest list";
/// The encoding of a list without fresh rows,
const VERSION: u8 = 1;
/// and of one with them.
const VERSION_FRESH: u8 = 2;
const SNAPSHOT_KEY: &str = "infino.snapshot";

/// The Avro schema of a list's rows, one a part.
pub const LIST_SCHEMA: &str = concat!(
    r#"{"type":"record","name":"part","namespace":"infino.v1","fields":["#,
    r#"{"name":"path","type":"string"},"#,
    r#"{"name":"len","type":"long"},"#,
    r#"{"name":"blake3","type":{"type":"fixed","name":"digest","size":32}},"#,
    r#"{"name":"entry_count","type":"long"},"#,
    r#"{"name":"row_count","type":"long"},"#,
    r#"{"name":"deleted_count","type":"long"},"#,
    r#"{"name":"first_superfile","type":"string"},"#,
    r#"{"name":"last_superfile","type":"string"}]}"#
);

/// Names a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRef {
    /// Which checkpoint of the table it is, from 1.
    pub number: u64,
    /// The version it is a checkpoint of.
    pub version: u64,
    /// When that version was made.
    pub time_ms: u64,
    /// The list.
    pub list: ObjectRef,
}

/// A checkpoint: a whole snapshot, and the way back.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointList {
    /// Which checkpoint of the table it is, from 1; 0 for a list that stands alone, which has no way back.
    pub number: u64,
    /// The version it is a checkpoint of.
    pub version: u64,
    /// When that version was made.
    pub time_ms: u64,
    /// The schema.
    pub schema: TableSchema,
    /// The properties, by name.
    pub properties: Vec<(String, String)>,
    /// The records since the checkpoint before, oldest first.
    pub segments: Vec<SegmentRef>,
    /// Earlier checkpoints, newest first: the one before, then the nearest whose number two divides, four divides, …
    pub ancestors: Vec<CheckpointRef>,
    /// The parts, by superfile id.
    pub parts: Vec<PartRef>,
    /// Rows that no superfile in storage holds yet, by id, and which of them are dead.
    pub fresh: Vec<(FreshRows, Option<Deletes>)>,
}

impl CheckpointRef {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write(out, self.number);
        varint::write(out, self.version);
        varint::write(out, self.time_ms);
        self.list.encode(out);
    }

    /// Reads what [`CheckpointRef::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            number: counter(WHAT, "number", cursor.varint()?)?,
            version: counter(WHAT, "version", cursor.varint()?)?,
            time_ms: cursor.varint()?,
            list: ObjectRef::decode(cursor)?,
        })
    }

    /// The list in `bytes`, the object's content.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not those that were written, or differ from what this reference says.
    pub fn list(&self, bytes: &[u8]) -> Result<CheckpointList, FormatError> {
        self.list.verify(bytes)?;
        let list = CheckpointList::decode(bytes)?;
        if (list.number, list.version, list.time_ms) != (self.number, self.version, self.time_ms) {
            return Err(FormatError::invalid(
                WHAT,
                format!("{} is of another version", self.list.path),
            ));
        }
        Ok(list)
    }

    /// The ancestors that the checkpoint after this one names, given this one's own.
    pub fn ancestors_of_next(&self, ancestors: &[Self]) -> Vec<Self> {
        let mut next = vec![self.clone()];
        for stride in (1..64).map(|shift| 1u64 << shift).take_while(|&stride| stride <= self.number)
        {
            let target = self.number / stride * stride;
            let nearest = next.iter().chain(ancestors).find(|past| past.number == target);
            if let Some(nearest) = nearest.filter(|&past| next.last() != Some(past)).cloned() {
                next.push(nearest);
            }
        }
        next
    }
}

impl CheckpointList {
    /// The list and the reference to it; put the bytes under its path before anything names it.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if it is too large.
    pub fn build(&self) -> Result<(CheckpointRef, Vec<u8>), FormatError> {
        let mut snapshot = vec![if self.fresh.is_empty() { VERSION } else { VERSION_FRESH }];
        varint::write(&mut snapshot, self.number);
        varint::write(&mut snapshot, self.version);
        varint::write(&mut snapshot, self.time_ms);
        self.schema.encode(&mut snapshot);
        list(&mut snapshot, &self.properties, |out, (key, value)| {
            varint::write_bytes(out, key.as_bytes());
            varint::write_bytes(out, value.as_bytes());
        });
        list(&mut snapshot, &self.segments, |out, segment| segment.encode(out));
        list(&mut snapshot, &self.ancestors, |out, ancestor| ancestor.encode(out));
        if !self.fresh.is_empty() {
            list(&mut snapshot, &self.fresh, |out, (rows, deletes)| {
                rows.encode(out);
                option(out, deletes.as_ref(), |out, deletes| deletes.encode(out));
            });
        }
        let mut rows = Vec::new();
        for part in &self.parts {
            avro::write_bytes(&mut rows, part.object.path.as_bytes());
            avro::write_long(&mut rows, part.object.len as i64);
            rows.extend_from_slice(&part.object.digest);
            avro::write_long(&mut rows, part.entries as i64);
            avro::write_long(&mut rows, part.rows as i64);
            avro::write_long(&mut rows, part.deleted as i64);
            avro::write_bytes(&mut rows, part.first.to_string().as_bytes());
            avro::write_bytes(&mut rows, part.last.to_string().as_bytes());
        }
        let bytes = avro::write_container(
            WHAT,
            LIST_SCHEMA,
            &[(SNAPSHOT_KEY, &snapshot)],
            self.parts.len() as u64,
            &rows,
        )?;
        let reference = CheckpointRef {
            number: self.number,
            version: self.version,
            time_ms: self.time_ms,
            list: ObjectRef::name("manifest", "avro", &bytes),
        };
        Ok((reference, bytes))
    }

    /// Reads what [`CheckpointList::build`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let container = avro::read_container(WHAT, LIST_SCHEMA, bytes)?;
        let snapshot = container.metadata.get(SNAPSHOT_KEY).copied().unwrap_or_default();
        let mut cursor = Cursor::new(WHAT, snapshot);
        let found = cursor.u8()?;
        if !matches!(found, VERSION | VERSION_FRESH) {
            return Err(FormatError::Version {
                what: WHAT,
                found: found.into(),
                newest: VERSION_FRESH.into(),
            });
        }
        let mut list = Self {
            number: cursor.varint()?,
            version: cursor.varint()?,
            time_ms: cursor.varint()?,
            schema: TableSchema::decode(&mut cursor)?,
            properties: read_list(&mut cursor, 2, |cursor| {
                Ok((cursor.str()?.to_owned(), cursor.str()?.to_owned()))
            })?,
            segments: read_list(&mut cursor, 36, SegmentRef::decode)?,
            ancestors: read_list(&mut cursor, 37, CheckpointRef::decode)?,
            parts: Vec::new(),
            fresh: Vec::new(),
        };
        if found == VERSION_FRESH {
            list.fresh = read_list(&mut cursor, 40, |cursor| {
                let rows = FreshRows::decode(cursor)?;
                Ok((rows, read_option(WHAT, cursor, Deletes::decode)?))
            })?;
            if list.fresh.is_empty() || !list.fresh.is_sorted_by(|a, b| a.0.id < b.0.id) {
                return Err(FormatError::invalid(WHAT, "fresh rows do not ascend"));
            }
        }
        cursor.finish()?;
        let mut cursor = Cursor::new(WHAT, &container.rows);
        for _ in 0..container.count {
            list.parts.push(read_part(&mut cursor)?);
        }
        cursor.finish()?;
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<(), FormatError> {
        let apart = self.parts.windows(2).all(|pair| pair[0].last < pair[1].first);
        if !apart || self.parts.iter().any(|part| part.first > part.last) {
            return Err(FormatError::invalid(WHAT, "parts overlap"));
        }
        if self.number == 0 {
            let alone = self.segments.is_empty() && self.ancestors.is_empty();
            let astray = || FormatError::invalid(WHAT, "a list outside the row has a history");
            return alone.then_some(()).ok_or_else(astray);
        }
        let mut version = self.ancestors.first().map_or(0, |before| before.version);
        for segment in &self.segments {
            if version.checked_add(1) != Some(segment.first) {
                return Err(FormatError::invalid(WHAT, "segments do not follow each other"));
            }
            version = segment.last;
        }
        if version != self.version {
            return Err(FormatError::invalid(WHAT, "segments do not lead to the version"));
        }
        let mut number = self.number;
        for ancestor in &self.ancestors {
            if ancestor.number >= number {
                return Err(FormatError::invalid(WHAT, "ancestors do not go back"));
            }
            number = ancestor.number;
        }
        Ok(())
    }
}

fn read_part(cursor: &mut Cursor<'_>) -> Result<PartRef, FormatError> {
    let text = |cursor: &mut Cursor<'_>| -> Result<String, FormatError> {
        let bytes = avro::read_bytes(WHAT, cursor)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|error| FormatError::invalid(WHAT, error.to_string()))
    };
    let path = text(cursor)?;
    crate::object::check_path(&path)?;
    Ok(PartRef {
        object: ObjectRef {
            path,
            len: avro::read_unsigned(WHAT, cursor)?,
            digest: cursor.take(32)?.try_into().expect("took 32 bytes"),
        },
        entries: avro::read_unsigned(WHAT, cursor)?,
        rows: avro::read_unsigned(WHAT, cursor)?,
        deleted: avro::read_unsigned(WHAT, cursor)?,
        first: SuperfileId::parse(&text(cursor)?)?,
        last: SuperfileId::parse(&text(cursor)?)?,
    })
}
