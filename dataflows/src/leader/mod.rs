//! The leader: what worker 0 does beside being a worker. It hosts Control, commits cuts and brings rows and dead letters
//! out.
//!
//! ```text
//!   dataflow ── reports, parts, chunks ──> Inbox ──facts──> Control ──decision──> all workers
//!                                            │                 └─────manifest───> Chain ────> state store
//!                                            ├──────────────rows────────────────> Emitter ──> sink
//!                                            └──────────dead letters────────────> DeadLetters ──> their file
//! ```
//!
//! Every tick is one round of facts in, decision out. Nothing here blocks: whatever has no room or is not stored yet is a
//! fact of the next tick.

mod chain;
mod dead_letters;
mod emitter;
mod error;
mod groups;
mod inbox;
mod live_view;
#[cfg(test)]
mod tests;

pub use emitter::SinkHandle;
pub(crate) use inbox::{Inbox, receive};

use crate::control::{Control, ControlSetup, Decided, ManifestBuilder};
use crate::edge::{DeadLetterPort, ManifestPort};
use crate::frontier::Frontier;
use crate::graph::Job;
use crate::halt::Halt;
use crate::protocol::{Commit, Decision, Facts, SinkId};
use crate::record::PartitionName;
use crate::status::Status;
use crate::time::{Epoch, Monotonic, SECOND, WindowStart};
use crate::watch::Watcher;
use chain::Chain;
use dead_letters::DeadLetters;
use emitter::Emitter;
use error::IdentityCollision;
use groups::{GroupRows, GroupTables};
use live_view::LiveView;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::probe::Handle;

/// The status is shown at least that often, in nanoseconds.
const STATUS_EVERY: i64 = 2 * SECOND;

/// What worker 0 has beyond the others.
pub struct LeaderOutputs {
    /// Where rows go.
    pub sinks: Vec<SinkHandle>,
    /// Where dead letters go.
    pub dead_letters: Box<dyn DeadLetterPort>,
    /// What the place for dead letters is called.
    pub dead_letters_name: String,
    /// The chain of manifests, where a state is kept ([`Job::state`]).
    pub manifests: Option<Box<dyn ManifestPort>>,
    /// Is shown the run's status after every commit, every two seconds while none comes, and at the end, be it a bad one.
    pub watch: Box<dyn FnMut(&Status)>,
    /// Is shown rows before they are committed, and the status oftener, where [`Job::preview_interval`] says so.
    pub watcher: Option<Box<dyn Watcher>>,
}

/// The way of decisions to all workers.
pub(crate) type DecisionInput = InputHandle<u64, CapacityContainerBuilder<Vec<Decision>>>;

/// Where the leader meets the dataflows of its worker.
pub(crate) struct DataflowHandles {
    /// Decisions go in here.
    pub(crate) input: DecisionInput,
    /// What the main dataflow brings.
    pub(crate) inbox: Rc<RefCell<Inbox>>,
    /// Epochs that the arrangement of windows holds.
    pub(crate) sealed: Handle<Epoch>,
}

/// See the module.
pub(crate) struct Leader {
    control: Control,
    inbox: Rc<RefCell<Inbox>>,
    sealed: Handle<Epoch>,
    /// None once the run is over.
    input: Option<DecisionInput>,
    /// Decisions sent so far: the time of the next.
    sent: u64,
    emitters: Vec<Emitter>,
    /// Where there are groups.
    tables: Option<Rc<RefCell<GroupTables>>>,
    /// Windows before this are final at the newest commit.
    final_before: Option<WindowStart>,
    dead_letters: DeadLetters,
    chain: Option<Chain>,
    watch: Box<dyn FnMut(&Status)>,
    /// When the status was shown last.
    watched: Monotonic,
    live_view: Option<LiveView>,
    /// Partitions by identity, which must tell them apart.
    identities: BTreeMap<u64, PartitionName>,
}

impl Leader {
    /// Before the first tick of a run with that many workers.
    ///
    /// # Errors
    /// When dead letters that the state holds cannot be read.
    pub(crate) fn new(
        job: &Job,
        outputs: LeaderOutputs,
        handles: DataflowHandles,
        workers: usize,
    ) -> Result<Self, Halt> {
        let now = job.clock.monotonic();
        let mut dead_letters = DeadLetters::new(outputs.dead_letters);
        let chain = match (outputs.manifests, &job.state) {
            (Some(port), Some(restored)) => Some(Chain::resume(port, restored, &mut dead_letters)?),
            _ => None,
        };
        let tables = job.settings.groups.clone().map(GroupTables::new).map(RefCell::new).map(Rc::new);
        let whole_from = job.state.as_ref().and_then(|restored| restored.head.retired_before());
        let decimals = job.decoder.scales().value;
        let groups = || Some(GroupRows::new(Rc::clone(tables.as_ref()?), decimals, whole_from));
        let setup = ControlSetup {
            settings: job.settings.clone(),
            sinks: outputs.sinks.iter().map(SinkHandle::info).collect(),
            dead_letters: outputs.dead_letters_name,
            workers,
            first_epoch: job.first_epoch,
            head: job.state.as_ref().map(|restored| Arc::clone(&restored.head)),
        };
        let mut emitters: Vec<_> =
            outputs.sinks.into_iter().map(|sink| Emitter::new(sink.port, workers, groups())).collect();
        if outputs.watcher.is_some() {
            emitters.iter_mut().for_each(Emitter::show_groups);
        }
        Ok(Leader {
            control: Control::new(setup, now),
            inbox: handles.inbox,
            sealed: handles.sealed,
            input: Some(handles.input),
            sent: 0,
            emitters,
            tables,
            final_before: None,
            dead_letters,
            chain,
            watch: outputs.watch,
            watched: now,
            live_view: outputs.watcher.map(|watcher| LiveView::new(watcher, workers)),
            identities: BTreeMap::new(),
        })
    }

    /// Has something come since the last tick?
    pub(crate) fn has_news(&self) -> bool {
        self.input.is_some() && self.inbox.borrow().has_news()
    }

    /// How the run is.
    pub(crate) fn status(&self) -> Status {
        self.control.status()
    }

    /// One round of facts in, decision out. How long nothing happens by itself; none once the run is over.
    ///
    /// # Errors
    /// When the run cannot continue.
    pub(crate) fn tick(&mut self, job: &Job, now: Monotonic) -> Result<Option<Duration>, Halt> {
        if self.input.is_none() {
            return Ok(None);
        }
        let facts = self.gather(job)?;
        let Decided { decision, publish } = match self.control.decide(facts, now) {
            Ok(decided) => decided,
            Err(halt) => {
                // What is wrong is in it: a ledger that does not balance is to be seen.
                self.show_status();
                return Err(halt);
            }
        };
        self.show_rows(now);
        self.publish(publish);
        if let Some(decision) = self.with_chunks_consumed(decision) {
            let stop = decision.stop;
            self.follow(&decision, job);
            self.send(decision);
            if stop {
                self.input = None;
                return Ok(None);
            }
        }
        if now.0.saturating_sub(self.watched.0) >= STATUS_EVERY {
            (self.watch)(&self.control.status());
            self.watched = now;
        }
        let until = self.control.deadline().0 - now.0;
        Ok(Some(Duration::from_nanos(u64::try_from(until).unwrap_or(0)).max(Duration::from_millis(1))))
    }

    /// What happened since the last tick. Hands on to sinks and to the place for dead letters what they have room for.
    fn gather(&mut self, job: &Job) -> Result<Facts, Halt> {
        let (mut facts, chunks) = self.inbox.borrow_mut().take();
        self.follow_groups();
        chunks.into_iter().for_each(|chunk| self.emitters[chunk.sink.0].arrive(chunk));
        facts.sinks = self.emitters.iter_mut().map(Emitter::pump).collect::<Result<_, _>>()?;
        facts.sealed = self.sealed.with_frontier(Frontier::of);
        (facts.dead_letters.waiting, facts.dead_letters.stored) =
            (self.dead_letters.pump()?, self.dead_letters.stored());
        facts.found = job.source.discover()?;
        for found in &facts.found {
            if let Some(other) = self.identities.insert(found.name.identity(), found.name.clone()) {
                return Err(IdentityCollision { partition: found.name.clone(), other }.into());
            }
        }
        if let Some(chain) = &mut self.chain {
            facts.published = chain.published()?;
        }
        Ok(facts)
    }

    /// Takes over an edited table of groups.
    fn follow_groups(&mut self) {
        if let Some(tables) = &self.tables {
            let done = self.emitters.iter().filter_map(Emitter::groups_done).min().flatten();
            tables.borrow_mut().follow(self.final_before, done);
        }
    }

    /// Shows how the run is to all who watch it.
    fn show_status(&mut self) {
        let status = self.control.status();
        (self.watch)(&status);
        self.live_view.iter_mut().for_each(|view| view.status(&status));
    }

    /// Shows rows that are not committed yet, and the marks that hold for them.
    fn show_rows(&mut self, now: Monotonic) {
        let fresh = self.inbox.borrow_mut().take_preview();
        if let Some(view) = &mut self.live_view {
            self.emitters.iter_mut().for_each(|emitter| view.groups(emitter.take_shown_groups()));
            view.show(fresh, self.control.newest_marks());
            if view.status_is_due(now) {
                view.status(&self.control.status());
            }
        }
    }

    /// Has the manifest of a cut published, if there is one.
    fn publish(&mut self, manifest: Option<ManifestBuilder>) {
        if let (Some(chain), Some(manifest)) = (&mut self.chain, manifest) {
            let dead_letters = self.inbox.borrow_mut().dead_letters_through(manifest.epoch());
            chain.publish(manifest, dead_letters, &self.dead_letters);
        }
    }

    /// The decision, with what each worker is to know of its chunks; none if there is nothing to send.
    fn with_chunks_consumed(&mut self, decision: Option<Decision>) -> Option<Decision> {
        let of_sink = |(sink, emitter): (usize, &mut Emitter)| {
            emitter.chunks_consumed().into_iter().map(move |(worker, count)| (SinkId(sink), worker, count))
        };
        let chunks_consumed: Vec<_> = self.emitters.iter_mut().enumerate().flat_map(of_sink).collect();
        match decision {
            Some(decision) => Some(Decision { chunks_consumed, ..decision }),
            None if !chunks_consumed.is_empty() => {
                Some(Decision { chunks_consumed, guide: self.control.guide(), ..Decision::default() })
            }
            None => None,
        }
    }

    /// Does at worker 0 what a decision asks for.
    fn follow(&mut self, decision: &Decision, job: &Job) {
        if let Some(w) = decision.commit.and_then(|commit| commit.marks.w) {
            self.final_before = Some(job.settings.rule.windowing.first_not_final(Some(w)));
        }
        for round in &decision.rounds {
            self.emitters[round.sink.0].begin(round.round, self.final_before);
        }
        if let Some(commit) = decision.commit {
            self.commit(commit, job);
        }
    }

    /// A cut is committed: its dead letters go out, and the source learns the next offsets.
    fn commit(&mut self, commit: Commit, job: &Job) {
        let (dead_letters, position) = match &mut self.chain {
            Some(chain) => {
                let (next, dead_letters) = chain.committed();
                job.source.committed(next);
                (dead_letters, chain.position())
            }
            None => (self.inbox.borrow_mut().dead_letters_through(commit.cut), self.dead_letters.position()),
        };
        self.dead_letters.committed(position);
        self.live_view.iter_mut().for_each(|view| view.dead_letters(&dead_letters));
        self.dead_letters.add(commit.cut, dead_letters);
        self.watched = Monotonic(i64::MIN);
    }

    fn send(&mut self, decision: Decision) {
        let Some(input) = &mut self.input else { return };
        input.send(decision);
        self.sent += 1;
        input.advance_to(self.sent);
    }
}
