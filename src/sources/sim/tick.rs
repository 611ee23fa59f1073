//! What a record holds: a pure function of (options, partition, offset). What is kept between two records is a cache.

use super::hash::{self, below, lower, upper};
use super::options::{SimOptions, WHOLE};
use super::price::Prices;
use super::rhythm::{Arrivals, MINUTE_MS, Rhythm};
use super::symbols::SymbolName;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;
use std::io::Write;
use std::sync::Arc;

/// When the log began: 2020-01-01T00:00Z, in milliseconds since 1970.
pub(super) const BEGAN_MS: i64 = 1_577_836_800_000;

/// The streams of draws of a partition, each with a seed of its own.
#[derive(Clone, Copy, Debug)]
struct DrawStreams {
    fate: u64,
    symbol: u64,
    time: u64,
    trade: u64,
    repeat: u64,
    broken: u64,
}

/// The records of one partition, one after the other or in any order.
#[derive(Clone, Debug)]
pub(super) struct Ticks {
    options: Arc<SimOptions>,
    lag_ms: i64,
    picks: SymbolChoice,
    streams: DrawStreams,
    churn: u64,
    arrivals: Arrivals,
    prices: Prices,
    made: CachedContent,
}

/// The content made last, and its offset.
#[derive(Clone, Debug, Default)]
struct CachedContent {
    offset: Option<u64>,
    payload: Vec<u8>,
    tombstone: bool,
    key: Vec<u8>,
}

impl Ticks {
    /// The records of a partition that gets `rate_micro` of them in a million seconds.
    pub(super) fn new(options: Arc<SimOptions>, rhythm: Arc<Rhythm>, partition: u64, rate_micro: u64) -> Self {
        let log = hash::draw(options.seed, 0);
        let own = hash::draw(log, partition + 1);
        let stream = |n| hash::draw(own, n);
        let place = usize::try_from(partition).expect("at most 1000 partitions");
        let lag_ms = options.lag_ms.get(place).copied().unwrap_or_default().cast_signed();
        let picks = SymbolChoice::new(&options, partition);
        Ticks {
            lag_ms,
            streams: DrawStreams {
                fate: stream(1),
                symbol: stream(2),
                time: stream(3),
                trade: stream(4),
                repeat: stream(5),
                broken: stream(6),
            },
            churn: hash::draw(log, u64::MAX),
            arrivals: Arrivals::new(rhythm, rate_micro, stream(0)),
            prices: Prices::new(log, picks.symbols),
            picks,
            made: CachedContent::default(),
            options,
        }
    }

    /// When the record at this offset arrives, in milliseconds since the log began.
    pub(super) fn ms(&mut self, offset: u64) -> u64 {
        self.arrivals.ms(offset)
    }

    /// The first offset that arrives at this millisecond since the log began, or later.
    pub(super) fn first_at(&self, ms: i64) -> u64 {
        self.arrivals.first_at(ms)
    }

    /// The record at this offset, which arrives at this millisecond.
    pub(super) fn record(&mut self, offset: u64, ms: u64) -> Record<'_> {
        let mut original = offset;
        while original > 0 && self.repeats(original) {
            original -= 1;
        }
        if self.made.offset != Some(original) {
            let arrived = if original == offset { ms } else { self.arrivals.ms(original) };
            self.make(original, arrived);
            self.made.offset = Some(original);
        }
        Record {
            offset: offset.cast_signed(),
            append_time: Some(stamp(ms)),
            timestamp: Some(stamp(ms)),
            key: Some(&self.made.key),
            payload: (!self.made.tombstone).then_some(&self.made.payload),
            cut_from: None,
        }
    }

    /// Does the record at this offset repeat the one before it?
    fn repeats(&self, offset: u64) -> bool {
        self.options.duplicate > 0
            && below(upper(hash::draw(self.streams.repeat, offset)), WHOLE) < self.options.duplicate
    }

    fn make(&mut self, offset: u64, arrived: u64) {
        let SimOptions { late, future, broken, disorder_ms, .. } = *self.options;
        let fate = below(upper(hash::draw(self.streams.fate, offset)), WHOLE);
        let pick = hash::draw(self.streams.symbol, offset);
        let time = hash::draw(self.streams.time, offset);
        let trade = hash::draw(self.streams.trade, offset);

        // The product of two fair draws: mostly small, never the whole disorder.
        let jitter = (disorder_ms * (time >> 48) * ((time >> 32) & 0xffff)) >> 32;
        let usual = arrived.cast_signed() - self.lag_ms - jitter.cast_signed();
        let minutes =
            |from: u64, to: u64| (from * MINUTE_MS + below(lower(time), (to - from) * MINUTE_MS)).cast_signed();
        let event = if fate < late {
            arrived.cast_signed() - self.lag_ms - disorder_ms.cast_signed() - minutes(12, 60)
        } else if fate < late + future {
            arrived.cast_signed() + minutes(50, 70)
        } else {
            usual
        };

        let slot = self.picks.slot(upper(pick), lower(pick));
        let symbol = self.symbol(slot, arrived);
        let (name, price) = self.prices.at(symbol, event, trade);
        let tick = Tick { name, price, ts: BEGAN_MS + event, volume: volume(lower(trade)) };

        self.made.key.clear();
        self.made.key.extend_from_slice(tick.name.bytes());
        self.made.payload.clear();
        tick.write(&mut self.made.payload);
        self.made.tombstone = false;
        if (late + future..late + future + broken).contains(&fate) {
            self.made.tombstone = tick.break_it(hash::draw(self.streams.broken, offset), &mut self.made.payload);
        }
    }

    /// The symbol that a slot holds in this minute. With churn, each slot gets a new one from time to time.
    fn symbol(&self, slot: u64, arrived: u64) -> u64 {
        if self.options.churn == 0 {
            return slot;
        }
        let phase = hash::draw(self.churn, slot) % WHOLE;
        let generation = (arrived / MINUTE_MS * self.options.churn + phase) / WHOLE;
        slot + self.options.symbols * generation
    }
}

/// A time of the log as an event time.
pub(super) fn stamp(ms: u64) -> EventTime {
    EventTime((BEGAN_MS.saturating_add(ms.cast_signed())).saturating_mul(1_000_000))
}

/// Chooses which of a partition's symbols is traded. In a market, each doubling of the rank has the same share of trades: Zipf's
/// law, in steps, without a table.
#[derive(Clone, Copy, Debug)]
struct SymbolChoice {
    partition: u64,
    partitions: u64,
    /// How many the partition has, at least 1.
    symbols: u64,
    /// Without Zipf: none. Else the number of whole doublings: 1 + 2 + 4 + … symbols.
    doublings: Option<u64>,
    /// How many symbols the last, broken doubling has.
    rest: u64,
    /// Shares of all doublings; a whole one has 2^16.
    shares: u64,
}

impl SymbolChoice {
    fn new(options: &SimOptions, partition: u64) -> Self {
        let SimOptions { symbols: all, partitions, market, .. } = *options;
        // Symbol s lives in partition s mod partitions; a partition that would have none shares one.
        let symbols = if partition < all { (all - partition).div_ceil(partitions) } else { 1 };
        let whole = u64::from((symbols + 1).ilog2());
        let rest = symbols + 1 - (1 << whole);
        let shares = (whole << 16) + ((rest << 16) >> whole);
        let partition = if partition < all { partition } else { partition % all };
        SymbolChoice { partition, partitions, symbols, doublings: market.then_some(whole), rest, shares }
    }

    /// The symbol's place among all, out of two times 32 fair bits.
    fn slot(&self, a: u64, b: u64) -> u64 {
        let rank = match self.doublings {
            None => below(b, self.symbols),
            Some(whole) => {
                let doubling = below(a, self.shares) >> 16;
                let size = if doubling < whole { 1 << doubling } else { self.rest };
                (1 << doubling) - 1 + below(b, size)
            }
        };
        self.partition + rank * self.partitions
    }
}

/// How many shares change hands: mostly a few round lots, often an odd lot, seldom very many.
fn volume(bits: u64) -> u64 {
    let (size, kind, tail) = (bits & 0xff, (bits >> 8) & 0xff, (bits >> 16) | 0x8000);
    match kind {
        0..90 => 1 + size * 99 / 256,
        _ => (100 * (1 + size * 5 / 256)) << tail.trailing_zeros(),
    }
}

/// One trade, before it is written.
#[derive(Clone, Copy, Debug)]
struct Tick {
    name: SymbolName,
    /// Hundredths of a cent.
    price: u64,
    /// Milliseconds since 1970.
    ts: i64,
    volume: u64,
}

impl Tick {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"symbol":""#);
        out.extend_from_slice(self.name.bytes());
        out.extend_from_slice(br#"","price":"#);
        self.write_price(out);
        out.extend_from_slice(br#","ts":"#);
        self.write_ts(out);
        out.extend_from_slice(br#","volume":"#);
        digits(self.volume, 1, out);
        out.push(b'}');
    }

    /// Two decimals; four under a dollar.
    fn write_price(&self, out: &mut Vec<u8>) {
        digits(self.price / 10_000, 1, out);
        out.push(b'.');
        if self.price < 10_000 {
            digits(self.price, 4, out);
        } else {
            digits(self.price % 10_000 / 100, 2, out);
        }
    }

    fn write_ts(&self, out: &mut Vec<u8>) {
        if self.ts < 0 {
            out.push(b'-');
        }
        digits(self.ts.unsigned_abs(), 1, out);
    }

    /// Puts something in place of the payload that no decoder may take; `true` if that is nothing at all. The sorts are
    /// equally frequent.
    fn break_it(&self, dice: u64, out: &mut Vec<u8>) -> bool {
        let (mut price, mut ts) = (Vec::new(), Vec::new());
        self.write_price(&mut price);
        self.write_ts(&mut ts);
        let (price, ts) = (String::from_utf8_lossy(&price), String::from_utf8_lossy(&ts));
        let name = String::from_utf8_lossy(self.name.bytes());
        let volume = self.volume;
        if below(upper(dice), SORTS) == 0 {
            let whole = u64::try_from(out.len()).expect("a payload is short");
            let cut = 1 + below(lower(dice), whole - 1); // a proper beginning of an object, never nothing
            out.truncate(usize::try_from(cut).expect("within the payload"));
            return false;
        }
        out.clear();
        let written = match below(upper(dice), SORTS) {
            1 => write!(out, r#"{{"price":{price},"ts":{ts},"volume":{volume}}}"#),
            2 => write!(out, r#"{{"symbol":"{name}","ts":{ts},"volume":{volume}}}"#),
            3 => write!(out, r#"{{"symbol":"{name}","price":{price},"volume":{volume}}}"#),
            4 => write!(out, r#"{{"symbol":17.5,"price":{price},"ts":{ts},"volume":{volume}}}"#),
            5 => write!(out, r#"{{"symbol":"{name}","price":true,"ts":{ts},"volume":{volume}}}"#),
            6 => write!(out, r#"{{"symbol":"{name}","price":{price},"ts":"yesterday","volume":{volume}}}"#),
            7 => write!(out, r#"{{"symbol":"{name}","price":{price},"price":{price},"ts":{ts},"volume":{volume}}}"#),
            8 => write!(out, r#"{{"symbol":"{name}","price":{price}e-40,"ts":{ts},"volume":{volume}}}"#),
            9 => write!(out, r#"{{"symbol":"{name}","price":1e999999999,"ts":{ts},"volume":{volume}}}"#),
            10 => out
                .write_all(b"{\"symbol\":\"\xff\xfe\",")
                .and_then(|()| write!(out, r#""price":{price},"ts":{ts},"volume":{volume}}}"#)),
            11 => Ok(()), // empty
            12 => return true,
            13 => write!(out, r#"{{"symbol":"{name}","price":null,"ts":{ts},"volume":{volume}}}"#),
            14 => write!(out, r#"{{"symbol":"{name}","price":{price},"ts":{ts},"volume":"{volume}?"}}"#),
            15 => write!(out, r#"{{"symbol":"{name}","price":NaN,"ts":{ts},"volume":{volume}}}"#),
            16 => write!(out, r#"{{"symbol":"{name}","price":{price},"ts":{ts},"volume":{volume}}}{{"#),
            17 => write!(out, r#"["{name}",{price},{ts},{volume}]"#),
            18 => write!(out, r#"{{"symbol":"","price":{price},"ts":{ts},"volume":{volume}}}"#),
            19 => write!(out, r#"{{"symbol":"{name}\u0007","price":{price},"ts":{ts},"volume":{volume}}}"#),
            20 => write!(out, r#"{{"symbol":"{name}","price":{price}e16,"ts":{ts},"volume":{volume}}}"#),
            21 => write!(out, r#"{{"symbol":"{name}","price":{price},"ts":9223372036854775807,"volume":{volume}}}"#),
            _ => write!(out, r#"{{"symbol":"{name}","price":{price},"ts":"2026-02-30T00:00:00Z","volume":{volume}}}"#),
        };
        written.expect("a Vec takes all");
        false
    }
}

/// How many sorts of broken payloads there are.
const SORTS: u64 = 23;

/// All numbers of two digits.
const PAIRS: &[u8; 200] = b"\
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Writes a number with at least `least` digits.
fn digits(mut n: u64, least: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while n >= 10 {
        let pair = usize::try_from(n % 100).expect("below 100");
        n /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[2 * pair..2 * pair + 2]);
    }
    if n > 0 {
        at -= 1;
        text[at] = b'0' + u8::try_from(n).expect("one digit");
    }
    out.extend_from_slice(&text[at.min(text.len() - least)..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::decode::{Decoder, FieldNames};
    use minutely_dataflows::record::Reason;
    use std::collections::HashMap;

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let written = |n, least| {
            let mut out = Vec::new();
            digits(n, least, &mut out);
            String::from_utf8(out).unwrap()
        };
        for _ in 0..10_000 {
            let n = rng.u64(..) >> rng.u32(0..64);
            assert_eq!(written(n, 1), n.to_string());
            assert_eq!(written(n, 4), format!("{n:04}"));
        }
        assert_eq!(written(u64::MAX, 1), u64::MAX.to_string());
        assert_eq!((written(0, 1), written(0, 2), written(7, 2)), ("0".into(), "00".into(), "07".into()));
    }

    #[test]
    fn prices_have_two_decimals_or_four_under_a_dollar() {
        let text = |price| {
            let mut out = Vec::new();
            Tick { name: SymbolName::of(0), price, ts: 1_767_225_600_123, volume: 100 }.write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(1_893_700), r#"{"symbol":"AAPL","price":189.37,"ts":1767225600123,"volume":100}"#);
        assert!(text(10_000).contains(r#""price":1.00,"#));
        assert!(text(9_999).contains(r#""price":0.9999,"#));
        assert!(text(1).contains(r#""price":0.0001,"#));
    }

    fn record(payload: Option<&[u8]>) -> Record<'_> {
        Record { offset: 0, key: None, payload, ..Record::default() }
    }

    #[test]
    fn what_is_broken_is_never_taken_and_comes_in_many_sorts() {
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let mut reasons: HashMap<Reason, u32> = HashMap::new();
        for nth in 0..20_000 {
            let dice = hash::draw(seed, nth);
            let tick = Tick {
                name: SymbolName::of(dice % 500),
                price: 1 + ((dice % 9_000_000) >> (dice % 24)),
                ts: 1_767_225_600_123,
                volume: 7,
            };
            let mut payload = Vec::new();
            tick.write(&mut payload);
            decoder.decode(&record(Some(&payload))).unwrap();
            let tombstone = tick.break_it(dice, &mut payload);
            let broken = record((!tombstone).then_some(&payload[..]));
            let reason = decoder.decode(&broken).expect_err(&String::from_utf8_lossy(&payload)).reason;
            *reasons.entry(reason).or_default() += 1;
        }
        for reason in [
            Reason::Json,
            Reason::Shape,
            Reason::Twice,
            Reason::Symbol,
            Reason::Type,
            Reason::Range,
            Reason::Precision,
            Reason::Time,
            Reason::Weight,
            Reason::Null,
        ] {
            assert!(reasons.get(&reason).is_some_and(|n| *n > 500), "{}: {reasons:?}", reason.name());
        }
    }

    #[test]
    fn in_a_market_few_symbols_are_lively_and_none_is_forgotten() {
        for (symbols, partitions) in [(1, 1), (20, 8), (1000, 3), (100, 1), (2, 5)] {
            for market in [true, false] {
                let options = SimOptions { symbols, partitions, market, ..SimOptions::default() };
                let mut seen = vec![0_u64; usize::try_from(symbols).unwrap()];
                for partition in 0..partitions {
                    let picks = SymbolChoice::new(&options, partition);
                    for n in 0..100_000 {
                        let dice = hash::draw(partition, n);
                        seen[usize::try_from(picks.slot(upper(dice), lower(dice))).unwrap()] += 1;
                    }
                }
                assert!(seen.iter().all(|n| *n > 0), "{symbols} symbols, {partitions} partitions: {seen:?}");
                if symbols == 100 && market {
                    assert!(seen[0] > 10 * seen[20] && seen[20] > seen[90], "{seen:?}");
                }
            }
        }
    }

    #[test]
    fn volumes_look_like_volumes() {
        let mut volumes: Vec<u64> = (0..100_000).map(|n| volume(lower(hash::draw(1, n)))).collect();
        volumes.sort_unstable();
        assert!(volumes[0] >= 1 && volumes[99_999] <= 20_000_000, "{} {}", volumes[0], volumes[99_999]);
        let median = volumes[50_000];
        assert!((100..=500).contains(&median), "{median}");
        assert!(volumes[99_900] > 10 * median, "{}", volumes[99_900]);
    }
}
