//! Batches of lines to one measurement, each sent until its outcome is known.
//!
//! Promises: a round counts as stored when the server answered a success for every point of it, or the point is in
//! `unwritable.jsonl` with the server's answer. Does not promise that a round appears at once: its batches are written one
//! after the other; nor that a write which was given up does not arrive later: in `minute` that changes nothing, in
//! `minute_live` it may show an older row until the next write. Batches are bisected when the server blames one of their
//! points; before any point is blamed, an empty write must succeed (or a small one, where a point is too large), so that a
//! proxy that refuses everything does not make all points unwritable. Nor does it promise anything about what the database
//! loses: points that it acknowledged are not kept here.

use super::client::{brief, compressed, gzip};
use super::error::InfluxError;
use super::line::LineWriter;
use super::ownership::TargetOwnership;
use super::sender::Sender;
use super::unwritable::record;
use crate::sinks::options::RowWriter;
use crate::threads::WriterExit;
use flate2::Compression;
use minutely_dataflows::delivery::{Delivery, Outcome, Request};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::State;
use std::ops::Range;

/// A batch of long symbols is smaller.
const BATCH_BYTES: usize = 4 << 20;

/// Writes rows to a measurement.
pub(super) struct InfluxWriter {
    sender: Sender,
    line: LineWriter,
    /// Final rows alone: each point once, always the same bytes.
    final_only: bool,
    /// None before all series are the job's.
    ownership: Option<TargetOwnership>,
    batch: LineBatch,
}

/// Rows and their lines.
#[derive(Default)]
struct LineBatch {
    rows: Vec<Row>,
    lines: Vec<u8>,
    /// Where each row's line ends.
    ends: Vec<usize>,
}

impl LineBatch {
    fn times(&self, range: &Range<usize>) -> Vec<i64> {
        self.rows[range.clone()].iter().map(|row| row.minute.0).collect()
    }

    fn lines(&self, range: &Range<usize>) -> &[u8] {
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        &self.lines[start..self.ends[range.end - 1]]
    }
}

impl InfluxWriter {
    pub(super) fn new(sender: Sender, final_only: bool) -> Self {
        let (base, columns) = (&sender.context.target.series, &sender.context.options.columns);
        let suffix = sender.series.measurement.strip_prefix(base.measurement.as_str()).unwrap_or_default();
        let line = LineWriter::of(&sender.series, &columns.derived).with_kinds((base, suffix), columns);
        InfluxWriter { sender, line, final_only, ownership: None, batch: LineBatch::default() }
    }

    /// Returns once the server takes writes of ours and the series is this job's: before that the bucket may not exist.
    fn begin(&mut self) -> Result<(), WriterExit> {
        match &mut self.ownership {
            Some(ownership) => ownership.keep(&self.sender),
            None => {
                self.sender.until_taken()?;
                self.ownership = Some(TargetOwnership::claim(&self.sender, &self.line.all_series())?);
                Ok(())
            }
        }
    }

    /// Sends the batch, and records what is unwritable in it.
    fn send(&mut self) -> Result<(), WriterExit> {
        let batch = std::mem::take(&mut self.batch);
        let mut delivery = Delivery::new(batch.rows.len());
        let mut backoff = self.sender.context.timeouts.backoff();
        while let Some(request) = delivery.next(self.sender.lines()) {
            let (body, times) = match &request {
                Request::Points(range) => (gzip(batch.lines(range)), batch.times(range)),
                Request::Empty => (gzip(b""), Vec::new()),
                // Uncompressed, which is about the size of a compressed point.
                Request::Small => (
                    compressed(
                        self.sender.mark(&self.sender.series, self.sender.context.options.clock.wall()).as_bytes(),
                        Compression::none(),
                    ),
                    Vec::new(),
                ),
            };
            let size = body.len();
            let Some(outcome) = self.sender.deliver(body, &times, &mut backoff)? else { continue };
            let said = match &outcome {
                Outcome::Done => String::new(),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => answer.clone(),
            };
            if delivery.answered(outcome) {
                self.sender.health.set_trouble(match request {
                    Request::Small => format!(
                        "takes no write of {size} bytes ({}): the limit of the server, or of a proxy before it, is too low; \
                         raise it (nginx: client_max_body_size; InfluxDB 1: max-body-size)",
                        brief(&said)
                    ),
                    _ => format!("refuses even an empty write ({})", brief(&said)),
                });
                self.sender.stop.wait(self.sender.context.timeouts.hold)?;
            }
        }
        self.sent(&batch, &delivery.refused())
    }

    /// Counts and records the outcome of a batch.
    fn sent(&mut self, batch: &LineBatch, refused: &[(usize, String)]) -> Result<(), WriterExit> {
        let stored = batch.rows.len() - refused.len();
        self.sender.health.count_written(u64::try_from(stored).expect("a usize fits a u64"));
        let name = &self.sender.context.target.name;
        let records: Vec<_> = refused
            .iter()
            .map(|(point, answer)| (&batch.rows[*point], answer))
            .map(|(row, answer)| record(name, (self.line.series(row.kind), self.line.derived(row.kind)), row, answer))
            .collect();
        self.sender.record(&records)?;
        self.sender.refusing = match refused.last() {
            _ if stored > 0 => None,
            Some((_, answer)) => Some(format!(
                "refuses every point (the last {} of them: {answer}); see unwritable.jsonl",
                refused.len()
            )),
            None => return Ok(()),
        };
        self.sender.set_answering();
        Ok(())
    }
}

impl RowWriter for InfluxWriter {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), WriterExit> {
        self.begin()?;
        for row in rows {
            if self.final_only && row.state != State::Final {
                let name = self.sender.context.target.name.clone();
                return Err(Halt::from(InfluxError::NotFinal { name, row: Box::new(row.clone()) }).into());
            }
            if let Err(why) = self.line.write(row, &mut self.batch.lines) {
                self.sender.record(&[record(
                    &self.sender.context.target.name,
                    (self.line.series(row.kind), self.line.derived(row.kind)),
                    row,
                    why,
                )])?;
                continue;
            }
            self.batch.rows.push(row.clone());
            self.batch.ends.push(self.batch.lines.len());
            if self.batch.rows.len() >= self.sender.context.target.batch || self.batch.lines.len() >= BATCH_BYTES {
                self.send()?;
            }
        }
        Ok(())
    }

    fn store(&mut self) -> Result<Option<u64>, WriterExit> {
        self.begin()?;
        self.send()?;
        Ok(None)
    }

    /// All rows that came are stored, or wait for a whole batch: any trouble is that of a ping, and a ping may clear it.
    fn idle(&mut self) -> Result<(), WriterExit> {
        self.begin()?;
        let pinged = self.sender.unless_stopped(self.sender.client.ping())?;
        match pinged {
            Ok(()) => self.sender.set_answering(),
            Err(why) => self.sender.health.set_trouble(why),
        }
        Ok(())
    }
}
