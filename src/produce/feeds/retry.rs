//! How long to wait before the next connection: decided from how the last one ended, and from nothing else.

use std::time::Duration;

/// How long things may take. Tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeedWaits {
    /// For a connection, handshake included, and for one answer.
    pub(super) connect: Duration,
    /// Without a byte from the server, which answers pings.
    pub(super) silence: Duration,
    /// Between two pings.
    pub(super) ping: Duration,
    /// Before the second connection; doubled from one failure to the next.
    pub(super) first: Duration,
    /// At most.
    pub(super) most: Duration,
    /// At least, after the server said that it was asked too often.
    pub(super) rate_limited: Duration,
    /// A connection that lasted this long was a good one: failures are counted from 0 again.
    pub(super) good: Duration,
    /// Until symbols of which nothing came are named.
    pub(super) unseen: Duration,
    /// Between two messages of one kind.
    pub(super) remark: Duration,
}

impl Default for FeedWaits {
    fn default() -> Self {
        FeedWaits {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            first: Duration::from_secs(1),
            most: Duration::from_secs(60),
            rate_limited: Duration::from_secs(60),
            good: Duration::from_secs(60),
            unseen: Duration::from_secs(60),
            remark: Duration::from_secs(60),
        }
    }
}

/// What failed so far.
pub(super) struct Retry {
    waits: FeedWaits,
    failures: u32,
}

/// Doublings of the wait after "too many requests": 60 s, 2, 4, 8 minutes.
const RATE_LIMIT_DOUBLINGS: u32 = 3;

impl Retry {
    pub(super) fn new(waits: FeedWaits) -> Self {
        Retry { waits, failures: 0 }
    }

    /// The wait after a connection that lasted so long. `share`: a random number below 1024, so that many clients do not come
    /// back all at once.
    pub(super) fn wait(&mut self, lasted: Duration, is_rate_limited: bool, share: u32) -> Duration {
        if lasted >= self.waits.good {
            self.failures = 0;
        }
        let failures = self.failures;
        self.failures += 1;
        if is_rate_limited {
            let least = self.waits.rate_limited * 2_u32.pow(failures.min(RATE_LIMIT_DOUBLINGS));
            return least + least / 2 * share / 1024;
        }
        let whole = self.waits.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.waits.most);
        whole / 2 + whole / 2 * share / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_have_jitter_and_begin_again() {
        let mut retry = Retry::new(FeedWaits::default());
        let mut wait = |lasted: u64, share| retry.wait(Duration::from_secs(lasted), false, share).as_millis();
        assert_eq!((wait(0, 0), wait(0, 0), wait(0, 1023)), (500, 1000, 3998));
        let later: Vec<u128> = (0..40).map(|_| wait(59, 1023)).collect();
        assert!(later.is_sorted() && later[39] > 59_000 && later[39] < 60_000, "{later:?}");
        assert_eq!(wait(60, 0), 500, "it was a good one");
        let mut wait = |share| retry.wait(Duration::ZERO, true, share).as_secs();
        assert_eq!((wait(0), wait(1023)), (120, 359), "the second and the third failure");
        let mut retry = Retry::new(FeedWaits::default());
        let waits: Vec<u64> = (0..6).map(|_| retry.wait(Duration::ZERO, true, 0).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 480, 480]);
    }
}
