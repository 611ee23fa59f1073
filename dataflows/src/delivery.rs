//! What becomes of a batch of points that a database is asked to write: which points are sent next, what an answer means,
//! and which points it will never take. Pure; who sends and waits is `src/sinks/influx/`.
//!
//! ```text
//!   a batch ── 204 ───────────────────────────────────────────────> stored
//!     ├ outcome unknown, or a matter of set-up ── wait ──> the same points again
//!     ├ 413 ──> in halves
//!     └ 400, 422 ──> an empty write goes through? ── no ──> not about the points: wait, again
//!                        └ yes, and refused again ──> in halves, down to the points that are to blame: refused
//! ```
//!
//! It promises that every point of the batch is stored or refused in the end, however often it is sent: a point is named
//! by measurement, symbol and minute, and the last write of it wins, so sending it again is always safe.

use crate::mutants::{self, Mutant};
use std::ops::Range;

/// What an answer to a write says. Answers seen on a real InfluxDB 2.7, and those that proxies give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 204: written.
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

/// What this HTTP status says.
pub fn judge(status: u16) -> Verdict {
    match status {
        422 if mutants::on(Mutant::PartialIsSuccess) => Verdict::Done,
        204 => Verdict::Done,
        408 | 425 | 429 | 500..=599 => Verdict::Again,
        413 => Verdict::Split,
        400 | 422 => Verdict::Blame,
        _ => Verdict::Hold, // 401, 403, 404; and what no InfluxDB answers, such as a redirect
    }
}

/// How many points the answer to a partial write says were left out, if it says so: `… dropped=2`, `… dropped 2 points
/// outside retention …`. The last such word counts: a tag's value may stand before it.
pub fn dropped(answer: &str) -> Option<usize> {
    let (_, rest) = answer.rsplit_once("dropped")?;
    let digits = rest.strip_prefix(['=', ' '])?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// These points of the batch.
    Points(Range<usize>),
    /// A write without points: does the database take anything at all?
    Empty,
}

/// What came of a request once its outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Done,
    /// It was too large.
    Split(String),
    /// It was refused, wholly or in part; `dropped`: how many points were left out, if the answer says so.
    Blame {
        /// What the database said.
        answer: String,
        /// See above.
        dropped: Option<usize>,
    },
}

/// A batch on its way.
#[derive(Debug)]
pub struct Delivery {
    /// Ranges that are still to be sent, the next last.
    todo: Vec<Range<usize>>,
    /// The next range was refused: is it about the points?
    doubt: bool,
    /// An empty write has failed since the doubt arose.
    sick: bool,
    /// Refusals are about the points.
    blames_points: bool,
    refused: Vec<(usize, String)>,
}

impl Delivery {
    /// Of a batch of so many points.
    pub fn new(points: usize) -> Self {
        let todo = std::iter::once(0..points).filter(|range| !range.is_empty()).collect();
        Delivery { todo, doubt: false, sick: false, blames_points: false, refused: Vec::new() }
    }

    /// What to send; none: every point is stored or refused.
    pub fn next(&self) -> Option<Request> {
        if self.doubt { Some(Request::Empty) } else { self.todo.last().cloned().map(Request::Points) }
    }

    /// What came of it. Says whether to wait a while before the next: the database is not well.
    pub fn answered(&mut self, outcome: Outcome) -> bool {
        match (self.doubt, outcome) {
            (false, Outcome::Done) => drop(self.todo.pop()),
            // Halves blame nobody.
            (false, Outcome::Split(answer)) if self.blames_points || self.next_has_many() => self.narrow(answer, false),
            (false, Outcome::Blame { answer, dropped }) if self.blames_points => {
                let all = dropped == self.todo.last().map(Range::len);
                self.narrow(answer, all);
            }
            (false, _) => self.doubt = true,
            (true, Outcome::Done) => {
                // The points once more. If it was not well for a while, refusals are still in doubt.
                self.doubt = false;
                self.blames_points = !std::mem::take(&mut self.sick);
            }
            (true, _) => {
                self.sick = true;
                return true;
            }
        }
        false
    }

    fn next_has_many(&self) -> bool {
        self.todo.last().is_some_and(|range| range.len() > 1)
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
            (204, Verdict::Done),
            (429, Verdict::Again),
            (500, Verdict::Again),
            (503, Verdict::Again),
            (413, Verdict::Split),
            (400, Verdict::Blame),
            (422, Verdict::Blame),
            (401, Verdict::Hold),
            (403, Verdict::Hold),
            (404, Verdict::Hold),
            (200, Verdict::Hold),
            (302, Verdict::Hold),
            (405, Verdict::Hold),
        ] {
            assert_eq!(judge(status), want, "{status}");
        }
        assert_eq!(dropped("partial write: field type conflict: input field \"v\" … dropped=12\"}"), Some(12));
        assert_eq!(dropped("partial write: dropped 2 points outside retention policy of duration 1h"), Some(2));
        assert_eq!(dropped("partial write: dropped"), None);
        let limited =
            "partial write: max-values-per-tag limit exceeded (9/9): tag=\"symbol\" value=\"dropped=7\" dropped=1";
        assert_eq!(dropped(limited), Some(1));
        assert_eq!(dropped("unable to parse"), None);
    }
}
