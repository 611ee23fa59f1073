//! The leader by itself: facts that a test makes, and nothing around it.

use super::*;
use crate::edge::SinkProgress;
use crate::partition::DelayHistogram;
use crate::protocol::CutPart;
use crate::record::DeadLetter;
use crate::status::Ledger;
use crate::watch::PreviewRows;
use std::cell::Cell;

struct Nowhere;

impl DeadLetterPort for Nowhere {
    fn offer(&mut self, _: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        Err(dead_letters)
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(None)
    }
}

/// Keeps the ledger that it was shown last.
struct Eyes(Rc<Cell<Ledger>>);

impl Watcher for Eyes {
    fn rows(&mut self, _: PreviewRows) {}
    fn marks(&mut self, _: crate::marks::Marks) {}
    fn status(&mut self, status: &Status, _: &DelayHistogram) {
        self.0.set(status.ledger);
    }
    fn dead_letters(&mut self, _: &[DeadLetter]) {}
}

#[test]
fn a_ledger_that_does_not_balance_is_shown_before_the_run_ends() {
    let seen: [Rc<Cell<Ledger>>; 2] = Default::default();
    let watched = Rc::clone(&seen[0]);
    let lead = LeaderOutputs {
        sinks: Vec::new(),
        dead_letters: Box::new(Nowhere),
        dead_letters_name: "nowhere".into(),
        manifests: None,
        watch: Box::new(move |status| watched.set(status.ledger)),
        watcher: Some(Box::new(Eyes(Rc::clone(&seen[1])))),
    };
    let job = crate::graph::testing::job(7, Vec::new());
    let inbox: Rc<RefCell<Inbox>> = Rc::default();
    let handles = DataflowHandles { input: InputHandle::new(), inbox: Rc::clone(&inbox), sealed: Handle::new() };
    let mut leader = Leader::new(&job, lead, handles, 1).unwrap();
    leader.tick(&job, Monotonic(SECOND)).unwrap();
    let part = CutPart {
        cut: 7,
        worker: 0,
        arrived: 3,
        retired: 0,
        keys: 1,
        load: 1,
        traced: None,
        objects: Vec::new(),
        ids: Vec::new(),
        folds: Vec::new(),
        index: Vec::new(),
        trail: None,
        retired_before: None,
        forgotten: 0,
    };
    inbox.borrow_mut().facts =
        Facts { parts: vec![part], reported: Frontier::At(8), gathered: Frontier::At(8), ..Facts::default() };
    let halt = leader.tick(&job, Monotonic(SECOND)).unwrap_err();
    assert!(halt.why.contains("does not balance"), "{halt}");
    for seen in seen {
        assert_eq!((seen.get().counts.counted, seen.get().held), (0, 3));
    }
}
