//! Where rows go. Each sink works on a thread of its own; sinks do not know one another.
//!
//! In three steps: [`validate`] tells all mistakes in the words of the command line and looks at nothing else but the
//! secrets; [`check`] looks whether it can work, leaving nothing behind; [`open`] begins. All sinks are checked before
//! any is opened. From then on a sink holds what it was given, retries, and says in its [`Health`] what is wrong.

mod append;
mod csv;
mod file_id;
mod influx;
pub(crate) mod letters;
mod local;
mod port;
mod rotate;
mod sqlite;
mod sqlite_history;
mod stdout;
mod unbegun;

pub(crate) use port::{Health, Leave};
pub(crate) use sqlite_history::SqliteHistory;

use crate::clock::SystemClock;
use crate::uri::redacted;
use local::Local;
use minutely_dataflows::edge::{Halt, HaltKind, RowFilter, SinkPort, Wake};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::Windowing;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What `--emit` says: which rows sinks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Emit {
    /// Every committed change.
    #[default]
    Changes,
    /// One row a point, once it cannot change any more.
    Final,
}

/// What every sink is told at the start.
#[derive(Clone)]
pub(crate) struct SinkOptions {
    /// `--emit`.
    pub(crate) emit: Emit,
    /// Are the columns of `--metrics market` on?
    pub(crate) market: bool,
    /// Windows and lateness: how minutes are written, and what a database must keep.
    pub(crate) windowing: Windowing,
    /// How long a database of this machine may stay locked at the start, before the run ends with 69. Default: 30 s. A
    /// service is tried for a few seconds, and at most for this long.
    pub(crate) patience: Duration,
    /// Called from a sink's thread when something was stored, when there is room again, and when it ended.
    pub(crate) wake: Wake,
    /// The job's own folder, made when it is needed: `unwritable.jsonl` goes there.
    pub(crate) data: PathBuf,
    /// The chain that an earlier run with the same state began at this sink ([`OpenSink::chain`]); none begins one.
    pub(crate) chain: Option<u64>,
    /// How many bytes of the sink's file the state knows, or which version of its database; none for one that is not the
    /// state's.
    pub(crate) position: Option<u64>,
    /// How often the chain was restarted.
    pub(crate) generation: u64,
    /// `--take-over`: another run may have the sink's file, and hang.
    pub(crate) take_over: bool,
    /// The state that an earlier run left.
    pub(crate) left: Option<PriorState>,
    /// Who writes: another job's place is refused.
    pub(crate) owner: Owner,
    /// `--take-sink`: a place that another job wrote becomes this one's.
    pub(crate) take_sink: bool,
    /// Set once the workers run: until then a sink that is dropped leaves nothing behind.
    pub(crate) begun: Arc<AtomicBool>,
    /// The clock.
    pub(crate) clock: SystemClock,
}

/// The job that a place for rows belongs to: two jobs in one place would overwrite each other's final rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The job's name.
    pub(crate) job: String,
    /// XXH3-128 in hexadecimal of what verdicts and sums depend on: a name can be given twice.
    pub(crate) semantics: String,
}

impl SinkOptions {
    fn claim(&self) -> append::Claim {
        append::Claim { keep: self.position, take_over: self.take_over, private: false }
    }
}

/// A state, to a sink that goes on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriorState {
    /// Where it is, for people.
    pub(crate) place: String,
    /// The number of its newest manifest: nothing that a sink has can be of a later one.
    pub(crate) seq: u64,
}

/// A sink at work. Dropping it ends its thread.
pub(crate) struct OpenSink {
    /// For log lines; no secret in it.
    pub(crate) name: String,
    /// What it takes.
    pub(crate) takes: RowFilter,
    /// Where it takes it.
    pub(crate) port: Box<dyn SinkPort + Send>,
    /// How it is.
    pub(crate) health: Arc<Health>,
    /// Which chain its rows carry, where rows have versions: the state keeps it for restarts.
    pub(crate) chain: Option<u64>,
}

/// A place for rows, on a thread of its own, where it may block, retry and wait.
pub(crate) trait RowWriter: Send {
    /// RowFilter rows, ascending by (minute, symbol) within a round. They need not be durable yet. `seq` is the version of
    /// the manifest that committed them.
    ///
    /// # Errors
    /// When no retry is of use, or it was told to stop.
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), Leave>;

    /// The round is complete: returns once all its rows are durable, or recorded as unwritable. Says, where a restart can
    /// tell by it whether all of that is still there, how long the file is then, in bytes, or the version of a database.
    ///
    /// # Errors
    /// When no retry is of use, or it was told to stop.
    fn store(&mut self) -> Result<Option<u64>, Leave>;

    /// The thread begins, or nothing came for a few seconds: is the place there? What it finds is for its health.
    ///
    /// # Errors
    /// When it was told to stop.
    fn idle(&mut self) -> Result<(), Leave> {
        Ok(())
    }
}

/// A sink as the command line names it.
#[derive(Debug)]
enum Target {
    Local(Local),
    Influx(Box<influx::Address>),
}

const KNOWN: &str = "sqlite:PATH[?table=NAME], influxdb://host:port/org/bucket, influxdb1://host:port/db (either with +https before \
                     the colon), csv:PATH[?rotate=1d|100MB], stdout:, stdout:json";

impl Target {
    fn parse(uri: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        if let Some(local) = Local::parse(uri) {
            return local.map(Target::Local);
        }
        let shown = redacted(uri);
        match uri.split_once(':') {
            Some((scheme, rest)) if influx::Address::SCHEMES.contains(&scheme) => {
                influx::Address::parse(scheme, rest, &shown, env).map(Box::new).map(Target::Influx)
            }
            _ => Err(vec![format!("sink `{shown}`: unknown; there are {KNOWN}")]),
        }
    }
}

/// What the first `sqlite:` among these has stored, with windows like these.
pub(crate) fn stored(uris: &[String], windowing: Windowing) -> Option<SqliteHistory> {
    let sqlite = |uri: &String| match Local::parse(uri)? {
        Ok(Local::Sqlite(address)) => Some(SqliteHistory::new(address, windowing)),
        _ => None,
    };
    uris.iter().find_map(sqlite)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parsed(uri: &str) -> Result<Target, Halt> {
    Target::parse(uri, &environment).map_err(|mistakes| Halt::new(HaltKind::Usage, mistakes.join("; ")))
}

/// All mistakes in a `--sink`, each with what to do. Reads the secrets that it names, and nothing else.
pub(crate) fn validate(uri: &str) -> Vec<String> {
    Target::parse(uri, &environment).err().unwrap_or_default()
}

/// What the sinks of a `--sink` take, in the order of [`open`]: known without opening any, so that every process of a
/// cluster knows it. None for a URI with mistakes.
pub(crate) fn takes(uri: &str, emit: Emit) -> Vec<RowFilter> {
    match Target::parse(uri, &environment) {
        Ok(Target::Influx(_)) => influx::measurements(emit).into_iter().map(|(_, takes)| takes).collect(),
        Ok(Target::Local(_)) => vec![local::takes(emit)],
        Err(_) => Vec::new(),
    }
}

/// Do two of these write to one place, under two names? Looks at folders alone.
///
/// # Errors
/// 64, naming both.
pub(crate) fn distinct(uris: &[String]) -> Result<(), Halt> {
    let local = |uri: &String| Local::parse(uri)?.ok().map(|local| (uri.clone(), local));
    let all: Vec<_> = uris.iter().filter_map(local).collect();
    for (at, (uri, sink)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..at].iter().find(|(_, before)| before.shares_with(sink)) {
            let why = format!("--sink {other} and --sink {uri} write to one place; leave one of them out");
            return Err(Halt::new(HaltKind::Usage, why));
        }
    }
    Ok(())
}

/// A position of a sink's, as the state keeps it, for people.
pub(crate) fn shown_position(uri: &str, position: u64) -> String {
    match Local::parse(uri) {
        Some(Ok(Local::Csv(csv::Address { rotate: Some(_), .. }))) => {
            let rotate::Position { number, len } = rotate::Position::unpack(position);
            format!("position {len} in file {number:06}")
        }
        _ => format!("position {position}"),
    }
}

/// Looks whether a sink can work, leaving nothing behind. A service that does not answer is a warning: its rows are held.
///
/// # Errors
/// 64 with what to do; 69 for a database of this machine that stays locked.
pub(crate) fn check(uri: &str, options: &SinkOptions) -> Result<(), Halt> {
    match parsed(uri)? {
        Target::Local(local) => local.look(options),
        Target::Influx(address) => influx::look(*address, options),
    }
}

/// Opens a sink, checking it first where it is of this machine; `influxdb:` is two of them with `--emit changes`.
///
/// # Errors
/// As [`check`].
pub(crate) fn open(uri: &str, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    match parsed(uri)? {
        Target::Local(local) => Ok(vec![local.open(uri, options)?]),
        Target::Influx(address) => influx::open(*address, options),
    }
}

/// What the tests of this room share.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use minutely_dataflows::decimal::Decimal;
    use minutely_dataflows::edge::RowBatch;
    use minutely_dataflows::row::MarketRow;
    use minutely_dataflows::time::{SECOND, State, WindowStart};
    use std::path::Path;
    use std::time::Instant;

    pub(super) fn temp() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    pub(super) fn no_wake() -> Wake {
        Arc::new(|| {})
    }

    pub(super) fn options(data: &Path) -> SinkOptions {
        SinkOptions {
            emit: Emit::Changes,
            market: false,
            windowing: Windowing::default(),
            patience: Duration::from_secs(10),
            wake: no_wake(),
            data: data.to_owned(),
            chain: None,
            position: None,
            generation: 0,
            take_over: false,
            left: None,
            owner: Owner { job: "job".into(), semantics: "semantics".into() },
            take_sink: false,
            begun: Arc::new(AtomicBool::new(true)),
            clock: SystemClock::start(),
        }
    }

    /// Returns once it is so; panics after a minute.
    pub(super) fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A random generator whose seed is printed.
    pub(crate) fn seed() -> fastrand::Rng {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        fastrand::Rng::with_seed(seed)
    }

    /// A final row of `count` values of 100.5.
    pub(crate) fn row(symbol: &str, second: i64, count: i64) -> Row {
        Row {
            symbol: symbol.to_owned(),
            minute: WindowStart(second * SECOND),
            count,
            sum: Decimal(i128::from(count) * 100_500_000_000_000_000_000),
            avg: 100.5,
            state: State::Final,
            market: None,
        }
    }

    /// A symbol of what hurts formats, never empty, without control characters (R2).
    pub(super) fn hostile_symbol(rng: &mut fastrand::Rng) -> String {
        const PIECES: [&str; 20] = [
            "A", " ", ",", "=", "\"", "'", "\\", "\\ ", "\\,", "\\\\", "#", ";", "é", "日本", "🦀", "\u{2028}",
            "\u{feff}", "NaN", "<b>", "%",
        ];
        (0..rng.usize(1..8)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
    }

    fn price(rng: &mut fastrand::Rng) -> f64 {
        let digits = rng.i32(-20..20);
        (rng.f64() - 0.5) * 10_f64.powi(digits)
    }

    fn decimal(rng: &mut fastrand::Rng) -> Decimal {
        Decimal((rng.i128(..) >> rng.u32(31..127)) * 10_i128.pow(rng.u32(0..4)))
    }

    /// Rows of any kind, in any order.
    pub(crate) fn random_rows(rng: &mut fastrand::Rng, rows: usize, market: bool) -> Vec<Row> {
        let mut random = || Row {
            symbol: hostile_symbol(rng),
            minute: WindowStart(rng.i64(-1_000_000..50_000_000) * 60 * SECOND),
            count: rng.i64(1..) >> rng.u32(..62),
            sum: decimal(rng),
            avg: price(rng),
            state: [State::Open, State::Closed, State::Final, State::Partial][rng.usize(..4)],
            market: market.then(|| MarketRow {
                open: price(rng),
                high: price(rng),
                low: price(rng),
                close: price(rng),
                volume: decimal(rng),
                vwap: rng.bool().then(|| price(rng)),
            }),
        };
        (0..rows).map(|_| random()).collect()
    }

    /// Offers a round in several batches and returns once it is stored.
    pub(super) fn store_all(port: &mut dyn SinkPort, round: u64, rows: &[Row]) {
        let mut batches: Vec<_> = rows
            .chunks(700)
            .map(|rows| RowBatch { round, seq: round, rows: rows.to_vec(), last: false })
            .chain([RowBatch { round, seq: round, rows: vec![], last: true }])
            .rev()
            .collect();
        poll("all is offered", || {
            while let Some(batch) = batches.pop() {
                if let Err(back) = port.offer(batch) {
                    batches.push(back);
                    port.stored().unwrap();
                    return false;
                }
            }
            true
        });
        poll("all is stored", || port.stored().unwrap().map(|stored| stored.at) == Some(round));
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{options, temp};
    use super::*;

    #[test]
    fn mistakes_say_what_there_is() {
        for uri in ["csv:x.csv", "sqlite:./a b.db", "stdout:", "influxdb1://h/db", "influxdb1+https://h/db"] {
            assert_eq!(validate(uri), Vec::<String>::new(), "{uri}");
        }
        for (uri, want) in [
            ("", "unknown; there are sqlite:PATH"),
            ("mysql://x", "unknown; there are"),
            ("csv", "unknown; there are"),
            ("csv:", "names no file"),
            ("sqlite:", "names no file"),
            ("stdout:x", "there are stdout: and stdout:json"),
            ("influxdb1:h/db", "give it as influxdb1://host:port/db"),
        ] {
            let mistakes = validate(uri);
            assert!(mistakes.len() == 1 && mistakes[0].contains(want), "{uri}: {mistakes:?}");
            let dir = temp();
            assert_eq!(check(uri, &options(dir.path())).unwrap_err().kind, HaltKind::Usage);
            assert_eq!(open(uri, &options(dir.path())).map(drop).unwrap_err().kind, HaltKind::Usage);
        }
    }

    #[test]
    fn what_a_sink_takes_follows_emit_and_its_folder_is_made() {
        let dir = temp();
        let data = dir.path().join("data/job");
        let mut options = SinkOptions { emit: Emit::Final, ..options(&data) };
        let sinks = open(&format!("sqlite:{}", data.join("db").display()), &options).unwrap();
        assert_eq!(sinks[0].takes, RowFilter { changes: false, partial: true, open_every: 0 });
        options.emit = Emit::Changes;
        let sinks = open(&format!("csv:{}", data.join("x").display()), &options).unwrap();
        assert_eq!(sinks[0].takes, RowFilter { changes: true, partial: true, open_every: 0 });
    }
}
