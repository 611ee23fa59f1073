//! `minutely check`: how the first records of each partition decode and would be judged, before a run. Reads only.

use super::context::RunContext;
use crate::advice;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::fmt::{first_equation, number_of};
use crate::text::rfc3339;
use crate::uri::redacted;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::{DecodedEvent, DecodedPart, Decoder, EventOutcome, FieldNames, SkipCause, TimeCounts};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind, LogSource};
use minutely_dataflows::escape::{escaped, shortened};
use minutely_dataflows::explain;
use minutely_dataflows::partition::{Counts, Partition, PartitionState, Verdict};
use minutely_dataflows::record::{Element, Reason, Record};
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Partitions whose records are read; of more, only the number is said.
const MOST_PARTITIONS: usize = 20;
/// How long a partition may take to hand out its first records.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What was read of all partitions.
#[derive(Default)]
struct Sample {
    text: String,
    counts: Counts,
    times: TimeCounts,
    weights: i64,
    /// Weights that the scale cannot hold.
    beyond: i64,
    states: Vec<(Discovered, PartitionState)>,
}

/// Prints what the first `records` records of each partition are to these options.
///
/// # Errors
/// 64 and 69: as a run with these options. 65: not every record that is not skipped would count.
pub(crate) fn check(mut config: Config, clock: SystemClock, open_files: u64, records: usize) -> Result<(), Halt> {
    // As a run that ends would, and without a page: a run may serve at that address now.
    config.settings.bounded = true;
    config.http = None;
    let checked = RunContext::new(config, clock, open_files)?.check()?;
    let (context, source) = (&checked.context, &checked.source);
    let config = &context.config;
    let found = source.discover()?;
    let mut sample = Sample::default();
    let sinks: Vec<_> = config.sinks.iter().map(|uri| redacted(uri)).collect();
    line(&mut sample.text, &format!("{} -> {}", redacted(&config.source), sinks.join(", ")));
    line(&mut sample.text, &number_of(found.len() as u64, "partition"));
    for found in found.iter().take(MOST_PARTITIONS) {
        sample.read(context, source, found, records)?;
    }
    if found.len() > MOST_PARTITIONS {
        line(&mut sample.text, &format!("{} more partitions are not shown", found.len() - MOST_PARTITIONS));
    }
    sample.conclude(&config.fields);
    let unwritten = |error| Halt::new(HaltKind::Unreachable, format!("standard output: {error}"));
    print(&sample.text).map_err(unwritten)?;
    sample.verdict()
}

impl Sample {
    /// The first records of one partition.
    fn read(
        &mut self,
        context: &RunContext,
        source: &Arc<dyn LogSource>,
        found: &Discovered,
        records: usize,
    ) -> Result<(), Halt> {
        let config = &context.config;
        line(&mut self.text, &format!("{} from offset {}:", found.name, found.start.0));
        let mut reader = source.open(found, Arc::new(|| ()))?;
        let mut decoder = config.decoder.for_partition(&found.name);
        if let Some(at) = decoder.header_at().filter(|at| found.start.0 > *at)
            && let Some(header) = source.record_at(found, NextOffset(at))?
        {
            decoder.learn(&Record { offset: at, payload: Some(&header), ..Record::default() });
        }
        let mut partition = Partition::new(config.settings.rule, 0, found.start, true, Monotonic(0));
        let (began, mut read, mut halted) = (Instant::now(), 0, None);
        while read < records && !reader.ended() && began.elapsed() < READ_TIMEOUT {
            let some = reader.read(records - read, &mut |record| {
                partition.begin_record(record.offset);
                decoder.learn(&record);
                let reference = context.run_start;
                let decoded = self.record(&config.fields, &decoder, &record, &mut partition, reference);
                halted = halted.take().or(decoded.err());
            })?;
            if let Some(halt) = halted {
                return Err(halt);
            }
            read += some;
            if some == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        match (read, reader.ended()) {
            (0, true) => line(&mut self.text, "  holds no record"),
            (0, false) => line(&mut self.text, &format!("  handed out no record within {} s", READ_TIMEOUT.as_secs())),
            _ => {}
        }
        let state = partition.report(None, Monotonic(0));
        self.counts.add(&state.counts);
        self.states.push((found.clone(), state));
        Ok(())
    }

    fn record(
        &mut self,
        fields: &FieldNames,
        decoder: &Decoder,
        record: &Record<'_>,
        partition: &mut Partition,
        reference: EventTime,
    ) -> Result<(), Halt> {
        // Looked for before, for a decoder of messages does not decode two at once.
        let mut skips = Vec::new();
        decoder.parts(record, |part| {
            if matches!(part.outcome, EventOutcome::Skipped) {
                skips.push(part.element);
            }
        })?;
        let skips: Vec<String> = skips.into_iter().map(|element| skipped(decoder, record, element)).collect();
        let mut skips = skips.into_iter();
        decoder.parts(record, |DecodedPart { element, outcome }| {
            let at = place(record, element);
            match outcome {
                EventOutcome::Skipped => {
                    partition.skip();
                    let why = skips.next().expect("it was skipped before");
                    line(&mut self.text, &format!("  {at}: {why}"));
                }
                EventOutcome::Rejected(rejection) => {
                    partition.reject(&rejection);
                    let (reason, finding) = (rejection.reason.name(), &rejection.finding);
                    line(&mut self.text, &format!("  {at}: REJECTED ({reason}): {finding}"));
                    let raw = element.and_then(|element| element.text).or(record.payload).unwrap_or_default();
                    let raw = String::from_utf8_lossy(&raw[..raw.len().min(1000)]);
                    line(&mut self.text, &format!("      {}", shortened(&raw)));
                }
                EventOutcome::Event(event) => {
                    self.times.add(event.time);
                    self.weights += i64::from(event.weight.is_some());
                    self.beyond += i64::from(event.weight_beyond);
                    let verdict = partition.judge_event(&event, record.append_time, reference, Monotonic(0));
                    line(
                        &mut self.text,
                        &format!("  {at}: {}{}", shown(fields, decoder.scales(), &event), judged(verdict)),
                    );
                }
            }
        })
    }

    /// What is to be said of all of them together.
    fn conclude(&mut self, fields: &FieldNames) {
        let mut remarks = vec![first_equation(&self.counts)];
        let Counts { events, skipped, rejected, .. } = self.counts;
        let states = self.states.iter().map(|(found, state)| (&found.name, state));
        for by in explain::rejected(states) {
            remarks.push(format!("rejected: {by}, first {}; {}", by.example(), advice::of_rejected(&by, fields)));
        }
        if events > 0 && skipped == events {
            let beside = advice::of_beside(fields).map(|hint| format!("; {hint}")).unwrap_or_default();
            let what = match fields.debezium {
                Some(_) => "nothing passes --envelope debezium and --where: is nothing inserted,",
                None if fields.filter.is_empty() => "nothing is an event: look at why each is skipped,",
                None => "nothing passes --where: look at the conditions,",
            };
            remarks.push(format!("{what} or read more records (--records){beside}"));
        }
        if let Some(wrong) = explain::wrong_unit(&fields.times, &self.times, true) {
            remarks.push(advice::of_unit(&wrong));
        }
        if let (1.., Some(weight)) = (self.beyond, &fields.weight) {
            remarks.push(advice::of_weights_beyond(self.beyond, weight, fields.numbers.weight_decimals));
        }
        if let (true, 0, Some(weight)) = (events > rejected + skipped, self.weights + self.beyond, &fields.weight) {
            let text = format!(
                "no record has a weight in {weight}: there will be no volume; --weight-field says which field it is"
            );
            remarks.push(text);
        }
        remarks.iter().for_each(|remark| line(&mut self.text, remark));
    }

    /// # Errors
    /// 65: something that is not skipped would not count.
    fn verdict(&self) -> Result<(), Halt> {
        let Counts { read, events, counted, skipped, duplicates, .. } = self.counts;
        let lost = events - skipped - duplicates - counted;
        if read == 0 {
            return Err(Halt::new(HaltKind::Data, "no record was read: there is nothing to check"));
        }
        if lost > 0 {
            return Err(Halt::new(
                HaltKind::Data,
                format!("{lost} of {events} events would not count, as printed above"),
            ));
        }
        Ok(())
    }
}

/// One line of the report, whatever foreign text is in it.
fn line(text: &mut String, what: &str) {
    let _memory_takes_it = writeln!(text, "{}", escaped(what));
}

fn place(record: &Record<'_>, element: Option<Element<'_>>) -> String {
    let element = element.map(|element| format!(", element {}", element.index)).unwrap_or_default();
    format!("offset {}{element}", record.offset)
}

/// An event, field by field.
fn shown(fields: &FieldNames, scales: Scales, event: &DecodedEvent<'_>) -> String {
    let symbol = fields.symbol.join("/");
    let weight = match (&event.weight, &fields.weight) {
        (Some(weight), Some(field)) => format!(" · {field} = {} (weight)", weight.with_decimals(scales.weight)),
        (None, Some(field)) if event.weight_beyond => format!(" · {field} is beyond the range (weight)"),
        _ => String::new(),
    };
    let rounded = if event.rounded { " · rounded" } else { "" };
    format!(
        "{symbol} = {} (symbol) · {} = {} (value) · {} = {} (time){weight}{rounded}",
        event.symbol,
        fields.value,
        event.value.with_decimals(scales.value),
        fields.time.join(" "),
        rfc3339(event.time, 9),
    )
}

/// Elements of a record of which it is said why they are skipped, at most: the record is looked at again for each.
const MOST_EXPLAINED: u32 = 100;

/// That an event is skipped, and why.
fn skipped(decoder: &Decoder, record: &Record<'_>, element: Option<Element<'_>>) -> String {
    let few = element.is_none_or(|element| element.index < MOST_EXPLAINED);
    match few.then(|| decoder.skipped_by(record, element)).flatten() {
        Some(SkipCause::Condition { condition, found }) => format!("skipped by --where {condition}: found {found}"),
        Some(SkipCause::Envelope(what)) => format!("{what}, skipped by --envelope debezium"),
        Some(SkipCause::Line(what)) => format!("skipped: {what}"),
        None => "skipped by --where".into(),
    }
}

fn judged(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Counted(_) => "",
        Verdict::Duplicate => " -> DUPLICATE: its id came before",
        Verdict::Late(_) => " -> LATE: its minute is final by a record before it; see --lateness",
        Verdict::Future(_) => " -> FUTURE: too far ahead of the clock; see --max-future, --as-of and --time-unit",
        Verdict::Past(_) => " -> PAST: too far behind the clock; see --max-past",
        Verdict::Cleaned(Reason::Session, _) => {
            " -> SESSION: its time is outside of the trading session; see --session"
        }
        Verdict::Cleaned(Reason::Bounds, _) => {
            " -> BOUNDS: its value is out of bounds; see --value-min and --value-max"
        }
        Verdict::Cleaned(..) => " -> OUTLIER: its value is too far from those before it; see --outlier",
    }
}
