//! Runs that went to disk, merged by term.

use std::io;
use std::path::Path;

use super::inverter::{Inverter, append_stream};
use super::scratch::{Spool, SpoolReader};
use crate::postings::List;

/// Writes what `field` holds, in term order, and empties it: per term the length and bytes of the term and of its stream.
pub(crate) fn spill(field: &mut Inverter, dir: Option<&Path>) -> io::Result<Spool> {
    let mut run = Spool::on_disk(dir)?;
    let mut stream = Vec::new();
    for term in field.terms.sorted() {
        field.stream(term, &mut stream);
        for bytes in [field.terms.key(term), &stream[..]] {
            run.buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            run.buffer.extend_from_slice(bytes);
        }
        run.settle()?;
    }
    run.flush()?;
    field.clear_terms();
    Ok(run)
}

struct Run {
    reader: SpoolReader,
    term: Vec<u8>,
    ended: bool,
}

impl Run {
    fn next_term(&mut self) -> io::Result<()> {
        self.term.clear();
        match self.reader.number()? {
            None => self.ended = true,
            Some(len) => {
                self.reader.read(len as usize, &mut self.term)?;
            }
        }
        Ok(())
    }
}

/// Calls `each` with every term of `runs`, ascending, and its whole list. Runs come in the order of their documents.
pub(crate) fn merge<E: From<io::Error>>(
    runs: Vec<Spool>,
    positions: bool,
    mut each: impl FnMut(&[u8], &List) -> Result<(), E>,
) -> Result<(), E> {
    let mut open = Vec::new();
    for run in runs {
        let mut run = Run { reader: run.into_reader()?, term: Vec::new(), ended: false };
        run.next_term()?;
        open.push(run);
    }
    let (mut term, mut stream, mut list) = (Vec::new(), Vec::new(), List::default());
    loop {
        let Some(least) = open.iter().filter(|run| !run.ended).map(|run| &run.term).min() else {
            return Ok(());
        };
        term.clone_from(least);
        list.clear();
        for run in open.iter_mut().filter(|run| !run.ended && run.term == term) {
            let len = run
                .reader
                .number()?
                .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            stream.clear();
            run.reader.read(len as usize, &mut stream)?;
            append_stream(&stream, positions, &mut list);
            run.next_term()?;
        }
        each(&term, &list)?;
    }
}
