//! What a feed is: where it is, what is sent to it, and what its frames say.

use super::frame::{FrameContent, FrameError};
use std::time::Duration;

/// Symbols of one connection at most: Yahoo silently leaves out what is above 100; the addresses of Binance stay short.
pub(super) const SYMBOLS_PER_CONNECTION: usize = 100;

/// One connection's worth of a feed. It does no input or output: the same frames give the same records.
pub(super) trait Feed: Send {
    /// What its records are, for messages: `trades`, `quotes`.
    fn records(&self) -> &'static str;

    /// The symbols that are asked for, as its records name them.
    fn symbols(&self) -> &[String];

    /// The address of its websocket, with `https:` for `wss:`.
    fn url(&self) -> String;

    /// Text that is sent to subscribe; none where the address does so.
    fn subscription(&self) -> Option<String>;

    /// How often that text is sent again; none: once a connection.
    fn resubscribe_every(&self) -> Option<Duration>;

    /// What a frame says.
    ///
    /// # Errors
    /// It is not understood, or says that the feed does not give what is asked for.
    fn read(&mut self, frame: &[u8]) -> Result<FrameContent, FrameError>;
}
