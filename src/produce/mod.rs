//! `minutely produce`: writes records of an input to a target, record for record: partition, key, payload and, where the input
//! has one, the stamp. So a market to try things with, replays of files, and live feeds.
//!
//! ```text
//!   sim: or file: ── LogInput (replay.rs) ──> copy: pace, stamp, count ──> TopicWriter (kafka/) ══> topic
//!   coinbase: … ──── FeedInput (feeds/) ──┘                               a RecordTarget
//!                    a RecordInput                         StreamWriter (rabbitmq/) ══> streams
//! ```
//!
//! Promises: each partition's records in their order, each once, as long as this process lives; how many were
//! acknowledged, at the end. Does not promise: to resume where an earlier one stopped. It begins where the input does.

mod copy;
mod feeds;
mod input;
mod kafka;
mod pace;
mod rabbitmq;
mod replay;
mod stamps;
mod target;

use crate::cli::{PartitionBy, ProduceArgs, Stamp, UsageErrors};
use crate::clock::SystemClock;
use crate::console::{say, warn};
use crate::fmt::utc;
use crate::kafka::GivenProperties;
use crate::start_at::Start;
use crate::uri::redacted;
use copy::{Copied, CopyOptions};
use feeds::{FeedInput, FeedRequest};
use input::RecordInput;
use kafka::TopicWriter;
use minutely_dataflows::decode::Decoder;
use minutely_dataflows::edge::{Halt, LogSource};
use minutely_dataflows::time::EventTime;
use pace::Pace;
use rabbitmq::StreamWriter;
use replay::LogInput;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use target::{RecordTarget, TargetRequest};

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
    /// Where `from` is a live feed, not a source.
    feed: Option<FeedRequest>,
    /// `kafka://host:port[,…]/topic`, `rabbitmq://host/stream[,…]`.
    to: String,
    pub(crate) bounded: bool,
    pub(crate) start: Start,
    run_start: Option<EventTime>,
    limit: Option<u64>,
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
        let feed = validate_from(args, sources, &mut errors);
        let GivenProperties { properties, mistakes, warnings } = crate::kafka::properties(&args.properties);
        errors.extend(mistakes);
        let start = errors.value(&args.start).map(Start::from);
        let run_start = args.as_of.as_ref().and_then(|given| errors.value(given));
        let limit = args.limit.as_ref().map_or(Some(None), |given| errors.value(given).map(Some));
        let rate = args.rate.as_ref().and_then(|given| errors.value(given));
        let speed = args.speed.as_ref().and_then(|given| errors.value(given));
        if args.rate.is_some() && args.speed.is_some() {
            errors.push("--rate and --speed: contradict each other; give one");
        }
        let partition_by = errors.value(&args.partition_by);
        let decoder = sources.decoder(args, &mut errors);
        let stamp = args.stamp.as_ref().map_or(Some(Stamp::Safe), |given| errors.value(given));
        errors.extend(match rabbitmq::is_address(&args.to) {
            true => rabbitmq::validate(&args.to, &properties, stamp),
            false => kafka::validate(&args.to, &properties),
        });
        let plan = (|| {
            Some(Plan {
                from: args.from.clone(),
                to: args.to.clone(),
                bounded: args.until_end || (feed.is_none() && sources.is_bounded(&args.from)),
                feed,
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

/// Where records come from; none where that is a source. What is wrong is collected.
fn validate_from(args: &ProduceArgs, sources: &dyn SourceCatalog, errors: &mut UsageErrors) -> Option<FeedRequest> {
    let from = &args.from;
    if from.starts_with("kafka:") {
        errors.push(format!(
            "--from {from}: takes sim:, file: and live feeds (coinbase:, binance:, yahoo:); Kafka's own tools copy topics"
        ));
        return None;
    }
    if rabbitmq::is_address(from) {
        let from = redacted(from);
        errors.push(format!("--from {from}: takes sim: or file:; the shovel plugin of RabbitMQ copies streams"));
        return None;
    }
    let Some(request) = FeedRequest::of(from) else {
        errors.extend(sources.validate(from));
        return None;
    };
    let shape = &args.shape;
    let given = [
        ("--rate", args.rate.is_some(), "a live feed comes at its own pace"),
        ("--speed", args.speed.is_some(), "a live feed comes at its own pace"),
        ("--start", args.start.text() != "earliest", "a live feed begins now"),
        ("--until-end", args.until_end, "a live feed has no end; --limit and Ctrl-C end it"),
        ("--as-of", args.as_of.is_some(), "a live feed has no end; --limit and Ctrl-C end it"),
        ("--format", shape.format.text() != "json", "records of a live feed are JSON of one shape"),
        ("--each", shape.each.is_some(), "records of a live feed are JSON of one shape"),
        ("--where", !shape.filter.is_empty(), "the symbols of --from say what is written"),
        ("--key-field", !args.key_field.is_empty(), "the key is the symbol"),
    ];
    for (option, _, why) in given.into_iter().filter(|(_, is_given, _)| *is_given) {
        errors.push(format!("{option}: is of no use with --from {from}: {why}; leave it out"));
    }
    match request {
        Ok(request) => Some(request),
        Err(mistakes) => {
            errors.extend(mistakes);
            None
        }
    }
}

/// Writes until the input ends, the limit is reached, or `stop` is set. `begun` is set when the target has answered.
///
/// # Errors
/// 64: the target does not fit the input or the options. 69: it does not take what is written.
pub(crate) fn run(
    plan: Plan,
    sources: &dyn SourceCatalog,
    clock: SystemClock,
    stop: &Arc<AtomicBool>,
    begun: &AtomicBool,
) -> Result<(), Halt> {
    let mut input = open_input(&plan, sources, clock)?;
    let partitions = input.partitions();
    let target = open_target(&plan, partitions)?;
    begun.store(true, Ordering::Release);
    say(&format!("{} -> {}, {partitions} partitions", redacted(&plan.from), redacted(&plan.to)));
    let Plan { limit, pace, stamp, time_field, .. } = plan;
    let is_paced = pace.is_by_event_time();
    let outcome =
        copy::copy(CopyOptions { limit, pace, stamp, clock, stop: Arc::clone(stop) }, input.as_mut(), target.as_ref());
    let said_by_input = input.finish();
    let acknowledged = target.finish(if stop.load(Ordering::Acquire) { STOP_TIMEOUT } else { ANSWER_TIMEOUT })?;
    let copied = outcome.map_err(|halt| {
        let why = format!("{}; {acknowledged} records were acknowledged before", halt.why);
        Halt { why, ..halt }
    })?;
    conclude(&copied, acknowledged, target.as_ref());
    said_by_input.iter().for_each(|text| say(text));
    if let Some(why) = untimed(copied.untimed, stamp, is_paced, &time_field) {
        warn(&why);
    }
    Ok(())
}

/// Where the records of a plan come from.
fn open_input(plan: &Plan, sources: &dyn SourceCatalog, clock: SystemClock) -> Result<Box<dyn RecordInput>, Halt> {
    if let Some(feed) = &plan.feed {
        return Ok(Box::new(FeedInput::open(feed, clock)?));
    }
    let source = sources.open(plan, plan.run_start.unwrap_or_else(|| clock.wall()), clock)?;
    Ok(Box::new(LogInput::open(source, &plan.decoder, plan.has_key_field)?))
}

/// Where the records of a plan go.
fn open_target(plan: &Plan, partitions: i32) -> Result<Box<dyn RecordTarget>, Halt> {
    let request = TargetRequest {
        uri: &plan.to,
        properties: &plan.properties,
        partitions,
        by_key: plan.by_key,
        // What ends is a replay: a topic that is made for it keeps it, however old it is.
        keeps: plan.bounded,
        stamp: plan.stamp,
    };
    Ok(match rabbitmq::is_address(&plan.to) {
        true => Box::new(StreamWriter::open(&request, ANSWER_TIMEOUT)?),
        false => Box::new(TopicWriter::open(&request, ANSWER_TIMEOUT)?),
    })
}

/// Partitions that are named at the end, at most.
const MOST_PARTITIONS: usize = 32;

/// What was written, in how many records of each partition.
fn conclude(copied: &Copied, acknowledged: u64, target: &dyn RecordTarget) {
    let Copied { produced, newest, skipped, .. } = copied;
    let newest = newest.map(|time| format!(", the newest of {}", utc(Some(time)))).unwrap_or_default();
    let left_out = if *skipped > 0 { format!(", {skipped} left out by --where or as headers") } else { String::new() };
    say(&format!("done: {produced} records produced, {acknowledged} acknowledged{newest}{left_out}"));
    let by_partition = target.acknowledged_by_partition();
    let named: Vec<_> = by_partition.iter().take(MOST_PARTITIONS).map(|(at, many)| format!("{at}: {many}")).collect();
    let more = if by_partition.len() > MOST_PARTITIONS { ", …" } else { "" };
    if !named.is_empty() {
        say(&format!("records by partition: {}{more}", named.join(", ")));
    }
}

/// What the missing event times of so many records changed; none where nothing was to be done by them.
fn untimed(records: u64, stamp: Stamp, is_paced: bool, time_field: &str) -> Option<String> {
    let is_stamped = matches!(stamp, Stamp::Safe | Stamp::Event);
    let what = match (is_paced, is_stamped) {
        _ if records == 0 => return None,
        (false, false) => return None,
        (true, true) => "were not paced by --speed, and have the time of writing as their stamp",
        (true, false) => "were not paced by --speed",
        (false, true) => "have the time of writing as their stamp",
    };
    Some(format!("{records} records have no event time in --time-field {time_field}: they {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_are_missed_where_they_are_used() {
        let said = |stamp, is_paced| untimed(3, stamp, is_paced, "ts");
        assert_eq!(said(Stamp::Now, false), None);
        assert_eq!((said(Stamp::Broker, false), untimed(0, Stamp::Safe, true, "ts")), (None, None));
        let paced = said(Stamp::Broker, true).unwrap();
        assert!(
            paced.starts_with("3 records have no event time in --time-field ts") && !paced.contains("stamp"),
            "{paced}"
        );
        let stamped = said(Stamp::Event, false).unwrap();
        assert!(stamped.contains("as their stamp") && !stamped.contains("--speed"), "{stamped}");
    }
}
