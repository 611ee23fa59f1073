//! What is looked at before a run begins: does the server take what we write, and is the place another job's? It is tried for a few seconds. One that
//! refuses us is a mistake that somebody has to mend, so nothing begins; one that does not answer is what happens to
//! databases at any time, so the run begins and holds its rows, as when the database goes down later. (A run that ended
//! there would be started without this sink, which then lacks those rows for ever.)

use super::address::Address;
use super::advice::advice;
use super::claim::{Answer, ask};
use super::client::{Client, Reply, brief, runtime};
use super::mark::{Claim, Which, decide, refusal};
use super::retry::{Timeouts, next_wait};
use crate::sinks::options::SinkOptions;
use minutely_dataflows::delivery::{WriteVerdict, judge};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::sync::Arc;
use std::time::Duration;

/// How long a server is tried before a run begins, at most.
pub(super) const BRIEFLY: Duration = Duration::from_secs(3);

/// What a look at the server found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// It takes what we write.
    Well,
    /// It does not answer, and why.
    Absent(String),
}

/// Looks by an empty write, which leaves nothing behind, and by a query, until there is a verdict or its time is over. Not
/// to be called on an async runtime's thread.
///
/// # Errors
/// 64 when the server says no, or another job has the place, with what to do.
pub(super) fn look(address: &Arc<Address>, timeouts: Timeouts, options: &SinkOptions) -> Result<Looked, Halt> {
    let client = Client::new(address, timeouts, options.clock)?;
    let patience = options.patience.min(BRIEFLY);
    let mut last = "no answer in time".to_owned();
    let runtime = runtime()?;
    let found = runtime.block_on(async {
        let until = tokio::time::Instant::now() + patience;
        match tokio::time::timeout_at(until, until_taken(&client, address, timeouts, &mut last)).await {
            Ok(taken) => taken?,
            Err(_) => return Ok(Looked::Absent(last)),
        }
        // What is not answered in time is asked again by the sink's own thread.
        tokio::time::timeout_at(until, theirs(&client, address, options)).await.unwrap_or(Ok(()))?;
        Ok(Looked::Well)
    });
    runtime.shutdown_background(); // a name that is being looked up is waited for by nobody
    found
}

/// Has another job one of the places?
async fn theirs(client: &Client, address: &Address, options: &SinkOptions) -> Result<(), Halt> {
    for (suffix, _) in super::measurements(options.emit) {
        let series = address.series.with(suffix);
        let Answer::Known(asked) = ask(client, &series, Which::Newest).await else { return Ok(()) };
        if let Claim::Theirs(mark) = decide(asked, &options.owner, options.take_sink, options.clock.wall()) {
            let why = format!("{}: {}", address.name, refusal(&series, &mark, &options.owner));
            return Err(Halt::new(HaltKind::Usage, why));
        }
    }
    Ok(())
}

async fn until_taken(client: &Client, address: &Address, timeouts: Timeouts, last: &mut String) -> Result<(), Halt> {
    let mut backoff = timeouts.backoff();
    loop {
        let (why, asked) = match client.write(super::writer::gzip(b""), BRIEFLY).await {
            Reply::Lost { why, .. } => (why, None),
            Reply::Status { status, retry_after, text, fails } => match judge(status, fails) {
                WriteVerdict::Done => return Ok(()),
                WriteVerdict::Again => (format!("{status}: {}{}", brief(&text), client.via()), retry_after),
                WriteVerdict::Split | WriteVerdict::Blame | WriteVerdict::Hold => {
                    let why = format!("{}: {}", address.name, advice(address, status, &text, client.via()));
                    return Err(Halt::new(HaltKind::Usage, why));
                }
            },
        };
        *last = why;
        tokio::time::sleep(next_wait(&mut backoff, asked)).await;
    }
}
