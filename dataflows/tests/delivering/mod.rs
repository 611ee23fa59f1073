//! A batch on its way to a database that fails in all the ways that are known of one: is every point stored or refused
//! in the end, and only those refused that it will never take?

use fastrand::Rng;
use minutely_dataflows::delivery::{Delivery, Outcome, Request, Verdict, dropped, judge};
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
}

impl Database {
    /// The status and the text of its answer.
    fn answer(&mut self, points: &[usize]) -> (u16, String) {
        if self.sick > 0 {
            self.sick -= 1;
            return (400, "not now".into());
        }
        if points.len() > self.most {
            return (413, String::new());
        }
        let good: Vec<_> = points.iter().filter(|point| !self.poison.contains(point)).copied().collect();
        let bad = points.len() - good.len();
        match self.rng.u8(..12) {
            0 => (500, "nothing was written".into()),
            1 => {
                self.stored.extend(good);
                (500, "timeout, and all was written".into())
            }
            2 => (503, String::new()),
            n if bad > 0 && n % 3 == 0 => (400, "nothing of it was written".into()),
            n => {
                self.stored.extend(good);
                match (bad, n % 3) {
                    (0, _) => (204, String::new()),
                    (_, 1) => (422, format!("partial write dropped={bad}")),
                    _ => (422, String::new()),
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
    let mut database = Database { rng, stored: BTreeSet::new(), poison, most, sick };
    let mut delivery = Delivery::new(points);
    let mut requests = 0;
    while let Some(request) = delivery.next() {
        requests += 1;
        if requests > 100_000 {
            return false;
        }
        let sent: Vec<usize> = match request {
            Request::Points(range) => range.collect(),
            Request::Empty => Vec::new(),
        };
        let (status, answer) = database.answer(&sent);
        let outcome = match judge(status) {
            Verdict::Done => Outcome::Done,
            Verdict::Split => Outcome::Split(answer),
            Verdict::Blame => Outcome::Blame { dropped: dropped(&answer).filter(|_| status == 422), answer },
            Verdict::Again | Verdict::Hold => continue,
        };
        delivery.answered(outcome);
    }
    let refused: BTreeSet<_> = delivery.refused().into_iter().map(|(point, _)| point).collect();
    let all: BTreeSet<_> = (0..points).collect();
    refused == database.poison && database.stored == &all - &refused
}
