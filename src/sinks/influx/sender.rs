//! A connection to one measurement: sends bytes until their outcome is known, and keeps the health.

use super::advice::advice;
use super::answer::{WriteVerdict, blame, judge, too_slow};
use super::client::{Client, HttpReply, brief, gzip, runtime};
use super::context::InfluxContext;
use super::error::InfluxError;
use super::mark;
use super::retry::next_wait;
use super::series::InfluxSeries;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::delivery::{Effort, Outcome};
use minutely_dataflows::time::EventTime;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sends to one measurement.
pub(super) struct Sender {
    pub(super) context: Arc<InfluxContext>,
    pub(super) series: InfluxSeries,
    pub(super) client: Client,
    runtime: tokio::runtime::Runtime,
    effort: RefCell<Effort>,
    /// Why the last batch was refused to its last point; none if it was not.
    pub(super) refusing: Option<String>,
    pub(super) health: Arc<Health>,
    pub(super) stop: Stop,
}

impl Sender {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// 64 when TLS cannot be set up; 70 when the system gives no means to wait.
    pub(super) fn new(
        context: &Arc<InfluxContext>,
        series: InfluxSeries,
        health: Arc<Health>,
        stop: Stop,
    ) -> Result<Self, InfluxError> {
        let (target, timeouts) = (&context.target, context.timeouts);
        let client = Client::new(target, timeouts, context.options.clock)?;
        let effort = RefCell::new(Effort::new(target.batch, target.timeout.unwrap_or(timeouts.request)));
        let (runtime, context, refusing) = (runtime()?, Arc::clone(context), None);
        Ok(Sender { context, series, client, runtime, effort, refusing, health, stop })
    }

    /// Returns once the server has taken an empty write.
    pub(super) fn until_taken(&self) -> Result<(), WriterExit> {
        loop {
            match self.ask_for(gzip(b""))? {
                Outcome::Done => return Ok(()),
                Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
                    self.health.set_trouble(format!("refuses even an empty write ({})", brief(&answer)));
                    self.stop.wait(self.context.timeouts.hold)?;
                }
            }
        }
    }

    /// Waits for a future, or until the sink is to stop.
    pub(super) fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, WriterExit> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.until_set() => Err(WriterExit::Stopped),
                answer = future => Ok(answer),
            }
        })
    }

    /// The server answers; if it refused every point of the last batch, that is still trouble.
    pub(super) fn set_answering(&self) {
        match &self.refusing {
            Some(why) => self.health.set_trouble(why.clone()),
            None => self.health.clear_trouble(),
        }
    }

    /// Records points that the server will never take.
    pub(super) fn record(&self, refused: &[serde_json::Value]) -> Result<(), WriterExit> {
        let Some(first) = refused.first() else { return Ok(()) };
        let recorded = if self.context.unwritable.is_kept() { " and are recorded in unwritable.jsonl" } else { "" };
        let (name, count) = (&self.context.target.name, refused.len());
        tracing::warn!("{name}: {count} points cannot be written{recorded}; the first: {first}");
        self.context.unwritable.add(refused, &self.health, &self.stop)
    }

    /// Does the server answer?
    pub(super) fn is_answering(&self) -> bool {
        self.health.trouble().is_none() || self.refusing.is_some()
    }

    /// Lines of one request at present.
    pub(super) fn lines(&self) -> usize {
        self.effort.borrow().lines()
    }

    /// The time-out of a request at present.
    pub(super) fn wait(&self) -> Duration {
        self.effort.borrow().wait()
    }

    /// Sends bytes that are not points of a batch until their outcome is known.
    pub(super) fn ask_for(&self, body: Vec<u8>) -> Result<Outcome, WriterExit> {
        let mut backoff = self.context.timeouts.backoff();
        loop {
            if let Some(outcome) = self.deliver(body.clone(), &[], &mut backoff)? {
                return Ok(outcome);
            }
        }
    }

    /// Sends the same bytes, of points of these times, until their outcome is known. None: they took too long, so fewer points
    /// are to be sent at once.
    pub(super) fn deliver(
        &self,
        body: Vec<u8>,
        times: &[i64],
        backoff: &mut Backoff,
    ) -> Result<Option<Outcome>, WriterExit> {
        loop {
            let began = Instant::now();
            let reply = self.unless_stopped(self.client.write(body.clone(), self.wait()))?;
            let slow = match &reply {
                HttpReply::Lost { slow, .. } => *slow,
                HttpReply::Status { status, text, .. } => too_slow(*status, text),
            };
            let (why, wait) = match reply {
                HttpReply::Lost { why, .. } => (why, next_wait(backoff, None)),
                HttpReply::Status { status, retry_after, text, fails } => {
                    let answer = format!("{status}: {}", brief(&text));
                    match judge(status, fails) {
                        WriteVerdict::Done => {
                            self.effort.borrow_mut().took(times.len(), began.elapsed());
                            self.set_answering();
                            return Ok(Some(Outcome::Done));
                        }
                        WriteVerdict::Split => return Ok(Some(Outcome::Split(answer))),
                        WriteVerdict::Blame => return Ok(Some(blame(status, &text, answer, times))),
                        WriteVerdict::Again => {
                            (format!("{answer}{}", self.client.via()), next_wait(backoff, retry_after))
                        }
                        WriteVerdict::Hold => {
                            (advice(&self.context.target, status, &text, self.client.via()), self.context.timeouts.hold)
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

    /// A request of this many points took too long.
    fn slower(&self, why: &str, points: usize) {
        let mut effort = self.effort.borrow_mut();
        let waited = effort.wait();
        effort.took_too_long(points);
        self.health.set_trouble(format!(
            "{why} ({points} points, {} s); continues with {} at once and waits {} s",
            waited.as_secs_f64(),
            effort.lines(),
            effort.wait().as_secs_f64()
        ));
    }

    /// The line of the mark.
    pub(super) fn mark(&self, at: EventTime) -> String {
        let options = &self.context.options;
        mark::line(&self.series, &options.owner, &options.data.to_string_lossy(), at)
    }
}
