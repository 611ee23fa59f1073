//! A batch on its way to a database that fails in all the ways that are known of one: is every point stored or refused
//! in the end, and only those refused that it will never take?

use fastrand::Rng;
use minutely_dataflows::delivery::{Delivery, Outcome, Request};
use std::collections::BTreeSet;

/// A database of points by number.
struct Database {
    rng: Rng,
    stored: BTreeSet<usize>,
    /// It takes all of a batch but these.
    poison: BTreeSet<usize>,
    /// More points than that in one write are too many.
    most: usize,
    /// It refuses everything for so many answers yet.
    sick: usize,
    /// No write with points in it is small enough for so many answers yet.
    narrow: usize,
    /// What a write has stored whose outcome was not told.
    untold: BTreeSet<usize>,
    /// Points below this are too old, unless their shard has a younger one in the same write.
    young: usize,
}

/// Points of one shard.
const SHARD: usize = 7;

impl Database {
    /// What its answer means; `None` where that is unknown.
    fn answer(&mut self, points: &[usize]) -> Option<Outcome> {
        let blame = |dropped, oldest| Some(Outcome::Blame { answer: "refused".into(), dropped, oldest });
        if self.sick > 0 {
            self.sick -= 1;
            return blame(None, false);
        }
        if points.len() > self.most {
            return Some(Outcome::Split(String::new()));
        }
        if self.narrow > 0 && !points.is_empty() {
            self.narrow -= 1;
            return Some(Outcome::Split(String::new()));
        }
        let is_there =
            |point: &usize| points.iter().any(|other| *other >= self.young && other / SHARD == point / SHARD);
        let old: Vec<_> = points.iter().filter(|point| **point < self.young && !is_there(point)).collect();
        if !old.is_empty() {
            let count = old.len();
            self.stored.extend(points.iter().skip(count));
            return blame(Some(count), true);
        }
        let good: Vec<_> = points.iter().filter(|point| !self.poison.contains(point)).copied().collect();
        let bad = points.len() - good.len();
        match self.rng.u8(..12) {
            0 => None, // nothing was written
            1 => {
                self.stored.extend(&good);
                self.untold.extend(good);
                None
            }
            2 => None,
            n if bad > 0 && n % 3 == 0 => blame(None, false), // nothing of it was written
            n => {
                self.stored.extend(good);
                match (bad, n % 3) {
                    (0, _) => Some(Outcome::Done),
                    (_, 1) => blame(Some(bad), false),
                    _ => blame(None, false),
                }
            }
        }
    }
}

/// Is it right for this seed?
pub(crate) fn accounts_for_every_point(seed: u64) -> bool {
    let mut rng = Rng::with_seed(seed);
    let points = rng.usize(..60);
    let poison: BTreeSet<_> = (0..points).filter(|_| rng.u8(..8) == 0).collect();
    let (most, sick) = (rng.usize(1..40), if rng.bool() { rng.usize(..6) } else { 0 });
    let narrow = if rng.u8(..4) == 0 { rng.usize(..30) } else { 0 };
    // Old points, or poison: a write that has both says but one of them.
    let young = if rng.bool() { rng.usize(..=points) } else { 0 };
    let poison = if young > 0 { BTreeSet::new() } else { poison };
    let mut database =
        Database { rng, stored: BTreeSet::new(), poison, most, sick, narrow, untold: BTreeSet::new(), young };
    let mut delivery = Delivery::new(points);
    let mut requests = 0;
    let mut at_once = 1;
    while let Some(request) = delivery.next(at_once) {
        requests += 1;
        at_once = database.rng.usize(1..=points.max(1));
        if requests > 100_000 {
            return false;
        }
        let sent: Vec<usize> = match request {
            Request::Points(range) => range.collect(),
            Request::Empty => Vec::new(),
            Request::Small => {
                let small = if database.narrow > 0 { Outcome::Split(String::new()) } else { Outcome::Done };
                database.narrow = database.narrow.saturating_sub(1);
                delivery.answered(small);
                continue;
            }
        };
        if let Some(outcome) = database.answer(&sent) {
            delivery.answered(outcome);
        }
    }
    let refused: BTreeSet<_> = delivery.refused().into_iter().map(|(point, _)| point).collect();
    let all: BTreeSet<_> = (0..points).collect();
    let to_blame = if young > 0 { refused.iter().all(|point| *point < young) } else { refused == database.poison };
    let both = &database.stored & &refused;
    to_blame && &database.stored | &refused == all && both.is_subset(&database.untold)
}
