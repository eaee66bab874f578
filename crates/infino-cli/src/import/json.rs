//! Rows of JSON objects: one a line, one after another, or in an array.
//!
//! Blocks of text are cut at the end of their last whole object and decoded. Objects in an array become objects one after
//! another by blanking the brackets and commas between them, so that lines stay where they are. Where a block does not
//! decode, its objects are tried one by one, and the one that fails gives the line.

use std::{io::Read, ops::Range};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    json::reader::{Decoder, ReaderBuilder},
};

use super::{
    feed::{BATCH_BYTES, BATCH_ROWS, Rows},
    open::Input,
};
use crate::CliError;

/// A longer object is taken for text that is no JSON.
const OBJECT_BYTES_MAX: usize = 256 << 20;

/// The objects of a text.
pub(super) struct JsonRows {
    input: Input,
    name: String,
    schema: SchemaRef,
    ignore_unknown: bool,
    decoder: Decoder,
    block: Vec<u8>,
    /// Where the part of `block` begins that has not been decoded.
    at: usize,
    /// The line that begins or goes on there, from 1.
    line: usize,
    ended: bool,
    /// `None` if an object ends with its line.
    scanner: Option<Scanner>,
}

impl JsonRows {
    /// Objects of `schema`, one a line if `lines`.
    pub(super) fn new(
        input: Input,
        name: &str,
        schema: SchemaRef,
        lines: bool,
        ignore_unknown: bool,
    ) -> Result<Self, CliError> {
        let decoder = decoder(&schema, ignore_unknown)
            .map_err(|error| CliError::Source(format!("{name}: {error}")))?;
        Ok(Self {
            input,
            name: name.to_owned(),
            schema,
            ignore_unknown,
            decoder,
            block: Vec::new(),
            at: 0,
            line: 1,
            ended: false,
            scanner: (!lines).then(Scanner::default),
        })
    }

    /// Reads more behind what has not been decoded.
    fn fill(&mut self) -> Result<(), CliError> {
        self.block.drain(..self.at);
        if let Some(scanner) = &mut self.scanner {
            scanner.seen -= self.at;
            scanner.whole = scanner.whole.saturating_sub(self.at);
        }
        self.at = 0;
        if self.block.len() > OBJECT_BYTES_MAX {
            return Err(self.wrong(0, "an object does not end within 256 MiB"));
        }
        let begun = self.block.len();
        let read = self.input.by_ref().take(BATCH_BYTES as u64).read_to_end(&mut self.block);
        let read = read.map_err(|error| CliError::Source(format!("{}: {error}", self.name)))?;
        self.ended = read < BATCH_BYTES;
        if begun == 0 && self.line == 1 && self.block.starts_with(b"\xef\xbb\xbf") {
            self.block[..3].fill(b' ');
        }
        if let Some(scanner) = &mut self.scanner {
            scanner.scan(&mut self.block).map_err(|(at, problem)| {
                let line = self.line + lines_in(&self.block[..at]);
                CliError::Source(format!("{}:{line}: {problem}", self.name))
            })?;
        }
        Ok(())
    }

    /// Where the whole objects of the block end.
    fn whole(&self) -> usize {
        match &self.scanner {
            _ if self.ended => self.block.len(),
            Some(scanner) => scanner.whole.max(self.at),
            None => {
                let rest = &self.block[self.at..];
                rest.iter().rposition(|&byte| byte == b'\n').map_or(self.at, |n| self.at + n + 1)
            }
        }
    }

    /// Decodes whole objects up to `end`.
    fn decode(&mut self, end: usize) -> Result<Option<RecordBatch>, CliError> {
        let bytes = &self.block[self.at..end];
        let decoded =
            self.decoder.decode(bytes).and_then(|taken| Ok((taken, self.decoder.flush()?)));
        match decoded {
            Ok((taken, batch)) => {
                self.line += lines_in(&bytes[..taken]);
                self.at += taken;
                Ok(batch)
            }
            Err(error) => Err(self.locate(self.at..end, &error.to_string())),
        }
    }

    /// The line of the first object of `range` that does not decode by itself.
    fn locate(&self, range: Range<usize>, problem: &str) -> CliError {
        let bytes = &self.block[range];
        for object in objects(bytes, self.scanner.is_none()) {
            let Ok(mut decoder) = decoder(&self.schema, self.ignore_unknown) else { break };
            let decoded = decoder.decode(&bytes[object.clone()]);
            let outcome = match decoded {
                Ok(_) if decoder.has_partial_record() => Err(match self.scanner {
                    None => "an object goes on past its line; --format json reads such".to_owned(),
                    Some(_) => "an object does not end".to_owned(),
                }),
                Ok(_) => decoder.flush().map(drop).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(problem) = outcome {
                return self.wrong(object.start, &problem);
            }
        }
        self.wrong(0, problem)
    }

    /// An error in the line that stands `offset` bytes on.
    fn wrong(&self, offset: usize, problem: &str) -> CliError {
        let rest = &self.block[self.at..];
        let line = self.line + lines_in(&rest[..offset.min(rest.len())]);
        // The library says twice that it is about JSON.
        let problem = problem.strip_prefix("Json error: ").unwrap_or(problem);
        CliError::Source(format!("{}:{line}: {problem}", self.name))
    }
}

impl Rows for JsonRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError> {
        loop {
            let end = self.whole();
            if end > self.at {
                match self.decode(end)? {
                    Some(batch) => return Ok(Some(batch)),
                    None => continue,
                }
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }
}

fn decoder(schema: &SchemaRef, ignore_unknown: bool) -> Result<Decoder, arrow::error::ArrowError> {
    ReaderBuilder::new(schema.clone())
        .with_batch_size(BATCH_ROWS)
        .with_coerce_primitive(true)
        .with_strict_mode(!ignore_unknown)
        .build_decoder()
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

/// Where the objects of a text are: in a line each, or wherever they begin and end.
pub(super) fn objects(bytes: &[u8], lines: bool) -> Vec<Range<usize>> {
    if lines {
        let mut start = 0;
        let line = |line: &[u8]| {
            let from = start;
            start += line.len();
            from..start
        };
        let ranges = bytes.split_inclusive(|&byte| byte == b'\n').map(line);
        return ranges.filter(|range| !bytes[range.clone()].trim_ascii().is_empty()).collect();
    }
    let mut copy = bytes.to_vec();
    let mut scanner = Scanner { keeps: true, ..Scanner::default() };
    // What cannot be scanned shows as the object that does not end.
    let _ = scanner.scan(&mut copy);
    let mut found = scanner.found;
    let end = found.last().map_or(0, |range| range.end);
    if let Some(at) = bytes[end..].iter().position(|byte| !b" \t\r\n,]".contains(byte)) {
        found.push(end + at..bytes.len());
    }
    found
}

/// Follows braces and quotes through a text, block by block.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// What has been looked at.
    seen: usize,
    /// The end of the last whole object.
    whole: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    in_array: bool,
    begun: bool,
    /// Whether `found` is wanted.
    keeps: bool,
    start: usize,
    found: Vec<Range<usize>>,
}

impl Scanner {
    /// Looks at the rest of `block`; what stands between objects becomes white space.
    ///
    /// On error, where and what it is.
    fn scan(&mut self, block: &mut [u8]) -> Result<(), (usize, String)> {
        for (at, place) in block.iter_mut().enumerate().skip(self.seen) {
            let byte = *place;
            self.seen = at + 1;
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match (byte, self.depth) {
                (b'"', 1..) => self.in_text = true,
                (b'{', 0) => {
                    (self.start, self.depth, self.begun) = (at, 1, true);
                }
                (b'{' | b'[', 1..) => self.depth += 1,
                (b'}' | b']', 1..) => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.whole = at + 1;
                        if self.keeps {
                            self.found.push(self.start..at + 1);
                        }
                    }
                }
                (b'[', 0) if !self.begun => {
                    (self.begun, self.in_array) = (true, true);
                    *place = b' ';
                }
                (b',' | b']', 0) if self.in_array => *place = b' ',
                (b' ' | b'\t' | b'\r' | b'\n', _) | (_, 1..) => {}
                (other, 0) => {
                    let shown = char::from(other).escape_default();
                    return Err((at, format!("an object should begin here, not {shown}")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, sync::Arc};

    use arrow::{
        array::AsArray,
        datatypes::{DataType, Field, Int64Type, Schema},
    };

    use super::*;

    fn rows(text: &str, lines: bool) -> Result<Vec<i64>, String> {
        let fields =
            vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)];
        let schema = Arc::new(Schema::new(fields));
        let input = Box::new(Cursor::new(text.to_owned().into_bytes()));
        let mut rows = JsonRows::new(input, "f", schema, lines, false).expect("a sound schema");
        let mut found = Vec::new();
        while let Some(batch) = rows.next_batch().map_err(|error| error.to_string())? {
            found.extend(batch["n"].as_primitive::<Int64Type>().iter().map(|n| n.unwrap_or(-1)));
        }
        Ok(found)
    }

    #[test]
    fn objects_come_a_line_one_after_another_or_in_an_array() {
        let lines = "{\"n\":1}\n\n {\"n\":2,\"t\":\"a\\\"]}\"}\r\n{\"t\":\"b\"}";
        assert_eq!(rows(lines, true), Ok(vec![1, 2, -1]));
        for text in [
            "{\"n\":1}{\"n\":2,\"t\":\"[{\\\\\"}\n{\n\"n\"\n:\n3}",
            "[{\"n\":1},{\"n\":2,\"t\":\"],\"},\n {\"n\":3}]",
            "\u{feff}[\n{\"n\":1} , {\"n\":2}\n,{\"n\":3}\n]\n",
        ] {
            assert_eq!(rows(text, false), Ok(vec![1, 2, 3]), "{text}");
        }
        for nothing in ["", " \n", "[]", "[\n]"] {
            assert_eq!(rows(nothing, false), Ok(vec![]), "{nothing:?}");
        }
    }

    #[test]
    fn a_batch_has_so_many_rows_and_lines_are_counted_on() {
        let mut text: String = (0..20_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        assert_eq!(rows(&text, true), Ok((0..20_000).collect()));
        text.push_str("{\"n\":\"x\"}\n");
        let error = rows(&text, true).expect_err("it is no number");
        assert!(error.starts_with("f:20001: "), "{error}");
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        for (text, lines, says) in [
            ("{\"n\":1}\n{\"n\":\n", true, "f:2: "),
            ("{\"n\":1}\n{\"n\":\"a\"}\n{\"n\":2}", true, "f:2: "),
            ("{\"n\":1}\n\n{\"m\":1}", true, "f:3: "),
            ("{\"n\":1}\n[1]\n", true, "f:2: "),
            ("{\"n\":1}\n7\n", false, "f:2: an object should begin"),
            ("[{\"n\":1},\n{\"n\":\"a\"}]", false, "f:2: "),
            ("[{\"n\":1},\n{\"n\":", false, "f:2: "),
            ("[[1]]", false, "f:1: an object should begin"),
        ] {
            let error = rows(text, lines).expect_err(text);
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }
}
