//! Hostile logs through a real broker, at 1, 2, 3 and 8 workers: rows and dead letters are the oracle's.

use crate::common::kafka::{Kafka, Writer};
use crate::common::program::Program;
use crate::common::rows::{Wanted, csv, csv_lines, letters, same, same_letters, sqlite};
use crate::common::{draw_rule, now, rfc3339, rule_args, seed};
use crate::hostile::{self, Kind, Partition};
use fastrand::Rng;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND};
use std::path::Path;

/// The order in which a broker gets the records: of each partition its own, of all any.
fn shuffled(rng: &mut Rng, partitions: &[Partition]) -> Vec<(usize, usize)> {
    let mut next = vec![0; partitions.len()];
    let mut order = Vec::new();
    loop {
        let left: Vec<usize> = (0..partitions.len()).filter(|&p| next[p] < partitions[p].records.len()).collect();
        let Some(&p) = left.get(rng.usize(..left.len().max(1))) else { return order };
        for _ in 0..rng.usize(1..=200).min(partitions[p].records.len() - next[p]) {
            order.push((p, next[p]));
            next[p] += 1;
        }
    }
}

/// To the topics in turn: partition p of the log is number p / topics of one of them.
fn send(writers: &[Writer], partitions: &[Partition], (p, at): (usize, usize), shift: i64) {
    let record = &partitions[p].records[at];
    let payload = record.payload.as_ref().map(|payload| shifted(payload, shift));
    let stamp = record.append_time.map_or(0, |stamp| (stamp.0 + shift) / 1_000_000);
    let number = i32::try_from(p / writers.len()).unwrap();
    writers[p % writers.len()].send(number, record.key.as_deref(), payload.as_deref(), stamp);
}

/// A payload whose event time is later by so many nanoseconds (whole seconds). What has none stays as it is.
fn shifted(payload: &[u8], by: i64) -> Vec<u8> {
    const FIELD: &[u8] = br#""ts":"#;
    let Some(found) = payload.windows(FIELD.len()).position(|part| part == FIELD) else { return payload.to_vec() };
    let quoted = payload.get(found + FIELD.len()) == Some(&b'"');
    let from = found + FIELD.len() + usize::from(quoted);
    let digits = payload[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = match digits {
        10 => SECOND,
        13 => 1_000_000,
        _ => return payload.to_vec(),
    };
    let number: i64 = std::str::from_utf8(&payload[from..from + digits]).unwrap().parse().unwrap();
    let later = (number + by / unit).to_string();
    [&payload[..from], later.as_bytes(), &payload[from + digits..]].concat()
}

/// When the log's trade ends: the latest stamp of its longest partition.
fn end(partitions: &[Partition]) -> EventTime {
    let stamps = partitions.iter().filter_map(|p| p.records.last()?.append_time);
    stamps.max().unwrap_or(hostile::BEGAN)
}

/// Runs it at any number of workers, and looks at all that comes out.
fn check(rng: &mut Rng, kafka: &Kafka, topics: &[String], rule: &Rule, as_of: EventTime) {
    let log: Vec<_> = topics.iter().flat_map(|topic| kafka.read_back(topic)).collect();
    let topics = topics.join(",");
    for workers in [1, 2, 3, 8] {
        let (market, changes) = (rng.bool(), rng.bool());
        eprintln!("{topics}: workers {workers}, market {market}, changes {changes}");
        let wanted = Wanted::of(&log, rule, Some(as_of), market);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut args = rule_args(rule);
        let (db, text) = (path("minutes.db"), path("minutes.csv"));
        let own = [
            ("--source", kafka.uri(&topics)),
            ("--sink", format!("sqlite:{}", db.display())),
            ("--sink", format!("csv:{}", text.display())),
            ("--as-of", rfc3339(as_of.0)),
            ("-w", workers.to_string()),
            ("--metrics", if market { "market" } else { "avg" }.into()),
            ("--emit", if changes { "changes" } else { "final" }.into()),
            ("--checkpoint-interval", format!("{}ms", rng.u32(10..300))),
        ];
        args.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        args.extend(["--until-end", "--close"].map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = Program::run(&path("data"), &args, &[]).well();
        same("sqlite", &sqlite(&db), &wanted.rows);
        same("csv", &csv(&text), &wanted.rows);
        if !changes {
            assert_eq!(csv_lines(&text).len(), wanted.rows.len(), "one row a point");
        }
        same_letters(&letters(&path("data")), &wanted.letters);
        let counts = ["records", "counted", "late", "rejected", "quarantined"].map(|what| ended.done(what));
        let want = &wanted.counts;
        assert_eq!(counts, [want.read, want.counted, want.late, want.rejected, want.quarantined], "{}", ended.said);
        only_these_files(folder.path());
    }
    let Wanted { rows, counts, .. } = Wanted::of(&log, rule, Some(as_of), false);
    eprintln!("{} rows, {counts:?}", rows.len());
}

fn only_these_files(folder: &Path) {
    let left = crate::common::program::files(folder);
    let known =
        |name: &str| name.starts_with("minutes.") || name.contains("/dead-letters-") || name.contains("/state/");
    assert!(left.iter().all(|path| known(&path.to_string_lossy())), "{left:?}");
}

#[test]
fn producers_stamps_gaps_and_a_log_that_begins_above_0() {
    let Some(kafka) = Kafka::of_tests("hostile logs through Kafka") else { return };
    let mut rng = seed();
    let rule = draw_rule(&mut rng);
    let count = rng.usize(1..=6);
    let partitions = hostile::log(&mut rng, Kind::Broker, &rule, count, 2500);
    let topics: Vec<String> =
        (0..rng.usize(1..=count.min(2))).map(|_| kafka.topic("hostile", i32::try_from(count).unwrap(), &[])).collect();
    // In transactions: their markers and what is aborted are the gaps.
    let writers: Vec<Writer> = topics.iter().map(|topic| kafka.transactions(topic)).collect();
    let order = shuffled(&mut rng, &partitions);
    for part in order.chunks(order.len().div_ceil(12).max(1)) {
        if rng.bool() {
            let aborted = &writers[rng.usize(0..writers.len())];
            aborted.begin();
            for _ in 0..rng.usize(1..50) {
                let time = hostile::BEGAN.plus(rng.i64(0..3600) * SECOND);
                aborted.tick(rng.i32(0..i32::try_from(count).unwrap()), "AAPL", 1_000_000, time);
            }
            aborted.flush();
            aborted.abort();
        }
        writers.iter().for_each(Writer::begin);
        part.iter().for_each(|&place| send(&writers, &partitions, place, 0));
        writers.iter().for_each(Writer::commit);
    }
    if rng.bool() {
        let long = partitions.iter().position(|p| p.records.len() > 100);
        let number = |p: usize| i32::try_from(p / topics.len()).unwrap();
        long.iter().for_each(|&p| kafka.delete_before(&topics[p % topics.len()], number(p), 77));
    }
    // So that a few records lie ahead of it.
    let as_of = EventTime(end(&partitions).0 / SECOND * SECOND).plus(-rng.i64(0..300) * SECOND);
    check(&mut rng, &kafka, &topics, &rule, as_of);
}

#[test]
fn the_brokers_own_stamps() {
    let Some(kafka) = Kafka::of_tests("hostile logs with LogAppendTime") else { return };
    let mut rng = seed();
    let rule = draw_rule(&mut rng);
    let count = rng.usize(1..=6);
    let partitions = hostile::log(&mut rng, Kind::Broker, &rule, count, 2500);
    let settings = [("message.timestamp.type", "LogAppendTime")];
    let topic = kafka.topic("appended", i32::try_from(count).unwrap(), &settings);
    let writers = [kafka.writer(&topic)];
    // The end of the trade lies a little ahead of the broker's clock.
    let shift = now().plus(rng.i64(0..600) * SECOND).0 - end(&partitions).0 / SECOND * SECOND;
    for place in shuffled(&mut rng, &partitions) {
        send(&writers, &partitions, place, shift);
    }
    writers[0].flush();
    check(&mut rng, &kafka, &[topic], &rule, now());
}
