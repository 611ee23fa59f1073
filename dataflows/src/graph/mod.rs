//! The dataflow of one worker, and what its operators share.
//!
//! ```text
//!  Read ──updates──> Intern ──> Windows (arrangement) ──┬──> State ──parts──> Inbox (worker 0)
//!   │                             ^                     ├──> Outbox ─chunks─> Inbox
//!   │                             │                     └──> Live ────rows──> Inbox
//!   │──clock──> Retire ─retractions┘
//!   └──reports──────────────────────────────────────────────────────────────> Inbox
//! ```
//!
//! Decisions come back over a dataflow of their own. Retire reads the arrangement's trace beside the dataflow, so there
//! is no feedback edge: its capability follows Read's clock, and what it takes away is final, so no update can follow.

pub(crate) mod intern;
pub(crate) mod outbox;
pub(crate) mod preview;
pub(crate) mod read;
pub(crate) mod retire;
pub(crate) mod snapshot;

use crate::acc::Accumulate;
use crate::checkpoint::{Manifest, Object};
use crate::decode::Decoder;
use crate::edge::{Clock, Halt, HaltKind, LogSource, RowFilter, StateStore};
use crate::protocol::{Commit, Decision, End, Round, SinkId};
use crate::series::Series;
use crate::settings::Settings;
use crate::time::{Epoch, WindowStart};
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::cursor::{CursorList, cursor_list};
use differential_dataflow::trace::implementations::ord_neu::{OrdKeyBatcher, OrdKeySpine};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::{Concat, Probe};
use timely::progress::frontier::AntichainRef;
use timely::scheduling::Activator;
use timely::worker::Worker;

/// ((window, series name), epoch, diff): between workers.
pub(crate) type Named<A> = ((WindowStart, Box<str>), Epoch, A);
/// ((window, series id), epoch, diff): within one, in the shape that an arrangement of keys takes.
pub(crate) type Update<A> = ((Key, ()), Epoch, A);
/// A window of a series, within its worker. The window first, so that what is forgotten is a prefix.
pub(crate) type Key = (WindowStart, u32);
pub(crate) type Spine<A> = OrdKeySpine<Key, Epoch, A>;
pub(crate) type Trace<A> = Rc<RefCell<TraceAgent<Spine<A>>>>;
pub(crate) type Batch<A> = <TraceAgent<Spine<A>> as TraceReader>::Batch;
/// A batch, if its interval has updates, and the interval.
pub(crate) type Span<A> = differential_dataflow::trace::Span<Epoch, Batch<A>>;

/// What a worker is to do.
pub struct Job {
    /// For Control, and what verdicts depend on.
    pub settings: Settings,
    /// The decoder.
    pub decoder: Decoder,
    /// The log.
    pub source: Arc<dyn LogSource>,
    /// The clocks.
    pub clock: Rc<dyn Clock>,
    /// The generation's first epoch.
    pub first_epoch: Epoch,
    /// A record that cannot be decoded ends the run.
    pub bad_is_fatal: bool,
    /// What each sink takes.
    pub takes: Vec<RowFilter>,
    /// Where the state is kept; none keeps nothing.
    pub state: Option<Restored>,
    /// Has somebody asked for the run to end? Any worker may say so.
    pub stop: Rc<dyn Fn() -> bool>,
    /// What a worker does that has nothing to do for so long: [`park`], unless somebody else keeps the time.
    pub rest: Rc<dyn Fn(&mut Worker, Duration)>,
    /// Nanoseconds until rows are read again for whoever watches ([`crate::watch`]); none: nobody does.
    pub live: Option<Rc<dyn Fn() -> i64>>,
}

/// Where the state is kept, and what it is.
#[derive(Clone)]
pub struct Restored {
    /// The store.
    pub store: Arc<dyn StateStore>,
    /// The newest manifest: this generation's first, or one that nobody has published, of an empty chain.
    pub head: Arc<Manifest>,
    /// For each sink that [`Job::takes`] names: it has stored every window before this.
    pub lines: Vec<Option<WindowStart>>,
}

impl Restored {
    /// The windows that one worker goes on with.
    pub(crate) fn load<A: Accumulate>(
        &self,
        worker: usize,
        peers: usize,
    ) -> Result<Vec<((WindowStart, Box<str>), A)>, Halt> {
        let damaged = |name: &str, what: &dyn std::fmt::Display| {
            let why = format!("the state's object {name} {what}: restore it from a copy, or begin anew (--job NAME)");
            Halt::new(HaltKind::Data, why)
        };
        let mine = |shard| crate::series::worker_of_shard(shard, peers) == worker as u64;
        let mut windows = BTreeMap::new();
        for part in &self.head.parts {
            for reference in &part.objects {
                let bytes = self.store.read(reference)?;
                let object = Object::open(&bytes).map_err(|e| damaged(&reference.name, &e))?;
                let mut broken = None;
                let read = object.read(mine, |(window, symbol, acc)| {
                    if Some(window) >= part.line {
                        match postcard::from_bytes::<A>(acc) {
                            Ok(acc) => drop(windows.insert((window, Box::<str>::from(symbol)), acc)),
                            Err(e) => broken = Some(e),
                        }
                    }
                });
                read.map_err(|e| damaged(&reference.name, &e))?;
                if let Some(e) = broken {
                    return Err(damaged(&reference.name, &format!("has a window that cannot be read ({e})")));
                }
            }
        }
        Ok(windows.into_iter().collect())
    }
}

/// Sleeps until something comes, or so long.
pub fn park(worker: &mut Worker, most: Duration) {
    worker.step_or_park(Some(most));
}

/// Records by epoch: what arrived after the exchange, and what retirement took away.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) arrived: BTreeMap<Epoch, i64>,
    pub(crate) retired: BTreeMap<Epoch, i64>,
    /// Windows before this are forgotten, and how many records were in them.
    pub(crate) forgotten: (Option<WindowStart>, i64),
}

/// What one worker's operators share; all on its one thread.
#[derive(Default)]
pub(crate) struct Local {
    pub(crate) series: RefCell<Series>,
    pub(crate) tally: RefCell<Tally>,
    /// Windows before this are forgotten, or being forgotten.
    pub(crate) line: Cell<Option<WindowStart>>,
    /// Decisions that Read has not followed yet.
    pub(crate) for_read: RefCell<VecDeque<Decision>>,
    /// Cuts that State has not come to yet.
    pub(crate) for_state: RefCell<VecDeque<End>>,
    /// What Outbox has not followed yet.
    pub(crate) for_outbox: RefCell<VecDeque<ForOutbox>>,
    /// Read, which looks at the log after every rest.
    pub(crate) reader: RefCell<Option<Activator>>,
    /// Whoever else is to look at decisions.
    pub(crate) activators: RefCell<Vec<Activator>>,
    /// How long nothing will come from the log.
    pub(crate) nap: Cell<Duration>,
    /// Readers have let go.
    pub(crate) stopped: Cell<bool>,
    pub(crate) trouble: RefCell<Option<Halt>>,
}

/// One decision's news for the outbox.
pub(crate) struct ForOutbox {
    pub(crate) commit: Option<Commit>,
    pub(crate) rounds: Vec<Round>,
    /// Chunks that worker 0 has taken from this worker: (sink, count).
    pub(crate) taken: Vec<(SinkId, u64)>,
}

impl Local {
    pub(crate) fn halt(&self, halt: Halt) {
        self.trouble.borrow_mut().get_or_insert(halt);
    }

    pub(crate) fn halted(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    /// Hands a decision to the operators that it concerns.
    fn follow(&self, decision: Decision, worker: usize) {
        let taken: Vec<_> = decision
            .chunks_taken
            .iter()
            .filter(|(_, w, _)| *w == worker)
            .map(|(sink, _, count)| (*sink, *count))
            .collect();
        if decision.commit.is_some() || !decision.rounds.is_empty() || !taken.is_empty() {
            let news = ForOutbox { commit: decision.commit, rounds: decision.rounds.clone(), taken };
            self.for_outbox.borrow_mut().push_back(news);
        }
        if let Some(end) = decision.end.filter(|end| end.cut) {
            self.for_state.borrow_mut().push_back(end);
        }
        if decision.retired_before.is_some() {
            self.line.set(decision.retired_before);
        }
        self.stopped.set(self.stopped.get() || decision.stop);
        self.for_read.borrow_mut().push_back(decision);
        self.activators.borrow().iter().for_each(Activator::activate);
        self.look_at_the_log();
    }

    pub(crate) fn look_at_the_log(&self) {
        self.reader.borrow().iter().for_each(Activator::activate);
    }
}

/// Wakes the worker for an operator, from any thread.
fn waking(scope: &timely::dataflow::Scope<'_, Epoch>, address: &[usize]) -> crate::edge::Wake {
    let remote = std::sync::Mutex::new(scope.worker().sync_activator_for(address.to_vec()));
    Arc::new(move || {
        // A worker that is gone needs no waking.
        let _gone = remote.lock().map(|remote| remote.activate().is_err());
    })
}

/// Everything in a trace.
pub(crate) fn everything<A: Accumulate>(
    trace: &Trace<A>,
) -> (CursorList<<Batch<A> as differential_dataflow::trace::Navigable>::Cursor>, Vec<Batch<A>>) {
    let batches = trace.borrow_mut().batches_through(AntichainRef::new(&[])).expect("the end is always a clean cut");
    cursor_list(batches)
}

/// What leaves a worker's dataflow.
pub(crate) struct Graph<'scope> {
    pub(crate) reports: StreamVec<'scope, Epoch, read::Report>,
    pub(crate) parts: StreamVec<'scope, Epoch, crate::protocol::CutPart>,
    pub(crate) chunks: StreamVec<'scope, Epoch, outbox::Chunk>,
    pub(crate) live: StreamVec<'scope, Epoch, crate::watch::PreviewRows>,
}

/// Builds the main dataflow of one worker. `inbox` ends it, on worker 0's side.
pub(crate) fn build<A: Accumulate>(
    worker: &mut Worker,
    job: &Rc<Job>,
    local: &Rc<Local>,
    restored: Vec<((WindowStart, Box<str>), A)>,
    inbox: impl FnOnce(Graph<'_>),
) -> Handle<Epoch> {
    worker.dataflow_named::<Epoch, _, _>("Minutes", |scope| {
        let sealed = Handle::new();
        let read::Outputs { updates, reports, clock } = read::read::<A>(scope, Rc::clone(job), Rc::clone(local));
        let peers = scope.peers();
        let by_shard = Exchange::new(move |((_, name), _, _): &Named<A>| crate::series::worker_of(name, peers));
        let interned = intern::intern(updates, by_shard, (job.first_epoch, restored), Rc::clone(local));
        let trace: Rc<RefCell<Option<Trace<A>>>> = Rc::default();
        let retractions = retire::retire(clock, Rc::clone(local), Rc::clone(&trace));
        let batcher = OrdKeyBatcher::<Key, Epoch, A>::new;
        let arranged = arrange_core::<_, _, _, Spine<A>>(interned.concat(retractions), Pipeline, "Windows", batcher);
        let windows: Trace<A> = Rc::new(RefCell::new(arranged.trace.clone()));
        trace.borrow_mut().replace(Rc::clone(&windows));
        let batches = arranged.stream.probe_with(&sealed);
        let parts = snapshot::snapshot(batches.clone(), Rc::clone(job), Rc::clone(local), Rc::clone(&windows));
        let live = preview::preview(batches.clone(), Rc::clone(job), Rc::clone(local), Rc::clone(&windows));
        let chunks = outbox::outbox(batches, Rc::clone(job), Rc::clone(local), windows);
        inbox(Graph { reports, parts, chunks, live });
        sealed
    })
}

/// Builds the dataflow of decisions; worker 0's input feeds it.
pub(crate) fn decisions(
    worker: &mut Worker,
    local: &Rc<Local>,
) -> timely::dataflow::InputHandle<u64, timely::container::CapacityContainerBuilder<Vec<Decision>>> {
    use timely::dataflow::operators::Input;
    use timely::dataflow::operators::generic::Operator;
    use timely::dataflow::operators::vec::Broadcast;
    let mut input = timely::dataflow::InputHandle::new();
    let local = Rc::clone(local);
    let index = worker.index();
    worker.dataflow_named::<u64, _, _>("Control", |scope| {
        scope.input_from(&mut input).broadcast().sink(Pipeline, "Follow", move |(input, _)| {
            input.for_each(|_, decisions| decisions.drain(..).for_each(|decision| local.follow(decision, index)));
        });
    });
    input
}
