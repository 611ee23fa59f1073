//! Batches of lines to one measurement, each sent until its outcome is known.
//!
//! Promises: a round counts as stored when every point of it was answered by 204, or stands in `unwritable.jsonl`
//! with the answer that it got alone. Does not promise that a round appears at once: its batches are written one after
//! the other; nor that a write which was given up does not arrive later: in `minute` that changes nothing, in
//! `minute_live` it may show an older row until the next one. Batches are bisected when the server blames one of their points; before any point is blamed, an empty
//! write must go through, lest a proxy that refuses everything make all points unwritable.

use super::Shared;
use super::advice::advice;
use super::claim::Held;
use super::client::{Client, Reply, brief, runtime};
use super::line::Line;
use super::retry::Backoff;
use super::series::Series;
use super::unwritable::record;
use crate::sinks::RowWriter;
use crate::sinks::port::{Health, Leave, Stop};
use flate2::Compression;
use flate2::write::GzEncoder;
use minutely_dataflows::delivery::{Delivery, Outcome, Request, Verdict, dropped, judge};
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
    pub(super) shared: Arc<Shared>,
    pub(super) series: Series,
    line: Line,
    /// Each point once, the same bytes for ever: nothing but final rows.
    final_only: bool,
    pub(super) client: Client,
    runtime: tokio::runtime::Runtime,
    /// None before the place is the job's.
    pub(super) held: Option<Held>,
    batch: Batch,
    pub(super) health: Arc<Health>,
    pub(super) stop: Stop,
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

/// Compressed; the same lines give the same bytes.
pub(super) fn gzip(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(lines).expect("memory takes what is written to it");
    encoder.finish().expect("memory takes what is written to it")
}

impl InfluxWriter {
    pub(super) fn new(
        shared: &Arc<Shared>,
        series: Series,
        final_only: bool,
        health: Arc<Health>,
        stop: Stop,
    ) -> Result<Self, Halt> {
        let client = Client::new(&shared.address, shared.pace, shared.options.clock)?;
        let (runtime, batch, shared, line) = (runtime()?, Batch::default(), Arc::clone(shared), Line::of(&series));
        Ok(InfluxWriter { shared, series, line, final_only, client, runtime, held: None, batch, health, stop })
    }

    /// Returns once the server takes writes of ours and the place is this job's: before that it may not even be there.
    fn begin(&mut self) -> Result<(), Leave> {
        if self.held.is_some() {
            return self.keep();
        }
        self.until_taken()?;
        self.claim()
    }

    /// Returns once the server has taken an empty write.
    pub(super) fn until_taken(&self) -> Result<(), Leave> {
        loop {
            match self.deliver(gzip(b""))? {
                Outcome::Done => return Ok(()),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
                    self.health.hurts(format!("refuses even an empty write ({})", brief(&answer)));
                    self.stop.wait(self.shared.pace.hold)?;
                }
            }
        }
    }

    /// Waits here, at most until the sink is told to stop.
    pub(super) fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Leave> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.told() => Err(Leave::Stopped),
                answer = future => Ok(answer),
            }
        })
    }

    /// Sends the batch; what is unwritable in it is recorded.
    fn send(&mut self) -> Result<(), Leave> {
        let batch = std::mem::take(&mut self.batch);
        let mut delivery = Delivery::new(batch.rows.len());
        while let Some(request) = delivery.next() {
            let outcome = self.deliver(match request {
                Request::Points(range) => gzip(batch.lines(&range)),
                Request::Empty => gzip(b""),
            })?;
            let said = match &outcome {
                Outcome::Done => String::new(),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => answer.clone(),
            };
            if delivery.answered(outcome) {
                self.health.hurts(format!("refuses even an empty write ({})", brief(&said)));
                self.stop.wait(self.shared.pace.hold)?;
            }
        }
        let refused = delivery.refused();
        let name = &self.shared.address.name;
        let refused: Vec<_> =
            refused.iter().map(|(point, answer)| record(name, &self.series, &batch.rows[*point], answer)).collect();
        self.record(&refused)
    }

    fn record(&self, refused: &[serde_json::Value]) -> Result<(), Leave> {
        let Some(first) = refused.first() else { return Ok(()) };
        tracing::warn!(
            "{}: {} points cannot be written and are recorded in unwritable.jsonl; the first: {first}",
            self.shared.address.name,
            refused.len()
        );
        self.shared.unwritable.add(refused, &self.health, &self.stop)
    }

    /// Sends the same bytes until it is known what became of them.
    pub(super) fn deliver(&self, body: Vec<u8>) -> Result<Outcome, Leave> {
        let mut backoff = Backoff::new(self.shared.pace);
        loop {
            let reply = self.unless_stopped(self.client.write(body.clone()))?;
            let (why, wait) = match reply {
                Reply::Lost(why) => (why, backoff.wait(None)),
                Reply::Status { status, retry_after, text } => match judge(status) {
                    Verdict::Done => {
                        self.health.heals();
                        return Ok(Outcome::Done);
                    }
                    Verdict::Split => return Ok(Outcome::Split(format!("{status}: {}", brief(&text)))),
                    Verdict::Blame => {
                        // An InfluxDB 1 says 400 to a partial write as well.
                        let partial = status == 422 || text.starts_with("partial write: ");
                        let dropped = if partial { dropped(&text) } else { None };
                        return Ok(Outcome::Blame { answer: format!("{status}: {}", brief(&text)), dropped });
                    }
                    Verdict::Again => (format!("{status}: {}", brief(&text)), backoff.wait(retry_after)),
                    Verdict::Hold => (advice(&self.shared.address, status, &text), self.shared.pace.hold),
                },
            };
            self.health.hurts(why);
            self.stop.wait(wait)?;
        }
    }
}

impl RowWriter for InfluxWriter {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), Leave> {
        self.begin()?;
        for row in rows {
            if self.final_only && row.state != State::Final {
                let why = format!(
                    "{}: a row that is {} came to a measurement of final rows ({} at {})",
                    self.shared.address.name,
                    row.state.name(),
                    row.symbol,
                    row.minute.0
                );
                return Err(Leave::Halt(Halt::new(HaltKind::Internal, why)));
            }
            if let Err(why) = self.line.write(row, &mut self.batch.lines) {
                self.record(&[record(&self.shared.address.name, &self.series, row, why)])?;
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
        self.begin()?;
        self.send()?;
        Ok(None)
    }

    /// (All that was taken is stored by now, or not whole: so trouble is a ping's, and a ping may end it.)
    fn idle(&mut self) -> Result<(), Leave> {
        self.begin()?;
        let pinged = self.unless_stopped(self.client.ping())?;
        match pinged {
            Ok(()) => self.health.heals(),
            Err(why) => self.health.hurts(why),
        }
        Ok(())
    }
}
