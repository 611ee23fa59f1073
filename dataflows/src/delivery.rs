//! What becomes of a batch of points that a database is asked to write: which points are sent next and how many at once,
//! what an answer means, and which points it will never take. Pure: `src/sinks/influx/` sends and waits.
//!
//! ```text
//!   a batch ── 204 ───────────────────────────────────────────────> stored
//!     ├ outcome unknown, or a matter of set-up ── wait ──> the same points again
//!     ├ no answer in time ──> the same points again, fewer at once, and longer waited for ([`Effort`])
//!     ├ 413 ──> in halves, down to one point ──> a small write goes through? ── no ──> not about the point: wait, again
//!     │                                               └ yes ──> the point is to blame: refused
//!     ├ 422 of retention ──> the oldest were left out, the others are stored
//!     └ 400, 422 ──> an empty write goes through? ── no ──> not about the points: wait, again
//!                        └ yes, and refused again ──> in halves, down to the points that are to blame: refused
//! ```
//!
//! It promises that every point of the batch is stored or refused in the end, and none both where the database says how
//! many it left out; however often points are sent: a point is named by measurement, tags and minute, and the last write
//! of it wins, so sending it again is always safe.

use crate::mutants::{self, Mutant};
use std::ops::Range;
use std::time::Duration;

/// What an answer to a write says. Answers seen on a real InfluxDB 2.7, and those that proxies give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteVerdict {
    /// 204, or what a proxy or a database of the same protocol makes of it: written.
    Done,
    /// The outcome is unknown (a real 500 "timeout" had written): the identical bytes again, after a while.
    Again,
    /// 413: in two halves.
    Split,
    /// 400: nothing of it was written (by an InfluxDB 1: or all but some points). 422: all but some points were. Find those
    /// that are to blame.
    Blame,
    /// A matter of set-up, such as a token that was revoked: hold everything and look again every few seconds.
    Hold,
}

/// What this HTTP status says. `fails`: the text says that it is a failure, or it is a page for people, whatever the status.
pub fn judge(status: u16, fails: bool) -> WriteVerdict {
    match status {
        422 if mutants::on(Mutant::PartialIsSuccess) => WriteVerdict::Done,
        204 => WriteVerdict::Done,
        200..=202 if !fails => WriteVerdict::Done,
        408 | 425 | 429 | 500..=599 => WriteVerdict::Again,
        413 => WriteVerdict::Split,
        400 | 422 => WriteVerdict::Blame,
        _ => WriteVerdict::Hold, // 401, 403, 404; and what no InfluxDB answers, such as a redirect
    }
}

/// Does this answer say that a request took too long? (A real InfluxDB says so by 500; a proxy by 504, Cloudflare's by 524.)
pub fn too_slow(status: u16, answer: &str) -> bool {
    matches!(status, 408 | 504 | 524) || (matches!(status, 500 | 503) && answer.contains("timeout"))
}

/// How many points the answer to a partial write says were left out, if it says so: `… dropped=2`, `… dropped 2 points
/// outside retention …`. The last such word counts: a tag's value may stand before it.
pub fn dropped(answer: &str) -> Option<usize> {
    let (_, rest) = answer.rsplit_once("dropped")?;
    let digits = rest.strip_prefix(['=', ' '])?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// How many of these points, the oldest, a partial write has left out because the database keeps points for less long; none
/// if it is another partial write. `times` of the points in the order they were sent.
///
/// A real InfluxDB leaves out what is older than its retention *unless* the same write has a younger point for the same
/// shard: then the shard is there, and takes it. So halves of a write are judged otherwise than the whole, and bisection
/// would find points to blame that the whole has stored. What it leaves out is whole shards: the oldest points.
pub fn oldest_dropped(answer: &str, times: &[i64]) -> Option<usize> {
    if mutants::on(Mutant::OldestBisected) {
        return None;
    }
    let (_, why) = answer.split_once("partial write: ")?;
    let of_2 = || why.strip_prefix("dropped ")?.split_once(" points outside retention policy")?.0.parse().ok();
    let of_1 = || why.strip_prefix("points beyond retention policy").and_then(dropped);
    let count: usize = of_2().or_else(of_1)?;
    let ascending = times.is_sorted();
    let parts = count <= times.len() && (count == 0 || count == times.len() || times[count - 1] < times[count]);
    (ascending && parts && !why.contains("Upper Bound")).then_some(count)
}

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
        /// Were these the oldest of them, and all others stored? ([`oldest_dropped`])
        oldest: bool,
    },
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
        match (self.doubt, outcome) {
            (None, Outcome::Done) => drop(self.todo.pop()),
            // Halves blame nobody.
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
    fn answers_are_told_apart() {
        for (status, want) in [
            (204, WriteVerdict::Done),
            (200, WriteVerdict::Done),
            (201, WriteVerdict::Done),
            (202, WriteVerdict::Done),
            (429, WriteVerdict::Again),
            (500, WriteVerdict::Again),
            (503, WriteVerdict::Again),
            (413, WriteVerdict::Split),
            (400, WriteVerdict::Blame),
            (422, WriteVerdict::Blame),
            (401, WriteVerdict::Hold),
            (403, WriteVerdict::Hold),
            (404, WriteVerdict::Hold),
            (203, WriteVerdict::Hold),
            (302, WriteVerdict::Hold),
            (405, WriteVerdict::Hold),
        ] {
            assert_eq!(judge(status, false), want, "{status}");
        }
        assert_eq!(
            (judge(200, true), judge(202, true), judge(204, true)),
            (WriteVerdict::Hold, WriteVerdict::Hold, WriteVerdict::Done)
        );
        assert!(
            too_slow(504, "") && too_slow(500, "timeout") && !too_slow(500, "no space") && !too_slow(429, "timeout")
        );
        assert_eq!(dropped("partial write: field type conflict: input field \"v\" … dropped=12\"}"), Some(12));
        assert_eq!(dropped("partial write: dropped 2 points outside retention policy of duration 1h"), Some(2));
        assert_eq!(dropped("partial write: dropped"), None);
        let limited =
            "partial write: max-values-per-tag limit exceeded (9/9): tag=\"symbol\" value=\"dropped=7\" dropped=1";
        assert_eq!(dropped(limited), Some(1));
        assert_eq!(dropped("unable to parse"), None);
    }

    #[test]
    fn a_partial_write_of_retention_left_out_the_oldest() {
        // As a real 2.7 says it.
        let real = |count: usize| {
            let oldest = "oldest point m,symbol=A at 2026-11-29T04:40:10Z dropped because it violates a Retention Policy \
                          Lower Bound at 2026-11-29T06:24:21.59Z";
            format!(
                "failure writing points to database: partial write: dropped {count} points outside retention policy of \
                 duration 2h0m0s - {oldest}, newest point m,symbol=A dropped because it violates a Retention Policy Lower \
                 Bound at 2026-11-29T06:24:21.59Z dropped={count} for database: 34ce for retention policy: autogen"
            )
        };
        assert_eq!(oldest_dropped(&real(2), &[1, 1, 2, 3]), Some(2));
        assert_eq!(oldest_dropped(&real(4), &[1, 1, 2, 3]), Some(4));
        assert_eq!(oldest_dropped("partial write: points beyond retention policy dropped=3", &[1, 1, 2, 3]), Some(3));
        assert_eq!(oldest_dropped(&real(1), &[1, 1, 2, 3]), None, "one of two of the same time");
        assert_eq!(oldest_dropped(&real(5), &[1, 1, 2, 3]), None);
        assert_eq!(oldest_dropped(&real(2), &[2, 1, 3, 4]), None, "not in order");
        assert_eq!(oldest_dropped(&real(2).replace("Lower", "Upper"), &[1, 2, 3]), None);
        let conflict = "partial write: field type conflict: outside retention policy dropped=1";
        assert_eq!(oldest_dropped(conflict, &[1, 2]), None);
    }

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
                Request::Points(_) | Request::Small => Outcome::Split("413".into()),
            }));
        }
        assert!(waits > 90, "{waits}");
        while delivery.next(10).is_some() {
            delivery.answered(Outcome::Done);
        }
        assert_eq!(delivery.refused(), vec![]);
    }
}
