//! `minutely repair` over a topic and a bucket: wiped, restored from an older copy, edited, and one that keeps points for too short a time.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::rfc3339;
use minutely_dataflows::time::{EventTime, SECOND};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);
const MINUTES: i64 = 60;

/// The exit code, the report, and what was said.
fn look(what: &str, folder: &Path, args: &[&str], token: &str) -> (Option<i32>, Value, String) {
    let mut command = command();
    command.arg(what).args(args).args(["--json", "--data"]).arg(folder).env("INFLUX_TOKEN", token);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

/// Two series, a record each second, one of them with a name that has to be escaped everywhere.
fn topic(kafka: &Kafka, name: &str) -> String {
    let topic = kafka.topic(name, 2, &[]);
    let writer = kafka.writer(&topic);
    for second in 0..MINUTES * 60 {
        let (partition, symbol) = if second % 2 == 0 { (0, "A") } else { (1, "B,C d=\\\"e\\\"") };
        writer.tick(partition, symbol, 10_000 + second % 977, BEGAN.plus(second * SECOND));
    }
    writer.flush();
    topic
}

#[test]
fn a_bucket_that_was_wiped_or_restored_from_an_older_copy_is_whole_again() {
    let what = "a repaired bucket";
    let Some(kafka) = Kafka::of_tests(what) else { return };
    let topic = topic(&kafka, "repaired");
    let source = kafka.uri(&topic);
    for version in [2, 1] {
        let Some(influx) = Influx::of_tests(what) else { return };
        let folder = tempfile::tempdir().unwrap();
        let bucket = if version == 2 { influx.uri() } else { influx.uri1() };
        let job = ["--source", &source, "--sink", &bucket, "--job", "repaired"];
        let as_of = rfc3339(BEGAN.plus(86_400 * SECOND).0);
        let run = [&job[..], &["--until-end", "--close", "--as-of", &as_of]].concat();
        Program::start(folder.path(), &run, &[("INFLUX_TOKEN", &influx.token)]).ended(PATIENCE).well();
        let of = |command: &str, more: &[&str]| look(command, folder.path(), &[&job[..], more].concat(), &influx.token);
        let rows = influx.rows("minute");
        let derived = || ["open", "vwap", "sma5", "ema12", "stddev"].map(|name| influx.column("minute", name));
        let columns = derived();
        assert_eq!(rows.len() as i64, 2 * MINUTES);
        let at = |minute: i64| BEGAN.plus(minute * 60 * SECOND).0;
        let damage: [(&str, &dyn Fn()); 3] = [
            ("wiped", &|| influx.delete(0, i64::MAX / 2, "")),
            // Some minutes are not there, and some are as they were earlier.
            ("older", &|| {
                influx.delete(at(40), at(70), "_measurement=\"minute\"");
                influx.write(&format!("minute,symbol=A count=1i,sum=\"1\",avg=1 {}", at(10)));
            }),
            // Points that nothing counts for; a value that is not to be there; and one of another series beside ours.
            ("edited", &|| {
                influx.write(&format!("minute,symbol=Z\\ \"q\" count=1i,sum=\"1\",avg=1 {}", at(20)));
                influx.write(&format!("minute,symbol=A sma20=1 {}", at(0)));
                influx.write(&format!("minute,symbol=W,desk=x count=1i,sum=\"1\",avg=1,state=\"final\" {}", at(30)));
                influx.write(&format!("minute,symbol=B\\,C\\ d\\=\"e\" avg=7 {}", at(30)));
            }),
        ];
        for (name, damage) in damage {
            damage();
            let (code, report, said) = of("repair", &[]);
            assert_eq!(code, Some(65), "{name} of {version}: {report:#}{said}");
            let (code, report, said) = of("repair", &["--yes"]);
            assert_eq!(code, Some(0), "{name} of {version}: {report:#}{said}");
            let (code, report, said) = of("verify", &[]);
            assert_eq!(code, Some(0), "{name} of {version}: {report:#}{said}");
            assert_eq!(derived(), columns, "{name} of {version}");
        }
        let mut after = influx.rows("minute");
        let other = after.len() as i64 - 2 * MINUTES;
        after.retain(|key, _| rows.contains_key(key));
        assert!(after == rows && (0..=1).contains(&other), "{version}: the points of another series stay");

        // A point of ours beside which there is another's: a deletion would take both.
        influx.write(&format!("minute,symbol=Y,desk=x count=1i {}", at(35)));
        influx.write(&format!("minute,symbol=Y count=1i {}", at(35)));
        let (code, report, said) = of("repair", &["--yes"]);
        assert_eq!((code, &report["sinks"][0]["compared_again"]["extra"]), (Some(65), &1.into()), "{report:#}{said}");
        assert!(report["sinks"][0]["remarks"][0].as_str().unwrap().contains("further tags"), "{report:#}");
    }
}

#[test]
fn points_that_are_older_than_the_bucket_keeps_are_told_and_not_tried_for_ever() {
    let what = "a bucket that keeps little";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::that_keeps(what, 3600)) else { return };
    let topic = topic(&kafka, "repaired-old");
    let folder = tempfile::tempdir().unwrap();
    let (source, bucket) = (kafka.uri(&topic), influx.uri());
    let job = ["--source", &source, "--sink", &bucket, "--job", "old"];
    let as_of = rfc3339(BEGAN.plus(86_400 * SECOND).0);
    let run = [&job[..], &["--until-end", "--close", "--as-of", &as_of]].concat();
    let ended = Program::start(folder.path(), &run, &[("INFLUX_TOKEN", &influx.token)]).ended(PATIENCE);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let (code, report, said) = look("repair", folder.path(), &[&job[..], &["--yes"]].concat(), &influx.token);
    let sink = &report["sinks"][0];
    assert_eq!((code, &sink["compared_again"]["missing"]), (Some(65), &(2 * MINUTES).into()), "{report:#}{said}");
    assert!(sink["remarks"][0].as_str().unwrap().contains("for good"), "{report:#}");
}
