//! What the tests of this room share.

use super::options::{Emit, Owner, SinkOptions};
use crate::clock::SystemClock;
use crate::text::Columns;
use minutely_dataflows::decimal::{ExactNumber, MAX_DECIMALS};
use minutely_dataflows::edge::{RowBatch, SinkPort, Wake};
use minutely_dataflows::row::{MarketRow, Row, RowKind};
use minutely_dataflows::time::{SECOND, State, WindowStart, Windowing};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub(super) fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn no_wake() -> Wake {
    Arc::new(|| {})
}

pub(super) fn options(data: &Path) -> SinkOptions {
    SinkOptions {
        emit: Emit::Changes,
        columns: Columns::default(),
        windowing: Windowing::default(),
        start_timeout: Duration::from_secs(10),
        wake: no_wake(),
        data: data.to_owned(),
        chain: None,
        position: None,
        generation: 0,
        take_over: false,
        prior_state: None,
        owner: Owner { job: "job".into(), semantics: "semantics".into() },
        owner_as_typed: None,
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
        kind: RowKind::Minute,
        symbol: symbol.to_owned(),
        minute: WindowStart(second * SECOND),
        count,
        sum: ExactNumber::new(i128::from(count) * 1005, 1),
        avg: 100.5,
        state: State::Final,
        market: None,
        derived: Box::default(),
    }
}

/// A symbol of characters that formats must quote or escape, never empty, without control characters (R2).
pub(super) fn hostile_symbol(rng: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 20] = [
        "A", " ", ",", "=", "\"", "'", "\\", "\\ ", "\\,", "\\\\", "#", ";", "é", "日本", "🦀", "\u{2028}", "\u{feff}",
        "NaN", "<b>", "%",
    ];
    (0..rng.usize(1..8)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
}

fn price(rng: &mut fastrand::Rng) -> f64 {
    let digits = rng.i32(-20..20);
    (rng.f64() - 0.5) * 10_f64.powi(digits)
}

fn exact(rng: &mut fastrand::Rng) -> ExactNumber {
    ExactNumber::new((rng.i128(..) >> rng.u32(31..127)) * 10_i128.pow(rng.u32(0..4)), rng.u8(..=MAX_DECIMALS))
}

/// Columns of `--derive` that random rows have where they have those of a market.
const DERIVED: [&str; 2] = ["sma5", "macd_signal"];

/// The columns of [`random_rows`].
pub(crate) fn columns(market: bool) -> Columns {
    let derived = if market { DERIVED.map(str::to_owned).into() } else { Vec::new() };
    Columns { market, derived, ..Columns::default() }
}

/// Rows of any kind, in any order.
pub(crate) fn random_rows(rng: &mut fastrand::Rng, rows: usize, market: bool) -> Vec<Row> {
    let mut random = || Row {
        kind: RowKind::Minute,
        symbol: hostile_symbol(rng),
        minute: WindowStart(rng.i64(-1_000_000..50_000_000) * 60 * SECOND),
        count: rng.i64(1..) >> rng.u32(..62),
        sum: exact(rng),
        avg: price(rng),
        state: [State::Open, State::Closed, State::Final, State::Partial][rng.usize(..4)],
        market: market.then(|| MarketRow {
            open: price(rng),
            high: price(rng),
            low: price(rng),
            close: price(rng),
            volume: (rng.u32(..4) > 0).then(|| exact(rng)),
            vwap: rng.bool().then(|| price(rng)),
        }),
        derived: columns(market).derived.iter().map(|_| rng.bool().then(|| price(rng))).collect(),
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
