//! Live feeds of the public web as inputs: trades of Coinbase and of Binance, quotes of Yahoo Finance.
//!
//! ```text
//!   websocket ─ frames ─> Feed::read (what a frame says) ─> FeedRecord ─ bounded queue ─> FeedInput ─> copy
//!       ^                                                                 (a RecordInput)
//!       └─ connection.rs: subscribes, pings, notices silence, waits and connects again (retry.rs)
//! ```
//!
//! A [`feed::Feed`] says what to connect to, what to send, and what a frame means: it does no input or output, so that frames
//! give the same records wherever they come from. [`connection`] is the one loop for all of them, on a thread of its own.
//!
//! Promises: each trade that arrives is handed over once, in the order of arrival, with its event time as the feed says it;
//! what did not arrive is said, exactly where the feed numbers its trades; a frame that is not understood is counted and
//! shown, and ends nothing. Does not promise: trades of the time when there was no connection. None of the feeds gives
//! them again over its websocket.

mod binance;
mod chart_client;
mod client;
mod coinbase;
mod connection;
mod end;
mod feed;
mod frame;
mod input;
mod output;
mod record;
mod request;
mod retry;
mod tally;
mod trade_ids;
mod yahoo;

#[cfg(test)]
mod tests;

pub(super) use input::FeedInput;
pub(super) use request::FeedRequest;
