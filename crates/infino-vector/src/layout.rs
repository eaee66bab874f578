//! Where everything stands in a section. Bytes: `docs/format/vector.md`.
//!
//! | region | unit with a checksum of its own |
//! | --- | --- |
//! | open-time: header, calibration, directory, centroids | all of it |
//! | codes: per list its blocks and row numbers | a list |
//! | positions: per row number its place in list order | [`crate::positions::GROUP_DOCS`] entries |
//! | payload: per row what reranks it, in list order | [`Layout::group_rows`] rows |

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use infino_format::cursor::Cursor;
use infino_format::schema::{Metric, RerankCodec};
use infino_format::{DocId, FormatError, checksum};

use crate::extended::BITS_MAX;
use crate::kernel::BLOCK_ROWS;
use crate::payload::Payload;
use crate::positions::Positions;
use crate::rabitq;
use crate::search::coarse::Coarse;
use crate::spec::{DIM_MAX, DIM_MIN, LISTS_MAX};

pub(crate) const VERSION: u16 = 2;
pub(crate) const MAGIC: &[u8; 4] = b"IVEC";
const WHAT: &str = "vector index";
const HEADER_LEN: usize = 48;
const ENTRY_LEN: usize = 24;
/// A tail block is as wide as its rows, rounded up to this.
const TAIL_ROWS: usize = 8;

/// Numbers of neighbours that lists to visit are calibrated for.
pub(crate) const CALIBRATED_K: [u32; 3] = [10, 100, 1000];
/// Recalls that lists to visit are calibrated for.
pub(crate) const CALIBRATED_RECALL: [f32; 7] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

/// Lists to visit, for each of [`CALIBRATED_K`] and each of [`CALIBRATED_RECALL`].
pub(crate) type Calibration = [[u32; CALIBRATED_RECALL.len()]; CALIBRATED_K.len()];

/// How long a search goes on without finding nearer rows, for 10 neighbours and for 100, and each of
/// [`CALIBRATED_RECALL`]; see [`crate::search::stop`].
pub(crate) type Patience = [[f32; CALIBRATED_RECALL.len()]; 2];

/// How far a list may lie for a search with a filter to visit it, for 10 neighbours of all rows and for 10 of a tenth of
/// them, and each of [`CALIBRATED_RECALL`]; see [`crate::search::route::Reach`].
pub(crate) type Reach = [[f32; CALIBRATED_RECALL.len()]; 2];

/// The reach of an index of version 1, which stores none: farther than others need.
const REACH_UNKNOWN: f32 = 1.0;

/// How lists are ordered for a query; see [`crate::search::route`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProbeOrder {
    pub(crate) mean: f32,
    pub(crate) spread: f32,
}

/// What holds for the whole index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) metric: Metric,
    pub(crate) rerank: RerankCodec,
    /// Bits a dimension beside the sign, if `rerank` keeps nothing else.
    pub(crate) extra_bits: u8,
    pub(crate) dim: usize,
    pub(crate) rows: u32,
    /// One past the greatest row number.
    pub(crate) doc_end: DocId,
    pub(crate) seed: u64,
    pub(crate) target_recall: f32,
    pub(crate) order: ProbeOrder,
    pub(crate) calibration: Calibration,
    pub(crate) patience: Patience,
    pub(crate) reach: Reach,
}

impl Header {
    pub(crate) fn payload(&self) -> Payload {
        Payload::of(self.metric, self.rerank, self.extra_bits)
    }
}

/// One list as the directory holds it, and where that puts it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListEntry {
    pub(crate) rows: u32,
    /// Root mean square of the offsets from the centroid.
    pub(crate) spread: f32,
    /// The greatest share of a row in the error bound.
    pub(crate) kappa: f32,
    /// Step of the rerank payload.
    pub(crate) step: f32,
    /// Step of the centroid's bytes.
    pub(crate) scale: f32,
    /// `‖c‖²`.
    pub(crate) norm2: f32,
    /// Position of its first row among all rows, in list order. Not stored.
    pub(crate) first: u32,
    /// Its first byte in the section. Not stored.
    pub(crate) offset: u64,
}

/// The open-time region, decoded.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) header: Header,
    pub(crate) lists: Vec<ListEntry>,
    /// `dim` signed bytes a list.
    pub(crate) centroids: Bytes,
    pub(crate) open_len: u64,
    /// The end of the codes.
    pub(crate) codes_end: u64,
    pub(crate) positions: Option<Positions>,
    pub(crate) payload_at: u64,
    pub(crate) section_len: u64,
    /// Codes of the centroids, once a search has needed them. Not stored.
    pub(crate) coarse: OnceLock<Coarse>,
}

impl Layout {
    /// Places lists of which only the stored fields are set.
    pub(crate) fn new(header: Header, lists: Vec<ListEntry>, centroids: Bytes) -> Self {
        Self::of_version(VERSION, header, lists, centroids)
    }

    fn of_version(
        version: u16,
        header: Header,
        mut lists: Vec<ListEntry>,
        centroids: Bytes,
    ) -> Self {
        let open_len = open_len(version, lists.len(), header.dim);
        let (mut at, mut first) = (open_len, 0);
        for list in &mut lists {
            (list.offset, list.first) = (at, first);
            at += list_len(list.rows, header.dim) as u64;
            first += list.rows;
        }
        let stride = header.payload().stride(header.dim);
        let positions = Positions::new(at, header.rows, header.doc_end)
            .filter(|_| header.payload().stands_alone());
        let payload_at = at + positions.map_or(0, |positions| positions.len());
        let payload_len = payload_len(header.rows, stride, header.payload().group_rows());
        let section_len = payload_at + payload_len;
        Self {
            header,
            lists,
            centroids,
            open_len,
            codes_end: at,
            positions,
            payload_at,
            section_len,
            coarse: OnceLock::new(),
        }
    }

    /// Reads the open-time region at the start of `bytes`, which may go on after it.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, FormatError> {
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
        let (metric, rerank) = (cursor.u8()?, cursor.u8()?);
        let (dim, nlist) = (cursor.u32()? as usize, cursor.u32()?);
        if !(DIM_MIN..=DIM_MAX).contains(&dim) || nlist > LISTS_MAX {
            return Err(FormatError::invalid(WHAT, format!("{nlist} lists of dimension {dim}")));
        }
        let len = open_len(version, nlist as usize, dim) as usize;
        if bytes.len() < len {
            return Err(FormatError::Truncated {
                what: WHAT,
                at: 0,
                needed: len,
                len: bytes.len(),
            });
        }
        let (body, stored) = bytes[..len].split_at(len - 4);
        checksum::verify(WHAT, body, u32::from_le_bytes(stored.try_into().expect("4 bytes")))?;
        let header = Header {
            metric: Metric::from_code(metric)
                .ok_or_else(|| FormatError::invalid(WHAT, format!("metric {metric}")))?,
            rerank: RerankCodec::from_code(rerank)
                .ok_or_else(|| FormatError::invalid(WHAT, format!("rerank codec {rerank}")))?,
            dim,
            rows: cursor.u32()?,
            doc_end: cursor.u32()?,
            seed: cursor.u64()?,
            target_recall: cursor.f32()?,
            order: ProbeOrder { mean: cursor.f32()?, spread: cursor.f32()? },
            extra_bits: {
                let bits = cursor.u8()?;
                if bits > BITS_MAX || cursor.take(3)? != [0; 3] {
                    return Err(FormatError::invalid(WHAT, "a reserved field is not zero"));
                }
                bits
            },
            calibration: {
                let mut calibration = Calibration::default();
                for nprobe in calibration.iter_mut().flatten() {
                    *nprobe = cursor.u32()?;
                }
                calibration
            },
            patience: {
                let mut patience = Patience::default();
                for patience in patience.iter_mut().flatten() {
                    *patience = cursor.f32()?;
                    if !(patience.is_finite() && *patience >= 0.0) {
                        return Err(FormatError::invalid(WHAT, format!("patience {patience}")));
                    }
                }
                patience
            },
            reach: decode_reach(version, &mut cursor)?,
        };
        let dim_fits = header.metric != Metric::Hamming || dim.is_multiple_of(8);
        if !dim_fits || (header.extra_bits > 0 && header.rerank != RerankCodec::None) {
            let problem = format!("{:?} of {dim} dimensions, {:?}", header.metric, header.rerank);
            return Err(FormatError::invalid(WHAT, problem));
        }
        let lists =
            (0..nlist).map(|_| ListEntry::decode(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
        let rows: u64 = lists.iter().map(|list| u64::from(list.rows)).sum();
        if rows != u64::from(header.rows) || header.doc_end < header.rows {
            return Err(FormatError::invalid(
                WHAT,
                format!("lists hold {rows} rows of {}", header.rows),
            ));
        }
        let centroids = bytes.slice(cursor.position()..len - 4);
        Ok(Self::of_version(version, header, lists, centroids))
    }

    /// The open-time region.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let header = &self.header;
        let mut out = Vec::with_capacity(self.open_len as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend([header.metric as u8, header.rerank as u8]);
        out.extend_from_slice(&(header.dim as u32).to_le_bytes());
        out.extend_from_slice(&(self.lists.len() as u32).to_le_bytes());
        out.extend_from_slice(&header.rows.to_le_bytes());
        out.extend_from_slice(&header.doc_end.to_le_bytes());
        out.extend_from_slice(&header.seed.to_le_bytes());
        for x in [header.target_recall, header.order.mean, header.order.spread] {
            out.extend_from_slice(&x.to_le_bytes());
        }
        out.extend([header.extra_bits, 0, 0, 0]);
        for nprobe in header.calibration.iter().flatten() {
            out.extend_from_slice(&nprobe.to_le_bytes());
        }
        for x in header.patience.iter().chain(&header.reach).flatten() {
            out.extend_from_slice(&x.to_le_bytes());
        }
        for list in &self.lists {
            out.extend_from_slice(&list.rows.to_le_bytes());
            for x in [list.spread, list.kappa, list.step, list.scale, list.norm2] {
                out.extend_from_slice(&x.to_le_bytes());
            }
        }
        out.extend_from_slice(&self.centroids);
        out.extend_from_slice(&checksum::crc32c(&out).to_le_bytes());
        assert_eq!(out.len() as u64, self.open_len, "the region is as long as it says");
        out
    }

    /// The bytes of list `id` in the section.
    pub(crate) fn list_range(&self, id: usize) -> Range<u64> {
        let list = &self.lists[id];
        list.offset..list.offset + list_len(list.rows, self.header.dim) as u64
    }

    /// Bytes of a row's payload.
    pub(crate) fn stride(&self) -> usize {
        self.header.payload().stride(self.header.dim)
    }

    /// Rows of payload under one checksum.
    pub(crate) fn group_rows(&self) -> u32 {
        self.header.payload().group_rows()
    }

    /// Groups of payload.
    pub(crate) fn groups(&self) -> u32 {
        self.header.rows.div_ceil(self.group_rows())
    }

    /// The bytes of payload group `group` in the section, checksum included.
    pub(crate) fn group_range(&self, group: u32) -> Range<u64> {
        let all = self.group_rows();
        let rows = (self.header.rows - group * all).min(all);
        let whole = u64::from(all) * self.stride() as u64 + 4;
        let start = self.payload_at + u64::from(group) * whole;
        start..start + u64::from(rows) * self.stride() as u64 + 4
    }

    /// The list that holds the row at `position`.
    pub(crate) fn list_of(&self, position: u32) -> usize {
        self.lists.partition_point(|list| list.first <= position) - 1
    }

    /// The centroid of list `id`, in steps of its `scale`.
    pub(crate) fn centroid_bytes(&self, id: usize) -> &[u8] {
        &self.centroids[id * self.header.dim..][..self.header.dim]
    }
}

impl ListEntry {
    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let rows = cursor.u32()?;
        let mut floats = [0.0; 5];
        for x in &mut floats {
            *x = cursor.f32()?;
        }
        if rows == 0 || floats.iter().any(|x| !(x.is_finite() && *x >= 0.0)) {
            return Err(FormatError::invalid(WHAT, format!("a list of {rows} rows, {floats:?}")));
        }
        let [spread, kappa, step, scale, norm2] = floats;
        Ok(Self { rows, spread, kappa, step, scale, norm2, first: 0, offset: 0 })
    }
}

/// The parts of a list's bytes.
pub(crate) struct ListBytes<'a> {
    bytes: &'a [u8],
    rows: usize,
    code_len: usize,
}

/// Up to [`BLOCK_ROWS`] rows of a list.
pub(crate) struct Block<'a> {
    /// Rows that count; codes and factors are there for `width`.
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// Transposed: byte `i` of every row, then byte `i + 1`.
    pub(crate) codes: &'a [u8],
    /// `width` floats.
    pub(crate) adds: &'a [u8],
    /// `width` floats.
    pub(crate) muls: &'a [u8],
}

impl<'a> ListBytes<'a> {
    /// `bytes` are those of [`Layout::list_range`]; `verified` says that their checksum has been checked before.
    pub(crate) fn new(
        bytes: &'a [u8],
        rows: u32,
        dim: usize,
        verified: bool,
    ) -> Result<Self, FormatError> {
        let len = list_len(rows, dim);
        if bytes.len() != len {
            return Err(FormatError::Truncated {
                what: "vector list",
                at: 0,
                needed: len,
                len: bytes.len(),
            });
        }
        if !verified {
            verify_tail("vector list", bytes)?;
        }
        Ok(Self { bytes, rows: rows as usize, code_len: rabitq::code_len(dim) })
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'a>> + use<'a> {
        let (bytes, total, code_len) = (self.bytes, self.rows, self.code_len);
        (0..total.div_ceil(BLOCK_ROWS)).map(move |block| {
            let rows = (total - block * BLOCK_ROWS).min(BLOCK_ROWS);
            let width = block_width(rows);
            let at = block * BLOCK_ROWS * (code_len + 8);
            let (codes, factors) =
                bytes[at..at + width * (code_len + 8)].split_at(width * code_len);
            let (adds, muls) = factors.split_at(width * 4);
            Block { rows, width, codes, adds, muls }
        })
    }

    /// The number of the `i`th row.
    pub(crate) fn doc(&self, i: usize) -> DocId {
        u32_at(self.docs(), i)
    }

    /// All row numbers, 4 bytes each.
    pub(crate) fn docs(&self) -> &'a [u8] {
        &self.bytes[self.bytes.len() - 4 - 4 * self.rows..self.bytes.len() - 4]
    }
}

/// Checks the CRC-32C that ends `bytes`.
pub(crate) fn verify_tail(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    let (body, stored) = bytes.split_at(bytes.len() - 4);
    checksum::verify(what, body, u32::from_le_bytes(stored.try_into().expect("4 bytes")))
}

/// The `i`th little-endian integer of `bytes`.
pub(crate) fn u32_at(bytes: &[u8], i: usize) -> u32 {
    u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("4 bytes"))
}

/// The `i`th little-endian float of `bytes`.
pub(crate) fn f32_at(bytes: &[u8], i: usize) -> f32 {
    f32::from_bits(u32_at(bytes, i))
}

/// Rows that a block of `rows` has room for.
pub(crate) fn block_width(rows: usize) -> usize {
    rows.next_multiple_of(TAIL_ROWS)
}

/// In version 1 a third row of patience stood where the two of [`Reach`] do.
fn decode_reach(version: u16, cursor: &mut Cursor<'_>) -> Result<Reach, FormatError> {
    let mut reach = [[REACH_UNKNOWN; CALIBRATED_RECALL.len()]; 2];
    if version == 1 {
        cursor.take(4 * CALIBRATED_RECALL.len())?;
        return Ok(reach);
    }
    for reach in reach.iter_mut().flatten() {
        *reach = cursor.f32()?;
        if !reach.is_finite() {
            return Err(FormatError::invalid(WHAT, format!("a reach of {reach}")));
        }
    }
    Ok(reach)
}

fn open_len(version: u16, nlist: usize, dim: usize) -> u64 {
    let calibrated = if version == 1 { 6 } else { 7 } * 4 * CALIBRATED_RECALL.len();
    (HEADER_LEN + calibrated + nlist * (ENTRY_LEN + dim) + 4) as u64
}

fn list_len(rows: u32, dim: usize) -> usize {
    let rows = rows as usize;
    let tail = rows % BLOCK_ROWS;
    let room = rows - tail + block_width(tail);
    room * (rabitq::code_len(dim) + 8) + 4 * rows + 4
}

fn payload_len(rows: u32, stride: usize, group_rows: u32) -> u64 {
    if stride == 0 {
        return 0;
    }
    u64::from(rows) * stride as u64 + 4 * u64::from(rows.div_ceil(group_rows))
}
