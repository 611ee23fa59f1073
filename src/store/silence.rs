//! Who owns a state that has no lock: the run that commits. Another one waits until it has been silent for longer than it would be.

use super::client::StoreClient;
use super::error::StoreError;
use minutely_dataflows::checkpoint::Manifest;
use std::time::{Duration, Instant};

/// How long a store without locks must at least have been silent before another run may own it.
pub(super) const SILENCE: Duration = Duration::from_secs(12);
/// What an owner may be late by with a commit, beside a second interval, before it looks gone.
const LATE: Duration = Duration::from_secs(10);

/// How long another run must have been silent before this one may own its state: its owner commits every so often, as its manifest says. Where
/// that does not hold (a server is away for longer), the owner that is still there ends with 78, and nothing is lost.
pub(crate) fn silence(head: &Manifest) -> Duration {
    let every = head.commits_every.map_or(Duration::ZERO, Duration::from_millis);
    SILENCE.max(LATE + 2 * every)
}

/// Where there is no lock: refuses a chain that grows within `silence` of its head. One whose head is damaged grows as well.
pub(super) fn wait_for_silent_owner(
    client: &StoreClient,
    silence: fn(&Manifest) -> Duration,
) -> Result<(), StoreError> {
    let seq = || Ok::<_, StoreError>(client.manifests()?.last().copied());
    let Some(before) = seq()? else { return Ok(()) };
    let head = client.manifest(before)?.map(|head| head.manifest);
    let silence = silence(&head.unwrap_or_default());
    let begun = Instant::now();
    while begun.elapsed() < silence {
        std::thread::sleep((silence / 12).min(Duration::from_secs(1)));
        if let Some(now) = seq()?.filter(|now| *now != before) {
            return Err(client.owned(&format!("its manifest was {before} and is {now}")));
        }
    }
    Ok(())
}
