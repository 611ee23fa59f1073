//! Control by itself: facts in, decision out. What a run does beside sinks that are slow, letters that pile up, and ends
//! that are far apart.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod nightly;

use minutely_dataflows::checkpoint::{self, Manifest, ObjectRef};
use minutely_dataflows::control::{ChainLink, Control, ControlSetup, Decided, SinkInfo};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind, HaltRemedy, RowFilter, SinkProgress};
use minutely_dataflows::frontier::Frontier;
use minutely_dataflows::partial::PartialBefore;
use minutely_dataflows::partition::{Counts, PartitionState};
use minutely_dataflows::protocol::{CutPart, DeadLetterFacts, Decision, Facts, Reading, SinkFacts};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::settings::{AtEnd, Settings};
use minutely_dataflows::time::{Epoch, EventTime, Monotonic, NextOffset, SECOND, WindowStart};
use std::collections::BTreeMap;
use std::sync::Arc;

const FINAL: RowFilter = RowFilter { changes: false, partial: true, open_every: 0 };
const MINUTE: i64 = 60 * SECOND;
/// When the first record happened.
const BEGAN: i64 = 1_767_600_000 * SECOND;

/// Control with one worker, told what a test says.
struct Stage {
    control: Control,
    /// The newest manifest.
    published: Option<Manifest>,
    now: i64,
    /// Epochs before this are complete.
    through: Epoch,
    /// One a partition.
    states: Vec<PartitionState>,
    /// How far the sink is: the round that it has stored, the batches that it has taken.
    stored: u64,
    batches: u64,
    dead_letters_waiting: usize,
    dead_letter_bytes: usize,
    /// What the worker's next parts say.
    keys: u64,
    traced: Option<i64>,
    lost: i64,
}

impl Stage {
    /// With `partitions` partitions and one sink.
    fn new(settings: Settings, partitions: usize, chain: Option<Manifest>) -> Self {
        let sinks = vec![SinkInfo { name: "sqlite:db".into(), filter: FINAL, chain: None }];
        let setup = ControlSetup {
            settings,
            sinks,
            dead_letters: "letters.jsonl".into(),
            workers: 1,
            first_epoch: 1 << 40,
            head: chain.map(Arc::new),
        };
        let control = Control::new(setup, Monotonic(0));
        let mut stage = Stage {
            control,
            published: None,
            now: 0,
            through: 1 << 40,
            states: (0..partitions).map(state).collect(),
            stored: 0,
            batches: 0,
            dead_letters_waiting: 0,
            dead_letter_bytes: 0,
            keys: 0,
            traced: None,
            lost: 0,
        };
        let found = (0..partitions).map(|number| Discovered {
            name: PartitionName { log: "ticks".into(), number: i32::try_from(number).ok() },
            start: NextOffset(0),
            earliest: NextOffset(0),
            end: Some(1000),
            log_id: None,
        });
        stage.tell(Facts { found: found.collect(), ..Facts::default() }).unwrap();
        stage
    }

    /// A partition has read one more record, of this time after the beginning.
    fn reads(&mut self, partition: usize, time: i64) {
        let state = &mut self.states[partition];
        let time = EventTime(BEGAN + time);
        state.h = state.h.max(Some(time));
        state.newest_end = state.newest_end.max(Some(EventTime(time.0 - time.0.rem_euclid(MINUTE) + MINUTE)));
        (state.next.0, state.counts.read) = (state.next.0 + 1, state.counts.read + 1);
        (state.counts.events, state.counts.counted) = (state.counts.events + 1, state.counts.counted + 1);
    }

    fn tell(&mut self, facts: Facts) -> Result<Decision, Halt> {
        let facts = Facts {
            sinks: vec![SinkFacts { stored: SinkProgress { at: self.stored, position: None }, batches: self.batches }],
            dead_letters: DeadLetterFacts {
                waiting: self.dead_letters_waiting,
                stored: None,
                bytes: self.dead_letter_bytes,
            },
            reported: Frontier::At(self.through),
            gathered: Frontier::At(self.through),
            sealed: Frontier::Done,
            ..facts
        };
        let Decided { decision, publish } = self.control.decide(facts, Monotonic(self.now))?;
        if let Some(publish) = publish {
            self.published = Some(publish.build(ChainLink::default()));
        }
        Ok(decision.unwrap_or_default())
    }

    /// So much later nothing else has happened.
    fn passes(&mut self, time: i64) -> Result<Decision, Halt> {
        self.now += time;
        self.tell(Facts::default())
    }

    /// All is there of an epoch that has ended.
    fn gathered(&mut self, epoch: Epoch) -> Result<Decision, Halt> {
        let counted: i64 = self.states.iter().map(|state| state.counts.counted).sum();
        let part = CutPart {
            cut: epoch,
            worker: 0,
            arrived: counted - self.lost,
            retired: 0,
            keys: self.keys,
            load: self.keys,
            traced: self.traced,
            objects: Vec::new(),
            ids: Vec::new(),
            folds: Vec::new(),
            index: Vec::new(),
            trail: None,
            retired_before: None,
            forgotten: 0,
        };
        let states = self.states.iter().map(|state| (epoch, state.clone())).collect();
        self.through = epoch + 1;
        self.tell(Facts { states, parts: vec![part], ..Facts::default() })
    }

    /// A cut, a second later, and what comes of it.
    fn cut(&mut self) -> Result<Decision, Halt> {
        let end = self.passes(SECOND)?.end.expect("an epoch ends each second, read or not");
        assert!(end.cut);
        self.gathered(end.epoch)
    }

    fn reading(&self) -> Reading {
        self.control.guide().reading
    }
}

fn state(index: usize) -> PartitionState {
    PartitionState {
        index,
        start: NextOffset(0),
        next: NextOffset(0),
        h: None,
        floor: None,
        caught_up: false,
        ended: false,
        paused: false,
        newest_end: None,
        silence: 0,
        partial_before: PartialBefore::Nothing,
        counts: Counts::default(),
        last: None,
        rejected_by: Vec::new(),
        implausible: 0,
        late_by: None,
        filtered: Vec::new(),
        noted: None,
    }
}

fn bounded() -> Settings {
    Settings { bounded: true, ..Settings::default() }
}

#[test]
fn at_max_keys_a_slow_sink_stops_the_reading_and_not_the_commits() {
    for bounded in [false, true] {
        let mut stage = Stage::new(Settings { max_keys: 10, bounded, ..Settings::default() }, 1, None);
        stage.reads(0, 20 * MINUTE);
        stage.keys = 9;
        assert_eq!(stage.cut().unwrap().rounds.len(), 1);
        assert_eq!(stage.reading(), Reading::All, "there is room");
        stage.reads(0, 30 * MINUTE);
        stage.keys = 12;
        let told = stage.cut().unwrap();
        assert!(told.commit.is_some() && told.guide.reading == Reading::Nothing, "{told:?}");
        for _ in 0..5 {
            assert!(stage.cut().unwrap().commit.is_some(), "commits go on");
        }
        stage.stored = 1;
        let told = stage.passes(0).unwrap();
        assert!(told.retired_before.is_some() && told.rounds.len() == 1, "what is final since goes out next");
        assert_eq!(stage.reading(), Reading::Nothing, "it is in memory still");
        assert!(stage.control.status().waits_for_sinks, "and people are told");
        stage.stored = 2;
        let told = stage.passes(0).unwrap();
        assert_eq!(told.retired_before, Some(WindowStart(BEGAN + 20 * MINUTE)));
        assert_eq!(told.guide.reading, Reading::HoldingBack, "what is held now is held for whoever holds W back");
        assert!(!stage.control.status().waits_for_sinks);
        stage.keys = 3;
        assert_eq!(stage.cut().unwrap().guide.reading, Reading::All);
    }
}

#[test]
fn keys_that_a_run_begins_with_count_before_its_first_commit() {
    let object = ObjectRef::of("000001-000-00000001", b"x", 12);
    let parts = vec![checkpoint::WorkerObjects { objects: vec![object], ..checkpoint::WorkerObjects::default() }];
    let chain = Manifest { parts, ..Manifest::fresh(BTreeMap::new()) };
    let mut stage = Stage::new(Settings { max_keys: 10, ..Settings::default() }, 1, Some(chain));
    assert_eq!(stage.reading(), Reading::Nothing);
    // Nothing need be read for that.
    stage.keys = 2;
    assert!(stage.cut().unwrap().commit.is_none());
    let seq = stage.published.take().unwrap().seq;
    let told = stage.tell(Facts { published: Some(seq), ..Facts::default() }).unwrap();
    assert!(told.commit.is_some() && told.guide.reading == Reading::All, "{told:?}");
}

/// Halts after how many seconds, looking every hundred; `each` goes before each look.
fn waits(stage: &mut Stage, each: impl Fn(&mut Stage)) -> Option<(i64, Halt)> {
    let began = stage.now;
    for _ in 0..10 {
        each(stage);
        if let Err(halt) = stage.passes(100 * SECOND) {
            return Some(((stage.now - began) / SECOND, halt));
        }
    }
    None
}

#[test]
fn a_bounded_run_waits_for_a_sink_as_long_as_it_takes_batches_and_no_longer() {
    let ended = || {
        let mut stage = Stage::new(bounded(), 1, None);
        stage.reads(0, 20 * MINUTE);
        stage.states[0].ended = true;
        assert_eq!(stage.cut().unwrap().rounds.len(), 1);
        stage
    };
    assert_eq!(waits(&mut ended(), |stage| stage.batches += 1), None, "a long round");
    let (after, halt) = waits(&mut ended(), |_| {}).unwrap();
    assert_eq!((after, halt.kind), (400, HaltKind::Unreachable));
    assert!(halt.why.contains("sqlite:db") && halt.remedy == Some(HaltRemedy::WaitLonger), "{halt:?}");

    // While it reads it does not wait; at `max_keys` it does.
    for (max_keys, waited) in [(10, None), (5, Some(400))] {
        let mut stage = Stage::new(Settings { max_keys, ..bounded() }, 1, None);
        stage.reads(0, 20 * MINUTE);
        stage.keys = 7;
        assert_eq!(stage.cut().unwrap().rounds.len(), 1);
        assert_eq!(waits(&mut stage, |_| {}).map(|(after, _)| after), waited);
    }
    // A live run waits for ever, and one that is to stop is not ended by a sink.
    let mut live = Stage::new(Settings { max_keys: 5, ..Settings::default() }, 1, None);
    live.reads(0, 20 * MINUTE);
    live.keys = 7;
    live.cut().unwrap();
    assert_eq!((live.reading(), waits(&mut live, |_| {})), (Reading::Nothing, None));
}

#[test]
fn a_bounded_run_waits_for_dead_letters_no_longer_than_for_a_sink() {
    let begun = |ended: bool, dead_letters_waiting: usize| {
        let mut stage = Stage::new(bounded(), 1, None);
        stage.reads(0, MINUTE);
        stage.states[0].ended = ended;
        stage.cut().unwrap();
        stage.stored = 1;
        stage.dead_letters_waiting = dead_letters_waiting;
        stage
    };
    assert_eq!(waits(&mut begun(false, 2), |_| {}), None, "there is room for more");
    assert_eq!(waits(&mut begun(true, 0), |_| {}), None);
    for mut stage in [begun(true, 1), begun(false, 3)] {
        let (after, halt) = waits(&mut stage, |_| {}).unwrap();
        assert_eq!((after, halt.kind), (400, HaltKind::Unreachable));
        assert!(halt.why.contains("letters.jsonl") && halt.remedy == Some(HaltRemedy::WaitLonger), "{halt:?}");
    }
}

#[test]
fn a_run_that_only_waits_for_dead_letters_does_not_commit_all_the_while() {
    for waiting in [true, false] {
        let mut stage = Stage::new(Settings { at_end: AtEnd::KeepOpen, ..bounded() }, 1, None);
        stage.reads(0, MINUTE);
        stage.states[0].ended = true;
        stage.dead_letters_waiting = usize::from(waiting);
        assert!(stage.cut().unwrap().commit.is_some(), "the last one");
        stage.stored = 1;
        let told = stage.passes(SECOND / 10).unwrap();
        assert_eq!(told.stop, !waiting);
        assert!(!waiting || told.end.is_none(), "{told:?}");
    }
}

/// A run over a partition with a record and one that begins above 0 and holds none: from when on windows are whole.
fn whole_from(settings: Settings, chain: Option<Manifest>) -> (Option<EventTime>, Manifest) {
    let chain = chain.unwrap_or_else(|| Manifest::fresh(BTreeMap::new()));
    let mut stage = Stage::new(Settings { at_end: AtEnd::KeepOpen, ..settings }, 2, Some(chain));
    let end = stage.passes(SECOND).unwrap().end.unwrap();
    stage.reads(0, MINUTE);
    for state in &mut stage.states {
        state.ended = true;
    }
    (stage.states[1].start, stage.states[1].next) = (NextOffset(10), NextOffset(10));
    stage.states[1].partial_before = PartialBefore::Unknown;
    stage.gathered(end.epoch).unwrap();
    let manifest = stage.published.take().unwrap();
    assert_eq!(stage.control.status().silent_starts().count(), 1);
    (manifest.marks.partial_before.bound(), manifest)
}

#[test]
fn what_a_silent_partition_held_is_bounded_by_the_operator_or_by_when_the_log_was_first_opened() {
    let at = |minutes: i64| Some(EventTime(BEGAN + minutes * MINUTE));
    assert_eq!(whole_from(bounded(), None).0, None, "nothing tells");
    assert_eq!(whole_from(Settings { complete_from: at(5), ..bounded() }, None).0, at(5));
    // What was deleted was at most --max-future ahead of its stamp, or of the run's instant.
    let (night, head) = whole_from(Settings { opened_at: at(600), ..bounded() }, None);
    assert_eq!(night, Some(at(600 + 1 + 10).unwrap().plus(1)));
    let both = Settings { complete_from: at(5), opened_at: at(600), ..bounded() };
    assert_eq!(whole_from(both, None).0, at(5));
    // The next night it is known since the first one.
    let head = Manifest { finished: false, ..head };
    let (next, head) = whole_from(Settings { opened_at: at(2000), ..bounded() }, Some(head));
    assert_eq!(next, night);
    // A record tells more, or less.
    assert!(head.partitions.iter().all(|left| left.complete_from == night), "{:?}", head.partitions);
    let mut stage = Stage::new(Settings { complete_from: at(5), ..Settings::default() }, 2, None);
    let known = |minutes| PartialBefore::from(at(minutes));
    for (before, bound) in
        [(known(3), known(3)), (known(90), known(5)), (PartialBefore::Nothing, PartialBefore::Nothing)]
    {
        stage.states[0].partial_before = before;
        stage.reads(0, 0);
        stage.cut().unwrap();
        assert_eq!(stage.control.status().newest.partial_before, bound);
    }
}

#[test]
fn dead_letters_that_are_not_committed_make_a_cut_due_and_then_hold_back_epochs() {
    let mut stage = Stage::new(Settings { checkpoint_interval: 3600 * SECOND, ..Settings::default() }, 1, None);
    assert_eq!(stage.passes(SECOND).unwrap().end.map(|end| end.cut), Some(false));
    stage.dead_letter_bytes = 64 << 20;
    let cuts: Vec<_> = (0..3).map(|_| stage.passes(SECOND).unwrap().end).collect();
    assert_eq!(cuts.iter().map(|end| end.map(|end| end.cut)).collect::<Vec<_>>(), [Some(true), Some(true), None]);
    // They leave with the commit.
    stage.dead_letter_bytes = 0;
    let told = stage.gathered(cuts[0].unwrap().epoch).unwrap();
    assert!(told.commit.is_some() && told.end.is_some_and(|end| !end.cut), "{told:?}");
}

#[test]
fn a_ledger_that_does_not_balance_is_shown_and_nothing_else_comes_of_it() {
    let wrongs: [fn(&mut Stage); 3] = [
        |stage| stage.lost = 1,
        |stage| stage.traced = Some(2),
        |stage| stage.states[0].counts.gaps = 1, // offsets that nobody has passed
    ];
    for wrong in wrongs {
        let chain = Manifest::fresh(BTreeMap::new());
        let mut stage = Stage::new(Settings { audit: true, ..Settings::default() }, 1, Some(chain));
        stage.reads(0, MINUTE);
        wrong(&mut stage);
        let halt = stage.cut().unwrap_err();
        assert!(halt.kind == HaltKind::Internal && halt.why.contains("does not balance"), "{halt}");
        let ledger = stage.control.status().ledger;
        let c = ledger.counts;
        let balances = c.read == c.counted + c.late + c.rejected + c.quarantined;
        assert!(!(balances && c.counted == ledger.held + ledger.retired), "{halt}: {ledger:?}");
        assert_eq!((stage.published.take(), stage.control.status().seq), (None, 0));
    }
}

#[test]
fn a_run_that_keeps_windows_open_ends_at_the_greatest_time_of_its_log() {
    let mut stage = Stage::new(Settings { at_end: AtEnd::KeepOpen, ..bounded() }, 2, None);
    stage.reads(0, 0);
    stage.reads(1, 60 * MINUTE);
    stage.keys = 2;
    for state in &mut stage.states {
        // It was read an hour ago.
        (state.ended, state.caught_up, state.silence) = (true, true, 3600 * SECOND);
    }
    // Both were at their ends in one epoch; the first hears of the other only now.
    let told = stage.cut().unwrap();
    assert_eq!(told.commit.unwrap().marks.w, Some(EventTime(BEGAN)));
    let last = EventTime(BEGAN + 60 * MINUTE);
    assert_eq!(told.guide.catch_up_to, Some(last), "no silence counts");
    stage.stored = 1;
    assert!(!stage.passes(0).unwrap().stop);
    stage.states[0].floor = Some(last);
    assert_eq!(stage.cut().unwrap().commit.unwrap().marks.w, Some(last));
    stage.stored = 2;
    let told = stage.passes(0).unwrap();
    assert_eq!((told.stop, told.guide.catch_up_to), (true, Some(last)));
}

#[test]
fn a_log_in_order_that_is_read_each_night_has_no_late_records() {
    assert_eq!(nightly::late(true), 0);
    // Where the first night took it for complete, what that closed is closed: the rest of one minute.
    assert_eq!(nightly::late(false), 20);
}

#[test]
fn windows_are_counted_as_they_are_made() {
    let mut stage = Stage::new(Settings { max_keys: 10, ..Settings::default() }, 1, None);
    stage.keys = 1;
    stage.cut().unwrap();
    let held = |stage: &mut Stage, keys| {
        stage.tell(Facts { loads: vec![(0, keys)], ..Facts::default() }).unwrap();
        stage.reading()
    };
    assert_eq!(held(&mut stage, 9), Reading::All);
    assert_eq!(held(&mut stage, 10), Reading::HoldingBack, "before any commit has them");
    // Twenty minutes on, some are final by a W that is not committed: the next commit comes first, at once.
    stage.reads(0, 20 * MINUTE);
    stage.tell(Facts { first: true, ..Facts::default() }).unwrap();
    let end = stage.passes(SECOND / 10).unwrap().end.unwrap();
    assert!(!end.cut);
    let state = stage.states[0].clone();
    stage.through = end.epoch + 1;
    let told = stage.tell(Facts { states: vec![(end.epoch, state)], ..Facts::default() }).unwrap();
    assert_eq!(told.guide.reading, Reading::Nothing);
    let told = stage.passes(SECOND / 100).unwrap();
    assert!(told.end.is_some_and(|end| end.cut), "{told:?}");
    assert_eq!(held(&mut stage, 9), Reading::All);
}

#[test]
fn a_partition_that_a_first_manifest_names_is_as_complete_as_one_that_is_found() {
    let name = PartitionName { log: "ticks".into(), number: Some(0) };
    let found = Discovered { name, start: NextOffset(5), earliest: NextOffset(0), end: Some(1000), log_id: None };
    let taken = checkpoint::PartitionSnapshot { found, state: None, floor: None, complete_from: None };
    let chain = Manifest { partitions: vec![taken], ..Manifest::fresh(BTreeMap::new()) };
    let at = Some(EventTime(BEGAN));
    let mut stage = Stage::new(Settings { complete_from: at, ..Settings::default() }, 1, Some(chain));
    stage.cut().unwrap();
    let partitions = stage.published.take().unwrap().partitions;
    assert_eq!((partitions[0].complete_from, partitions[0].found.start), (at, NextOffset(5)));
}
