//! What the command line means, and all that is wrong with it, at once and before any effect.

use crate::args::Args;
use crate::duration;
use crate::environment;
use crate::http;
use crate::job_folder::JobFolder;
use crate::secret;
use crate::semantics::{Entries, Format, LATENESS, MAX_FUTURE, MAX_PAST, Semantics, WINDOW};
use crate::sinks::{self, Emit};
use crate::size;
use crate::sources::{self, Start};
use crate::store::StoreUri;
use crate::uri::shown;
use minutely_dataflows::decode::{Decoder, Fields, KEY, TimeUnit};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::settings::{AtEnd, Settings};
use minutely_dataflows::time::{EventTime, Windowing};
use std::fmt;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

/// A run, as asked for.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) source: String,
    pub(crate) sinks: Vec<String>,
    /// The job's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) fields: Fields,
    pub(crate) decoder: Decoder,
    pub(crate) settings: Settings,
    pub(crate) emit: Emit,
    pub(crate) metrics: Metrics,
    pub(crate) bad_is_fatal: bool,
    pub(crate) start: Start,
    /// `--as-of`.
    pub(crate) as_of: Option<EventTime>,
    pub(crate) properties: Vec<(String, String)>,
    /// `--fetch-memory`, in bytes.
    pub(crate) fetch_memory: u64,
    pub(crate) cluster: Cluster,
    /// Where checkpoints are.
    pub(crate) state: Option<StoreUri>,
    pub(crate) take_over: bool,
    pub(crate) accept_changed_log: bool,
    /// What `--forget-sink` names, as the state calls it.
    pub(crate) forget_sinks: Vec<String>,
    /// `--take-sink`.
    pub(crate) take_sink: bool,
    /// Where to serve, if at all.
    pub(crate) http: Option<http::ListenAddress>,
    /// What verdicts and sums depend on: a state belongs to it.
    pub(crate) semantics: Semantics,
    /// As a new chain and the sinks record it: see [`JobFolder`].
    pub(crate) recorded: Entries,
    /// What people should know of the job's folder.
    pub(crate) folder_remark: Option<String>,
}

/// `--metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metrics {
    /// Count, sum and average.
    Avg,
    /// And open, high, low, close, volume, vwap.
    Market,
}

/// `-w`, `-n`, `-p`, `-h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Worker threads a process.
    pub(crate) workers: usize,
    /// Which process this is.
    pub(crate) process: usize,
    /// host:port of all processes; one that has no other needs none.
    pub(crate) addresses: Vec<String>,
}

/// All workers of a run, at most (their shards are 256).
const MOST_WORKERS: usize = 256;

/// Nanoseconds: what has no lock is taken for dead when it has not moved for a little longer.
const MOST_REMOTE_INTERVAL: i64 = 10_000_000_000;

/// Collects mistakes.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    /// One more.
    pub(crate) fn tell(&mut self, mistake: String) {
        self.0.push(mistake);
    }

    /// And more.
    pub(crate) fn extend(&mut self, mistakes: Vec<String>) {
        self.0.extend(mistakes);
    }

    /// Are there none?
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn none(self) -> Result<(), Vec<String>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    pub(crate) fn take<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|mistake| self.0.push(mistake)).ok()
    }

    pub(crate) fn choice<T: Copy>(&mut self, option: &str, text: &str, known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        self.take(found.ok_or_else(|| format!("{option} {text}: is one of {}", names())))
    }

    /// In nanoseconds.
    fn duration(&mut self, option: &str, text: &str, least_ms: u64) -> Option<i64> {
        const MOST_MS: u64 = 366 * 24 * 3_600_000;
        let ms = duration::parse_ms(text).filter(|ms| (least_ms..=MOST_MS).contains(ms));
        let why =
            || format!("{option} {text}: takes a time such as 500ms, 10s, 1m, 2h or 1d, from {least_ms} ms to 366 d");
        self.take(ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| ms * 1_000_000).ok_or_else(why))
    }

    /// In bytes.
    fn size(&mut self, option: &str, text: &str, least: u64) -> Option<u64> {
        let size = size::parse_bytes(text).filter(|size| *size >= least);
        self.take(size.ok_or_else(|| {
            format!("{option} {text}: takes a size such as 64MB or 1GiB, from {} MB on", least / 1_000_000)
        }))
    }

    pub(crate) fn number<T: std::str::FromStr + PartialOrd + fmt::Display>(
        &mut self,
        option: &str,
        text: &str,
        least: T,
        most: T,
    ) -> Option<T> {
        let number = text.parse().ok().filter(|n| (&least..=&most).contains(&n));
        self.take(number.ok_or_else(|| format!("{option} {text}: takes a number from {least} to {most}")))
    }

    pub(crate) fn time(&mut self, option: &str, text: &str) -> Option<EventTime> {
        self.time_or(option, text, "")
    }

    /// A time; `others`: what else the option takes.
    pub(crate) fn time_or(&mut self, option: &str, text: &str, others: &str) -> Option<EventTime> {
        let parsed = text.parse::<jiff::Timestamp>().ok();
        let time = parsed.and_then(|t| i64::try_from(t.as_nanosecond()).ok()).filter(|ns| ns.abs() <= EventTime::LIMIT);
        let why = || format!("{option} {text}: takes {others}a time as 2026-01-05T08:00:00Z");
        self.take(time.map(EventTime).ok_or_else(why))
    }

    fn only(&mut self, option: &str, text: &str, known: &str) {
        if text != known {
            self.0.push(format!("{option} {text}: only `{known}` is known so far"));
        }
    }
}

impl Config {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All mistakes, one paragraph each.
    pub(crate) fn of(args: &Args) -> Result<Config, Vec<String>> {
        let mut mistakes = Mistakes::default();
        let state = args.state.as_deref().filter(|text| *text != "none");
        let state = state.and_then(|text| mistakes.take(StoreUri::parse(text)));
        let token = std::env::var("MINUTELY_HTTP_TOKEN").ok();
        let served = http::ListenAddress::of(
            args.http.as_deref(),
            args.http_public,
            &args.http_hosts,
            args.http_token_file.as_deref(),
            token,
        );
        let http = served.unwrap_or_else(|more| {
            mistakes.0.extend(more);
            None
        });
        mistakes.only("--format", &args.format, "json");
        if let Some(file) = &args.config {
            mistakes.0.push(format!("--config {file}: comes later; use options or MINUTELY_* in the environment"));
        }
        let properties = properties(&args.properties, &mut mistakes);
        mistakes.0.extend(sources::validate(&args.source, &properties));
        let sinks = given_sinks(args, &mut mistakes);
        for sink in &sinks {
            mistakes.0.extend(sinks::validate(sink));
        }
        let place: Vec<_> = sinks.iter().map(|sink| shown(sink)).collect();
        for (i, sink) in sinks.iter().enumerate().filter(|(i, _)| place[..*i].contains(&place[*i])) {
            mistakes.0.push(format!("--sink {}: is given twice (the {}th time here)", shown(sink), i + 1));
        }
        let bounded = args.until_end || sources::is_bounded(&args.source);
        let start = start(args, &mut mistakes);
        if start != Some(Start::Earliest) && sources::is_bounded(&args.source) {
            mistakes.0.push(format!("--start {}: a file is read from its first line; leave it out", args.start));
        }
        let at_end = at_end(args, bounded, &mut mistakes);
        let complete_from = args.complete_from.as_ref().and_then(|text| mistakes.time("--complete-from", text));
        if args.complete_from.is_some() && sources::is_bounded(&args.source) {
            mistakes.0.push(
                "--complete-from: a file is read from its first line, so nothing is partial; leave it out".into(),
            );
        }
        let as_of = args.as_of.as_ref().and_then(|text| mistakes.time("--as-of", text));
        if args.as_of.is_some() && !bounded {
            mistakes.0.push("--as-of: goes with --until-end; a live run judges by the clock".into());
        }
        let fields = fields(args, &mut mistakes);
        if args.symbol_field == KEY && !sources::has_keys(&args.source) {
            mistakes.0.push(format!("--symbol-field {KEY}: records of `{}` have no keys", shown(&args.source)));
        }
        let decoder = fields.as_ref().and_then(|fields| match Decoder::new(fields) {
            Ok(decoder) => Some(decoder),
            Err(more) => {
                mistakes.0.extend(more);
                None
            }
        });
        let rule = rule(args, &mut mistakes);
        let checkpoint_interval = mistakes.duration("--checkpoint-interval", &args.checkpoint_interval, 10);
        if let (Some(StoreUri::Remote(..)), Some(MOST_REMOTE_INTERVAL..)) = (&state, checkpoint_interval) {
            mistakes.0.push(format!(
                "--checkpoint-interval {}: is less than 10s with an object store, where a run that commits nothing for so \
                 long counts as gone",
                args.checkpoint_interval
            ));
        }
        let sink_timeout = mistakes.duration("--sink-timeout", &args.sink_timeout, 1000);
        let fetch_memory = mistakes.size("--fetch-memory", &args.fetch_memory, 1_000_000);
        let max_keys = mistakes.number("--max-keys", &args.max_keys, 1, u64::MAX / 4);
        let emit = mistakes.choice("--emit", &args.emit, &[("changes", Emit::Changes), ("final", Emit::Final)]);
        let metrics =
            mistakes.choice("--metrics", &args.metrics, &[("avg", Metrics::Avg), ("market", Metrics::Market)]);
        let bad_is_fatal = mistakes.choice("--on-bad", &args.on_bad, &[("dead-letter", false), ("fatal", true)]);
        let cluster = cluster(args, &mut mistakes);
        let job_name = job_name(args, &mut mistakes);
        let all = (|| {
            let settings = Settings {
                rule: rule?,
                bounded,
                at_end,
                instant: None, // the run's start, which is not known yet
                complete_from,
                checkpoint_interval: checkpoint_interval?,
                max_keys: max_keys?,
                sink_timeout: sink_timeout?,
                ..Settings::default()
            };
            let (fields, metrics) = (fields?, metrics?);
            let semantics = Semantics {
                source: sources::identity(&args.source),
                format: Format::Json,
                fields: fields.clone(),
                windowing: settings.rule.windowing,
                max_future: settings.rule.max_future,
                max_past: settings.rule.max_past,
                market: metrics == Metrics::Market,
                complete_from,
                isolation: sources::isolation(&args.source, &properties),
            };
            let JobFolder { folder, recorded, remark } = job(args, job_name?.as_deref(), &semantics);
            let default_sink = || format!("sqlite:{}", folder.join("minutes.db").display());
            let sinks = if sinks.is_empty() { vec![default_sink()] } else { sinks };
            let state = match args.state.as_deref() {
                Some("none") => None,
                Some(_) => Some(state?),
                None => Some(StoreUri::Folder(folder.join("state"))),
            };
            Some(Config {
                state,
                take_over: args.take_over,
                accept_changed_log: args.accept_changed_log,
                forget_sinks: args.forget_sinks.iter().map(|uri| shown(uri)).collect(),
                take_sink: args.take_sink,
                http,
                semantics,
                recorded,
                folder_remark: remark,
                source: args.source.clone(),
                sinks,
                folder,
                fields,
                decoder: decoder?,
                settings,
                emit: emit?,
                metrics,
                bad_is_fatal: bad_is_fatal?,
                start: start?,
                as_of,
                properties,
                fetch_memory: fetch_memory?,
                cluster: cluster?,
            })
        })();
        match all {
            Some(config) if mistakes.0.is_empty() => Ok(config),
            _ => Err(mistakes.0),
        }
    }
}

/// Those of `--sink`, or of `MINUTELY_SINK`.
fn given_sinks(args: &Args, mistakes: &mut Mistakes) -> Vec<String> {
    match (args.sinks.as_slice(), std::env::var("MINUTELY_SINK")) {
        ([one], Ok(variable)) if *one == variable => mistakes.take(environment::sinks(one)).unwrap_or_default(),
        (sinks, _) => sinks.to_vec(),
    }
}

/// `-X key=value`, with secrets from where they are.
pub(crate) fn properties(texts: &[String], mistakes: &mut Mistakes) -> Vec<(String, String)> {
    const SECRET: [&str; 4] = ["password", "secret", "key.pem", "oauthbearer.config"];
    let mut properties = Vec::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            mistakes.0.push("-X: takes KEY=VALUE".into());
            continue;
        };
        let given = value;
        let value = match value.split_once(':') {
            Some(("env", name)) => {
                std::env::var(name).map_err(|_| format!("-X {key}: {name} is not in the environment"))
            }
            Some(("file", path)) => secret::read(Path::new(path))
                .map(|text| text.trim_end().to_owned())
                .map_err(|e| format!("-X {key}: file {path}: {e}")),
            _ if SECRET.iter().any(|word| key.ends_with(word)) => Err(format!(
                "-X {key}: holds a secret, which arguments show to everybody: give it as env:NAME or file:PATH"
            )),
            _ => Ok(value.to_owned()),
        };
        let value = mistakes.take(value);
        // What was given in a wrong way was given: nobody is told that the password is missing, too.
        let value = value.or_else(|| key.starts_with("sasl.").then(|| given.to_owned()));
        properties.extend(value.map(|value| (key.to_owned(), value)));
    }
    let password = std::env::var("MINUTELY_KAFKA_PASSWORD").ok().filter(|p| !p.is_empty());
    if let Some(password) = password
        && properties.iter().any(|(key, _)| key == "sasl.username")
        && !properties.iter().any(|(key, _)| key == "sasl.password")
    {
        properties.push(("sasl.password".into(), password));
    }
    properties
}

/// What becomes of windows that are not final at the end of the log: where it goes on, and a later run can go on with them,
/// they stay open.
fn at_end(args: &Args, bounded: bool, mistakes: &mut Mistakes) -> AtEnd {
    let asked = [("--keep-open", args.keep_open), ("--close", args.close)];
    for (option, _) in asked.iter().filter(|(_, given)| *given && !bounded) {
        mistakes.0.push(format!("{option}: goes with --until-end"));
    }
    if args.keep_open && args.close {
        mistakes.0.push("--keep-open --close: say opposite things; give one".into());
    }
    let stateless = args.state.as_deref() == Some("none");
    match (args.keep_open, args.close) {
        (true, _) => AtEnd::KeepOpen,
        (_, true) => AtEnd::Close,
        _ if stateless => AtEnd::Close,
        _ if sources::is_complete(&args.source) => AtEnd::CloseUnlessGrown,
        _ => AtEnd::KeepOpen,
    }
}

fn start(args: &Args, mistakes: &mut Mistakes) -> Option<Start> {
    match args.start.as_str() {
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        time => mistakes.time_or("--start", time, "earliest, latest, or ").map(Start::Time),
    }
}

fn fields(args: &Args, mistakes: &mut Mistakes) -> Option<Fields> {
    use TimeUnit::{Microseconds, Milliseconds, Nanoseconds, Seconds};
    let units = [("s", Seconds), ("ms", Milliseconds), ("us", Microseconds), ("ns", Nanoseconds)];
    Some(Fields {
        symbol: args.symbol_field.clone(),
        value: args.value_field.clone(),
        time: args.time_field.clone(),
        unit: mistakes.choice("--time-unit", &args.time_unit, &units)?,
        weight: Some(args.weight_field.clone()).filter(|field| !field.is_empty()),
    })
}

fn rule(args: &Args, mistakes: &mut Mistakes) -> Option<Rule> {
    let length = mistakes.duration("--window", &args.window, 1);
    let lateness = mistakes.duration("--lateness", &args.lateness, 0);
    let max_future = mistakes.duration("--max-future", &args.max_future, 0);
    let max_past = args.max_past.as_ref().and_then(|text| mistakes.duration("--max-past", text, 1));
    let idle = mistakes.duration("--idle", &args.idle, 1);
    let max_ahead = mistakes.duration("--max-ahead", &args.max_ahead, 1);
    Some(Rule {
        windowing: Windowing { length: length?, lateness: lateness? },
        max_future: max_future?,
        max_past,
        max_ahead: max_ahead?,
        idle: idle?,
    })
}

fn cluster(args: &Args, mistakes: &mut Mistakes) -> Option<Cluster> {
    let workers = mistakes.number("-w", &args.workers, 1, MOST_WORKERS);
    let processes = mistakes.number("-n", &args.processes, 1, MOST_WORKERS);
    let process = mistakes.number("-p", &args.process, 0, MOST_WORKERS);
    let (workers, processes, process) = (workers?, processes?, process?);
    if workers * processes > MOST_WORKERS {
        mistakes.0.push(format!("-w {workers} -n {processes}: at most {MOST_WORKERS} workers in all"));
    }
    if process >= processes {
        mistakes.0.push(format!("-p {process}: there are {processes} processes, counted from 0; see -n"));
    }
    if processes == 1 {
        return Some(Cluster { workers, process: 0, addresses: Vec::new() });
    }
    let addresses: Vec<String> = match &args.hostfile {
        None => (0..processes).map(|i| format!("127.0.0.1:{}", 2101 + i)).collect(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| format!("-h {path}: {e}"));
            mistakes.take(text)?.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    };
    if addresses.len() < processes {
        mistakes.0.push(format!("-h: names {} of {processes} processes", addresses.len()));
    }
    for address in addresses.iter().take(processes) {
        let loopback = address.to_socket_addrs().map(|mut all| all.all(|a| a.ip().is_loopback()));
        match loopback {
            Ok(true) => {}
            Ok(false) => mistakes.0.push(format!(
                "-h: {address} is not on this machine's loopback; processes do not prove to one another who they are \
                 yet, so a cluster stays on one machine"
            )),
            Err(e) => mistakes.0.push(format!("-h: {address}: {e}; a line is host:port")),
        }
    }
    Some(Cluster { workers, process, addresses: addresses.into_iter().take(processes).collect() })
}

/// The name that `--job` gives, if it does; none if it is not one.
fn job_name(args: &Args, mistakes: &mut Mistakes) -> Option<Option<String>> {
    let Some(name) = &args.job else { return Some(None) };
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let fine = !name.is_empty() && !name.starts_with('.') && name.chars().all(good);
    mistakes.take(fine.then(|| Some(name.clone())).ok_or_else(|| {
        format!("--job {name}: is made of letters, digits, `-`, `_` and `.`, and does not begin with `.`")
    }))
}

/// The job's folder, if need be by what was typed: see [`JobFolder`].
fn job(args: &Args, name: Option<&str>, semantics: &Semantics) -> JobFolder {
    let data = Path::new(&args.data);
    let Some(name) = name else {
        let past = args.max_past.as_ref().map(|past| (MAX_PAST, past.as_str()));
        let typed = [(WINDOW, &*args.window), (LATENESS, &args.lateness), (MAX_FUTURE, &args.max_future)];
        return JobFolder::by_semantics(data, semantics, &typed.into_iter().chain(past).collect::<Vec<_>>());
    };
    JobFolder::named(data, name, semantics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn config(args: &[&str]) -> Result<Config, Vec<String>> {
        Config::of(&Args::try_parse_from(["minutely"].iter().chain(args)).unwrap())
    }

    #[test]
    fn defaults_run_the_built_in_market_into_sqlite() {
        let config = config(&["-w", "8"]).unwrap();
        assert_eq!((config.cluster.workers, config.metrics, config.emit), (8, Metrics::Market, Emit::Changes));
        assert_eq!(config.settings.rule, Rule::default());
        assert!(!config.settings.bounded && config.sinks[0].starts_with("sqlite:./minutely-data/sim-"));
        assert_eq!(config.settings.max_keys, Settings::default().max_keys);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes = config(&[
            "--source",
            "nowhere:",
            "--sink",
            "influxdb1://h",
            "--state",
            "gs://bucket",
            "--http",
            "0.0.0.0:80",
            "--format",
            "csv",
            "--window",
            "0",
            "--lateness",
            "1",
            "--emit",
            "all",
            "-w",
            "0",
            "-n",
            "x",
            "--config",
            "f",
            "--as-of",
            "today",
            "--keep-open",
            "--complete-from",
            "yesterday",
            "-X",
            "sasl.password=hunter2",
            "--max-keys",
            "many",
            "--fetch-memory",
            "5",
            "--job",
            "../x",
            "--time-unit",
            "h",
            "--symbol-field",
            "@key",
            "--value-field",
            "",
        ])
        .unwrap_err();
        for part in [
            "source `nowhere:`",
            "after the host comes the database",
            "--state gs://bucket: is not known; it takes a folder",
            "--http 0.0.0.0:80: others could reach it",
            "--format csv: only `json`",
            "--window 0:",
            "--lateness 1:",
            "--emit all: is one of changes, final",
            "-w 0:",
            "-n x:",
            "--config f: comes later",
            "--as-of today:",
            "--keep-open: goes with",
            "--complete-from yesterday:",
            "-X sasl.password:",
            "--max-keys many:",
            "--fetch-memory 5: takes a size such as 64MB",
            "--job ../x:",
            "--time-unit h: is one of s, ms, us, ns",
            "have no keys",
        ] {
            assert!(mistakes.iter().any(|m| m.contains(part)), "{part} is not in {mistakes:#?}");
        }
        assert!(!mistakes.concat().contains("hunter2"), "a secret is never shown");
    }

    #[test]
    fn a_password_that_is_given_in_a_wrong_way_is_not_said_to_be_missing() {
        for password in ["sasl.password=hunter2", "sasl.password=env:MINUTELY_NO_SUCH", "sasl.password=file:/no/such"] {
            let args =
                ["--source", "kafka://b:1/t", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN"];
            let mistakes = config(&[&args[..], &["-X", "sasl.username=alice", "-X", password]].concat()).unwrap_err();
            assert!(mistakes.len() == 1 && mistakes[0].starts_with("-X sasl.password: "), "{mistakes:?}");
        }
    }

    #[test]
    fn a_path_may_have_spaces() {
        let config = config(&["--sink", "csv:my minutes.csv", "--sink", "sqlite:m.db"]).unwrap();
        assert_eq!(config.sinks, ["csv:my minutes.csv", "sqlite:m.db"]);
    }

    #[test]
    fn a_cluster_stays_on_loopback() {
        let two = config(&["-n", "2", "-p", "1"]).unwrap().cluster;
        assert_eq!(two.addresses, ["127.0.0.1:2101", "127.0.0.1:2102"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "127.0.0.1:3000\n192.0.2.1:3000\n").unwrap();
        let mistakes = config(&["-n", "2", "-h", file.path().to_str().unwrap()]).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].contains("192.0.2.1:3000 is not on this machine"), "{mistakes:?}");
        assert!(config(&["-n", "2", "-p", "2"]).unwrap_err()[0].contains("-p 2"));
        assert!(config(&["-n", "64", "-w", "8"]).unwrap_err()[0].contains("at most 256"));
    }

    #[test]
    fn the_job_is_named_by_what_it_means() {
        let folder = |args: &[&str]| config(args).unwrap().folder;
        assert_eq!(folder(&[]), folder(&["-w", "3", "--sink", "stdout:"]));
        assert_ne!(folder(&[]), folder(&["--lateness", "1m"]));
        // What was added to the semantics since has changed no name.
        let kafka = |more: &[&str]| folder(&[&["--data", "d", "--source", "kafka://a:1/ticks"], more].concat());
        assert_eq!(folder(&["--data", "d"]), PathBuf::from("d/sim-54e98843"));
        assert_eq!(folder(&["--data", "d", "--source", "file:/ticks/a.jsonl"]), PathBuf::from("d/file-f6d476ec"));
        assert_eq!(kafka(&[]), PathBuf::from("d/kafka-970ca490"));
        assert_eq!(kafka(&["-X", "isolation.level=read_committed", "-X", "fetch.wait.max.ms=5"]), kafka(&[]));
        assert_ne!(kafka(&["--complete-from", "2026-01-01T00:00:00Z"]), kafka(&[]));
        let same =
            ["2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00"].map(|time| kafka(&["--complete-from", time]));
        assert_eq!(same[0], same[1]);
        let uncommitted = kafka(&["-X", "isolation.level=read_uncommitted"]);
        assert_ne!(uncommitted, kafka(&[]));
        assert_eq!(kafka(&["-X", "isolation.level=READ_UNCOMMITTED"]), uncommitted);
        assert_eq!(folder(&["--job", "mine", "--data", "d"]), PathBuf::from("d/mine"));
    }
}
