//! What a share costs at a time: a Brownian path built by halving (Lévy's construction). The ends of a span of two years
//! are hashed, its middle lies between them and is displaced by another hash, and so on down to a second. So any moment
//! has a price without those before it, and neighbours agree.
//!
//! ```text
//!   left ────────────── middle ────────────── right      level k: 2^k ms wide; the middle is off by ~ sqrt(2^k)
//!            └── level k-1 ──┘└── level k-1 ──┘
//! ```

use super::fixed;
use super::hash;
use super::symbols::{SymbolName, level};

/// The widest span: 2^36 ms, 2.2 years.
const TOP: u32 = 36;
/// The span whose ends are cached: 2^16 ms, 65 s.
const CACHED: u32 = 16;
/// The narrowest span, within which the path is straight: 2^10 ms.
const BOTTOM: u32 = 10;
/// How far the ends of the widest span are from the symbol's level, at most: 0.3 octaves, scaled by 2^32.
const ENDS: i64 = 1_288_490_189;
/// How far the middle of a span of 1 ms would be displaced at most, in octaves scaled by 2^32: such that a day moves the
/// logarithm by 2 % (a standard deviation): 0.02 / ln 2 / sqrt(86,400,000) x sqrt(3) / 2 x 2^32.
const DISPLACEMENT: i64 = 11_545;
/// sqrt(2) x 2^16.
const ROOT_2: i64 = 92_682;
/// How far bid and ask are apart from the path: 0.00015 octaves (0.01 %), scaled by 2^32.
const BOUNCE: i64 = 644_245;

/// The most that the middle of a span is displaced, in octaves scaled by 2^32, for a symbol of ordinary temper.
const fn displacement(level: u32) -> i64 {
    let even = DISPLACEMENT << (level / 2);
    if level.is_multiple_of(2) { even } else { (even * ROOT_2) >> 16 }
}

/// How many spans a partition keeps at most: 100 KB.
const MOST_SPANS: u64 = 1024;

fn place(slot: u64) -> usize {
    usize::try_from(slot).expect("at most 1024")
}

/// One symbol's path within one cached span.
#[derive(Clone, Copy, Debug)]
struct Span {
    symbol: u64,
    /// The span's number: time >> [`CACHED`].
    number: i64,
    left: i64,
    right: i64,
    quote: PricedSymbol,
}

impl Span {
    fn new(symbol: u64, number: i64, seed: u64) -> Self {
        let (quote, ms) = (PricedSymbol::new(symbol, seed), number << CACHED);
        let (left, right) = (quote.end(ms >> TOP), quote.end((ms >> TOP) + 1));
        let (left, right) = quote.descend(left, right, ms, TOP, CACHED);
        Span { symbol, number, left, right, quote }
    }
}

/// What is the same at all times.
#[derive(Clone, Copy, Debug)]
struct PricedSymbol {
    name: SymbolName,
    seed: u64,
    /// Hundredths of a cent.
    level: u64,
    /// Sixteenths of an ordinary symbol's unrest.
    temper: i64,
}

impl PricedSymbol {
    fn new(symbol: u64, seed: u64) -> Self {
        let seed = hash::draw(seed, symbol);
        let temper = 10 + hash::below(hash::upper(hash::draw(seed, 1)), 17).cast_signed();
        PricedSymbol { name: SymbolName::of(symbol), seed, level: level(symbol, seed), temper }
    }

    /// The end of a widest span.
    fn end(&self, number: i64) -> i64 {
        (ENDS * (hash::signed(hash::draw_at(self.seed ^ u64::from(TOP + 1) << 32, number)))) >> 31
    }

    /// Goes down from a span of `from` to one of `to` that holds this time.
    fn descend(&self, mut left: i64, mut right: i64, ms: i64, from: u32, to: u32) -> (i64, i64) {
        for level in (to + 1..=from).rev() {
            let dice = hash::signed(hash::draw_at(self.seed ^ u64::from(level) << 32, ms >> level));
            let off = (((displacement(level) * self.temper) >> 4) * (dice >> 7)) >> 24;
            let middle = ((left + right) >> 1) + off;
            if (ms >> (level - 1)) & 1 == 0 {
                right = middle;
            } else {
                left = middle;
            }
        }
        (left, right)
    }
}

/// The prices of one log. Spans last used are a cache: the answers depend on symbol and time alone.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    seed: u64,
    spans: Vec<Option<Span>>,
    mask: u64,
}

impl Prices {
    /// Prices of a log. `symbols`: about how many are asked for.
    pub(super) fn new(seed: u64, symbols: u64) -> Self {
        let slots = (4 * symbols).clamp(16, MOST_SPANS).next_power_of_two();
        Prices { seed, spans: Vec::new(), mask: slots - 1 }
    }

    /// The symbol's name, and what it costs at this time (milliseconds since the log began), in hundredths of a
    /// cent: whole cents from a dollar on. `dice` tells buyers from sellers.
    pub(super) fn at(&mut self, symbol: u64, ms: i64, dice: u64) -> (SymbolName, u64) {
        let number = ms >> CACHED;
        let slot = (symbol.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) ^ number.cast_unsigned();
        if self.spans.is_empty() {
            self.spans.resize(place(self.mask) + 1, None); // a log that is not read takes no memory
        }
        let slot = &mut self.spans[place(slot & self.mask)];
        let fits = |span: &Span| span.symbol == symbol && span.number == number;
        if !slot.as_ref().is_some_and(fits) {
            *slot = Some(Span::new(symbol, number, self.seed));
        }
        let span = slot.as_ref().expect("it was filled if it did not fit");
        let (left, right) = span.quote.descend(span.left, span.right, ms, CACHED, BOTTOM);
        let straight = left + (((right - left) * (ms & ((1 << BOTTOM) - 1))) >> BOTTOM);
        let octaves = straight + ((BOUNCE * hash::signed(dice)) >> 31);
        let price = fixed::scale(span.quote.level, octaves).max(1);
        (span.quote.name, if price < 10_000 { price } else { (price + 50) / 100 * 100 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_price_depends_on_symbol_and_time_alone() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut warm = Prices::new(seed, 50);
        for _ in 0..20_000 {
            let (symbol, ms) = (rng.u64(0..200), rng.i64(-DAY..4000 * DAY) >> rng.u32(0..40));
            let dice = rng.u64(..);
            let mut cold = Prices::new(seed, 1);
            assert_eq!(warm.at(symbol, ms, dice), cold.at(symbol, ms, dice));
        }
    }

    #[test]
    fn prices_look_like_prices() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut prices = Prices::new(seed, 200);
        let mut days = 0.0;
        for symbol in 0..200 {
            let level = level(symbol, hash::draw(seed, symbol)) as f64;
            let mut last = None;
            for minute in 0..2880 {
                let (_, price) = prices.at(symbol, 2000 * DAY + minute * 60_000, 0);
                assert!(price < 10_000 || price % 100 == 0, "a fraction of a cent: {price}");
                let price = price as f64;
                assert!((0.04..25.0).contains(&(price / level)), "{symbol}: {price} at a level of {level}");
                if let Some(last) = last {
                    let change: f64 = price / last - 1.0;
                    assert!(change.abs() < 0.02 + 2.0 / price, "{symbol}: {change} in a minute");
                }
                last = Some(price);
            }
            let (open, close) = (prices.at(symbol, 3000 * DAY, 0).1 as f64, prices.at(symbol, 3001 * DAY, 0).1 as f64);
            days += (close / open).ln().powi(2);
        }
        let day = (days / 200.0_f64).sqrt();
        assert!((0.012..0.04).contains(&day), "a day moves a price by {day}");
    }

    #[test]
    fn neighbours_agree_across_spans() {
        let mut prices = Prices::new(5, 1);
        for level in BOTTOM..=TOP {
            for n in 1..20_i64 {
                let edge = n << level;
                let (before, after) = (prices.at(0, edge - 1, 1 << 40).1, prices.at(0, edge, 1 << 40).1);
                assert!(before.abs_diff(after) <= 100 + before / 5000, "{before} then {after} at {edge}");
            }
        }
    }
}
