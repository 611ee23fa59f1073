//! One partition's account of a minute, record by record: which count, which do not and why, and by which record H passed it.

use super::ids::FirstOffsets;
use super::passing::{Passing, PassingRecord};
use super::symbols::KnownSymbols;
use super::uncounted::{MOST_UNCOUNTED, UncountedOrigin, UncountedRecord};
use super::wanted::WantedMinute;
use crate::dead_letter_line::DeadLetterLine;
use minutely_dataflows::decimal::{ExactNumber, Scales};
use minutely_dataflows::decode::{DecodedEvent, DecodedPart, EventOutcome};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::oracle::{Judgement, OraclePartition, PlainSums};
use minutely_dataflows::record::{Cause, DeadLetter, PartitionName, Record};
use minutely_dataflows::time::{EventTime, NextOffset, WindowStart};
use std::collections::{BTreeMap, BTreeSet};

/// Records that count and are kept, of one partition.
pub(super) const MOST_RECORDS: usize = 100_000;

/// A record, or an element of one, that counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CountedRecord {
    pub(super) offset: i64,
    pub(super) element: Option<u32>,
    pub(super) time: EventTime,
    pub(super) value: ExactNumber,
    pub(super) weight: Option<ExactNumber>,
    /// Of the whole record.
    pub(super) payload: Option<Vec<u8>>,
}

/// Offsets of the first and the last event that counts, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountedSpan {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) count: i64,
}

/// What was found in one partition.
#[derive(Debug, Default)]
pub(super) struct PartitionFindings {
    /// None where nothing counts.
    pub(super) span: Option<CountedSpan>,
    pub(super) counted: Vec<CountedRecord>,
    /// Those of the minute, and those between its first and last record that cannot be decoded.
    pub(super) uncounted: Vec<UncountedRecord>,
    /// Others of these, which are not kept.
    pub(super) more_uncounted: u64,
    /// By what H came to the end of the minute, and to where it is final; as far as that was read.
    pub(super) passed: [Option<Passing>; 2],
}

impl PartitionFindings {
    fn add_uncounted(&mut self, record: UncountedRecord) {
        if self.uncounted.len() < MOST_UNCOUNTED {
            self.uncounted.push(record);
        } else {
            self.more_uncounted += 1;
        }
    }
}

/// See the module.
pub(super) struct PartitionReading<'a> {
    name: &'a PartitionName,
    wanted: &'a WantedMinute<'a>,
    scales: Scales,
    judge: OraclePartition<'a>,
    found: PartitionFindings,
    /// Records that cannot be decoded, since the last one that counts: how many, and the first of them.
    rejected: (u64, Vec<UncountedRecord>),
    /// Which record of the symbol had an id first.
    ids: FirstOffsets,
}

impl<'a> PartitionReading<'a> {
    /// Of no record yet. `judge`: as it is at the first offset that is read.
    pub(super) fn new(
        name: &'a PartitionName,
        wanted: &'a WantedMinute<'a>,
        scales: Scales,
        judge: OraclePartition<'a>,
        from: NextOffset,
    ) -> Self {
        let before = wanted.ends().map(|end| (judge.h() >= Some(end)).then_some(Passing::Before { offset: from.0 }));
        let found = PartitionFindings { passed: before, ..PartitionFindings::default() };
        PartitionReading { name, wanted, scales, judge, found, rejected: (0, Vec::new()), ids: FirstOffsets::default() }
    }

    /// No later record can count for the minute.
    pub(super) fn is_done(&self) -> bool {
        let [_, final_at] = self.wanted.ends();
        self.judge.h() >= Some(final_at)
    }

    /// What was found.
    pub(super) fn ended(self) -> PartitionFindings {
        self.found
    }

    /// The next record.
    ///
    /// # Errors
    /// A registry of schemas does not answer.
    pub(super) fn record(
        &mut self,
        record: &Record<'_>,
        (sums, symbols): (&mut BTreeMap<WindowStart, PlainSums>, &mut KnownSymbols),
    ) -> Result<(), Halt> {
        let repeats_before = self.judge.counts.duplicates;
        // Which of its events are told of here; one that is not was skipped or repeats an id.
        let mut told = BTreeSet::new();
        let PartitionReading { name, wanted, scales, judge, found, rejected, ids } = self;
        judge.record(record, |judgement| match judgement {
            Judgement::Counts(window, position, event) => {
                told.insert(position.2);
                symbols.add(&event.symbol);
                if event.symbol != wanted.symbol {
                    return;
                }
                if let Some(id) = event.id {
                    ids.add(id, record.offset, wanted.windowing.final_at(window));
                }
                if (wanted.back_to..=wanted.window).contains(&window) {
                    let of_window = sums.entry(window).and_modify(|sums| sums.add(&event, position));
                    of_window.or_insert_with(|| PlainSums::of(&event, position));
                }
                if window == wanted.window {
                    let rejected = std::mem::take(rejected);
                    if found.span.is_some() {
                        found.more_uncounted += rejected.0 - rejected.1.len() as u64;
                        rejected.1.into_iter().for_each(|one| found.add_uncounted(one));
                    }
                    count(found, record, (&event, position.2), (wanted, *scales));
                }
            }
            Judgement::DeadLetter(element, cause) => {
                told.insert(element.map(|element| element.index));
                let (is_minute, is_rejected) = match &cause {
                    Cause::Judged(_, judged) => {
                        symbols.add(&judged.symbol);
                        (judged.symbol == wanted.symbol && wanted.holds(judged.time), false)
                    }
                    Cause::Rejected(_) => (false, found.span.is_some()),
                };
                if is_minute || is_rejected {
                    let letter = DeadLetter::of(record, element, name, cause);
                    let line = DeadLetterLine::of(&letter, scales.value);
                    let one = UncountedRecord::of(&line, UncountedOrigin::Log);
                    if is_minute {
                        found.add_uncounted(one);
                    } else {
                        rejected.0 += 1;
                        rejected.1.extend((rejected.1.len() < MOST_UNCOUNTED).then_some(one));
                    }
                }
            }
        })?;
        if self.judge.counts.duplicates > repeats_before {
            self.repeats(record, &told)?;
        }
        self.ids.forget_to(self.judge.h());
        self.pass(record);
        Ok(())
    }

    /// Some of the record's events repeat an id: those that were not told of.
    fn repeats(&mut self, record: &Record<'_>, told: &BTreeSet<Option<u32>>) -> Result<(), Halt> {
        let PartitionReading { name, wanted, scales, judge, found, ids, .. } = self;
        judge.decoder().parts(record, |DecodedPart { element, outcome }| {
            let element = element.map(|element| element.index);
            let EventOutcome::Event(event) = outcome else { return };
            if told.contains(&element) || event.symbol != wanted.symbol || !wanted.holds(event.time) {
                return;
            }
            let first = event.id.and_then(|id| ids.get(id));
            let of = first.map(|first| format!("its id is that of the record at offset {first}"));
            found.add_uncounted(UncountedRecord {
                partition: name.to_string(),
                offset: record.offset,
                element,
                reason: "duplicate".into(),
                time: Some(event.time),
                value: Some(event.value.with_decimals(scales.value).to_string()),
                why: of.unwrap_or_default(),
                exception: false,
                origin: UncountedOrigin::Log,
            });
        })
    }

    /// Notes by which record H came to the ends of the minute.
    fn pass(&mut self, record: &Record<'_>) {
        for (end, passed) in self.wanted.ends().into_iter().zip(&mut self.found.passed) {
            if let Some(time) = self.judge.h().filter(|h| passed.is_none() && *h >= end) {
                let stamp = record.timestamp.or(record.append_time);
                *passed = Some(Passing::Record(PassingRecord { offset: record.offset, time, stamp }));
            }
        }
    }
}

/// An event counts for the minute.
fn count(
    found: &mut PartitionFindings,
    record: &Record<'_>,
    (event, element): (&DecodedEvent<'_>, Option<u32>),
    (wanted, scales): (&WantedMinute<'_>, Scales),
) {
    let new = CountedSpan { first: record.offset, last: record.offset, count: 0 };
    let span = found.span.get_or_insert(new);
    (span.last, span.count) = (record.offset, span.count + 1);
    if wanted.records && found.counted.len() < MOST_RECORDS {
        found.counted.push(CountedRecord {
            offset: record.offset,
            element,
            time: event.time,
            value: event.value.with_decimals(scales.value),
            weight: event.weight.map(|weight| weight.with_decimals(scales.weight)),
            payload: record.payload.map(<[u8]>::to_vec),
        });
    }
}
