//! minutely: exact one-minute event-time averages. See `README.md`.

mod advice;
mod cli;
mod clock;
mod cluster;
mod config;
mod console;
mod descriptors;
mod duration;
mod fmt;
#[cfg(test)]
mod fuzz;
mod http;
mod inspect;
mod job_folder;
mod kafka;
mod letters;
mod produce;
#[allow(dead_code, unused_imports, reason = "until a run decodes by its schemas")]
mod registry;
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

use cli::{Command, EarlyExit, Given, HealthArgs, LettersArgs, ProduceArgs, RunArgs, StateCommand, UsageErrors};
use config::Config;
use console::say;
use minutely_dataflows::edge::{Halt, HaltKind, LogSource};
use minutely_dataflows::escape::escaped;
use minutely_dataflows::time::EventTime;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// C's malloc too: librdkafka allocates messages on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exit_on_worker_panic();
    log();
    disable_huge_pages();
    let open_files = descriptors::raise_limit();
    let command = match command() {
        Ok(command) => command,
        Err(EarlyExit::Printed) => return ExitCode::SUCCESS,
        Err(EarlyExit::Usage(why)) => return fail(&why, HaltKind::Usage),
    };
    let clock = clock::SystemClock::start();
    let outcome = match command {
        Command::Run(args) => configured(&args, |config| start::run(config, clock, open_files)),
        Command::Check { records, run } => check(&records, &run, clock, open_files),
        Command::State { command, .. } => state(&command, clock),
        Command::Produce(args) => produce(&args, clock),
        Command::Letters(args) => letters(&args),
        Command::Health(args) => health(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Halt(halt)) => fail(&advice::of_halt(&halt), halt.kind),
        Err(Failure::Usage(errors)) => {
            errors.iter().for_each(say);
            ExitCode::from(exit_code(HaltKind::Usage))
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

/// What the words of the command line ask for. Warns of variables of the environment that no command reads.
fn command() -> Result<Command, EarlyExit> {
    let words = std::env::args_os().map(|word| {
        word.into_string()
            .map_err(|word| EarlyExit::Usage(format!("argument `{}` is not UTF-8", word.to_string_lossy())))
    });
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    cli::unread_variables(&cli::command(), names, &words).iter().for_each(|warning| say(warning));
    cli::parse(&words)
}

fn configured(args: &RunArgs, execute: impl FnOnce(Config) -> Result<(), Halt>) -> Result<(), Failure> {
    let config = Config::of(args)?;
    config.warnings.iter().for_each(|warning| say(warning));
    Ok(execute(config)?)
}

fn check(records: &Given<usize>, run: &RunArgs, clock: clock::SystemClock, open_files: u64) -> Result<(), Failure> {
    let mut errors = UsageErrors::default();
    let records = errors.value(records);
    let records = errors.unless_any(records)?;
    configured(run, |config| start::check(config, clock, open_files, records))
}

fn state(command: &StateCommand, clock: clock::SystemClock) -> Result<(), Failure> {
    match command {
        StateCommand::Show { json, run } => {
            configured(run, |of| inspect::show(of.state.as_ref(), *json, clock, sinks::shown_position))
        }
        StateCommand::Check(run) => configured(run, |of| inspect::check(of.state.as_ref())),
        StateCommand::Rebuild(run) => configured(run, |of| inspect::rebuild(of.state.as_ref(), clock)),
    }
}

fn produce(args: &ProduceArgs, clock: clock::SystemClock) -> Result<(), Failure> {
    let plan = produce::Plan::of(args, &Sources)?;
    plan.warnings.iter().for_each(|warning| say(warning));
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
            start: plan.start,
            json: true,
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

fn letters(args: &LettersArgs) -> Result<(), Failure> {
    Ok(letters::run(&letters::LettersPlan::of(args)?)?)
}

fn health(args: &HealthArgs) -> Result<(), Failure> {
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
    say(why);
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
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if name.starts_with("timely:recv") || name.starts_with("timely:send") {
            say(
                "the connection to another process of this run broke, and all processes end: read what that process said, and \
                 start all of them again",
            );
            std::process::exit(exit_code(HaltKind::Unreachable).into());
        }
        report(panic);
        if name.starts_with("timely:") {
            say("a worker met a broken invariant, and the run ends; please report it");
            std::process::exit(exit_code(HaltKind::Internal).into());
        }
    }));
}

/// Warnings and errors go to stderr; `RUST_LOG` says otherwise.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    // No colours: their control characters would be escaped.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Escaped)
        .with_ansi(false)
        // It would be written to stderr, which panics if the terminal is gone.
        .log_internal_errors(false)
        .init();
}

/// Stderr for a log: one line an event, whatever foreign text is in it.
struct Escaped;

impl Write for Escaped {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        writeln!(std::io::stderr(), "{}", escaped(text.trim_end_matches('\n')))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
