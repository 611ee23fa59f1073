//! Batches of lines to one measurement, each sent until its outcome is known.
//!
//! Promises: a round counts as stored when every point of it was answered by 204, or stands in `unwritable.jsonl`
//! with the answer that it got alone. Does not promise that a round appears at once: its batches are written one after
//! the other; nor that a write which was given up does not arrive later: in `minute` that changes nothing, in
//! `minute_live` it may show an older row until the next one. Batches are bisected when the server blames one of their points; before any point is blamed, an empty
//! write must go through, lest a proxy that refuses everything make all points unwritable.

use super::client::{Client, Reply, advice, brief, runtime};
use super::retry::{Backoff, Pace, Verdict, dropped, judge};
use super::unwritable::{Unwritable, record};
use super::{Address, line};
use crate::clock::Clock;
use crate::sinks::RowWriter;
use crate::sinks::port::{Health, Leave, Stop};
use flate2::Compression;
use flate2::write::GzEncoder;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::State;
use std::io::Write;
use std::sync::Arc;

/// Lines of a batch, at most: what InfluxDB's own documentation advises.
const BATCH_LINES: usize = 5_000;
/// A batch of long symbols is smaller.
const BATCH_BYTES: usize = 4 << 20;

/// Writes rows to a measurement.
pub(super) struct InfluxWriter {
    address: Arc<Address>,
    measurement: &'static str,
    /// Each point once, the same bytes for ever: nothing but final rows.
    final_only: bool,
    client: Client,
    runtime: tokio::runtime::Runtime,
    pace: Pace,
    batch: Batch,
    unwritable: Arc<Unwritable>,
    health: Arc<Health>,
    stop: Stop,
}

/// Rows and their lines.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    lines: Vec<u8>,
    /// Where each row's line ends.
    ends: Vec<usize>,
}

impl Batch {
    fn lines(&self, range: &std::ops::Range<usize>) -> &[u8] {
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        &self.lines[start..self.ends[range.end - 1]]
    }
}

/// What became of lines that were sent until their outcome was known.
enum Outcome {
    Done,
    Split(String),
    Blame { answer: String, all: Option<usize> },
}

/// Compressed; the same lines give the same bytes.
pub(super) fn gzip(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(lines).expect("memory takes what is written to it");
    encoder.finish().expect("memory takes what is written to it")
}

impl InfluxWriter {
    #[expect(clippy::too_many_arguments, reason = "its parts, put together in one place")]
    pub(super) fn new(
        address: Arc<Address>,
        measurement: &'static str,
        final_only: bool,
        pace: Pace,
        clock: Clock,
        unwritable: Arc<Unwritable>,
        health: Arc<Health>,
        stop: Stop,
    ) -> Result<Self, Halt> {
        let client = Client::new(&address, pace, clock)?;
        let (runtime, batch) = (runtime()?, Batch::default());
        Ok(InfluxWriter { address, measurement, final_only, client, runtime, pace, batch, unwritable, health, stop })
    }

    /// Sends the batch; what is unwritable in it is recorded.
    fn send(&mut self) -> Result<(), Leave> {
        let batch = std::mem::take(&mut self.batch);
        if batch.rows.is_empty() {
            return Ok(());
        }
        let mut refused = Vec::new();
        let mut todo: Vec<_> = std::iter::once(0..batch.rows.len()).collect();
        let mut blames_points = false;
        while let Some(range) = todo.pop() {
            let (answer, all) = match self.deliver(gzip(batch.lines(&range)))? {
                Outcome::Done => continue,
                Outcome::Split(answer) => (answer, false),
                Outcome::Blame { answer, all } => (answer, all == Some(range.len())),
            };
            if !blames_points && !self.takes_nothing_gladly()? {
                todo.push(range); // it was not about the points, or was not for a while: once more
                continue;
            }
            blames_points = true;
            if range.len() == 1 || all {
                refused.extend(range.map(|i| record(&self.address.name, self.measurement, &batch.rows[i], &answer)));
            } else {
                let middle = range.start + range.len() / 2;
                todo.push(middle..range.end);
                todo.push(range.start..middle);
            }
        }
        self.record(&refused)
    }

    fn record(&self, refused: &[serde_json::Value]) -> Result<(), Leave> {
        let Some(first) = refused.first() else { return Ok(()) };
        tracing::warn!(
            "{}: {} points cannot be written and are recorded in unwritable.jsonl; the first: {first}",
            self.address.name,
            refused.len()
        );
        self.unwritable.add(refused, &self.health, &self.stop)
    }

    /// Does an empty write go through at the first attempt? If not, waits until it does.
    fn takes_nothing_gladly(&mut self) -> Result<bool, Leave> {
        let mut first = true;
        loop {
            match self.deliver(gzip(b""))? {
                Outcome::Done => return Ok(first),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
                    self.health.hurts(format!("refuses even an empty write ({})", brief(&answer)));
                    self.stop.wait(self.pace.hold)?;
                    first = false;
                }
            }
        }
    }

    /// Sends the same bytes until it is known what became of them.
    fn deliver(&mut self, body: Vec<u8>) -> Result<Outcome, Leave> {
        let mut backoff = Backoff::new(self.pace);
        loop {
            let reply = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.stop.told() => Err(Leave::Stopped),
                    reply = self.client.write(body.clone()) => Ok(reply),
                }
            })?;
            let (why, wait) = match reply {
                Reply::Lost(why) => (why, backoff.wait(None)),
                Reply::Status { status, retry_after, text } => match judge(status) {
                    Verdict::Done => {
                        self.health.heals();
                        return Ok(Outcome::Done);
                    }
                    Verdict::Split => return Ok(Outcome::Split(format!("{status}: {}", brief(&text)))),
                    Verdict::Blame => {
                        let all = if status == 422 { dropped(&text) } else { None };
                        return Ok(Outcome::Blame { answer: format!("{status}: {}", brief(&text)), all });
                    }
                    Verdict::Again => (format!("{status}: {}", brief(&text)), backoff.wait(retry_after)),
                    Verdict::Hold => (advice(&self.address, status, &text), self.pace.hold),
                },
            };
            self.health.hurts(why);
            self.stop.wait(wait)?;
        }
    }
}

impl RowWriter for InfluxWriter {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), Leave> {
        for row in rows {
            if self.final_only && row.state != State::Final {
                let why = format!(
                    "{}: a row that is {} came to a measurement of final rows ({} at {})",
                    self.address.name,
                    row.state.name(),
                    row.symbol,
                    row.minute.0
                );
                return Err(Leave::Halt(Halt::new(HaltKind::Internal, why)));
            }
            if let Err(why) = line::write(self.measurement, row, &mut self.batch.lines) {
                self.record(&[record(&self.address.name, self.measurement, row, why)])?;
                continue;
            }
            self.batch.rows.push(row.clone());
            self.batch.ends.push(self.batch.lines.len());
            if self.batch.rows.len() >= BATCH_LINES || self.batch.lines.len() >= BATCH_BYTES {
                self.send()?;
            }
        }
        Ok(())
    }

    fn store(&mut self) -> Result<Option<u64>, Leave> {
        self.send()?;
        Ok(None)
    }
}
