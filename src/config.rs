//! What the options of a run mean, and all that is wrong with them, at once and before any effect.

mod cleaning;
mod cluster;
mod decoding;
mod edges;
mod groups;
mod log;
mod schemas;
mod session;
mod settings;
mod sinks;

pub(crate) use crate::cli::Metrics;
pub(crate) use decoding::of_replay;
pub(crate) use edges::SinkBasis;
pub(crate) use groups::GroupsFile;

use crate::cli::{HttpArgs, RunArgs, UsageErrors};
use crate::cluster::Cluster;
use crate::http;
use crate::job_folder::JobFolder;
use crate::kafka::{self, GivenProperties};
use crate::registry::Registry;
use crate::semantics::{Entries, LATENESS, MAX_FUTURE, MAX_PAST, Semantics, WINDOW};
use crate::sinks::{Emit, secret_warning};
use crate::sources::{self, Start};
use crate::store::StoreUri;
use crate::text::Columns;
use crate::uri::redacted;
use log::LogRange;
use minutely_dataflows::BadRecordPolicy;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::EventTime;
use schemas::Decoding;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run, as asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) source: String,
    pub(crate) sinks: Vec<String>,
    /// The job's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) fields: FieldNames,
    pub(crate) decoder: Decoder,
    /// Asked for schemas, where the format has them.
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) settings: Settings,
    /// `--groups`, at process 0.
    pub(crate) groups: Option<GroupsFile>,
    pub(crate) emit: Emit,
    pub(crate) metrics: Metrics,
    pub(crate) bad_records: BadRecordPolicy,
    pub(crate) start: Start,
    /// `--as-of`.
    pub(crate) as_of: Option<EventTime>,
    pub(crate) properties: Vec<(String, String)>,
    /// `--fetch-memory`, in bytes.
    pub(crate) fetch_memory: u64,
    pub(crate) cluster: Cluster,
    /// Where checkpoints are.
    pub(crate) state: Option<StoreUri>,
    /// `--dead-letter-file-size`, in bytes; none: a file of dead letters is never full.
    pub(crate) dead_letter_file_size: Option<u64>,
    pub(crate) take_over: bool,
    pub(crate) accept_changed_log: bool,
    /// What `--forget-sink` names, as the state calls it.
    pub(crate) forget_sinks: Vec<String>,
    /// `--take-sink`.
    pub(crate) take_sink: bool,
    /// `--sink-from earliest`: sinks are given what they lack.
    pub(crate) fills_sinks: bool,
    /// Where to serve, if at all.
    pub(crate) http: Option<http::ListenAddress>,
    /// What verdicts and sums depend on: a state belongs to it.
    pub(crate) semantics: Semantics,
    /// As a new chain and the sinks record it: see [`JobFolder`].
    pub(crate) recorded: Entries,
    /// Files of secrets that other users can read.
    pub(crate) warnings: Vec<String>,
    /// What people should know of the job's folder.
    pub(crate) folder_remark: Option<String>,
    /// As [`JobFolder`] has it.
    pub(crate) as_typed: Option<(String, Entries)>,
}

impl Config {
    /// The columns of rows.
    pub(crate) fn columns(&self) -> Columns {
        let market = self.metrics == Metrics::Market;
        let columns = Columns::new(market, &self.settings.derive, self.settings.windows.levels());
        Columns { groups: self.groups.is_some(), ..columns }
    }

    /// What these arguments mean.
    ///
    /// # Errors
    /// All of them.
    pub(crate) fn of(args: &RunArgs) -> Result<Config, UsageErrors> {
        let mut errors = UsageErrors::default();
        let state = args.state.place.as_deref().filter(|text| *text != "none");
        let state = state.and_then(|text| errors.ok(StoreUri::parse(text)));
        let http = http(&args.http, &mut errors);
        let GivenProperties { properties, mistakes, mut warnings } = kafka::properties(&args.kafka.properties);
        errors.extend(mistakes);
        errors.extend(sources::validate(&args.log.source, &properties));
        let sinks = sinks::given(&args.sinks.uris, &mut errors);
        let of_sinks: BTreeSet<String> = sinks.iter().filter_map(|uri| secret_warning(uri)).collect();
        warnings.extend(http.iter().filter_map(|http| http.warning()).map(str::to_owned).chain(of_sinks));
        let stateless = log::stateless(args, &mut errors);
        let log = LogRange::of(&args.log, stateless, &mut errors);
        let fields = decoding::fields(&args.decoding, &args.log.source, &mut errors);
        let Decoding { decoder, registry, file_hash } = Decoding::of(args, fields.as_ref(), &mut errors);
        warnings.extend(registry.iter().filter_map(|registry| registry.warning()).map(str::to_owned));
        let settings = settings::settings(args, &log, state.as_ref(), &mut errors);
        let (size, fetch) = (errors.value(&args.state.dead_letter_file_size), errors.value(&args.kafka.fetch_memory));
        let (emit, fills_sinks) = sinks::rows(&args.sinks, stateless, &mut errors);
        let (metrics, on_bad) = (errors.value(&args.semantics.metrics), errors.value(&args.decoding.on_bad));
        let cluster = cluster::cluster(&args.cluster, &args.log.source, &mut errors, &mut warnings);
        let groups = groups::given(args.sinks.groups.as_deref(), cluster.as_ref(), &mut errors);
        let job_name = args.state.job.as_ref().map_or(Some(None), |name| errors.value(name).map(Some));
        let config = (|| {
            let (fields, metrics, settings) = (fields?, metrics?, settings?);
            let semantics = Semantics {
                schema: file_hash,
                ..semantics(&args.log.source, &fields, &settings, metrics, &properties)
            };
            let JobFolder { folder, recorded, remark, as_typed } = job_folder(args, job_name?.as_deref(), &semantics);
            let sinks = sinks::or_default(sinks, &folder);
            let state = match args.state.place.as_deref() {
                _ if stateless => None,
                Some(_) => Some(state?),
                None => Some(StoreUri::Folder(folder.join("state"))),
            };
            Some(Config {
                state,
                dead_letter_file_size: size?,
                take_over: args.state.take_over,
                accept_changed_log: args.state.accept_changed_log,
                forget_sinks: args.sinks.forget.iter().map(|uri| redacted(uri)).collect(),
                take_sink: args.sinks.take,
                fills_sinks: fills_sinks?,
                http,
                semantics,
                recorded,
                warnings,
                folder_remark: remark,
                as_typed,
                source: args.log.source.clone(),
                sinks,
                folder,
                fields,
                decoder: decoder?,
                registry,
                settings,
                groups,
                emit: emit?,
                metrics,
                bad_records: on_bad?,
                start: log.start?,
                as_of: log.as_of,
                properties,
                fetch_memory: fetch?,
                cluster: cluster?,
            })
        })();
        errors.unless_any(config)
    }
}

/// What verdicts and sums depend on.
fn semantics(
    source: &str,
    fields: &FieldNames,
    settings: &Settings,
    metrics: Metrics,
    properties: &[(String, String)],
) -> Semantics {
    Semantics {
        source: sources::identity(source),
        fields: fields.clone(),
        schema: None,
        windowing: settings.rule.windowing,
        max_future: settings.rule.max_future,
        max_past: settings.rule.max_past,
        cleaning: cleaning::texts(settings.rule.cleaning, fields.numbers.decimals),
        market: metrics == Metrics::Market,
        derive: settings.derive.clone(),
        windows: settings.windows.list().clone(),
        complete_from: settings.complete_from,
        isolation: sources::isolation(source, properties),
    }
}

/// Where to serve, if at all.
fn http(args: &HttpArgs, errors: &mut UsageErrors) -> Option<http::ListenAddress> {
    let token = std::env::var("MINUTELY_HTTP_TOKEN").ok();
    let token_file = args.token_file.as_deref();
    errors.all_ok(http::ListenAddress::of(args.address.as_deref(), args.public, &args.hosts, token_file, token))
}

/// The job's folder, if need be by what was typed: see [`JobFolder`].
fn job_folder(args: &RunArgs, name: Option<&str>, semantics: &Semantics) -> JobFolder {
    let data = Path::new(&args.state.data);
    let given = &args.semantics;
    let past = given.max_past.as_ref().map(|past| (MAX_PAST, past.text()));
    let typed =
        [(WINDOW, given.window.text()), (LATENESS, given.lateness.text()), (MAX_FUTURE, given.max_future.text())];
    let typed: Vec<_> = typed.into_iter().chain(past).collect();
    match name {
        Some(name) => JobFolder::named(data, name, semantics, &typed),
        None => JobFolder::by_semantics(data, semantics, &typed),
    }
}

#[cfg(test)]
mod tests;
