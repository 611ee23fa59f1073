//! The waits between attempts, and what a server asks for.

use crate::threads::Backoff;
use std::time::Duration;

/// All times of a sink; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// How long one request may take.
    pub(super) request: Duration,
    /// The first wait after an unknown outcome; then twice as long each time.
    pub(super) first: Duration,
    /// The longest wait that the server did not ask for.
    pub(super) most: Duration,
    /// Between two attempts where the server's set-up has to change first.
    pub(super) hold: Duration,
    /// Between two checks of who owns the target, at most.
    pub(super) look: Duration,
}

impl Timeouts {
    /// The waits between attempts.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::with_jitter(self.first, self.most)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            request: Duration::from_secs(10),
            first: Duration::from_millis(250),
            most: Duration::from_secs(30),
            hold: Duration::from_secs(3),
            look: Duration::from_secs(60),
        }
    }
}

/// The longest wait that a server may ask for.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

/// The wait before the next attempt: the growing one, and not less than the server asks for.
pub(super) fn next_wait(backoff: &mut Backoff, retry_after: Option<Duration>) -> Duration {
    backoff.next().max(retry_after.unwrap_or_default().min(RETRY_AFTER_MOST))
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
        let mut backoff = Timeouts::default().backoff();
        let mut most = Duration::from_millis(250);
        for _ in 0..20 {
            let wait = next_wait(&mut backoff, None);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(Duration::from_secs(30));
        }
        assert_eq!(next_wait(&mut backoff, Some(Duration::from_secs(100))), Duration::from_secs(100));
        assert!(next_wait(&mut backoff, Some(Duration::ZERO)) >= Duration::from_secs(15));
        assert_eq!(next_wait(&mut backoff, Some(Duration::from_secs(1 << 40))), RETRY_AFTER_MOST);
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
