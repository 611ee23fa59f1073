//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// All times of a sink; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long one request may take.
    pub(super) request: Duration,
    /// The first wait after an unknown outcome; then twice as long each time.
    pub(super) first: Duration,
    /// The longest wait that is our own choice.
    pub(super) most: Duration,
    /// Between two looks at a matter of set-up.
    pub(super) hold: Duration,
    /// Between two looks at whose place it is, at most.
    pub(super) look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            request: Duration::from_secs(10),
            first: Duration::from_millis(250),
            most: Duration::from_secs(30),
            hold: Duration::from_secs(3),
            look: Duration::from_secs(60),
        }
    }
}

/// Growing waits with jitter, so that many writers do not come back all at once.
pub(super) struct Backoff {
    pace: Pace,
    next: Duration,
    random: RandomState,
    attempts: u64,
}

/// A server may ask for that much patience and no more.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Backoff { pace, next: pace.first, random: RandomState::new(), attempts: 0 }
    }

    /// The wait before the next attempt: between half and all of the growing one, and not less than the server asks.
    pub(super) fn wait(&mut self, retry_after: Option<Duration>) -> Duration {
        self.attempts += 1;
        let half = self.next / 2;
        let share = u32::try_from(self.random.hash_one(self.attempts) % 1024).expect("below 1024");
        self.next = (self.next * 2).min(self.pace.most);
        (half + half * share / 1024).max(retry_after.unwrap_or_default().min(RETRY_AFTER_MOST))
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). `now` in nanoseconds since the epoch.
pub(super) fn retry_after(header: &str, now: i64) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    let wait = date.as_nanosecond().saturating_sub(i128::from(now)).max(0);
    Some(Duration::from_nanos(u64::try_from(wait).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_heed_the_server() {
        let mut backoff = Backoff::new(Pace::default());
        let mut most = Duration::from_millis(250);
        for _ in 0..20 {
            let wait = backoff.wait(None);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(Duration::from_secs(30));
        }
        assert_eq!(backoff.wait(Some(Duration::from_secs(100))), Duration::from_secs(100));
        assert!(backoff.wait(Some(Duration::ZERO)) >= Duration::from_secs(15));
        assert_eq!(backoff.wait(Some(Duration::from_secs(1 << 40))), RETRY_AFTER_MOST);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 7 ", 0), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 59_000_000_000), Some(Duration::from_secs(1)));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 61_000_000_000), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
        assert_eq!(retry_after("-1", 0), None);
    }
}
