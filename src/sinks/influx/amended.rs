//! A measurement `MEASUREMENT_amended` beside that of final rows: `minute_amended`. A point is the same bytes for the same letters, so it may be
//! written any number of times. The marks of both measurements are asked for, and its own is written: see [`super::mark`].

use super::answer::{WriteVerdict, judge};
use super::client::{Client, HttpReply, brief, gzip, runtime};
use super::mark::{self, MarkAge, MarkAnswer, MarkVerdict};
use super::query::{QueryOutcome, ask};
use super::read_back::{Whose, can_hold, cell, points};
use super::retry::{Timeouts, next_wait};
use super::series::InfluxSeries;
use super::target::InfluxTarget;
use crate::sinks::amended::{AMENDED, AmendedOptions, AmendedRow, AmendedRows, StoredAmended, StoredAmendedRows};
use crate::sinks::stored::StoredCell;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// Attempts of one request whose outcome is not known.
const ATTEMPTS: u32 = 6;
/// Fields of every point with `--metrics market`, in the order of cells.
const MARKET: [&str; 6] = ["open", "high", "low", "close", "volume", "vwap"];

/// See the module.
pub(in crate::sinks) struct AmendedInflux {
    client: Client,
    /// Of final rows, and of amended ones.
    rows: InfluxSeries,
    series: InfluxSeries,
    name: String,
    batch: usize,
    columns: Vec<&'static str>,
    options: AmendedOptions,
}

impl AmendedInflux {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// TLS cannot be set up, in words.
    pub(in crate::sinks) fn new(target: InfluxTarget, options: &AmendedOptions) -> Result<Self, String> {
        let (rows, name, batch) = (target.series.clone(), target.name.clone(), target.batch);
        let series = rows.with(&format!("_{AMENDED}"));
        let client = Client::new(&Arc::new(target), Timeouts::default(), options.clock).map_err(|e| e.to_string())?;
        let market: &[&str] = if options.columns.market { &MARKET } else { &[] };
        let columns = ["count", "sum", "avg", "state"].iter().chain(market).chain(&["letter_count", "letters"]);
        let columns = columns.copied().collect();
        Ok(AmendedInflux { client, rows, series, name, batch, columns, options: options.clone() })
    }

    fn failed(&self, why: &str) -> Halt {
        Halt::new(HaltKind::Unreachable, format!("{}: {why}", self.name))
    }

    /// The time at which the mark of amended rows is to be written. Both measurements must be this job's, or nobody's.
    fn may_write(&self) -> Result<EventTime, Halt> {
        let runtime = runtime()?;
        let now = self.options.clock.wall();
        let mut at = now;
        for series in [&self.rows, &self.series] {
            let asked = match runtime.block_on(ask(&self.client, series, MarkAge::Newest)) {
                QueryOutcome::Known(asked) => asked,
                QueryOutcome::Unanswered(why, _) => return Err(self.failed(&format!("{why} to a query"))),
            };
            if let (MarkAnswer::Marked(mark), Some(owner)) = (&asked, self.options.owners.first())
                && !self.options.is_owner(&mark.owner)
            {
                let why = mark::refusal(series, mark, owner);
                return Err(Halt::new(HaltKind::Usage, format!("{}: {why}", self.name)));
            }
            match mark::decide(asked, |owner| self.options.is_owner(owner), false, now) {
                MarkVerdict::Ours(when) => at = when,
                // (What was amended before could not be read either.)
                MarkVerdict::Unknown(why) => return Err(self.failed(&format!("{why} to a query for its owner"))),
                MarkVerdict::Theirs(_) => {}
            }
        }
        Ok(at)
    }

    /// Sends lines until they are stored.
    fn send(&self, lines: &str) -> Result<(), Halt> {
        let (runtime, timeouts) = (runtime()?, Timeouts::default());
        let (body, mut backoff) = (gzip(lines.as_bytes()), timeouts.backoff());
        let mut attempt = 1;
        loop {
            let (why, wait) = match runtime.block_on(self.client.write(body.clone(), timeouts.request * 3)) {
                HttpReply::Status { status, fails, text, retry_after } => match judge(status, fails) {
                    WriteVerdict::Done => return Ok(()),
                    WriteVerdict::Again => (format!("{status}: {}", brief(&text)), retry_after),
                    _ => return Err(self.failed(&format!("does not take amended rows: {status}: {}", brief(&text)))),
                },
                HttpReply::Lost { why, .. } => (why, None),
            };
            if attempt == ATTEMPTS {
                return Err(self.failed(&why));
            }
            attempt += 1;
            std::thread::sleep(next_wait(&mut backoff, wait));
        }
    }

    fn line(&self, AmendedRow { row, letters, letter_count }: &AmendedRow, out: &mut String) -> std::fmt::Result {
        let (before, after) = self.series.around_symbol();
        out.push_str(&before);
        for c in row.symbol.chars() {
            if matches!(c, ',' | '=' | ' ') {
                out.push('\\');
            }
            out.push(c);
        }
        write!(out, "{after} count={}i,sum=\"{}\",avg={},state=\"{AMENDED}\"", row.count, row.sum, row.avg)?;
        if let Some(market) = &row.market {
            write!(out, ",open={},high={},low={},close={}", market.open, market.high, market.low, market.close)?;
            if let Some(volume) = market.volume {
                write!(out, ",volume={}", volume.to_f64())?;
            }
            if let Some(vwap) = market.vwap {
                write!(out, ",vwap={vwap}")?;
            }
        }
        let letters = letters.replace('\\', r"\\").replace('"', "\\\"");
        writeln!(out, ",letter_count={letter_count}i,letters=\"{letters}\" {}", row.minute.0)
    }
}

impl AmendedRows for AmendedInflux {
    fn can_hold(&self, symbol: &str) -> bool {
        can_hold(symbol)
    }

    fn columns(&self) -> Vec<&'static str> {
        self.columns.clone()
    }

    fn cells(&self, AmendedRow { row, letters, letter_count }: &AmendedRow) -> Vec<StoredCell> {
        let float = |number: Option<f64>| number.map_or(StoredCell::Nothing, StoredCell::Float);
        let mut cells = vec![
            StoredCell::Integer(row.count),
            StoredCell::Text(row.sum.to_string()),
            float(Some(row.avg)),
            StoredCell::Text(AMENDED.to_owned()),
        ];
        if let (true, Some(market)) = (self.options.columns.market, &row.market) {
            cells.extend([market.open, market.high, market.low, market.close].map(StoredCell::Float));
            cells.push(float(market.volume.map(|volume| volume.to_f64())));
            cells.push(float(market.vwap));
        }
        cells.extend([StoredCell::Integer(*letter_count), StoredCell::Text(letters.clone())]);
        cells
    }

    fn read(&mut self, minutes: Range<WindowStart>) -> Result<StoredAmendedRows, Halt> {
        self.may_write()?;
        let points = points(&self.client, (&self.series, Whose::Ours), &minutes).map_err(|why| self.failed(&why))?;
        let stored = points.into_iter().map(|point| {
            let cells = self.columns.iter().map(|name| cell(name, point.fields.get(*name))).collect();
            let letters = point.fields.get("letters").cloned().unwrap_or_default();
            ((point.minute, point.symbol), StoredAmended { letters, cells })
        });
        Ok(stored.collect())
    }

    /// A field that a row had and has not any more (a volume that is unknown now) would stay in its point: such a point must be
    /// deleted first.
    fn write(&mut self, rows: &[AmendedRow]) -> Result<(), Halt> {
        let at = self.may_write()?;
        if let Some(owner) = self.options.owners.first() {
            self.send(&mark::line(&self.series, owner, &self.options.folder.display().to_string(), at))?;
        }
        for rows in rows.chunks(self.batch) {
            let mut lines = String::new();
            rows.iter().for_each(|row| self.line(row, &mut lines).expect("a string takes it"));
            self.send(&lines)?;
        }
        let wrong = |row: &&AmendedRow| {
            let minutes = row.row.minute..WindowStart(row.row.minute.0 + 1);
            let stored = points(&self.client, (&self.series, Whose::Ours), &minutes).ok()?;
            let point = stored.into_iter().find(|point| point.symbol == row.row.symbol)?;
            let is = self.columns.iter().map(|name| cell(name, point.fields.get(*name)));
            (!is.eq(self.cells(row))).then(|| row.row.symbol.clone())
        };
        // Only such a row can lack a field that it had.
        let lacking = |row: &&AmendedRow| {
            row.row.market.as_ref().is_some_and(|market| market.volume.is_none() || market.vwap.is_none())
        };
        match rows.iter().filter(lacking).find_map(|row| wrong(&row)) {
            None => Ok(()),
            Some(symbol) => Err(self.failed(&format!(
                "a point of {symbol} in {} has a volume or vwap that its amended row does not have any more, and InfluxDB keeps \
                 fields that are not written: delete that point, and amend again",
                self.series.shown()
            ))),
        }
    }
}
