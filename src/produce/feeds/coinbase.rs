//! Coinbase Exchange: channel `matches`, one message for each trade, public and without a login.
//!
//! `sequence` numbers all messages of a product, those of channels that are not asked for among them, so it has gaps here by
//! nature. `trade_id` numbers the trades of a product: its gaps are trades that did not arrive. After a subscription
//! `last_match` repeats the newest trade: of before the first one it is left out, after a new connection it tells what is missing.

use super::feed::Feed;
use super::frame::{FrameContent, FrameError};
use super::record::{FeedRecord, is_number};
use super::trade_ids::{TradeArrival, TradeIds};
use serde::Deserialize;
use std::time::Duration;

/// Trades of these products.
pub(super) struct Coinbase {
    products: Vec<String>,
    arrived: TradeIds,
}

impl Coinbase {
    pub(super) fn new(products: Vec<String>) -> Self {
        Coinbase { products, arrived: TradeIds::default() }
    }
}

/// A message, as far as it is read.
#[derive(Deserialize)]
struct Message {
    r#type: String,
    product_id: Option<String>,
    trade_id: Option<u64>,
    price: Option<String>,
    size: Option<String>,
    time: Option<String>,
    /// Of an error.
    message: Option<String>,
    reason: Option<String>,
}

/// The trade of a message.
fn trade(message: Message) -> Result<FeedRecord, String> {
    let absent = |field: &str| format!("a trade without {field}");
    let time = message.time.ok_or_else(|| absent("time"))?;
    let time: jiff::Timestamp = time.parse().map_err(|_| format!("a trade of the time `{time}`"))?;
    let price = message.price.ok_or_else(|| absent("price"))?;
    let volume = message.size.ok_or_else(|| absent("size"))?;
    if !is_number(&price) || !is_number(&volume) {
        return Err("a trade whose price or size is no number".to_owned());
    }
    Ok(FeedRecord {
        symbol: message.product_id.ok_or_else(|| absent("product_id"))?,
        price,
        volume: Some(volume),
        time_ms: time.as_millisecond(),
        trade_id: Some(message.trade_id.ok_or_else(|| absent("trade_id"))?),
    })
}

impl Feed for Coinbase {
    fn records(&self) -> &'static str {
        "trades"
    }

    fn symbols(&self) -> &[String] {
        &self.products
    }

    fn url(&self) -> String {
        "https://ws-feed.exchange.coinbase.com/".to_owned()
    }

    fn subscription(&self) -> Option<String> {
        let text = serde_json::json!({ "type": "subscribe", "product_ids": self.products, "channels": ["matches"] });
        Some(text.to_string())
    }

    fn resubscribe_every(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, frame: &[u8]) -> Result<FrameContent, FrameError> {
        let message: Message = serde_json::from_slice(frame).map_err(|why| FrameError::garbage(why, frame))?;
        let is_of_before = match message.r#type.as_str() {
            "match" => false,
            "last_match" => true,
            "error" => {
                let words = [message.message, message.reason].into_iter().flatten().collect::<Vec<_>>();
                return Err(FrameError::Refused(words.join(": ")));
            }
            // New kinds of messages may come at any time, and are to be ignored: so its documentation says.
            _ => return Ok(FrameContent::default()),
        };
        let record = trade(message).map_err(|why| FrameError::garbage(why, frame))?;
        let is_first = !self.arrived.knows(&record.symbol);
        let arrival = self.arrived.file(&record.symbol, record.trade_id.unwrap_or_default());
        match arrival {
            TradeArrival::Repeat => Ok(FrameContent::repeat()),
            TradeArrival::New(_) if is_of_before && is_first => Ok(FrameContent::default()),
            TradeArrival::New(missing) => Ok(FrameContent { missing, ..FrameContent::of(record) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: &str, id: u64, price: &str) -> Vec<u8> {
        format!(
            r#"{{"type":"{kind}","trade_id":{id},"maker_order_id":"m","taker_order_id":"t","side":"buy","size":"0.50","price":"{price}","product_id":"LTC-EUR","sequence":{},"time":"2026-03-02T10:00:03.816999Z"}}"#,
            id * 7
        )
        .into_bytes()
    }

    #[test]
    fn trades_become_records_and_ids_tell_what_is_missing() {
        let mut feed = Coinbase::new(vec!["LTC-EUR".into()]);
        let subscription = r#"{"channels":["matches"],"product_ids":["LTC-EUR"],"type":"subscribe"}"#;
        assert_eq!(feed.subscription().as_deref(), Some(subscription));
        let answer = br#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["LTC-EUR"]}]}"#;
        assert_eq!(feed.read(answer), Ok(FrameContent::default()));
        assert_eq!(feed.read(&frame("last_match", 70, "81.00")), Ok(FrameContent::default()), "of before");
        let content = feed.read(&frame("match", 71, "81.20")).unwrap();
        let text = r#"{"symbol":"LTC-EUR","price":"81.20","volume":"0.50","ts":1772445603816,"trade_id":71}"#;
        assert_eq!((content.record.unwrap().payload().as_str(), content.missing), (text, None));
        // After a new connection.
        assert_eq!(feed.read(&frame("last_match", 71, "81.20")), Ok(FrameContent::repeat()));
        let content = feed.read(&frame("last_match", 75, "81.30")).unwrap();
        assert_eq!(content.missing.unwrap().to_string(), "LTC-EUR: 3 trades are missing (trade ids 72 to 74)");
        assert_eq!(content.record.unwrap().trade_id, Some(75), "it is the newest trade, and new");
    }

    #[test]
    fn what_is_no_trade_is_said() {
        let mut feed = Coinbase::new(vec!["LTC-EUR".into()]);
        let error = br#"{"type":"error","message":"Failed to subscribe","reason":"XX-YY is not a valid product"}"#;
        let words = "Failed to subscribe: XX-YY is not a valid product".to_owned();
        assert_eq!(feed.read(error), Err(FrameError::Refused(words)));
        assert_eq!(feed.read(br#"{"type":"status","products":[]}"#), Ok(FrameContent::default()));
        let garbage: [&[u8]; 6] = [
            b"",
            b"\xff\xfe",
            b"[]",
            br#"{"type":"match"}"#,
            &frame("match", 5, "NaN"),
            br#"{"type":"match","trade_id":-1}"#,
        ];
        for frame in garbage {
            assert!(matches!(feed.read(frame), Err(FrameError::Garbage(_))), "{frame:?}");
        }
        assert!(!feed.arrived.knows("LTC-EUR"), "garbage is no arrival");
    }
}
