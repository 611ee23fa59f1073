//! What came of a feed, counted over all of its connections; and messages that come too often.

use crate::fmt::number_of;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts since the feed began.
#[derive(Debug, Default)]
pub(super) struct FeedTally {
    pub(super) frames: AtomicU64,
    pub(super) records: AtomicU64,
    /// Records that arrived before.
    pub(super) repeats: AtomicU64,
    /// Frames that were not understood.
    pub(super) garbage: AtomicU64,
    /// Trades that the feed numbered and that did not arrive.
    pub(super) missing: AtomicU64,
    /// Connections after an earlier one had ended.
    pub(super) reconnects: AtomicU64,
}

/// A time as people write it.
pub(super) fn shown(time: Duration) -> String {
    crate::fmt::duration(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

impl FeedTally {
    /// In words, what is 0 left out.
    pub(super) fn describe(&self, feed: &str) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (records, frames) = (number_of(of(&self.records), "record"), number_of(of(&self.frames), "frame"));
        let mut text = format!("{feed}: {records} of {frames}");
        let rest = [
            (of(&self.repeats), "repeat", "left out"),
            (of(&self.garbage), "frame", "not understood"),
            (of(&self.missing), "trade", "known to be missing"),
            (of(&self.reconnects), "new connection", "after the first"),
        ];
        for (count, what, rest) in rest.into_iter().filter(|(count, ..)| *count > 0) {
            write!(text, ", {} {rest}", number_of(count, what)).expect("a String takes all text");
        }
        text
    }
}

/// Lets one message of a kind through in a while, and counts the others.
#[derive(Debug, Default)]
pub(super) struct RemarkLimit {
    last: Option<Instant>,
    held_back: u64,
}

impl RemarkLimit {
    /// The message with the number of those held back since the last one; none where it is held back itself.
    pub(super) fn admit(&mut self, text: &str, now: Instant, every: Duration) -> Option<String> {
        if self.last.is_some_and(|last| now - last < every) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        match std::mem::take(&mut self.held_back) {
            0 => Some(text.to_owned()),
            more => Some(format!("{text} ({more} more of this kind since the last such message)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_held_back_and_counted() {
        let (mut limit, begun, minute) = (RemarkLimit::default(), Instant::now(), Duration::from_secs(60));
        let mut at = |seconds| limit.admit("x", begun + Duration::from_secs(seconds), minute);
        assert_eq!((at(0).as_deref(), at(1), at(59)), (Some("x"), None, None));
        assert_eq!(at(60).as_deref(), Some("x (2 more of this kind since the last such message)"));
        assert_eq!(at(200).as_deref(), Some("x"));
    }

    #[test]
    fn counts_in_words() {
        let tally = FeedTally::default();
        add(&tally.frames, 5);
        add(&tally.records, 3);
        assert_eq!(tally.describe("coinbase"), "coinbase: 3 records of 5 frames");
        add(&tally.garbage, 1);
        add(&tally.missing, 9);
        let text = "coinbase: 3 records of 5 frames, 1 frame not understood, 9 trades known to be missing";
        assert_eq!(tally.describe("coinbase"), text);
    }
}
