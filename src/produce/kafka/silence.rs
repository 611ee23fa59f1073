//! For how long no record has been acknowledged.

use std::time::{Duration, Instant};

/// How long records have waited with none acknowledged; reported every [`AckSilence::EVERY`].
#[derive(Debug, Default)]
pub(super) struct AckSilence {
    /// How many were acknowledged when that number last changed, and when.
    changed: Option<(u64, Instant)>,
    /// When it was reported last.
    reported: Option<Instant>,
}

impl AckSilence {
    /// Between two reports.
    const EVERY: Duration = Duration::from_secs(5);

    /// How long records have waited with none acknowledged, if that is to be reported now. `waits`: some are in flight.
    pub(super) fn look(&mut self, waits: bool, acknowledged: u64, now: Instant) -> Option<Duration> {
        let (before, since) = *self.changed.get_or_insert((acknowledged, now));
        if !waits || acknowledged != before {
            (self.changed, self.reported) = (Some((acknowledged, now)), None);
            return None;
        }
        if now - self.reported.unwrap_or(since) < AckSilence::EVERY {
            return None;
        }
        self.reported = Some(now);
        Some(now - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_said_every_few_seconds() {
        let (mut quiet, began) = (AckSilence::default(), Instant::now());
        let mut at = |seconds, waits, acknowledged| {
            quiet.look(waits, acknowledged, began + Duration::from_secs(seconds)).map(|silence| silence.as_secs())
        };
        let said: Vec<_> = (0..13).map(|second| at(second, true, 7)).collect();
        assert_eq!(said.iter().flatten().copied().collect::<Vec<_>>(), [5, 10]);
        assert_eq!((at(13, true, 8), at(17, true, 8), at(18, true, 8)), (None, None, Some(5)), "one moved");
        assert_eq!((at(90, false, 8), at(94, true, 8), at(95, true, 8)), (None, None, Some(5)), "none waited");
    }
}
