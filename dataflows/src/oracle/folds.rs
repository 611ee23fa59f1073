//! Metrics of all minutes so far (R14), one minute after the other.

use super::rounding::{half_even, nearest, power};
use crate::derived::Metric;
use num_bigint::{BigInt, Sign};

/// One metric, as of the minutes that it was given.
pub(super) enum PlainFold {
    Ema(PlainEma),
    /// Of 12 and of 26 minutes, and of 9 of their difference.
    Macd([PlainEma; 3]),
    Rsi(PlainRsi),
}

/// e + 2(x − e)/(n + 1), from the first on.
pub(super) struct PlainEma {
    n: u16,
    e: Option<BigInt>,
}

impl PlainEma {
    fn of(n: u16) -> Self {
        PlainEma { n, e: None }
    }

    fn step(&mut self, x: &BigInt) -> BigInt {
        let next = match self.e.take() {
            None => x.clone(),
            Some(e) => half_even(&(2 * x + (self.n - 1) * e), &(self.n + 1).into()),
        };
        self.e.insert(next).clone()
    }
}

/// Wilder's: means of the first n gains and losses; then each is n − 1 times itself and the next, over n.
pub(super) struct PlainRsi {
    n: u16,
    last: Option<BigInt>,
    /// Changes, until there are n.
    first: Vec<BigInt>,
    /// The two means, and how often they are doubled.
    both: Option<([BigInt; 2], u64)>,
}

impl PlainRsi {
    fn step(&mut self, average: &BigInt) -> Option<f64> {
        let change = average - self.last.replace(average.clone())?;
        let n = self.n;
        let sides = |change: &BigInt| [change.clone(), -change].map(|side| side.max(BigInt::ZERO));
        let (both, doubled) = match self.both.take() {
            Some((both, doubled)) => {
                let (both, doubled) = doubled_to_116_bits(both, doubled, &change);
                let ([gains, losses], [gain, loss]) = (both, sides(&change).map(|side| side << doubled));
                ([gains * (n - 1) + gain, losses * (n - 1) + loss], doubled)
            }
            None => {
                self.first.push(change);
                if self.first.len() < n.into() {
                    return None;
                }
                let sum = |side: usize| self.first.iter().map(|change| sides(change)[side].clone()).sum();
                doubled_to_116_bits([sum(0), sum(1)], 0, &BigInt::ZERO)
            }
        };
        let both = both.map(|sum| half_even(&sum, &n.into()));
        let all: BigInt = both.iter().sum();
        let value = (all.sign() == Sign::Plus).then(|| nearest(&(&both[0] * 100), &all));
        self.both = Some((both, doubled));
        value
    }
}

impl PlainFold {
    /// Of no minute yet. `n`: the number in its name.
    pub(super) fn of(metric: Metric, n: u16) -> Self {
        match metric {
            Metric::Macd => PlainFold::Macd([12, 26, 9].map(PlainEma::of)),
            Metric::Rsi(_) => PlainFold::Rsi(PlainRsi { n, last: None, first: Vec::new(), both: None }),
            _ => PlainFold::Ema(PlainEma::of(n)),
        }
    }

    /// Of one more minute, whose average has so many digits of a fraction: the values of its columns.
    pub(super) fn step(&mut self, average: &BigInt, digits: u8) -> Vec<Option<f64>> {
        let of = |number: &BigInt| Some(nearest(number, &power(digits)));
        match self {
            PlainFold::Ema(ema) => vec![of(&ema.step(average))],
            PlainFold::Macd([short, long, signal]) => {
                let line = short.step(average) - long.step(average);
                vec![of(&line), of(&signal.step(&line))]
            }
            PlainFold::Rsi(rsi) => vec![rsi.step(average)],
        }
    }
}

/// Averages that are doubled so often, doubled more often or less: as often as leaves 116 bits to the larger of them, and to the
/// change doubled likewise.
fn doubled_to_116_bits(both: [BigInt; 2], doubled: u64, change: &BigInt) -> ([BigInt; 2], u64) {
    let times = |x: &BigInt, doubled: u64| (x.bits() > 0).then(|| (doubled + 116).saturating_sub(x.bits()));
    let rooms = [times(&both[0], doubled), times(&both[1], doubled), times(change, 0)];
    let most = rooms.into_iter().flatten().min().unwrap_or(doubled);
    (both.map(|x| half_even(&(x << most), &(BigInt::from(1) << doubled))), most)
}
