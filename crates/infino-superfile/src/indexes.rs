//! Index sections on the way in: rows to the index builders, their bytes behind the row groups.

use std::io::Write;

use arrow::array::{
    Array, AsArray, FixedSizeListArray, LargeStringArray, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Float32Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use infino_format::DocId;
use infino_format::schema::{TableSchema, VectorIndex};
use infino_format::summary::{SectionKind, SectionRef, TextStats, VectorStats};
use infino_fts::{FtsBuilder, FtsError};
use infino_vector::{IvfBuilder, IvfSpec, VectorError};

use crate::layout::{OPEN_HASH_BYTES, Placed, open_hash};
use crate::schema::column_id;
use crate::{SuperfileError, SuperfileOptions};

/// Layout of the sections that do not tell it.
const SECTION_VERSION: u16 = 1;

/// The index builders of one file.
pub(crate) struct IndexBuilders {
    text: Option<TextIndexes>,
    vectors: Vec<Vectors>,
}

/// All text columns, which share a section.
struct TextIndexes {
    builder: FtsBuilder,
    columns: Vec<usize>,
    field_ids: Vec<u32>,
}

struct Vectors {
    builder: IvfBuilder,
    column: usize,
    field_id: u32,
}

/// A section that another file has, to be written again as it is.
pub(crate) struct Carried {
    pub(crate) section: SectionRef,
    pub(crate) bytes: Bytes,
    pub(crate) text: Vec<TextStats>,
    pub(crate) vectors: Vec<VectorStats>,
}

/// What was written.
#[derive(Default)]
pub(crate) struct Indexes {
    pub(crate) placed: Vec<Placed>,
    pub(crate) text: Vec<TextStats>,
    pub(crate) vectors: Vec<VectorStats>,
}

impl IndexBuilders {
    pub(crate) fn new(
        schema: &TableSchema,
        input: &Schema,
        options: &SuperfileOptions,
    ) -> Result<Self, SuperfileError> {
        let column = |name: &str| -> Result<(usize, u32), SuperfileError> {
            Ok((input.index_of(name)?, column_id(schema, name)))
        };
        let indexes = &schema.indexes;
        let share = options.memory_bytes / 2 / (indexes.vectors.len() + 1);
        let scratch_dir = options.scratch_dir.clone();
        let text = match indexes.text.as_slice() {
            [] => None,
            fields => {
                let options = infino_fts::BuildOptions {
                    memory_bytes: share,
                    scratch_dir: scratch_dir.clone(),
                };
                let builder = FtsBuilder::new(fields, options).map_err(text_failed)?;
                let columns = fields.iter().map(|field| column(&field.column));
                let (columns, field_ids) =
                    columns.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
                Some(TextIndexes { builder, columns, field_ids })
            }
        };
        let vectors = indexes.vectors.iter().map(|index: &VectorIndex| {
            let options = infino_vector::BuildOptions {
                spill_bytes: share,
                scratch_dir: scratch_dir.clone(),
                threads: options.threads,
            };
            let builder = IvfBuilder::new(IvfSpec::from(index), options).map_err(vector_failed)?;
            let (column, field_id) = column(&index.column)?;
            Ok(Vectors { builder, column, field_id })
        });
        let vectors = vectors.collect::<Result<_, SuperfileError>>()?;
        Ok(Self { text, vectors })
    }

    /// Adds the rows of a batch under the schema of the file; its first is row `first` of the file.
    pub(crate) fn push(&mut self, batch: &RecordBatch, first: DocId) -> Result<(), SuperfileError> {
        if let Some(text) = &mut self.text {
            let columns: Vec<_> = text
                .columns
                .iter()
                .map(|&at| Texts::of(batch.column(at)))
                .collect::<Result<_, _>>()?;
            let mut row_values = Vec::with_capacity(columns.len());
            for row in 0..batch.num_rows() {
                row_values.clear();
                row_values.extend(columns.iter().map(|column| column.get(row)));
                text.builder.push(&row_values).map_err(text_failed)?;
            }
        }
        for vectors in &mut self.vectors {
            let lists = batch.column(vectors.column).as_fixed_size_list();
            for row in (0..lists.len()).filter(|&row| lists.is_valid(row)) {
                let vector = vector(lists, row);
                vectors.builder.push(first + row as u32, vector).map_err(vector_failed)?;
            }
        }
        Ok(())
    }

    /// Writes the sections, the first at `offset` of the file: text, then vectors in the order of the field ids
    /// `vectors`, each built here or carried over.
    pub(crate) fn finish_to(
        self,
        offset: u64,
        vectors: &[u32],
        mut carried: Vec<Carried>,
        out: &mut dyn Write,
    ) -> Result<Indexes, SuperfileError> {
        let mut placing = Placing { indexes: Indexes::default(), at: offset, out };
        if let Some(text) = self.text {
            placing.build_text(text)?;
        } else if let Some(at) =
            carried.iter().position(|carried| carried.section.kind == SectionKind::Text)
        {
            placing.carry(carried.swap_remove(at))?;
        }
        let mut built = self.vectors;
        for &field_id in vectors {
            let is_it = |carried: &Carried| {
                carried.section.kind == SectionKind::Vector
                    && carried.section.field_ids.contains(&field_id)
            };
            if let Some(at) = built.iter().position(|vectors| vectors.field_id == field_id) {
                placing.build_vectors(built.swap_remove(at))?;
            } else if let Some(at) = carried.iter().position(is_it) {
                placing.carry(carried.swap_remove(at))?;
            }
        }
        Ok(placing.indexes)
    }
}

/// Sections on their way into a file.
struct Placing<'a> {
    indexes: Indexes,
    /// Where the next one begins.
    at: u64,
    out: &'a mut dyn Write,
}

impl Placing<'_> {
    fn build_text(&mut self, text: TextIndexes) -> Result<(), SuperfileError> {
        let TextIndexes { builder, field_ids, .. } = text;
        let mut section = SectionWriter { out: self.out, head: Vec::new() };
        let built = builder.finish_to(&mut section).map_err(text_failed)?;
        let head = section.head;
        let stats = field_ids.iter().zip(built.fields).map(|(&field_id, field)| TextStats {
            field_id,
            docs: field.docs,
            tokens: field.tokens,
            min_term: field.min_term,
            max_term: field.max_term,
        });
        self.indexes.text = stats.collect();
        self.place(SectionKind::Text, field_ids, built.len, built.open_len, &head);
        Ok(())
    }

    fn build_vectors(&mut self, vectors: Vectors) -> Result<(), SuperfileError> {
        let Vectors { builder, field_id, .. } = vectors;
        let mut section = SectionWriter { out: self.out, head: Vec::new() };
        let built = builder.finish_to(&mut section).map_err(vector_failed)?;
        let head = section.head;
        self.indexes.vectors.push(VectorStats {
            field_id,
            vectors: built.vectors.into(),
            centroid: built.centroid,
            radius: built.radius,
        });
        self.place(SectionKind::Vector, vec![field_id], built.len, built.open_len, &head);
        Ok(())
    }

    fn carry(&mut self, carried: Carried) -> Result<(), SuperfileError> {
        let Carried { section, bytes, text, vectors } = carried;
        self.out
            .write_all(&bytes)
            .map_err(|error| SuperfileError::io("writing a section", error))?;
        self.indexes.text.extend(text);
        self.indexes.vectors.extend(vectors);
        self.place(section.kind, section.field_ids, section.len, section.open_len, &bytes);
        Ok(())
    }

    /// Enters a section that begins with `head`.
    fn place(
        &mut self,
        kind: SectionKind,
        field_ids: Vec<u32>,
        len: u64,
        open_len: u64,
        head: &[u8],
    ) {
        // A section of text, which may have been copied from an older file, tells the version of its layout.
        let version = match (kind, head) {
            (SectionKind::Text, [_, _, _, _, low, high, ..]) => u16::from_le_bytes([*low, *high]),
            _ => SECTION_VERSION,
        };
        let section = SectionRef { kind, version, field_ids, offset: self.at, len, open_len };
        let open = &head[..head.len().min(usize::try_from(open_len).unwrap_or(usize::MAX))];
        self.indexes.placed.push(Placed { section, open_hash: open_hash(open) });
        self.at += len;
    }
}

/// The vector of a row that has one.
pub(crate) fn vector(lists: &FixedSizeListArray, row: usize) -> &[f32] {
    let at = lists.value_offset(row) as usize;
    &lists.values().as_primitive::<Float32Type>().values()[at..at + lists.value_length() as usize]
}

/// A text column of any width of offset.
enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(column: &'a dyn Array) -> Result<Self, SuperfileError> {
        match column.data_type() {
            DataType::Utf8 => Ok(Self::Small(column.as_string())),
            DataType::LargeUtf8 => Ok(Self::Large(column.as_string())),
            DataType::Utf8View => Ok(Self::View(column.as_string_view())),
            other => Err(SuperfileError::invalid(format!("text index on a column of {other}"))),
        }
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Large(column) => column.is_valid(row).then(|| column.value(row)),
            Self::View(column) => column.is_valid(row).then(|| column.value(row)),
        }
    }
}

/// Passes a section on and keeps what its hash in the table of contents is of.
struct SectionWriter<'a> {
    out: &'a mut dyn Write,
    head: Vec<u8>,
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.out.write_all(bytes)?;
        let room = (OPEN_HASH_BYTES - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

fn text_failed(error: FtsError) -> SuperfileError {
    match error {
        FtsError::Io(source) => SuperfileError::io("writing the text section", source),
        other => other.into(),
    }
}

fn vector_failed(error: VectorError) -> SuperfileError {
    match error {
        VectorError::Write(source) => SuperfileError::io("writing the vector section", source),
        other => other.into(),
    }
}
