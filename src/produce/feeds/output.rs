//! Where the records of a feed go, and where they are counted.

use super::record::FeedRecord;
use super::tally::FeedTally;
use minutely_dataflows::edge::Halt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What the feed's thread hands to the copier.
pub(super) enum FeedEvent {
    Record(FeedRecord),
    /// The feed will not give what is asked for.
    Failed(Halt),
}

/// The queue to the copier, and the counts of all connections.
#[derive(Clone)]
pub(super) struct FeedOutput {
    pub(super) events: mpsc::Sender<FeedEvent>,
    pub(super) tally: Arc<FeedTally>,
}
