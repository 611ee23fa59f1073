//! The one place where heart and hands meet: opens what a run needs, starts the workers, waits.

use crate::clock::SystemClock;
use crate::cluster;
use crate::config::{Config, Metrics};
use crate::console::{Console, ConsoleOptions, say};
use crate::http;
use crate::resume::{begin, fresh_letters, letters_of, read, same_semantics, window};
use crate::signals::stop_on_signal;
use crate::sinks::dead_letters::{self, OpenDeadLetters};
use crate::sinks::{self, Emit, OpenSink, Owner, PriorState, SinkOptions, SqliteHistory};
use crate::sources::{self, SourceOptions};
use crate::store::{self, StoreUri};
use crate::text::CsvText;
use crate::threads::Health;
use crate::uri::redacted;
use minutely_dataflows::acc::{Accumulate, Avg, Market};
use minutely_dataflows::checkpoint::{self, Manifest};
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::edge::{
    DeadLetterPort, Halt, HaltKind, LogSource, ManifestPort, RowFilter, SinkPort, StateStore, Wake,
};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::row::Row;
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::first_epoch;
use minutely_dataflows::watch::Watcher;
use minutely_dataflows::worker::{Alarm, drive};
use minutely_dataflows::{Job, Restored};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};
use timely::worker::Worker;

/// How long a source or sink may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long what a broken invariant left is served yet, so that people see it, and Prometheus, which asks every few
/// seconds.
const SHOWN_AFTER: Duration = Duration::from_secs(15);

/// Runs until the log ends, somebody stops it, or it cannot go on. `open_files`: the limit of open files.
///
/// # Errors
/// When it cannot go on, or could not begin.
pub(crate) fn run(config: Config, clock: SystemClock, open_files: u64) -> Result<(), Halt> {
    match config.metrics {
        Metrics::Avg => run_with::<Avg>(config, clock, open_files),
        Metrics::Market => run_with::<Market>(config, clock, open_files),
    }
}

fn run_with<A: Accumulate>(config: Config, clock: SystemClock, open_files: u64) -> Result<(), Halt> {
    let run_start = config.as_of.unwrap_or_else(|| clock.wall());
    let bounded = config.settings.bounded;
    let leader = Arc::new(Leader::default());
    let begun = Arc::new(AtomicBool::new(false));
    let words = "stopping: one more commit; a second signal stops at once";
    let stop = stop_on_signal(words, Arc::clone(&begun), waking(&leader))?;
    let names = sink_names(&config);
    let fingerprint = fingerprint(&config, &names);
    let left = config.state.as_ref().map(store::peek).transpose()?.flatten();
    if let Some(left) = &left {
        same_semantics(left, &config)?;
        left.sinks_of_run(&names, &config.forget_sinks, window)?;
    }
    let sink_options = SinkOptions {
        emit: config.emit,
        market: config.metrics == Metrics::Market,
        windowing: config.settings.rule.windowing,
        patience: PATIENCE,
        wake: waking(&leader),
        data: config.folder.clone(),
        chain: None,
        position: None,
        generation: 0,
        take_over: config.take_over,
        left: left
            .as_ref()
            .zip(config.state.as_ref())
            .map(|(left, place)| PriorState { place: place.to_string(), seq: left.seq }),
        owner: owner(&config),
        take_sink: config.take_sink,
        begun: Arc::clone(&begun),
        clock,
    };
    let leads = config.cluster.process == 0;
    let listening = config.http.as_ref().filter(|_| leads).map(http::ListenAddress::listen).transpose()?;
    let letters_path = match &left {
        Some(left) => letters_of(&config.folder, &left.dead_letters, clock.wall())?,
        None => fresh_letters(&config.folder, clock.wall()),
    };
    let keep = left.as_ref().map(|left| left.dead_letters.position.unwrap_or(0));
    if leads {
        sinks::distinct(&config.sinks)?;
        dead_letters::check(&letters_path, &config.folder, keep)?;
        for uri in &config.sinks {
            let port = left.as_ref().and_then(|left| left.sink(&redacted(uri)));
            let (position, chain) = (port.and_then(|port| port.position), port.and_then(|port| port.chain));
            sinks::check(uri, &SinkOptions { position, chain, ..sink_options.clone() }).or_else(|halt| {
                // What another run does at this moment is no damage.
                let unmoved = left.as_ref().zip(config.state.as_ref());
                unmoved.map_or(Ok(()), |(left, place)| store::head_unchanged(place, left.seq))?;
                Err(halt)
            })?;
        }
    }
    let source_options = SourceOptions {
        run_start,
        bounded,
        start: config.start,
        properties: config.properties.clone(),
        fetch_memory: config.fetch_memory,
        processes: config.cluster.addresses.len().max(1),
        group: format!("minutely-{}", config.folder.file_name().unwrap_or_default().to_string_lossy()),
        answer_timeout: PATIENCE,
        clock,
    };
    let source = sources::open(&config.source, &source_options)?;
    let limit = bounded.then(|| Duration::from_nanos(config.settings.sink_timeout.unsigned_abs()));
    let place = config.state.as_ref().filter(|_| leads);
    if let (Some(StoreUri::Remote(..)), Some(_), false) = (place, &left, config.take_over) {
        let silence = store::SILENCE.as_secs();
        say(&format!("looks for {silence} s whether another run goes on with the state"));
    }
    let opened = place.map(|place| store::open(place, config.take_over, limit)).transpose()?;
    let head = opened
        .as_ref()
        .map(|opened| begin(opened, &config, &*source, &names, &letters_path, run_start, clock))
        .transpose()?;
    // What was looked at before may have been another run's until now.
    let (letters_path, keep) = match opened.as_ref().zip(head.as_ref()) {
        Some((opened, head)) => {
            let position = opened.head.as_ref().map(|head| head.dead_letters.position.unwrap_or(0));
            (letters_of(&config.folder, &head.dead_letters, clock.wall())?, position)
        }
        None => (letters_path, keep),
    };
    let seq = opened.as_ref().and_then(|opened| opened.head.as_ref()).and(head.as_ref()).map(|head| head.seq);
    let sink_options = SinkOptions {
        left: seq.zip(config.state.as_ref()).map(|(seq, place)| PriorState { place: place.to_string(), seq }),
        ..sink_options
    };
    let hands = leads.then(|| Hands::open(&config.sinks, &sink_options, &letters_path, keep, head.as_ref()));
    let mut hands = hands.transpose()?;
    if let (Some(hands), Some(opened), Some(head)) = (&mut hands, &opened, &head) {
        hands.manifests = Some(opened.manifests(head, waking(&leader))?);
    }
    let takes: Vec<RowFilter> = config.sinks.iter().flat_map(|uri| sinks::takes(uri, config.emit)).collect();
    if leads {
        let sinks: Vec<_> = config.sinks.iter().map(|uri| redacted(uri)).collect();
        say(&format!("{} -> {}", redacted(&config.source), sinks.join(", ")));
    }
    let served = serve(listening, hands.as_mut(), head.as_ref(), &config, &source, clock, open_files)?;

    let opened_at = bounded.then(|| run_start.max(clock.wall()));
    let settings = Settings { instant: bounded.then_some(run_start), opened_at, ..config.settings };
    let store = match (opened.as_ref(), &config.state) {
        (Some(opened), _) => Some(Arc::clone(&opened.store)),
        (None, place) => place.as_ref().map(|place| store::store(place, limit)),
    };
    let shared = Shared {
        settings,
        live: match &served {
            Some(every) => Some(Arc::clone(every)),
            // Rows of another process go to process 0, which alone knows whether somebody looks.
            None => (config.http.is_some() && !leads).then(|| Arc::new(|| http::EVERY_NS) as Every),
        },
        takes,
        names,
        source,
        fields: config.fields,
        decoder: config.decoder,
        bad_is_fatal: config.bad_is_fatal,
        store,
        place: config.state,
        state_health: opened.as_ref().map(|opened| Arc::clone(&opened.health)),
        head: head.map(Arc::new),
        read_before: left.filter(|_| bounded).map(|left| read(&left)),
    };
    let (serves, told) = (served.is_some(), Arc::clone(&stop));
    let (hands, alarm) = (Mutex::new(hands), Arc::new(Alarm::default()));
    let ended = Arc::clone(&alarm);
    let data = config.folder.parent().unwrap_or(&config.folder);
    let workers = cluster::execute(&config.cluster, fingerprint, data, move |worker| {
        begun.store(true, Ordering::Release);
        let hands = if worker.index() == 0 { take(&hands) } else { None };
        work::<A>(worker, &shared, hands, &leader, &stop, clock, &alarm)
    })?;
    let mut outcome = Ok(());
    for worker in workers.join() {
        let worker = worker.map_err(|why| Halt::new(HaltKind::Internal, format!("a worker ended badly: {why}")));
        outcome = outcome.and(worker.flatten());
    }
    let outcome = ended.raised().map_or(outcome, Err);
    if let Err(Halt { kind: HaltKind::Internal, why }) = &outcome
        && serves
    {
        say(&format!("has come to a halt: {why}; page and metrics show it for {} s more", SHOWN_AFTER.as_secs()));
        let until = Instant::now() + SHOWN_AFTER;
        while Instant::now() < until && !told.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    outcome
}

/// Nanoseconds between two looks at rows.
type Every = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Serves, where that was asked for and a port was free; says where, and how often rows are to be read for it.
fn serve(
    listening: Option<Option<http::BoundSocket>>,
    hands: Option<&mut Hands>,
    head: Option<&Manifest>,
    config: &Config,
    source: &Arc<dyn LogSource>,
    clock: SystemClock,
    open_files: u64,
) -> Result<Option<Every>, Halt> {
    let (Some(listening), Some(hands)) = (listening, hands) else { return Ok(None) };
    let Some(listening) = listening else {
        say("no page and no API: ports 8080 to 8099 are taken; name another with --http");
        return Ok(None);
    };
    let healths: Vec<_> = hands.sinks.iter().map(|sink| Arc::clone(&sink.health)).collect();
    let sinks_now = move || {
        let now = |health: &Arc<Health>| http::SinkReport {
            trouble: health.trouble(),
            remark: health.remark(),
            unwritable: health.unwritable(),
        };
        healths.iter().map(now).collect()
    };
    let source = Arc::clone(source);
    let source_now = move || http::SourceReport {
        trouble: source.trouble(),
        concerns: source.concerns(),
        waiting: source.waiting(),
    };
    let market = config.metrics == Metrics::Market;
    let history = sinks::stored(&config.sinks, config.settings.rule.windowing);
    let history = history.map(|stored| Arc::new(History(stored)) as Arc<_>);
    let about = http::RunInfo {
        job: config.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: redacted(&config.source),
        source_now: Box::new(source_now),
        sinks_uri: config.sinks.iter().map(|uri| redacted(uri)).collect(),
        sinks: sink_names(config),
        sinks_now: Box::new(sinks_now),
        workers: config.cluster.workers * config.cluster.addresses.len().max(1),
        settings: config.settings.clone(),
        unit: config.fields.unit,
        market,
        partial: crate::console::partial,
        emit: match config.emit {
            Emit::Changes => "changes",
            Emit::Final => "final",
        },
        state: config.state.as_ref().map(ToString::to_string),
        since: head.and_then(|head| head.parts.iter().map(|part| part.retired_before).max().flatten()),
        history,
        csv: |about, rows| {
            let mut text = CsvText::new(about.market, about.settings.rule.windowing);
            let mut out = Vec::new();
            match rows {
                None => out.extend_from_slice(text.header().as_bytes()),
                Some(rows) => text.rows(rows, &mut out),
            }
            out
        },
        clock,
        open_files,
    };
    say(&format!("live at {}", listening.shown()));
    let started = http::start(listening, about)?;
    hands.watcher = Some(started.watcher());
    Ok(Some(Arc::new(started.every())))
}

/// Rows that the first `sqlite:` sink has stored.
struct History(SqliteHistory);

impl http::History for History {
    fn page(&self, wanted: &http::RowQuery, limit: usize) -> Result<Vec<Row>, String> {
        let http::RowQuery { from, to, symbols, after } = wanted;
        self.0.page(*from..*to, symbols.as_deref(), after.as_ref(), limit)
    }
}

/// What all workers of this process have in common.
struct Shared {
    settings: Settings,
    live: Option<Every>,
    takes: Vec<RowFilter>,
    /// What sinks are called in the state.
    names: Vec<String>,
    source: Arc<dyn LogSource>,
    fields: FieldNames,
    decoder: minutely_dataflows::decode::Decoder,
    bad_is_fatal: bool,
    store: Option<Arc<dyn StateStore>>,
    place: Option<StoreUri>,
    state_health: Option<Arc<store::StoreHealth>>,
    /// Process 0 has published it; the others read it once all are connected, for nothing is committed before that.
    head: Option<Arc<Manifest>>,
    /// A bounded run that goes on: how many records were read before.
    read_before: Option<i64>,
}

impl Shared {
    fn kept(&self) -> Result<Option<Restored>, Halt> {
        let (Some(store), Some(place)) = (&self.store, &self.place) else { return Ok(None) };
        let head = match &self.head {
            Some(head) => Arc::clone(head),
            None => Arc::new(store::follow(place)?),
        };
        let lines = self.names.iter().map(|name| head.sink(name).and_then(|sink| sink.stored_before)).collect();
        Ok(Some(Restored { store: Arc::clone(store), head, stored_before: lines }))
    }
}

/// What sinks are called in the state, in the order of [`sinks::takes`].
fn sink_names(config: &Config) -> Vec<String> {
    let numbered = |uri: &String| {
        let name = redacted(uri);
        let number = move |n: usize| if n == 0 { name.clone() } else { format!("{name}#{n}") };
        (0..sinks::takes(uri, config.emit).len()).map(number).collect::<Vec<_>>()
    };
    config.sinks.iter().flat_map(numbered).collect()
}

/// Whose rows they are.
fn owner(config: &Config) -> Owner {
    let job = config.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Owner { job, semantics: checkpoint::hash(format!("{:?}", config.semantics).as_bytes()) }
}

/// Of what all processes of a run must have in common.
fn fingerprint(config: &Config, sinks: &[String]) -> u64 {
    let Config { semantics, emit, settings, start, as_of, .. } = config;
    let state = config.state.as_ref().map(ToString::to_string);
    let all = (env!("CARGO_PKG_VERSION"), semantics, sinks, emit, state, settings, start, as_of);
    xxhash_rust::xxh3::xxh3_64(format!("{all:?}").as_bytes())
}

/// Sinks and dead letters, which worker 0 alone uses.
struct Hands {
    sinks: Vec<OpenSink>,
    letters: OpenDeadLetters,
    letters_path: PathBuf,
    manifests: Option<Box<dyn ManifestPort + Send>>,
    watcher: Option<Box<dyn Watcher + Send>>,
}

impl Hands {
    fn open(
        uris: &[String],
        options: &SinkOptions,
        letters_path: &Path,
        keep: Option<u64>,
        head: Option<&Manifest>,
    ) -> Result<Self, Halt> {
        let letters = dead_letters::open(letters_path, options.wake.clone(), keep, options.take_over)?;
        let mut sinks = Vec::new();
        for uri in uris {
            let left = head.and_then(|head| head.sink(&redacted(uri)));
            let options = SinkOptions {
                chain: left.and_then(|left| left.chain),
                position: left.and_then(|left| left.position),
                generation: head.map_or(0, |head| head.generation),
                ..options.clone()
            };
            for sink in sinks::open(uri, &options)? {
                tracing::info!(chain = ?sink.chain, "{} is open", sink.name);
                sinks.push(sink);
            }
        }
        Ok(Hands { sinks, letters, letters_path: letters_path.to_owned(), manifests: None, watcher: None })
    }
}

fn take(hands: &Mutex<Option<Hands>>) -> Option<Hands> {
    hands.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// One worker's life.
fn work<A: Accumulate>(
    worker: &mut Worker,
    shared: &Shared,
    hands: Option<Hands>,
    leader: &Arc<Leader>,
    stop: &Arc<AtomicBool>,
    clock: SystemClock,
    alarm: &Alarm,
) -> Result<(), Halt> {
    let healths: Vec<_> = hands.iter().flat_map(|h| h.sinks.iter().map(|sink| Arc::clone(&sink.health))).collect();
    let (told, sinks_of_run) = (Arc::clone(stop), healths.clone());
    let (stop, readers) = (Arc::clone(stop), healths.clone());
    let kept = shared.kept().inspect_err(|halt| alarm.raise(halt))?;
    let job = Job {
        settings: shared.settings.clone(),
        decoder: shared.decoder.clone(),
        source: Arc::clone(&shared.source),
        clock: Rc::new(clock),
        first_epoch: first_epoch(kept.as_ref().map_or(0, |kept| kept.head.generation)),
        bad_is_fatal: shared.bad_is_fatal,
        filters: shared.takes.clone(),
        state: kept,
        stop: Rc::new(move || stop.load(Ordering::Acquire) || readers.iter().any(|health| health.closed())),
        park: Rc::new(minutely_dataflows::park),
        preview_interval: shared.live.clone().map(|every| Rc::new(move || every()) as Rc<dyn Fn() -> i64>),
    };
    let Some(hands) = hands else { return drive::<A>(worker, job, None, alarm).map(drop) };
    leader.is(std::thread::current());
    let letters_name = hands.letters_path.to_string_lossy().into_owned();
    let healths: Vec<_> = healths.into_iter().chain([hands.letters.health]).collect();
    let windowing = shared.settings.rule.windowing;
    let (source, letters_path, fields) = (Arc::clone(&shared.source), hands.letters_path, shared.fields.clone());
    let (writers, state) = (healths.clone(), shared.state_health.clone());
    let complaints = move || {
        let state = state.iter().filter_map(|health| health.complaint());
        writers.iter().filter_map(|health| health.complaint()).chain(state).collect()
    };
    let unwritable = move || healths.iter().map(|health| health.unwritable()).sum();
    let live = Console::new(ConsoleOptions {
        clock,
        source,
        complaints: Box::new(complaints),
        unwritable: Box::new(unwritable),
        dead_letters: letters_path,
        windowing,
        fields,
    });
    let live = Rc::new(std::cell::RefCell::new(live));
    let watching = Rc::clone(&live);
    let outlet = |(name, sink): (&String, OpenSink)| SinkHandle {
        name: name.clone(),
        takes: sink.takes,
        port: sink.port as Box<dyn SinkPort>,
        chain: sink.chain,
    };
    let lead = LeaderOutputs {
        sinks: shared.names.iter().zip(hands.sinks).map(outlet).collect(),
        dead_letters: hands.letters.port as Box<dyn DeadLetterPort>,
        dead_letters_name: letters_name,
        manifests: hands.manifests.map(|port| port as Box<dyn ManifestPort>),
        watch: Box::new(move |status| watching.borrow_mut().show(status)),
        watcher: hands.watcher.map(|watcher| watcher as Box<dyn Watcher>),
    };
    let status: Option<Status> = drive::<A>(worker, job, Some(lead), alarm)?;
    if let Some(status) = status {
        live.borrow().end(&status);
        if shared.read_before == Some(status.ledger.counts.read) {
            say("nothing is new in the log since the last run");
        }
        if shared.settings.bounded && !told.load(Ordering::Acquire) {
            return something_is_stored(&sinks_of_run);
        }
    }
    Ok(())
}

/// A bounded run of which a database has taken nothing has not done what it was for.
fn something_is_stored(sinks: &[Arc<Health>]) -> Result<(), Halt> {
    let refused = sinks.iter().find_map(|health| Some((health.name(), health.refused_all()?)));
    refused.map_or(Ok(()), |(name, points)| {
        let why = format!(
            "sink {name}: the database refused all {points} points of this run, and nothing is stored; unwritable.jsonl in the \
             job's folder has each with its reason (a retention that is shorter than the data is old, fields of another type, \
             ...): mend that, and begin anew with `minutely state rebuild`"
        );
        Err(Halt::new(HaltKind::Data, why))
    })
}

/// Worker 0's thread, once it runs: whoever has news for it wakes it.
#[derive(Default)]
struct Leader(Mutex<Option<Thread>>);

impl Leader {
    fn is(&self, thread: Thread) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(thread);
    }

    fn wake(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
    }
}

fn waking(leader: &Arc<Leader>) -> Wake {
    let leader = Arc::clone(leader);
    Arc::new(move || leader.wake())
}
