//! A log that grows by a hundred records a night, in order, and is read to its end each night by a run that goes on with
//! the state of the last: how many of its records are late?

#![allow(dead_code, reason = "each test binary uses its part")]

use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::control::{ChainLink, Control, ControlSetup, Decided};
use minutely_dataflows::edge::Discovered;
use minutely_dataflows::frontier::Frontier;
use minutely_dataflows::partition::{Partition, PartitionState, Rule};
use minutely_dataflows::protocol::{CutPart, Decision, Facts};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::settings::{AtEnd, Settings};
use minutely_dataflows::time::{Epoch, EventTime, Monotonic, NextOffset, SECOND, first_epoch};
use std::collections::BTreeMap;
use std::sync::Arc;

const BEGAN: i64 = 1_767_600_000 * SECOND;
/// A record a second.
const A_NIGHT: i64 = 100;

/// Over four nights. `open_at_first`: the first leaves its last windows open, as the others do.
pub(crate) fn late(open_at_first: bool) -> i64 {
    let mut chain = Manifest::fresh(BTreeMap::new());
    for night in 1..=4 {
        let at_end = if open_at_first { AtEnd::KeepOpen } else { AtEnd::CloseUnlessGrown };
        chain = Night::begin(chain, at_end, night * A_NIGHT).ends();
    }
    let state = chain.partitions[0].state.as_ref().unwrap();
    assert_eq!(state.counts.read, 4 * A_NIGHT);
    state.counts.late
}

struct Night {
    control: Control,
    partition: Partition,
    chain: Manifest,
    /// A manifest that is to be published.
    outgoing: Option<Manifest>,
    now: i64,
}

impl Night {
    fn begin(chain: Manifest, at_end: AtEnd, end: i64) -> Self {
        let settings =
            Settings { bounded: true, at_end, instant: Some(EventTime(i64::MAX / 4)), ..Settings::default() };
        let chain = chain.restarted("a night");
        let first = first_epoch(chain.generation);
        let setup = ControlSetup {
            settings,
            sinks: Vec::new(),
            dead_letters: "letters".to_owned(),
            workers: 1,
            first_epoch: first,
            head: Some(Arc::new(chain.clone())),
        };
        let mut control = Control::new(setup, Monotonic(0));
        let name = PartitionName { log: "ticks".into(), number: Some(0) };
        let zero = NextOffset(0);
        let found = Discovered { name, start: zero, earliest: zero, end: Some(end), log_id: None };
        let told = control.decide(Facts { found: vec![found], ..Facts::default() }, Monotonic(0));
        let admission = told.unwrap().decision.unwrap().admissions.remove(0);
        let mut partition = match &admission.resume {
            Some(state) => Partition::resume(Rule::default(), state, true, Monotonic(0)),
            None => Partition::new(Rule::default(), 0, zero, true, Monotonic(0)).with_floor(admission.floor),
        };
        for offset in partition.report(None, Monotonic(0)).next.0..end {
            let time = EventTime(BEGAN + offset * SECOND);
            partition.begin_record(offset);
            partition.judge(time, None, EventTime(i64::MAX / 4), Monotonic(0));
        }
        partition.end_reached();
        Night { control, partition, chain, outgoing: None, now: 0 }
    }

    fn tell(&mut self, facts: Facts) -> Decision {
        let facts = Facts { sealed: Frontier::Done, ..facts };
        let Decided { decision, publish } = self.control.decide(facts, Monotonic(self.now)).unwrap();
        if let Some(publish) = publish {
            self.outgoing = Some(publish.build(ChainLink::default()));
        }
        decision.unwrap_or_default()
    }

    /// All is there of an epoch that has ended.
    fn complete(&mut self, epoch: Epoch, cut: bool) -> Decision {
        let state: PartitionState = self.partition.report(self.control.guide().alignment_base, Monotonic(self.now));
        let part = CutPart {
            cut: epoch,
            worker: 0,
            arrived: state.counts.counted,
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
        let (reported, gathered) = (Frontier::At(epoch + 1), Frontier::At(epoch + 1));
        let parts = if cut { vec![part] } else { Vec::new() };
        self.tell(Facts { states: vec![(epoch, state)], parts, reported, gathered, ..Facts::default() })
    }

    /// Until a manifest says that all is read; no sink takes anything, so that nothing is forgotten.
    fn ends(mut self) -> Manifest {
        for _ in 0..100 {
            self.now += SECOND;
            let Some(end) = self.tell(Facts::default()).end else { continue };
            let told = self.complete(end.epoch, end.cut);
            if let Some(a) = told.guide.catch_up_to {
                self.partition.learn(a, told.guide.alignment_base, Monotonic(self.now));
            }
            if let Some(manifest) = self.outgoing.take() {
                let (seq, through) = (manifest.seq, Frontier::At(end.epoch + 1));
                self.chain = manifest;
                self.tell(Facts { published: Some(seq), reported: through, gathered: through, ..Facts::default() });
                if self.chain.finished {
                    return self.chain;
                }
            }
        }
        panic!("it does not end");
    }
}
