//! Times and amounts, taken and shown.

use std::time::{Duration, Instant};

/// How long something took when it ran for the first time, and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The first run, which may read files.
    pub first: Duration,
    /// The median of the runs after it.
    pub warm: Duration,
}

/// Runs `work` once and then `repeats` times more, which is at least one; the last result comes with the times.
///
/// # Errors
/// Those of `work`, at once.
pub async fn time<T, E>(
    repeats: usize,
    mut work: impl AsyncFnMut() -> Result<T, E>,
) -> Result<(T, Timing), E> {
    let start = Instant::now();
    let mut last = work().await?;
    let first = start.elapsed();
    let mut warm = Vec::with_capacity(repeats);
    for _ in 0..repeats.max(1) {
        let start = Instant::now();
        last = work().await?;
        warm.push(start.elapsed());
    }
    warm.sort_unstable();
    Ok((last, Timing { first, warm: warm[warm.len() / 2] }))
}

impl std::fmt::Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} warm, {} the first time", duration(self.warm), duration(self.first))
    }
}

/// `1.2 ms`, `3.4 s`: two digits that mean something.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1e-2 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

/// `12.3 MB`: powers of ten, as disks and networks are sold.
pub fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        n if n < 1e3 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.2} GB", n / 1e9),
    }
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The most memory this process has held so far, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(duration(Duration::from_micros(250)), "250 µs");
        assert_eq!(duration(Duration::from_micros(3_456)), "3.5 ms");
        assert_eq!(duration(Duration::from_millis(345)), "345 ms");
        assert_eq!(duration(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(177_439_862), "177.4 MB");
        assert_eq!(count(7), "7");
        assert_eq!(count(124_209), "124,209");
    }

    #[tokio::test]
    async fn the_first_run_is_not_among_the_warm_ones() {
        let mut runs = 0;
        let mut work = async || {
            runs += 1;
            if runs == 9 { Err("no") } else { Ok(runs) }
        };
        assert_eq!(time(5, &mut work).await.map(|(last, _)| last), Ok(6));
        assert_eq!(time(5, &mut work).await.map(|(last, _)| last), Err("no"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_held_memory() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
