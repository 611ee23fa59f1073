//! When records arrive: the offset is warped into time by the busyness of the minutes of a day, whose integral is a
//! table of integers. So the arrival of any offset, and the offset of any time, take a few steps and no state.
//!
//! ```text
//!   offset ── / rate ──> work (busyness x milliseconds) ── table of a day ──> milliseconds since the log began
//! ```

use super::hash;
use std::sync::Arc;

/// Minutes in a day.
const MINUTES: usize = 1440;
/// Milliseconds in a minute.
pub(super) const MINUTE_MS: u64 = 60_000;
/// Offsets whose work is interpolated between two exact divisions; a power of two.
const BLOCK_BITS: u32 = 10;
/// Bits of a record's hash that choose where in its own slot of work it arrives.
const PLACE_BITS: u32 = 16;

/// How busy each minute of a day (UTC) is.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// One per minute; about 1000 on average.
    busyness: [u64; MINUTES],
    /// Work before each minute, in busyness x ms; ascending.
    before: [u64; MINUTES],
    /// Work of a day.
    day: u64,
}

impl Rhythm {
    /// As a stock market: lively at the open (13:30) and at the close (20:00), calmer between, quiet but never silent
    /// outside; no minute like the next.
    pub(super) fn market() -> Self {
        Self::new(|minute| {
            let shape = match minute {
                810..1200 => {
                    let from_middle = (2 * minute).abs_diff(2 * 810 + 390);
                    900 + 900 * from_middle * from_middle / (390 * 390)
                }
                _ => 750,
            };
            shape * (850 + hash::draw(0x006d_696e_7574_6573, minute) % 301) / 1000
        })
    }

    /// All minutes alike.
    pub(super) fn even() -> Self {
        Self::new(|_| 1000)
    }

    fn new(busyness_of: impl Fn(u64) -> u64) -> Self {
        let (mut busyness, mut before, mut day) = ([0; MINUTES], [0; MINUTES], 0);
        for (minute, at) in (0..).zip(0..MINUTES) {
            busyness[at] = busyness_of(minute);
            before[at] = day;
            day += busyness[at] * MINUTE_MS;
        }
        Rhythm { busyness, before, day }
    }

    /// The minute in which `work` is reached.
    fn minute(&self, work: u64) -> Minute {
        let (days, within) = (work / self.day, work % self.day);
        let at = self.before.partition_point(|before| *before <= within) - 1;
        let minute = days * 1440 + u64::try_from(at).expect("an index below 1440");
        let from = days * self.day + self.before[at];
        let busyness = self.busyness[at];
        Minute { from, to: from + busyness * MINUTE_MS, busyness, start_ms: minute * MINUTE_MS }
    }
}

/// A minute of the log: `from..to` in work, and when it starts.
#[derive(Clone, Copy, Debug)]
struct Minute {
    from: u64,
    to: u64,
    busyness: u64,
    start_ms: u64,
}

/// 1024 offsets that share one exact division: work at the first, and work of all.
#[derive(Clone, Copy, Debug)]
struct Block {
    index: u64,
    from: u64,
    work: u64,
}

/// The arrivals of one partition. The block and the minute last used are a cache: the answers depend on the offset alone.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    rhythm: Arc<Rhythm>,
    /// Records in a million seconds, at least 1.
    rate_micro: u64,
    seed: u64,
    block: Block,
    minute: Minute,
}

impl Arrivals {
    pub(super) fn new(rhythm: Arc<Rhythm>, rate_micro: u64, seed: u64) -> Self {
        let minute = rhythm.minute(0);
        let mut new = Arrivals { rhythm, rate_micro, seed, block: Block { index: 0, from: 0, work: 0 }, minute };
        new.block = new.block(0);
        new
    }

    /// The work done when the first offset of a block may arrive. A day has `day` work and 86,400 s:
    /// offset x 10^6 / rate_micro x day / 86,400.
    fn work(&self, block: u64) -> u64 {
        let offset = u128::from(block) << BLOCK_BITS;
        let exact = offset * u128::from(self.rhythm.day) * 1_000_000 / (86_400 * u128::from(self.rate_micro));
        u64::try_from(exact).unwrap_or(u64::MAX).min(u64::MAX / 4) // 10 million years
    }

    fn block(&self, index: u64) -> Block {
        let from = self.work(index);
        Block { index, from, work: self.work(index.saturating_add(1)) - from }
    }

    /// When this offset arrives, in milliseconds since the log began. Never falls as the offset rises.
    pub(super) fn ms(&mut self, offset: u64) -> u64 {
        let index = offset >> BLOCK_BITS;
        if index != self.block.index {
            self.block = self.block(index);
        }
        let within = offset & ((1 << BLOCK_BITS) - 1);
        let place = (within << PLACE_BITS) | (hash::draw(self.seed, offset) & ((1 << PLACE_BITS) - 1));
        let share = (u128::from(self.block.work) * u128::from(place)) >> (BLOCK_BITS + PLACE_BITS);
        let work = self.block.from + u64::try_from(share).expect("less than the block's work");
        if !(self.minute.from..self.minute.to).contains(&work) {
            self.minute = self.rhythm.minute(work);
        }
        self.minute.start_ms + (work - self.minute.from) / self.minute.busyness
    }

    /// The first offset that arrives at this millisecond or later.
    pub(super) fn first_at(&self, ms: i64) -> u64 {
        let Ok(ms) = u64::try_from(ms) else { return 0 };
        let mut arrivals = self.clone();
        let mut below = 0; // every offset below it arrives before
        let mut step = 1;
        while step < 1 << 62 && arrivals.ms(below + step - 1) < ms {
            below += step;
            step *= 2;
        }
        while step > 0 {
            if arrivals.ms(below + step - 1) < ms {
                below += step;
            }
            step /= 2;
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_never_fall_and_their_inverse_finds_them() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for round in 0..300 {
            let rhythm = Arc::new(if rng.bool() { Rhythm::market() } else { Rhythm::even() });
            let rate = 10_u64.pow(rng.u32(0..14)) * rng.u64(1..10);
            let arrivals = Arrivals::new(rhythm, rate, rng.u64(..));
            let mut cached = arrivals.clone();
            let from = cached.first_at(rng.i64(0..4_000_000_000_000));
            let mut last = from.checked_sub(1).map_or(0, |before| cached.ms(before));
            for offset in from..from + 3000 {
                let ms = cached.ms(offset);
                assert_eq!(ms, arrivals.clone().ms(offset), "round {round}: the cache shows at {offset}");
                assert!(last <= ms, "round {round}: {offset} arrives before its predecessor");
                if last < ms {
                    assert_eq!(arrivals.first_at(i64::try_from(ms).unwrap()), offset, "round {round}");
                }
                last = ms;
            }
        }
    }

    #[test]
    fn a_day_has_its_rate() {
        for rhythm in [Rhythm::market(), Rhythm::even()] {
            let arrivals = Arrivals::new(Arc::new(rhythm), 125_000_000, 1);
            let day = |n: i64| arrivals.first_at(n * 86_400_000);
            for n in [0, 1, 2400, 20_000] {
                let ticks = day(n + 1) - day(n);
                assert!(ticks.abs_diff(125 * 86_400) <= 1, "{ticks} on day {n}");
            }
            assert_eq!(day(-1), 0);
        }
    }

    #[test]
    fn the_open_is_livelier_than_noon_and_noon_than_the_night() {
        let arrivals = Arrivals::new(Arc::new(Rhythm::market()), 1_000_000_000, 1);
        let hour = |from: i64| arrivals.first_at((from + 60) * 60_000) - arrivals.first_at(from * 60_000);
        let (open, midday, close, night) = (hour(810), hour(975), hour(1140), hour(120));
        assert!(open > midday * 5 / 4 && close > midday * 5 / 4, "{open} {midday} {close}");
        assert!(midday > night * 11 / 10, "{midday} {night}");
        assert!(night > 1_000 * 3600 / 2, "never silent: {night}");
    }
}
