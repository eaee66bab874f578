//! Records: one atomic commit and what it did. Bytes: `docs/format/record.md`.

use crate::cursor::Cursor;
use crate::sequence::{list, option, read_list, read_option};
use crate::{
    CommitId, Deletes, FormatError, FreshRows, SuperfileId, SuperfileSummary, TableSchema,
    WriterId, varint,
};

const WHAT: &str = "record";
const VERSION: u8 = 1;
/// The newest kind of action that this release knows.
const ACTION_NEWEST: u8 = 6;

/// What kind of change a commit was, for the history and for the rules of conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// The table came to be.
    Create = 0,
    /// New rows.
    Append = 1,
    /// Rows died.
    Delete = 2,
    /// Rows were replaced.
    Update = 3,
    /// Any mixture of new, replaced and dead rows.
    Merge = 4,
    /// The same rows in other files.
    Compact = 5,
    /// Columns or indexes changed.
    Schema = 6,
    /// A property changed.
    Property = 7,
    /// An older version became the newest.
    Restore = 8,
}

impl Operation {
    /// The operation whose `repr` is `code`.
    ///
    /// # Errors
    /// [`FormatError::Version`] if this release knows none.
    pub fn from_code(code: u8) -> Result<Self, FormatError> {
        use Operation::{
            Append, Compact, Create, Delete, Merge, Property, Restore, Schema, Update,
        };
        [Create, Append, Delete, Update, Merge, Compact, Schema, Property, Restore]
            .get(code as usize)
            .copied()
            .ok_or(FormatError::Version { what: "operation", found: code.into(), newest: 8 })
    }
}

/// One thing that a commit did.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A superfile came in; none of its rows are dead.
    AddSuperfile(SuperfileSummary),
    /// A superfile went out, its deletes with it.
    RemoveSuperfile(SuperfileId),
    /// These are now all the dead rows of a superfile.
    SetDeletes {
        /// The superfile.
        superfile: SuperfileId,
        /// Its dead rows.
        deletes: Deletes,
    },
    /// The table has this schema now.
    ChangeSchema(TableSchema),
    /// A property has this value now, or none.
    SetProperty {
        /// Its name.
        key: String,
        /// Its value.
        value: Option<String>,
    },
    /// Rows came in that stand in the record itself. From here on they are a superfile like others, named by their id,
    /// that every reader builds in memory; a compaction puts one in storage in its place.
    AddFresh(FreshRows),
}

/// One atomic commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The version of the table that it made; the first is 1.
    pub version: u64,
    /// Which attempt it is.
    pub commit: CommitId,
    /// Who made it.
    pub writer: WriterId,
    /// Which of that writer's attempts it is, from 1.
    pub writer_seq: u64,
    /// When, in milliseconds since the Unix epoch, by the writer's clock; never before the version it follows.
    pub time_ms: u64,
    /// What kind of change.
    pub operation: Operation,
    /// The caller's own name for the change, by which it is committed at most once.
    pub token: Option<String>,
    /// What it did, in order.
    pub actions: Vec<Action>,
}

impl Action {
    /// Appends the encoding to `out`: a kind, the length of the rest, the rest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // A superfile's summary, which most actions bring, has some hundred bytes.
        let mut body = Vec::with_capacity(1024);
        let kind = match self {
            Self::AddSuperfile(summary) => {
                summary.encode(&mut body);
                1
            }
            Self::RemoveSuperfile(superfile) => {
                body.extend_from_slice(&superfile.0.to_le_bytes());
                2
            }
            Self::SetDeletes { superfile, deletes } => {
                body.extend_from_slice(&superfile.0.to_le_bytes());
                deletes.encode(&mut body);
                3
            }
            Self::ChangeSchema(schema) => {
                schema.encode(&mut body);
                4
            }
            Self::SetProperty { key, value } => {
                varint::write_bytes(&mut body, key.as_bytes());
                option(&mut body, value.as_ref(), |out, value| {
                    varint::write_bytes(out, value.as_bytes());
                });
                5
            }
            Self::AddFresh(rows) => {
                rows.encode(&mut body);
                6
            }
        };
        out.push(kind);
        varint::write_bytes(out, &body);
    }

    /// Reads what [`Action::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError::Version`] for a kind that this release does not know: skipping it would give wrong answers.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let kind = cursor.u8()?;
        let mut body = Cursor::new("action", cursor.bytes()?);
        let action = match kind {
            1 => Self::AddSuperfile(SuperfileSummary::decode(&mut body)?),
            2 => Self::RemoveSuperfile(SuperfileId(body.u128()?)),
            3 => Self::SetDeletes {
                superfile: SuperfileId(body.u128()?),
                deletes: Deletes::decode(&mut body)?,
            },
            4 => Self::ChangeSchema(TableSchema::decode(&mut body)?),
            5 => Self::SetProperty {
                key: body.str()?.to_owned(),
                value: read_option("action", &mut body, |body| Ok(body.str()?.to_owned()))?,
            },
            6 => Self::AddFresh(FreshRows::decode(&mut body)?),
            0 => return Err(FormatError::invalid("action", "kind 0")),
            found => {
                return Err(FormatError::Version {
                    what: "action",
                    found: found.into(),
                    newest: ACTION_NEWEST.into(),
                });
            }
        };
        body.finish()?;
        Ok(action)
    }
}

impl Record {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        varint::write(out, self.version);
        out.extend_from_slice(&self.commit.0.to_le_bytes());
        out.extend_from_slice(&self.writer.0.to_le_bytes());
        varint::write(out, self.writer_seq);
        varint::write(out, self.time_ms);
        out.push(self.operation as u8);
        option(out, self.token.as_ref(), |out, token| varint::write_bytes(out, token.as_bytes()));
        list(out, &self.actions, |out, action| action.encode(out));
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let found = cursor.u8()?;
        if found != VERSION {
            return Err(FormatError::Version {
                what: WHAT,
                found: found.into(),
                newest: VERSION.into(),
            });
        }
        Ok(Self {
            version: cursor.varint()?,
            commit: CommitId(cursor.u128()?),
            writer: WriterId(cursor.u128()?),
            writer_seq: cursor.varint()?,
            time_ms: cursor.varint()?,
            operation: Operation::from_code(cursor.u8()?)?,
            token: read_option(WHAT, cursor, |cursor| Ok(cursor.str()?.to_owned()))?,
            actions: read_list(cursor, 2, Action::decode)?,
        })
    }

    /// The encoding's length.
    pub fn encoded_len(&self) -> usize {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.len()
    }
}
