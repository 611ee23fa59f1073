//! What is checked before a run begins: does the server take what we write, and is the series another job's? It is tried
//! for a few seconds. A server that refuses us is a mistake that has to be corrected, so nothing begins; a server that does
//! not answer is down, as may happen to it at any time, so the run begins and holds its rows. (A run that ended there would
//! be started again without this sink, which would then lack those rows for ever.)

use super::advice::advice;
use super::answer::{WriteVerdict, judge};
use super::client::{Client, HttpReply, brief, gzip, runtime};
use super::error::InfluxError;
use super::mark::{MarkAge, MarkVerdict, decide, refusal};
use super::query::{QueryOutcome, ask};
use super::retry::{Timeouts, next_wait};
use super::series::measurements;
use super::target::InfluxTarget;
use crate::sinks::options::SinkOptions;
use std::sync::Arc;
use std::time::Duration;

/// How long a server is tried before a run begins, at most.
pub(super) const BRIEFLY: Duration = Duration::from_secs(3);

/// What the check of a server found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ServerCheck {
    /// It takes what we write.
    Ready,
    /// It does not answer, and why.
    Absent(String),
}

/// Checks by an empty write, which leaves nothing behind, and by a query, until there is a verdict or the time is over. Not to
/// be called on an async runtime's thread.
///
/// # Errors
/// 64 when the server refuses, or another job owns the series, with what to do.
pub(super) fn look(
    target: &Arc<InfluxTarget>,
    timeouts: Timeouts,
    options: &SinkOptions,
) -> Result<ServerCheck, InfluxError> {
    let client = Client::new(target, timeouts, options.clock)?;
    let timeout = options.start_timeout.min(BRIEFLY);
    let mut last = "no answer in time".to_owned();
    let runtime = runtime()?;
    let found = runtime.block_on(async {
        let until = tokio::time::Instant::now() + timeout;
        match tokio::time::timeout_at(until, until_taken(&client, target, timeouts, &mut last)).await {
            Ok(taken) => taken?,
            Err(_) => return Ok(ServerCheck::Absent(last)),
        }
        // What is not answered in time is asked again by the sink's own thread.
        tokio::time::timeout_at(until, theirs(&client, target, options)).await.unwrap_or(Ok(()))?;
        Ok(ServerCheck::Ready)
    });
    runtime.shutdown_background(); // it may still be looking up a name: that is not waited for
    found
}

/// Refuses a series of another job, be it of minutes, of coarser windows or of groups.
async fn theirs(client: &Client, target: &InfluxTarget, options: &SinkOptions) -> Result<(), InfluxError> {
    let kinds = options.columns.kinds();
    let of = |suffix: &'static str| kinds.iter().map(move |kind| target.series.of(*kind).with(suffix));
    for series in measurements(options.emit).into_iter().flat_map(|(suffix, _)| of(suffix)) {
        let QueryOutcome::Known(asked) = ask(client, &series, MarkAge::Newest).await else { return Ok(()) };
        if let MarkVerdict::Theirs(mark) =
            decide(asked, |owner| options.is_owner(owner), options.take_sink, options.clock.wall())
        {
            let advice = refusal(&series, &mark, &options.owner);
            return Err(InfluxError::OfAnotherJob { name: target.name.clone(), advice });
        }
    }
    Ok(())
}

async fn until_taken(
    client: &Client,
    target: &InfluxTarget,
    timeouts: Timeouts,
    last: &mut String,
) -> Result<(), InfluxError> {
    let mut backoff = timeouts.backoff();
    loop {
        let (why, asked) = match client.write(gzip(b""), BRIEFLY).await {
            HttpReply::Lost { why, .. } => (why, None),
            HttpReply::Status { status, retry_after, text, fails } => match judge(status, fails) {
                WriteVerdict::Done => return Ok(()),
                WriteVerdict::Again => (format!("{status}: {}{}", brief(&text), client.via()), retry_after),
                WriteVerdict::Split | WriteVerdict::Blame | WriteVerdict::Hold => {
                    let advice = advice(target, status, &text, client.via());
                    return Err(InfluxError::Refused { name: target.name.clone(), advice });
                }
            },
        };
        *last = why;
        tokio::time::sleep(next_wait(&mut backoff, asked)).await;
    }
}
