//! The command line as it is written. What it means, and all that is wrong with it, is `config.rs`'s.

use crate::http;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};

/// Exact one-minute event-time averages from partitions of timestamped values.
///
/// `minutely [run] [OPTIONS]`: reads a log, keeps exact sums per symbol and minute of event time, and writes each minute
/// while it is open, closed and final. Every record is accounted for: it counts, or it is a dead letter with its reason.
///
/// `minutely state show [--json] | check | rebuild [OPTIONS]`: shows the checkpoints of the run with these options, reads
/// all of them again and counts them anew, or moves them aside, so that the next run begins anew from the log.
///
/// `minutely produce --from URI --to kafka://…`: writes a source's records to a Kafka topic; `minutely produce --help`.
///
/// `minutely health [HOST:PORT]` asks the run that serves there (MINUTELY_HTTP, or 127.0.0.1:8080) whether it is well: 0, or 69.
#[derive(Debug, Parser)]
#[command(
    name = "minutely",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = "Secrets come from the environment or a file: MINUTELY_INFLUX_TOKEN or INFLUX_TOKEN (per sink ?token_env=NAME, \
                  ?token_file=PATH); influxdb1: takes ?user=NAME with MINUTELY_INFLUX1_PASSWORD (or password_env, password_file), \
                  ?token_env or ?token_file, or nothing; Kafka's password is MINUTELY_KAFKA_PASSWORD, and an -X property that \
                  holds a secret is env:NAME or file:PATH; MINUTELY_HTTP_TOKEN.\n\
                  Ctrl-C, SIGTERM and SIGHUP (a terminal that closes; not under nohup) end a run with one more commit; a \
                  second Ctrl-C or SIGTERM ends it at once.\n\
                  Exit codes: 0 done, 64 usage or configuration, 65 bad data that was told to be fatal, a log or a state that \
                  is not what it was, or a bounded run of which a database refused every row, 69 a service is unreachable, 70 \
                  internal, 78 another run owns the state."
)]
pub(crate) struct Args {
    /// What to read: sim:?symbols=&rate=&partitions=&… (a built-in market) · kafka://host:port[,…]/topic[,…] · file:GLOB
    /// (JSON lines)
    #[arg(long, value_name = "URI", env = "MINUTELY_SOURCE", default_value = "sim:")]
    pub(crate) source: String,

    /// Where rows go, repeatable: sqlite:PATH[?table=NAME] · influxdb://host:port/org/bucket · influxdb1://host:port/db (v1 API;
    /// influxdb+https: and influxdb1+https: for TLS; a path before /org/bucket or /db is a proxy's; ?measurement=NAME and
    /// ?tag.NAME=VALUE, repeatable, name a place of its own in the bucket; ?timeout=10s and ?batch=5000 are how long a write may
    /// take at first, and its lines at most) ·
    /// csv:PATH[?rotate=1d|100MB] · stdout: · stdout:json [default: sqlite: in the data folder]; in the variable several, separated by
    /// spaces
    #[arg(long = "sink", value_name = "URI", env = "MINUTELY_SINK")]
    pub(crate) sinks: Vec<String>,

    /// Checkpoints: a folder, or s3://bucket/prefix (AWS_* in the environment), from which the next run goes on where this
    /// one was, at any -w; none begins every run anew [default: in the data folder]
    #[arg(long, value_name = "FOLDER|URL|none", env = "MINUTELY_STATE")]
    pub(crate) state: Option<String>,

    /// Go on with a state although another run, which hangs, has its lock
    #[arg(long)]
    pub(crate) take_over: bool,

    /// Go on with a state although the log is not the one it was made of: where the log is now
    #[arg(long)]
    pub(crate) accept_changed_log: bool,

    /// Go on without a sink that the state still has rows for: it lacks them for ever. Repeatable
    #[arg(long = "forget-sink", value_name = "URI")]
    pub(crate) forget_sinks: Vec<String>,

    /// Write to a sink that belongs to another job: from now on it is this one's
    #[arg(long)]
    pub(crate) take_sink: bool,

    /// Where the live page, the API, /metrics and /healthz are; none serves nothing [default: 127.0.0.1:8080, or the next
    /// port that is free]
    #[arg(long, value_name = "HOST:PORT|none", env = "MINUTELY_HTTP")]
    pub(crate) http: Option<String>,

    /// --http may be an address that others reach; then a token is needed
    #[arg(long, env = "MINUTELY_HTTP_PUBLIC")]
    pub(crate) http_public: bool,

    /// A name that clients may call --http by besides the address itself, such as that of a reverse proxy before it;
    /// repeatable
    #[arg(long = "http-host", value_name = "NAME", env = "MINUTELY_HTTP_HOST")]
    pub(crate) http_hosts: Vec<String>,

    /// The token that clients of --http must give is in this file [default: MINUTELY_HTTP_TOKEN in the environment]
    #[arg(long, value_name = "PATH", env = "MINUTELY_HTTP_TOKEN_FILE")]
    pub(crate) http_token_file: Option<std::path::PathBuf>,

    /// The folder for defaults and dead letters
    #[arg(long, value_name = "DIR", env = "MINUTELY_DATA", default_value = "./minutely-data")]
    pub(crate) data: String,

    /// The name of this job's folder there [default: from source and semantics]
    #[arg(long, value_name = "NAME", env = "MINUTELY_JOB")]
    pub(crate) job: Option<String>,

    /// How payloads are written. Only `json` is known so far
    #[arg(long, value_name = "FORMAT", env = "MINUTELY_FORMAT", default_value = "json")]
    pub(crate) format: String,

    /// The symbol: a field's name, a JSON pointer such as /data/s, or @key
    #[arg(long, value_name = "FIELD", env = "MINUTELY_SYMBOL_FIELD", default_value = "symbol")]
    pub(crate) symbol_field: String,

    /// The value: a field's name or a JSON pointer
    #[arg(long, value_name = "FIELD", env = "MINUTELY_VALUE_FIELD", default_value = "price")]
    pub(crate) value_field: String,

    /// The event time: a field's name or a JSON pointer
    #[arg(long, value_name = "FIELD", env = "MINUTELY_TIME_FIELD", default_value = "ts")]
    pub(crate) time_field: String,

    /// The event time's unit: s, ms, us or ns
    #[arg(long, value_name = "UNIT", env = "MINUTELY_TIME_UNIT", default_value = "ms")]
    pub(crate) time_unit: String,

    /// The weight, such as a volume: a field's name or a JSON pointer; empty for none
    #[arg(long, value_name = "FIELD", env = "MINUTELY_WEIGHT_FIELD", default_value = "volume")]
    pub(crate) weight_field: String,

    /// Length of a window of event time
    #[arg(long, value_name = "TIME", env = "MINUTELY_WINDOW", default_value = "1m")]
    pub(crate) window: String,

    /// How far behind its own partition's newest record a window may end and still take records
    #[arg(long, value_name = "TIME", env = "MINUTELY_LATENESS", default_value = "10m")]
    pub(crate) lateness: String,

    /// How far ahead of the clock (or of the broker's append time) a record may be
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_FUTURE", default_value = "1m")]
    pub(crate) max_future: String,

    /// How far behind the clock (or the broker's append time) a record may be: one that is further, as of a device whose clock
    /// stands still, is set aside and holds nothing back. For live runs [default: as far as it likes]
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_PAST")]
    pub(crate) max_past: Option<String>,

    /// How long a partition at its end must be silent before the others pass it
    #[arg(long, value_name = "TIME", env = "MINUTELY_IDLE", default_value = "10s")]
    pub(crate) idle: String,

    /// How far in event time a partition is read ahead of the slowest
    #[arg(long, value_name = "TIME", env = "MINUTELY_MAX_AHEAD", default_value = "60m")]
    pub(crate) max_ahead: String,

    /// Windows of symbols held from which on only the slowest partitions are read; at twice that the run ends. One of a symbol
    /// of 256 bytes or more counts as up to 5
    #[arg(long, value_name = "N", env = "MINUTELY_MAX_KEYS", default_value = "5000000")]
    pub(crate) max_keys: String,

    /// Which rows sinks take: every committed change, or each once it is final
    #[arg(long, value_name = "changes|final", env = "MINUTELY_EMIT", default_value = "changes")]
    pub(crate) emit: String,

    /// avg: count, sum and average; market: open, high, low, close, volume and vwap as well
    #[arg(long, value_name = "avg|market", env = "MINUTELY_METRICS", default_value = "market")]
    pub(crate) metrics: String,

    /// Between two commits
    #[arg(long, value_name = "TIME", env = "MINUTELY_CHECKPOINT_INTERVAL", default_value = "1s")]
    pub(crate) checkpoint_interval: String,

    /// What a record does that cannot be decoded: dead-letter sets it aside, fatal ends the run with 65
    #[arg(long, value_name = "dead-letter|fatal", env = "MINUTELY_ON_BAD", default_value = "dead-letter")]
    pub(crate) on_bad: String,

    /// How long a bounded run waits for a sink that makes no progress, and for the disk of the state
    #[arg(long, value_name = "TIME", env = "MINUTELY_SINK_TIMEOUT", default_value = "5m")]
    pub(crate) sink_timeout: String,

    /// Where to begin where there is no state yet: earliest, latest, or a time such as 2026-01-05T08:00:00Z (by the broker's
    /// timestamps)
    #[arg(long, value_name = "WHERE", env = "MINUTELY_START", default_value = "earliest")]
    pub(crate) start: String,

    /// From this event time on the log is complete: minutes from then on are not `partial` for want of what was deleted or
    /// skipped before a partition's first offset that is read
    #[arg(long, value_name = "TIME", env = "MINUTELY_COMPLETE_FROM")]
    pub(crate) complete_from: Option<String>,

    /// Read to the ends that the log has now, and stop (file: implies it)
    #[arg(long, env = "MINUTELY_UNTIL_END")]
    pub(crate) until_end: bool,

    /// With --until-end: leave windows open that later records may change, for a later run to go on with. The default for a
    /// log that goes on (kafka:, sim: without records=) and for files that have grown, where a state is kept
    #[arg(long, env = "MINUTELY_KEEP_OPEN")]
    pub(crate) keep_open: bool,

    /// With --until-end: make every window final, for the log is complete: what comes later for them is late. The default for
    /// file: and with --state none
    #[arg(long, env = "MINUTELY_CLOSE")]
    pub(crate) close: bool,

    /// The instant of the run, which future records of a bounded run are judged by [default: now]
    #[arg(long, value_name = "TIME", env = "MINUTELY_AS_OF")]
    pub(crate) as_of: Option<String>,

    /// Memory for records of Kafka that are fetched and not read yet, divided by the partitions that this process reads
    #[arg(long, value_name = "SIZE", env = "MINUTELY_FETCH_MEMORY", default_value = "256MB")]
    pub(crate) fetch_memory: String,

    /// A property of librdkafka, repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// Comes later
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) config: Option<String>,

    /// Worker threads of this process
    #[arg(short = 'w', long = "workers", value_name = "N", env = "MINUTELY_WORKERS", default_value = "1")]
    pub(crate) workers: String,

    /// Processes; all of them need the same --data
    #[arg(short = 'n', long = "processes", value_name = "N", default_value = "1")]
    pub(crate) processes: String,

    /// Which of them this is, from 0
    #[arg(short = 'p', long = "process", value_name = "I", default_value = "0")]
    pub(crate) process: String,

    /// A file with one host:port a process [default: localhost, ports from 2101]
    #[arg(short = 'h', long = "hostfile", value_name = "FILE")]
    pub(crate) hostfile: Option<String>,

    /// With `state show`: the newest manifest itself
    #[arg(long)]
    pub(crate) json: bool,

    /// This text
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    /// The version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Asks the run that serves at an address whether it is well: 0, or 69 with the reason. For containers.
#[derive(Debug, Parser)]
#[command(name = "minutely health", bin_name = "minutely health", disable_help_flag = true)]
pub(crate) struct HealthArgs {
    /// What the run's --http says
    #[arg(value_name = "HOST:PORT", env = "MINUTELY_HTTP", default_value = http::DEFAULT)]
    pub(crate) at: String,

    /// Help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Writes records to a Kafka topic.
///
/// Record for record: partition, key, payload, and the source's stamp. Ctrl-C, SIGTERM and SIGHUP wait for the last answers and stop.
#[derive(Debug, Parser)]
#[command(name = "minutely produce", bin_name = "minutely produce", disable_help_flag = true)]
pub(crate) struct ProduceArgs {
    /// What to write: sim:?symbols=&rate=&late=&… (the built-in market, as fast as the clock goes, its history at once) ·
    /// file:GLOB (one partition a file)
    #[arg(long, value_name = "URI", env = "MINUTELY_FROM", default_value = "sim:")]
    pub(crate) from: String,

    /// Where to: kafka://host:port[,…]/topic; the topic is made if it is not there, with retention.ms=-1 if --from ends
    #[arg(long, value_name = "URI", env = "MINUTELY_TO")]
    pub(crate) to: String,

    /// The partition of a record: the source's, or chosen by its key (murmur2, as Java's clients do)
    #[arg(long, value_name = "source|key", default_value = "source")]
    pub(crate) partition_by: String,

    /// Records a second, at most
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<String>,

    /// Seconds of event time a second, for replays
    #[arg(long, value_name = "N")]
    pub(crate) speed: Option<String>,

    /// Records in all, at most
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<String>,

    /// Where to begin: earliest, latest, or a time such as 2026-01-05T08:00:00Z
    #[arg(long, value_name = "WHERE", default_value = "earliest")]
    pub(crate) start: String,

    /// Stop where the source ends now (file: implies it)
    #[arg(long)]
    pub(crate) until_end: bool,

    /// Where that is [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,

    /// The event time, for --speed and as the stamp of records that have none: a field's name or a JSON pointer
    #[arg(long, value_name = "FIELD", default_value = "ts")]
    pub(crate) time_field: String,

    /// Its unit: s, ms, us or ns
    #[arg(long, value_name = "UNIT", default_value = "ms")]
    pub(crate) time_unit: String,

    /// The stamp of records: event (the source's, or the event time), or now. Not given: event, but what the topic's
    /// retention would delete at once is refused
    #[arg(long, value_name = "event|now")]
    pub(crate) stamp: Option<String>,

    /// A property of librdkafka, repeatable
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    pub(crate) properties: Vec<String>,

    /// This text
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `run`, or nothing.
    Run,
    /// `state show`.
    Show,
    /// `state check`.
    Check,
    /// `state rebuild`.
    Rebuild,
    /// `produce`.
    Produce,
    /// `health`.
    Health,
}

/// The command, and the arguments without its name.
///
/// # Errors
/// The name of a command that there is not.
pub(crate) fn command(mut args: Vec<String>) -> Result<(Command, Vec<String>), String> {
    let word = |at: usize| args.get(at).map(String::as_str).filter(|word| !word.starts_with('-'));
    let (command, words) = match (word(1), word(2)) {
        (None, _) => (Command::Run, 0),
        (Some("run"), _) => (Command::Run, 1),
        (Some("produce"), _) => (Command::Produce, 1),
        (Some("health"), _) => (Command::Health, 1),
        (Some("help"), _) => {
            // `minutely help produce` is `minutely produce --help`.
            let mut asked = args;
            asked.remove(1);
            asked.push("--help".into());
            return command(asked);
        }
        (Some("state"), Some("show")) => (Command::Show, 2),
        (Some("state"), Some("check")) => (Command::Check, 2),
        (Some("state"), Some("rebuild")) => (Command::Rebuild, 2),
        (Some("state"), None) if args.iter().any(|word| ["--help", "--version", "-V"].contains(&word.as_str())) => {
            (Command::Show, 1)
        }
        (Some("state"), other) => {
            return Err(format!(
                "there is no command `state {}`: it is `minutely state show|check|rebuild [OPTIONS]`; see `minutely --help`",
                other.unwrap_or_default()
            ));
        }
        (Some(other), _) => {
            return Err(format!(
                "there is no command `{other}`: it is `minutely [run] [OPTIONS]`, `minutely state show|check|rebuild \
                 [OPTIONS]`, `minutely produce [OPTIONS]`, or `minutely health`; see `minutely --help`"
            ));
        }
    };
    drop(args.drain(1..=words));
    Ok((command, args))
}

/// The arguments. Help names variables of the environment and never says what is in them, which may be a secret.
///
/// # Errors
/// What is wrong, or the help that was asked for.
pub(crate) fn parse<A: CommandFactory + FromArgMatches>(words: Vec<String>) -> Result<A, clap::Error> {
    let command = A::command().mut_args(|arg| arg.hide_env_values(true));
    A::from_arg_matches(&command.try_get_matches_from(words)?)
}

/// What is wrong with the arguments, in one paragraph.
pub(crate) fn mistake(error: &clap::Error, command: &str) -> String {
    let text = error.to_string();
    let said = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty());
    let said = said.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    format!("{}; see `{command} --help`", said.strip_prefix("error: ").unwrap_or(&said))
}
