//! Exactly once: a token that a head remembers is not committed again.

use infino_format::head::{TOKENS_MAX, TokenMark, WRITERS_MAX, WriterMark};
use infino_format::{CommitId, Head, Record};

use crate::change::Change;

/// The version and the commit that `change` made before, as far as the head remembers: by its token, or, sent again after
/// an unclear outcome, by its own id.
pub(crate) fn find(head: &Head, change: &Change) -> Option<(u64, CommitId)> {
    let hash = change.token.as_deref().map(TokenMark::hash);
    let token = head.tokens.iter().rev().find(|mark| Some(mark.hash) == hash);
    let token = token.map(|mark| (mark.version, mark.commit));
    let marked = || head.writers.iter().find(|mark| mark.commit == change.commit);
    let inline = || head.inline().find(|record| record.commit == change.commit);
    token
        .or_else(|| marked().map(|mark| (mark.version, mark.commit)))
        .or_else(|| inline().map(|record| (record.version, record.commit)))
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
