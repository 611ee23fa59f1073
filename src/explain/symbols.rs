//! Symbols that are there, for one that is not.

use crate::cli::changes;
use std::collections::BTreeSet;

/// Symbols that are remembered, at most.
const MOST: usize = 100_000;
/// Symbols that are named.
const MOST_NAMED: usize = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct KnownSymbols {
    asked: String,
    is_there: bool,
    others: BTreeSet<String>,
}

impl KnownSymbols {
    /// For this one.
    pub(super) fn new(asked: &str) -> Self {
        KnownSymbols { asked: asked.to_owned(), is_there: false, others: BTreeSet::new() }
    }

    /// One is there.
    pub(super) fn add(&mut self, symbol: &str) {
        if symbol == self.asked {
            self.is_there = true;
        } else if self.others.len() < MOST && !self.others.contains(symbol) {
            self.others.insert(symbol.to_owned());
        }
    }

    /// Is the one that is asked for there?
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Those that are most like it, the most alike first: in other capitals, then what is within it or around it or has one letter changed.
    pub(super) fn nearest(&self) -> Vec<&str> {
        let asked = self.asked.to_lowercase();
        let rank = |known: &str| {
            let other = known.to_lowercase();
            let changes = changes(&asked, &other);
            let is_within = other.contains(&asked) || asked.contains(&other);
            let is_near = is_within || changes * 3 <= asked.chars().count().max(3);
            is_near.then_some((other != asked, if is_within { changes.min(1) } else { changes }))
        };
        let mut ranked: Vec<_> = self.others.iter().filter_map(|known| Some((rank(known)?, known.as_str()))).collect();
        ranked.sort_unstable();
        ranked.into_iter().take(MOST_NAMED).map(|(_, known)| known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_named_first() {
        let known = |asked: &str| {
            let mut known = KnownSymbols::new(asked);
            ["AAPL", "AAPL.US", "AMZN", "MSFT", "aapl", "BRK.B", "É"].iter().for_each(|symbol| known.add(symbol));
            known
        };
        assert_eq!(known("Aapl").nearest(), ["AAPL", "aapl", "AAPL.US"]);
        assert_eq!(known("AAPK").nearest(), ["AAPL", "aapl"]);
        assert_eq!(known("BRKB").nearest(), ["BRK.B"]);
        assert_eq!(known("ZZZZ").nearest(), [""; 0]);
        assert!(known("É").is_there() && !known("é").is_there());
    }
}
