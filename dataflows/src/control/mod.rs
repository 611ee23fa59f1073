//! Control: worker 0 alone ends epochs, commits cuts and starts rounds, for all. A pure state machine: facts in, one
//! decision out.
//!
//! ```text
//!   readers ── notices, partition states ──┐                        ┌── end of an epoch, admissions, A, W ──> readers
//!   workers ── parts of a cut ─────────────┼─> facts ─> decide() ───┼── committed cut, rounds ─────────────> outboxes
//!   sinks   ── rounds stored ──────────────┘                        ├── windows to be forgotten ───────────> retirement
//!                                                                   └── manifest ────────────────────────> the chain
//! ```
//!
//! Each piece is a struct of its own, in the order in which [`Control::decide`] asks them:
//!
//! | | |
//! |---|---|
//! | `admission` | which partitions are read, and from where |
//! | `watermark` | W, A and the marks, once an epoch is complete |
//! | `cuts` | what is known of a cut, and both equations of R11 at one that is whole |
//! | `commits`, `manifest` | a cut on its way to be committed |
//! | `rounds` | what each sink is sent and has stored, and what may be forgotten |
//! | `stall` | how long a bounded run waits for what stores nothing |
//! | `reading` | how much is in memory |
//! | `epochs` | when an epoch ends, and whether it is a cut |
//! | `ending` | when the run is over |
//!
//! It promises that W never falls, that a cut is committed only if both equations of R11 hold at it, and that no window
//! is forgotten before its final row is stored by every sink. It does not promise speed to a sink that does not answer:
//! then forgetting stops, and at `max_keys` reading. A bounded run waits `sink_timeout` for what makes no progress; a
//! live one waits for ever.

mod admission;
mod commits;
mod cuts;
mod ending;
mod epochs;
mod error;
mod manifest;
mod reading;
mod records;
mod rounds;
mod stall;
mod watermark;

pub use error::{AdmissionError, Imbalance, LedgerError, MemoryError, StallError};
pub use manifest::{ChainLink, ManifestBuilder};
pub use rounds::SinkInfo;

use crate::checkpoint::Manifest;
use crate::frontier::Frontier;
use crate::halt::Halt;
use crate::marks::Marks;
use crate::mutants::{self, Mutant};
use crate::protocol::{Commit, Decision, End, Facts, Guide, Reading};
use crate::settings::Settings;
use crate::status::Status;
use crate::time::{Epoch, Monotonic, WindowStart};
use admission::Admissions;
use commits::Commits;
use cuts::{Cuts, MAX_CUTS_IN_FLIGHT, Snapshot};
use ending::{Outstanding, RunState};
use epochs::{EpochEnd, Epochs, Pressure};
use manifest::RunFacts;
use reading::Load;
use rounds::{NewestCommit, Sinks, final_before};
use stall::{DeadLetterBacklog, StallLimit};
use std::sync::Arc;
use watermark::{Reports, Watermark};

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct ControlSetup {
    /// The run's settings.
    pub settings: Settings,
    /// Its sinks, in the order of `SinkId`.
    pub sinks: Vec<SinkInfo>,
    /// What the place for dead letters is called.
    pub dead_letters: String,
    /// Workers of the run, over all processes.
    pub workers: usize,
    /// The generation's first epoch.
    pub first_epoch: Epoch,
    /// The manifest that the run resumes from, where a state is kept.
    pub head: Option<Arc<Manifest>>,
}

/// All that comes of some facts.
#[derive(Debug, Default)]
pub struct Decided {
    /// What is to be sent to all workers; none if that is nothing.
    pub decision: Option<Decision>,
    /// A manifest that is to be published.
    pub publish: Option<ManifestBuilder>,
}

/// See the module.
#[derive(Debug)]
pub struct Control {
    settings: Settings,
    admissions: Admissions,
    reports: Reports,
    watermark: Watermark,
    cuts: Cuts,
    commits: Commits,
    sinks: Sinks,
    dead_letters: DeadLetterBacklog,
    stall_limit: StallLimit,
    load: Load,
    epochs: Epochs,
    state: RunState,
    /// What readers go by as of the last decision.
    last_sent: Guide,
    /// The manifest that the run resumes from, where a state is kept.
    head: Option<Arc<Manifest>>,
}

impl Control {
    /// Before anything is known.
    pub fn new(setup: ControlSetup, now: Monotonic) -> Self {
        let ControlSetup { mut settings, sinks, dead_letters, workers, first_epoch, head } = setup;
        let prior = head.as_deref();
        if let Some(prior) = prior.filter(|prior| settings.bounded && !prior.finished && prior.instant.is_some()) {
            settings.instant = prior.instant;
        }
        Control {
            admissions: Admissions::new(&settings, &sinks, prior),
            reports: Reports::new(first_epoch),
            watermark: Watermark::new(prior.map(|prior| prior.marks).unwrap_or_default()),
            cuts: Cuts::new(workers),
            commits: Commits::new(prior),
            sinks: Sinks::new(sinks, prior, settings.look_back()),
            dead_letters: DeadLetterBacklog::new(dead_letters),
            stall_limit: StallLimit::of(&settings),
            load: Load::new(workers, settings.max_keys),
            epochs: Epochs::new(first_epoch, settings.checkpoint_interval, now),
            state: RunState::Running,
            last_sent: Guide::default(),
            settings,
            head,
        }
    }

    /// Follows facts, and says what comes of them. The order is part of what is proven: a cut is committed before sinks are
    /// looked at, and whether the run is over is asked last.
    ///
    /// # Errors
    /// When the run cannot continue.
    pub fn decide(&mut self, facts: Facts, now: Monotonic) -> Result<Decided, Halt> {
        let mut decision = Decision::default();
        if facts.stop {
            self.state.ask_to_stop(now, self.epochs.current() + 1);
        }
        decision.admissions = self.admissions.admit(facts.found, &self.settings, self.watermark.w())?;
        self.reports.add(facts.states);
        self.complete(facts.reported);
        self.load.update(&facts.loads);
        facts.parts.into_iter().for_each(|part| self.cuts.add(part));
        let waiting = facts.dead_letters.waiting;
        let mut publish = None;
        if waiting <= MAX_CUTS_IN_FLIGHT && !self.commits.is_publishing() {
            publish = self.check(facts.gathered)?;
        }
        decision.commit = self.commit(facts.published);
        let waits = self.watermark.all_ended() || self.sinks_hold_reading();
        self.sinks.acknowledge(&facts.sinks, waits.then_some(self.stall_limit), now)?;
        decision.retired_before = self.sinks.retire(self.commits.newest().is_some());
        let waits = self.watermark.all_ended() || waiting > MAX_CUTS_IN_FLIGHT;
        self.dead_letters.update(waiting, facts.dead_letters.stored, waits.then_some(self.stall_limit), now)?;
        decision.rounds = self.sinks.begin_rounds(self.committed(), self.state.is_last_round(), now);
        self.watermark.set_reading(self.reading());
        self.epochs.note(facts.first, facts.full, now);
        let pressure = Pressure {
            urgent: self.is_finishing() || !decision.admissions.is_empty(),
            sealed: facts.sealed,
            dead_letter_bytes: facts.dead_letters.bytes,
            cuts_in_flight: self.cuts.len() + usize::from(self.commits.is_publishing()),
        };
        decision.end = self.end_epoch(pressure, now);
        decision.stop = self.stop(decision.commit, now);
        Ok(Decided { decision: self.with_guide(decision), publish })
    }

    /// Epochs that every reader has reported.
    fn complete(&mut self, reported: Frontier) {
        while let Some((epoch, states)) = self.reports.take_complete(reported, self.epochs.current()) {
            self.admissions.report(states);
            self.watermark.update_watermark(&self.admissions, &self.settings);
            let (admissions, watermark, has_state) = (&self.admissions, &self.watermark, self.head.is_some());
            self.cuts.reported(epoch, || Snapshot {
                marks: watermark.marks(),
                counts: admissions.counts(),
                partitions: if has_state { admissions.snapshots() } else { Vec::new() },
                finished: watermark.is_settled(),
            });
        }
    }

    /// The oldest cut, once all of it is there: both equations must hold. Its manifest, where a state is kept.
    fn check(&mut self, gathered: Frontier) -> Result<Option<ManifestBuilder>, Halt> {
        let Some(cut) = self.cuts.take_whole(gathered) else { return Ok(None) };
        let as_of_now = mutants::on(Mutant::SnapshotNotAwaited);
        let counts = if as_of_now { self.admissions.counts() } else { cut.snapshot.counts };
        let ledger = cut.ledger(counts, self.head.as_ref().map_or(0, |head| head.retired));
        if let Some((imbalance, ledger)) = cut.imbalance(ledger, &self.admissions) {
            self.commits.show(ledger);
            return Err(LedgerError(imbalance).into());
        }
        self.load.check(ledger, self.watermark.w())?;
        let run = self.head.as_ref().map(|head| RunFacts {
            head: Arc::clone(head),
            instant: self.settings.instant,
            grows: self.admissions.grows(),
            sinks: self.sinks.states(head),
            dead_letters: self.dead_letters.name().to_owned(),
            cuts: Vec::new(),
        });
        Ok(self.commits.begin(cut, ledger, run))
    }

    /// The cut that is committed now, if one is.
    fn commit(&mut self, published: Option<u64>) -> Option<Commit> {
        let (commit, finished) = self.commits.finish(published, &self.settings.rule.windowing)?;
        if finished {
            self.state.commit_final_cut();
        }
        Some(commit)
    }

    /// The newest commit, as sinks see it.
    fn committed(&self) -> Option<NewestCommit> {
        let commit = self.commits.newest()?;
        Some(NewestCommit::new(commit, self.commits.changed(), &self.settings.rule.windowing))
    }

    /// Ends the epoch in progress, if it is over.
    fn end_epoch(&mut self, pressure: Pressure, now: Monotonic) -> Option<End> {
        if self.state == RunState::Stopped {
            return None;
        }
        let EpochEnd { epoch, is_cut } = self.epochs.end(pressure, now)?;
        if is_cut {
            self.cuts.begin(epoch);
        }
        let audit = is_cut && (self.settings.audit || self.watermark.is_settled());
        Some(End { epoch, cut: is_cut, audit })
    }

    /// Ends the run, if it is over. Not by a decision that commits: what it commits, the dead letters above all, is on its
    /// way from then on, and the facts at hand do not know of it.
    fn stop(&mut self, commit: Option<Commit>, now: Monotonic) -> bool {
        if commit.is_some() && !mutants::on(Mutant::EndsWithItsCommit) {
            return false;
        }
        let keeps_open = self.admissions.keep_open(self.settings.at_end);
        let outstanding = Outstanding {
            no_partitions: self.settings.bounded && self.admissions.all().is_empty(),
            all_stored: self.dead_letters.is_empty() && self.sinks.have_all(self.committed()),
            all_retired: keeps_open || self.commits.ledger().held == 0 || self.have_retired(),
            committed: self.commits.newest(),
        };
        self.state.stop(outstanding, now)
    }

    /// Is all forgotten, by the newest commit, that no later row looks back at?
    fn have_retired(&self) -> bool {
        let final_before = self.committed().and_then(|committed| committed.final_before);
        self.sinks.have_retired(final_before) && self.commits.retired_before() >= self.sinks.retired_before()
    }

    /// A decision with what readers go by; none if it says nothing new.
    fn with_guide(&mut self, decision: Decision) -> Option<Decision> {
        let guide = self.watermark.guide();
        let last_sent = std::mem::replace(&mut self.last_sent, guide);
        let has_news = decision != Decision::default() || last_sent != guide;
        has_news.then_some(Decision { guide, ..decision })
    }

    fn reading(&self) -> Reading {
        if !self.state.reads() || self.sinks_hold_reading() || self.commits_hold_reading() {
            Reading::Nothing
        } else if self.is_full() {
            Reading::HoldingBack
        } else {
            Reading::All
        }
    }

    fn is_full(&self) -> bool {
        self.load.is_full(self.commits.ledger().load)
    }

    /// Is there too much in memory, and some of it there for a sink alone? What holds W back would only make more of it
    /// final. This ends by itself: a sink that lacks final rows of the newest commit has a round of them, or gets one next;
    /// and before the first commit, which needs no reading, no sink has anything.
    fn sinks_hold_reading(&self) -> bool {
        let lack = |commit| self.sinks.lack(final_before(commit, &self.settings.rule.windowing));
        self.state.reads() && self.is_full() && self.commits.newest().is_none_or(lack)
    }

    /// Is there too much in memory, and some of it final by a W that no commit has yet? The next one, which needs no reading,
    /// lets it be sent and forgotten.
    fn commits_hold_reading(&self) -> bool {
        let windowing = &self.settings.rule.windowing;
        let newest = windowing.first_not_final(self.watermark.marks().w);
        let committed = self.commits.newest().and_then(|commit| final_before(commit, windowing));
        self.state.reads() && self.is_full() && newest > committed.unwrap_or(WindowStart::MIN)
    }

    /// The run is about to end, and it waits for more than its sinks and dead letters.
    fn is_finishing(&self) -> bool {
        let stores = !self.dead_letters.is_empty() || self.sinks.are_storing();
        let waits = self.state.is_committed(self.commits.newest()) && stores;
        (self.watermark.all_ended() || self.state.is_stopping()) && !waits || self.commits_hold_reading()
    }

    /// What readers go by at present.
    pub fn guide(&self) -> Guide {
        self.watermark.guide()
    }

    /// Until when nothing happens by itself.
    pub fn deadline(&self) -> Monotonic {
        self.epochs.deadline(self.is_finishing())
    }

    /// For people.
    pub fn status(&self) -> Status {
        let partitions = self.admissions.all().iter();
        Status {
            marks: self.commits.newest().map(|commit| commit.marks).unwrap_or_default(),
            seq: self.commits.seq(),
            partitions: partitions.map(|p| (p.found.clone(), p.state.clone())).collect(),
            ledger: self.commits.ledger(),
            retired_before: self.sinks.retired_before(),
            sinks: self.sinks.status(),
            newest: self.watermark.marks(),
            saved: self.commits.size(),
            waits_for_sinks: self.sinks_hold_reading(),
            keeps_open: self.settings.bounded && self.admissions.keep_open(self.settings.at_end),
            grown: self.admissions.grown().to_vec(),
        }
    }

    /// Marks as of all epochs before this one.
    pub fn newest_marks(&self) -> (Epoch, Marks) {
        (self.reports.next(), self.watermark.marks())
    }
}
