//! What the events of one window of a series come to (R9): integers of any size, and one division.

use super::event::IndependentEvent;
use super::fraction::{nearest, power_of_ten};
use super::judge::CountedPlace;
use minutely_dataflows::decimal::{ExactNumber, Scales};
use minutely_dataflows::digest::{MarketNumbers, RowNumbers};
use minutely_dataflows::row::{MarketRow, Row, RowKind};
use minutely_dataflows::time::{State, WindowStart};
use num_bigint::{BigInt, Sign};

/// When an event was, and where among all of the same time.
type EventOrder = (i64, CountedPlace);

/// See the module. There is at least one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndependentSums {
    pub(super) count: u64,
    pub(super) sum: BigInt,
    /// Of value · value, and of value · weight.
    pub(super) squares: BigInt,
    pub(super) products: BigInt,
    pub(super) high: BigInt,
    pub(super) low: BigInt,
    open: (EventOrder, BigInt),
    close: (EventOrder, BigInt),
    /// The sum of the weights; none where no event has one.
    pub(super) weights: Option<BigInt>,
    /// A weight is beyond its scale, so that their sum is unknown.
    pub(super) is_beyond: bool,
}

impl IndependentSums {
    /// Of one event.
    pub(crate) fn of(event: &IndependentEvent, place: CountedPlace) -> Self {
        let (value, at) = (&event.value, (event.time, place));
        IndependentSums {
            count: 1,
            sum: value.clone(),
            squares: value * value,
            products: event.weight.as_ref().map_or(BigInt::ZERO, |weight| value * weight),
            high: value.clone(),
            low: value.clone(),
            open: (at, value.clone()),
            close: (at, value.clone()),
            weights: event.weight.clone(),
            is_beyond: event.is_weight_beyond,
        }
    }

    /// And one more.
    pub(crate) fn add(&mut self, event: &IndependentEvent, place: CountedPlace) {
        self.add_all(IndependentSums::of(event, place));
    }

    /// And what another window of the series comes to.
    pub(crate) fn add_all(&mut self, other: IndependentSums) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.products += other.products;
        if other.high > self.high {
            self.high = other.high;
        }
        if other.low < self.low {
            self.low = other.low;
        }
        if other.open.0 < self.open.0 {
            self.open = other.open;
        }
        if other.close.0 > self.close.0 {
            self.close = other.close;
        }
        self.weights = match (self.weights.take(), other.weights) {
            (Some(sum), Some(weight)) => Some(sum + weight),
            (sum, weight) => sum.or(weight),
        };
        self.is_beyond |= other.is_beyond;
    }

    /// The sum of the weights, where it is known.
    pub(super) fn volume(&self) -> Option<&BigInt> {
        self.weights.as_ref().filter(|_| !self.is_beyond)
    }

    /// The row, without derived values. `market`: with `--metrics market`.
    pub(crate) fn row(&self, symbol: &str, minute: WindowStart, state: State, (market, scales): (bool, Scales)) -> Row {
        let unit = power_of_ten(scales.value.into());
        let price = |value: &BigInt| nearest(value.clone(), unit.clone());
        let volume = self.volume();
        let vwap = volume.filter(|volume| volume.sign() == Sign::Plus);
        let market = market.then(|| MarketRow {
            open: price(&self.open.1),
            high: price(&self.high),
            low: price(&self.low),
            close: price(&self.close.1),
            volume: volume.map(|volume| ExactNumber::new(bounded(volume), scales.weight)),
            vwap: vwap.map(|volume| nearest(self.products.clone(), volume * &unit)),
        });
        Row {
            kind: RowKind::Minute,
            symbol: symbol.to_owned(),
            minute,
            count: self.count.cast_signed(),
            sum: ExactNumber::new(bounded(&self.sum), scales.value),
            avg: nearest(self.sum.clone(), BigInt::from(self.count) * unit),
            state,
            market,
            derived: Box::default(),
        }
    }

    /// What a digest is made of.
    pub(crate) fn numbers(&self, market: bool) -> RowNumbers {
        let market = market.then(|| MarketNumbers {
            prices: [&self.open.1, &self.high, &self.low, &self.close.1].map(bounded),
            volume: self.volume().map(bounded),
            weighted: halves(&self.products),
        });
        RowNumbers { count: self.count.cast_signed(), sum: bounded(&self.sum), market }
    }
}

/// An integer of a row.
fn bounded(number: &BigInt) -> i128 {
    i128::try_from(number).expect("sums of fewer than 1.7e9 records are below 2^127 (R2)")
}

/// The halves of an integer of 256 bits, in two's complement.
fn halves(number: &BigInt) -> (i128, u128) {
    let high: BigInt = number >> 128_u8;
    let low = number - (&high << 128_u8);
    let low = u128::try_from(low).expect("what is left of a shift down is of 128 bits");
    (bounded(&high), low)
}
