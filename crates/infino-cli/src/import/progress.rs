//! How far an import is: a bar on a terminal, a line now and then elsewhere, on standard error.

use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::source::Source;
use crate::stopwatch::{bytes, count, duration};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is shown of an import's progress.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Bytes of all sources, if they are known.
    total: Option<u64>,
    begun: Instant,
    lines: Option<Mutex<Instant>>,
    position: Mutex<u64>,
}

impl Progress {
    pub(super) fn over(sources: &[Source], quiet: bool) -> Self {
        let total = sources.iter().map(|source| source.len).sum::<Option<u64>>();
        let template = match total {
            Some(_) => {
                "{bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left {msg}"
            }
            None => "{spinner} {decimal_bytes}, {decimal_bytes_per_sec} {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the template names known keys");
        // Draws on a terminal and nowhere else.
        let bar = match total {
            _ if quiet => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let begun = Instant::now();
        let lines = (!quiet && !std::io::stderr().is_terminal()).then(|| Mutex::new(begun));
        Self { bar: bar.with_style(style), total, begun, lines, position: Mutex::new(0) }
    }

    /// So many bytes were read, so many rows are committed.
    pub(super) fn set(&self, position: u64, rows: u64) {
        self.bar.set_position(position);
        *self.position.lock().expect("no panic while held") = position;
        let Some(last) = &self.lines else { return };
        let mut last = last.lock().expect("no panic while held");
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = position as f64 / seconds;
        let rest = match self.total {
            Some(total) => {
                let left = total.saturating_sub(position) as f64 / rate.max(1.0);
                let left = duration(Duration::from_secs_f64(left));
                format!(" of {}, {:.1} MB/s, {left} left", bytes(total), rate / 1e6)
            }
            None => format!(", {:.1} MB/s", rate / 1e6),
        };
        // Progress that cannot be shown must not stop what it shows.
        let _ = writeln!(
            std::io::stderr(),
            "{}{rest}, {} rows committed",
            bytes(position),
            count(rows)
        );
    }

    pub(super) fn message(&self, message: &'static str) {
        self.bar.set_message(message);
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        *self.position.lock().expect("no panic while held")
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
