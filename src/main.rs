//! minutely: exact one-minute event-time averages. See `README.md`.

mod advice;
mod amend;
mod bar;
mod cli;
mod clock;
mod cluster;
mod config;
mod console;
mod dead_letter_files;
mod dead_letter_line;
mod descriptors;
mod duration;
mod explain;
mod fmt;
#[cfg(test)]
mod fuzz;
mod http;
mod independent;
mod inspect;
mod job_folder;
mod kafka;
mod letters;
mod messages;
mod metrics_text;
mod produce;
mod property;
mod rabbitmq;
mod redrive;
mod registry;
mod repair;
mod secret;
mod semantics;
mod signals;
mod sinks;
mod size;
mod sources;
mod start;
mod start_at;
mod store;
mod text;
mod threads;
mod uri;
mod verify;

use amend::AmendPlan;
use cli::{
    AmendArgs, Command, ConfigCommand, DigestArgs, EarlyExit, ExplainArgs, Given, HealthArgs, Layers, LettersArgs,
    Parsed, ProduceArgs, RedriveArgs, RepairArgs, RunArgs, ShownCommand, StateCommand, UsageErrors, VerifyArgs,
};
use config::Config;
use console::{error, warn};
use explain::ExplainPlan;
use messages::{MessageOptions, Severity};
use minutely_dataflows::decode::Decoder;
use minutely_dataflows::edge::{Halt, HaltKind, LogSource};
use minutely_dataflows::time::EventTime;
use redrive::RedrivePlan;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use verify::{AskedMinutes, VerifyPlan};

/// C's malloc too: librdkafka allocates messages on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit_on_worker_panic();
    let parsed = match command() {
        Ok(parsed) => parsed,
        Err(EarlyExit::Printed) => return ExitCode::SUCCESS,
        Err(EarlyExit::Usage(why)) => return fail(&why, HaltKind::Usage),
        Err(EarlyExit::Mistakes(all)) => {
            all.iter().for_each(|why| error(why));
            return ExitCode::from(exit_code(HaltKind::Usage));
        }
    };
    disable_huge_pages();
    match execute(parsed, descriptors::raise_limit()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Halt(halt)) => fail(&advice::of_halt(&halt), halt.kind),
        Err(Failure::Usage(errors)) => {
            errors.iter().for_each(error);
            ExitCode::from(exit_code(HaltKind::Usage))
        }
    }
}

/// Carries out a command. `open_files`: how many this process may have.
fn execute(parsed: Parsed, open_files: u64) -> Result<(), Failure> {
    let Parsed { command, layers, shown } = parsed;
    let clock = clock::SystemClock::start();
    match command {
        Command::Run(args) => configured(&args, &layers, |config| start::run(config, clock, open_files)),
        Command::Check { records, run } => {
            check(&records, &run, &layers, |config, records| start::check(config, clock, open_files, records))
        }
        Command::State { command, .. } => state(&command, &layers, clock),
        Command::Verify(args) => verify(&args, &layers, clock),
        Command::Repair(args) => repair(&args, &layers, clock),
        Command::Digest(args) => digest(&args, &layers),
        Command::Explain(args) => explain(&args, &layers, clock),
        Command::Amend(args) => amend(&args, &layers, clock),
        Command::Produce(args) => produce(&args, &layers, clock),
        Command::Letters(args) => letters(&args, &layers),
        Command::Redrive(args) => redrive(&args, &layers, clock),
        Command::Health(args) => health(&args, &layers),
        Command::Config { command: ConfigCommand::Show { of: None, run }, .. } => show_run(&run, &layers, &shown),
        Command::Config { command: ConfigCommand::Show { of: Some(ShownCommand::Produce(args)), .. }, .. } => {
            show_produce(&args, &layers, &shown)
        }
        Command::ClusterKey(_) => {
            let key = cluster::ClusterKey::random().map_err(|e| Halt::new(HaltKind::Internal, e.to_string()))?;
            written(std::io::stdout().write_all(format!("{}\n", key.text()).as_bytes()))
        }
        Command::Completions(args) => written(args.write(&mut std::io::stdout().lock())),
        Command::Man(args) => {
            let page = args.page().map_err(|why| Halt::new(HaltKind::Usage, why))?;
            written(std::io::stdout().write_all(&page))
        }
    }
}

/// Why a command failed.
enum Failure {
    Usage(UsageErrors),
    Halt(Halt),
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        Failure::Halt(halt)
    }
}

impl From<UsageErrors> for Failure {
    fn from(errors: UsageErrors) -> Self {
        Failure::Usage(errors)
    }
}

/// What the words of the command line ask for. Warns of variables of the environment that no command reads. From then on
/// messages are written as it says.
fn command() -> Result<Parsed, EarlyExit> {
    let words = std::env::args_os().map(|word| {
        word.into_string()
            .map_err(|word| EarlyExit::Usage(format!("argument `{}` is not UTF-8", word.to_string_lossy())))
    });
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    let format = cli::early_format(&words, std::env::var("MINUTELY_LOG_FORMAT").ok());
    let early = MessageOptions { format, level: Severity::Info, progress: false };
    messages::configure(early);
    let variable = |name: &str| std::env::var_os(name);
    let read = |path: &Path| secret::read(path).map(|read| (read.text, read.warning));
    let parsed = cli::parse(&words, &cli::Outside { variable: &variable, read: &read })?;
    let options = parsed.command.common().map_or(early, cli::CommonArgs::messages);
    messages::configure(options);
    messages::write_events(&filter(options.level, parsed.layers.has("log-level") || asks_for_level(&words)));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mentioned: Vec<_> = words.iter().chain(parsed.layers.values()).cloned().collect();
    cli::unread_variables(&cli::command(), names, &mentioned).iter().for_each(|warning| warn(warning));
    parsed.layers.warnings.iter().for_each(|warning| warn(warning));
    Ok(parsed)
}

fn configured(
    args: &RunArgs,
    layers: &Layers,
    execute: impl FnOnce(Config) -> Result<(), Halt>,
) -> Result<(), Failure> {
    let config = layers.check(Config::of(args))?;
    config.warnings.iter().for_each(|warning| warn(warning));
    Ok(execute(config)?)
}

/// `minutely check`.
fn check(
    records: &Given<usize>,
    run: &RunArgs,
    layers: &Layers,
    execute: impl FnOnce(Config, usize) -> Result<(), Halt>,
) -> Result<(), Failure> {
    let mut errors = UsageErrors::default();
    let records = errors.value(records);
    let records = layers.check(errors.unless_any(records))?;
    configured(run, layers, |config| execute(config, records))
}

/// `minutely verify`.
fn verify(args: &VerifyArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(VerifyPlan::of(args))?;
    configured(&args.run, layers, |config| verify::verify(config, &plan, clock, amend::compare))
}

/// `minutely repair`.
fn repair(args: &RepairArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(repair::RepairPlan::of(args))?;
    configured(&args.run, layers, |config| repair::repair(config, plan, clock))
}

/// `minutely digest`.
fn digest(args: &DigestArgs, layers: &Layers) -> Result<(), Failure> {
    let minutes = layers.check(AskedMinutes::of_digest(args))?;
    configured(&args.run, layers, |config| verify::digest(&config, minutes))
}

/// `minutely explain`.
fn explain(args: &ExplainArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(ExplainPlan::of(args))?;
    configured(&args.run, layers, |config| explain::explain(config, &plan, clock))
}

/// `minutely amend`.
fn amend(args: &AmendArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(AmendPlan::of(args))?;
    configured(&args.run, layers, |config| amend::amend(config, &plan, clock))
}

/// `minutely redrive`: by all options, and without those of decoding on the command line.
fn redrive(args: &RedriveArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(RedrivePlan::of(args))?;
    let own = args.own.as_ref().map(|own| layers.check(Config::of(own))).transpose()?;
    configured(&args.run, layers, |config| match own {
        Some(own) => redrive::redrive(config, own, &plan, clock),
        None => Err(Halt::new(HaltKind::Internal, "a redrive without the run's own options")),
    })
}

/// `minutely config show`: what is in effect, although it may be wrong; then what is wrong.
fn show_run(args: &RunArgs, layers: &Layers, shown: &str) -> Result<(), Failure> {
    let config = layers.check(Config::of(args));
    let remark = config.as_ref().map_or_else(
        |_| String::new(),
        |config| {
            let sinks: Vec<_> = config.sinks.iter().map(|uri| uri::redacted(uri)).collect();
            let state = config.state.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            let folder = config.folder.display();
            format!("# The job's folder is {folder}; sinks: {}; state: {state}.\n", sinks.join(", "))
        },
    );
    show("run", &remark, shown)?;
    config?.warnings.iter().for_each(|warning| warn(warning));
    Ok(())
}

/// `minutely config show produce`: the same of these.
fn show_produce(args: &ProduceArgs, layers: &Layers, shown: &str) -> Result<(), Failure> {
    let plan = layers.check(produce::Plan::of(args, &Sources));
    show("produce", "", shown)?;
    plan?.warnings.iter().for_each(|warning| warn(warning));
    Ok(())
}

/// Prints settings on stdout. `remark`: lines beneath the first.
fn show(command: &str, remark: &str, shown: &str) -> Result<(), Failure> {
    let first =
        format!("# Settings of `minutely {command}`, each with where it comes from; --config takes this text.\n");
    written(std::io::stdout().write_all(format!("{first}{remark}\n{shown}").as_bytes()))
}

/// A reader of stdout that has seen enough is no error.
fn written(outcome: std::io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Halt::new(HaltKind::Unreachable, format!("stdout: {e}")).into())
        }
        _ => Ok(()),
    }
}

fn state(command: &StateCommand, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    match command {
        StateCommand::Show { json, run } => {
            configured(run, layers, |of| inspect::show(of.state.as_ref(), *json, clock, sinks::shown_position))
        }
        StateCommand::Check(run) => configured(run, layers, |of| inspect::check(of.state.as_ref())),
        StateCommand::Rebuild(run) => configured(run, layers, |of| inspect::rebuild(of.state.as_ref(), clock)),
    }
}

fn produce(args: &ProduceArgs, layers: &Layers, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = layers.check(produce::Plan::of(args, &Sources))?;
    plan.warnings.iter().for_each(|warning| warn(warning));
    let words = "stopping: the last answers are waited for; a second signal stops at once";
    let begun = Arc::new(AtomicBool::new(false));
    let stop = signals::stop_on_signal(words, Arc::clone(&begun), Arc::new(|| ())).map_err(Halt::from)?;
    Ok(produce::run(plan, &Sources, clock, &stop, &begun)?)
}

/// The sources, for `minutely produce`.
struct Sources;

impl produce::SourceCatalog for Sources {
    fn validate(&self, uri: &str) -> Vec<String> {
        sources::validate(uri, &[])
    }

    fn decoder(&self, args: &ProduceArgs, errors: &mut UsageErrors) -> Option<Decoder> {
        config::of_replay(&args.shape, &args.key_field, &args.from, errors)
    }

    fn is_bounded(&self, uri: &str) -> bool {
        sources::is_bounded(uri)
    }

    fn open(
        &self,
        plan: &produce::Plan,
        run_start: EventTime,
        clock: clock::SystemClock,
    ) -> Result<Arc<dyn LogSource>, Halt> {
        let options = sources::SourceOptions {
            run_start,
            bounded: plan.bounded,
            keep_open: false,
            start: plan.start,
            payloads: if plan.is_json { sources::PayloadKind::Json } else { sources::PayloadKind::Text },
            properties: Vec::new(),
            fetch_memory: 256_000_000,
            processes: 1,
            group: String::new(),
            answer_timeout: produce::ANSWER_TIMEOUT,
            clock,
        };
        sources::open(&plan.from, &options)
    }
}

fn letters(args: &LettersArgs, layers: &Layers) -> Result<(), Failure> {
    Ok(letters::run(&layers.check(letters::LettersPlan::of(args))?)?)
}

fn health(args: &HealthArgs, layers: &Layers) -> Result<(), Failure> {
    layers.check(Ok(()))?;
    http::health_client::ask(args.address.as_deref().unwrap_or(http::DEFAULT)).map_err(Halt::from)?;
    Ok(())
}

/// No transparent huge pages: a merge of 100,000 windows would wait 70 ms for the kernel to clear them
/// (`experiments/2026-11-25-debian12-2core-huge-pages`).
fn disable_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("transparent huge pages stay: {error}");
    }
}

fn fail(why: &str, kind: HaltKind) -> ExitCode {
    error(why);
    ExitCode::from(exit_code(kind))
}

/// The exit code of each kind of failure, as `minutely --help` lists them. No other place makes one.
fn exit_code(kind: HaltKind) -> u8 {
    match kind {
        HaltKind::Usage => 64,
        HaltKind::Data => 65,
        HaltKind::Unreachable => 69,
        HaltKind::Internal => 70,
        HaltKind::Fenced => 78,
    }
}

/// A worker that panics leaves its siblings waiting for ever, and so does a process that is gone: this process exits, too.
fn exit_on_worker_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if let Some(cluster::PeerLost(why)) = panic.payload().downcast_ref() {
            error(&format!("{why}; all processes of this run end: start all of them again"));
            std::process::exit(exit_code(HaltKind::Unreachable).into());
        }
        if name.starts_with("timely:recv") || name.starts_with("timely:send") {
            error(
                "the connection to another process of this run broke, and all processes end: read what that process said, and \
                 start all of them again",
            );
            std::process::exit(exit_code(HaltKind::Unreachable).into());
        }
        error(&format!("thread '{name}': {panic}"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(error);
        }
        if name.starts_with("timely:") {
            error("a worker met a broken invariant, and the run ends; please report it");
            cluster::farewell(&format!("thread '{name}': {panic}"));
            std::process::exit(exit_code(HaltKind::Internal).into());
        }
    }));
}

/// Which events of the program's parts are written: by --log-level if it is given, else by `RUST_LOG` if that is.
fn filter(level: Severity, is_given: bool) -> String {
    // A refusal is an error to lapin, and an answer to what asks (`rabbitmq/declare.rs`).
    let by_level = match level {
        Severity::Error => "error,lapin=off",
        Severity::Warn => "warn,lapin=off",
        Severity::Info => "warn,lapin=off,minutely=info,minutely_dataflows=info",
        Severity::Debug => "info,minutely=debug,minutely_dataflows=debug,librdkafka=debug",
    };
    let chosen = std::env::var("RUST_LOG").ok().filter(|chosen| !is_given && !chosen.is_empty());
    chosen.unwrap_or_else(|| by_level.to_owned())
}

/// Is the level among these words?
fn asks_for_level(words: &[String]) -> bool {
    words.iter().any(|word| word == "--quiet" || word.starts_with("--log-level"))
}
