//! The three times of minutely, each a type of its own: event time (what a record says), windows of it, and the
//! monotonic time that silence is measured by. Timely's logical time is the [`Epoch`].

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// An ingest epoch: timely's logical time. The high 24 bits are the generation (how often this chain was restarted),
/// the low 40 count up by one within it. A plain `u64`, so that it is timely's own timestamp.
pub type Epoch = u64;

/// The first epoch of a generation.
pub const fn first_epoch(generation: u64) -> Epoch {
    generation << 40
}

/// When a record says it happened: nanoseconds since 1970-01-01T00:00:00Z, within ±2^62 (R2), so that adding a window
/// and a lateness cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// The largest magnitude a decoded event time has, in nanoseconds (year 2116).
    pub const LIMIT: i64 = 1 << 62;

    /// The largest magnitude of the times and windows that a run makes of event times and keeps, in nanoseconds: the longest lateness
    /// and some of the longest windows beyond [`EventTime::LIMIT`].
    pub const FARTHEST: i64 = EventTime::LIMIT + Windowing::LONGEST_LATENESS + 8 * Windowing::LONGEST;

    /// This time moved by `ns` nanoseconds.
    #[must_use]
    #[inline]
    pub const fn plus(self, ns: i64) -> Self {
        EventTime(self.0.saturating_add(ns))
    }
}

/// A window, named by the event time of its start (R3), in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowStart(pub i64);

impl WindowStart {
    /// Before every window.
    pub const MIN: WindowStart = WindowStart(i64::MIN);
    /// After every window.
    pub const MAX: WindowStart = WindowStart(i64::MAX);
}

/// How event time is cut into windows, and how long a window may still change (R3, R5, R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windowing {
    /// Length of a window in nanoseconds, at least 1. Default: one minute.
    pub length: i64,
    /// How far behind its own partition's watermark a window's end may be for a record still to count, in nanoseconds
    /// of event time. Default: ten minutes.
    pub lateness: i64,
}

impl Default for Windowing {
    fn default() -> Self {
        Windowing { length: 60 * SECOND, lateness: 600 * SECOND }
    }
}

/// Where a window is in its life, given W (R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// `W < end`: records still arrive.
    Open,
    /// `end <= W`: stragglers still correct it.
    Closed,
    /// `end + lateness <= W`: immutable.
    Final,
    /// It may lack records from before the first offset read (R13).
    Partial,
}

impl State {
    /// As it is written in every sink.
    pub const fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Final => "final",
            State::Partial => "partial",
        }
    }
}

impl Windowing {
    /// The longest window, in nanoseconds: 366 days.
    pub const LONGEST: i64 = 366 * 86_400 * SECOND;
    /// The longest lateness, in nanoseconds: a hundred years.
    pub const LONGEST_LATENESS: i64 = 36_525 * 86_400 * SECOND;

    /// The window that holds this time: floor, also before 1970.
    #[inline]
    pub const fn window_of(&self, time: EventTime) -> WindowStart {
        WindowStart(time.0.div_euclid(self.length).saturating_mul(self.length))
    }

    /// The first event time after the window.
    #[inline]
    pub const fn end(&self, window: WindowStart) -> EventTime {
        EventTime(window.0.saturating_add(self.length))
    }

    /// The watermark at which the window becomes final.
    #[inline]
    pub const fn final_at(&self, window: WindowStart) -> EventTime {
        self.end(window).plus(self.lateness)
    }

    /// Where the window is in its life at this W, leaving R13 aside.
    pub fn state(&self, window: WindowStart, w: Option<EventTime>) -> State {
        match w {
            Some(w) if self.final_at(window) <= w => State::Final,
            Some(w) if self.end(window) <= w => State::Closed,
            _ => State::Open,
        }
    }

    /// The first window that is not final at this W: all windows before it are.
    pub fn first_not_final(&self, w: Option<EventTime>) -> WindowStart {
        // final  <=>  start <= w - length - lateness
        w.map_or(WindowStart::MIN, |w| {
            WindowStart(self.window_of(w.plus(-self.length - self.lateness)).0 + self.length)
        })
    }

    /// The first window that has not ended at this W.
    pub fn first_not_closed(&self, w: Option<EventTime>) -> WindowStart {
        w.map_or(WindowStart::MIN, |w| WindowStart(self.window_of(w.plus(-self.length)).0 + self.length))
    }
}

/// A reading of the monotonic clock, in nanoseconds since the process began. Passed in: the core has no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Monotonic(pub i64);

/// The next offset to read, never the last one read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextOffset(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_floor_below_zero() {
        let w = Windowing::default();
        assert_eq!(w.window_of(EventTime(-1)), WindowStart(-60 * SECOND));
        assert_eq!(w.window_of(EventTime(0)), WindowStart(0));
        assert_eq!(w.window_of(EventTime(60 * SECOND - 1)), WindowStart(0));
        assert_eq!(w.window_of(EventTime(60 * SECOND)), WindowStart(60 * SECOND));
    }

    #[test]
    fn firsts_agree_with_state() {
        let w = Windowing { length: 7, lateness: 10 };
        for mark in -50..50 {
            let mark = Some(EventTime(mark));
            for start in (-70..70).step_by(7).map(WindowStart) {
                assert_eq!(
                    w.state(start, mark) == State::Final,
                    start < w.first_not_final(mark),
                    "{start:?} at {mark:?}"
                );
                assert_eq!(
                    w.state(start, mark) != State::Open,
                    start < w.first_not_closed(mark),
                    "{start:?} at {mark:?}"
                );
            }
        }
        assert_eq!(w.first_not_final(None), WindowStart::MIN);
    }

    /// A window of a year and a lateness of a hundred, at both ends of event time: as in wider integers.
    #[test]
    fn the_longest_lateness_overflows_nowhere() {
        let w = Windowing { length: Windowing::LONGEST, lateness: Windowing::LONGEST_LATENESS };
        for time in [-EventTime::LIMIT, 0, EventTime::LIMIT].map(EventTime) {
            let window = w.window_of(time);
            let end = i128::from(window.0) + i128::from(w.length);
            assert_eq!(i128::from(w.final_at(window).0), end + i128::from(w.lateness));
            let first = w.first_not_final(Some(w.final_at(window)));
            assert_eq!(i128::from(first.0), end, "it is the next one");
            let made = [w.final_at(window).0, first.0, w.first_not_final(Some(time)).0];
            assert!(made.iter().all(|made| made.abs() <= EventTime::FARTHEST), "a state may hold it: {made:?}");
            assert!(w.first_not_final(Some(time)) <= window);
        }
    }
}
