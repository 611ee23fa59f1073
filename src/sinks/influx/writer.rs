//! Batches of lines to one measurement, each sent until its outcome is known.
//!
//! Promises: a round counts as stored when every point of it was answered by a success, or stands in `unwritable.jsonl`
//! with what the server said of it. Does not promise that a round appears at once: its batches are written one after
//! the other; nor that a write which was given up does not arrive later: in `minute` that changes nothing, in
//! `minute_live` it may show an older row until the next one. Batches are bisected when the server blames one of their
//! points; before any point is blamed, an empty write must go through (or a small one, where a point is too large), lest a
//! proxy that refuses everything make all points unwritable. Nor does it promise anything of what the database has lost:
//! what it answered for is forgotten here.

use super::Shared;
use super::advice::advice;
use super::claim::Held;
use super::client::{Client, Reply, brief, runtime};
use super::line::Line;
use super::retry::next_wait;
use super::series::Series;
use super::unwritable::record;
use crate::sinks::options::RowWriter;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use flate2::Compression;
use flate2::write::GzEncoder;
use minutely_dataflows::delivery::{
    Delivery, Effort, Outcome, Request, WriteVerdict, dropped, judge, oldest_dropped, too_slow,
};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::State;
use std::cell::RefCell;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    effort: RefCell<Effort>,
    /// The last batch was refused to its last point.
    refusing: Option<String>,
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
    fn times(&self, range: &Range<usize>) -> Vec<i64> {
        self.rows[range.clone()].iter().map(|row| row.minute.0).collect()
    }

    fn lines(&self, range: &Range<usize>) -> &[u8] {
        let start = if range.start == 0 { 0 } else { self.ends[range.start - 1] };
        &self.lines[start..self.ends[range.end - 1]]
    }
}

/// Compressed; the same lines give the same bytes.
pub(super) fn gzip(lines: &[u8]) -> Vec<u8> {
    compressed(lines, Compression::fast())
}

fn compressed(lines: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
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
        let client = Client::new(&shared.address, shared.timeouts, shared.options.clock)?;
        let address = &shared.address;
        let effort = RefCell::new(Effort::new(address.batch, address.timeout.unwrap_or(shared.timeouts.request)));
        let (runtime, line, shared) = (runtime()?, Line::of(&series), Arc::clone(shared));
        let (batch, held, refusing) = (Batch::default(), None, None);
        Ok(InfluxWriter {
            shared,
            series,
            line,
            final_only,
            client,
            runtime,
            held,
            batch,
            effort,
            refusing,
            health,
            stop,
        })
    }

    /// Returns once the server takes writes of ours and the place is this job's: before that it may not even be there.
    fn begin(&mut self) -> Result<(), WriterExit> {
        if self.held.is_some() {
            return self.keep();
        }
        self.until_taken()?;
        self.claim()
    }

    /// Returns once the server has taken an empty write.
    pub(super) fn until_taken(&self) -> Result<(), WriterExit> {
        loop {
            match self.ask_for(gzip(b""))? {
                Outcome::Done => return Ok(()),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
                    self.health.set_trouble(format!("refuses even an empty write ({})", brief(&answer)));
                    self.stop.wait(self.shared.timeouts.hold)?;
                }
            }
        }
    }

    /// Waits here, at most until the sink is told to stop.
    pub(super) fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, WriterExit> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.until_set() => Err(WriterExit::Stopped),
                answer = future => Ok(answer),
            }
        })
    }

    /// Sends the batch; what is unwritable in it is recorded.
    fn send(&mut self) -> Result<(), WriterExit> {
        let batch = std::mem::take(&mut self.batch);
        let mut delivery = Delivery::new(batch.rows.len());
        let mut backoff = self.shared.timeouts.backoff();
        while let Some(request) = delivery.next(self.lines()) {
            let (body, times) = match &request {
                Request::Points(range) => (gzip(batch.lines(range)), batch.times(range)),
                Request::Empty => (gzip(b""), Vec::new()),
                // As it is, which is about what a point is compressed.
                Request::Small => (
                    compressed(self.mark(self.shared.options.clock.wall()).as_bytes(), Compression::none()),
                    Vec::new(),
                ),
            };
            let size = body.len();
            let Some(outcome) = self.deliver(body, &times, &mut backoff)? else { continue };
            let said = match &outcome {
                Outcome::Done => String::new(),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => answer.clone(),
            };
            if delivery.answered(outcome) {
                self.health.set_trouble(match request {
                    Request::Small => format!(
                        "takes no write of {size} bytes ({}): the limit of the server, or of a proxy before it, is too low; \
                         raise it (nginx: client_max_body_size; InfluxDB 1: max-body-size)",
                        brief(&said)
                    ),
                    _ => format!("refuses even an empty write ({})", brief(&said)),
                });
                self.stop.wait(self.shared.timeouts.hold)?;
            }
        }
        self.sent(&batch, &delivery.refused())
    }

    /// What became of a batch.
    fn sent(&mut self, batch: &Batch, refused: &[(usize, String)]) -> Result<(), WriterExit> {
        let stored = batch.rows.len() - refused.len();
        self.health.count_written(u64::try_from(stored).expect("a usize fits a u64"));
        let name = &self.shared.address.name;
        let records: Vec<_> =
            refused.iter().map(|(point, answer)| record(name, &self.series, &batch.rows[*point], answer)).collect();
        self.record(&records)?;
        self.refusing = match refused.last() {
            _ if stored > 0 => None,
            Some((_, answer)) => Some(format!(
                "refuses every point (the last {} of them: {answer}); see unwritable.jsonl",
                refused.len()
            )),
            None => return Ok(()),
        };
        self.well();
        Ok(())
    }

    /// The server answers as it should; but is anything stored?
    fn well(&self) {
        match &self.refusing {
            Some(why) => self.health.set_trouble(why.clone()),
            None => self.health.clear_trouble(),
        }
    }

    fn record(&self, refused: &[serde_json::Value]) -> Result<(), WriterExit> {
        let Some(first) = refused.first() else { return Ok(()) };
        tracing::warn!(
            "{}: {} points cannot be written and are recorded in unwritable.jsonl; the first: {first}",
            self.shared.address.name,
            refused.len()
        );
        self.shared.unwritable.add(refused, &self.health, &self.stop)
    }

    /// Does the server answer as it should?
    pub(super) fn is_well(&self) -> bool {
        self.health.trouble().is_none() || self.refusing.is_some()
    }

    /// How many lines are sent at once at present.
    fn lines(&self) -> usize {
        self.effort.borrow().lines()
    }

    /// How long an answer is waited for at present.
    pub(super) fn wait(&self) -> Duration {
        self.effort.borrow().wait()
    }

    /// Sends something that is no batch until it is known what became of it.
    pub(super) fn ask_for(&self, body: Vec<u8>) -> Result<Outcome, WriterExit> {
        let mut backoff = self.shared.timeouts.backoff();
        loop {
            if let Some(outcome) = self.deliver(body.clone(), &[], &mut backoff)? {
                return Ok(outcome);
            }
        }
    }

    /// Sends the same bytes, of points of these times, until it is known what became of them. None: they took too long, so
    /// fewer of them are to be sent.
    fn deliver(&self, body: Vec<u8>, times: &[i64], backoff: &mut Backoff) -> Result<Option<Outcome>, WriterExit> {
        loop {
            let began = Instant::now();
            let reply = self.unless_stopped(self.client.write(body.clone(), self.wait()))?;
            let slow = match &reply {
                Reply::Lost { slow, .. } => *slow,
                Reply::Status { status, text, .. } => too_slow(*status, text),
            };
            let (why, wait) = match reply {
                Reply::Lost { why, .. } => (why, next_wait(backoff, None)),
                Reply::Status { status, retry_after, text, fails } => {
                    let answer = format!("{status}: {}", brief(&text));
                    match judge(status, fails) {
                        WriteVerdict::Done => {
                            self.effort.borrow_mut().took(times.len(), began.elapsed());
                            self.well();
                            return Ok(Some(Outcome::Done));
                        }
                        WriteVerdict::Split => return Ok(Some(Outcome::Split(answer))),
                        WriteVerdict::Blame => return Ok(Some(blame(status, &text, answer, times))),
                        WriteVerdict::Again => {
                            (format!("{answer}{}", self.client.via()), next_wait(backoff, retry_after))
                        }
                        WriteVerdict::Hold => {
                            (advice(&self.shared.address, status, &text, self.client.via()), self.shared.timeouts.hold)
                        }
                    }
                }
            };
            if slow {
                self.slower(&why, times.len());
                self.stop.wait(wait)?;
                return Ok(None);
            }
            self.health.set_trouble(why);
            self.stop.wait(wait)?;
        }
    }

    /// A request of so many points took too long.
    fn slower(&self, why: &str, points: usize) {
        let mut effort = self.effort.borrow_mut();
        let waited = effort.wait();
        effort.took_too_long(points);
        self.health.set_trouble(format!(
            "{why} ({points} points, {} s); goes on with {} at once and waits {} s",
            waited.as_secs_f64(),
            effort.lines(),
            effort.wait().as_secs_f64()
        ));
    }
}

/// What a refusal says of points of these times.
fn blame(status: u16, text: &str, answer: String, times: &[i64]) -> Outcome {
    let oldest = oldest_dropped(text, times);
    // An InfluxDB 1 says 400 to a partial write as well.
    let partial = status == 422 || text.starts_with("partial write: ");
    let dropped = oldest.or_else(|| if partial { dropped(text) } else { None });
    Outcome::Blame { answer, dropped, oldest: oldest.is_some() }
}

impl RowWriter for InfluxWriter {
    fn rows(&mut self, _seq: u64, rows: &[Row]) -> Result<(), WriterExit> {
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
                return Err(WriterExit::Halt(Halt::new(HaltKind::Internal, why)));
            }
            if let Err(why) = self.line.write(row, &mut self.batch.lines) {
                self.record(&[record(&self.shared.address.name, &self.series, row, why)])?;
                continue;
            }
            self.batch.rows.push(row.clone());
            self.batch.ends.push(self.batch.lines.len());
            if self.batch.rows.len() >= self.shared.address.batch || self.batch.lines.len() >= BATCH_BYTES {
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

    /// (All that was taken is stored by now, or not whole: so trouble is a ping's, and a ping may end it.)
    fn idle(&mut self) -> Result<(), WriterExit> {
        self.begin()?;
        let pinged = self.unless_stopped(self.client.ping())?;
        match pinged {
            Ok(()) => self.well(),
            Err(why) => self.health.set_trouble(why),
        }
        Ok(())
    }
}
