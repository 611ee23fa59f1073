//! `minutely produce`: writes a source's records to a Kafka topic, record for record: partition, key, payload and, where
//! the source has one, the stamp. So a market to try things with, and replays of files.
//!
//! ```text
//!   sim: or file: ── readers, one partition after the other ──> pace ──> TopicWriter (idempotent) ══> topic
//! ```
//!
//! Promises: each partition's records in their order, each once, as long as this process lives; how many were
//! acknowledged, at the end. Does not promise: to resume where an earlier one stopped. It begins where the source does.

mod kafka;
mod pace;
mod stamps;

use crate::cli::{PartitionBy, ProduceArgs, Stamp, UsageErrors};
use crate::clock::SystemClock;
use crate::console::{say, warn};
use crate::fmt::utc;
use crate::kafka::GivenProperties;
use crate::messages;
use crate::start_at::Start;
use crate::uri::redacted;
use kafka::{ProduceError, TopicRequest, TopicWriter};
use minutely_dataflows::decode::{DecodedPart, Decoder, EventOutcome};
use minutely_dataflows::edge::{Halt, LogSource, PartitionReader};
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use pace::Pace;
use stamps::{Guard, Said};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Records of one partition before it is the next one's turn: small, so that partitions stay abreast of one another.
const TURN: usize = 256;
/// How long a source or a broker may take to answer at the start, and the last records at the end.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last records may take after a signal to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// The sources, lent by `main`: this module does not import them.
pub(crate) trait SourceCatalog {
    /// All mistakes of a source URI, one paragraph each. Nothing is opened.
    fn validate(&self, uri: &str) -> Vec<String>;

    /// What decodes the records of these options, as `config` reads them; what is wrong is collected.
    fn decoder(&self, args: &ProduceArgs, errors: &mut UsageErrors) -> Option<Decoder>;

    /// Does the source end by its nature?
    fn is_bounded(&self, uri: &str) -> bool;

    /// Opens the source of a plan. `run_start`: the plan's, or the clock's.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&self, plan: &Plan, run_start: EventTime, clock: SystemClock) -> Result<Arc<dyn LogSource>, Halt>;
}

/// What the arguments mean.
pub(crate) struct Plan {
    pub(crate) from: String,
    /// `kafka://host:port[,…]/topic`.
    to: String,
    pub(crate) bounded: bool,
    pub(crate) start: Start,
    run_start: Option<EventTime>,
    limit: u64,
    by_key: bool,
    properties: Vec<(String, String)>,
    pace: Pace,
    /// What is written: an event for each record, its time for the pace and the stamp, and its key as the symbol.
    decoder: Decoder,
    /// Records are JSON texts.
    pub(crate) is_json: bool,
    /// `--key-field` is given: else records keep their keys.
    has_key_field: bool,
    time_field: String,
    stamp: Stamp,
    /// Files of secrets that other users can read.
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn of(args: &ProduceArgs, sources: &dyn SourceCatalog) -> Result<Plan, UsageErrors> {
        let mut errors = UsageErrors::default();
        if args.from.starts_with("kafka:") {
            errors.push(format!("--from {}: takes sim: or file:; Kafka's own tools copy topics", args.from));
        } else {
            errors.extend(sources.validate(&args.from));
        }
        let GivenProperties { properties, mistakes, warnings } = crate::kafka::properties(&args.properties);
        errors.extend(mistakes);
        errors.extend(kafka::validate(&args.to, &properties));
        let start = errors.value(&args.start).map(Start::from);
        let run_start = args.as_of.as_ref().and_then(|given| errors.value(given));
        let limit = args.limit.as_ref().map_or(Some(u64::MAX), |given| errors.value(given));
        let rate = args.rate.as_ref().and_then(|given| errors.value(given));
        let speed = args.speed.as_ref().and_then(|given| errors.value(given));
        if args.rate.is_some() && args.speed.is_some() {
            errors.push("--rate and --speed: contradict each other; give one");
        }
        let partition_by = errors.value(&args.partition_by);
        let decoder = sources.decoder(args, &mut errors);
        let stamp = args.stamp.as_ref().map_or(Some(Stamp::Safe), |given| errors.value(given));
        let plan = (|| {
            Some(Plan {
                from: args.from.clone(),
                to: args.to.clone(),
                bounded: args.until_end || sources.is_bounded(&args.from),
                start: start?,
                run_start,
                limit: limit?,
                by_key: partition_by? == PartitionBy::Key,
                properties,
                pace: Pace::new(rate, speed),
                decoder: decoder?,
                is_json: args.shape.format.text() == "json",
                has_key_field: !args.key_field.is_empty(),
                time_field: args.shape.time_field.join(" "),
                stamp: stamp?,
                warnings,
            })
        })();
        errors.unless_any(plan)
    }
}

/// One partition of the source.
struct SourcePartition {
    number: i32,
    reader: Box<dyn PartitionReader>,
    decoder: Decoder,
}

/// Writes until the source ends, the limit is reached, or `stop` is set. `begun` is set when a broker has answered.
///
/// # Errors
/// 64: the topic has fewer partitions than the source. 69: a broker does not take what is written.
pub(crate) fn run(
    plan: Plan,
    sources: &dyn SourceCatalog,
    clock: SystemClock,
    stop: &Arc<AtomicBool>,
    begun: &AtomicBool,
) -> Result<(), Halt> {
    let source = sources.open(&plan, plan.run_start.unwrap_or_else(|| clock.wall()), clock)?;
    let found = source.discover()?;
    let no_wake: minutely_dataflows::edge::Wake = Arc::new(|| ());
    let mut partitions = Vec::new();
    for (number, found) in (0..).zip(&found) {
        let reader = source.open(found, Arc::clone(&no_wake))?;
        let decoder = plan.decoder.for_partition(&found.name);
        partitions.push(SourcePartition { number: found.name.number.unwrap_or(number), reader, decoder });
    }
    let most = partitions.iter().map(|partition| partition.number + 1).max().unwrap_or(1);
    // What ends is a replay: a topic that is made for it keeps it, however old it is.
    let request = TopicRequest {
        uri: &plan.to,
        properties: &plan.properties,
        partitions: most,
        by_key: plan.by_key,
        keeps: plan.bounded,
    };
    let writer = TopicWriter::open(&request, ANSWER_TIMEOUT)?;
    begun.store(true, Ordering::Release);
    say(&format!("{} -> {}, {most} partitions", redacted(&plan.from), redacted(&plan.to)));
    let time_field = plan.time_field.clone();
    let outcome = copy(plan, &mut partitions, &writer, clock, stop);
    let acknowledged = writer.end(if stop.load(Ordering::Acquire) { STOP_TIMEOUT } else { ANSWER_TIMEOUT })?;
    let copied = outcome.map_err(|halt| {
        let why = format!("{}; {acknowledged} records were acknowledged before", halt.why);
        Halt { why, ..halt }
    })?;
    conclude(&copied, acknowledged, &writer, &time_field);
    Ok(())
}

/// Partitions that are named at the end, at most.
const MOST_PARTITIONS: usize = 32;

/// What was written, in how many records of each partition.
fn conclude(copied: &Copied, acknowledged: u64, writer: &TopicWriter, time_field: &str) {
    let Copied { produced, newest, untimed, skipped } = copied;
    let newest = newest.map(|time| format!(", the newest of {}", utc(Some(time)))).unwrap_or_default();
    let left_out = if *skipped > 0 { format!(", {skipped} left out by --where or as headers") } else { String::new() };
    say(&format!("done: {produced} records produced, {acknowledged} acknowledged{newest}{left_out}"));
    let by_partition = writer.acknowledged_by_partition();
    let named: Vec<_> = by_partition.iter().take(MOST_PARTITIONS).map(|(at, many)| format!("{at}: {many}")).collect();
    let more = if by_partition.len() > MOST_PARTITIONS { ", …" } else { "" };
    if !named.is_empty() {
        say(&format!("records by partition: {}{more}", named.join(", ")));
    }
    if *untimed > 0 {
        warn(&format!(
            "{untimed} records have no event time in --time-field {time_field}: they were not paced by --speed, and have the time \
             of writing as their stamp"
        ));
    }
}

/// What was written.
#[derive(Default)]
struct Copied {
    /// How many.
    produced: u64,
    /// The greatest event time among them.
    newest: Option<EventTime>,
    /// How many have neither an event time nor a stamp of the source.
    untimed: u64,
    /// How many were left out.
    skipped: u64,
}

/// Why a record is not written; a warning is given.
fn refused(said: Said) -> Option<Halt> {
    match said {
        Said::Fine => None,
        Said::Warning(why) => {
            warn(&why);
            None
        }
        Said::Refusal(why) => Some(ProduceError::StampTooOld(why).into()),
    }
}

/// The event time of what is written of a record, and the record itself; none where it is left out. What cannot be decoded is
/// written as it is.
fn replayed<'r>(
    part: &'r DecodedPart<'_>,
    record: &Record<'r>,
    has_key_field: bool,
) -> Option<(Option<EventTime>, Record<'r>)> {
    let text = part.element.and_then(|element| element.text);
    let next = Record { payload: text.or(record.payload), ..*record };
    match &part.outcome {
        EventOutcome::Skipped => None,
        EventOutcome::Rejected(_) => Some((None, next)),
        EventOutcome::Event(event) if has_key_field => {
            Some((Some(event.time), Record { key: Some(event.symbol.as_bytes()), ..next }))
        }
        EventOutcome::Event(event) => Some((Some(event.time), next)),
    }
}

fn copy(
    mut plan: Plan,
    partitions: &mut [SourcePartition],
    writer: &TopicWriter,
    clock: SystemClock,
    stop: &Arc<AtomicBool>,
) -> Result<Copied, Halt> {
    let began = Instant::now();
    let (mut copied, mut last_line) = (Copied::default(), (began, 0));
    let mut guard = Guard::new(writer.topic().to_owned(), plan.stamp, writer.retention());
    let people = messages::shows_progress();
    while copied.produced < plan.limit && !stop.load(Ordering::Acquire) {
        let mut read = 0;
        for SourcePartition { number, reader, decoder } in partitions.iter_mut() {
            let left = plan.limit - copied.produced;
            let max = TURN.min(usize::try_from(left).unwrap_or(TURN)).min(plan.pace.most_in_a_row());
            let mut halted = None;
            read += reader.read(max, &mut |record: Record<'_>| {
                if halted.is_some() || stop.load(Ordering::Acquire) {
                    return;
                }
                decoder.learn(&record);
                let decoded = decoder.parts(&record, |part| {
                    if halted.is_some() || copied.produced >= plan.limit {
                        return;
                    }
                    let Some((time, next)) = replayed(&part, &record, plan.has_key_field) else {
                        copied.skipped += 1;
                        return;
                    };
                    plan.pace.wait(time, began, || !stop.load(Ordering::Acquire));
                    let now = clock.wall();
                    let said = record.append_time.or(time).filter(|_| plan.stamp != Stamp::Now);
                    let stamp = said.unwrap_or(now);
                    halted = refused(guard.judge(stamp, now));
                    if halted.is_some() {
                        return;
                    }
                    halted = writer.send(*number, &next, stamp, stop).err().map(Halt::from);
                    copied.newest = copied.newest.max(time);
                    copied.untimed += u64::from(record.append_time.or(time).is_none());
                    copied.produced += 1;
                });
                halted = halted.take().or(decoded.err());
            })?;
            if let Some(halt) = halted {
                return Err(halt);
            }
            if copied.produced >= plan.limit {
                break;
            }
        }
        writer.check()?;
        if read == 0 {
            if partitions.iter().all(|partition| partition.reader.ended()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if people && last_line.0.elapsed() >= Duration::from_secs(1) {
            let produced = copied.produced;
            let rate =
                (produced - last_line.1) * 1000 / u64::try_from(last_line.0.elapsed().as_millis()).unwrap_or(1).max(1);
            say(&format!("{produced} records produced, {rate}/s, up to {}", utc(copied.newest)));
            last_line = (Instant::now(), produced);
        }
    }
    Ok(copied)
}
