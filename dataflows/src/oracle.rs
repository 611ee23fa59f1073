//! The oracle (R10): what a bounded run must answer, computed one record after the other from the logs, the
//! configuration and the listed exceptions. No dataflow, no epochs, no partition rule; every test of the whole compares
//! with it, byte for byte. Its second page has derived values (R14), its third coarser windows (R15).

use crate::coarse::WindowLevel;
use crate::decimal::{Decimal, ExactNumber, Scales, nearest};
use crate::decode::{DecodedEvent, DecodedPart, Decoder, EventId, EventOutcome};
use crate::derived::DerivedList;
use crate::partition::{Counts, Rule};
use crate::record::{Cause, DeadLetter, Evidence, Judged, PartitionName, Reason, Record};
use crate::row::{MarketRow, Row, RowKind};
use crate::time::{EventTime, NextOffset, State, WindowStart};
use crate::wide::{I256, U256};
use cleaning::PlainCleaning;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

mod cleaning;
mod coarse;
pub(crate) mod derived;
mod groups;

pub use groups::group_rows;

/// One partition's part of the log: its records from `start` to the recorded end, in offset order.
pub struct Log<'a> {
    /// Which partition.
    pub name: PartitionName,
    /// The first offset that was read.
    pub start: NextOffset,
    /// Its records.
    pub records: Vec<Record<'a>>,
}

/// Partition identity, offset, and element.
type Position = (u64, i64, Option<u32>);

/// The events that count for each window of a series.
type EventsByWindow<'a> = BTreeMap<(WindowStart, String), Vec<(Position, DecodedEvent<'a>)>>;

/// What must come out.
#[derive(Debug, Default, PartialEq)]
pub struct OracleAnswer {
    /// The last row of every window of every series: final or `partial`.
    pub rows: BTreeMap<(WindowStart, String), Row>,
    /// As these, of every coarser window of every series, in the order of their ends.
    pub coarse: Vec<(EventTime, Row)>,
    /// All dead letters, by partition and offset.
    pub dead_letters: Vec<DeadLetter>,
    /// Sums over all partitions; gaps are left out.
    pub counts: Counts,
}

/// What rows have beside count, sum and average.
#[derive(Clone, Debug, Default)]
pub struct OracleColumns {
    /// With `--metrics market`.
    pub market: bool,
    /// With `--derive`.
    pub derived: DerivedList,
    /// With `--windows`.
    pub windows: Vec<WindowLevel>,
    /// With `--time-zone`: of their days and weeks.
    pub zone: Option<TimeZone>,
}

/// Answers. `exceptions` are the dead letters of the run that the log alone does not give.
pub fn answer(
    logs: &[Log<'_>],
    decoder: &Decoder,
    rule: &Rule,
    exceptions: &[DeadLetter],
    columns: &OracleColumns,
) -> OracleAnswer {
    let listed: BTreeMap<_, _> =
        exceptions.iter().filter(|l| l.is_exception()).map(|l| ((&l.partition, l.offset, l.element), l)).collect();
    let decoders: Vec<_> = logs.iter().map(|log| decoder_of(log, decoder)).collect();
    let mut answer = OracleAnswer::default();
    let mut windows = EventsByWindow::new();
    let mut partial_before = Some(EventTime(i64::MIN));
    for (log, decoder) in logs.iter().zip(&decoders) {
        let mut h: Option<EventTime> = None;
        let mut ids = BTreeMap::new();
        let mut cleaning = PlainCleaning::new(rule);
        let mut first_end = (log.start.0 == 0).then_some(EventTime(i64::MIN));
        for record in &log.records {
            answer.counts.read += 1;
            let decoded = decoder.parts(record, |DecodedPart { element, outcome }| {
                answer.counts.events += 1;
                let index = element.map(|element| element.index);
                let (reason, cause) = match outcome {
                    EventOutcome::Skipped => {
                        answer.counts.skipped += 1;
                        return;
                    }
                    EventOutcome::Rejected(rejection) => (rejection.reason, Cause::Rejected(rejection)),
                    EventOutcome::Event(event) => {
                        let exception = listed.get(&(&log.name, record.offset, index));
                        let exception = exception.and_then(|l| Some((l.reason, l.judged.as_ref()?.evidence)));
                        let (start, final_at) = window(event.time, rule);
                        let verdict = verdict(&event, record, rule, exception, h);
                        let verdict = verdict.or_else(|| cleaning.misfit(&event));
                        let repeats = verdict.is_none() && repeats(event.id, &mut ids, final_at, h);
                        let verdict = verdict.or_else(|| if repeats { None } else { cleaning.outlier(&event, h) });
                        answer.counts.rounded += i64::from(event.rounded);
                        if !matches!(verdict, Some((Reason::Future | Reason::Past, _))) {
                            h = h.max(Some(event.time));
                            first_end.get_or_insert(final_at);
                        }
                        let Some((reason, evidence)) = verdict else {
                            if repeats {
                                answer.counts.duplicates += 1;
                                return;
                            }
                            answer.counts.counted += 1;
                            let key = (start, event.symbol.to_string());
                            let position = (log.name.identity(), record.offset, index);
                            windows.entry(key).or_default().push((position, event));
                            return;
                        };
                        let (symbol, value, time) = (event.symbol.into_owned(), event.value, event.time);
                        (reason, Cause::Judged(reason, Judged { symbol, value, time, evidence }))
                    }
                };
                count_letter(&mut answer.counts, reason);
                answer.dead_letters.push(DeadLetter::of(record, element, &log.name, cause));
            });
            decoded.expect("no registry is asked, or it answers");
        }
        partial_before = partial_before.zip(first_end).map(|(a, b)| a.max(b));
    }
    answer.rows = rows(&windows, partial_before, columns.market, decoder.scales());
    derived::fill(&mut answer.rows, &windows, columns, decoder.scales(), rule.windowing.length);
    answer.coarse = coarse::rows(&windows, partial_before, columns, decoder.scales(), rule.windowing.length);
    answer.dead_letters.sort_unstable();
    answer
}

/// Counts an event that does not count.
fn count_letter(counts: &mut Counts, reason: Reason) {
    match reason {
        Reason::Late => counts.late += 1,
        Reason::Future | Reason::Past => {
            counts.quarantined += 1;
            counts.past += i64::from(reason == Reason::Past);
        }
        Reason::Session | Reason::Bounds | Reason::Outlier => {
            counts.cleaned += 1;
            counts.off_session += i64::from(reason == Reason::Session);
            counts.outliers += i64::from(reason == Reason::Outlier);
        }
        _ => counts.rejected += 1,
    }
}

/// What decodes a log: it knows the log's header.
fn decoder_of(log: &Log<'_>, decoder: &Decoder) -> Decoder {
    let mut decoder = decoder.for_partition(&log.name);
    log.records.iter().for_each(|record| decoder.learn(record));
    decoder
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

/// The rows of all windows. Those that begin before `partial_before` may lack records; all may, without it.
fn rows(
    windows: &EventsByWindow<'_>,
    partial_before: Option<EventTime>,
    market: bool,
    scales: Scales,
) -> BTreeMap<(WindowStart, String), Row> {
    let row = |((minute, symbol), events): (&(WindowStart, String), &Vec<(Position, DecodedEvent<'_>)>)| {
        let mut events: Vec<_> = events.iter().collect();
        events.sort_unstable_by_key(|(position, event)| (event.time, *position));
        let state = if partial_before.is_some_and(|p| p.0 <= minute.0) { State::Final } else { State::Partial };
        let row = Row { symbol: symbol.clone(), minute: *minute, state, ..row(&events, market, scales) };
        ((*minute, symbol.clone()), row)
    };
    windows.iter().map(row).collect()
}

/// The numbers of a row from its records, oldest first.
fn row(events: &[&(Position, DecodedEvent<'_>)], market: bool, scales: Scales) -> Row {
    let values = || events.iter().map(|(_, event)| event.value);
    let weights = || events.iter().map(|(_, event)| event.weight);
    let exact = |value: Decimal| ExactNumber::new(value.0, scales.value);
    let sum = exact(Decimal(values().map(|v| v.0).sum()));
    let count = i64::try_from(events.len()).expect("fewer records than 2^63");
    let market = market.then(|| {
        let volume: i128 = weights().flatten().map(|w| w.0).sum();
        let known = !events.iter().any(|(_, event)| event.weight_beyond);
        let product = |(value, weight): (Decimal, Option<Decimal>)| Some(I256::product(value.0, weight?.0));
        let weighted = values().zip(weights()).filter_map(product).fold(I256::ZERO, I256::plus);
        let (negative, weighted) = weighted.split();
        let one = 10_u128.pow(u32::from(scales.value));
        let nearest_of = |value: Option<Decimal>| exact(value.expect("a window has a record")).to_f64();
        MarketRow {
            open: nearest_of(values().next()),
            high: nearest_of(values().max()),
            low: nearest_of(values().min()),
            close: nearest_of(values().next_back()),
            volume: (known && weights().any(|w| w.is_some())).then(|| ExactNumber::new(volume, scales.weight)),
            vwap: (known && volume > 0).then(|| nearest(negative, weighted, U256::product(volume.unsigned_abs(), one))),
        }
    });
    let avg = sum.over(count).expect("a window has a record");
    Row {
        kind: RowKind::Minute,
        symbol: String::new(),
        minute: WindowStart(0),
        count,
        sum,
        avg,
        state: State::Open,
        market,
        derived: Box::default(),
    }
}
