//! Exactly once: a token that a head remembers is not committed again.

use infino_format::head::{TOKENS_MAX, TokenMark, WRITERS_MAX, WriterMark};
use infino_format::{Head, Record};

/// The commit that had `token`, if the head remembers it.
pub(crate) fn find<'a>(head: &'a Head, token: &str) -> Option<&'a TokenMark> {
    let hash = TokenMark::hash(token);
    head.tokens.iter().rev().find(|mark| mark.hash == hash)
}

/// Notes who made `record`, and its token, in the head that publishes it; the oldest marks give way.
pub(crate) fn remember(head: &mut Head, record: &Record) {
    head.writers.retain(|mark| mark.writer != record.writer);
    head.writers.push(WriterMark {
        writer: record.writer,
        seq: record.writer_seq,
        commit: record.commit,
        version: record.version,
    });
    if head.writers.len() > WRITERS_MAX {
        head.writers.remove(0);
    }
    if let Some(token) = &record.token {
        head.tokens.push(TokenMark {
            hash: TokenMark::hash(token),
            version: record.version,
            commit: record.commit,
        });
        if head.tokens.len() > TOKENS_MAX {
            head.tokens.remove(0);
        }
    }
}
