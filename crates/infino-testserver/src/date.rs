//! Times as HTTP and S3 write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `Sat, 21 Nov 2026 01:02:03 GMT`
pub(crate) fn http(time: SystemTime) -> String {
    let Civil { year, month, day, weekday, hour, minute, second, .. } = Civil::of(time);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][weekday];
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            [month - 1];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `2026-11-21T01:02:03.004Z`
pub(crate) fn iso(time: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, milli, .. } = Civil::of(time);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

struct Civil {
    year: u64,
    month: usize,
    day: u64,
    /// From Thursday, the first day of the epoch.
    weekday: usize,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u32,
}

impl Civil {
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (mut year, mut left) = (1970, days);
        while left >= 365 + u64::from(is_leap(year)) {
            left -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u64::from(is_leap(year));
        let mut month = 1;
        for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if left < len {
                break;
            }
            left -= len;
            month += 1;
        }
        Self {
            year,
            month,
            day: left + 1,
            weekday: (days % 7) as usize,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            milli: since.subsec_millis(),
        }
    }
}

fn is_leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_times() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
        assert_eq!(http(at(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http(at(951_827_696)), "Tue, 29 Feb 2000 12:34:56 GMT");
        assert_eq!(iso(at(1_735_689_599)), "2024-12-31T23:59:59.007Z");
    }
}
