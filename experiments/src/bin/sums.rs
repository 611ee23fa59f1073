//! `sums exact|f64 OUT.csv FILE...`: the whole run over files with `--metrics avg --emit final`, on one worker, with the
//! product's 128-bit sums or with f64 sums. All else is the same: what differs is what exact sums cost.

use anyhow::Context;
use differential_dataflow::difference::{IsZero, Semigroup};
use minutely_dataflows::acc::{Accumulate, Avg, LogPosition};
use minutely_dataflows::decimal::{ExactNumber, Scales};
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::derived::MinuteSums;
use minutely_dataflows::digest::RowNumbers;
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::row::Row;
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::{State, WindowStart};
use minutely_experiments::harness::{Csv, Files, Outputs, run};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Count and an inexact sum. The row's average is the sum's; its `sum` is rounded to six digits after the point, so that what
/// is written is as long as the exact one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Float {
    count: i64,
    sum: f64,
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Float {}
impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.count.cmp(&other.count).then(self.sum.total_cmp(&other.sum))
    }
}

impl IsZero for Float {
    fn is_zero(&self) -> bool {
        self.count == 0
    }
}

impl Semigroup for Float {
    fn plus_equals(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }
}

impl Accumulate for Float {
    fn of(event: &DecodedEvent<'_>, _: LogPosition) -> Self {
        // A price of at most 15 digits, as all here are, becomes the f64 that parsing its text would have given.
        #[expect(clippy::cast_precision_loss, reason = "that is what it costs to be inexact")]
        let sum = event.value.0 as f64 / 1e18;
        Float { count: 1, sum }
    }
    fn count(&self) -> i64 {
        self.count
    }
    fn retraction(&self) -> Self {
        Float { count: -self.count, sum: -self.sum }
    }
    fn sums(&self) -> MinuteSums {
        MinuteSums { count: self.count, sum: 0, market: None }
    }
    fn numbers(&self) -> RowNumbers {
        RowNumbers { count: self.count, sum: i128::from(self.sum.to_bits()), market: None }
    }
    fn row(&self, symbol: &str, minute: WindowStart, state: State, _: Scales) -> Option<Row> {
        #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
        let avg = self.sum / self.count as f64;
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^63")]
        let millionths = (self.sum * 1e6).round() as i64;
        (self.count != 0).then(|| Row {
            kind: minutely_dataflows::row::RowKind::Minute,
            symbol: symbol.to_owned(),
            minute,
            count: self.count,
            sum: ExactNumber::new(i128::from(millionths), 6),
            avg,
            state,
            market: None,
            derived: Box::default(),
        })
    }
}

fn main() -> anyhow::Result<()> {
    let usage = "sums exact|f64 OUT.csv FILE...";
    let mut arguments = std::env::args().skip(1);
    let sums = arguments.next().context(usage)?;
    let out: PathBuf = arguments.next().context(usage)?.into();
    let files = Arc::new(Files::new(arguments.map(PathBuf::from).collect()));
    let settings = Settings { bounded: true, ..Settings::default() };
    let takes = RowFilter { changes: false, partial: true, open_every: 0 };
    let rows = Box::new(Csv::create(&out)?);
    let outputs = Outputs { rows, takes, watch: Box::new(|_| {}), stop: Arc::default(), store: None };
    let status = match sums.as_str() {
        "exact" => run::<Avg>(files, settings, outputs)?,
        "f64" => run::<Float>(files, settings, outputs)?,
        _ => anyhow::bail!(usage),
    };
    minutely_experiments::say(format_args!("{} records", status.ledger.counts.counted))?;
    Ok(())
}
