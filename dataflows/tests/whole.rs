//! The whole dataflow, on real timely workers, over logs in memory: equal to the oracle at any number of workers.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod ending;
mod hostile;
mod memory;

use hostile::{Kind, Partition};
use memory::run_with;
use minutely_dataflows::acc::{Accumulate, Avg, Market};
use minutely_dataflows::coarse::CoarseWindows;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::derived::Metric;
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::oracle::{self, OracleColumns};
use minutely_dataflows::partition::{Counts, Rule};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::{SECOND, State, WindowStart, Windowing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Final rows that were seen by whoever watched.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// Rows of coarser windows.
static COARSE: AtomicUsize = AtomicUsize::new(0);
/// Outliers.
static CLEANED: AtomicI64 = AtomicI64::new(0);
/// Rows of groups.
static GROUPED: AtomicUsize = AtomicUsize::new(0);

/// What is derived, test by test.
const DERIVED: [&str; 4] = [
    "none",
    "sma5,sma20,ema12,stddev",
    "sma3,ravg4,bb2,ema5,macd,rsi3,chg2",
    "sma2,ravg3,rhigh4,rlow5,rvolume6,rvwap7,bb8,ema9,macd,rsi2,variance,stddev,chg9",
];

const CHANGES: RowFilter = RowFilter { changes: true, partial: true, open_every: 0 };
const FINAL: RowFilter = RowFilter { changes: false, partial: false, open_every: 0 };
const ALL_FINAL: RowFilter = RowFilter { changes: false, partial: true, open_every: 0 };
const LIVE: RowFilter = RowFilter { changes: true, partial: true, open_every: SECOND / 50 };

fn check<A: Accumulate>(partitions: &[Partition], settings: &Settings, workers: usize, market: bool) {
    check_with::<A>(partitions, settings, &FieldNames::default(), workers, market);
}

/// Coarser windows, of days and weeks in a zone.
fn coarser(rng: &mut fastrand::Rng, rule: &Rule) -> CoarseWindows {
    let lists = match rule.windowing.length == Windowing::default().length {
        true => ["none", "5m,1h", "2m,7m+3m,90m", "1d+9h30m,1w"],
        false => ["none", "21s,35s", "14s+7s", "70s+14s,140s,1400s"],
    };
    let list = rng.choice(lists).unwrap();
    let zone = [None, Some("Europe/Berlin"), Some("America/New_York"), Some("Asia/Kolkata")][rng.usize(..4)];
    CoarseWindows::new(&list.parse().unwrap(), zone, &rule.windowing).unwrap()
}

/// How many duplicates there are.
fn check_with<A: Accumulate>(
    partitions: &[Partition],
    settings: &Settings,
    fields: &FieldNames,
    workers: usize,
    market: bool,
) -> i64 {
    let decoder = Decoder::new(fields).unwrap();
    let mut ran = run_with::<A>(partitions, settings, fields, &[CHANGES, FINAL, ALL_FINAL, LIVE], workers).unwrap();
    let logs: Vec<_> = partitions.iter().map(Partition::log).collect();
    let (windows, zone) = (settings.windows.levels().to_vec(), settings.windows.zone().cloned());
    let columns = OracleColumns { market, derived: settings.derive.clone(), windows, zone };
    let want = oracle::answer(&logs, &decoder, &settings.rule, &ran.letters, &columns);
    assert_eq!(ran.letters, want.dead_letters);
    if let Some(source) = &settings.groups {
        let lines: Vec<_> = source.newest().memberships().cloned().collect();
        let groups = oracle::group_rows(&want.rows, &lines, decoder.scales().value);
        for (sink, rows) in ran.sinks.iter_mut().enumerate() {
            // Each once, in order, and behind all rows of its minute.
            let of_groups: Vec<_> = rows.extract_if(.., |row| row.kind == RowKind::Group).collect();
            assert_eq!(of_groups, groups.values().cloned().collect::<Vec<_>>(), "groups of sink {sink}");
        }
        let shown: BTreeMap<_, _> = groups.values().map(|row| (row.point(), row.clone())).collect();
        assert_eq!(ran.seen.groups, shown, "groups that are shown");
        GROUPED.fetch_add(groups.len(), Ordering::Relaxed);
    }
    let last = |rows: &[Row]| -> BTreeMap<_, _> { rows.iter().map(|row| (row.point(), row.clone())).collect() };
    let coarse = want.coarse.iter().map(|(_, row)| row);
    let rows: BTreeMap<_, _> = want.rows.values().chain(coarse).map(|row| (row.point(), row.clone())).collect();
    COARSE.fetch_add(want.coarse.len(), Ordering::Relaxed);
    assert_eq!(last(&ran.sinks[0]), rows, "changes");
    assert_eq!(last(&ran.sinks[3]), rows, "live");
    assert_eq!(last(&ran.sinks[2]), rows, "final and partial");
    assert_eq!(ran.sinks[2].len(), rows.len(), "one row a point");
    let mut finals = rows.clone();
    finals.retain(|_, row| row.state == State::Final);
    assert_eq!(last(&ran.sinks[1]), finals, "final");
    assert_eq!(ran.sinks[1].len(), finals.len(), "one final row a point");
    // A final row is a point's last.
    for rows in [&ran.sinks[0], &ran.sinks[3]] {
        let mut ended = BTreeSet::new();
        for row in rows {
            let key = row.point();
            assert!(!ended.contains(&key), "{row:?} after a final one");
            if row.state == State::Final {
                ended.insert(key);
            }
        }
    }
    // Whoever watched saw nothing else, before it was committed.
    for (key, row) in &ran.seen.finals {
        assert_eq!(Some(row), finals.get(key), "seen");
    }
    SEEN.fetch_add(ran.seen.finals.len(), Ordering::Relaxed);
    let counts = ran.status.ledger.counts;
    let valid = counts.counted + counts.late + counts.duplicates + counts.cleaned;
    assert!(ran.seen.behind <= u64::try_from(valid).unwrap());
    assert_eq!((counts.read, counts.counted, counts.late), (want.counts.read, want.counts.counted, want.counts.late));
    assert_eq!((counts.rejected, counts.quarantined), (want.counts.rejected, want.counts.quarantined));
    assert_eq!((counts.events, counts.duplicates), (want.counts.events, want.counts.duplicates));
    let by_rule = |counts: &Counts| (counts.cleaned, counts.off_session, counts.outliers);
    assert_eq!(by_rule(&counts), by_rule(&want.counts));
    CLEANED.fetch_add(counts.outliers, Ordering::Relaxed);
    let ledger = ran.status.ledger;
    assert_eq!(ledger.held + ledger.retired, counts.counted);
    let newest = want.rows.keys().map(|(window, _)| *window).max();
    let looked_at = |window: WindowStart| newest.is_some_and(|newest| window.0 > newest.0 - settings.look_back());
    let records = |row: &Row| if looked_at(row.minute) { row.count } else { 0 };
    assert!(
        ledger.held <= want.rows.values().map(records).sum(),
        "all is forgotten at the end that no later row looks at"
    );
    counts.duplicates
}

#[test]
fn events_that_repeat_an_id_count_once_at_any_number_of_workers() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let fields = FieldNames { id: vec!["id".into()], ..FieldNames::default() };
    let mut duplicates = 0;
    for round in 0..4 {
        let windowing = Windowing { length: SECOND * 7, lateness: SECOND * 31 };
        let rule = Rule { windowing, ..Rule::default() };
        let settings = Settings {
            rule,
            bounded: true,
            instant: Some(hostile::BEGAN.plus(3600 * SECOND)),
            checkpoint_interval: rng.i64(SECOND / 500..SECOND / 10),
            audit: true,
            ..Settings::default()
        };
        let mut partitions = hostile::log(&mut rng, Kind::File, &rule, 5, 2000);
        let records = partitions.iter_mut().flat_map(|partition| &mut partition.records);
        hostile::with_ids(&mut rng, records.filter_map(|record| record.payload.as_mut()));
        for workers in [1, 2, 3, 8] {
            println!("round {round} seed {seed} workers {workers}");
            duplicates += check_with::<Avg>(&partitions, &settings, &fields, workers, false);
        }
    }
    assert!(duplicates > 0, "something repeats");
}

#[test]
fn hostile_logs_at_any_number_of_workers() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for round in 0..6 {
        let rule = Rule {
            windowing: if rng.bool() {
                Windowing::default()
            } else {
                Windowing { length: SECOND * 7, lateness: SECOND * 31 }
            },
            max_ahead: [SECOND * 60, SECOND * 3600][rng.usize(..2)],
            ..Rule::default()
        };
        let settings = Settings {
            rule,
            bounded: true,
            instant: Some(hostile::BEGAN.plus(3600 * SECOND)),
            checkpoint_interval: rng.i64(SECOND / 500..SECOND / 10),
            audit: true,
            derive: DERIVED[round % DERIVED.len()].parse().unwrap(),
            groups: (round % 3 > 0).then(|| hostile::groups(&mut rng, &rule, &hostile::SYMBOLS, -10..60)),
            windows: coarser(&mut rng, &rule),
            ..Settings::default()
        };
        let kind = if rng.bool() { Kind::File } else { Kind::Broker };
        let partitions = rng.usize(1..9);
        let partitions = hostile::log(&mut rng, kind, &rule, partitions, 4000);
        for workers in [1, 2, 3, 8] {
            println!("round {round} seed {seed} {kind:?} partitions {} workers {workers}", partitions.len());
            println!("windows {} in {:?}", settings.windows.list(), settings.windows.zone());
            if !settings.derive.metrics().any(Metric::needs_market) && rng.bool() {
                check::<Avg>(&partitions, &settings, workers, false);
            } else {
                check::<Market>(&partitions, &settings, workers, true);
            }
        }
    }
    assert!(SEEN.load(Ordering::Relaxed) > 0, "something is seen before the end");
    assert!(GROUPED.load(Ordering::Relaxed) > 0, "some minutes have rows of groups");
    assert!(COARSE.load(Ordering::Relaxed) > 0, "there are coarser windows");
}

/// What is cleaned is the same at any number of workers, with ids that repeat and without.
#[test]
fn hostile_logs_are_cleaned_alike_at_any_number_of_workers() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for round in 0..6 {
        let windowing = Windowing { length: SECOND * 7, lateness: SECOND * 31 };
        let rule = Rule { windowing, ..Rule::default() }.with_cleaning(hostile::cleaning(&mut rng));
        let settings = Settings {
            rule,
            bounded: true,
            instant: Some(hostile::BEGAN.plus(3600 * SECOND)),
            checkpoint_interval: rng.i64(SECOND / 500..SECOND / 10),
            audit: true,
            ..Settings::default()
        };
        let kind = if rng.bool() { Kind::File } else { Kind::Broker };
        let mut partitions = hostile::log(&mut rng, kind, &rule, 5, 2000);
        let mut fields = FieldNames::default();
        if rng.bool() {
            fields.id = vec!["id".into()];
            let records = partitions.iter_mut().flat_map(|partition| &mut partition.records);
            hostile::with_ids(&mut rng, records.filter_map(|record| record.payload.as_mut()));
        }
        for workers in [1, 2, 3, 8] {
            println!("round {round} seed {seed} workers {workers} {:?}", rule.cleaning);
            check_with::<Market>(&partitions, &settings, &fields, workers, true);
        }
    }
    assert!(CLEANED.load(Ordering::Relaxed) > 0, "something is an outlier");
}

#[test]
fn a_log_without_records_ends() {
    let instant = Some(hostile::BEGAN);
    let settings = Settings { bounded: true, instant, checkpoint_interval: SECOND / 100, ..Settings::default() };
    check::<Avg>(&[], &settings, 2, false);
    let empty = hostile::log(&mut fastrand::Rng::new(), Kind::File, &settings.rule, 3, 0);
    check::<Avg>(&empty, &settings, 2, false);
}

#[test]
fn a_run_ends_once_its_dead_letters_are_stored() {
    for _ in 0..20 {
        assert_eq!(ending::lacks_dead_letters(), 0);
    }
}
