//! Inbox: where the main dataflow ends, on worker 0. What arrives lies here until the leader's next tick.

use crate::frontier::Frontier;
use crate::graph::Graph;
use crate::graph::outbox::Chunk;
use crate::graph::read::Report;
use crate::partition::DelayHistogram;
use crate::protocol::Facts;
use crate::record::DeadLetter;
use crate::time::Epoch;
use crate::watch::PreviewRows;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

/// What arrived at worker 0 since the last tick.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Something came, or a frontier moved.
    news: bool,
    pub(super) facts: Facts,
    dead_letters: BTreeMap<Epoch, Vec<DeadLetter>>,
    dead_letter_bytes: usize,
    chunks: Vec<Chunk>,
    preview: PreviewFacts,
}

/// What is shown before it is committed.
#[derive(Default)]
pub(super) struct PreviewFacts {
    /// Rows that changed.
    pub(super) rows: Vec<PreviewRows>,
    /// Epochs whose rows have all come.
    pub(super) through: Frontier,
    /// How far behind records were: (worker, sum since it began).
    pub(super) behind: Vec<(usize, DelayHistogram)>,
}

impl Inbox {
    pub(super) fn has_news(&self) -> bool {
        self.news
    }

    /// Facts and rows since the last call. Frontiers stay what they are.
    pub(super) fn take(&mut self) -> (Facts, Vec<Chunk>) {
        self.news = false;
        let (reported, gathered) = (self.facts.reported, self.facts.gathered);
        let mut facts = std::mem::replace(&mut self.facts, Facts { reported, gathered, ..Facts::default() });
        facts.dead_letters.bytes = self.dead_letter_bytes;
        (facts, std::mem::take(&mut self.chunks))
    }

    /// What is to be shown since the last call.
    pub(super) fn take_preview(&mut self) -> PreviewFacts {
        let through = self.preview.through;
        std::mem::replace(&mut self.preview, PreviewFacts { through, ..PreviewFacts::default() })
    }

    pub(super) fn add_dead_letter(&mut self, epoch: Epoch, letter: DeadLetter) {
        self.dead_letter_bytes += letter.bytes();
        self.dead_letters.entry(epoch).or_default().push(letter);
    }

    /// The dead letters of all epochs up to this one, in their order.
    pub(super) fn dead_letters_through(&mut self, epoch: Epoch) -> Vec<DeadLetter> {
        let later = self.dead_letters.split_off(&(epoch + 1));
        let mut dead_letters: Vec<_> =
            std::mem::replace(&mut self.dead_letters, later).into_values().flatten().collect();
        dead_letters.sort_unstable();
        self.dead_letter_bytes -= dead_letters.iter().map(DeadLetter::bytes).sum::<usize>();
        dead_letters
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::First => self.facts.first = true,
            Report::Full => self.facts.full = true,
            Report::Stop => self.facts.stop = true,
            Report::Partition(epoch, state) => self.facts.states.push((epoch, state)),
            Report::DeadLetter(epoch, letter) => self.add_dead_letter(epoch, letter),
            Report::Load(worker, load) => self.facts.loads.push((worker, load)),
            Report::Delays(worker, sum) => self.preview.behind.push((worker, sum)),
        }
    }
}

/// Ends the main dataflow. `leads`: this worker is the one whose inbox is looked at.
pub(crate) fn receive(graph: Graph<'_>, inbox: Rc<RefCell<Inbox>>, leads: bool) {
    let mut builder = OperatorBuilder::new("Inbox".to_owned(), graph.reports.scope());
    let mut reports = builder.new_input(graph.reports, Exchange::new(|_| 0));
    let mut parts = builder.new_input(graph.parts, Exchange::new(|_| 0));
    let mut chunks = builder.new_input(graph.chunks, Exchange::new(|_| 0));
    let mut preview = builder.new_input(graph.previews, Exchange::new(|_| 0));
    builder.build(move |_caps| {
        move |frontiers: &[MutableAntichain<Epoch>]| {
            let inbox = &mut *inbox.borrow_mut();
            inbox.news = true;
            reports.for_each(|_, data| data.drain(..).for_each(|report| inbox.report(report)));
            parts.for_each(|_, data| inbox.facts.parts.append(data));
            chunks.for_each(|_, data| inbox.chunks.append(data));
            preview.for_each(|_, data| inbox.preview.rows.append(data));
            if leads {
                inbox.facts.reported = Frontier::of(frontiers[0].frontier());
                inbox.facts.gathered = Frontier::of(frontiers[1].frontier());
                inbox.preview.through = Frontier::of(frontiers[3].frontier());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PartitionName;

    #[test]
    fn dead_letters_weigh_until_they_are_taken() {
        let letter = |offset: i64| DeadLetter {
            partition: PartitionName { log: "ticks".into(), number: Some(0) },
            offset,
            element: None,
            reason: crate::record::Reason::Json,
            cut_from: None,
            key: None,
            finding: None,
            raw: Some(vec![0; 1000]),
            judged: None,
        };
        let mut inbox = Inbox::default();
        for (epoch, offset) in [(7, 0), (8, 2), (8, 1), (9, 3)] {
            inbox.add_dead_letter(epoch, letter(offset));
        }
        assert!(inbox.dead_letter_bytes >= 4000);
        let taken: Vec<_> = inbox.dead_letters_through(8).into_iter().map(|letter| letter.offset).collect();
        assert_eq!((taken, inbox.dead_letter_bytes), (vec![0, 1, 2], letter(3).bytes()));
    }
}
