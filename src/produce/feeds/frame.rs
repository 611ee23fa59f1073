//! What a frame of a feed says.

use super::record::FeedRecord;
use minutely_dataflows::escape::shortened;
use std::fmt::{Display, Formatter};

/// What a frame that is understood says. Empty: an acknowledgement, or a kind of message that was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameContent {
    pub(super) record: Option<FeedRecord>,
    /// Trades before this one that did not arrive.
    pub(super) missing: Option<MissingTrades>,
    /// It repeats a record that arrived before.
    pub(super) is_repeat: bool,
}

impl FrameContent {
    /// Only a record.
    pub(super) fn of(record: FeedRecord) -> Self {
        FrameContent { record: Some(record), ..FrameContent::default() }
    }

    /// What arrived before.
    pub(super) fn repeat() -> Self {
        FrameContent { is_repeat: true, ..FrameContent::default() }
    }
}

/// Trades that the feed numbered and that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingTrades {
    pub(super) symbol: String,
    /// Their ids, the ends included.
    pub(super) first: u64,
    pub(super) last: u64,
}

impl MissingTrades {
    pub(super) fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Display for MissingTrades {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        match self.count() {
            1 => write!(out, "{}: 1 trade is missing (trade id {})", self.symbol, self.first),
            many => {
                write!(out, "{}: {many} trades are missing (trade ids {} to {})", self.symbol, self.first, self.last)
            }
        }
    }
}

/// Why a frame gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// It is not understood: why, and its beginning.
    Garbage(String),
    /// The feed does not give what is asked for: its words.
    Refused(String),
}

impl FrameError {
    /// Not understood.
    pub(super) fn garbage(why: impl Display, frame: &[u8]) -> Self {
        let beginning = &frame[..frame.len().min(200)];
        FrameError::Garbage(format!("{why}: {}", shortened(&String::from_utf8_lossy(beginning))))
    }
}
