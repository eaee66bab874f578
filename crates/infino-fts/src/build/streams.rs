//! Many byte streams that grow a little at a time, in one arena.

use infino_format::varint;

/// The end of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stream {
    first: u32,
    at: u32,
    left: u32,
    chunk: u32,
}

/// Chunks of streams. A chunk doubles its predecessor up to [`CHUNK_MAX`] and ends in the place of the next one.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
}

const CHUNK_MIN: u32 = 12;
const CHUNK_MAX: u32 = 4096;
const LINK: usize = 4;

impl Arena {
    /// Appends a byte to `stream`.
    #[inline]
    pub(crate) fn push(&mut self, stream: &mut Stream, byte: u8) {
        if stream.left == 0 {
            self.extend(stream);
        }
        self.bytes[stream.at as usize] = byte;
        stream.at += 1;
        stream.left -= 1;
    }

    /// Appends a LEB128 integer to `stream`.
    #[inline]
    pub(crate) fn push_varint(&mut self, stream: &mut Stream, mut value: u32) {
        while value >= 0x80 {
            self.push(stream, value as u8 | 0x80);
            value >>= 7;
        }
        self.push(stream, value as u8);
    }

    #[cold]
    fn extend(&mut self, stream: &mut Stream) {
        let start = self.bytes.len() as u32;
        if stream.chunk == 0 {
            stream.first = start;
            stream.chunk = CHUNK_MIN;
        } else {
            let link = stream.at as usize;
            self.bytes[link..link + LINK].copy_from_slice(&start.to_le_bytes());
            stream.chunk = (stream.chunk * 2).min(CHUNK_MAX);
        }
        self.bytes.resize(self.bytes.len() + stream.chunk as usize + LINK, 0);
        (stream.at, stream.left) = (start, stream.chunk);
    }

    /// Replaces `out` by the bytes of `stream`.
    pub(crate) fn read(&self, stream: &Stream, out: &mut Vec<u8>) {
        out.clear();
        let (mut start, mut chunk) = (stream.first as usize, CHUNK_MIN);
        if stream.chunk == 0 {
            return;
        }
        loop {
            let end = start + chunk as usize;
            if (start..=end).contains(&(stream.at as usize))
                && end - stream.at as usize == stream.left as usize
            {
                out.extend_from_slice(&self.bytes[start..stream.at as usize]);
                return;
            }
            out.extend_from_slice(&self.bytes[start..end]);
            let link = self.bytes[end..end + LINK].try_into().expect("four bytes");
            start = u32::from_le_bytes(link) as usize;
            chunk = (chunk * 2).min(CHUNK_MAX);
        }
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads LEB128 integers that [`Arena::push_varint`] wrote.
#[derive(Debug)]
pub(crate) struct Numbers<'a> {
    bytes: &'a [u8],
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u32 {
        match self.bytes {
            [byte @ 0..=0x7f, rest @ ..] => {
                self.bytes = rest;
                u32::from(*byte)
            }
            _ => {
                let (value, len) =
                    varint::read("stream", self.bytes).expect("the builder wrote whole numbers");
                self.bytes = &self.bytes[len..];
                value as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_streams_keep_their_bytes() {
        let mut arena = Arena::default();
        let mut streams = [Stream::default(); 7];
        let mut expected = vec![Vec::new(); 7];
        for i in 0..60_000u32 {
            let to = (i.wrapping_mul(2654435761) >> 20) as usize % 7 % (1 + i as usize % 7);
            arena.push(&mut streams[to], i as u8);
            expected[to].push(i as u8);
        }
        let mut out = Vec::new();
        for (stream, expected) in streams.iter().zip(&expected) {
            arena.read(stream, &mut out);
            assert_eq!(&out, expected);
        }
        arena.read(&Stream::default(), &mut out);
        assert!(out.is_empty());
    }
}
