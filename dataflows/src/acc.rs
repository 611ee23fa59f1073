//! What a window of a series accumulates to: a differential diff. Sums live here, as integers; the division is done once,
//! when a row is made (R9).
//!
//! An accumulation is a semigroup and no group: it is zero exactly when it counts nothing, so parts without an inverse
//! (high, low, open, close) ride along. What takes one away has one constructor, [`Accumulate::retraction`], and is of the
//! *complete* accumulation, at most once a key, with no update after it. Otherwise high and low would depend on which
//! batch a key came back in. There is no `Default`: a high of 0 is wrong for oil at −37.63.

use crate::decimal::{ExactNumber, Scales, nearest};
use crate::decode::DecodedEvent;
use crate::derived::{MarketSums, MinuteSums};
use crate::digest::{MarketNumbers, RowNumbers};
use crate::mutants::{self, Mutant};
use crate::row::{MarketRow, Row, RowKind};
use crate::time::{EventTime, State, WindowStart};
use crate::wide::{I256, Int128, U256};
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
    #[inline]
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
    /// The published row; none if nothing counts. `scales`: those of the decimals that were added up.
    fn row(&self, symbol: &str, minute: WindowStart, state: State, scales: Scales) -> Option<Row>;
    /// What derived values are made of.
    fn sums(&self) -> MinuteSums;
    /// What a digest is made of.
    fn numbers(&self) -> RowNumbers;
    /// Of the bytes of a checkpoint's object, which this or an earlier version wrote; all of them.
    ///
    /// # Errors
    /// When they are none.
    fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        whole(postcard::take_from_bytes(bytes)?)
    }
}

/// What was decoded, if nothing is left.
fn whole<T>((decoded, rest): (T, &[u8])) -> Result<T, postcard::Error> {
    if rest.is_empty() { Ok(decoded) } else { Err(postcard::Error::DeserializeBadEncoding) }
}

/// `--metrics avg`: count and exact sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Avg {
    count: i64,
    sum: Int128,
}

impl IsZero for Avg {
    fn is_zero(&self) -> bool {
        if mutants::on(Mutant::SumOnlyDiff) { self.sum.get() == 0 } else { self.count == 0 }
    }
}

impl Semigroup for Avg {
    #[inline]
    fn plus_equals(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.add(other.sum);
        #[cfg(feature = "mutants")]
        if mutants::on(Mutant::FloatSum) {
            #[expect(clippy::cast_possible_truncation, reason = "that is what is wrong with it")]
            let rounded = self.sum.get() as f64 as i128;
            self.sum = Int128::new(rounded);
        }
    }
}

impl Accumulate for Avg {
    #[inline]
    fn of(event: &DecodedEvent<'_>, _: LogPosition) -> Self {
        Avg { count: 1, sum: Int128::new(event.value.0) }
    }
    fn count(&self) -> i64 {
        self.count
    }
    fn retraction(&self) -> Self {
        Avg { count: -self.count, sum: Int128::new(-self.sum.get()) }
    }
    fn row(&self, symbol: &str, minute: WindowStart, state: State, scales: Scales) -> Option<Row> {
        let sum = ExactNumber::new(self.sum.get(), scales.value);
        let avg = sum.over(self.count)?;
        let (kind, symbol, derived) = (RowKind::Minute, symbol.to_owned(), Box::default());
        Some(Row { kind, symbol, minute, count: self.count, sum, avg, state, market: None, derived })
    }
    fn sums(&self) -> MinuteSums {
        MinuteSums { count: self.count, sum: self.sum.get(), market: None }
    }
    fn numbers(&self) -> RowNumbers {
        RowNumbers { count: self.count, sum: self.sum.get(), market: None }
    }
}

/// One end of a window's record by (event time, partition identity, offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Tick {
    time: EventTime,
    position: LogPosition,
    value: Int128,
}

/// `--metrics market`: [`Avg`], and open, high, low, close, volume, vwap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Market {
    avg: Avg,
    open: Tick,
    close: Tick,
    high: Int128,
    low: Int128,
    volume: Int128,
    /// Sum of value x weight, scaled by both scales: `(hi, lo)` of an [`I256`], in 8-byte alignment.
    weighted: [Int128; 2],
    /// How many records had a weight, and [`BEYOND`] for each whose weight is beyond the range: below 0 if there is one. What
    /// version 0.1 wrote ends before it.
    weights: i64,
    /// Sum of squares of values, scaled twice: as `weighted`. Later states have it and what follows.
    squares: [Int128; 2],
    /// Of how many records.
    squared: i64,
}

/// More than all weights of a window can make up for (R2: there are at most 1.7·10^9 records), and as many fit in 64 bits.
const BEYOND: i64 = -(1 << 32);

/// A [`Market`] as version 0.1 wrote it.
type MarketWithoutWeights = (Avg, Tick, Tick, Int128, Int128, Int128, [Int128; 2]);

/// An [`I256`] in 8-byte alignment.
fn halves(of: I256) -> [Int128; 2] {
    let (hi, lo) = of.halves();
    [Int128::new(hi), Int128::new(lo.cast_signed())]
}

fn whole_of([hi, lo]: [Int128; 2]) -> I256 {
    I256::from_halves(hi.get(), lo.get().cast_unsigned())
}

impl Market {
    /// Of all records, unless a version without it counted some.
    fn squares(&self) -> Option<U256> {
        let (negative, squares) = whole_of(self.squares).split();
        (self.squared == self.avg.count && !negative).then_some(squares)
    }

    fn weighted(&self) -> I256 {
        whole_of(self.weighted)
    }

    /// None unless all weights are known and their sum is above 0. Their scale stands above and below the line, and cancels.
    fn vwap(&self, scales: Scales) -> Option<f64> {
        let volume = u128::try_from(self.volume.get()).ok().filter(|volume| *volume > 0 && self.weights > 0)?;
        let (negative, sum) = self.weighted().split();
        Some(nearest(negative, sum, U256::product(volume, 10_u128.pow(u32::from(scales.value)))))
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
        self.weighted = halves(self.weighted().plus(other.weighted()));
        self.weights += other.weights;
        self.squares = halves(whole_of(self.squares).plus(whole_of(other.squares)));
        self.squared += other.squared;
    }
}

impl Accumulate for Market {
    #[inline]
    fn of(event: &DecodedEvent<'_>, position: LogPosition) -> Self {
        let value = Int128::new(event.value.0);
        let tick = Tick { time: event.time, position, value };
        let weight = event.weight.unwrap_or_default();
        Market {
            avg: Avg::of(event, position),
            open: tick,
            close: tick,
            high: value,
            low: value,
            volume: Int128::new(weight.0),
            weighted: halves(I256::product(event.value.0, weight.0)),
            weights: if event.weight_beyond { BEYOND } else { i64::from(event.weight.is_some()) },
            squares: halves(I256::product(event.value.0, event.value.0)),
            squared: 1,
        }
    }
    fn count(&self) -> i64 {
        self.avg.count
    }
    fn retraction(&self) -> Self {
        // Open, high, low and close have no inverse and need none: they leave with the count.
        Market {
            avg: self.avg.retraction(),
            volume: Int128::new(-self.volume.get()),
            weighted: halves(self.weighted().negated()),
            weights: -self.weights,
            squares: halves(whole_of(self.squares).negated()),
            squared: -self.squared,
            ..*self
        }
    }
    fn row(&self, symbol: &str, minute: WindowStart, state: State, scales: Scales) -> Option<Row> {
        let nearest_of = |value: Int128| ExactNumber::new(value.get(), scales.value).to_f64();
        let market = MarketRow {
            open: nearest_of(self.open.value),
            high: nearest_of(self.high),
            low: nearest_of(self.low),
            close: nearest_of(self.close.value),
            volume: (self.weights > 0).then(|| ExactNumber::new(self.volume.get(), scales.weight)),
            vwap: self.vwap(scales),
        };
        Some(Row { market: Some(market), ..self.avg.row(symbol, minute, state, scales)? })
    }
    fn sums(&self) -> MinuteSums {
        let market = MarketSums {
            high: self.high.get(),
            low: self.low.get(),
            volume: (self.weights > 0).then(|| self.volume.get()),
            weight_beyond: self.weights < 0,
            weighted: self.weighted(),
            squares: self.squares(),
        };
        MinuteSums { market: Some(market), ..self.avg.sums() }
    }
    fn numbers(&self) -> RowNumbers {
        let prices = [self.open.value, self.high, self.low, self.close.value].map(Int128::get);
        let volume = (self.weights > 0).then(|| self.volume.get());
        let market = MarketNumbers { prices, volume, weighted: self.weighted().halves() };
        RowNumbers { market: Some(market), ..self.avg.numbers() }
    }
    fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (first, rest) = postcard::take_from_bytes::<MarketWithoutWeights>(bytes)?;
        let (avg, open, close, high, low, volume, weighted) = first;
        // Version 0.1 did not tell a weight of 0 from none: all its records pass for ones with a weight, as its rows said.
        let (weights, rest) = if rest.is_empty() { (avg.count, rest) } else { postcard::take_from_bytes(rest)? };
        let none = ([Int128::new(0); 2], 0);
        let (squares, squared) = if rest.is_empty() { none } else { whole(postcard::take_from_bytes(rest)?)? };
        Ok(Market { avg, open, close, high, low, volume, weighted, weights, squares, squared })
    }
}

#[cfg(test)]
mod tests;
