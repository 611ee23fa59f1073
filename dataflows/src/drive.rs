//! One worker's run, from its first step to its last. Worker 0 leads: it hosts Control, the ledger's committer and the
//! way to the sinks.

use crate::acc::Accumulate;
use crate::control::{Control, Decision, Facts, Status};
use crate::edge::{Halt, LetterPort};
use crate::emitter::{Emitter, Outlet};
use crate::graph::outbox::Chunk;
use crate::graph::read::Report;
use crate::graph::{self, Graph, Job, Local};
use crate::record::DeadLetter;
use crate::time::{Epoch, Monotonic};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe::Handle;
use timely::progress::frontier::MutableAntichain;
use timely::worker::Worker;

/// What worker 0 has beyond the others.
pub struct Lead {
    /// Where rows go.
    pub outlets: Vec<Outlet>,
    /// Where dead letters go.
    pub letters: Box<dyn LetterPort>,
    /// Is shown the run's status after every commit, and at the end.
    pub watch: Box<dyn FnMut(&Status)>,
}

/// Tells the workers of this process that the run cannot go on.
#[derive(Debug, Default)]
pub struct Alarm(Mutex<Option<Halt>>);

impl Alarm {
    /// The first trouble, if there is any.
    pub fn raised(&self) -> Option<Halt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is trouble here.
    pub fn raise(&self, halt: &Halt) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| halt.clone());
    }
}

/// Runs one worker until the run is over. `lead` is worker 0's.
///
/// # Errors
/// When the run cannot go on, here or at another worker of this process.
pub fn drive<A: Accumulate>(
    worker: &mut Worker,
    job: Job,
    lead: Option<Lead>,
    alarm: &Alarm,
) -> Result<Option<Status>, Halt> {
    let (job, local) = (Rc::new(job), Rc::new(Local::default()));
    let inbox = Rc::new(RefCell::new(Inbox::default()));
    let (leads, filled) = (lead.is_some(), Rc::clone(&inbox));
    let sealed = graph::build::<A>(worker, &job, &local, |graph| receive(graph, filled, leads));
    let input = graph::decisions(worker, &local);
    let mut leader = match lead {
        Some(lead) => Some(Leader::new(&job, lead, input, inbox, sealed, worker.peers())),
        None => {
            input.close();
            None
        }
    };
    while !worker.installed_dataflows().is_empty() {
        let until = match &mut leader {
            Some(leader) => leader.tick(&job, job.clock.monotonic()),
            None => Ok(None),
        };
        if let Some(halt) = until.as_ref().err().cloned().or_else(|| local.trouble.borrow().clone()) {
            alarm.raise(&halt);
        }
        if let Some(halt) = alarm.raised() {
            worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            return Err(halt);
        }
        local.look_at_the_log();
        worker.step();
        // What arrived at worker 0 is looked at before it rests.
        if !leader.as_ref().is_some_and(Leader::has_news) {
            let most = if local.stopped.get() { Duration::from_millis(10) } else { local.nap.get() };
            (job.rest)(worker, until.ok().flatten().map_or(most, |until| most.min(until)));
        }
    }
    Ok(leader.map(|leader| leader.control.status()))
}

/// What arrives at worker 0.
#[derive(Default)]
struct Inbox {
    /// Something came, or a frontier moved.
    news: bool,
    facts: Facts,
    letters: BTreeMap<Epoch, Vec<DeadLetter>>,
    chunks: Vec<Chunk>,
}

/// The end of the main dataflow.
fn receive(graph: Graph<'_>, inbox: Rc<RefCell<Inbox>>, leads: bool) {
    let mut builder = OperatorBuilder::new("Inbox".to_owned(), graph.reports.scope());
    let mut reports = builder.new_input(graph.reports, Exchange::new(|_| 0));
    let mut parts = builder.new_input(graph.parts, Exchange::new(|_| 0));
    let mut chunks = builder.new_input(graph.chunks, Exchange::new(|_| 0));
    builder.build(move |_caps| {
        move |frontiers: &[MutableAntichain<Epoch>]| {
            let Inbox { news, facts, letters, chunks: rows } = &mut *inbox.borrow_mut();
            *news = true;
            reports.for_each(|_, data| {
                for report in data.drain(..) {
                    match report {
                        Report::First => facts.first = true,
                        Report::Full => facts.full = true,
                        Report::Stop => facts.stop = true,
                        Report::State(epoch, state) => facts.states.push((epoch, state)),
                        Report::Letter(epoch, letter) => letters.entry(epoch).or_default().push(letter),
                    }
                }
            });
            parts.for_each(|_, data| facts.parts.append(data));
            chunks.for_each(|_, data| rows.append(data));
            if leads {
                facts.reported = frontiers[0].frontier().first().copied();
                facts.gathered = frontiers[1].frontier().first().copied();
            }
        }
    });
}

struct Leader {
    control: Control,
    inbox: Rc<RefCell<Inbox>>,
    sealed: Handle<Epoch>,
    input: Option<InputHandle<u64, CapacityContainerBuilder<Vec<Decision>>>>,
    emitters: Vec<Emitter>,
    letters: Letters,
    watch: Box<dyn FnMut(&Status)>,
    sent: u64,
    identities: BTreeMap<u64, String>,
}

impl Leader {
    fn new(
        job: &Job,
        lead: Lead,
        input: InputHandle<u64, CapacityContainerBuilder<Vec<Decision>>>,
        inbox: Rc<RefCell<Inbox>>,
        sealed: Handle<Epoch>,
        workers: usize,
    ) -> Self {
        let sinks = lead.outlets.iter().map(|outlet| (outlet.name.clone(), outlet.takes)).collect();
        let now = job.clock.monotonic();
        Leader {
            control: Control::new(job.settings.clone(), sinks, workers, job.first_epoch, now),
            inbox,
            sealed,
            input: Some(input),
            emitters: lead.outlets.into_iter().map(|outlet| Emitter::new(outlet.port, workers)).collect(),
            letters: Letters { port: lead.letters, waiting: VecDeque::new(), offered: None, stored: None },
            watch: lead.watch,
            sent: 0,
            identities: BTreeMap::new(),
        }
    }

    fn has_news(&self) -> bool {
        self.input.is_some() && self.inbox.borrow().news
    }

    /// One round of facts in, decision out. Until when nothing happens by itself.
    fn tick(&mut self, job: &Job, now: Monotonic) -> Result<Option<Duration>, Halt> {
        let Some(input) = &mut self.input else { return Ok(None) };
        let (mut facts, chunks) = {
            let mut inbox = self.inbox.borrow_mut();
            inbox.news = false;
            let (reported, gathered) = (inbox.facts.reported, inbox.facts.gathered);
            let facts = std::mem::replace(&mut inbox.facts, Facts { reported, gathered, ..Facts::default() });
            (facts, std::mem::take(&mut inbox.chunks))
        };
        chunks.into_iter().for_each(|chunk| self.emitters[chunk.port].arrive(chunk));
        facts.stored = self.emitters.iter_mut().map(Emitter::pump).collect::<Result<_, _>>()?;
        facts.sealed = self.sealed.with_frontier(|frontier| frontier.first().copied());
        facts.letters_waiting = self.letters.pump()?;
        facts.found = job.source.found()?;
        for found in &facts.found {
            let name = found.name.to_string();
            if let Some(other) = self.identities.insert(found.name.identity(), name.clone()) {
                let why = format!("partitions {name} and {other} have the same identity (XXH3-64); rename one of them");
                return Err(Halt::new(crate::edge::HaltKind::Usage, why));
            }
        }
        let decision = self.control.decide(facts, now)?;
        let taken: Vec<_> = self
            .emitters
            .iter_mut()
            .enumerate()
            .flat_map(|(port, emitter)| emitter.taken().into_iter().map(move |(worker, n)| (port, worker, n)))
            .collect();
        let decision = match decision {
            Some(decision) => Some(Decision { taken, ..decision }),
            None if !taken.is_empty() => Some(Decision { taken, guide: self.control.guide(), ..Decision::default() }),
            None => None,
        };
        if let Some(decision) = decision {
            for round in &decision.rounds {
                self.emitters[round.port].begin(round.round);
            }
            if let Some(commit) = decision.commit {
                let inbox = &mut self.inbox.borrow_mut().letters;
                let later = inbox.split_off(&(commit.cut + 1));
                let letters = std::mem::replace(inbox, later).into_values().flatten().collect();
                self.letters.add(commit.cut, letters);
                (self.watch)(&self.control.status());
            }
            let stop = decision.stop;
            input.send(decision);
            self.sent += 1;
            input.advance_to(self.sent);
            if stop {
                self.input = None;
                return Ok(None);
            }
        }
        let until = self.control.deadline().0 - now.0;
        Ok(Some(Duration::from_nanos(u64::try_from(until).unwrap_or(0)).max(Duration::from_millis(1))))
    }
}

/// Dead letters of committed cuts on their way to where they are kept.
struct Letters {
    port: Box<dyn LetterPort>,
    waiting: VecDeque<(Epoch, Vec<DeadLetter>)>,
    offered: Option<Epoch>,
    stored: Option<Epoch>,
}

impl Letters {
    fn add(&mut self, cut: Epoch, mut letters: Vec<DeadLetter>) {
        if !letters.is_empty() {
            letters.sort_unstable();
            self.waiting.push_back((cut, letters));
        }
    }

    /// How many cuts' letters are not stored yet.
    fn pump(&mut self) -> Result<usize, Halt> {
        while let Some((cut, letters)) = self.waiting.pop_front() {
            if let Err(letters) = self.port.offer(cut, letters) {
                self.waiting.push_front((cut, letters));
                break;
            }
            self.offered = Some(cut);
        }
        self.stored = self.port.stored()?.max(self.stored);
        Ok(self.waiting.len() + usize::from(self.offered > self.stored))
    }
}
