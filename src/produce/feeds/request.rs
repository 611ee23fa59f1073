//! `--from coinbase:…`, `binance:…`, `yahoo:…`: which feed, and of which symbols.

use super::binance::Binance;
use super::coinbase::Coinbase;
use super::feed::{Feed, SYMBOLS_PER_CONNECTION};
use super::yahoo::Yahoo;
use std::collections::BTreeSet;

/// Symbols of one run at most: ten connections.
const MOST_SYMBOLS: usize = 10 * SYMBOLS_PER_CONNECTION;

/// The feeds that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedKind {
    Coinbase,
    Binance,
    Yahoo,
}

/// Scheme, what its symbols may hold beside letters and digits, an example.
const KINDS: [(FeedKind, &str, &str, &str); 3] = [
    (FeedKind::Coinbase, "coinbase", "-", "coinbase:BTC-USD,ETH-USD"),
    (FeedKind::Binance, "binance", "", "binance:BTCUSDT,ETHUSDT"),
    (FeedKind::Yahoo, "yahoo", "-.^=_", "yahoo:AAPL,MSFT,BTC-USD"),
];

/// A feed and its symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::produce) struct FeedRequest {
    pub(super) kind: FeedKind,
    /// In upper case, as the feeds' records name them.
    pub(super) symbols: Vec<String>,
}

impl FeedRequest {
    /// What an address asks for; none where it is no feed's.
    ///
    /// # Errors
    /// All mistakes in it.
    pub(in crate::produce) fn of(uri: &str) -> Option<Result<Self, Vec<String>>> {
        let (scheme, list) = uri.split_once(':')?;
        let (kind, _, allowed, example) = KINDS.into_iter().find(|(_, name, ..)| *name == scheme)?;
        let list = list.strip_prefix("//").unwrap_or(list);
        let (mut symbols, mut seen, mut mistakes) = (Vec::new(), BTreeSet::new(), Vec::new());
        for symbol in list.split(',').map(|symbol| symbol.trim().to_ascii_uppercase()) {
            let is_symbol = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || allowed.contains(c));
            if symbol.is_empty() {
                mistakes.push(format!("--from {scheme}:…: has an empty symbol: write {example}"));
            } else if !is_symbol(&symbol) {
                mistakes.push(format!("--from {scheme}:…: `{symbol}` is not a symbol of this feed: write {example}"));
            } else if !seen.insert(symbol.clone()) {
                mistakes.push(format!("--from {scheme}:…: {symbol} is given twice"));
            } else {
                symbols.push(symbol);
            }
        }
        if symbols.len() > MOST_SYMBOLS {
            let many = symbols.len();
            mistakes.push(format!("--from {scheme}:…: has {many} symbols: one run takes at most {MOST_SYMBOLS}"));
        }
        Some(if mistakes.is_empty() { Ok(FeedRequest { kind, symbols }) } else { Err(mistakes) })
    }

    /// Its name, as `--from` has it.
    pub(super) fn name(&self) -> &'static str {
        KINDS.into_iter().find(|(kind, ..)| *kind == self.kind).map_or("", |(_, name, ..)| name)
    }

    /// One feed for each connection.
    pub(super) fn feeds(&self) -> Vec<Box<dyn Feed>> {
        let feed = |symbols: &[String]| -> Box<dyn Feed> {
            match self.kind {
                FeedKind::Coinbase => Box::new(Coinbase::new(symbols.to_vec())),
                FeedKind::Binance => Box::new(Binance::new(symbols.to_vec())),
                FeedKind::Yahoo => Box::new(Yahoo::new(symbols.to_vec())),
            }
        };
        self.symbols.chunks(SYMBOLS_PER_CONNECTION).map(feed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_mistakes_named() {
        let of = |uri| FeedRequest::of(uri).unwrap();
        let request = of("coinbase:BTC-USD, eth-usd").unwrap();
        assert_eq!((request.kind, request.name()), (FeedKind::Coinbase, "coinbase"));
        assert_eq!(request.symbols, ["BTC-USD", "ETH-USD"]);
        assert_eq!(of("yahoo:^GSPC,EURUSD=X,BRK-B,7203.T").unwrap().symbols.len(), 4);
        for other in ["sim:", "file:coinbase:a", "kafka://b:1/t", "coinbase", "Coinbase:A"] {
            assert_eq!(FeedRequest::of(other), None, "{other}");
        }
        let mistakes = of("binance:BTC-USDT,,ETHUSDT,ethusdt").unwrap_err();
        for (mistake, part) in
            mistakes.iter().zip(["`BTC-USDT` is not a symbol", "empty symbol", "ETHUSDT is given twice"])
        {
            assert!(mistake.contains(part), "{mistake}");
        }
        assert_eq!(mistakes.len(), 3);
        assert_eq!(of("yahoo:").unwrap_err().len(), 1);
        assert!(of("coinbase:BTC-USD\"}").is_err());
    }

    #[test]
    fn a_hundred_symbols_a_connection() {
        let uri = |many: usize| format!("yahoo:{}", (0..many).map(|n| format!("S{n}")).collect::<Vec<_>>().join(","));
        let feeds = FeedRequest::of(&uri(201)).unwrap().unwrap().feeds();
        let sizes: Vec<_> = feeds.iter().map(|feed| feed.symbols().len()).collect();
        assert_eq!(sizes, [100, 100, 1]);
        assert!(FeedRequest::of(&uri(1001)).unwrap().unwrap_err()[0].contains("at most 1000"));
    }
}
