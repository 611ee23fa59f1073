//! One worker's run, from its first step to its last. Worker 0 leads: it hosts Control, the ledger's committer and the
//! way to the sinks.

use crate::acc::Accumulate;
use crate::checkpoint::{self, Manifest, ObjectRef, PartitionSnapshot};
use crate::control::Control;
use crate::edge::{DeadLetterPort, Halt, HaltKind, ManifestPort, Publication};
use crate::emitter::{Emitter, SinkHandle};
use crate::graph::outbox::Chunk;
use crate::graph::read::Report;
use crate::graph::{self, Graph, Job, WorkerContext};
use crate::protocol::{Decision, Facts};
use crate::record::{DeadLetter, PartitionName};
use crate::status::Status;
use crate::time::{Epoch, Monotonic, NextOffset, SECOND};
use crate::watch::{PreviewRows, Watch, Watcher};
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
pub struct LeaderOutputs {
    /// Where rows go.
    pub outlets: Vec<SinkHandle>,
    /// Where dead letters go, and what that is called.
    pub letters: Box<dyn DeadLetterPort>,
    /// What the place for dead letters is called.
    pub letters_name: String,
    /// The chain of manifests, where a state is kept ([`Job::state`]).
    pub manifests: Option<Box<dyn ManifestPort>>,
    /// Is shown the run's status after every commit, every two seconds while none comes, and at the end, be it a bad one.
    pub watch: Box<dyn FnMut(&Status)>,
    /// Is shown rows before they are committed, and the status oftener, where [`Job::preview_interval`] says so.
    pub watcher: Option<Box<dyn Watcher>>,
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
    lead: Option<LeaderOutputs>,
    alarm: &Alarm,
) -> Result<Option<Status>, Halt> {
    let mut restored = Vec::new();
    let local = Rc::new(WorkerContext::default());
    if let Some(kept) = &job.state {
        restored = kept.load::<A>(worker.index(), worker.peers()).inspect_err(|halt| alarm.raise(halt))?;
        let line = kept.head.parts.iter().map(|part| part.retired_before).min().flatten();
        local.resume(line);
    }
    let job = Rc::new(job);
    let inbox = Rc::new(RefCell::new(Inbox::default()));
    let (leads, filled) = (lead.is_some(), Rc::clone(&inbox));
    let sealed = graph::build::<A>(worker, &job, &local, restored, |graph| receive(graph, filled, leads));
    let input = graph::decisions(worker, &local);
    let mut leader = match lead {
        Some(lead) => match Leader::new(&job, lead, input, inbox, sealed, worker.peers()) {
            Ok(leader) => Some(leader),
            Err(halt) => return Err(give_up(worker, alarm, halt)),
        },
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
            return Err(give_up(worker, alarm, halt));
        }
        local.wake_reader();
        worker.step();
        // What arrived at worker 0 is looked at before it rests.
        if !leader.as_ref().is_some_and(Leader::has_news) {
            let most = if local.stopped.get() { Duration::from_millis(10) } else { local.idle_wait.get() };
            (job.park)(worker, until.ok().flatten().map_or(most, |until| most.min(until)));
        }
    }
    Ok(leader.map(|leader| leader.control.status()))
}

/// Tells the others, and leaves no dataflow that timely would go on with for ever.
fn give_up(worker: &mut Worker, alarm: &Alarm, halt: Halt) -> Halt {
    alarm.raise(&halt);
    worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
    halt
}

/// What arrives at worker 0.
#[derive(Default)]
struct Inbox {
    /// Something came, or a frontier moved.
    news: bool,
    facts: Facts,
    letters: BTreeMap<Epoch, Vec<DeadLetter>>,
    /// Bytes of these.
    letter_bytes: usize,
    chunks: Vec<Chunk>,
    live: Vec<PreviewRows>,
    /// Live rows of epochs before this have all come; none: all have.
    live_through: Option<Epoch>,
    behind: Vec<(usize, crate::partition::DelayHistogram)>,
}

impl Inbox {
    fn letter(&mut self, epoch: Epoch, letter: DeadLetter) {
        self.letter_bytes += letter.bytes();
        self.letters.entry(epoch).or_default().push(letter);
    }

    /// The dead letters of all epochs up to this one, in their order.
    fn letters_through(&mut self, epoch: Epoch) -> Vec<DeadLetter> {
        let later = self.letters.split_off(&(epoch + 1));
        let mut letters: Vec<_> = std::mem::replace(&mut self.letters, later).into_values().flatten().collect();
        letters.sort_unstable();
        self.letter_bytes -= letters.iter().map(DeadLetter::bytes).sum::<usize>();
        letters
    }
}

/// The end of the main dataflow.
fn receive(graph: Graph<'_>, inbox: Rc<RefCell<Inbox>>, leads: bool) {
    let mut builder = OperatorBuilder::new("Inbox".to_owned(), graph.reports.scope());
    let mut reports = builder.new_input(graph.reports, Exchange::new(|_| 0));
    let mut parts = builder.new_input(graph.parts, Exchange::new(|_| 0));
    let mut chunks = builder.new_input(graph.chunks, Exchange::new(|_| 0));
    let mut live = builder.new_input(graph.previews, Exchange::new(|_| 0));
    builder.build(move |_caps| {
        move |frontiers: &[MutableAntichain<Epoch>]| {
            let inbox = &mut *inbox.borrow_mut();
            inbox.news = true;
            reports.for_each(|_, data| {
                for report in data.drain(..) {
                    match report {
                        Report::First => inbox.facts.first = true,
                        Report::Full => inbox.facts.full = true,
                        Report::Stop => inbox.facts.stop = true,
                        Report::Partition(epoch, state) => inbox.facts.states.push((epoch, state)),
                        Report::DeadLetter(epoch, letter) => inbox.letter(epoch, letter),
                        Report::Load(worker, keys) => inbox.facts.held.push((worker, keys)),
                        Report::Delays(worker, sum) => inbox.behind.push((worker, sum)),
                    }
                }
            });
            parts.for_each(|_, data| inbox.facts.parts.append(data));
            chunks.for_each(|_, data| inbox.chunks.append(data));
            live.for_each(|_, data| inbox.live.append(data));
            if leads {
                inbox.facts.reported = frontiers[0].frontier().first().copied();
                inbox.facts.gathered = frontiers[1].frontier().first().copied();
                inbox.live_through = frontiers[3].frontier().first().copied();
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
    chain: Option<Chain>,
    watch: Box<dyn FnMut(&Status)>,
    watched: Monotonic,
    watcher: Option<Watch>,
    sent: u64,
    identities: BTreeMap<u64, String>,
}

impl Leader {
    fn new(
        job: &Job,
        lead: LeaderOutputs,
        input: InputHandle<u64, CapacityContainerBuilder<Vec<Decision>>>,
        inbox: Rc<RefCell<Inbox>>,
        sealed: Handle<Epoch>,
        workers: usize,
    ) -> Result<Self, Halt> {
        let sinks = lead.outlets.iter().map(|outlet| (outlet.name.clone(), outlet.takes)).collect();
        let now = job.clock.monotonic();
        let mut letters = Letters {
            port: lead.letters,
            name: lead.letters_name,
            waiting: VecDeque::new(),
            offered: None,
            stored: None,
            position: None,
        };
        let head = job.state.as_ref().map(|kept| Manifest::clone(&kept.head));
        let chains = lead.outlets.iter().map(|outlet| outlet.chain).collect();
        let chain = lead.manifests.map(|port| Chain {
            port,
            chains,
            parent: None,
            unstored: Vec::new(),
            letters: None,
            next: Vec::new(),
        });
        let chain = match (chain, &job.state) {
            (Some(mut chain), Some(kept)) => {
                chain.begin(kept, &mut letters)?;
                Some(chain)
            }
            _ => None,
        };
        Ok(Leader {
            control: Control::new(
                job.settings.clone(),
                sinks,
                letters.name.clone(),
                workers,
                job.first_epoch,
                head,
                now,
            ),
            inbox,
            sealed,
            input: Some(input),
            emitters: lead.outlets.into_iter().map(|outlet| Emitter::new(outlet.port, workers)).collect(),
            letters,
            chain,
            watch: lead.watch,
            watched: now,
            watcher: lead.watcher.map(|watcher| Watch::new(watcher, workers)),
            sent: 0,
            identities: BTreeMap::new(),
        })
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
            (Facts { letter_bytes: inbox.letter_bytes, ..facts }, std::mem::take(&mut inbox.chunks))
        };
        chunks.into_iter().for_each(|chunk| self.emitters[chunk.port].arrive(chunk));
        facts.stored = self.emitters.iter_mut().map(Emitter::pump).collect::<Result<_, _>>()?;
        facts.batches = self.emitters.iter().map(Emitter::batches).collect();
        facts.sealed = self.sealed.with_frontier(|frontier| frontier.first().copied());
        (facts.letters_waiting, facts.letters_stored) = (self.letters.pump()?, self.letters.stored);
        facts.found = job.source.found()?;
        for found in &facts.found {
            let name = found.name.to_string();
            if let Some(other) = self.identities.insert(found.name.identity(), name.clone()) {
                let why = format!("partitions {name} and {other} have the same identity (XXH3-64); rename one of them");
                return Err(Halt::new(crate::edge::HaltKind::Usage, why));
            }
        }
        if let Some(chain) = &mut self.chain {
            facts.published = chain.port.published()?;
        }
        let decision = self.control.decide(facts, now).inspect_err(|_| {
            // What is wrong is in it: a ledger that does not balance is to be seen.
            (self.watch)(&self.control.status());
            self.watcher.iter_mut().for_each(|watch| watch.status(&self.control));
        })?;
        let (live, through, behind) = {
            let mut inbox = self.inbox.borrow_mut();
            (std::mem::take(&mut inbox.live), inbox.live_through, std::mem::take(&mut inbox.behind))
        };
        if let Some(watch) = &mut self.watcher {
            behind.into_iter().for_each(|(worker, behind)| watch.behind(worker, behind));
            watch.look(live, through, &self.control, now);
        }
        if let (Some(chain), Some(manifest)) = (&mut self.chain, self.control.outgoing()) {
            let letters = self.inbox.borrow_mut().letters_through(manifest.epoch);
            chain.publish(manifest, letters, &self.letters);
        }
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
                let letters = match &mut self.chain {
                    Some(chain) => {
                        job.source.committed(std::mem::take(&mut chain.next));
                        chain.letters.take().unwrap_or_default()
                    }
                    None => self.inbox.borrow_mut().letters_through(commit.cut),
                };
                self.watcher.iter_mut().for_each(|watch| watch.letters(&letters));
                self.letters.add(commit.cut, letters);
                self.watched = Monotonic(i64::MIN);
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
        if now.0.saturating_sub(self.watched.0) >= 2 * SECOND {
            (self.watch)(&self.control.status());
            self.watched = now;
        }
        let until = self.control.deadline().0 - now.0;
        Ok(Some(Duration::from_nanos(u64::try_from(until).unwrap_or(0)).max(Duration::from_millis(1))))
    }
}

/// The chain of manifests, and what of it worker 0 alone knows.
struct Chain {
    port: Box<dyn ManifestPort>,
    /// Of each sink, where its rows have versions.
    chains: Vec<Option<u64>>,
    parent: Option<String>,
    /// Objects with dead letters that were not stored when the last manifest was made, by cut.
    unstored: Vec<(Epoch, ObjectRef)>,
    /// Dead letters of the cut that is being committed.
    letters: Option<Vec<DeadLetter>>,
    /// The next offsets in the manifest that is being published.
    next: Vec<(PartitionName, NextOffset)>,
}

impl Chain {
    /// Goes on from the head: dead letters that were committed and not stored are stored first.
    fn begin(&mut self, kept: &graph::Restored, letters: &mut Letters) -> Result<(), Halt> {
        if kept.head.seq > 0 {
            self.parent = Some(checkpoint::hash(&kept.head.encode()));
        }
        self.unstored.clone_from(&kept.head.unstored);
        letters.position = kept.head.dead_letters.position;
        for (cut, object) in &self.unstored {
            let decoded = checkpoint::decode_dead_letters(&kept.store.read(object)?).map_err(|damage| {
                let name = &object.name;
                let why =
                    format!("the state's object {name} {damage}: restore it from a copy, or begin anew (--job NAME)");
                Halt::new(HaltKind::Data, why)
            })?;
            letters.add(*cut, decoded);
        }
        Ok(())
    }

    /// Has a manifest published, and the dead letters of its cut before it.
    fn publish(&mut self, mut manifest: Manifest, letters: Vec<DeadLetter>, stored: &Letters) {
        self.unstored.retain(|(cut, _)| Some(*cut) > stored.stored);
        let object = (!letters.is_empty()).then(|| {
            let (name, bytes) = (
                format!("{:06}-letters-{:08}", manifest.generation, manifest.seq),
                checkpoint::encode_dead_letters(&letters),
            );
            self.unstored.push((manifest.epoch, ObjectRef::of(name.clone(), &bytes, letters.len() as u64)));
            (name, bytes)
        });
        self.letters = Some(letters);
        for (sink, chain) in manifest.sinks.iter_mut().zip(&self.chains) {
            sink.chain = *chain;
        }
        manifest.dead_letters =
            checkpoint::SinkState { name: stored.name.clone(), position: stored.position, ..Default::default() };
        manifest.unstored.clone_from(&self.unstored);
        manifest.parent = self.parent.take();
        let bytes = manifest.encode();
        self.parent = Some(checkpoint::hash(&bytes));
        let next = |taken: &PartitionSnapshot| Some((taken.found.name.clone(), taken.state.as_ref()?.next));
        self.next = manifest.partitions.iter().filter_map(next).collect();
        let needed = manifest.objects().map(|object| object.name.clone()).collect();
        self.port.publish(Publication { seq: manifest.seq, manifest: bytes, letters: object, needed });
    }
}

/// Dead letters of committed cuts on their way to where they are kept.
struct Letters {
    port: Box<dyn DeadLetterPort>,
    /// What the place is called, and how long its file was when `stored` was stored.
    name: String,
    position: Option<u64>,
    waiting: VecDeque<(Epoch, Vec<DeadLetter>)>,
    offered: Option<Epoch>,
    stored: Option<Epoch>,
}

impl Letters {
    fn add(&mut self, cut: Epoch, letters: Vec<DeadLetter>) {
        if !letters.is_empty() {
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
        if let Some(stored) = self.port.stored()?.filter(|stored| Some(stored.at) > self.stored) {
            (self.stored, self.position) = (Some(stored.at), stored.position);
        }
        Ok(self.waiting.len() + usize::from(self.offered > self.stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Decoder, FieldNames};
    use crate::edge::{Clock, Discovered, LogSource, PartitionReader, SinkProgress, Wake};
    use crate::partition::DelayHistogram;
    use crate::protocol::CutPart;
    use crate::settings::Settings;
    use crate::status::Ledger;
    use crate::time::EventTime;
    use std::cell::Cell;

    struct Nowhere;

    impl LogSource for Nowhere {
        fn found(&self) -> Result<Vec<Discovered>, Halt> {
            Ok(Vec::new())
        }
        fn open(&self, _: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
            unreachable!("there is no partition")
        }
    }

    impl Clock for Nowhere {
        fn monotonic(&self) -> Monotonic {
            Monotonic(0)
        }
        fn wall(&self) -> EventTime {
            EventTime(0)
        }
    }

    impl DeadLetterPort for Nowhere {
        fn offer(&mut self, _: u64, letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
            Err(letters)
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
        fn letters(&mut self, _: &[DeadLetter]) {}
    }

    #[test]
    fn a_ledger_that_does_not_balance_is_shown_before_the_run_ends() {
        let seen: [Rc<Cell<Ledger>>; 2] = Default::default();
        let watched = Rc::clone(&seen[0]);
        let lead = LeaderOutputs {
            outlets: Vec::new(),
            letters: Box::new(Nowhere),
            letters_name: "nowhere".into(),
            manifests: None,
            watch: Box::new(move |status| watched.set(status.ledger)),
            watcher: Some(Box::new(Eyes(Rc::clone(&seen[1])))),
        };
        let job = Job {
            settings: Settings::default(),
            decoder: Decoder::new(&FieldNames::default()).unwrap(),
            source: std::sync::Arc::new(Nowhere),
            clock: Rc::new(Nowhere),
            first_epoch: 7,
            bad_is_fatal: false,
            filters: Vec::new(),
            state: None,
            stop: Rc::new(|| false),
            park: Rc::new(graph::park),
            preview_interval: None,
        };
        let inbox: Rc<RefCell<Inbox>> = Rc::default();
        let mut leader = Leader::new(&job, lead, InputHandle::new(), Rc::clone(&inbox), Handle::new(), 1).unwrap();
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
            line: None,
            forgotten: 0,
        };
        inbox.borrow_mut().facts =
            Facts { parts: vec![part], reported: Some(8), gathered: Some(8), ..Facts::default() };
        let halt = leader.tick(&job, Monotonic(SECOND)).unwrap_err();
        assert!(halt.why.contains("does not balance"), "{halt}");
        for seen in seen {
            assert_eq!((seen.get().counts.counted, seen.get().held), (0, 3));
        }
    }

    #[test]
    fn letters_weigh_until_they_are_taken() {
        let letter = |offset: i64| DeadLetter {
            partition: PartitionName { log: "ticks".into(), number: Some(0) },
            offset,
            reason: crate::record::Reason::Json,
            cut_from: None,
            key: None,
            finding: None,
            raw: Some(vec![0; 1000]),
            judged: None,
        };
        let mut inbox = Inbox::default();
        for (epoch, offset) in [(7, 0), (8, 2), (8, 1), (9, 3)] {
            inbox.letter(epoch, letter(offset));
        }
        assert!(inbox.letter_bytes >= 4000);
        let taken: Vec<_> = inbox.letters_through(8).into_iter().map(|letter| letter.offset).collect();
        assert_eq!((taken, inbox.letter_bytes), (vec![0, 1, 2], letter(3).bytes()));
    }
}
