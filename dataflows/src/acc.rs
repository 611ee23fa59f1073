//! What a window of a series accumulates to: a differential diff. Sums live here, as integers; the division is done once,
//! when a row is made (R9).
//!
//! An accumulation is a semigroup and no group: it is zero exactly when it counts nothing, so parts without an inverse
//! (high, low, open, close) ride along. What takes one away has one constructor, [`Accumulate::retraction`], and is of the
//! *complete* accumulation, at most once a key, with no update after it. Otherwise high and low would depend on which
//! batch a key came back in. There is no `Default`: a high of 0 is wrong for oil at −37.63.

use crate::decimal::{Decimal, SCALE, nearest};
use crate::decode::DecodedEvent;
use crate::mutants::{self, Mutant};
use crate::row::{MarketRow, Row};
use crate::time::{EventTime, State, WindowStart};
use crate::wide::{I256, U256};
use differential_dataflow::difference::{IsZero, Semigroup};
use serde::{Deserialize, Serialize};

/// Where a record stands among those of all partitions: breaks ties between equal event times (R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    /// Its partition's identity.
    pub identity: u64,
    /// Its offset; where records are taken apart, its offset and then its element.
    pub offset: i64,
}

/// Bits of a position that say which element.
const ELEMENT_BITS: u32 = 20;
/// Elements of one record, at most.
pub const MAX_ELEMENTS: u32 = 1 << ELEMENT_BITS;

impl LogPosition {
    /// Of an event at this offset. `element`: which of the record's array, below [`MAX_ELEMENTS`]; either all events of a job
    /// have one, or none has. None if the offset is too large (2^43) for an element beside it.
    pub fn of(identity: u64, offset: i64, element: Option<u32>) -> Option<Self> {
        let Some(element) = element else { return Some(LogPosition { identity, offset }) };
        let fits = (0..1 << (63 - ELEMENT_BITS)).contains(&offset) && element < MAX_ELEMENTS;
        fits.then_some(LogPosition { identity, offset: offset << ELEMENT_BITS | i64::from(element) })
    }
}

/// A diff that a row can be made of.
pub trait Accumulate:
    Semigroup + Copy + Ord + Send + Sync + std::fmt::Debug + Serialize + for<'a> Deserialize<'a> + 'static
{
    /// Of one record.
    fn of(event: &DecodedEvent<'_>, position: LogPosition) -> Self;
    /// How many records count.
    fn count(&self) -> i64;
    /// What takes this, complete, away.
    #[must_use]
    fn retraction(&self) -> Self;
    /// The published row; none if nothing counts.
    fn row(&self, symbol: &str, minute: WindowStart, state: State) -> Option<Row>;
}

/// A 128-bit integer that aligns to 8 bytes: an `i128` would make every diff a quarter larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Sum {
    hi: i64,
    lo: u64,
}

impl Sum {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    const fn new(n: i128) -> Self {
        Sum { hi: (n >> 64) as i64, lo: n.cast_unsigned() as u64 }
    }
    const fn get(self) -> i128 {
        (self.hi as i128) << 64 | self.lo as i128
    }
    fn add(&mut self, other: Sum) {
        *self = Sum::new(self.get() + other.get());
    }
}

/// `--metrics avg`: count and exact sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Avg {
    count: i64,
    sum: Sum,
}

impl IsZero for Avg {
    fn is_zero(&self) -> bool {
        if mutants::on(Mutant::SumOnlyDiff) { self.sum.get() == 0 } else { self.count == 0 }
    }
}

impl Semigroup for Avg {
    fn plus_equals(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.add(other.sum);
        #[cfg(feature = "mutants")]
        if mutants::on(Mutant::FloatSum) {
            #[expect(clippy::cast_possible_truncation, reason = "that is what is wrong with it")]
            let rounded = self.sum.get() as f64 as i128;
            self.sum = Sum::new(rounded);
        }
    }
}

impl Accumulate for Avg {
    fn of(event: &DecodedEvent<'_>, _: LogPosition) -> Self {
        Avg { count: 1, sum: Sum::new(event.value.0) }
    }
    fn count(&self) -> i64 {
        self.count
    }
    fn retraction(&self) -> Self {
        Avg { count: -self.count, sum: Sum::new(-self.sum.get()) }
    }
    fn row(&self, symbol: &str, minute: WindowStart, state: State) -> Option<Row> {
        let sum = Decimal(self.sum.get());
        let avg = sum.over(self.count)?;
        Some(Row { symbol: symbol.to_owned(), minute, count: self.count, sum, avg, state, market: None })
    }
}

/// One end of a window's record by (event time, partition identity, offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Tick {
    time: EventTime,
    position: LogPosition,
    value: Sum,
}

/// `--metrics market`: [`Avg`], and open, high, low, close, volume, vwap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Market {
    avg: Avg,
    open: Tick,
    close: Tick,
    high: Sum,
    low: Sum,
    volume: Sum,
    /// Sum of value x weight, scaled by 10^36: `(hi, lo)` of an [`I256`], in 8-byte alignment.
    weighted: [Sum; 2],
}

fn weighted(of: I256) -> [Sum; 2] {
    let (hi, lo) = of.halves();
    [Sum::new(hi), Sum::new(lo.cast_signed())]
}

impl Market {
    fn weighted(&self) -> I256 {
        I256::from_halves(self.weighted[0].get(), self.weighted[1].get().cast_unsigned())
    }
}

impl IsZero for Market {
    fn is_zero(&self) -> bool {
        self.avg.is_zero()
    }
}

impl Semigroup for Market {
    fn plus_equals(&mut self, other: &Self) {
        self.avg.plus_equals(&other.avg);
        self.open = self.open.min(other.open);
        self.close = self.close.max(other.close);
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume.add(other.volume);
        self.weighted = weighted(self.weighted().plus(other.weighted()));
    }
}

impl Accumulate for Market {
    fn of(event: &DecodedEvent<'_>, position: LogPosition) -> Self {
        let value = Sum::new(event.value.0);
        let tick = Tick { time: event.time, position, value };
        let weight = event.weight.unwrap_or_default();
        Market {
            avg: Avg::of(event, position),
            open: tick,
            close: tick,
            high: value,
            low: value,
            volume: Sum::new(weight.0),
            weighted: weighted(I256::product(event.value.0, weight.0)),
        }
    }
    fn count(&self) -> i64 {
        self.avg.count
    }
    fn retraction(&self) -> Self {
        // Open, high, low and close have no inverse and need none: they leave with the count.
        Market {
            avg: self.avg.retraction(),
            volume: Sum::new(-self.volume.get()),
            weighted: weighted(self.weighted().negated()),
            ..*self
        }
    }
    fn row(&self, symbol: &str, minute: WindowStart, state: State) -> Option<Row> {
        let nearest_of = |value: Sum| Decimal(value.get()).to_f64();
        let volume = Decimal(self.volume.get());
        let market = MarketRow {
            open: nearest_of(self.open.value),
            high: nearest_of(self.high),
            low: nearest_of(self.low),
            close: nearest_of(self.close.value),
            volume,
            vwap: (volume.0 > 0).then(|| {
                let (negative, sum) = self.weighted().split();
                nearest(negative, sum, U256::product(volume.0.unsigned_abs(), u128::from(SCALE)))
            }),
        };
        Some(Row { market: Some(market), ..self.avg.row(symbol, minute, state)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(value: &str, time: i64, weight: Option<&str>) -> DecodedEvent<'static> {
        let decimal = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        DecodedEvent {
            symbol: "A".into(),
            value: decimal(value),
            time: EventTime(time),
            weight: weight.map(decimal),
            id: None,
            rounded: false,
        }
    }

    fn market(events: &[(&str, i64, Option<&str>)]) -> Market {
        let each = events.iter().enumerate().map(|(i, (value, time, weight))| {
            Market::of(&event(value, *time, *weight), LogPosition { identity: 7, offset: i64::try_from(i).unwrap() })
        });
        each.reduce(|mut a, b| {
            a.plus_equals(&b);
            a
        })
        .unwrap()
    }

    #[test]
    fn a_minute_of_oil() {
        let acc = market(&[("-37.63", 3, Some("200")), ("10.01", 1, None), ("-1", 3, Some("100.5"))]);
        let row = acc.row("A", WindowStart(0), State::Open).unwrap();
        assert_eq!((row.count, row.sum.to_string(), row.avg), (3, "-28.62".into(), -9.54));
        let m = row.market.unwrap();
        assert_eq!((m.open, m.high, m.low, m.close), (10.01, 10.01, -37.63, -1.0));
        // (-37.63·200 - 100.5) / 300.5 = -7626.5 / 300.5
        assert_eq!((m.volume.to_string(), m.vwap), ("300.5".into(), Some(-25.379_367_720_465_89)));
        assert_eq!(market(&[("5", 1, None)]).row("A", WindowStart(0), State::Open).unwrap().market.unwrap().vwap, None);
    }

    #[test]
    fn a_retraction_takes_all_away() {
        for mut acc in [market(&[("1", 1, Some("3")), ("-1", 2, None)]), market(&[("-7.5", 9, Some("0"))])] {
            let gone = acc.retraction();
            assert!(!acc.is_zero(), "values may cancel, the count does not");
            acc.plus_equals(&gone);
            assert!(acc.is_zero() && acc.volume.get() == 0 && acc.weighted() == I256::ZERO && acc.avg.sum.get() == 0);
            assert_eq!(acc.row("A", WindowStart(0), State::Open), None);
        }
    }

    #[test]
    fn sums_are_signed_128_bit_integers() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..10_000 {
            let (a, b) = (rng.i128(..) >> 1, rng.i128(..) >> rng.u32(1..127));
            let mut sum = Sum::new(a);
            sum.add(Sum::new(b));
            assert_eq!(sum.get(), a + b);
            assert_eq!(Sum::new(a) < Sum::new(b), a < b);
        }
        assert_eq!((size_of::<Avg>(), align_of::<Market>()), (24, 8));
    }
}
