//! `minutely run`, whose options `minutely state` takes, too.

use super::CommonArgs;
use super::cleaning::CleaningArgs;
use super::cluster::ClusterArgs;
use super::numbers::NumberArgs;
use super::schema::SchemaArgs;
use super::shape::ShapeArgs;
use super::values::{
    Choice, Given, StartOption, choice, derive, duration, instant, job_name, lateness, number, size, size_or_none,
    start, windows,
};
use clap::{ArgAction, Args};
use minutely_dataflows::BadRecordPolicy;
use minutely_dataflows::coarse::WindowList;
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::time::EventTime;
use std::path::PathBuf;

/// The options of a run.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) decoding: DecodingArgs,
    #[command(flatten)]
    pub(crate) schemas: SchemaArgs,
    #[command(flatten)]
    pub(crate) semantics: SemanticsArgs,
    #[command(flatten)]
    pub(crate) cleaning: CleaningArgs,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) sinks: SinkArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What is read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Source: sim:?OPTIONS · kafka://host:port[,…]/topic[,…] · rabbitmq://host/stream[,…] · file:GLOB
    ///
    ///   sim:?symbols=&rate=&partitions=&…  a built-in market
    ///   kafka://host:port[,…]/topic[,…]    topics
    ///   rabbitmq://host/stream[,…]         streams of RabbitMQ
    ///   file:GLOB                          files, compressed or not, one partition each; file:- is stdin
    #[arg(long, value_name = "URI", env = "MINUTELY_SOURCE", default_value = "sim:", verbatim_doc_comment)]
    pub(crate) source: String,

    /// Where reading begins if there is no state yet: earliest, latest, or a time such as 2026-01-05T08:00:00Z
    ///
    /// A time is compared with the timestamps of the broker. Those of RabbitMQ are of chunks, records that it stored together, and in
    /// whole seconds: reading begins with the first chunk of that time or later.
    #[arg(long, value_name = "WHERE", env = "MINUTELY_START", default_value = "earliest", value_parser = start())]
    pub(crate) start: Given<StartOption>,

    /// Event time from which on the log is complete
    ///
    /// Minutes from then on are not `partial` because records before the first offset that is read were deleted or skipped.
    #[arg(long, value_name = "TIME", env = "MINUTELY_COMPLETE_FROM", value_parser = instant())]
    pub(crate) complete_from: Option<Given<EventTime>>,

    /// Read to the present ends of the log, and stop (file: implies it)
    #[arg(long, env = "MINUTELY_UNTIL_END")]
    pub(crate) until_end: bool,

    /// With --until-end: leave windows open that later records may change, so that a later run resumes them
    ///
    /// The default for kafka: and rabbitmq:, and for file: and sim: once they have grown, where a state is kept.
    #[arg(long, env = "MINUTELY_KEEP_OPEN")]
    pub(crate) keep_open: bool,

    /// With --until-end: make every window final; records that come later for it are late
    ///
    /// The default with --state none; until they grow also for file: and sim:, but there coarser windows may stay open.
    #[arg(long, env = "MINUTELY_CLOSE")]
    pub(crate) close: bool,

    /// The clock of a bounded run, for --max-future and --max-past [default: now]
    #[arg(long, value_name = "TIME", env = "MINUTELY_AS_OF", value_parser = instant())]
    pub(crate) as_of: Option<Given<EventTime>>,
}

/// How payloads are decoded.
#[derive(Args, Debug)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct DecodingArgs {
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,

    /// Field of the symbol: a name, a JSON pointer such as /data/s, a column's number such as /0, @key, @key/POINTER, @topic or @file; repeatable
    ///
    /// Several are joined by a slash. @file/0 is the first part of the file's name, between -, _, . and spaces: BTCUSDT of
    /// BTCUSDT-trades-2026-03-02.csv; so with @topic.
    #[arg(long, value_name = "FIELD", env = "MINUTELY_SYMBOL_FIELD", default_value = "symbol")]
    pub(crate) symbol_field: Vec<String>,

    /// One symbol for all records
    #[arg(long, value_name = "SYMBOL", env = "MINUTELY_SYMBOL", conflicts_with = "symbol_field")]
    pub(crate) symbol: Option<String>,

    /// Field of the value: a name, a JSON pointer, or @payload where a record is the value alone
    #[arg(long, value_name = "FIELD", env = "MINUTELY_VALUE_FIELD", default_value = "price")]
    pub(crate) value_field: String,

    /// Field of the weight, such as a volume: a name or a JSON pointer; empty if there is none [default: volume]
    ///
    /// With rows whose columns have no names there is none by default.
    #[arg(long, value_name = "FIELD", env = "MINUTELY_WEIGHT_FIELD")]
    pub(crate) weight_field: Option<String>,

    /// Field of an id: events of a symbol whose id came before in their partition, in a minute that is not final, are dropped; repeatable
    ///
    /// Several together are the id; an event that lacks one of them has none.
    #[arg(long, value_name = "FIELD", env = "MINUTELY_ID_FIELD")]
    pub(crate) id_field: Vec<String>,
    #[command(flatten)]
    pub(crate) numbers: NumberArgs,

    /// Handling of a record that cannot be decoded
    #[arg(
        long,
        value_name = "ACTION",
        env = "MINUTELY_ON_BAD",
        default_value = "dead-letter",
        value_parser = choice(&ON_BAD)
    )]
    pub(crate) on_bad: Given<BadRecordPolicy>,
}

/// What counts, and what is computed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Semantics")]
pub(crate) struct SemanticsArgs {
    /// Length of a window of event time
    #[arg(long, value_name = "TIME", env = "MINUTELY_WINDOW", default_value = "1m", value_parser = duration(1))]
    pub(crate) window: Given<i64>,

    /// Accept records until their window ended more than this before the newest record of the same partition
    ///
    /// At most 36525d, a hundred years: a file that is sorted by symbol, or newest first, needs as much as it spans.
    #[arg(long, value_name = "TIME", env = "MINUTELY_LATENESS", default_value = "10m", value_parser = lateness())]
    pub(crate) lateness: Given<i64>,

    /// Accept records up to this far ahead of the clock (or of the broker's append time)
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_FUTURE", default_value = "1m", value_parser = duration(0))]
    pub(crate) max_future: Given<i64>,

    /// Accept records up to this far behind the clock (or the broker's append time) [default: no limit]
    ///
    /// One that is further behind, as of a device whose clock stands still, becomes a dead letter and holds nothing back. For
    /// live runs.
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_PAST", value_parser = duration(1))]
    pub(crate) max_past: Option<Given<i64>>,

    /// Columns of a row
    #[arg(
        long,
        value_name = "METRICS",
        env = "MINUTELY_METRICS",
        default_value = "market",
        value_parser = choice(&METRICS)
    )]
    pub(crate) metrics: Given<Metrics>,

    /// Columns made of the minutes before a row's own, or none [default: sma5,sma20,ema12,stddev; with --metrics avg: none]
    ///
    /// smaN (mean of the last N minutes' averages), ravgN (their mean record by record), rhighN, rlowN, rvolumeN, rvwapN, bbN
    /// (Bollinger bands), emaN, rsiN, chgN (the change in N minutes, as a fraction), macd; and of the minute itself variance and
    /// stddev.
    #[arg(long, value_name = "LIST", env = "MINUTELY_DERIVE", value_parser = derive())]
    pub(crate) derive: Option<Given<DerivedList>>,

    /// Rows of coarser windows as well, such as 5m,15m,1h,1d,1w, or none
    ///
    /// Made of windows of --window, whose whole multiples they are: open, high, low, close, count, sum, average, volume and VWAP. 1d
    /// and 1w are days and weeks (from Monday) of --time-zone; what follows a + begins later: 1h+15m, 1d+9h30m.
    #[arg(long, value_name = "LIST", env = "MINUTELY_WINDOWS", default_value = "none", value_parser = windows())]
    pub(crate) windows: Given<WindowList>,
}

/// How far partitions may be apart, and how much is held.
#[derive(Args, Debug)]
#[command(next_help_heading = "Progress and limits")]
pub(crate) struct ProgressArgs {
    /// Time without records after which a partition that is at its end no longer holds the others back
    #[arg(long, value_name = "TIME", env = "MINUTELY_IDLE", default_value = "10s", value_parser = duration(1))]
    pub(crate) idle: Given<i64>,

    /// Event time by which a partition may be read ahead of the slowest one
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_AHEAD", default_value = "60m", value_parser = duration(1))]
    pub(crate) max_ahead: Given<i64>,

    /// Windows of symbols in memory from which on only the slowest partitions are read
    ///
    /// The run ends at twice this number. A window of a symbol of 256 bytes or more counts as up to 5.
    #[arg(
        long,
        value_name = "N",
        env = "MINUTELY_MAX_KEYS",
        default_value = "5000000",
        value_parser = number::<u64>(1, u64::MAX / 4)
    )]
    pub(crate) max_keys: Given<u64>,
}

/// Where rows go.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sinks")]
pub(crate) struct SinkArgs {
    /// Sink, repeatable: sqlite:PATH · influxdb://… · influxdb1://… · csv:PATH · stdout: [default: sqlite: in the job's folder]
    ///
    ///   sqlite:PATH[?table=NAME]
    ///   influxdb://host:port/org/bucket  v2 API
    ///   influxdb1://host:port/db         v1 API
    ///   csv:PATH[?rotate=1d|100MB]
    ///   stdout:
    ///   stdout:json
    ///
    /// Both influxdb schemes take +https before the colon for TLS, the path of a proxy before /org or /db, and:
    ///
    ///   ?measurement=NAME, ?tag.NAME=VALUE  a place of its own in the bucket; tags are repeatable
    ///   ?timeout=10s                        time that a write may take at first
    ///   ?batch=5000                         lines of a write, at most
    ///
    /// The variable holds several sinks, separated by spaces.
    #[arg(long = "sink", value_name = "URI", env = "MINUTELY_SINK", verbatim_doc_comment)]
    pub(crate) uris: Vec<String>,

    /// Rows that sinks take
    #[arg(long, value_name = "ROWS", env = "MINUTELY_EMIT", default_value = "changes", value_parser = choice(&EMIT))]
    pub(crate) emit: Given<EmitOption>,

    /// Rows of groups of symbols, by a CSV with the columns symbol, group and, if need be, weight, from and to
    ///
    /// A group's average is of the averages of its members that have a row, by weight (1 without one); from and to (not included) are
    /// event times. The file is read again when it is edited.
    #[arg(long, value_name = "FILE", env = "MINUTELY_GROUPS")]
    pub(crate) groups: Option<PathBuf>,

    /// Time that a bounded run waits for a sink that makes no progress, and for the disk of the state
    #[arg(
        long = "sink-timeout",
        value_name = "TIME",
        env = "MINUTELY_SINK_TIMEOUT",
        default_value = "5m",
        value_parser = duration(1000)
    )]
    pub(crate) timeout: Given<i64>,

    /// Write to a sink that belongs to another job; from then on it is this job's
    #[arg(long = "take-sink", env = "MINUTELY_TAKE_SINK")]
    pub(crate) take: bool,

    /// What a sink gets that the state does not know, or that was left out of a run: what is written from now on, or what it lacks as well
    #[arg(
        id = "sink_from",
        long = "sink-from",
        value_name = "WHERE",
        env = "MINUTELY_SINK_FROM",
        default_value = "now",
        value_parser = choice(&SINK_FROM)
    )]
    pub(crate) from: Given<SinkStart>,

    /// Resume without a sink that the state still has rows for, repeatable; the sink will lack them for ever
    #[arg(long = "forget-sink", value_name = "URI", env = "MINUTELY_FORGET_SINK")]
    pub(crate) forget: Vec<String>,
}

/// What is kept for the next run, and where.
#[derive(Args, Debug)]
#[command(next_help_heading = "State")]
pub(crate) struct StateArgs {
    /// Checkpoints: a folder, s3://bucket/prefix (with AWS_* in the environment), gs://, az://, or none [default: in the job's folder]
    ///
    /// The next run resumes where this one was, with any -w. With `none` every run begins from the log.
    #[arg(long = "state", value_name = "FOLDER|URL|none", env = "MINUTELY_STATE")]
    pub(crate) place: Option<String>,

    /// Folder with a folder for each job: its dead letters, and its state and rows where no other place is named
    #[arg(long, value_name = "DIR", env = "MINUTELY_DATA", default_value = "./minutely-data")]
    pub(crate) data: String,

    /// Size from which on a file of dead letters is followed by the next one, or none
    ///
    /// All but the newest may be compressed, moved or deleted while the run goes on.
    #[arg(
        long,
        value_name = "SIZE",
        env = "MINUTELY_DEAD_LETTER_FILE_SIZE",
        default_value = "1GiB",
        value_parser = size_or_none()
    )]
    pub(crate) dead_letter_file_size: Given<Option<u64>>,

    /// Name of the job, and of its folder [default: from source and semantics]
    #[arg(long, value_name = "NAME", env = "MINUTELY_JOB", value_parser = job_name())]
    pub(crate) job: Option<Given<String>>,

    /// Time between commits
    #[arg(
        long,
        value_name = "TIME",
        env = "MINUTELY_CHECKPOINT_INTERVAL",
        default_value = "1s",
        value_parser = duration(10)
    )]
    pub(crate) checkpoint_interval: Given<i64>,

    /// How long to keep the audit trail: what each commit changed of each minute; 0s keeps none
    #[arg(long, value_name = "TIME", env = "MINUTELY_AUDIT", default_value = "24h", value_parser = duration(0))]
    pub(crate) audit: Given<i64>,

    /// Most bytes of the audit trail: what is more is given up, the oldest first
    #[arg(long, value_name = "SIZE", env = "MINUTELY_AUDIT_SIZE", default_value = "1GB", value_parser = size(1))]
    pub(crate) audit_size: Given<u64>,

    /// Resume from a state although another run, which hangs, has its lock
    #[arg(long, env = "MINUTELY_TAKE_OVER")]
    pub(crate) take_over: bool,

    /// Resume from a state although the log has changed since: where it is now (its first offset, its end, or the same offset)
    #[arg(long, env = "MINUTELY_ACCEPT_CHANGED_LOG")]
    pub(crate) accept_changed_log: bool,
}

/// What is served.
#[derive(Args, Debug)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArgs {
    /// Address of the live page, the API, /metrics and /healthz, or none [default: 127.0.0.1:8080, or the next free port]
    #[arg(long = "http", value_name = "HOST:PORT|none", env = "MINUTELY_HTTP")]
    pub(crate) address: Option<String>,

    /// Allow --http to be an address that other machines reach; it needs a token
    #[arg(long = "http-public", env = "MINUTELY_HTTP_PUBLIC")]
    pub(crate) public: bool,

    /// Further name by which clients may call --http, such as that of a reverse proxy, repeatable
    #[arg(long = "http-host", value_name = "NAME", env = "MINUTELY_HTTP_HOST")]
    pub(crate) hosts: Vec<String>,

    /// File of the token that clients of --http must give [default: MINUTELY_HTTP_TOKEN in the environment]
    #[arg(long = "http-token-file", value_name = "PATH", env = "MINUTELY_HTTP_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Kafka's client.
#[derive(Args, Debug)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaArgs {
    /// Memory for records that are fetched and not read yet, divided by the partitions that this process reads
    #[arg(
        long,
        value_name = "SIZE",
        env = "MINUTELY_FETCH_MEMORY",
        default_value = "256MB",
        value_parser = size(1)
    )]
    pub(crate) fetch_memory: Given<u64>,

    /// Property of librdkafka, repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE", env = "MINUTELY_KAFKA_PROPERTIES")]
    pub(crate) properties: Vec<String>,
}

/// `--metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metrics {
    /// Count, sum and average.
    Avg,
    /// And open, high, low, close, volume, vwap.
    Market,
}

const METRICS: [Choice<Metrics>; 2] = [
    ("avg", "count, sum and average", Metrics::Avg),
    ("market", "and open, high, low, close, volume and vwap", Metrics::Market),
];

/// `--on-bad`.
const ON_BAD: [Choice<BadRecordPolicy>; 3] = [
    ("dead-letter", "set it aside as a dead letter", BadRecordPolicy::SetAside),
    ("drop", "count it by its reason, and keep nothing of it", BadRecordPolicy::Drop),
    ("fatal", "end the run with exit code 65", BadRecordPolicy::Fatal),
];

/// `--emit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmitOption {
    /// Every committed change.
    Changes,
    /// Final rows alone.
    Final,
}

const EMIT: [Choice<EmitOption>; 2] = [
    ("changes", "every committed change of a window", EmitOption::Changes),
    ("final", "each window once, when it is final", EmitOption::Final),
];

/// `--sink-from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SinkStart {
    /// What is written from now on.
    Now,
    /// And what it lacks of the minutes before, counted again from the log.
    Earliest,
}

const SINK_FROM: [Choice<SinkStart>; 2] = [
    ("now", "what is written from now on", SinkStart::Now),
    ("earliest", "and the final minutes before, counted again from the log", SinkStart::Earliest),
];
