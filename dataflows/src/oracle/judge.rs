//! One partition, judged one record after the other: from its beginning, or from a place in it where H is known.

use super::Position;
use super::cleaning::PlainCleaning;
use crate::decode::{DecodedEvent, DecodedPart, Decoder, EventId, EventOutcome};
use crate::halt::Halt;
use crate::partition::{Counts, Rule};
use crate::record::{Cause, DeadLetter, Element, Evidence, Judged, PartitionName, Reason, Record};
use crate::time::{EventTime, WindowStart};
use std::collections::BTreeMap;

/// What the run said of a record, or an element of one, that the log alone does not give: by offset and element.
pub type Exceptions = BTreeMap<(i64, Option<u32>), (Reason, Evidence)>;

/// What became of an event.
pub enum Judgement<'a> {
    /// It counts for this window.
    Counts(WindowStart, Position, DecodedEvent<'a>),
    /// It does not.
    DeadLetter(Option<Element<'a>>, Cause),
}

/// See the module.
pub struct OraclePartition<'r> {
    identity: u64,
    decoder: Decoder,
    rule: &'r Rule,
    exceptions: Exceptions,
    h: Option<EventTime>,
    ids: BTreeMap<EventId, EventTime>,
    cleaning: PlainCleaning<'r>,
    /// When the window of its first valid record becomes final.
    first_final_at: Option<EventTime>,
    /// Of what it was given.
    pub counts: Counts,
}

impl<'r> OraclePartition<'r> {
    /// Before its first record that is to be judged. `h`: the greatest event time of the valid records before that. Ids and outliers
    /// begin with nothing, so where the rule has any a partition is judged from its beginning.
    pub fn new(
        name: &PartitionName,
        decoder: &Decoder,
        rule: &'r Rule,
        exceptions: Exceptions,
        h: Option<EventTime>,
    ) -> Self {
        OraclePartition {
            identity: name.identity(),
            decoder: decoder.for_partition(name),
            rule,
            exceptions,
            h,
            ids: BTreeMap::new(),
            cleaning: PlainCleaning::new(rule),
            first_final_at: None,
            counts: Counts::default(),
        }
    }

    /// The exceptions among these, by partition.
    pub fn exceptions<'l>(
        dead_letters: impl IntoIterator<Item = &'l DeadLetter>,
    ) -> BTreeMap<PartitionName, Exceptions> {
        let mut all: BTreeMap<PartitionName, Exceptions> = BTreeMap::new();
        for letter in dead_letters.into_iter().filter(|letter| letter.is_exception()) {
            let Some(judged) = &letter.judged else { continue };
            let of_partition = all.entry(letter.partition.clone()).or_default();
            of_partition.insert((letter.offset, letter.element), (letter.reason, judged.evidence));
        }
        all
    }

    /// The greatest event time of the valid records so far.
    pub fn h(&self) -> Option<EventTime> {
        self.h
    }

    /// When the window of the first valid record becomes final, of those that it was given.
    pub(super) fn first_final_at(&self) -> Option<EventTime> {
        self.first_final_at
    }

    /// What decodes its records.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// The next record.
    ///
    /// # Errors
    /// When a registry of schemas does not answer.
    pub fn record(&mut self, record: &Record<'_>, mut each: impl FnMut(Judgement<'_>)) -> Result<(), Halt> {
        self.decoder.learn(record);
        self.counts.read += 1;
        let OraclePartition { identity, decoder, rule, exceptions, h, ids, cleaning, first_final_at, counts } = self;
        decoder.parts(record, |DecodedPart { element, outcome }| {
            counts.events += 1;
            let index = element.map(|element| element.index);
            let event = match outcome {
                EventOutcome::Skipped => {
                    counts.skipped += 1;
                    return;
                }
                EventOutcome::Rejected(rejection) => {
                    counts.rejected += 1;
                    return each(Judgement::DeadLetter(element, Cause::Rejected(rejection)));
                }
                EventOutcome::Event(event) => event,
            };
            let exception = exceptions.get(&(record.offset, index)).copied();
            let (start, final_at) = window(event.time, rule);
            let verdict = verdict(&event, record, rule, exception, *h).or_else(|| cleaning.misfit(&event));
            let repeats = verdict.is_none() && repeats(event.id, ids, final_at, *h);
            let verdict = verdict.or_else(|| if repeats { None } else { cleaning.outlier(&event, *h) });
            counts.rounded += i64::from(event.rounded);
            if !matches!(verdict, Some((Reason::Future | Reason::Past, _))) {
                *h = (*h).max(Some(event.time));
                first_final_at.get_or_insert(final_at);
            }
            match verdict {
                None if repeats => counts.duplicates += 1,
                None => {
                    counts.counted += 1;
                    each(Judgement::Counts(start, (*identity, record.offset, index), event));
                }
                Some((reason, evidence)) => {
                    count_letter(counts, reason);
                    let (symbol, value, time) = (event.symbol.into_owned(), event.value, event.time);
                    let judged = Judged { symbol, value, time, evidence };
                    each(Judgement::DeadLetter(element, Cause::Judged(reason, judged)));
                }
            }
        })
    }
}

/// Counts an event that does not count.
fn count_letter(counts: &mut Counts, reason: Reason) {
    match reason {
        Reason::Late => counts.late += 1,
        Reason::Future | Reason::Past => {
            counts.quarantined += 1;
            counts.past += i64::from(reason == Reason::Past);
        }
        _ => {
            counts.cleaned += 1;
            counts.off_session += i64::from(reason == Reason::Session);
            counts.outliers += i64::from(reason == Reason::Outlier);
        }
    }
}

/// The window of this event time, and the watermark at which it becomes final.
fn window(time: EventTime, rule: &Rule) -> (WindowStart, EventTime) {
    let start = time.0.div_euclid(rule.windowing.length) * rule.windowing.length;
    (WindowStart(start), EventTime(start + rule.windowing.length + rule.windowing.lateness))
}

/// Why a decoded record does not count, and what it is judged by; `None` when it counts. `exception`: what the run said of it
/// that the log alone does not give; `h`: the largest event time among the valid records before it.
fn verdict(
    event: &DecodedEvent<'_>,
    record: &Record<'_>,
    rule: &Rule,
    exception: Option<(Reason, Evidence)>,
    h: Option<EventTime>,
) -> Option<(Reason, Evidence)> {
    let (_, final_at) = window(event.time, rule);
    let too_new = |stamp: EventTime| event.time.0 > stamp.0 + rule.max_future;
    let too_old = |stamp: EventTime| rule.max_past.is_some_and(|most| event.time.0 + most < stamp.0);
    match (exception, record.append_time, h) {
        (Some((reason, evidence @ Evidence::Clock(_))), _, _) => Some((reason, evidence)),
        (_, Some(stamp), _) if too_new(stamp) => Some((Reason::Future, Evidence::Appended(stamp))),
        (_, Some(stamp), _) if too_old(stamp) => Some((Reason::Past, Evidence::Appended(stamp))),
        (_, _, Some(h)) if final_at <= h => Some((Reason::Late, Evidence::Watermark(h))),
        (Some((_, evidence)), _, _) => Some((Reason::Late, evidence)),
        _ => None,
    }
}

/// Does an event that is in time repeat the id of one before it, whose window is not final by `h`? Else its own is noted, with
/// when its window becomes final.
fn repeats(
    id: Option<EventId>,
    ids: &mut BTreeMap<EventId, EventTime>,
    final_at: EventTime,
    h: Option<EventTime>,
) -> bool {
    let Some(id) = id else { return false };
    let repeats = ids.get(&id).is_some_and(|at| h.is_none_or(|h| h < *at));
    if !repeats {
        ids.insert(id, final_at);
    }
    repeats
}
