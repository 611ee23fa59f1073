//! What the events of one window of a series add up to, one event after the other: nothing of `crate::acc`.

use super::Position;
use crate::decimal::{Decimal, ExactNumber, Scales, nearest};
use crate::decode::DecodedEvent;
use crate::digest::{MarketNumbers, RowNumbers};
use crate::row::{MarketRow, Row, RowKind};
use crate::time::{EventTime, State, WindowStart};
use crate::wide::{I256, U256};

/// An event's place among those of its window, and its value.
type Placed = ((EventTime, Position), Decimal);

/// See the module. There is at least one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainSums {
    /// How many events.
    pub count: i64,
    pub(super) sum: i128,
    pub(super) squares: I256,
    pub(super) high: Decimal,
    pub(super) low: Decimal,
    first: Placed,
    last: Placed,
    /// Of those that have a weight; none without any.
    pub(super) volume: Option<i128>,
    pub(super) weighted: I256,
    /// A weight is beyond what its scale can hold.
    pub(super) beyond: bool,
}

impl PlainSums {
    /// Of one event.
    pub fn of(event: &DecodedEvent<'_>, position: Position) -> Self {
        let (value, placed) = (event.value, ((event.time, position), event.value));
        let weight = event.weight.unwrap_or_default();
        PlainSums {
            count: 1,
            sum: value.0,
            squares: I256::product(value.0, value.0),
            high: value,
            low: value,
            first: placed,
            last: placed,
            volume: event.weight.map(|weight| weight.0),
            weighted: I256::product(value.0, weight.0),
            beyond: event.weight_beyond,
        }
    }

    /// And another.
    pub fn add(&mut self, event: &DecodedEvent<'_>, position: Position) {
        let (value, placed) = (event.value, ((event.time, position), event.value));
        self.count += 1;
        self.sum += value.0;
        self.squares = self.squares.plus(I256::product(value.0, value.0));
        (self.high, self.low) = (self.high.max(value), self.low.min(value));
        if placed.0 < self.first.0 {
            self.first = placed;
        }
        if placed.0 > self.last.0 {
            self.last = placed;
        }
        if let Some(weight) = event.weight {
            self.volume = Some(self.volume.unwrap_or(0) + weight.0);
            self.weighted = self.weighted.plus(I256::product(value.0, weight.0));
        }
        self.beyond |= event.weight_beyond;
    }

    /// And all events of another window of the series.
    pub fn add_all(&mut self, other: &PlainSums) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares = self.squares.plus(other.squares);
        (self.high, self.low) = (self.high.max(other.high), self.low.min(other.low));
        self.first = if other.first.0 < self.first.0 { other.first } else { self.first };
        self.last = if other.last.0 > self.last.0 { other.last } else { self.last };
        if let Some(volume) = other.volume {
            self.volume = Some(self.volume.unwrap_or(0) + volume);
        }
        self.weighted = self.weighted.plus(other.weighted);
        self.beyond |= other.beyond;
    }

    /// The sum of the weights, where it is known.
    fn volume(&self) -> Option<i128> {
        self.volume.filter(|_| !self.beyond)
    }

    /// The row, without derived values. `market`: with `--metrics market`.
    pub fn row(&self, symbol: &str, minute: WindowStart, state: State, (market, scales): (bool, Scales)) -> Row {
        let exact = |value: Decimal| ExactNumber::new(value.0, scales.value);
        let sum = exact(Decimal(self.sum));
        let vwap = |volume: i128| {
            let (negative, weighted) = self.weighted.split();
            let one = 10_u128.pow(u32::from(scales.value));
            (volume > 0).then(|| nearest(negative, weighted, U256::product(volume.unsigned_abs(), one)))
        };
        let market = market.then(|| MarketRow {
            open: exact(self.first.1).to_f64(),
            high: exact(self.high).to_f64(),
            low: exact(self.low).to_f64(),
            close: exact(self.last.1).to_f64(),
            volume: self.volume().map(|volume| ExactNumber::new(volume, scales.weight)),
            vwap: self.volume().and_then(vwap),
        });
        let avg = sum.over(self.count).expect("a window has a record");
        Row {
            kind: RowKind::Minute,
            symbol: symbol.to_owned(),
            minute,
            count: self.count,
            sum,
            avg,
            state,
            market,
            derived: Box::default(),
        }
    }

    /// What a digest is made of.
    pub fn numbers(&self, market: bool) -> RowNumbers {
        let market = market.then(|| MarketNumbers {
            prices: [self.first.1, self.high, self.low, self.last.1].map(|price| price.0),
            volume: self.volume(),
            weighted: self.weighted.halves(),
        });
        RowNumbers { count: self.count, sum: self.sum, market }
    }
}
