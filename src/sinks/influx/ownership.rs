//! A writer's series of points, one for each kind of rows, become its job's before the first row, and stay it: each mark is read every minute, for
//! another job may take the series (`--take-sink`), and written again before the database forgets it. Where a query gets no
//! answer, that is a remark and the run continues: a token that may write and not read is enough.

use super::answer::{WriteVerdict, judge};
use super::client::{HttpReply, gzip};
use super::error::InfluxError;
use super::mark::{self, MarkAge, MarkAnswer, MarkVerdict};
use super::query::{QueryOutcome, ask};
use super::retention::{retention, too_short};
use super::retry::next_wait;
use super::sender::Sender;
use super::series::InfluxSeries;
use crate::threads::WriterExit;
use minutely_dataflows::delivery::Outcome;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::EventTime;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Queries that may fail, while writes succeed, before it is assumed that there will be no answer.
const QUERIES: u32 = 3;
/// The longest time between two writes of a mark.
const REFRESH: Duration = Duration::from_secs(3_600);
/// The same where it is not known how long the database keeps points: no InfluxDB 2 keeps them for less than an hour.
const REFRESH_UNKNOWN: Duration = Duration::from_secs(900);

/// That all series of points of a writer are this job's, as far as that can be known.
pub(super) struct TargetOwnership {
    /// When marks were read last.
    looked: Instant,
    series: Vec<SeriesMark>,
    /// How long a mark may stand before it is written again.
    refresh: Duration,
}

/// The mark of one series.
struct SeriesMark {
    series: InfluxSeries,
    /// When it was written last; none if the database did not take it.
    written: Option<Instant>,
}

impl TargetOwnership {
    /// Returns once these series are this job's, as far as that can be known. No mark is written before all were read.
    ///
    /// # Errors
    /// 64 when one of them is another job's.
    pub(super) fn claim(sender: &Sender, all: &[InfluxSeries]) -> Result<Self, WriterExit> {
        let context = &sender.context;
        let (options, name) = (&context.options, &context.target.name);
        let mut claims = Vec::new();
        for series in all {
            claims.push((series, claimed(sender, series)?));
        }
        let kept = sender.unless_stopped(retention(&sender.client))?;
        if let (Some(why), false) = (too_short(kept, options), context.warned.swap(true, Ordering::Relaxed)) {
            tracing::warn!("{name}: {why}");
        }
        let refresh = kept.map_or(REFRESH_UNKNOWN, |kept| REFRESH.min(Duration::from_secs(kept) / 4));
        let mut marks = Vec::new();
        for (series, (at, was_free)) in claims {
            marks.push(SeriesMark { series: series.clone(), written: write_mark(sender, series, at)? });
            if was_free {
                is_alone(sender, series)?;
            }
        }
        Ok(TargetOwnership { looked: Instant::now(), series: marks, refresh })
    }

    /// Reads whether the series still are this job's, now and then, and while nothing else is wrong.
    ///
    /// # Errors
    /// 64 when another job has one of them.
    pub(super) fn keep(&mut self, sender: &Sender) -> Result<(), WriterExit> {
        if self.looked.elapsed() < sender.context.timeouts.look.min(self.refresh) || !sender.is_answering() {
            return Ok(());
        }
        self.looked = Instant::now();
        self.series.iter_mut().try_for_each(|mark| mark.keep(sender, self.refresh))
    }
}

impl SeriesMark {
    fn keep(&mut self, sender: &Sender, refresh: Duration) -> Result<(), WriterExit> {
        let asked = match sender.unless_stopped(ask(&sender.client, &self.series, MarkAge::Newest))? {
            QueryOutcome::Known(asked) => asked,
            QueryOutcome::Unanswered(why, _) => MarkAnswer::Unknown(why),
        };
        let gone = self.written.is_some() && asked == MarkAnswer::Unmarked;
        if gone {
            sender.health.set_remark(format!(
                "the mark of this job in {} is gone: the bucket was emptied or created again, and the rows that were stored \
                 there are gone; they are not written again",
                self.series.shown()
            ));
        }
        let options = &sender.context.options;
        let at = match mark::decide(asked, |owner| options.is_owner(owner), false, options.clock.wall()) {
            MarkVerdict::Theirs(mark) => return Err(refused(sender, &self.series, &mark)),
            MarkVerdict::Ours(at) => at,
            MarkVerdict::Unknown(_) => options.clock.wall(),
        };
        let due = self.written.is_some_and(|written| written.elapsed() >= refresh);
        if gone || due {
            let write = sender.client.write(gzip(sender.mark(&self.series, at).as_bytes()), sender.wait());
            // Else at the next look.
            if let HttpReply::Status { status, fails, .. } = sender.unless_stopped(write)?
                && judge(status, fails) == WriteVerdict::Done
            {
                self.written = Some(Instant::now());
            }
        }
        Ok(())
    }
}

/// Writes the mark. Says when that was; none if the database does not take it.
fn write_mark(sender: &Sender, series: &InfluxSeries, at: EventTime) -> Result<Option<Instant>, WriterExit> {
    match sender.ask_for(gzip(sender.mark(series, at).as_bytes()))? {
        Outcome::Done => Ok(Some(Instant::now())),
        Outcome::Split(answer) | Outcome::Blame { answer, .. } => {
            sender.health.set_remark(format!(
                "the database does not take the mark that keeps other jobs out of {} ({answer})",
                series.shown()
            ));
            Ok(None)
        }
    }
}

/// When the mark of a series is to be written, and whether it had none.
fn claimed(sender: &Sender, series: &InfluxSeries) -> Result<(EventTime, bool), WriterExit> {
    let context = &sender.context;
    let (options, name) = (&context.options, &context.target.name);
    let asked = until_asked(sender, series)?;
    let was_free = asked == MarkAnswer::Unmarked;
    if let (MarkAnswer::Marked(mark), true) = (&asked, options.take_sink)
        && !options.is_owner(&mark.owner)
    {
        tracing::warn!("{name}: {} was job `{}`'s and is taken from it", series.shown(), mark.owner.job);
    }
    match mark::decide(asked, |owner| options.is_owner(owner), options.take_sink, options.clock.wall()) {
        MarkVerdict::Ours(at) => Ok((at, was_free)),
        MarkVerdict::Theirs(mark) => Err(refused(sender, series, &mark)),
        MarkVerdict::Unknown(why) => {
            sender.health.set_remark(format!(
                "whether another job writes to {} is unknown, for the query for it is refused ({why}); let the token read \
                 there too",
                series.shown()
            ));
            Ok((options.clock.wall(), was_free))
        }
    }
}

/// A series that was free may have been so to another job that began at the same time. Each has written its mark before
/// it asks here, so one of them at least finds the other's, whatever their clocks say.
fn is_alone(sender: &Sender, series: &InfluxSeries) -> Result<(), WriterExit> {
    for which in [MarkAge::Newest, MarkAge::Oldest] {
        let answer = sender.unless_stopped(ask(&sender.client, series, which))?;
        if let QueryOutcome::Known(MarkAnswer::Marked(mark)) = answer
            && !sender.context.options.is_owner(&mark.owner)
        {
            return Err(refused(sender, series, &mark));
        }
    }
    Ok(())
}

/// Asks until there is an answer, or writes succeed and queries do not.
fn until_asked(sender: &Sender, series: &InfluxSeries) -> Result<MarkAnswer, WriterExit> {
    let mut backoff = sender.context.timeouts.backoff();
    for _ in 1..QUERIES {
        let (why, wait) = match sender.unless_stopped(ask(&sender.client, series, MarkAge::Newest))? {
            QueryOutcome::Known(asked) => return Ok(asked),
            QueryOutcome::Unanswered(why, wait) => (why, wait),
        };
        sender.health.set_trouble(format!("{why} to a query"));
        sender.stop.wait(next_wait(&mut backoff, wait))?;
        sender.until_taken()?;
    }
    match sender.unless_stopped(ask(&sender.client, series, MarkAge::Newest))? {
        QueryOutcome::Known(asked) => Ok(asked),
        QueryOutcome::Unanswered(why, _) => Ok(MarkAnswer::Unknown(why)),
    }
}

fn refused(sender: &Sender, series: &InfluxSeries, mark: &mark::Mark) -> WriterExit {
    let advice = mark::refusal(series, mark, &sender.context.options.owner);
    Halt::from(InfluxError::OfAnotherJob { name: sender.context.target.name.clone(), advice }).into()
}
