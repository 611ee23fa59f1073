use super::*;
use crate::sources::testing::options;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::partition::{Partition as Judge, Rule, Verdict};
use minutely_dataflows::time::{Monotonic, SECOND};
use std::collections::{HashMap, HashSet};

/// 2026-01-05T15:00:00Z, a Monday.
const NOW: EventTime = EventTime(1_767_625_200 * SECOND);

/// A record, owned: offset, arrival, key, payload.
type Owned = (i64, Option<EventTime>, Vec<u8>, Option<Vec<u8>>);

fn owned(record: Record<'_>) -> Owned {
    let key = record.key.expect("every record has a key").to_vec();
    (record.offset, record.append_time, key, record.payload.map(<[u8]>::to_vec))
}

fn run() -> SourceOptions {
    SourceOptions { run_start: NOW, ..options() }
}

fn source(rest: &str, run: &SourceOptions) -> SimSource {
    SimSource::new(SimOptions::parse(rest).unwrap(), run)
}

fn reader(source: &SimSource, found: &Discovered) -> Box<dyn PartitionReader> {
    source.open(found, Arc::new(|| ())).unwrap()
}

/// All of a bounded partition, at most `max()` records a call.
fn drain(reader: &mut dyn PartitionReader, mut max: impl FnMut() -> usize) -> Vec<Owned> {
    let mut all = Vec::new();
    while !reader.ended() {
        let (max, before) = (max(), all.len());
        let read = reader.read(max, &mut |record| all.push(owned(record))).unwrap();
        assert!(read <= max && all.len() == before + read && read > 0, "{read} of {max}");
        assert_eq!(reader.next().0, all.last().unwrap().0 + 1);
    }
    assert_eq!(reader.read(9, &mut |_| panic!("past the end")).unwrap(), 0);
    all
}

fn random_options(rng: &mut fastrand::Rng) -> String {
    let digits = rng.u32(1..6);
    let symbols = rng.u64(1..10_u64.pow(digits));
    format!(
        "?symbols={symbols}&rate={}&partitions={}&seed={}&history={}m&disorder={}ms&late={}%&future={}%&broken={}%\
         &duplicate={}%&churn={}%&skew={}&lag=0:{}s&shape={}",
        rng.u64(1..200),
        rng.u64(1..5),
        rng.u64(..),
        rng.u64(0..15),
        rng.u64(0..5000),
        rng.u64(0..30),
        rng.u64(0..30),
        rng.u64(0..30),
        rng.u64(0..80),
        rng.u64(0..100),
        rng.u64(0..4),
        rng.u64(0..100_000),
        if rng.bool() { "market" } else { "even" },
    )
}

#[test]
fn any_reader_from_any_offset_in_any_batches_agrees_bit_for_bit() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut records = 0;
    for _ in 0..60 {
        let rest = random_options(&mut rng);
        let (one, two) = (source(&rest, &run()), source(&rest, &run()));
        let found = one.discover().unwrap();
        assert_eq!(two.discover().unwrap(), found, "{rest}");
        assert_eq!(one.discover().unwrap(), [], "reported once");
        for found in found {
            let all = drain(reader(&one, &found).as_mut(), || 1000);
            assert_eq!(i64::try_from(all.len()).unwrap(), found.end.unwrap() - found.start.0, "{rest}: no gaps");
            assert!(all.iter().map(|record| record.0).eq(found.start.0..found.end.unwrap()), "{rest}");
            records += all.len();
            let again = drain(reader(&two, &found).as_mut(), || rng.usize(1..40));
            assert!(again == all, "{rest}: {} differs in other batches", found.name);
            for _ in 0..8 {
                let at = rng.usize(0..=all.len());
                let start = NextOffset(found.start.0 + i64::try_from(at).unwrap());
                let from = Discovered { start, ..found.clone() };
                let mut seeked = reader(&two, &from);
                let mut got = Vec::new();
                seeked.read(20, &mut |record| got.push(owned(record))).unwrap();
                assert!(got == all[at..(at + 20).min(all.len())], "{rest}: {} differs from {at} on", found.name);
            }
        }
    }
    assert!(records > 10_000, "{records}");
}

#[test]
fn content_does_not_depend_on_when_it_is_read() {
    let rest = "?rate=50&duplicate=0.2&broken=0.1&churn=0.1&partitions=2";
    let later = SourceOptions { run_start: NOW.plus(3600 * SECOND), ..run() };
    let (now, later) = (source(rest, &run()), source(&format!("{rest}&history=3h&records=700000"), &later));
    for (now_found, later_found) in now.discover().unwrap().into_iter().zip(later.discover().unwrap()) {
        let all = drain(reader(&later, &later_found).as_mut(), || 5000);
        let part = drain(reader(&now, &now_found).as_mut(), || 5000);
        let from = usize::try_from(now_found.start.0 - later_found.start.0).unwrap();
        assert!(all[from..from + part.len()] == part);
    }
}

/// Every record with its verdict, for all partitions of a bounded run.
fn judged(rest: &str, mut each: impl FnMut(&Discovered, &Owned, Option<(EventTime, Verdict)>)) -> u64 {
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let source = source(rest, &run());
    let mut records = 0;
    for (index, found) in source.discover().unwrap().into_iter().enumerate() {
        let mut judge = Judge::new(Rule::default(), index, found.start, true, Monotonic(0));
        for record in drain(reader(&source, &found).as_mut(), || 5000) {
            let (offset, append_time, key, payload) = &record;
            let view = Record {
                offset: *offset,
                append_time: *append_time,
                key: Some(key),
                payload: payload.as_deref(),
                ..Record::default()
            };
            let verdict = decoder.decode(&view).ok().map(|event| {
                assert_eq!(event.symbol.as_bytes(), key, "the key is the symbol");
                judge.begin_record(*offset);
                (event.time, judge.judge(event.time, *append_time, NOW, Monotonic(0)))
            });
            each(&found, &record, verdict);
            records += 1;
        }
    }
    records
}

#[test]
fn as_it_comes_every_record_counts() {
    let seed = fastrand::u32(..);
    eprintln!("seed {seed}");
    let mut last: HashMap<i32, EventTime> = HashMap::new();
    let mut symbols = HashSet::new();
    let records = judged(&format!("?rate=200&seed={seed}"), |found, (_, stamp, key, _), verdict| {
        let (time, verdict) = verdict.expect("nothing is broken");
        assert!(matches!(verdict, Verdict::Counted(_)), "{verdict:?}");
        let stamp = stamp.expect("the log stamps");
        assert!(time <= stamp && stamp.0 - time.0 < 2 * SECOND, "an event of {time:?} arrived at {stamp:?}");
        assert!(NOW.0 - 1800 * SECOND <= stamp.0 && stamp <= NOW, "{stamp:?}");
        assert!(last.insert(found.name.number.unwrap(), stamp) <= Some(stamp), "arrivals never fall");
        symbols.insert(key.clone());
    });
    // 30 minutes from 14:30 on, which are livelier than the day on average.
    assert!((300_000..600_000).contains(&records), "{records}");
    assert_eq!(symbols.len(), 20);
    assert!(symbols.contains(&b"AAPL"[..]) && symbols.contains(&b"NVDA"[..]));
}

#[test]
fn what_is_asked_for_comes() {
    let seed = fastrand::u32(..);
    eprintln!("seed {seed}");
    let rest = format!("?rate=400&seed={seed}&late=2%&future=0.01&broken=3%&duplicate=5%&disorder=20s");
    let (mut late, mut future, mut broken, mut repeated) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut before: Option<Owned> = None;
    let records = judged(&rest, |found, record, verdict| {
        let stamp = record.1.unwrap().0;
        match verdict {
            None => broken += 1,
            Some((time, Verdict::Late(_))) => {
                late += 1;
                assert!((12 * 60..60 * 60 + 60).contains(&((stamp - time.0) / SECOND)), "{time:?} at {stamp}");
            }
            Some((time, Verdict::Future(_))) => {
                future += 1;
                assert!((49 * 60..70 * 60).contains(&((time.0 - stamp) / SECOND)), "{time:?} at {stamp}");
            }
            Some((_, Verdict::Duplicate)) => unreachable!("nothing has an id"),
            Some((_, Verdict::Past(_))) => unreachable!("nothing is too far behind, without --max-past"),
            Some((_, Verdict::Cleaned(..))) => unreachable!("nothing is cleaned, without options that say so"),
            Some((time, Verdict::Counted(_))) => {
                // A first record is never late, and its repetition hardly ever.
                let first = record.0 < found.start.0 + 100;
                assert!(first || (stamp - time.0) < 20 * SECOND + 2 * SECOND, "{time:?} at {stamp}");
            }
        }
        let same = |before: &Owned| before.0 + 1 == record.0 && before.2 == record.2 && before.3 == record.3;
        repeated += u64::from(before.as_ref().is_some_and(same));
        before = Some(record.clone());
    });
    let near = |n: u64, percent: u64| {
        let expected = records * percent / 100;
        assert!(n.abs_diff(expected) < expected / 10, "{n} of {records}, asked for {percent} %");
    };
    near(late, 2);
    near(future, 1);
    near(broken, 3);
    // Broken ones with an empty payload repeat one another now and then: 2 in 23 of 3 %, twice.
    near(repeated, 5);
}

#[test]
fn prices_move_little_from_trade_to_trade() {
    let mut last: HashMap<Vec<u8>, (EventTime, f64)> = HashMap::new();
    let (mut moved, mut trades) = (0_u64, 0_u64);
    judged("?rate=100&disorder=0&partitions=1&symbols=40", |_, (_, _, key, payload), verdict| {
        let payload = std::str::from_utf8(payload.as_deref().unwrap()).unwrap();
        let price = payload.split(r#""price":"#).nth(1).unwrap().split(',').next().unwrap();
        let decimals = price.split('.').nth(1).unwrap().len();
        let price: f64 = price.parse().unwrap();
        assert_eq!(decimals, if price < 1.0 { 4 } else { 2 }, "{payload}");
        let (time, _) = verdict.unwrap();
        if let Some((before, old)) = last.insert(key.clone(), (time, price)) {
            let seconds = ((time.0 - before.0) / SECOND + 1) as f64;
            let change: f64 = price / old - 1.0;
            assert!(change.abs() < 0.003 * seconds.sqrt() + 0.011 / price, "{payload} after {old}");
            moved += u64::from(price != old);
            trades += 1;
        }
    });
    assert!(moved > trades / 2, "prices move: {moved} of {trades}");
}

#[test]
fn a_lagging_partition_is_a_day_behind() {
    let rest = "?rate=80&lag=0:24h&partitions=8&history=10m";
    let mut lagging = 0;
    judged(rest, |found, (_, stamp, ..), verdict| {
        let (time, verdict) = verdict.unwrap();
        let behind = (stamp.unwrap().0 - time.0) / SECOND;
        let lag = if found.name.number == Some(0) { 24 * 3600 } else { 0 };
        lagging += u64::from(lag > 0);
        assert!((lag..lag + 2).contains(&behind), "{} is {behind} s behind", found.name);
        assert!(matches!(verdict, Verdict::Counted(_)));
    });
    assert!(lagging > 1000, "{lagging}");
}

#[test]
fn churn_brings_new_symbols_every_minute() {
    let mut seen: Vec<HashSet<Vec<u8>>> = Vec::new();
    let mut first = None;
    judged("?symbols=200&rate=200&churn=10%&partitions=1&shape=even&history=20m", |_, (_, stamp, key, _), _| {
        let minute = stamp.unwrap().0 / (60 * SECOND);
        let nth = usize::try_from(minute - *first.get_or_insert(minute)).unwrap();
        seen.resize_with(seen.len().max(nth + 1), HashSet::new);
        seen[nth].insert(key.clone());
    });
    seen.pop(); // of the last minute there is only the first millisecond
    let mut known = seen[0].clone();
    for minute in &seen[1..] {
        assert!((190..=200).contains(&minute.len()), "{} at a time", minute.len());
        let new = minute.difference(&known).count();
        assert!((5..40).contains(&new), "{new} of 200 are new");
        known.extend(minute.iter().cloned());
    }
}

#[test]
fn the_start_is_where_it_is_asked_for() {
    let rest = "?rate=30&partitions=3&history=90s";
    let whole = source(rest, &run());
    let all: Vec<Vec<Owned>> =
        whole.discover().unwrap().iter().map(|found| drain(reader(&whole, found).as_mut(), || 99)).collect();
    let first = all[0][0].1.unwrap();
    let minute = NOW.0 - 120 * SECOND; // 90 s before a whole minute lies in the minute that began 120 s before
    assert!(minute <= first.0 && first.0 < minute + 2 * SECOND, "{first:?}");
    let latest = source(rest, &SourceOptions { start: Start::Latest, ..run() });
    assert!(latest.discover().unwrap().iter().all(|found| Some(found.start.0) == found.end));
    for back in [0, 1, SECOND, 17 * SECOND + 5, 100 * SECOND, 4000 * SECOND, -9 * SECOND] {
        let time = NOW.plus(-back);
        let from = source(rest, &SourceOptions { start: Start::Time(time), ..run() });
        for (found, all) in from.discover().unwrap().iter().zip(&all) {
            let expected = all.iter().find(|record| record.1 >= Some(time)).map(|record| record.0);
            assert_eq!(found.start.0, expected.unwrap_or(found.end.unwrap()), "{back} ns back");
        }
    }
}

#[test]
fn the_end_is_what_has_arrived_to_the_millisecond() {
    let found = source("?rate=30", &run()).discover().unwrap().remove(0);
    let arrival = |offset: i64| {
        let upto = Discovered { start: NextOffset(offset), end: Some(offset + 1), ..found.clone() };
        drain(reader(&source("?rate=30", &run()), &upto).as_mut(), || 1)[0].1.unwrap()
    };
    for offset in found.start.0 + 50..found.start.0 + 80 {
        if arrival(offset) == arrival(offset + 1) {
            continue;
        }
        for (run_start, end) in [(arrival(offset), offset + 1), (arrival(offset).plus(-1), offset)] {
            let run = SourceOptions { run_start, ..run() };
            let at_end = source("?rate=30", &run).discover().unwrap().remove(0);
            if end > offset || arrival(offset - 1) < arrival(offset) {
                assert_eq!(at_end.end, Some(end), "as of {run_start:?}");
            }
        }
    }
}

#[test]
fn no_more_records_than_asked_for() {
    for bounded in [true, false] {
        let run = SourceOptions { bounded, ..run() };
        let source = source("?records=1001&rate=1000&partitions=3&skew=1", &run);
        let mut total = 0;
        for found in source.discover().unwrap() {
            assert_eq!(found.end.is_some(), bounded);
            let mut reader = reader(&source, &found);
            let mut read = 0;
            // The clock of the test is past NOW's records, or in a bounded run does not matter.
            loop {
                let more = reader.read(100, &mut |_| ()).unwrap();
                if more == 0 {
                    break;
                }
                read += more;
            }
            total += read;
            assert_eq!(reader.ended(), bounded, "without a recorded end it is never reached");
            reader.ask_end(true);
            assert_eq!(reader.answer(), Some(EndAnswer::End(reader.next())));
            assert_eq!(reader.answer(), None, "once");
            assert_eq!(reader.idle_wait(), Duration::from_secs(1));
        }
        assert_eq!(total, 1001);
    }
}

#[test]
fn a_live_log_gives_what_has_arrived_and_says_where_it_ends() {
    let clock = SystemClock::start();
    let run = SourceOptions { run_start: clock.wall(), bounded: false, start: Start::Latest, clock, ..run() };
    let source = source("?rate=2000&partitions=2", &run);
    for found in source.discover().unwrap() {
        let mut reader = reader(&source, &found);
        let mut read = 0;
        let before = clock.wall();
        while read < 200 {
            let more = reader
                .read(64, &mut |record| {
                    let stamp = record.append_time.unwrap();
                    assert!(stamp <= clock.wall(), "arrived before its time");
                    assert!(run.run_start.0 - 1_000_000 <= stamp.0);
                })
                .unwrap();
            read += more;
            if more == 0 {
                assert!(reader.idle_wait() <= Duration::from_secs(1));
                std::thread::sleep(reader.idle_wait());
            }
            assert!(clock.wall().0 - before.0 < 60 * SECOND, "2000 a second, and only {read} came");
        }
        reader.ask_end(false);
        let Some(EndAnswer::End(end)) = reader.answer() else { panic!("a log without trouble answers") };
        assert!(end >= reader.next());
        while reader.next() < end {
            assert!(reader.read(1, &mut |_| ()).unwrap() == 1, "all before the end has arrived");
        }
        assert!(!reader.ended());
    }
}

#[test]
fn before_the_log_began_there_is_nothing() {
    let run = SourceOptions { run_start: EventTime(0), ..run() };
    let source = source("?lag=0:24h", &run);
    for found in source.discover().unwrap() {
        assert_eq!((found.start.0, found.end), (0, Some(0)));
        assert!(reader(&source, &found).ended());
    }
    let unknown = Discovered {
        name: PartitionName { log: LOG.into(), number: Some(8) },
        start: NextOffset(0),
        earliest: NextOffset(0),
        end: None,
        log_id: None,
    };
    assert!(source.open(&unknown, Arc::new(|| ())).is_err());
}

#[test]
fn the_first_records_of_the_log_can_be_read() {
    let run = SourceOptions { run_start: EventTime(BEGAN_MS * 1_000_000).plus(60 * SECOND), ..run() };
    let source = source("?late=20%&duplicate=50%&partitions=2&rate=100", &run);
    for found in source.discover().unwrap() {
        assert_eq!(found.start.0, 0);
        assert!(drain(reader(&source, &found).as_mut(), || 10).len() > 100);
    }
}

/// A change of what a log holds changes every simulated result: the changelog has to say so.
#[test]
fn golden() {
    let text = |rest: &str, partition: usize, offset: i64| {
        let source = source(rest, &run());
        let found = Discovered {
            start: NextOffset(offset),
            end: Some(offset + 1),
            ..source.discover().unwrap().remove(partition)
        };
        let (_, stamp, _, payload) = drain(reader(&source, &found).as_mut(), || 1).remove(0);
        format!("{} {}", stamp.unwrap().0 / 1_000_000, String::from_utf8_lossy(&payload.unwrap_or_default()))
    };
    let got = [
        text("", 0, 0),
        text("", 0, 23_000_000_000),
        text("?seed=2", 7, 23_000_000_000),
        text("?symbols=1000000&churn=5%&rate=0.5", 3, 12_345_678),
        text("?lag=2:24h&late=0.5&shape=even&disorder=1m", 2, 23_000_000_001),
    ];
    let expected = [
        r#"1577836800007 {"symbol":"AAPL","price":169.74,"ts":1577836799836,"volume":400}"#,
        r#"1761839361044 {"symbol":"DIS","price":84.67,"ts":1761839359170,"volume":97}"#,
        r#"1761839361045 {"symbol":"F","price":15.64,"ts":1761839360442,"volume":400}"#,
        r#"1775370932157 {"symbol":"SWVQNMIU","price":1.73,"ts":1775370931283,"volume":500}"#,
        r#"1761836800015 {"symbol":"PFE","price":18.48,"ts":1761749165460,"volume":200}"#,
    ];
    assert_eq!(got, expected);
}
