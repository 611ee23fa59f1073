//! What is traded: names one knows, with a price level one would expect, then made-up ones without end.

use super::fixed;
use super::hash;

/// Well-known tickers, and about what a share costs, in dollars. Order is popularity.
const KNOWN: [(&str, u64); 60] = [
    ("AAPL", 190),
    ("MSFT", 420),
    ("NVDA", 130),
    ("AMZN", 185),
    ("TSLA", 240),
    ("GOOGL", 170),
    ("META", 500),
    ("AMD", 155),
    ("NFLX", 640),
    ("AVGO", 165),
    ("JPM", 205),
    ("INTC", 31),
    ("BAC", 40),
    ("PLTR", 27),
    ("XOM", 115),
    ("F", 12),
    ("DIS", 98),
    ("KO", 64),
    ("PFE", 29),
    ("WMT", 69),
    ("V", 270),
    ("MA", 450),
    ("UNH", 520),
    ("LLY", 850),
    ("JNJ", 150),
    ("PG", 165),
    ("HD", 350),
    ("COST", 830),
    ("MRK", 125),
    ("ABBV", 172),
    ("CVX", 155),
    ("PEP", 166),
    ("ORCL", 140),
    ("CRM", 250),
    ("ADBE", 540),
    ("CSCO", 46),
    ("MCD", 255),
    ("NKE", 75),
    ("BA", 180),
    ("GE", 165),
    ("GM", 47),
    ("UBER", 70),
    ("PYPL", 60),
    ("QCOM", 200),
    ("MU", 132),
    ("T", 19),
    ("VZ", 40),
    ("WFC", 58),
    ("C", 62),
    ("GS", 460),
    ("MS", 98),
    ("CAT", 330),
    ("IBM", 175),
    ("HON", 212),
    ("TXN", 196),
    ("SBUX", 78),
    ("LOW", 225),
    ("UPS", 137),
    ("SOFI", 7),
    ("COIN", 225),
];

/// The longest name: no symbol that a log can reach has a longer one.
const LONGEST: usize = 14;

/// A symbol's name, ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SymbolName {
    text: [u8; LONGEST],
    len: u8,
}

impl SymbolName {
    /// The name of the symbol with this number. No two share one.
    pub(super) fn of(symbol: u64) -> Self {
        let known = usize::try_from(symbol).ok().and_then(|at| KNOWN.get(at));
        known.map_or_else(|| Self::made_up(symbol - KNOWN.len() as u64), |(ticker, _)| Self::from(ticker.as_bytes()))
    }

    /// All names of four letters in a shuffled order, then all of five, and so on.
    fn made_up(mut nth: u64) -> Self {
        let (mut letters, mut names) = (4, 26_u64.pow(4));
        while nth >= names && letters < LONGEST - 2 {
            nth -= names;
            names *= 26;
            letters += 1;
        }
        // A stride without a factor of 26 visits every name once.
        let mut code = (u128::from(nth) * 0x5851_f42d_4c95_7f2d + 0x1_4057) % u128::from(names);
        let mut text = [0; LONGEST];
        for letter in &mut text[..letters] {
            *letter = b'A' + u8::try_from(code % 26).expect("below 26");
            code /= 26;
        }
        let name = Self::from(&text[..letters]);
        if KNOWN.iter().all(|(ticker, _)| ticker.as_bytes() != name.bytes()) {
            return name;
        }
        text[letters..letters + 2].copy_from_slice(b".B"); // no other name has a dot
        Self::from(&text[..letters + 2])
    }

    fn from(bytes: &[u8]) -> Self {
        let mut text = [0; LONGEST];
        text[..bytes.len()].copy_from_slice(bytes);
        SymbolName { text, len: u8::try_from(bytes.len()).expect("at most 14") }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

/// About what the symbol costs, in hundredths of a cent: as known, else between half a dollar and 512, mostly around 16.
pub(super) fn level(symbol: u64, seed: u64) -> u64 {
    let known = usize::try_from(symbol).ok().and_then(|at| KNOWN.get(at));
    known.map_or_else(
        || {
            let dice = hash::draw(seed, 0);
            let exponent = (hash::upper(dice) + hash::lower(dice)).cast_signed() * 5 - (1 << 32); // -1..9
            fixed::scale(10_000, exponent)
        },
        |(_, dollars)| dollars * 10_000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_plain() {
        let mut seen = HashSet::new();
        for symbol in (0..1_000_000).chain(500_000_000..500_300_000).chain(4_000_000_000_000..4_000_000_300_000) {
            let name = SymbolName::of(symbol);
            assert!(name.bytes().iter().all(|c| c.is_ascii_uppercase() || *c == b'.'), "{name:?}");
            assert!(seen.insert(name.bytes().to_vec()), "{name:?} twice");
        }
        assert_eq!(SymbolName::of(0).bytes(), b"AAPL");
        assert!(SymbolName::of(u64::MAX).bytes().len() <= LONGEST);
        let class_b = seen.iter().filter(|name| name.contains(&b'.')).count();
        assert!(class_b > 0, "a made-up name that is a known one was seen and changed");
    }

    #[test]
    fn levels_are_what_shares_cost() {
        assert_eq!(level(0, 7), 190 * 10_000);
        let levels: Vec<u64> = (60..10_060).map(|symbol| level(symbol, hash::draw(3, symbol))).collect();
        assert!(levels.iter().all(|level| (5_000..=5_120_000).contains(level)));
        let pennies = levels.iter().filter(|level| **level < 10_000).count();
        let dear = levels.iter().filter(|level| **level > 1_000_000).count();
        assert!((50..500).contains(&pennies) && (300..1500).contains(&dear), "{pennies} {dear}");
    }
}
