//! Yahoo Finance: quotes by its websocket, and bars of the day so far by its chart service. Neither is documented by Yahoo or
//! promised: the shapes are those that public clients read.
//!
//! A quote is a sample, not a trade. Its event time is Yahoo's: right after a subscription that may be days ago, and the
//! quote is then as late as it is old.

pub(super) mod chart;
mod day_volume;
mod float32;
mod pricing;

use super::feed::Feed;
use super::frame::{FrameContent, FrameError};
use super::record::FeedRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use day_volume::DayVolumes;
use pricing::Pricing;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

#[cfg(test)]
pub(super) use pricing::encoded;

/// How often the subscription is sent again: a heartbeat that Yahoo's own pages have, too.
const RESUBSCRIBE: Duration = Duration::from_secs(15);

/// Quotes of these symbols, at most 100.
pub(super) struct Yahoo {
    symbols: Vec<String>,
    volumes: DayVolumes,
    /// The last quote of each symbol.
    last: HashMap<String, Pricing>,
}

impl Yahoo {
    pub(super) fn new(symbols: Vec<String>) -> Self {
        Yahoo { symbols, volumes: DayVolumes::default(), last: HashMap::new() }
    }

    /// What a quote gives.
    fn quote(&mut self, quote: Pricing) -> Result<FrameContent, &'static str> {
        let price = quote.price.filter(|price| price.is_finite()).ok_or("a quote without a price")?;
        let time_ms = quote.time_ms.ok_or("a quote without a time")?;
        if quote.symbol.is_empty() {
            return Err("a quote without a symbol");
        }
        // Each new subscription brings the newest quote again.
        if self.last.get(&quote.symbol) == Some(&quote) {
            return Ok(FrameContent::repeat());
        }
        let volume = quote.day_volume.and_then(|total| self.volumes.since_last(&quote.symbol, total, time_ms));
        let record = FeedRecord {
            symbol: quote.symbol.clone(),
            price: float32::shortest(price),
            volume: volume.map(|volume| volume.to_string()),
            time_ms,
            trade_id: None,
        };
        self.last.insert(quote.symbol.clone(), quote);
        Ok(FrameContent::of(record))
    }
}

/// A frame: `{"type":"pricing","message":"<base64>"}`.
#[derive(Deserialize)]
struct Message {
    r#type: String,
    message: String,
}

impl Feed for Yahoo {
    fn records(&self) -> &'static str {
        "quotes"
    }

    fn symbols(&self) -> &[String] {
        &self.symbols
    }

    fn url(&self) -> String {
        "https://streamer.finance.yahoo.com/?version=2".to_owned()
    }

    fn subscription(&self) -> Option<String> {
        Some(serde_json::json!({ "subscribe": self.symbols }).to_string())
    }

    fn resubscribe_every(&self) -> Option<Duration> {
        Some(RESUBSCRIBE)
    }

    fn read(&mut self, frame: &[u8]) -> Result<FrameContent, FrameError> {
        let message: Message = serde_json::from_slice(frame).map_err(|why| FrameError::garbage(why, frame))?;
        if message.r#type != "pricing" {
            return Err(FrameError::garbage("a message of another type", frame));
        }
        let bytes = STANDARD.decode(&message.message).map_err(|why| FrameError::garbage(why, frame))?;
        let quote = Pricing::decode(&bytes).map_err(|why| FrameError::garbage(why, frame))?;
        self.quote(quote).map_err(|why| FrameError::garbage(why, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(symbol: &str, price: f32, time_ms: i64, day_volume: i64) -> Vec<u8> {
        let message = STANDARD.encode(pricing::encoded(symbol, price, time_ms, day_volume));
        format!(r#"{{"type":"pricing","message":"{message}"}}"#).into_bytes()
    }

    fn payload(content: Result<FrameContent, FrameError>) -> String {
        content.unwrap().record.unwrap().payload()
    }

    #[test]
    fn quotes_become_records_with_the_volume_between_them() {
        let mut feed = Yahoo::new(vec!["NOK".into(), "ETH-USD".into()]);
        assert_eq!(feed.subscription().as_deref(), Some(r#"{"subscribe":["NOK","ETH-USD"]}"#));
        let at = 1_772_462_401_000;
        let first = payload(feed.read(&frame("NOK", 232.35, at, 9_786_500)));
        assert_eq!(first, r#"{"symbol":"NOK","price":"232.35","ts":1772462401000}"#);
        assert_eq!(feed.read(&frame("NOK", 232.35, at, 9_786_500)), Ok(FrameContent::repeat()));
        let second = payload(feed.read(&frame("NOK", 232.4, at + 2000, 9_786_750)));
        assert_eq!(second, r#"{"symbol":"NOK","price":"232.4","volume":"250","ts":1772462403000}"#);
        // A day's total that was never said: indices and currencies have none.
        let none = payload(feed.read(&frame("ETH-USD", 1874.31, at, 0)));
        assert_eq!(none, r#"{"symbol":"ETH-USD","price":"1874.31","ts":1772462401000}"#);
    }

    #[test]
    fn what_is_no_quote_is_garbage() {
        let mut feed = Yahoo::new(vec!["NOK".into()]);
        let garbage: [Vec<u8>; 9] = [
            Vec::new(),
            b"null".to_vec(),
            br#"{"type":"pricing"}"#.to_vec(),
            br#"{"type":"error","message":"no"}"#.to_vec(),
            br#"{"type":"pricing","message":"*"}"#.to_vec(),
            br#"{"type":"pricing","message":"CgdC"}"#.to_vec(),
            frame("NOK", f32::NAN, 1, 1),
            frame("NOK", 0.0, 1, 1),
            frame("", 1.0, 1, 1),
        ];
        for frame in garbage {
            assert!(matches!(feed.read(&frame), Err(FrameError::Garbage(_))), "{}", String::from_utf8_lossy(&frame));
        }
        assert!(matches!(feed.read(&frame("NOK", 1.0, 0, 1)), Err(FrameError::Garbage(_))), "no time");
    }
}
