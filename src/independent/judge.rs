//! One partition, judged in the order of its offsets (R4, R5, R7): what counts, by H alone and the listed exceptions (R10).

use super::event::{EventReader, IdTexts, IndependentEvent, ReadEvent};
use super::outliers::SeriesValues;
use super::rules::IndependentRules;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{Evidence, PartitionName, Reason, Record};
use minutely_dataflows::time::{EventTime, WindowStart};
use num_bigint::BigInt;
use std::collections::{BTreeMap, HashMap};

/// Ids that may be held before those that no event can repeat are looked for.
const SLACK: usize = 1 << 16;

/// What became of an event.
#[derive(Debug)]
pub(crate) enum IndependentJudgement {
    /// It counts for this window.
    Counts(WindowStart, CountedPlace, IndependentEvent),
    /// It repeats another, or is left out.
    Nothing,
    /// A dead letter.
    Letter(#[cfg_attr(not(test), expect(dead_code, reason = "tests compare it with the oracle's"))] Reason),
}

/// An event's place in all logs: its partition's identity, its offset and its element.
pub(crate) type CountedPlace = (u64, i64, Option<u32>);

/// What the run said that the log alone does not give: by offset and element.
pub(crate) type ListedExceptions = BTreeMap<(i64, Option<u32>), (Reason, Evidence)>;

/// See the module.
pub(crate) struct IndependentPartition {
    reader: EventReader,
    rule: Rule,
    identity: u64,
    exceptions: ListedExceptions,
    /// The greatest event time of the valid records so far.
    h: Option<i64>,
    /// Of what counted: when its window is final.
    ids: HashMap<(String, IdTexts), i128>,
    room: usize,
    series: HashMap<String, SeriesValues>,
}

/// A window and when it is final, in nanoseconds.
#[derive(Clone, Copy)]
struct WindowLife {
    start: i64,
    final_at: i128,
}

impl IndependentPartition {
    /// Before its first record that is to be judged. `h`: the greatest event time of the valid records before that.
    pub(crate) fn new(
        rules: &IndependentRules,
        name: &PartitionName,
        exceptions: ListedExceptions,
        h: Option<EventTime>,
    ) -> Self {
        IndependentPartition {
            reader: rules.reader(name),
            rule: rules.rule,
            identity: xxhash_rust::xxh3::xxh3_64(name.to_string().as_bytes()),
            exceptions,
            h: h.map(|h| h.0),
            ids: HashMap::new(),
            room: SLACK,
            series: HashMap::new(),
        }
    }

    /// The greatest event time of the valid records so far.
    pub(crate) fn h(&self) -> Option<EventTime> {
        self.h.map(EventTime)
    }

    /// The next record: what became of each of its events.
    pub(crate) fn record(&mut self, record: &Record<'_>, mut each: impl FnMut(IndependentJudgement)) {
        let mut events = Vec::new();
        self.reader.events(record, &mut |element, event| events.push((element, event)));
        for (element, event) in events {
            each(match event {
                ReadEvent::Skipped => IndependentJudgement::Nothing,
                ReadEvent::Rejected(reason) => IndependentJudgement::Letter(reason),
                ReadEvent::Event(event) => self.judge(record, element, *event),
            });
        }
    }

    fn judge(&mut self, record: &Record<'_>, element: Option<u32>, event: IndependentEvent) -> IndependentJudgement {
        let exception = self.exceptions.get(&(record.offset, element)).map(|(reason, evidence)| (*reason, *evidence));
        if let Some(reason) = self.clock(record, &event, exception) {
            return IndependentJudgement::Letter(reason);
        }
        // It is valid from here on, whatever else is said of it.
        let before = self.h;
        self.h = before.max(Some(event.time));
        let life = self.life(event.time);
        let is_final = |at: i128| before.is_some_and(|h| at <= i128::from(h));
        if is_final(life.final_at) || exception.is_some() {
            return IndependentJudgement::Letter(Reason::Late);
        }
        if self.is_out_of_bounds(&event.value) {
            return IndependentJudgement::Letter(Reason::Bounds);
        }
        if let Some(id) = &event.id {
            self.forget_ids(before);
            let repeated = self.ids.entry((event.symbol.clone(), id.clone()));
            let mut is_new = false;
            let at = repeated.or_insert_with(|| {
                is_new = true;
                life.final_at
            });
            if !is_new && !is_final(*at) {
                return IndependentJudgement::Nothing;
            }
            *at = life.final_at;
        }
        if let Some(rule) = self.rule.cleaning.and_then(|cleaning| cleaning.outlier) {
            let values = self.series.entry(event.symbol.clone()).or_default();
            if values.is_outlier(&rule, &event.value, life.final_at, before) {
                return IndependentJudgement::Letter(Reason::Outlier);
            }
        }
        IndependentJudgement::Counts(WindowStart(life.start), (self.identity, record.offset, element), event)
    }

    /// Is it too far from its clock (R7): the broker's, or one that the run has listed?
    fn clock(
        &self,
        record: &Record<'_>,
        event: &IndependentEvent,
        exception: Option<(Reason, Evidence)>,
    ) -> Option<Reason> {
        if let Some((reason, Evidence::Clock(_))) = exception {
            return Some(reason);
        }
        let ahead = i128::from(event.time) - i128::from(record.append_time?.0);
        let is_past = self.rule.max_past.is_some_and(|most| -ahead > i128::from(most));
        match ahead > i128::from(self.rule.max_future) {
            true => Some(Reason::Future),
            false => is_past.then_some(Reason::Past),
        }
    }

    /// The window of an event time (R3), and when it is final (R6).
    fn life(&self, time: i64) -> WindowLife {
        let windowing = self.rule.windowing;
        let start = time.div_euclid(windowing.length) * windowing.length;
        WindowLife {
            start,
            final_at: i128::from(start) + i128::from(windowing.length) + i128::from(windowing.lateness),
        }
    }

    fn is_out_of_bounds(&self, value: &BigInt) -> bool {
        let Some(cleaning) = self.rule.cleaning else { return false };
        let is_below = cleaning.least.is_some_and(|least| *value < BigInt::from(least.0));
        is_below || cleaning.greatest.is_some_and(|greatest| *value > BigInt::from(greatest.0))
    }

    /// Lets go of ids of windows that are final, once there are many.
    fn forget_ids(&mut self, h: Option<i64>) {
        if self.ids.len() >= self.room {
            self.ids.retain(|_, at| h.is_none_or(|h| *at > i128::from(h)));
            self.room = 2 * self.ids.len() + SLACK;
        }
    }
}
