//! Items behind their count, and the narrow values in them: what every encoding of this crate is made of.

use crate::cursor::Cursor;
use crate::{FormatError, varint};

/// Appends the count of `items` and each of them.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    varint::write(out, items.len() as u64);
    items.iter().for_each(|item| write(out, item));
}

/// Reads what [`list`] wrote; an item takes at least `min_bytes`.
pub(crate) fn read_list<'a, T>(
    cursor: &mut Cursor<'a>,
    min_bytes: usize,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    let count = cursor.count(min_bytes)?;
    (0..count).map(|_| read(cursor)).collect()
}

/// Appends 0, or 1 and the value.
pub(crate) fn option<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    write: impl FnOnce(&mut Vec<u8>, &T),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

/// Reads what [`option`] wrote.
pub(crate) fn read_option<'a, T>(
    what: &'static str,
    cursor: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, FormatError>,
) -> Result<Option<T>, FormatError> {
    Ok(if flag(what, cursor.u8()?)? { Some(read(cursor)?) } else { None })
}

/// `value` as 32 bits.
pub(crate) fn narrow(what: &'static str, value: u64) -> Result<u32, FormatError> {
    u32::try_from(value).map_err(|_| FormatError::invalid(what, format!("{value} passes 32 bits")))
}

/// Checks that what counts from 1 up has room to count on: no arithmetic on it can overflow then.
pub(crate) fn counter(what: &'static str, name: &str, count: u64) -> Result<u64, FormatError> {
    match count {
        0..=0x7fff_ffff_ffff_ffff => Ok(count),
        _ => Err(FormatError::invalid(what, format!("{name} is {count}"))),
    }
}

/// A byte that is 0 or 1.
pub(crate) fn flag(what: &'static str, byte: u8) -> Result<bool, FormatError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(FormatError::invalid(what, format!("flag {other}"))),
    }
}
