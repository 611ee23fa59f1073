//! minutely: exact one-minute event-time averages. See `README.md`.

mod args;
mod clock;
mod cluster;
mod config;
mod descriptors;
mod duration;
mod environment;
#[cfg(test)]
#[path = "../dataflows/tests/fuzz/random.rs"]
mod fuzz;
mod http;
mod inspect;
mod live;
mod produce;
mod resume;
mod run;
mod secret;
mod signals;
mod sinks;
mod size;
mod sources;
mod state;
mod text;
mod uri;

use args::{Args, Command, HealthArgs, ProduceArgs};
use live::say;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::shown::escaped;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// C's malloc too: librdkafka allocates messages on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_with_a_worker();
    log();
    small_pages();
    let open_files = descriptors::raise_limit();
    let words = std::env::args_os().map(|word| {
        word.into_string().map_err(|word| format!("`{}`: is not UTF-8, as arguments are", word.to_string_lossy()))
    });
    let words: Result<Vec<String>, String> = words.collect();
    if let Ok(words) = &words {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        environment::unknown(names, words).iter().for_each(|warning| say(warning));
    }
    let (command, args) = match words.and_then(args::command) {
        Ok(parts) => parts,
        Err(why) => return fail(&Halt::new(HaltKind::Usage, why)),
    };
    match command {
        Command::Produce => return produce(args),
        Command::Health => return health(args),
        _ => {}
    }
    let args = match args::parse::<Args>(args) {
        Ok(args) => args,
        Err(error) => return no_arguments(&error, "minutely"),
    };
    let config = match config::Config::of(&args) {
        Ok(config) => config,
        Err(mistakes) => return mistaken(&mistakes),
    };
    if args.json && command != Command::Show {
        return fail(&Halt::new(HaltKind::Usage, "--json: goes with `minutely state show`"));
    }
    let clock = clock::Clock::start();
    let state = config.state.as_ref();
    let outcome = match command {
        Command::Run | Command::Produce | Command::Health => run::run(config, clock, open_files),
        Command::Show => inspect::show(state, args.json, clock),
        Command::Check => inspect::check(state),
        Command::Rebuild => inspect::rebuild(state, clock),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(halt) => fail(&halt),
    }
}

/// No transparent huge pages: a merge of 100,000 windows would wait 70 ms for the kernel to clear them
/// (`experiments/2026-11-25-debian12-2core-huge-pages`).
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("transparent huge pages stay: {error}");
    }
}

fn produce(args: Vec<String>) -> ExitCode {
    let args = match args::parse::<ProduceArgs>(args) {
        Ok(args) => args,
        Err(error) => return no_arguments(&error, "minutely produce"),
    };
    let plan = match produce::Plan::of(&args) {
        Ok(plan) => plan,
        Err(mistakes) => return mistaken(&mistakes),
    };
    let words = "stopping: the last answers are waited for; a second signal stops at once";
    let begun = Arc::new(AtomicBool::new(false));
    let outcome = signals::stop_on_signal(words, Arc::clone(&begun), Arc::new(|| ()))
        .and_then(|stop| produce::run(plan, clock::Clock::start(), &stop, &begun));
    outcome.map_or_else(|halt| fail(&halt), |()| ExitCode::SUCCESS)
}

/// Help was asked for, or there is a mistake.
fn no_arguments(error: &clap::Error, command: &str) -> ExitCode {
    if error.use_stderr() {
        return fail(&Halt::new(HaltKind::Usage, args::mistake(error, command)));
    }
    let _nobody_listens = error.print();
    ExitCode::SUCCESS
}

fn mistaken(mistakes: &[String]) -> ExitCode {
    mistakes.iter().for_each(|mistake| say(mistake));
    code(HaltKind::Usage)
}

fn health(args: Vec<String>) -> ExitCode {
    let args = match args::parse::<HealthArgs>(args) {
        Ok(args) => args,
        Err(error) => return no_arguments(&error, "minutely health"),
    };
    match http::health::ask(&args.at) {
        Ok(_) => ExitCode::SUCCESS,
        Err(halt) => fail(&halt),
    }
}

fn fail(halt: &Halt) -> ExitCode {
    say(&halt.why);
    code(halt.kind)
}

/// The documented exit code.
fn code(kind: HaltKind) -> ExitCode {
    ExitCode::from(match kind {
        HaltKind::Usage => 64,
        HaltKind::Data => 65,
        HaltKind::Unreachable => 69,
        HaltKind::Internal => 70,
        HaltKind::Fenced => 78,
    })
}

/// A worker that panics leaves its siblings waiting for ever, and so does a process that is gone: this one ends, too.
fn end_with_a_worker() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if name.starts_with("timely:recv") || name.starts_with("timely:send") {
            say(
                "the connection to another process of this run broke: all end together; look at what that process says, \
                 and start all of them again",
            );
            std::process::exit(69);
        }
        report(panic);
        if name.starts_with("timely:") {
            say("a worker met a broken invariant, and the run ends with it; please report it");
            std::process::exit(70);
        }
    }));
}

/// Warnings and errors go to stderr; `RUST_LOG` says otherwise.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    // No colours: they are what is escaped here.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Escaped)
        .with_ansi(false)
        // It would be said on stderr, and what says it panics where the terminal is gone.
        .log_internal_errors(false)
        .init();
}

/// Stderr for a log, a line an event whatever foreign text is in it.
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
