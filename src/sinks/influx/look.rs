//! What is looked at before a run begins: does the server take what we write? It is tried for a few seconds. One that
//! refuses us is a mistake that somebody has to mend, so nothing begins; one that does not answer is what happens to
//! databases at any time, so the run begins and holds its rows, as when the database goes down later. (A run that ended
//! there would be started without this sink, which then lacks those rows for ever.)

use super::address::Address;
use super::advice::advice;
use super::client::{Client, Reply, brief, runtime};
use super::retry::{Backoff, Pace};
use crate::clock::Clock;
use minutely_dataflows::delivery::{Verdict, judge};
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

/// Looks by an empty write, which leaves nothing behind, until there is a verdict or this much time has passed. Not to be
/// called on an async runtime's thread.
///
/// # Errors
/// 64 when the server says no, with what to do.
pub(super) fn look(address: &Arc<Address>, pace: Pace, patience: Duration, clock: Clock) -> Result<Looked, Halt> {
    let client = Client::new(address, pace, clock)?;
    let mut last = "no answer in time".to_owned();
    let found = runtime()?
        .block_on(async { tokio::time::timeout(patience, until_known(&client, address, pace, &mut last)).await });
    found.unwrap_or(Ok(Looked::Absent(last)))
}

async fn until_known(client: &Client, address: &Address, pace: Pace, last: &mut String) -> Result<Looked, Halt> {
    let mut backoff = Backoff::new(pace);
    loop {
        let (why, asked) = match client.write(super::writer::gzip(b"")).await {
            Reply::Lost(why) => (why, None),
            Reply::Status { status, retry_after, text } => match judge(status) {
                Verdict::Done => return Ok(Looked::Well),
                Verdict::Again => (format!("{status}: {}", brief(&text)), retry_after),
                Verdict::Split | Verdict::Blame | Verdict::Hold => {
                    let why = format!("{}: {}", address.name, advice(address, status, &text));
                    return Err(Halt::new(HaltKind::Usage, why));
                }
            },
        };
        *last = why;
        tokio::time::sleep(backoff.wait(asked)).await;
    }
}
