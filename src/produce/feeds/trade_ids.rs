//! What consecutive trade ids tell: which trades did not arrive, and which came twice.

use super::frame::MissingTrades;
use std::collections::HashMap;

/// Ranges of missing ids that are kept for each symbol, so that one that arrives after all is told from a repeat.
const MOST_RANGES: usize = 64;

/// The ids that arrived, by symbol.
#[derive(Debug, Default)]
pub(super) struct TradeIds {
    by_symbol: HashMap<String, ArrivedIds>,
}

/// The ids of one symbol: all from the first to `newest` arrived, but for those in `missing`.
#[derive(Debug)]
struct ArrivedIds {
    newest: u64,
    /// Ends included, ascending.
    missing: Vec<(u64, u64)>,
}

/// Where a trade stands among those that arrived before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TradeArrival {
    /// It is new; trades between the newest before and this one did not arrive.
    New(Option<MissingTrades>),
    /// It arrived before.
    Repeat,
}

impl TradeIds {
    /// Has a trade of this symbol arrived?
    pub(super) fn knows(&self, symbol: &str) -> bool {
        self.by_symbol.contains_key(symbol)
    }

    /// Files a trade.
    pub(super) fn file(&mut self, symbol: &str, id: u64) -> TradeArrival {
        let Some(ids) = self.by_symbol.get_mut(symbol) else {
            self.by_symbol.insert(symbol.to_owned(), ArrivedIds { newest: id, missing: Vec::new() });
            return TradeArrival::New(None);
        };
        if id <= ids.newest {
            return if ids.fill(id) { TradeArrival::New(None) } else { TradeArrival::Repeat };
        }
        let before = std::mem::replace(&mut ids.newest, id);
        if id - before == 1 {
            return TradeArrival::New(None);
        }
        let (first, last) = (before + 1, id - 1);
        ids.missing.push((first, last));
        if ids.missing.len() > MOST_RANGES {
            ids.missing.remove(0);
        }
        TradeArrival::New(Some(MissingTrades { symbol: symbol.to_owned(), first, last }))
    }
}

impl ArrivedIds {
    /// Takes an id from those that are missing. Was it one?
    fn fill(&mut self, id: u64) -> bool {
        let Some(at) = self.missing.iter().position(|(first, last)| (*first..=*last).contains(&id)) else {
            return false;
        };
        let (first, last) = self.missing.remove(at);
        if id < last {
            self.missing.insert(at, (id + 1, last));
        }
        if first < id {
            self.missing.insert(at, (first, id - 1));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_repeats_and_late_arrivals() {
        let mut ids = TradeIds::default();
        let missing = |first, last| TradeArrival::New(Some(MissingTrades { symbol: "A".into(), first, last }));
        let (new, repeat) = (TradeArrival::New(None), TradeArrival::Repeat);
        assert!(!ids.knows("A"));
        let arrivals = [
            (40, new.clone()),
            (41, new.clone()),
            (41, repeat.clone()),
            (45, missing(42, 44)),
            (39, repeat.clone()), // before the first: of a time before this run
            (43, new.clone()),
            (43, repeat.clone()),
            (44, new.clone()),
            (42, new.clone()),
            (42, repeat.clone()),
            (46, new.clone()),
            (48, missing(47, 47)),
        ];
        for (id, want) in arrivals {
            assert_eq!(ids.file("A", id), want, "{id}");
        }
        assert_eq!(ids.file("B", 1), new);
        assert_eq!(missing_text(42, 44), "A: 3 trades are missing (trade ids 42 to 44)");
        assert_eq!(missing_text(47, 47), "A: 1 trade is missing (trade id 47)");
    }

    fn missing_text(first: u64, last: u64) -> String {
        MissingTrades { symbol: "A".into(), first, last }.to_string()
    }

    #[test]
    fn what_is_kept_of_gaps_has_a_bound() {
        let mut ids = TradeIds::default();
        for id in (0..1000).step_by(2) {
            ids.file("A", id);
        }
        assert_eq!(ids.by_symbol["A"].missing.len(), MOST_RANGES);
        assert_eq!(ids.file("A", 997), TradeArrival::New(None));
        assert_eq!(ids.file("A", 1), TradeArrival::Repeat, "its gap is forgotten");
        assert_eq!(ids.file("A", u64::MAX - 1), ids_missing(999, u64::MAX - 2));
    }

    fn ids_missing(first: u64, last: u64) -> TradeArrival {
        TradeArrival::New(Some(MissingTrades { symbol: "A".into(), first, last }))
    }
}
