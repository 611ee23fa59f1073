//! minutely: exact one-minute event-time averages. See `README.md`.

mod args;
mod clock;
mod config;
mod duration;
mod http;
mod live;
mod run;
mod sinks;
mod sources;
mod state;
mod text;

use args::Args;
use clap::Parser;
use live::say;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::IsTerminal;
use std::process::ExitCode;

/// C's malloc too: librdkafka allocates messages on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_with_a_worker();
    log();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "health") {
        return health(&words[1..]);
    }
    let args = match args::without_command(std::env::args().collect()) {
        Ok(args) => args,
        Err(why) => return fail(&Halt::new(HaltKind::Usage, why)),
    };
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => return fail(&Halt::new(HaltKind::Usage, args::mistake(&error))),
        Err(help) => {
            let _nobody_listens = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let config = match config::Config::of(&args) {
        Ok(config) => config,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| say(mistake));
            return code(HaltKind::Usage);
        }
    };
    match run::run(config, clock::Clock::start()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(halt) => fail(&halt),
    }
}

/// `minutely health [HOST:PORT]`.
fn health(words: &[String]) -> ExitCode {
    let at = match words {
        [] => std::env::var("MINUTELY_HTTP").ok(),
        [at] | [_, at] if words.len() == 1 || words[0] == "--http" => Some(at.clone()),
        _ => return fail(&Halt::new(HaltKind::Usage, "it is `minutely health [HOST:PORT]`; see `minutely --help`")),
    };
    match http::health::ask(at.as_deref().unwrap_or(http::DEFAULT)) {
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
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
