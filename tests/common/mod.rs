//! What tests of the whole program have in common: the program as a child, real servers, and what must come out.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod bucket;
pub(crate) mod influx;
pub(crate) mod kafka;
pub(crate) mod program;
pub(crate) mod rabbitmq;
pub(crate) mod rows;
pub(crate) mod stand_in;
pub(crate) mod terminal;
pub(crate) mod web;

use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND, Windowing};
use std::future::Future;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A file in this folder with one more night's lines after those that are there, as `--source`.
pub(crate) fn grown(home: &Path, lines: &[String]) -> String {
    let file = home.join("ticks.jsonl");
    let lines = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    std::fs::OpenOptions::new().create(true).append(true).open(&file).unwrap().write_all(lines.as_bytes()).unwrap();
    format!("file:{}", file.display())
}

/// What a variable says, or a note that this test is left out.
pub(crate) fn needs(what: &str, variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        // Straight to stderr: what `eprintln` says of a test that passes is not shown.
        let note = format!("LEFT OUT: {what}, needs {variable}\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    value
}

/// A script that starts and stops servers: as named, or the project's own.
pub(crate) fn script(variable: &str, name: &str) -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("experiments/servers").join(name);
    std::env::var_os(variable).map_or_else(own, PathBuf::from)
}

/// A fresh seed, printed.
pub(crate) fn seed() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

/// A name that nobody else has.
pub(crate) fn fresh(name: &str) -> String {
    format!("{name}-{:012x}", fastrand::u64(..) >> 16)
}

/// A file for `-h`: two processes, at ports that are free.
pub(crate) fn two_hosts(folder: &Path) -> String {
    hosts(folder, 2)
}

/// The same, of so many.
pub(crate) fn hosts(folder: &Path, processes: usize) -> String {
    let free: Vec<_> = (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let lines: Vec<_> = free.iter().map(|one| one.local_addr().unwrap().to_string()).collect();
    let path = folder.join("hosts");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.display().to_string()
}

/// What a run is told of the rule.
pub(crate) fn rule_args(rule: &Rule) -> Vec<String> {
    let ms = |ns: i64| format!("{}ms", ns / 1_000_000);
    let pairs = [
        ("--window", rule.windowing.length),
        ("--lateness", rule.windowing.lateness),
        ("--max-ahead", rule.max_ahead),
        ("--max-future", rule.max_future),
    ];
    pairs.into_iter().flat_map(|(name, ns)| [name.to_owned(), ms(ns)]).collect()
}

/// A rule.
pub(crate) fn draw_rule(rng: &mut fastrand::Rng) -> Rule {
    let short = Windowing { length: SECOND * 7, lateness: SECOND * 31 };
    let windowing = if rng.bool() { Windowing::default() } else { short };
    Rule { windowing, max_ahead: [SECOND * 60, SECOND * 3600][rng.usize(..2)], ..Rule::default() }
}

/// The wall clock, to the second.
#[expect(clippy::disallowed_methods, reason = "producers of live ticks have a clock of their own")]
pub(crate) fn now() -> EventTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    EventTime(i64::try_from(now.as_secs()).unwrap() * SECOND)
}

/// RFC 3339, with as many digits of a second as there are.
pub(crate) fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_string()
}

/// Looks until it is so.
pub(crate) fn poll<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not so after {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for a future here.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
