//! Control: worker 0 alone ends epochs, commits cuts and starts rounds, for all. A pure state machine: facts in, one
//! decision out.
//!
//! ```text
//!   readers ── pulses, partition states ──┐                        ┌── end of an epoch, admissions, A, W ──> readers
//!   workers ── parts of a cut ────────────┤─> facts ─> decide() ───┼── committed cut, rounds ─────────────> outboxes
//!   sinks   ── rounds stored ─────────────┘                        └── line ──────────────────────────────> retirement
//! ```
//!
//! It promises that W never falls, that a cut is committed only if both equations of R11 hold at it, and that no window
//! is forgotten before its final row is stored by every sink. It does not promise speed to a sink that does not answer:
//! then forgetting stops, and at `max_keys` reading. A bounded run waits so long for what makes no progress; a live one for
//! ever.

use crate::checkpoint::{self, Manifest, PartitionSnapshot};
use crate::edge::{Discovered, Halt, HaltKind, RowFilter, SinkProgress};
use crate::marks::Marks;
use crate::mutants::{self, Mutant};
use crate::partition::{PartitionState, Rule, UNKNOWN, least_to_follow, least_watermark};
use crate::protocol::{Admission, Commit, CutPart, Decision, End, Facts, Guide, Reading, Round};
use crate::settings::{AtEnd, Settings};
use crate::status::{Ledger, Status};
use crate::time::{Epoch, EventTime, Monotonic, SECOND, WindowStart};
use crate::watch::StateSize;
use std::collections::{BTreeMap, VecDeque};

/// An epoch lasts at most that long once something was read, in nanoseconds.
const EPOCH: i64 = SECOND / 20;
/// An epoch in which nothing was read lasts that long, in nanoseconds.
const IDLE_EPOCH: i64 = SECOND;
/// Epochs past the probe on Windows: the batcher rescans what it may not seal yet, so a run ahead would be quadratic.
const MAX_EPOCHS_IN_FLIGHT: u64 = 4;
/// Cuts that are not committed yet.
const MAX_CUTS_IN_FLIGHT: usize = 2;
/// A cut is due when dead letters that are not committed have that many bytes. So their memory has a bound: with two cuts
/// in flight no epoch ends, and readers stop when they are full.
const MAX_LETTER_BYTES: usize = 16 << 20;
/// How long a stopped run waits for its sinks, in nanoseconds.
const STOP_PATIENCE: i64 = 5 * SECOND;

#[derive(Debug)]
struct Cut {
    end: End,
    marks: Marks,
    counts: Option<crate::partition::Counts>,
    /// All partitions as of the cut, where there is a state to keep them.
    partitions: Vec<PartitionSnapshot>,
    parts: Vec<CutPart>,
    /// All partitions were at their recorded ends, with every floor raised as far as it will be.
    finished: bool,
}

/// A cut that both equations hold at, on its way to be committed.
#[derive(Debug)]
struct Checked {
    commit: Commit,
    ledger: Ledger,
    finished: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Port {
    begun: u64,
    stored: u64,
    /// How long its file was when `line` was reached.
    position: Option<u64>,
    /// The line that the round in progress guarantees once stored, and the one that is guaranteed.
    promise: Option<WindowStart>,
    line: Option<WindowStart>,
    /// The commit that the newest round began with.
    seq: u64,
    /// Rows of open windows were left out.
    left: bool,
    open_at: Option<Monotonic>,
    patience: Patience,
}

/// Since when something makes no progress that a run waits for.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    /// How far it was then: it is further, or not.
    mark: (u64, u64),
    since: Option<Monotonic>,
}

impl Patience {
    /// How long it has made none, in nanoseconds. `rests`: there is nothing for it to do.
    fn waited(&mut self, rests: bool, mark: (u64, u64), now: Monotonic) -> i64 {
        if rests || mark != self.mark {
            (self.mark, self.since) = (mark, None);
        }
        now.0 - self.since.get_or_insert(now).0
    }
}

/// A partition that is read.
#[derive(Clone, Debug)]
struct Admitted {
    found: Discovered,
    /// W when it was admitted: where it stands until it reports.
    floor: Option<EventTime>,
    /// What its reader reported last.
    state: Option<PartitionState>,
    /// As in [`PartitionSnapshot`].
    complete_from: Option<EventTime>,
    /// A run before this one left it; it was not found yet.
    left: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Control {
    settings: Settings,
    /// What each sink is called, and what it takes.
    sinks: Vec<(String, RowFilter)>,
    /// What the place for dead letters is called.
    letters: String,
    letters_waiting: usize,
    letters_patience: Patience,
    workers: usize,
    epoch: Epoch,
    began: Monotonic,
    first: Option<Monotonic>,
    full: bool,
    cut_at: Monotonic,
    cuts: VecDeque<Cut>,
    partitions: Vec<Admitted>,
    asked: bool,
    waiting: BTreeMap<Epoch, Vec<PartitionState>>,
    reported: Epoch,
    guide: Guide,
    told: Guide,
    marks: Marks,
    /// Bounded: all ends are reached.
    all_ended: bool,
    /// Bounded: every floor is as high as it will be.
    finished: bool,
    /// As in [`Status`], and whether there were any, in this run or before.
    grown: Vec<String>,
    grows: bool,
    /// The newest manifest, with state: what a commit goes on from.
    chain: Option<Manifest>,
    /// A manifest that is to be published, once.
    outgoing: Option<Manifest>,
    publishing: Option<Checked>,
    /// Commits in this chain, and records in windows that runs before this one have forgotten.
    seq: u64,
    retired_before: i64,
    committed: Option<Commit>,
    saved: Option<StateSize>,
    /// The newest commit that changed a row.
    changed: u64,
    ledger: Ledger,
    /// What each worker has said last of the load that it holds.
    held: Vec<Option<u64>>,
    final_commit: Option<u64>,
    ports: Vec<Port>,
    line: Option<WindowStart>,
    /// Since when the run is to end, and the first epoch in which nothing is read any more.
    stopping: Option<(Monotonic, Epoch)>,
    stopped: bool,
}

impl Control {
    /// Before anything is known. `sinks`: what each is called and takes; `letters`: what the place for dead letters is
    /// called; `first`: the generation's first epoch; `chain`: the newest manifest of the state, if one is kept, from which
    /// the run goes on.
    pub fn new(
        settings: Settings,
        sinks: Vec<(String, RowFilter)>,
        letters: String,
        workers: usize,
        first: Epoch,
        chain: Option<Manifest>,
        now: Monotonic,
    ) -> Self {
        let ports = vec![Port::default(); sinks.len()];
        let mut control = Control {
            settings,
            sinks,
            letters,
            letters_waiting: 0,
            letters_patience: Patience::default(),
            workers,
            epoch: first,
            began: now,
            first: None,
            full: false,
            cut_at: now,
            cuts: VecDeque::new(),
            partitions: Vec::new(),
            asked: false,
            waiting: BTreeMap::new(),
            reported: first,
            guide: Guide::default(),
            told: Guide::default(),
            marks: Marks::default(),
            all_ended: false,
            finished: false,
            grown: Vec::new(),
            grows: false,
            chain: None,
            outgoing: None,
            publishing: None,
            seq: 0,
            retired_before: 0,
            committed: None,
            saved: None,
            changed: 0,
            ledger: Ledger::default(),
            held: vec![None; workers],
            final_commit: None,
            ports,
            line: None,
            stopping: None,
            stopped: false,
        };
        if let Some(chain) = chain {
            control.resume(chain);
        }
        control
    }

    /// Goes on from a manifest.
    fn resume(&mut self, chain: Manifest) {
        (self.seq, self.retired_before, self.marks) = (chain.seq, chain.retired, chain.marks);
        self.guide.w = chain.marks.w;
        self.grows = chain.grows;
        // At most so many: an object may hold what a later one has anew, or what is forgotten.
        self.ledger.keys = chain.objects().map(|object| object.entries).sum();
        self.ledger.load = self.ledger.keys;
        self.line = chain.parts.iter().map(|part| part.retired_before).min().flatten();
        for ((name, _), port) in self.sinks.iter().zip(&mut self.ports) {
            if let Some(left) = chain.sink(name) {
                (port.line, port.promise, port.position) = (left.stored_before, left.stored_before, left.position);
            }
        }
        if self.settings.bounded && !chain.finished && chain.instant.is_some() {
            self.settings.instant = chain.instant;
        }
        self.partitions = chain
            .partitions
            .iter()
            .map(|PartitionSnapshot { found, state, floor, complete_from }| Admitted {
                found: found.clone(),
                floor: *floor,
                complete_from: *complete_from,
                // What its reader knew of the log's end is gone.
                state: state.clone().map(|state| PartitionState {
                    caught_up: false,
                    ended: false,
                    silence: 0,
                    ..state
                }),
                left: true,
            })
            .collect();
        self.chain = Some(chain);
    }

    /// A manifest that is to be published now.
    pub fn outgoing(&mut self) -> Option<Manifest> {
        self.outgoing.take()
    }

    /// RowFilter facts, gives what is to be done; none if nothing.
    ///
    /// # Errors
    /// When the run cannot go on.
    pub fn decide(&mut self, facts: Facts, now: Monotonic) -> Result<Option<Decision>, Halt> {
        let mut decision = Decision::default();
        if facts.stop && self.stopping.is_none() {
            self.stopping = Some((now, self.epoch + 1));
        }
        self.admit(facts.found, &mut decision)?;
        for (epoch, state) in facts.states {
            self.waiting.entry(epoch).or_default().push(state);
        }
        self.complete(facts.reported);
        facts.held.iter().for_each(|(worker, keys)| self.held[*worker] = Some(*keys));
        for part in facts.parts {
            let cut = self.cuts.iter_mut().find(|cut| cut.end.epoch == part.cut);
            cut.expect("a part is of a cut that is not committed").parts.push(part);
        }
        if facts.letters_waiting <= MAX_CUTS_IN_FLIGHT && self.publishing.is_none() {
            self.check(facts.gathered)?;
        }
        decision.commit = self.commit(facts.published);
        self.acknowledge(&facts.stored, &facts.batches, now, &mut decision)?;
        self.await_letters(facts.letters_waiting, facts.letters_stored, now)?;
        decision.rounds = self.rounds(now);
        self.guide.reading = self.reading();
        let heavy = facts.letter_bytes >= MAX_LETTER_BYTES;
        self.end(facts.sealed, facts.first, facts.full, heavy, now, &mut decision);
        self.stop(now, &mut decision);
        let told = std::mem::replace(&mut self.told, self.guide);
        let news = decision != Decision::default() || told != self.guide;
        decision.guide = self.guide;
        Ok(news.then_some(decision))
    }

    fn admit(&mut self, found: Vec<Discovered>, decision: &mut Decision) -> Result<(), Halt> {
        let first = !std::mem::replace(&mut self.asked, true);
        let fresh = self.chain.as_ref().is_none_or(|chain| chain.partitions.is_empty());
        let finished = self.chain.as_ref().is_some_and(|chain| chain.finished);
        // Only what had closed its windows as complete has closed too much.
        let closed = self.settings.at_end == AtEnd::CloseUnlessGrown
            && self.chain.as_ref().is_some_and(|chain| !chain.grows && chain.held() == 0);
        let mut news = !(self.settings.bounded && finished);
        for mut found in found {
            let instant = self.settings.instant;
            let known = self.partitions.iter().position(|p| p.left && p.found.name == found.name);
            let index = known.unwrap_or(self.partitions.len());
            match known {
                Some(index) => {
                    let complete_from = self.complete_from();
                    let left = &mut self.partitions[index];
                    if left.state.is_none() {
                        // Nothing was read of it yet: as if it were admitted now.
                        left.complete_from = left.complete_from.or(complete_from);
                    }
                    same_log(&left.found, &found)?;
                    news |= left.found.end != found.end;
                    if finished && self.settings.bounded && left.found.end.is_some() && left.found.end < found.end {
                        self.grows = true;
                        self.grown.extend(closed.then(|| found.name.to_string()));
                    }
                    // An unfinished bounded run keeps its ends.
                    let kept = found.end.and(left.found.end).filter(|_| !finished);
                    left.found.end = kept.or(found.end);
                    left.left = false;
                }
                None => {
                    news = true;
                    // Its first records are as new as it is, whatever `--start` says.
                    let began = first && fresh;
                    if !began && !mutants::on(Mutant::NewPartitionFromLatest) {
                        found.start = found.earliest;
                    }
                    let (floor, complete_from) = (self.guide.w, self.complete_from());
                    self.partitions.push(Admitted { found, floor, complete_from, state: None, left: false });
                }
            }
            let Admitted { found, floor, state, .. } = self.partitions[index].clone();
            decision.admissions.push(Admission { index, found, floor, instant, resume: state });
        }
        if !first {
            return Ok(());
        }
        if let Some(gone) = self.partitions.iter().find(|p| p.left) {
            let why = format!(
                "partition {} was read by the run before ({} records) and is not there any more: W cannot pass a partition \
                 that is gone; put it back, and leave it there as long as this state is gone on with, or begin anew without it (--job NAME)",
                gone.found.name,
                gone.state.as_ref().map_or(0, |state| state.counts.read)
            );
            return Err(Halt::new(HaltKind::Data, why));
        }
        let forgot = self.retired_before > 0;
        let new =
            |name: &str| self.chain.as_ref().and_then(|chain| chain.sink(name)?.stored_before).is_none() && forgot;
        match self.sinks.iter().find(|(name, _)| new(name)) {
            Some((name, _)) if !news => {
                let why = format!(
                    "sink {name}: nothing is new in the log since the last run, which did not write there, and what it \
                     wrote is forgotten: begin anew with --job NAME"
                );
                Err(Halt::new(HaltKind::Usage, why))
            }
            _ => Ok(()),
        }
    }

    /// From when on windows lack nothing of what a partition held before it is first read (R13), whatever is read of it: as
    /// the operator knows, or by R7, which would have set aside what was further ahead of its stamp or of the run's
    /// instant. The lateness is for a broker's clock that goes ahead of this one.
    fn complete_from(&self) -> Option<EventTime> {
        let Rule { max_future, windowing, .. } = self.settings.rule;
        let by_time = self.settings.opened_at.map(|at| at.plus(max_future).plus(windowing.lateness).plus(1));
        self.settings.complete_from.into_iter().chain(by_time).min()
    }

    /// Epochs that every reader has reported.
    fn complete(&mut self, reported: Option<Epoch>) {
        let until = reported.unwrap_or(self.epoch).min(self.epoch);
        while self.reported < until {
            for state in self.waiting.remove(&self.reported).unwrap_or_default() {
                let index = state.index;
                self.partitions[index].state = Some(state);
            }
            self.weigh();
            let counts = self.counts();
            let (marks, finished) = (self.marks, self.finished);
            let taken = |p: &Admitted| PartitionSnapshot {
                found: p.found.clone(),
                state: p.state.clone(),
                floor: p.floor,
                complete_from: p.complete_from,
            };
            if let Some(cut) = self.cuts.iter_mut().find(|cut| cut.end.epoch == self.reported) {
                (cut.marks, cut.counts, cut.finished) = (marks, Some(counts), finished);
                if self.chain.is_some() {
                    cut.partitions = self.partitions.iter().map(taken).collect();
                }
            }
            self.reported += 1;
        }
    }

    /// W, A and the rest of what one epoch's reports say.
    fn weigh(&mut self) {
        let rule = self.settings.rule;
        // A partition that was admitted and has not reported yet stands where it was admitted.
        let unreported = self.partitions.iter().filter(|p| p.state.is_none());
        let unreported = unreported.map(|p| p.floor.unwrap_or(UNKNOWN)).min();
        let known = || self.partitions.iter().filter_map(|p| p.state.as_ref());
        if known().next().is_none() {
            return;
        }
        let w = match unreported {
            Some(UNKNOWN) => None,
            Some(floor) => least_watermark(known()).map(|w| w.min(floor)),
            None => least_watermark(known()),
        };
        assert!(w >= self.guide.w, "W fell from {:?} to {w:?}", self.guide.w);
        self.all_ended = self.settings.bounded && unreported.is_none() && known().all(|s| s.ended);
        let a = if self.all_ended {
            // No silence counts: a log that has ended is silent for as long as the run takes.
            let last = match self.keeps_open() && !mutants::on(Mutant::ClosesWhatGoesOn) {
                true => known().filter_map(PartitionState::watermark).max(),
                false => known().filter_map(|s| s.newest_end).max().map(|end| end.plus(rule.windowing.lateness)),
            };
            self.finished = known().all(|s| s.watermark() >= last);
            last.unwrap_or(UNKNOWN)
        } else {
            self.finished = false;
            let a = least_to_follow(&rule, known());
            unreported.map_or(a, |floor| a.min(floor))
        };
        self.guide = Guide {
            a: Some(a),
            w,
            base: w.or_else(|| known().filter_map(|s| s.h).min()),
            urgent: known().any(|s| s.paused),
            reading: self.guide.reading,
        };
        let partial_before = if unreported.is_some() {
            self.marks.partial_before.filter(|_| w.is_some())
        } else {
            let all = self.partitions.iter().filter_map(|p| Some((p.state.as_ref()?.partial_before, p.complete_from)));
            all.map(|(seen, said)| seen.into_iter().chain(said).min()).reduce(|a, b| Some(a?.max(b?))).flatten()
        };
        self.marks = Marks { w, partial_before };
    }

    /// Do windows stay open that are not final at the end of the log?
    fn keeps_open(&self) -> bool {
        match self.settings.at_end {
            AtEnd::Close => false,
            AtEnd::KeepOpen => true,
            AtEnd::CloseUnlessGrown => self.grows,
        }
    }

    fn reading(&self) -> Reading {
        match self.stopping {
            Some(_) => Reading::Nothing,
            None if self.sinks_hold_the_reading() || self.commits_hold_the_reading() => Reading::Nothing,
            None if self.too_many_keys() => Reading::HoldingBack,
            None => Reading::All,
        }
    }

    /// As workers count them now; as of the newest commit, until all have said so.
    fn too_many_keys(&self) -> bool {
        let now = self.held.iter().copied().sum::<Option<u64>>();
        now.unwrap_or(self.ledger.load) >= self.settings.max_keys
    }

    /// Is there too much in memory, and some of it there for a sink alone? Whoever holds W back would only make more of it
    /// final. This ends by itself: a sink that lacks final rows of the newest commit has a round of them, or gets one next;
    /// and before the first commit, which needs no reading, no sink has anything.
    fn sinks_hold_the_reading(&self) -> bool {
        let lacks = |commit: &Commit| {
            let promise = self.promise(commit);
            self.ports.iter().any(|port| port.line < promise)
        };
        self.stopping.is_none() && self.too_many_keys() && self.committed.as_ref().is_none_or(lacks)
    }

    /// Is there too much in memory, and some of it final by a W that no commit has yet? The next one, which needs no reading,
    /// lets it be sent and forgotten.
    fn commits_hold_the_reading(&self) -> bool {
        let newest = self.settings.rule.windowing.first_not_final(self.marks.w);
        let committed = self.committed.as_ref().and_then(|commit| self.promise(commit)).unwrap_or(WindowStart::MIN);
        self.stopping.is_none() && self.too_many_keys() && newest > committed
    }

    fn counts(&self) -> crate::partition::Counts {
        let mut sum = crate::partition::Counts::default();
        for counts in self.partitions.iter().filter_map(|p| Some(&p.state.as_ref()?.counts)) {
            sum.add(counts);
        }
        sum
    }

    /// The oldest cut, once all of it is there: both equations must hold.
    fn check(&mut self, gathered: Option<Epoch>) -> Result<(), Halt> {
        let Some(cut) = self.cuts.front() else { return Ok(()) };
        let epoch = cut.end.epoch;
        let Some(counts) = cut.counts else { return Ok(()) };
        let counts = if mutants::on(Mutant::SnapshotNotAwaited) { self.counts() } else { counts };
        if gathered.is_some_and(|until| until <= epoch) {
            return Ok(());
        }
        let cut = self.cuts.pop_front().expect("it was at the front");
        assert_eq!(cut.parts.len(), self.workers, "a cut has a part of every worker");
        let sum = |of: fn(&CutPart) -> i64| cut.parts.iter().map(of).sum::<i64>();
        let (arrived, retired) = (sum(|p| p.arrived), sum(|p| p.retired));
        let keys = cut.parts.iter().map(|p| p.keys).sum();
        let load = cut.parts.iter().map(|p| p.load).sum();
        let ledger = Ledger { counts, held: arrived - retired, retired: retired + self.retired_before, keys, load };
        if let Some((what, ledger)) = self.imbalance(&cut, ledger, arrived) {
            // To be seen, and nothing more.
            self.ledger = ledger;
            return Err(unbalanced(what));
        }
        if load >= self.settings.max_keys.saturating_mul(2) {
            let long = if load > keys { format!(" (they count as {load}, for names are long)") } else { String::new() };
            let why = format!(
                "{keys} windows of series are open{long}, twice --max-keys: more memory than was allowed; raise --max-keys, \
                 lower --lateness, or look for a partition that holds W back ({})",
                self.guide
                    .w
                    .map_or("W is unknown yet".into(), |w| format!("W is at second {} since 1970", w.0 / SECOND))
            );
            return Err(Halt::new(HaltKind::Internal, why));
        }
        let commit = Commit { cut: epoch, seq: self.seq + 1, marks: cut.marks };
        if let Some(chain) = &self.chain {
            let manifest = self.manifest(chain, &commit, &cut);
            self.chain = Some(manifest.clone());
            self.outgoing = Some(manifest);
        }
        self.publishing = Some(Checked { commit, ledger, finished: cut.finished });
        Ok(())
    }

    /// Which equation of R11 does not hold at a cut, and a ledger that shows it.
    fn imbalance(&self, cut: &Cut, ledger: Ledger, arrived: i64) -> Option<(String, Ledger)> {
        let states = || self.partitions.iter().filter_map(|p| Some((&p.found.name, p.state.as_ref()?)));
        if let Some((name, state)) = states().find(|(_, state)| !state.balances()) {
            let by_offsets = states().map(|(_, s)| s.next.0 - s.start.0 - s.counts.gaps).sum();
            let counts = crate::partition::Counts { read: by_offsets, ..self.counts() };
            let what = format!("partition {name}: next - start = read + gaps fails in {state:?}");
            return Some((what, Ledger { counts, ..ledger }));
        }
        let (epoch, Ledger { counts, held, retired, .. }) = (cut.end.epoch, ledger);
        if counts.counted != arrived + self.retired_before {
            let counted = counts.counted;
            let why = format!("{counted} records counted at the sources, {held} held and {retired} retired");
            return Some((format!("epoch {epoch}: {why}"), ledger));
        }
        let traced = cut.parts.iter().map(|p| p.traced).sum::<Option<i64>>().filter(|traced| *traced != held)?;
        let what = format!("epoch {epoch}: {held} records are held by the tally and {traced} in the trace");
        Some((what, Ledger { held: traced, ..ledger }))
    }

    /// The manifest that commits a cut.
    fn manifest(&self, chain: &Manifest, commit: &Commit, cut: &Cut) -> Manifest {
        let mut parts: Vec<&CutPart> = cut.parts.iter().collect();
        parts.sort_unstable_by_key(|part| part.worker);
        let sinks = self.sinks.iter().zip(&self.ports);
        let sinks = sinks.map(|((name, _), port)| checkpoint::SinkState {
            name: name.clone(),
            stored_before: port.line,
            position: port.position,
            chain: None, // worker 0 knows
            ..chain.sink(name).cloned().unwrap_or_default()
        });
        // A sink that this run does not have stays as it was left: it may come back.
        let absent = chain.sinks.iter().filter(|left| self.sinks.iter().all(|(name, _)| *name != left.name));
        Manifest {
            seq: commit.seq,
            epoch: commit.cut,
            marks: commit.marks,
            instant: self.settings.instant,
            finished: cut.finished,
            grows: self.grows,
            retired: self.retired_before + parts.iter().map(|part| part.forgotten).sum::<i64>(),
            partitions: cut.partitions.clone(),
            sinks: sinks.chain(absent.cloned()).collect(),
            parts: parts
                .into_iter()
                .map(|part| checkpoint::WorkerObjects { objects: part.objects.clone(), retired_before: part.line })
                .collect(),
            ..chain.clone()
        }
    }

    /// The cut that was checked, once its manifest is published; at once, where no state is kept.
    fn commit(&mut self, published: Option<u64>) -> Option<Commit> {
        let done = |checked: &mut Checked| self.chain.is_none() || published >= Some(checked.commit.seq);
        let Checked { commit, ledger, finished } = self.publishing.take_if(done)?;
        let seq = commit.seq;
        let before = self.committed.map(|c| c.marks);
        let windowing = self.settings.rule.windowing;
        let lines = |m: Marks| (windowing.first_not_closed(m.w), windowing.first_not_final(m.w), m.partial_before);
        if before.map(lines) != Some(lines(commit.marks)) || ledger.counts.counted != self.ledger.counts.counted {
            self.changed = seq;
        }
        (self.ledger, self.seq, self.committed) = (ledger, seq, Some(commit));
        self.saved = self.chain.as_ref().map(StateSize::of);
        if finished && self.final_commit.is_none() {
            self.final_commit = Some(seq);
        }
        Some(commit)
    }

    /// What sinks have stored.
    fn acknowledge(
        &mut self,
        stored: &[SinkProgress],
        batches: &[u64],
        now: Monotonic,
        decision: &mut Decision,
    ) -> Result<(), Halt> {
        let waits = self.all_ended || self.sinks_hold_the_reading();
        for (number, (stored, batches)) in stored.iter().zip(batches).enumerate() {
            let port = &mut self.ports[number];
            port.stored = stored.at;
            if port.stored == port.begun || mutants::on(Mutant::ForgottenBeforeStored) {
                port.line = port.line.max(port.promise);
                port.position = stored.position.or(port.position);
            }
            // A batch is progress: a round may be all of a large log.
            let waited = port.patience.waited(port.stored == port.begun, (stored.at, *batches), now);
            if waits {
                self.overdue(&format!("sink {}", self.sinks[number].0), "rows", waited)?;
            }
        }
        let line = self.ports.iter().map(|port| port.line).min().flatten();
        // Not before a commit: only then is all that a run before this one left in the traces that are to forget it.
        if line > self.line && (self.committed.is_some() || mutants::on(Mutant::LineBeforeCommit)) {
            self.line = line;
            decision.line = line;
        }
        Ok(())
    }

    /// Dead letters of committed cuts: too many that wait hold back the next commit, and with it the reading.
    fn await_letters(&mut self, waiting: usize, stored: Option<Epoch>, now: Monotonic) -> Result<(), Halt> {
        self.letters_waiting = waiting;
        let waited = self.letters_patience.waited(waiting == 0, (stored.unwrap_or(0), 0), now);
        if self.all_ended || waiting > MAX_CUTS_IN_FLIGHT {
            self.overdue(&format!("dead letters {}", self.letters), "letters", waited)?;
        }
        Ok(())
    }

    /// A bounded run waits only so long.
    fn overdue(&self, place: &str, what: &str, waited: i64) -> Result<(), Halt> {
        if !self.settings.bounded || waited <= self.settings.sink_timeout {
            return Ok(());
        }
        let why = format!(
            "{place}: nothing was stored for {} s: look at what it says above, or give it more time with --sink-timeout; \
             the {what} that it lacks come again with the next run",
            waited / SECOND
        );
        Err(Halt::new(HaltKind::Unreachable, why))
    }

    /// What a round as of this commit would promise.
    fn promise(&self, commit: &Commit) -> Option<WindowStart> {
        commit.marks.w.map(|w| self.settings.rule.windowing.first_not_final(Some(w)))
    }

    /// Is there something that this sink has not been sent?
    fn worth(&self, number: usize, with_open: bool) -> bool {
        let (port, takes) = (&self.ports[number], &self.sinks[number].1);
        if takes.changes {
            self.changed > port.seq || (port.left && with_open)
        } else {
            self.committed.as_ref().and_then(|commit| self.promise(commit)) > port.promise
        }
    }

    /// Rounds that begin now.
    fn rounds(&mut self, now: Monotonic) -> Vec<Round> {
        let Some(commit) = self.committed else { return Vec::new() };
        let last = self.final_commit.is_some() || self.stopping.is_some();
        let mut rounds = Vec::new();
        for number in 0..self.ports.len() {
            let (port, takes) = (&self.ports[number], &self.sinks[number].1);
            let due = takes.open_every == 0 || port.open_at.is_none_or(|at| now.0 - at.0 >= takes.open_every);
            let with_open = takes.changes && (due || last);
            if port.stored < port.begun || !self.worth(number, with_open) {
                continue;
            }
            let (left, promise) = (takes.changes && !with_open, self.promise(&commit));
            let port = &mut self.ports[number];
            port.begun += 1;
            (port.seq, port.left, port.promise) = (commit.seq, left, promise);
            if with_open {
                port.open_at = Some(now);
            }
            rounds.push(Round { port: number, round: port.begun, with_open });
        }
        rounds
    }

    /// The run is about to end, and more than its sinks and dead letters is waited for.
    fn hurries(&self) -> bool {
        let committed = match self.stopping {
            Some((_, epoch)) => self.committed.is_some_and(|commit| commit.cut >= epoch),
            None => self.final_commit.is_some(),
        };
        let stores = self.letters_waiting > 0 || self.ports.iter().any(|port| port.stored < port.begun);
        let waits = committed && stores;
        (self.all_ended || self.stopping.is_some()) && !waits || self.commits_hold_the_reading()
    }

    /// Does the epoch end?
    fn end(
        &mut self,
        sealed: Option<Epoch>,
        first: bool,
        full: bool,
        heavy: bool,
        now: Monotonic,
        decision: &mut Decision,
    ) {
        if first {
            self.first.get_or_insert(now);
        }
        self.full |= full;
        let hurry = self.hurries() || !decision.admissions.is_empty();
        let length = EPOCH.min(self.settings.checkpoint_interval);
        let old = now.0 - self.began.0;
        let over = self.full
            || self.first.is_some_and(|first| now.0 - first.0 >= length)
            || old >= IDLE_EPOCH
            || (hurry && old >= length / 10);
        let in_flight = sealed.map_or(0, |sealed| self.epoch.saturating_sub(sealed));
        if !over || self.stopped || in_flight > MAX_EPOCHS_IN_FLIGHT {
            return;
        }
        let due = now.0 - self.cut_at.0 >= self.settings.checkpoint_interval || hurry || heavy;
        if due && self.cuts.len() + usize::from(self.publishing.is_some()) >= MAX_CUTS_IN_FLIGHT {
            return;
        }
        let end = End { epoch: self.epoch, cut: due, audit: due && (self.settings.audit || self.finished) };
        if due {
            self.cut_at = now;
            self.cuts.push_back(Cut {
                end,
                marks: Marks::default(),
                counts: None,
                partitions: Vec::new(),
                parts: Vec::new(),
                finished: false,
            });
        }
        decision.end = Some(end);
        self.epoch += 1;
        (self.began, self.first, self.full) = (now, None, false);
    }

    /// Is the run over? Not by a decision that commits: what it commits, the dead letters above all, is on its way from then
    /// on, and the facts at hand do not know of it.
    fn stop(&mut self, now: Monotonic, decision: &mut Decision) {
        if self.stopped || (decision.commit.is_some() && !mutants::on(Mutant::EndsWithItsCommit)) {
            return;
        }
        let stored = |number: usize| {
            let port = &self.ports[number];
            port.stored == port.begun && !self.worth(number, self.sinks[number].1.changes)
        };
        let quiet = self.letters_waiting == 0 && (0..self.ports.len()).all(stored);
        let empty = self.keeps_open() || self.ledger.held == 0;
        let nothing = self.settings.bounded && self.asked && self.partitions.is_empty();
        let done = self.final_commit.is_some() && quiet && empty;
        let asked = self.stopping.is_some_and(|(since, epoch)| {
            let drained = self.committed.is_some_and(|commit| commit.cut >= epoch);
            (drained && quiet) || now.0 - since.0 > STOP_PATIENCE
        });
        self.stopped = done || nothing || asked;
        decision.stop = self.stopped;
    }

    /// What readers go by at present.
    pub fn guide(&self) -> Guide {
        self.guide
    }

    /// Until when nothing happens by itself.
    pub fn deadline(&self) -> Monotonic {
        let length = EPOCH.min(self.settings.checkpoint_interval);
        let idle = if self.hurries() { length / 10 } else { IDLE_EPOCH };
        let by_age = Monotonic(self.began.0 + idle);
        self.first.map_or(by_age, |first| by_age.min(Monotonic(first.0 + length)))
    }

    /// For people.
    pub fn status(&self) -> Status {
        Status {
            marks: self.committed.map(|c| c.marks).unwrap_or_default(),
            seq: self.seq,
            partitions: self.partitions.iter().map(|p| (p.found.clone(), p.state.clone())).collect(),
            ledger: self.ledger,
            line: self.line,
            rounds: self.ports.iter().map(|p| (p.begun, p.stored)).collect(),
            lines: self.ports.iter().map(|p| p.line).collect(),
            newest: self.marks,
            saved: self.saved,
            waits_for_sinks: self.sinks_hold_the_reading(),
            keeps_open: self.settings.bounded && self.keeps_open(),
            grown: self.grown.clone(),
        }
    }

    /// Marks as of all epochs before this one.
    pub fn weighed(&self) -> (Epoch, Marks) {
        (self.reported, self.marks)
    }
}

/// Is a partition that was found again still the log that it was?
fn same_log(left: &Discovered, found: &Discovered) -> Result<(), Halt> {
    match (&left.log_id, &found.log_id) {
        (Some(was), Some(is)) if was != is => {
            let why = format!(
                "partition {}: its topic was deleted and made anew since the last run (its id was {was}, now it is {is}): \
                 begin anew to read the new one (--job NAME)",
                found.name
            );
            Err(Halt::new(HaltKind::Data, why))
        }
        _ => Ok(()),
    }
}

fn unbalanced(what: String) -> Halt {
    let why = format!("the ledger does not balance: {what}; nothing of this cut was sent anywhere; please report it");
    Halt::new(HaltKind::Internal, why)
}
