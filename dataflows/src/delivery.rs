//! What becomes of a batch of points that a database is asked to write: which points are sent next and how many at once, and
//! which points it will never take. Pure: `src/sinks/influx/` sends and waits, and says what an answer means.
//!
//! ```text
//!   a batch ── written ───────────────────────────────────────────> stored
//!     ├ outcome unknown, or a matter of set-up ── wait ──> the same points again
//!     ├ no answer in time ──> the same points again, fewer at once, and longer waited for ([`Effort`])
//!     ├ too large ──> in halves, down to one point ──> a small write goes through? ── no ──> not about the point: wait, again
//!     │                                                     └ yes ──> the point is to blame: refused
//!     ├ refused in part: the oldest ──> these were left out, the others are stored
//!     └ refused ──> an empty write goes through? ── no ──> not about the points: wait, again
//!                        └ yes, and refused again ──> in halves, down to the points that are to blame: refused
//! ```
//!
//! It promises that every point of the batch is stored or refused in the end, and none both where the database says how
//! many it left out; however often points are sent: a point is named by measurement, tags and minute, and the last write
//! of it wins, so sending it again is always safe.

use crate::mutants::{self, Mutant};
use std::ops::Range;
use std::time::Duration;

/// How much is sent at once, and how long an answer is waited for. After a request that took too long, half as much and
/// twice as long, both within bounds: a database that stores a batch in more time than it is given would store it again and
/// again. After some that were quick, back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effort {
    lines: usize,
    most_lines: usize,
    wait: Duration,
    first_wait: Duration,
    quick: u32,
}

impl Effort {
    /// Never fewer lines at once than the most by this.
    pub const SHARE: usize = 64;
    /// Never longer than the first wait times this.
    pub const LONGER: u32 = 12;
    /// After this many quick requests in a row, more is sent at once.
    const QUICK: u32 = 4;

    /// The first request: this many lines at once, and this long for the answer.
    pub fn new(lines: usize, wait: Duration) -> Self {
        let lines = lines.max(1);
        Effort { lines, most_lines: lines, wait, first_wait: wait, quick: 0 }
    }

    /// How many lines are sent at once.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// How long an answer is waited for.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// A request of this many points had no answer in time.
    pub fn took_too_long(&mut self, points: usize) {
        self.quick = 0;
        self.wait = (self.wait * 2).min(self.first_wait * Self::LONGER);
        if points > 0 {
            let least = (self.most_lines / Self::SHARE).max(1);
            self.lines = (self.lines.min(points) / 2).max(least);
        }
    }

    /// A request of this many points was answered after this time. Small ones say little of larger ones.
    pub fn took(&mut self, points: usize, time: Duration) {
        let quick = points * 2 > self.lines && time * 4 <= self.wait;
        self.quick = if quick { self.quick + 1 } else { 0 };
        if self.quick < Self::QUICK {
            return;
        }
        self.quick = 0;
        match self.lines < self.most_lines {
            true => self.lines = (self.lines * 2).min(self.most_lines),
            false => self.wait = (self.wait / 2).max(self.first_wait),
        }
    }
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// These points of the batch.
    Points(Range<usize>),
    /// A write without points: does the database take anything at all?
    Empty,
    /// A small write that changes no row, as large as a point usually is: does the database take anything of this size?
    Small,
}

/// What came of a request once its outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Done,
    /// It was too large.
    Split(String),
    /// It was refused, wholly or in part.
    Blame {
        /// What the database said.
        answer: String,
        /// How many points were left out, if the answer says so.
        dropped: Option<usize>,
        /// Were these the oldest of them, too old for the database, and all others stored?
        oldest: bool,
    },
}

impl Outcome {
    /// The outcome itself, but for mutants.
    fn mutated(self) -> Self {
        match self {
            Outcome::Blame { dropped: Some(_), .. } if mutants::on(Mutant::PartialIsSuccess) => Outcome::Done,
            Outcome::Blame { answer, dropped, .. } if mutants::on(Mutant::OldestBisected) => {
                Outcome::Blame { answer, dropped, oldest: false }
            }
            outcome => outcome,
        }
    }
}

/// What a refusal may be about instead of the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// The database takes nothing at present.
    Anything,
    /// It takes nothing of a usual size, for its limit, or that of a proxy before it, is too small.
    Size,
}

/// A batch on its way.
#[derive(Debug)]
pub struct Delivery {
    /// Ranges that are still to be sent, the next last.
    todo: Vec<Range<usize>>,
    /// The next range was refused: is it about the points?
    doubt: Option<Doubt>,
    /// What would have settled the doubt has failed since it arose.
    sick: bool,
    /// Refusals are about the points.
    blames_points: bool,
    /// The next refusal for its size is about the point.
    blames_size: bool,
    refused: Vec<(usize, String)>,
}

impl Delivery {
    /// Of a batch of this many points.
    pub fn new(points: usize) -> Self {
        let todo = std::iter::once(0..points).filter(|range| !range.is_empty()).collect();
        Delivery { todo, doubt: None, sick: false, blames_points: false, blames_size: false, refused: Vec::new() }
    }

    /// What to send, at most this many points; `None` once every point is stored or refused.
    pub fn next(&mut self, most: usize) -> Option<Request> {
        match self.doubt {
            Some(Doubt::Anything) => return Some(Request::Empty),
            Some(Doubt::Size) => return Some(Request::Small),
            None => {}
        }
        let range = self.todo.pop()?;
        let middle = range.end.min(range.start + most.max(1));
        if middle < range.end {
            self.todo.push(middle..range.end);
        }
        self.todo.push(range.start..middle);
        Some(Request::Points(range.start..middle))
    }

    /// What came of it. Says whether to wait a while before the next: the database is not well.
    pub fn answered(&mut self, outcome: Outcome) -> bool {
        match (self.doubt, outcome.mutated()) {
            (None, Outcome::Done) => drop(self.todo.pop()),
            // No point is blamed for the size of several.
            (None, Outcome::Split(answer)) if self.next_has_many() || self.blames_size => {
                self.blames_size = false;
                self.narrow(answer, false);
            }
            (None, Outcome::Split(_)) => self.doubt = Some(Doubt::Size),
            (None, Outcome::Blame { answer, dropped, oldest }) => {
                let dropped = dropped.unwrap_or(usize::MAX);
                if oldest {
                    self.stored_from(dropped);
                }
                match (self.blames_points, self.todo.last()) {
                    (true, last) => self.narrow(answer, last.map(Range::len) == Some(dropped)),
                    (false, Some(_)) => self.doubt = Some(Doubt::Anything),
                    (false, None) => {}
                }
            }
            (Some(Doubt::Anything), Outcome::Done) => {
                // The points once more. If it was not well for a while, refusals are still in doubt.
                self.doubt = None;
                self.blames_points = !std::mem::take(&mut self.sick);
            }
            // Whatever else it says of a small write: it was not too large.
            (Some(Doubt::Size), Outcome::Done | Outcome::Blame { .. }) => {
                self.doubt = None;
                self.blames_size = !std::mem::take(&mut self.sick);
            }
            (Some(_), _) => {
                self.sick = true;
                return true;
            }
        }
        false
    }

    fn next_has_many(&self) -> bool {
        self.todo.last().is_some_and(|range| range.len() > 1)
    }

    /// Of the range that was sent, all points from this one on are stored.
    fn stored_from(&mut self, point: usize) {
        let Some(range) = self.todo.pop() else { return };
        let end = range.end.min(range.start.saturating_add(point));
        if range.start < end {
            self.todo.push(range.start..end);
        }
    }

    /// The range that was refused: in halves, or it is to blame.
    fn narrow(&mut self, answer: String, all: bool) {
        let Some(range) = self.todo.pop() else { return };
        if range.len() > 1 && !all {
            let middle = range.start + range.len() / 2;
            self.todo.push(middle..range.end);
            self.todo.push(range.start..middle);
        } else if !mutants::on(Mutant::PointDropped) {
            self.refused.extend(range.map(|point| (point, answer.clone())));
        }
    }

    /// The points that the database will never take, each with what it said.
    pub fn refused(self) -> Vec<(usize, String)> {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_less_next_time_and_more_again_when_it_is_quick() {
        let s = Duration::from_secs;
        let mut effort = Effort::new(5_000, s(10));
        effort.took_too_long(5_000);
        assert_eq!((effort.lines(), effort.wait()), (2_500, s(20)));
        (0..100).for_each(|_| effort.took(2_500, s(8)));
        assert_eq!((effort.lines(), effort.wait()), (2_500, s(20)), "a database that needs 3 ms a line stays there");
        (0..20).for_each(|_| effort.took_too_long(5_000));
        assert_eq!((effort.lines(), effort.wait()), (78, s(120)), "bounds");
        (0..1_000).for_each(|_| effort.took(10, s(1)));
        assert_eq!(effort.lines(), 78, "small ones say little of larger ones");
        (0..1_000).for_each(|_| effort.took(5_000, s(1)));
        assert_eq!(effort, Effort::new(5_000, s(10)));
        effort.took_too_long(0);
        assert_eq!((effort.lines(), effort.wait()), (5_000, s(20)), "a request without points");
        let mut one = Effort::new(0, s(1));
        one.took_too_long(1);
        assert_eq!(one.lines(), 1);
    }

    #[test]
    fn a_limit_that_lets_no_point_pass_blames_none() {
        let mut delivery = Delivery::new(3);
        let mut waits = 0;
        for _ in 0..100 {
            let request = delivery.next(10).unwrap();
            waits += usize::from(delivery.answered(match request {
                Request::Empty => Outcome::Done,
                Request::Points(_) | Request::Small => Outcome::Split("too large".into()),
            }));
        }
        assert!(waits > 90, "{waits}");
        while delivery.next(10).is_some() {
            delivery.answered(Outcome::Done);
        }
        assert_eq!(delivery.refused(), vec![]);
    }
}
