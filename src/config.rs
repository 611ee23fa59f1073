//! What the options of a run mean, and all that is wrong with them, at once and before any effect.

mod cluster;
mod decoding;
mod log;
mod properties;
mod settings;
mod sinks;

pub(crate) use crate::cli::Metrics;
pub(crate) use cluster::Cluster;
pub(crate) use log::start;
pub(crate) use properties::properties;

use crate::cli::{HttpArgs, OnBad, RunArgs, UsageErrors};
use crate::http;
use crate::sinks::Emit;
use crate::sources::{self, Start};
use crate::store::StoreUri;
use crate::uri::redacted;
use log::LogRange;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::EventTime;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A run, as asked for.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) source: String,
    pub(crate) sinks: Vec<String>,
    /// The job's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) fields: FieldNames,
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
    /// What verdicts and sums depend on, by option: a state belongs to them.
    pub(crate) semantics: BTreeMap<String, String>,
}

impl Config {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn of(args: &RunArgs) -> Result<Config, UsageErrors> {
        let mut errors = UsageErrors::default();
        let state = args.state.place.as_deref().filter(|text| *text != "none");
        let state = state.and_then(|text| errors.ok(StoreUri::parse(text)));
        let http = http(&args.http, &mut errors);
        errors.value(&args.decoding.format);
        let properties = properties(&args.kafka.properties, &mut errors);
        errors.extend(sources::validate(&args.log.source, &properties));
        let sinks = sinks::given(&args.sinks.uris, &mut errors);
        let stateless = args.state.place.as_deref() == Some("none");
        let log = LogRange::of(&args.log, stateless, &mut errors);
        let fields = decoding::fields(&args.decoding, &args.log.source, &mut errors);
        let decoder = fields.as_ref().and_then(|fields| decoding::decoder(fields, &mut errors));
        let settings = settings::settings(args, &log, state.as_ref(), &mut errors);
        let fetch_memory = errors.value(&args.kafka.fetch_memory);
        let emit = errors.value(&args.sinks.emit).map(sinks::emit);
        let metrics = errors.value(&args.semantics.metrics);
        let on_bad = errors.value(&args.decoding.on_bad);
        let cluster = cluster::cluster(&args.cluster, &mut errors);
        let job = job(args, &properties, &mut errors);
        let config = (|| {
            let folder = PathBuf::from(&args.state.data).join(job?);
            let default_sink = || format!("sqlite:{}", folder.join("minutes.db").display());
            let sinks = if sinks.is_empty() { vec![default_sink()] } else { sinks };
            let state = match args.state.place.as_deref() {
                Some("none") => None,
                Some(_) => Some(state?),
                None => Some(StoreUri::Folder(folder.join("state"))),
            };
            Some(Config {
                state,
                take_over: args.state.take_over,
                accept_changed_log: args.state.accept_changed_log,
                forget_sinks: args.sinks.forget.iter().map(|uri| redacted(uri)).collect(),
                take_sink: args.sinks.take,
                http,
                semantics: semantics(args, &properties),
                source: args.log.source.clone(),
                sinks,
                folder,
                fields: fields?,
                decoder: decoder?,
                settings: settings?,
                emit: emit?,
                metrics: metrics?,
                bad_is_fatal: on_bad? == OnBad::Fatal,
                start: log.start?,
                as_of: log.as_of,
                properties,
                fetch_memory: fetch_memory?,
                cluster: cluster?,
            })
        })();
        errors.unless_any(config)
    }
}

/// Where to serve, if at all.
fn http(args: &HttpArgs, errors: &mut UsageErrors) -> Option<http::ListenAddress> {
    let token = std::env::var("MINUTELY_HTTP_TOKEN").ok();
    let token_file = args.token_file.as_deref();
    errors.all_ok(http::ListenAddress::of(args.address.as_deref(), args.public, &args.hosts, token_file, token))
}

/// What verdicts and sums depend on.
fn semantics(args: &RunArgs, properties: &[(String, String)]) -> BTreeMap<String, String> {
    let options = [
        ("--source", &sources::identity(&args.log.source)),
        ("--format", &args.decoding.format.text().to_owned()),
        ("--symbol-field", &args.decoding.symbol_field),
        ("--value-field", &args.decoding.value_field),
        ("--time-field", &args.decoding.time_field),
        ("--time-unit", &args.decoding.time_unit.text().to_owned()),
        ("--weight-field", &args.decoding.weight_field),
        ("--window", &args.semantics.window.text().to_owned()),
        ("--lateness", &args.semantics.lateness.text().to_owned()),
        ("--max-future", &args.semantics.max_future.text().to_owned()),
        ("--metrics", &args.semantics.metrics.text().to_owned()),
    ];
    // What has its default value has no entry: so a state that is older than the option is one of the default.
    let of_source = sources::semantics(&args.log.source, properties);
    let options = options.into_iter().map(|(name, value)| (name, value.clone())).chain(complete_from(args));
    let past = args.semantics.max_past.iter().map(|past| ("--max-past", past.text().to_owned()));
    let options = options.chain(past);
    options.map(|(name, value)| (name.to_owned(), value)).chain(of_source).collect()
}

/// It decides which rows are `partial`: with and without it they would be two answers in one state. However it is written.
fn complete_from(args: &RunArgs) -> Option<(&'static str, String)> {
    let text = args.log.complete_from.as_ref()?.text();
    let time = text.parse::<jiff::Timestamp>().map_or_else(|_| text.to_owned(), |time| time.to_string());
    Some(("--complete-from", time))
}

/// What an option is that a state or a run has no entry for.
pub(crate) fn absent(name: &str) -> &'static str {
    match name {
        sources::ISOLATION => "read_committed",
        _ => "not given",
    }
}

/// The job's name: what it was called, or the source's scheme and a hash of source and semantics.
fn job(args: &RunArgs, properties: &[(String, String)], errors: &mut UsageErrors) -> Option<String> {
    match &args.state.job {
        Some(name) => errors.value(name),
        None => {
            let scheme = args.log.source.split(':').next().unwrap_or("job");
            let text = semantics(args, properties)
                .into_iter()
                .map(|(name, value)| format!("{name}\0{value}\0"))
                .collect::<String>();
            let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 32;
            Some(format!("{scheme}-{hash:08x}"))
        }
    }
}

#[cfg(test)]
mod tests;
