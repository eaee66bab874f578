//! What goes wrong on purpose.

use std::time::Duration;

use crate::http::Request;

/// A promise that the whole server breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// None: conditional writes are exact.
    #[default]
    None,
    /// It writes whatever the condition, and says so.
    IgnoresConditions,
    /// It checks the condition, lets others write, then writes.
    ChecksThenWrites,
    /// It answers a read of a range with the whole object.
    IgnoresRanges,
}

/// One thing that goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens; the answer has this status (503 `SlowDown`, 500 `InternalError`, 409
    /// `ConditionalRequestConflict`, 403 `AccessDenied`).
    Status(u16),
    /// Nothing happens; the server finds the request's time too far from its own (403 `RequestTimeTooSkewed`).
    ClockSkew,
    /// It happens; the answer has this status all the same.
    StatusAfter(u16),
    /// Nothing happens; the connection closes without an answer.
    Close,
    /// It happens; the connection closes without an answer.
    CloseAfter,
    /// It happens; the connection is reset without an answer.
    ResetAfter,
    /// It happens; half of the answer's head comes, then the connection closes.
    HalfReplyAfter,
    /// It happens; the answer comes so much later.
    HangAfter(Duration),
    /// It happens so much later, then the answer comes.
    Delay(Duration),
    /// The connection closes at once, the request lands so much later.
    Late(Duration),
    /// The answer promises its whole body, half of it comes, then the connection closes.
    Truncate,
    /// One bit of the answer's body is changed.
    BitFlip,
}

/// A fault, and the requests it befalls: by method, by path, conditional ones only, after so many, at most so often, with
/// a chance.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) fault: Fault,
    method: String,
    path: String,
    conditional: bool,
    skip: u64,
    left: u64,
    chance: f64,
}

impl Rule {
    /// `fault` befalls every request.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            method: String::new(),
            path: String::new(),
            conditional: false,
            skip: 0,
            left: u64::MAX,
            chance: 1.0,
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_ascii_uppercase();
        self
    }

    /// Only requests whose path and query contain `part`.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        part.clone_into(&mut self.path);
        self
    }

    /// Only requests with a condition.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.conditional = true;
        self
    }

    /// Not the first `count` that match.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.left = count;
        self
    }

    /// With this probability.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Whether it befalls this request, given a number drawn from `0.0..1.0`. Counts.
    pub(crate) fn befalls(&mut self, request: &Request, drawn: f64) -> bool {
        let is_conditional = ["if-match", "if-none-match", "x-goog-if-generation-match"]
            .iter()
            .any(|name| request.header(name).is_some());
        let matches = self.left > 0
            && (self.method.is_empty() || self.method == request.method)
            && request.target.contains(&self.path)
            && (!self.conditional || is_conditional);
        if !matches {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let befalls = drawn < self.chance;
        self.left -= u64::from(befalls);
        befalls
    }

    /// A rule from the query of `POST /__fault`: `kind` and, where they apply, `status`, `ms`, `method`, `path`,
    /// `conditional`, `after`, `times`, `chance`.
    pub(crate) fn from_query(pairs: &[(String, String)]) -> Result<Self, String> {
        let get =
            |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let number = |name: &str, default: u64| match get(name) {
            None => Ok(default),
            Some(text) => text.parse::<u64>().map_err(|_| format!("{name} must be a number")),
        };
        let status = u16::try_from(number("status", 503)?).map_err(|e| e.to_string())?;
        let wait = Duration::from_millis(number("ms", 1000)?);
        let fault = match get("kind").unwrap_or_default() {
            "status" => Fault::Status(status),
            "clock_skew" => Fault::ClockSkew,
            "status_after" => Fault::StatusAfter(status),
            "close" => Fault::Close,
            "close_after" => Fault::CloseAfter,
            "reset_after" => Fault::ResetAfter,
            "half_reply_after" => Fault::HalfReplyAfter,
            "hang_after" => Fault::HangAfter(wait),
            "delay" => Fault::Delay(wait),
            "late" => Fault::Late(wait),
            "truncate" => Fault::Truncate,
            "bit_flip" => Fault::BitFlip,
            other => return Err(format!("kind {other:?} is not known")),
        };
        let chance = get("chance").map_or(Ok(1.0), str::parse::<f64>);
        let mut rule = Self::new(fault)
            .method(get("method").unwrap_or_default())
            .path(get("path").unwrap_or_default())
            .after(number("after", 0)?)
            .times(number("times", u64::MAX)?)
            .chance(chance.map_err(|_| "chance must be a number".to_owned())?);
        rule.conditional = get("conditional") == Some("1");
        Ok(rule)
    }
}

/// SplitMix64.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
