//! How fast records are written: as fast as they come, at a rate, or as fast as their event times say.

use minutely_dataflows::time::EventTime;
use std::time::{Duration, Instant};

/// A rate or a speed, and how far the records are.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Records a second.
    rate: Option<u64>,
    /// Seconds of event time a second.
    speed: Option<u64>,
    sent: u64,
    first: Option<EventTime>,
}

impl Pace {
    /// As fast as possible where neither is given.
    pub(crate) fn new(rate: Option<u64>, speed: Option<u64>) -> Self {
        Pace { rate, speed, sent: 0, first: None }
    }

    /// Do event times say when records are due?
    pub(crate) fn is_by_event_time(&self) -> bool {
        self.speed.is_some()
    }

    /// How many records of one partition may follow one another: few where there is a rate or a speed, so that no partition runs
    /// ahead.
    pub(crate) fn most_in_a_row(&self) -> usize {
        if self.speed.is_some() {
            return 1;
        }
        self.rate.map_or(usize::MAX, |rate| usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1))
    }

    /// When the next record, of this event time, is due, counted from the start.
    fn due(&mut self, time: Option<EventTime>) -> Duration {
        self.sent += 1;
        if let (Some(speed), Some(time)) = (self.speed, time) {
            let first = *self.first.get_or_insert(time);
            return Duration::from_nanos(u64::try_from((time.0 - first.0).max(0)).unwrap_or(0) / speed);
        }
        let nanos = |rate| u128::from(self.sent - 1) * 1_000_000_000 / u128::from(rate);
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(u64::try_from(nanos(rate)).unwrap_or(u64::MAX)))
    }

    /// Waits until the next record is due, or `keep_on` is false.
    pub(crate) fn wait(&mut self, time: Option<EventTime>, began: Instant, keep_on: impl Fn() -> bool) {
        let due = self.due(time);
        while let Some(left) = due.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            if !keep_on() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::time::SECOND;

    #[test]
    fn records_are_due_by_rate_or_by_event_time() {
        let mut pace = Pace::new(Some(4), None);
        let due: Vec<u128> = (0..4).map(|_| pace.due(None).as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750]);
        let mut pace = Pace::new(None, Some(60));
        let due = |pace: &mut Pace, second: i64| pace.due(Some(EventTime(second * SECOND))).as_millis();
        assert_eq!(due(&mut pace, 1000), 0, "the first is where it begins");
        assert_eq!(due(&mut pace, 1060), 1000);
        assert_eq!(due(&mut pace, 900), 0, "a straggler waits for nothing");
        assert_eq!(pace.due(None), Duration::ZERO);
        assert_eq!(Pace::new(None, None).due(None), Duration::ZERO);
    }
}
