//! A writer's place becomes its job's before the first row, and stays it: the mark is looked at every minute, for another
//! job may take the place (`--take-sink`), and written again before the database forgets it. What a query does not tell is
//! a remark, and the run goes on: who may write and not read must still be able to.

use super::address::Place;
use super::client::{Client, Reply, brief};
use super::mark::{self, Asked, Claim, Which};
use super::retention::{retention, too_short};
use super::retry::next_wait;
use super::series::Series;
use super::writer::{InfluxWriter, gzip};
use crate::threads::WriterExit;
use minutely_dataflows::delivery::{Outcome, WriteVerdict, judge};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::EventTime;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// So many queries may fail, while writes go through, before it is taken that there will be no answer.
const QUERIES: u32 = 3;
/// The longest time between two writes of a mark.
const REFRESH: Duration = Duration::from_secs(3_600);
/// The same where it is not known how long the database keeps points: no InfluxDB 2 keeps them for less than an hour.
const REFRESH_UNKNOWN: Duration = Duration::from_secs(900);

/// What one attempt at a query brought.
pub(super) enum Answer {
    /// What there is to know.
    Known(Asked),
    /// Nothing: the server does not answer at present, and why.
    Later(String, Option<Duration>),
}

/// Asks once for a mark of a place. InfluxDB 1, 2 and 3 have InfluxQL in common, and an InfluxDB 2 may lack the
/// mapping that it needs: there it is Flux first.
pub(super) async fn ask(client: &Client, series: &Series, which: Which) -> Answer {
    let (org, bucket) = match client.place() {
        Place::Database(database) => return ask_influxql(client, database, series, which).await,
        Place::Bucket { org, bucket } => (org, bucket),
    };
    match client.flux(org, mark::flux(bucket, series, which)).await {
        Reply::Lost { why, .. } => Answer::Later(why, None),
        Reply::Status { status: 200, text, .. } => match mark::from_csv(&text) {
            Asked::Unknown(_) => ask_influxql(client, bucket, series, which).await,
            known => Answer::Known(known),
        },
        Reply::Status { status: 400 | 404 | 405 | 501, .. } => ask_influxql(client, bucket, series, which).await,
        reply => unanswered(reply),
    }
}

async fn ask_influxql(client: &Client, database: &str, series: &Series, which: Which) -> Answer {
    let query = [("db", database.to_owned()), ("epoch", "ns".to_owned()), ("q", mark::influxql(series, which))];
    match client.get("/query", &query).await {
        Reply::Status { status: 200, text, .. } => Answer::Known(mark::from_json(&text)),
        reply => unanswered(reply),
    }
}

fn unanswered(reply: Reply) -> Answer {
    match reply {
        Reply::Lost { why, .. } => Answer::Later(why, None),
        Reply::Status { status, retry_after, text, .. } => {
            let why = format!("{status}: {}", brief(&text));
            match judge(status, false) {
                WriteVerdict::Again => Answer::Later(why, retry_after),
                _ => Answer::Known(Asked::Unknown(why)),
            }
        }
    }
}

/// How a writer has its place.
pub(super) struct Held {
    /// When the mark was looked at last.
    looked: Instant,
    /// When it was written last; none if the database did not take it.
    written: Option<Instant>,
    /// How long it may stand before it is written again.
    refresh: Duration,
}

impl InfluxWriter {
    /// Returns once the place is this job's, as far as that can be known.
    ///
    /// # Errors
    /// 64 when it is another job's.
    pub(super) fn claim(&mut self) -> Result<(), WriterExit> {
        let shared = &self.shared;
        let (options, name) = (&shared.options, &shared.address.name);
        let asked = self.until_asked()?;
        let was_free = asked == Asked::Unmarked;
        if let (Asked::Marked(mark), true) = (&asked, options.take_sink)
            && mark.owner != options.owner
        {
            tracing::warn!("{name}: {} was job `{}`'s and is taken from it", self.series.shown(), mark.owner.job);
        }
        let at = match mark::decide(asked, &options.owner, options.take_sink, options.clock.wall()) {
            Claim::Ours(at) => at,
            Claim::Theirs(mark) => return Err(self.refused(&mark)),
            Claim::Unknown(why) => {
                self.health.set_remark(format!(
                    "whether another job writes to {} is unknown, for the query for it is refused ({why}); let the token \
                     read there too",
                    self.series.shown()
                ));
                options.clock.wall()
            }
        };
        let kept = self.unless_stopped(retention(&self.client))?;
        if let (Some(why), false) = (too_short(kept, options), shared.warned.swap(true, Ordering::Relaxed)) {
            tracing::warn!("{name}: {why}");
        }
        let refresh = kept.map_or(REFRESH_UNKNOWN, |kept| REFRESH.min(Duration::from_secs(kept) / 4));
        let written = match self.ask_for(gzip(self.mark(at).as_bytes()))? {
            Outcome::Done => Some(Instant::now()),
            Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
                self.health.set_remark(format!(
                    "the database does not take the mark that keeps other jobs out of {} ({answer})",
                    self.series.shown()
                ));
                None
            }
        };
        if was_free {
            self.is_alone()?;
        }
        self.held = Some(Held { looked: Instant::now(), written, refresh });
        Ok(())
    }

    /// A place that was free may have been so to another job that began at the same time. Each has written its mark before it
    /// asks here, so one of them at least finds the other's, whatever their clocks say.
    fn is_alone(&self) -> Result<(), WriterExit> {
        for which in [Which::Newest, Which::Oldest] {
            let answer = self.unless_stopped(ask(&self.client, &self.series, which))?;
            if let Answer::Known(Asked::Marked(mark)) = answer
                && mark.owner != self.shared.options.owner
            {
                return Err(self.refused(&mark));
            }
        }
        Ok(())
    }

    /// Asks until there is an answer, or writes go through and queries do not.
    fn until_asked(&self) -> Result<Asked, WriterExit> {
        let mut backoff = self.shared.timeouts.backoff();
        for _ in 1..QUERIES {
            let (why, wait) = match self.unless_stopped(ask(&self.client, &self.series, Which::Newest))? {
                Answer::Known(asked) => return Ok(asked),
                Answer::Later(why, wait) => (why, wait),
            };
            self.health.set_trouble(format!("{why} to a query"));
            self.stop.wait(next_wait(&mut backoff, wait))?;
            self.until_taken()?;
        }
        match self.unless_stopped(ask(&self.client, &self.series, Which::Newest))? {
            Answer::Known(asked) => Ok(asked),
            Answer::Later(why, _) => Ok(Asked::Unknown(why)),
        }
    }

    /// Looks whether the place still is this job's, now and then, and while nothing else is wrong.
    ///
    /// # Errors
    /// 64 when another job has it.
    pub(super) fn keep(&mut self) -> Result<(), WriterExit> {
        let is_well = self.is_well();
        let Some(held) = &mut self.held else { return Ok(()) };
        if held.looked.elapsed() < self.shared.timeouts.look.min(held.refresh) || !is_well {
            return Ok(());
        }
        held.looked = Instant::now();
        let (refresh, written) = (held.refresh, held.written);
        let asked = match self.unless_stopped(ask(&self.client, &self.series, Which::Newest))? {
            Answer::Known(asked) => asked,
            Answer::Later(why, _) => Asked::Unknown(why),
        };
        let gone = written.is_some() && asked == Asked::Unmarked;
        if gone {
            self.health.set_remark(format!(
                "the mark of this job in {} is gone: somebody has wiped or made the bucket anew, and what was stored there \
                 before is gone with it; it does not come again",
                self.series.shown()
            ));
        }
        let options = &self.shared.options;
        let at = match mark::decide(asked, &options.owner, false, options.clock.wall()) {
            Claim::Theirs(mark) => return Err(self.refused(&mark)),
            Claim::Ours(at) => at,
            Claim::Unknown(_) => options.clock.wall(),
        };
        let due = written.is_some_and(|written| written.elapsed() >= refresh);
        if gone || due {
            let reply = self.unless_stopped(self.client.write(gzip(self.mark(at).as_bytes()), self.wait()))?;
            // Else at the next look.
            if let (Reply::Status { status, fails, .. }, Some(held)) = (reply, &mut self.held)
                && judge(status, fails) == WriteVerdict::Done
            {
                held.written = Some(Instant::now());
            }
        }
        Ok(())
    }

    fn refused(&self, mark: &mark::Mark) -> WriterExit {
        let why = mark::refusal(&self.series, mark, &self.shared.options.owner);
        WriterExit::Halt(Halt::new(HaltKind::Usage, format!("{}: {why}", self.shared.address.name)))
    }

    /// The line of the mark.
    pub(super) fn mark(&self, at: EventTime) -> String {
        let options = &self.shared.options;
        mark::line(&self.series, &options.owner, &options.data.to_string_lossy(), at)
    }
}
