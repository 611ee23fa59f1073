//! Read: a worker's partitions. Records are decoded, judged and added up here, so that what travels is windows and not
//! ticks.
//!
//! Output under an epoch: one update per window and series, and to worker 0 the partitions' states and dead letters.
//! An epoch ends when Control says so; until then a full table makes the reader wait. What it read of a partition and
//! what it reports of it are of the same epoch, because one activation does both.

use super::{Job, Local, Named};
use crate::acc::{Accumulate, LogPosition};
use crate::decode::Decoder;
use crate::edge::{Discovered, EndAnswer, Halt, HaltKind, PartitionReader};
use crate::mutants::{self, Mutant};
use crate::partition::{DelayHistogram, Partition, PartitionState, Verdict};
use crate::protocol::{Decision, End, Guide, Reading};
use crate::record::{DeadLetter, Judged, PartitionName, Reason, Record, Rejection};
use crate::settings::Settings;
use crate::time::{Epoch, EventTime, Monotonic, WindowStart};
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, StreamVec};
use xxhash_rust::xxh3::xxh3_64;

/// Records in one call of a reader: a quarter of a millisecond as a rule.
const CHUNK: usize = 2048;
/// Records after which a partition that still has more waits for the others. It is not left before: a half-read fetch of
/// every partition in memory at once costs page faults.
const STINT: usize = 32 << 10;
/// A worker whose dead letters, or long names of series, have that many bytes wants the epoch to end, and stops reading at twice that.
const FULL_BYTES: usize = 4 << 20;
/// Names that are no longer are counted by records alone: 128 k of them have 32 MB.
const LONG_NAME: usize = 256;
/// The work of one activation, in nanoseconds.
const BUDGET: i64 = 1_000_000;
/// How long a worker with nothing to read sleeps at most.
const LONG_NAP: Duration = Duration::from_secs(1);

/// What readers tell worker 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The first record or raised floor of the epoch.
    First,
    /// The table is full.
    Full,
    /// The run is to end.
    Stop,
    /// A partition at the end of the epoch.
    State(Epoch, PartitionState),
    /// A dead letter of the epoch.
    Letter(Epoch, DeadLetter),
    /// How far behind records were that this worker has read.
    Behind(usize, DelayHistogram),
    /// The load ([`crate::protocol::CutPart::load`]) of what this worker holds as an epoch ends, what later epochs have brought
    /// included.
    Held(usize, u64),
}

/// The streams of [`read`].
pub(crate) struct Outputs<'scope, A> {
    /// Sums by window and series name.
    pub(crate) updates: StreamVec<'scope, Epoch, Named<A>>,
    /// For worker 0.
    pub(crate) reports: StreamVec<'scope, Epoch, Report>,
    /// No data: its frontier is the epoch in progress, ahead of everything that is done with it.
    pub(crate) clock: StreamVec<'scope, Epoch, ()>,
}

/// One partition that this worker owns.
struct Owned {
    name: PartitionName,
    identity: u64,
    /// What verdicts refer to (R7); none: the wall clock.
    instant: Option<EventTime>,
    partition: Partition,
    reader: Box<dyn PartitionReader>,
}

/// What an epoch's records add up to.
struct Table<A> {
    sums: HashTable<(WindowStart, Box<str>, A)>,
    records: usize,
    letters: Vec<DeadLetter>,
    /// Of dead letters, and of names that are longer than a window's record.
    bytes: usize,
    /// A floor was raised.
    moved: bool,
}

impl<A: Accumulate> Table<A> {
    fn new() -> Self {
        Table { sums: HashTable::new(), records: 0, letters: Vec::new(), bytes: 0, moved: false }
    }

    fn add(&mut self, window: WindowStart, symbol: &str, acc: A) {
        let hash = |window: WindowStart, symbol: &str| {
            xxh3_64(symbol.as_bytes()) ^ window.0.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let key = hash(window, symbol);
        match self.sums.find_mut(key, |(w, s, _)| *w == window && **s == *symbol) {
            Some((_, _, sum)) => sum.plus_equals(&acc),
            None => {
                self.bytes += if symbol.len() > LONG_NAME { symbol.len() } else { 0 };
                self.sums.insert_unique(key, (window, symbol.into(), acc), |(w, s, _)| hash(*w, s));
            }
        }
    }

    fn letter(&mut self, letter: DeadLetter) {
        self.bytes += letter.bytes();
        self.letters.push(letter);
    }

    fn started(&self) -> bool {
        self.records > 0 || self.moved
    }

    /// So many times full?
    fn full(&self, times: usize, records: usize) -> bool {
        self.records >= times * records || self.bytes >= times * FULL_BYTES
    }
}

struct Reader<A> {
    job: Rc<Job>,
    decoder: Decoder,
    owned: Vec<Owned>,
    /// Whose turn it is, and how many records it has had in it.
    turn: usize,
    stint: usize,
    table: Table<A>,
    guide: Guide,
    /// What the epoch in progress has been told about: its first record, its fullness.
    told: (bool, bool),
    /// Records after which an epoch is to end.
    epoch_records: usize,
    stop_told: bool,
    behind_told: DelayHistogram,
}

impl<A: Accumulate> Reader<A> {
    fn admit(&mut self, decision: &Decision, index: usize, peers: usize, wake: &crate::edge::Wake) -> Result<(), Halt> {
        let now = self.job.clock.monotonic();
        for admission in decision.admissions.iter().filter(|a| a.index % peers == index) {
            let found = &admission.found;
            let from = admission.resume.as_ref().map_or(found.start, |state| state.next);
            let reader = self.job.source.open(&Discovered { start: from, ..found.clone() }, Arc::clone(wake))?;
            let bounded = found.end.is_some();
            let rule = self.job.settings.rule;
            let partition = match &admission.resume {
                Some(state) => Partition::resume(rule, state, bounded, now),
                None => Partition::new(rule, admission.index, found.start, bounded, admission.floor, now),
            };
            let (name, identity, instant) = (found.name.clone(), found.name.identity(), admission.instant);
            self.owned.push(Owned { name, identity, instant, partition, reader });
        }
        Ok(())
    }

    fn follow(&mut self, guide: Guide, now: Monotonic) {
        self.guide = guide;
        let Some(a) = guide.catch_up_to else { return };
        for owned in &mut self.owned {
            let before = owned.partition.watermark();
            if owned.partition.learn(a, guide.alignment_base, now) {
                owned.reader.ask_end(guide.urgent);
            }
            self.table.moved |= owned.partition.watermark() != before;
        }
    }

    /// How far behind records were, if that is news.
    fn behind_news(&mut self) -> Option<DelayHistogram> {
        let mut sum = DelayHistogram::default();
        self.owned.iter().for_each(|owned| sum.add(owned.partition.behind()));
        (sum != self.behind_told).then(|| {
            self.behind_told = sum.clone();
            sum
        })
    }

    fn full(&self, times: usize) -> bool {
        self.table.full(times, self.epoch_records)
    }

    fn reads(&self, partition: &Partition) -> bool {
        match self.guide.reading {
            Reading::All => !partition.paused(self.guide.alignment_base),
            Reading::HoldingBack => {
                !partition.paused(self.guide.alignment_base) && partition.watermark() <= self.guide.watermark
            }
            Reading::Nothing => false,
        }
    }

    /// Reads for one activation's budget. How long nothing will come; zero if more may be there.
    fn work(&mut self) -> Result<Duration, Halt> {
        let began = self.job.clock.monotonic();
        let mut idle = 0;
        let mut now = began;
        while idle < self.owned.len() {
            if self.full(2) {
                return Ok(LONG_NAP);
            }
            if now.0 - began.0 > BUDGET {
                return Ok(Duration::ZERO);
            }
            self.turn %= self.owned.len();
            let turn = self.turn;
            let read = if self.reads(&self.owned[turn].partition) { self.read(now)? } else { 0 };
            self.settle(now);
            self.stint += read;
            if read == 0 || self.stint >= STINT {
                (self.turn, self.stint) = (turn + 1, 0);
            }
            idle = if read == 0 { idle + 1 } else { 0 };
            now = self.job.clock.monotonic();
        }
        let waits = self.owned.iter().filter(|o| self.reads(&o.partition)).map(|o| o.reader.idle_wait());
        Ok(waits.min().unwrap_or(LONG_NAP).max(Duration::from_millis(1)))
    }

    /// Reads from the partition whose turn it is.
    fn read(&mut self, now: Monotonic) -> Result<usize, Halt> {
        let Owned { name, identity, instant, partition, reader } = &mut self.owned[self.turn];
        let reference = instant.unwrap_or_else(|| self.job.clock.wall());
        let (table, decoder) = (&mut self.table, &self.decoder);
        let mut fatal = None;
        let read = reader.read(CHUNK, &mut |record: Record<'_>| {
            let letter = |reason, judged, finding| DeadLetter {
                partition: name.clone(),
                offset: record.offset,
                reason,
                raw: record.payload.map(<[u8]>::to_vec),
                cut_from: record.cut_from,
                key: record.key.map(<[u8]>::to_vec),
                judged,
                finding,
            };
            let event = match decoder.decode(&record) {
                Ok(event) => event,
                Err(rejection) => {
                    partition.reject(record.offset, &rejection);
                    let Rejection { reason, finding } = rejection;
                    fatal.get_or_insert_with(|| (record.offset, reason, finding.to_string()));
                    return table.letter(letter(reason, None, Some(finding)));
                }
            };
            let verdict = partition.judge(record.offset, event.time, record.append_time, reference, now);
            let (reason, evidence) = match verdict {
                Verdict::Counted(window) => {
                    let position = LogPosition { identity: *identity, offset: record.offset };
                    return table.add(window, &event.symbol, A::of(&event, position));
                }
                Verdict::Late(evidence) => (Reason::Late, evidence),
                Verdict::Future(evidence) => (Reason::Future, evidence),
                Verdict::Past(evidence) => (Reason::Past, evidence),
            };
            let (symbol, value, time) = (event.symbol.into_owned(), event.value, event.time);
            table.letter(letter(reason, Some(Judged { symbol, value, time, evidence }), None));
        })?;
        table.records += read;
        partition.reached(reader.next());
        partition.remember(reader.last());
        if reader.ended() {
            partition.end_reached();
        }
        match fatal {
            Some((offset, reason, finding)) if self.job.bad_is_fatal => {
                let why = format!(
                    "partition {name}, offset {offset}: the record cannot be decoded ({}; {finding}); mend it, or run with \
                     --on-bad dead-letter to set such records aside",
                    reason.name()
                );
                Err(Halt::new(HaltKind::Data, why))
            }
            _ => Ok(read),
        }
    }

    /// Evidence for the partition whose turn it is (R8).
    fn settle(&mut self, now: Monotonic) {
        let Owned { partition, reader, .. } = &mut self.owned[self.turn];
        if let Some(answer) = reader.answer() {
            let readable = mutants::on(Mutant::OpenTransactionIsTheEnd);
            partition.answered(if readable { EndAnswer::End(reader.next()) } else { answer });
        }
        self.table.moved |= partition.settle(now);
    }
}

/// Every record may be of another window, and up to six epochs, each of up to twice as many records, are read before Control's
/// answer to the first is here: all of them together are to hold fewer windows than there may be.
fn epoch_records(settings: &Settings, peers: usize) -> usize {
    let share = settings.max_keys / (16 * u64::try_from(peers).expect("at most 256 workers"));
    settings.epoch_records.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}

type Builder<T> = CapacityContainerBuilder<Vec<T>>;

/// Builds the operator.
pub(crate) fn read<'scope, A: Accumulate>(
    scope: Scope<'scope, Epoch>,
    job: Rc<Job>,
    local: Rc<Local>,
) -> Outputs<'scope, A> {
    let mut builder = OperatorBuilder::new("Read".to_owned(), scope);
    let (updates_out, updates) = builder.new_output::<Vec<Named<A>>>();
    let (reports_out, reports) = builder.new_output::<Vec<Report>>();
    let (_clock_out, clock) = builder.new_output::<Vec<()>>();
    let mut updates_out = OutputBuilder::<_, Builder<_>>::from(updates_out);
    let mut reports_out = OutputBuilder::<_, Builder<_>>::from(reports_out);
    let address = builder.operator_info().address;
    let activator = scope.activator_for(Rc::clone(&address));
    local.reader.borrow_mut().replace(scope.activator_for(Rc::clone(&address)));
    let wake = super::waking(&scope, &address);
    let (index, peers) = (scope.index(), scope.peers());
    builder.build(move |caps| {
        let mut caps: Option<Vec<Capability<Epoch>>> =
            Some(caps.into_iter().map(|cap| cap.delayed(&job.first_epoch)).collect());
        let mut reader = Reader::<A> {
            decoder: job.decoder.clone(),
            job: Rc::clone(&job),
            owned: Vec::new(),
            turn: 0,
            stint: 0,
            table: Table::new(),
            guide: Guide::default(),
            told: (false, false),
            epoch_records: epoch_records(&job.settings, peers),
            stop_told: false,
            behind_told: DelayHistogram::default(),
        };
        move |_| {
            if caps.is_none() || local.halted() {
                return;
            }
            let mut updates_out = updates_out.activate();
            let mut reports_out = reports_out.activate();
            loop {
                let Some(decision) = local.for_read.borrow_mut().pop_front() else { break };
                let now = job.clock.monotonic();
                if let Err(halt) = reader.admit(&decision, index, peers, &wake) {
                    return local.halt(halt);
                }
                if let (Some(End { epoch, .. }), Some(caps)) = (decision.end, &mut caps) {
                    assert_eq!(epoch, *caps[0].time(), "epochs end in order");
                    let table = std::mem::replace(&mut reader.table, Table::new());
                    let mut session = updates_out.session_with_builder(&caps[0]);
                    for (window, symbol, acc) in table.sums {
                        session.give(((window, symbol), epoch, acc));
                    }
                    drop(session);
                    let mut session = reports_out.session_with_builder(&caps[1]);
                    let states = reader.owned.iter().map(|o| o.partition.report(reader.guide.alignment_base, now));
                    session.give_iterator(states.map(|state| Report::State(epoch, state)));
                    session.give_iterator(table.letters.into_iter().map(|letter| Report::Letter(epoch, letter)));
                    session.give(Report::Held(index, local.series.borrow().load()));
                    session.give_iterator(reader.behind_news().map(|news| Report::Behind(index, news)).into_iter());
                    drop(session);
                    caps.iter_mut().for_each(|cap| cap.downgrade(&(epoch + 1)));
                    reader.told = (false, false);
                }
                reader.follow(decision.guide, now);
                if decision.stop {
                    caps = None;
                    reader.owned.clear();
                    return;
                }
            }
            let nap = match reader.work() {
                Ok(nap) => nap,
                Err(halt) => return local.halt(halt),
            };
            let says = (reader.table.started(), reader.full(1));
            if let (true, Some(caps)) = (says != reader.told, &caps) {
                let mut session = reports_out.session_with_builder(&caps[1]);
                session.give_iterator((says.0 && !reader.told.0).then_some(Report::First).into_iter());
                session.give_iterator((says.1 && !reader.told.1).then_some(Report::Full).into_iter());
                reader.told = says;
            }
            if let (true, Some(caps)) = (!reader.stop_told && (job.stop)(), &caps) {
                reports_out.session_with_builder(&caps[1]).give(Report::Stop);
                reader.stop_told = true;
            }
            local.nap.set(nap);
            if nap.is_zero() {
                activator.activate();
            }
        }
    });
    Outputs { updates, reports, clock }
}
