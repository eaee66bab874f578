//! A vector to search for, from a file or standard input.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde_json::Value;

use crate::CliError;

/// Longest vector and longest header that are believed.
const DIM_MAX: usize = 1 << 16;
/// Most text that is read for a vector.
const TEXT_MAX: u64 = 64 << 20;

/// Vector number `row` of a file: NumPy's `.npy` of one or two dimensions (32- or 64-bit floats), `.fvecs`, or numbers as
/// JSON (a list, or a list of lists) or between white space or commas; `-` is standard input, with such numbers.
///
/// # Errors
/// A file that cannot be read, is not what its name says, or has no such row.
pub fn read(path: &Path, row: usize) -> Result<Vec<f32>, CliError> {
    let wrong = |problem: String| CliError::Usage(format!("{}: {problem}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(TEXT_MAX).read_to_string(&mut text)?;
        return numbers(&text, row)
            .map_err(|problem| CliError::Usage(format!("standard input: {problem}")));
    }
    let mut file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "npy" => npy(&mut file, row),
        "fvecs" => fvecs(&mut file, row),
        _ => {
            let mut text = String::new();
            let read = file.take(TEXT_MAX).read_to_string(&mut text);
            read.map_err(|error| error.to_string()).and_then(|_| numbers(&text, row))
        }
    }
    .map_err(wrong)
}

fn numbers(text: &str, row: usize) -> Result<Vec<f32>, String> {
    let float = |value: &Value| value.as_f64().map(|number| number as f32);
    let list = |items: &[Value]| {
        let floats: Option<Vec<f32>> = items.iter().map(float).collect();
        floats.ok_or_else(|| "a vector is a list of numbers".to_owned())
    };
    let missing = |rows: usize| format!("has {rows} vectors; there is no number {row}");
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) if items.first().is_some_and(Value::is_array) => {
            let item = items.get(row).and_then(Value::as_array);
            list(item.ok_or_else(|| missing(items.len()))?)
        }
        Ok(Value::Array(items)) if row == 0 => list(&items),
        Ok(Value::Array(_)) => Err(missing(1)),
        _ => {
            // A vector a line, as text tools write them.
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let line = lines.get(row).ok_or_else(|| missing(lines.len()))?;
            let words = line.split(|ch: char| ch.is_whitespace() || ch == ',');
            let words = words.filter(|word| !word.is_empty());
            let floats: Result<Vec<f32>, _> = words.map(str::parse).collect();
            floats.map_err(|error| format!("line {}: {error}", row + 1))
        }
    }
}

fn fvecs(file: &mut (impl Read + Seek), row: usize) -> Result<Vec<f32>, String> {
    let mut dim = [0; 4];
    file.read_exact(&mut dim).map_err(|error| error.to_string())?;
    let dim = usize::try_from(i32::from_le_bytes(dim)).unwrap_or(0);
    if dim == 0 || dim > DIM_MAX {
        return Err(format!("is no .fvecs: it begins with a vector of {dim} dimensions"));
    }
    let start = (row as u64).checked_mul(4 + 4 * dim as u64).and_then(|start| start.checked_add(4));
    let start = start.ok_or_else(|| format!("there is no vector number {row}"))?;
    floats::<4>(file, start, dim, f32::from_le_bytes)
        .map_err(|_| format!("there is no vector number {row}"))
}

/// The header of NumPy's format, version 1 to 3: magic, version, length, a Python dictionary.
fn npy(file: &mut (impl Read + Seek), row: usize) -> Result<Vec<f32>, String> {
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(|error| error.to_string())?;
    if &start[..6] != b"\x93NUMPY" {
        return Err("is no .npy: it does not begin as one".to_owned());
    }
    let mut len = [0; 4];
    let wide = start[6] >= 2;
    file.read_exact(&mut len[..if wide { 4 } else { 2 }]).map_err(|error| error.to_string())?;
    let len = u32::from_le_bytes(len) as usize;
    if len > DIM_MAX {
        return Err("is no .npy: its header is too long".to_owned());
    }
    let mut header = vec![0; len];
    file.read_exact(&mut header).map_err(|error| error.to_string())?;
    let header = String::from_utf8_lossy(&header);
    let value =
        |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start_matches([' ', ':']));
    if value("'fortran_order'").is_some_and(|rest| rest.starts_with("True")) {
        return Err("is laid out by columns; save numpy.ascontiguousarray of it".to_owned());
    }
    let shape = value("'shape'").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
    let shape: Option<Vec<usize>> =
        shape.map(|shape| shape.split(',').filter_map(|part| part.trim().parse().ok()).collect());
    let (rows, dim) = match shape.as_deref() {
        Some(&[dim]) => (1, dim),
        Some(&[rows, dim]) => (rows, dim),
        _ => return Err("is no array of one or two dimensions".to_owned()),
    };
    if row >= rows || dim > DIM_MAX {
        return Err(format!("has {rows} vectors of {dim} dimensions; there is no number {row}"));
    }
    let begin = 8 + if wide { 4 } else { 2 } + len as u64;
    let at = |bytes: u64| begin + row as u64 * dim as u64 * bytes;
    let read = match value("'descr'").unwrap_or_default() {
        kind if kind.starts_with("'<f4'") => floats::<4>(file, at(4), dim, f32::from_le_bytes),
        kind if kind.starts_with("'<f8'") => {
            floats::<8>(file, at(8), dim, |bytes| f64::from_le_bytes(bytes) as f32)
        }
        kind => {
            let kind: String = kind.chars().take_while(|&ch| ch != ',').collect();
            return Err(format!("holds {kind}; save it as 32-bit floats"));
        }
    };
    read.map_err(|_| "ends before its last vector".to_owned())
}

fn floats<const N: usize>(
    file: &mut (impl Read + Seek),
    start: u64,
    dim: usize,
    float: impl Fn([u8; N]) -> f32,
) -> std::io::Result<Vec<f32>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; dim * N];
    file.read_exact(&mut bytes)?;
    let (chunks, _) = bytes.as_chunks::<N>();
    Ok(chunks.iter().map(|&chunk| float(chunk)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn numbers_come_as_json_or_lines() {
        assert_eq!(numbers("[1, 2.5]", 0), Ok(vec![1.0, 2.5]));
        assert_eq!(numbers("[[1, 2], [3, 4]]", 1), Ok(vec![3.0, 4.0]));
        assert_eq!(numbers("1 2\n\n3,4\n", 1), Ok(vec![3.0, 4.0]));
        for (text, row) in [("[1]", 1), ("[[1]]", 1), ("[\"a\"]", 0), ("x", 0), ("", 0)] {
            assert!(numbers(text, row).is_err(), "{text}");
        }
    }

    fn npy_bytes(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn numpy_and_fvecs_files_are_read_by_row() {
        let f4: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let f8: Vec<u8> = [1.0_f64, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let read = |bytes: Vec<u8>, row| npy(&mut Cursor::new(bytes), row);
        assert_eq!(read(npy_bytes("<f4", "(2, 2)", &f4), 1), Ok(vec![3.0, 4.0]));
        assert_eq!(read(npy_bytes("<f8", "(2,)", &f8), 0), Ok(vec![1.0, 2.0]));
        for (bytes, row) in [
            (npy_bytes("<f4", "(2, 2)", &f4), 2),
            (npy_bytes("<f4", "(9, 2)", &f4), 8),
            (npy_bytes("<i8", "(2,)", &f8), 0),
            (npy_bytes("<f4", "()", &f4), 0),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), 0),
            (b"PK".to_vec(), 0),
        ] {
            assert!(read(bytes, row).is_err());
        }
        let mut vecs = Vec::new();
        for row in f4.chunks(8) {
            vecs.extend(2_i32.to_le_bytes());
            vecs.extend(row);
        }
        assert_eq!(fvecs(&mut Cursor::new(&vecs), 1), Ok(vec![3.0, 4.0]));
        assert!(fvecs(&mut Cursor::new(&vecs), 2).is_err());
        assert!(fvecs(&mut Cursor::new(b"\xff\xff\xff\xff"), 0).is_err());
    }
}
