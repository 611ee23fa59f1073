//! The one place where heart and hands meet: opens what a run needs, starts the workers, waits.

use crate::clock::Clock;
use crate::config::{Cluster, Config, Metrics};
use crate::live::{Live, say};
use crate::sinks::letters::{self, OpenLetters};
use crate::sinks::{self, OpenSink, SinkOptions};
use crate::sources::{self, SourceOptions};
use minutely_dataflows::Job;
use minutely_dataflows::acc::{Accumulate, Avg, Market};
use minutely_dataflows::control::{Settings, Status};
use minutely_dataflows::drive::{Alarm, Lead, drive};
use minutely_dataflows::edge::{Halt, HaltKind, LetterPort, LogSource, SinkPort, Takes, Wake};
use minutely_dataflows::emitter::Outlet;
use minutely_dataflows::time::{EventTime, first_epoch};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use timely::CommunicationConfig;
use timely::worker::Worker;

/// How long a source or sink may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until the log ends, somebody stops it, or it cannot go on.
///
/// # Errors
/// When it cannot go on, or could not begin.
pub(crate) fn run(config: Config, clock: Clock) -> Result<(), Halt> {
    match config.metrics {
        Metrics::Avg => run_with::<Avg>(config, clock),
        Metrics::Market => run_with::<Market>(config, clock),
    }
}

fn run_with<A: Accumulate>(config: Config, clock: Clock) -> Result<(), Halt> {
    let run_start = config.as_of.unwrap_or_else(|| clock.wall());
    let bounded = config.settings.bounded;
    let leader = Arc::new(Leader::default());
    let stop = on_signal(&leader)?;
    let sink_options = SinkOptions {
        emit: config.emit,
        market: config.metrics == Metrics::Market,
        windowing: config.settings.rule.windowing,
        patience: PATIENCE,
        wake: waking(&leader),
        data: config.folder.clone(),
        chain: None,
        generation: 0,
        clock,
    };
    let leads = config.cluster.process == 0;
    let letters_path = fresh_letters(&config.folder, clock.wall());
    if leads {
        letters::check_letters(&letters_path, &config.folder)?;
        config.sinks.iter().try_for_each(|uri| sinks::check(uri, &sink_options))?;
    }
    let source_options = SourceOptions {
        run_start,
        bounded,
        start: config.start,
        properties: config.properties.clone(),
        patience: PATIENCE,
        clock,
    };
    let source = sources::open(&config.source, &source_options)?;
    let hands = leads.then(|| Hands::open(&config.sinks, &sink_options, &letters_path)).transpose()?;
    let takes: Vec<Takes> = config.sinks.iter().flat_map(|uri| sinks::takes(uri, config.emit)).collect();
    if leads {
        say(&format!("{} -> {}", config.source, config.sinks.join(", ")));
    }

    let settings = Settings { instant: bounded.then_some(run_start), ..config.settings };
    let shared = Shared { settings, takes, source, decoder: config.decoder, bad_is_fatal: config.bad_is_fatal };
    let (hands, alarm) = (Mutex::new(hands), Arc::new(Alarm::default()));
    let ended = Arc::clone(&alarm);
    let workers = timely::execute(communication(config.cluster), move |worker| {
        let hands = if worker.index() == 0 { take(&hands) } else { None };
        work::<A>(worker, &shared, hands, &leader, &stop, clock, &alarm)
    })
    .map_err(|why| Halt::new(HaltKind::Unreachable, format!("the workers cannot start: {why}")))?;
    for worker in workers.join() {
        worker.map_err(|why| Halt::new(HaltKind::Internal, format!("a worker ended badly: {why}")))??;
    }
    ended.raised().map_or(Ok(()), Err)
}

/// What all workers of this process have in common.
struct Shared {
    settings: Settings,
    takes: Vec<Takes>,
    source: Arc<dyn LogSource>,
    decoder: minutely_dataflows::decode::Decoder,
    bad_is_fatal: bool,
}

/// Sinks and dead letters, which worker 0 alone uses.
struct Hands {
    sinks: Vec<OpenSink>,
    letters: OpenLetters,
    letters_path: PathBuf,
}

impl Hands {
    fn open(uris: &[String], options: &SinkOptions, letters_path: &Path) -> Result<Self, Halt> {
        let letters = letters::open_letters(letters_path, options.wake.clone())?;
        let mut sinks = Vec::new();
        for uri in uris {
            for sink in sinks::open(uri, options)? {
                tracing::info!(chain = ?sink.chain, "{} is open", sink.name);
                sinks.push(sink);
            }
        }
        Ok(Hands { sinks, letters, letters_path: letters_path.to_owned() })
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
    clock: Clock,
    alarm: &Alarm,
) -> Result<(), Halt> {
    let healths: Vec<_> = hands.iter().flat_map(|h| h.sinks.iter().map(|sink| Arc::clone(&sink.health))).collect();
    let (stop, readers) = (Arc::clone(stop), healths.clone());
    let job = Job {
        settings: shared.settings.clone(),
        decoder: shared.decoder.clone(),
        source: Arc::clone(&shared.source),
        clock: Rc::new(clock),
        first_epoch: first_epoch(0),
        bad_is_fatal: shared.bad_is_fatal,
        takes: shared.takes.clone(),
        stop: Rc::new(move || stop.load(Ordering::Acquire) || readers.iter().any(|health| health.closed())),
        rest: Rc::new(minutely_dataflows::park),
    };
    let Some(hands) = hands else { return drive::<A>(worker, job, None, alarm).map(drop) };
    leader.is(std::thread::current());
    let healths = healths.into_iter().chain([hands.letters.health]).collect();
    let live = Rc::new(std::cell::RefCell::new(Live::new(clock, healths, hands.letters_path)));
    let watching = Rc::clone(&live);
    let outlet = |sink: OpenSink| Outlet { name: sink.name, takes: sink.takes, port: sink.port as Box<dyn SinkPort> };
    let lead = Lead {
        outlets: hands.sinks.into_iter().map(outlet).collect(),
        letters: hands.letters.port as Box<dyn LetterPort>,
        watch: Box::new(move |status| watching.borrow_mut().commit(status)),
    };
    let status: Option<Status> = drive::<A>(worker, job, Some(lead), alarm)?;
    status.iter().for_each(|status| live.borrow().end(status));
    Ok(())
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

/// Set by the first SIGTERM or SIGINT; the second ends the process at once.
fn on_signal(leader: &Arc<Leader>) -> Result<Arc<AtomicBool>, Halt> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let no_signals = |e: std::io::Error| Halt::new(HaltKind::Internal, format!("signals cannot be handled: {e}"));
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(no_signals)?;
    let (set, leader) = (Arc::clone(&stop), Arc::clone(leader));
    let wait = move || {
        for signal in signals.forever() {
            if set.swap(true, Ordering::AcqRel) {
                std::process::exit(128 + signal);
            }
            say("stopping: one more commit; a second signal stops at once");
            leader.wake();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(no_signals)?;
    Ok(stop)
}

/// A path for this run's dead letters that nothing has yet.
fn fresh_letters(folder: &Path, now: EventTime) -> PathBuf {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(now.0)).unwrap_or_default();
    let stamp = stamp.strftime("%Y%m%dT%H%M%SZ");
    let path = |n: u32| match n {
        1 => folder.join(format!("dead-letters-{stamp}.jsonl")),
        n => folder.join(format!("dead-letters-{stamp}-{n}.jsonl")),
    };
    (1..).map(path).find(|path| !path.exists()).expect("one of so many is free")
}

fn communication(cluster: Cluster) -> timely::Config {
    let communication = if cluster.addresses.is_empty() {
        CommunicationConfig::Process(cluster.workers)
    } else {
        CommunicationConfig::Cluster {
            threads: cluster.workers,
            process: cluster.process,
            addresses: cluster.addresses,
            report: false,
            zerocopy: false,
        }
    };
    timely::Config { communication, worker: timely::WorkerConfig::default() }
}
