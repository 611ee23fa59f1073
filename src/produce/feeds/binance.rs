//! Binance, spot market: combined streams `symbol@trade`, one message for each trade, public and without a login.
//!
//! A connection lasts 24 hours at most, then the server closes it: an end like others, after which a new one is made at once.
//! `t` numbers the trades of a symbol, so its gaps are trades that did not arrive.

use super::feed::Feed;
use super::frame::{FrameContent, FrameError};
use super::record::{FeedRecord, is_number};
use super::trade_ids::{TradeArrival, TradeIds};
use serde::Deserialize;
use std::time::Duration;

/// Trades of these symbols.
pub(super) struct Binance {
    symbols: Vec<String>,
    arrived: TradeIds,
}

impl Binance {
    pub(super) fn new(symbols: Vec<String>) -> Self {
        Binance { symbols, arrived: TradeIds::default() }
    }
}

/// A message of combined streams, or an answer to a request.
#[derive(Deserialize)]
struct Message {
    data: Option<Event>,
    error: Option<RequestError>,
}

#[derive(Deserialize)]
struct RequestError {
    msg: String,
}

/// An event, as far as it is read.
#[derive(Deserialize)]
struct Event {
    /// Its kind.
    e: Option<String>,
    s: Option<String>,
    t: Option<u64>,
    p: Option<String>,
    q: Option<String>,
    /// When the trade was, in milliseconds.
    #[serde(rename = "T")]
    time: Option<i64>,
}

/// The trade of an event.
fn trade(event: Event) -> Result<FeedRecord, String> {
    let absent = |field: &str| format!("a trade without `{field}`");
    let price = event.p.ok_or_else(|| absent("p"))?;
    let volume = event.q.ok_or_else(|| absent("q"))?;
    if !is_number(&price) || !is_number(&volume) {
        return Err("a trade whose price or quantity is no number".to_owned());
    }
    Ok(FeedRecord {
        symbol: event.s.ok_or_else(|| absent("s"))?,
        price,
        volume: Some(volume),
        time_ms: event.time.ok_or_else(|| absent("T"))?,
        trade_id: Some(event.t.ok_or_else(|| absent("t"))?),
    })
}

impl Feed for Binance {
    fn records(&self) -> &'static str {
        "trades"
    }

    fn symbols(&self) -> &[String] {
        &self.symbols
    }

    fn url(&self) -> String {
        let streams: Vec<_> = self.symbols.iter().map(|symbol| symbol.to_ascii_lowercase() + "@trade").collect();
        format!("https://stream.binance.com:9443/stream?streams={}", streams.join("/"))
    }

    fn subscription(&self) -> Option<String> {
        None
    }

    fn resubscribe_every(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, frame: &[u8]) -> Result<FrameContent, FrameError> {
        let message: Message = serde_json::from_slice(frame).map_err(|why| FrameError::garbage(why, frame))?;
        if let Some(error) = message.error {
            return Err(FrameError::Refused(error.msg));
        }
        let Some(event) = message.data.filter(|event| event.e.as_deref() == Some("trade")) else {
            return Ok(FrameContent::default());
        };
        let record = trade(event).map_err(|why| FrameError::garbage(why, frame))?;
        match self.arrived.file(&record.symbol, record.trade_id.unwrap_or_default()) {
            TradeArrival::Repeat => Ok(FrameContent::repeat()),
            TradeArrival::New(missing) => Ok(FrameContent { missing, ..FrameContent::of(record) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, price: &str) -> Vec<u8> {
        format!(
            r#"{{"stream":"dotbtc@trade","data":{{"e":"trade","E":1772445601004,"s":"DOTBTC","t":{id},"p":"{price}","q":"12.50000000","T":1772445601002,"m":false,"M":true}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn trades_become_records_and_ids_tell_what_is_missing() {
        let mut feed = Binance::new(vec!["DOTBTC".into(), "ETHEUR".into()]);
        assert_eq!(feed.url(), "https://stream.binance.com:9443/stream?streams=dotbtc@trade/etheur@trade");
        let content = feed.read(&frame(5120, "0.00201400")).unwrap();
        let text =
            r#"{"symbol":"DOTBTC","price":"0.00201400","volume":"12.50000000","ts":1772445601002,"trade_id":5120}"#;
        assert_eq!((content.record.unwrap().payload().as_str(), content.missing), (text, None));
        let content = feed.read(&frame(5122, "0.00201500")).unwrap();
        assert_eq!(content.missing.unwrap().to_string(), "DOTBTC: 1 trade is missing (trade id 5121)");
        assert_eq!(feed.read(&frame(5122, "0.00201500")), Ok(FrameContent::repeat()));
        assert!(feed.read(&frame(5121, "0.00201450")).unwrap().record.is_some(), "it was missing");
    }

    #[test]
    fn what_is_no_trade_is_said() {
        let mut feed = Binance::new(vec!["DOTBTC".into()]);
        let others: [&[u8]; 4] = [
            br#"{"result":null,"id":1}"#,
            br#"{"stream":"dotbtc@ticker","data":{"e":"24hrTicker","s":"DOTBTC","p":"-0.1"}}"#,
            br#"{"stream":"x","data":{"e":"serverShutdown","E":1772445601004}}"#,
            br#"{"e":"serverShutdown","E":1772445601004}"#,
        ];
        for frame in others {
            assert_eq!(feed.read(frame), Ok(FrameContent::default()), "{frame:?}");
        }
        let error = br#"{"error":{"code":2,"msg":"Invalid request: unknown stream"},"id":1}"#;
        assert_eq!(feed.read(error), Err(FrameError::Refused("Invalid request: unknown stream".into())));
        let garbage: [&[u8]; 4] =
            [b"Bad gateway", b"\x00", &frame(1, "1,5"), br#"{"stream":"a@trade","data":{"e":"trade","s":"A","t":1}}"#];
        for frame in garbage {
            assert!(matches!(feed.read(frame), Err(FrameError::Garbage(_))), "{frame:?}");
        }
    }
}
