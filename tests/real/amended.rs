//! `minutely amend` and `minutely redrive` over a topic and a bucket: late letters are added beside a live run, corrected records come once
//! whatever is killed, and the oracle's sums of all records are what comes out.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::{poll, rfc3339, seed};
use minutely_dataflows::time::{EventTime, SECOND};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);

fn prepared(folder: &Path, words: &[&str], token: &str) -> Command {
    let mut command = command();
    command.args(words).arg("--data").arg(folder).env("INFLUX_TOKEN", token).stdin(Stdio::null());
    command
}

/// The exit code, the reports, and what was said.
fn look(folder: &Path, words: &[&str], token: &str) -> (Option<i32>, Vec<Value>, String) {
    let output = prepared(folder, &[words, &["--json"]].concat(), token).output().unwrap();
    let reports = serde_json::Deserializer::from_slice(&output.stdout).into_iter().collect::<Result<Vec<Value>, _>>();
    (output.status.code(), reports.unwrap_or_default(), String::from_utf8(output.stderr).unwrap())
}

fn letters(folder: &Path, job: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder.join(job)).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.to_string_lossy().contains("dead-letters-")).unwrap()
}

/// Kills it after some milliseconds, or as soon as this is so. Was it still at work?
fn killed(mut command: Command, after: u64, so: impl Fn() -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_millis(after);
    while Instant::now() < until && !so() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

#[test]
fn late_letters_are_added_beside_a_live_run() {
    let what = "amended rows in a bucket";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::of_tests(what)) else { return };
    let mut rng = seed();
    let topic = kafka.topic("amended", 2, &[]);
    let writer = kafka.writer(&topic);
    // count and sum in cents, by minute and symbol: of all records, late or not.
    let mut all: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    let mut late = 0;
    for second in 0..40 * 60 {
        let (partition, symbol) = if second % 2 == 0 { (0, "A") } else { (1, "B,C d=") };
        let is_late = second > 25 * 60 && rng.u8(..30) == 0;
        late += i64::from(is_late);
        let (time, cents) = (BEGAN.plus((second - if is_late { 20 * 60 } else { 0 }) * SECOND), rng.i64(1..100_000));
        writer.tick(partition, symbol, cents, time);
        let of = all.entry((rfc3339(time.0.div_euclid(60 * SECOND) * 60 * SECOND), symbol.to_owned())).or_default();
        *of = (of.0 + 1, of.1 + cents);
    }
    writer.flush();
    let folder = tempfile::tempdir().unwrap();
    let (source, bucket) = (kafka.uri(&topic), influx.uri());
    let db = folder.path().join("minutes.db");
    let sqlite = format!("sqlite:{}", db.display());
    let job = ["--source", &source, "--sink", &bucket, "--sink", &sqlite, "--job", "amended"];
    let mut run = Program::start(folder.path(), &job, &[("INFLUX_TOKEN", &influx.token)]);
    // The minutes that are late by lateness and more are final as soon as all is read.
    let amend = [&["amend"][..], &job].concat();
    let with = |more: &[&str]| look(folder.path(), &[&amend[..], more].concat(), &influx.token);
    run.until("all late letters are of final minutes", PATIENCE, |_| {
        let (_, reports, _) = with(&[]);
        reports.first().is_some_and(|report| report["amending"] == late)
    });
    // Killed between one sink and the next, which waits for whoever holds its database; and at any time; beside the run, and then to its end.
    let words = [&amend[..], &["--yes"]].concat();
    let due =
        || with(&[]).1[0]["sinks"].as_array().unwrap().iter().map(|sink| sink["new"].as_u64().unwrap()).sum::<u64>();
    let all_due = due();
    let holder = rusqlite::Connection::open(&db).unwrap();
    poll("the run leaves the database alone", PATIENCE, || holder.execute_batch("BEGIN IMMEDIATE").ok());
    let mut child =
        prepared(folder.path(), &words, &influx.token).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    poll("the first sink has its rows", PATIENCE, || (due() < all_due).then_some(()));
    assert!(child.try_wait().unwrap().is_none(), "it waits for the second one");
    child.kill().unwrap();
    child.wait().unwrap();
    holder.execute_batch("ROLLBACK").unwrap();
    let left = due();
    assert!(0 < left && left < all_due, "{left} of {all_due}");
    for _ in 0..4 {
        killed(prepared(folder.path(), &words, &influx.token), rng.u64(20..200), || false);
    }
    let (code, reports, said) = with(&["--yes"]);
    assert_eq!(code, Some(0), "{reports:#?}{said}");
    let rows: BTreeMap<(String, String), (i64, String, String)> = {
        let db = rusqlite::Connection::open(&db).unwrap();
        let sql = "SELECT minute, symbol, count, sum_exact, letters FROM minutes_amended";
        let mut statement = db.prepare(sql).unwrap();
        let rows =
            statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?))));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let listed: usize = rows.values().map(|(_, _, letters)| letters.split(' ').count()).sum();
    assert_eq!(i64::try_from(listed).unwrap(), late);
    for (key, (count, sum, _)) in &rows {
        let (want_count, cents) = all[key];
        let want = format!("{}.{:02}", cents / 100, cents % 100);
        assert_eq!((*count, sum.as_str()), (want_count, want.trim_end_matches('0').trim_end_matches('.')), "{key:?}");
    }
    // The database has the same, under a measurement of its own, and again nothing is due.
    let (code, reports, said) = with(&["--yes"]);
    for sink in reports[0]["sinks"].as_array().unwrap() {
        assert_eq!((code, &sink["same"], &sink["new"]), (Some(0), &rows.len().into(), &0.into()), "{sink:#}{said}");
    }
    let counts = influx.column("minute_amended", "count");
    assert_eq!(counts.len(), rows.len());
    // The run was not disturbed, and its own rows are verified.
    run.stopped().well();
    let verify = [&["verify"][..], &job].concat();
    let (code, reports, said) = look(folder.path(), &verify, &influx.token);
    assert_eq!(code, Some(0), "{reports:#?}{said}");
    // Another job is refused by the mark.
    // (The newest mark counts.)
    let at = 4_000_000_000_i64 * SECOND;
    influx.write(&format!(
        "minutely_jobs,measurement=minute_amended,tags=none job=\"other\",semantics=\"x\",version=\"0\",folder=\"f\" {at}"
    ));
    let (code, _, said) = with(&["--yes"]);
    assert!(code == Some(64) && said.contains("minute_amended") && said.contains("job `other`"), "{said}");
}

#[test]
fn corrected_records_come_to_the_topic_once_whatever_is_killed() {
    let Some(kafka) = Kafka::of_tests("corrected records in a topic") else { return };
    let mut rng = seed();
    let topic = kafka.topic("redriven", 2, &[]);
    let writer = kafka.writer(&topic);
    let (mut broken, mut cents_of_all) = (0, 0);
    for second in 0..20 * 60 {
        let (partition, time, cents) =
            (i32::try_from(second % 2).unwrap(), BEGAN.plus(second * SECOND), rng.i64(1..9_000));
        cents_of_all += cents;
        if rng.u8(..10) == 0 {
            broken += 1;
            let ms = time.0 / 1_000_000;
            let payload = format!(r#"{{"symbol":"A","p":{}.{:02},"ts":{ms},"n":{second}}}"#, cents / 100, cents % 100);
            writer.send(partition, Some(b"A"), Some(payload.as_bytes()), ms + 1);
        } else {
            writer.tick(partition, "A", cents, time);
        }
    }
    writer.flush();
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sqlite) = (kafka.uri(&topic), format!("sqlite:{}", db.display()));
    // A day's lateness, so that all minutes take records still.
    let job = ["--source", &source, "--sink", &sqlite, "--job", "redriven", "--lateness", "1d"];
    let as_of = rfc3339(BEGAN.plus(86_400 * SECOND).0);
    let run = |more: &[&str]| {
        let words = [&job[..], &["--until-end", "--as-of", &as_of], more].concat();
        Program::start(folder.path(), &words, &[]).ended(PATIENCE).well();
    };
    run(&[]);
    let file = letters(folder.path(), "redriven").display().to_string();
    let words = [&["redrive", &file], &job[..], &["--map", "price=.p"]].concat();
    let (code, reports, said) = look(folder.path(), &words, "");
    assert_eq!((code, &reports[0]["would_count"]), (Some(0), &broken.into()), "{reports:#?}{said}");
    let to_topic = [&words[..], &["--yes", "--to-topic"]].concat();
    // Somebody else writes to the topic meanwhile, of a symbol of its own and without a header.
    let (ended, journal) = (AtomicBool::new(false), format!("{file}.redriven"));
    // (Should the test fail, it ends all the same.)
    let until = Instant::now() + 4 * PATIENCE;
    let others = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let (writer, mut written) = (kafka.writer(&topic), 0);
            while !ended.load(Ordering::Relaxed) && Instant::now() < until {
                writer.tick(0, "other", 100, BEGAN.plus(written % 1200 * SECOND));
                writer.flush();
                written += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            written
        });
        // At any time, or as soon as the journal grows, and with another path between: a kill has met a write where the journal has begun and not
        // ended.
        let mut met = 0;
        let wrong = [&["redrive", &file], &job[..], &["--map", "price=.q", "--yes", "--to-topic"]].concat();
        let length = || std::fs::metadata(&journal).map_or(0, |journal| journal.len());
        for round in 0..60 {
            let (before, grows) = (length(), round % 2 == 1);
            let after = if grows { 60_000 } else { rng.u64(50..400) };
            let at_work = killed(prepared(folder.path(), &to_topic, ""), after, || grows && length() > before);
            let begun =
                std::fs::read_to_string(&journal).is_ok_and(|text| text.rfind(r#"{"begin""#) > text.rfind(r#"{"end""#));
            met += u32::from(at_work && begun);
            if round % 3 == 0 || round == 4 {
                // (No letter has such a field, so it has nothing to write. It ends a transaction that was left open.)
                look(folder.path(), &wrong, "");
            }
            if round == 4 {
                // The run goes on meanwhile, and its state passes what was written.
                run(&[]);
            }
            if !at_work || met > 1 {
                break;
            }
        }
        assert!(met > 0, "no kill met a write");
        let (code, reports, said) = look(folder.path(), &to_topic, "");
        assert_eq!(code, Some(0), "{reports:#?}{said}");
        assert!(Instant::now() < until, "each ended, though somebody writes all the time");
        ended.store(true, Ordering::Relaxed);
        other.join().unwrap()
    });
    let (code, reports, said) = look(folder.path(), &to_topic, "");
    assert_eq!((code, &reports[0]["written"]), (Some(0), &0.into()), "{reports:#?}{said}");
    // Each once, in its partition, with its key.
    let mut seen: BTreeMap<i64, u32> = BTreeMap::new();
    for (number, partition) in kafka.read_back(&topic).iter().enumerate() {
        for record in &partition.records {
            let payload: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
            if let (Some(n), Some(_)) = (payload["n"].as_i64(), payload.get("price")) {
                assert_eq!((usize::try_from(n % 2).unwrap(), record.key.as_deref()), (number, Some(&b"A"[..])));
                *seen.entry(n).or_default() += 1;
            }
        }
    }
    assert_eq!((i64::try_from(seen.len()).unwrap(), seen.values().max()), (broken, Some(&1)), "{seen:?}");
    run(&["--close"]);
    let db = rusqlite::Connection::open(&db).unwrap();
    let sql =
        "SELECT sum(count), sum(cast(round(sum * 100) AS INTEGER)) FROM minutes WHERE state = 'final' AND symbol = 'A'";
    let got: (i64, i64) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(got, (20 * 60, cents_of_all), "every record counts once");
    let sql = "SELECT coalesce(sum(count), 0) FROM minutes WHERE symbol = 'other'";
    let got: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(got, others, "and those of the other writer");
    // What the topic has is not amended as well.
    let amended = [&words[..], &["--yes", "--amend"]].concat();
    let (code, reports, said) = look(folder.path(), &amended, "");
    assert_eq!((code, &reports[0]["redriven_before"]), (Some(0), &broken.into()), "{reports:#?}{said}");
}
