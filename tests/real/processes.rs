//! Two processes that share the work; a run that is told to stop.

use crate::common::influx::Influx;
use crate::common::kafka::{Kafka, SLOWLY};
use crate::common::program::{PATIENCE, Program, files};
use crate::common::rows::{Rows, Wanted, csv, csv_lines, letters, only, same, same_letters, sqlite};
use crate::common::{now, rfc3339, seed, two_hosts};
use crate::hostile::{self, Kind};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::SECOND;
use std::time::Duration;

#[test]
fn two_processes_give_the_same_rows_and_one_set_of_files() {
    let Some(kafka) = Kafka::of_tests("two processes") else { return };
    let mut rng = seed();
    let rule = Rule::default();
    let log = hostile::log(&mut rng, Kind::Broker, &rule, 5, 2500);
    let topic = kafka.topic("shared", 5, &[]);
    let writer = kafka.writer(&topic);
    for (number, partition) in (0..).zip(&log) {
        for record in &partition.records {
            let stamp = record.append_time.map_or(0, |stamp| stamp.0 / 1_000_000);
            writer.send(number, record.key.as_deref(), record.payload.as_deref(), stamp);
        }
    }
    writer.flush();
    let as_of = hostile::BEGAN.plus(3600 * SECOND);
    let wanted = Wanted::of(&kafka.read_back(&topic), &rule, Some(as_of), true);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (db, text, hosts) = (path("minutes.db"), path("minutes.csv"), two_hosts(folder.path()));
    let (source, as_of) = (kafka.uri(&topic), rfc3339(as_of.0));
    let (to_db, to_text) = (format!("sqlite:{}", db.display()), format!("csv:{}", text.display()));
    let runs = ["0", "1"].map(|process| {
        let args = [
            "--source",
            &source,
            "--sink",
            &to_db,
            "--sink",
            &to_text,
            "--as-of",
            &as_of,
            "--until-end",
            "--close",
            "-n",
            "2",
            "-p",
            process,
            "-w",
            "2",
            "-h",
            &hosts,
        ];
        Program::start(&path("data"), &args, &[])
    });
    let ended = runs.map(|run| run.ended(PATIENCE));
    assert_eq!(ended.each_ref().map(|one| one.code), [Some(0); 2], "{ended:#?}");
    assert_eq!(ended[0].done("records"), wanted.counts.read);
    let left = files(folder.path());
    let names = left.iter().map(|path| path.to_string_lossy().into_owned());
    let names: Vec<_> = names.filter(|name| !name.contains("/state/")).collect();
    let (secret, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name == "data/cluster-secret");
    assert_eq!((secret.len(), names.len()), (1, 4), "{names:?}");
    assert!(names[0].contains("/dead-letters-") && names[1..] == ["hosts", "minutes.csv", "minutes.db"], "{names:?}");
    same("sqlite", &sqlite(&db), &wanted.rows);
    same("csv", &csv(&text), &wanted.rows);
    same_letters(&letters(&path("data")), &wanted.letters);
}

#[test]
fn a_run_that_is_told_to_stop_ends_well_and_what_it_sent_is_right() {
    const WHAT: &str = "SIGTERM in mid-run";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(WHAT), Influx::of_tests(WHAT)) else { return };
    let mut rng = seed();
    let topic = kafka.topic("stopped", 4, &[]);
    let writer = kafka.writer_with(&topic, &[("compression.codec", "none"), ("batch.num.messages", "300")]);
    let began = now().plus(-7200 * SECOND);
    const TICKS: i64 = 300_000;
    for n in 0..TICKS {
        let symbol = rng.i32(0..20);
        writer.tick(symbol % 4, &format!("S{symbol}"), rng.i64(1..100_000), began.plus(n * 3600 * SECOND / TICKS));
    }
    writer.flush();
    let wanted = Wanted::of(&kafka.read_back(&topic), &Rule::default(), Some(now()), false);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (db, text) = (path("minutes.db"), path("minutes.csv"));
    let (source, points) = (kafka.uri(&topic), influx.uri());
    let (to_db, to_text) = (format!("sqlite:{}", db.display()), format!("csv:{}", text.display()));
    let mut args = vec!["--source", &source, "--sink", &points, "--sink", &to_db, "--sink", &to_text, "-w", "2"];
    args.extend(["--metrics", "avg", "--until-end", "--close"]);
    args.extend(SLOWLY);
    let mut run = Program::start(&path("data"), &args, &[("INFLUX_TOKEN", &influx.token)]);
    run.until("final rows are there", PATIENCE, |_| {
        sqlite(&db).values().any(|cells| cells.state == "final") && !influx.rows("minute").is_empty()
    });
    run.terminate();
    let ended = run.ended(Duration::from_secs(10)).well();
    let (read, counted) = (ended.done("records"), ended.done("counted"));
    assert!(read < TICKS && counted > 0, "in mid-run: {}", ended.said);
    assert_eq!(counted, ended.kept(), "what is counted is held or forgotten: {}", ended.said);
    let right = |what: &str, rows: &Rows| {
        let finals = only(rows, |_, cells| cells.state == "final");
        assert!(!finals.is_empty() && finals.len() < wanted.rows.len(), "{what}: {} final rows", finals.len());
        same(what, &finals, &only(&wanted.rows, |key, _| finals.contains_key(key)));
        for (key, cells) in rows {
            assert!(cells.count <= wanted.rows[key].count, "{what}: {key:?} {cells:?}");
        }
    };
    right("minute", &influx.rows("minute"));
    assert!(influx.rows("minute").values().all(|cells| cells.state == "final"));
    right("sqlite", &sqlite(&db));
    right("csv", &csv(&text));
    assert!(csv_lines(&text).len() >= csv(&text).len());
    same_letters(&letters(&path("data")), &[]);
}
