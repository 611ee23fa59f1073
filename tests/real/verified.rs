//! `minutely verify` over a topic and a bucket: what the database holds is counted again, and what was changed there, or in the topic, is
//! found and named.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::rfc3339;
use minutely_dataflows::time::{EventTime, SECOND};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);
const MINUTES: i64 = 80;

/// The exit code, and the report.
fn verify(folder: &Path, args: &[&str], token: &str) -> (Option<i32>, Value, String) {
    let mut command = command();
    command.arg("verify").args(args).args(["--json", "--data"]).arg(folder).env("INFLUX_TOKEN", token);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

fn minute(number: i64) -> String {
    rfc3339(BEGAN.plus(number * 60 * SECOND).0)
}

#[test]
fn a_bucket_is_what_the_topic_says_until_somebody_changes_it() {
    let what = "a verified bucket";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::of_tests(what)) else { return };
    let topic = kafka.topic("verified", 2, &[]);
    let writer = kafka.writer(&topic);
    for second in 0..MINUTES * 60 {
        let (partition, symbol) = if second % 2 == 0 { (0, "A") } else { (1, "B,C d=") };
        writer.tick(partition, symbol, 10_000 + second % 977, BEGAN.plus(second * SECOND));
    }
    writer.flush();
    let folder = tempfile::tempdir().unwrap();
    let (source, bucket) = (kafka.uri(&topic), influx.uri());
    let db = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let job = ["--source", &source, "--sink", &bucket, "--sink", &db, "--job", "verified", "--windows", "10m"];
    let as_of = rfc3339(BEGAN.plus(86_400 * SECOND).0);
    let run = [&job[..], &["--until-end", "--close", "-w", "2", "--as-of", &as_of]].concat();
    Program::start(folder.path(), &run, &[("INFLUX_TOKEN", &influx.token)]).ended(PATIENCE).well();
    let verified = |more: &[&str]| verify(folder.path(), &[&job[..], more].concat(), &influx.token);
    let (code, report, said) = verified(&[]);
    assert_eq!((code, &report["rows"]), (Some(0), &(2 * MINUTES + 2 * MINUTES / 10).into()), "{report:#}{said}");
    for sink in report["sinks"].as_array().unwrap() {
        let rows = if sink["rows"] == "10m" { 2 * MINUTES / 10 } else { 2 * MINUTES };
        assert_eq!((&sink["equal"], &sink["extra"]), (&rows.into(), &0.into()), "{report:#}");
    }
    let (code, hour, _) = verified(&["--from", &minute(60), "--to", &minute(70)]);
    assert_eq!((code, &hour["minutes"]), (Some(0), &10.into()), "{hour:#}");
    assert!(hour["records"].as_i64() < report["records"].as_i64(), "{hour:#}");

    // A last bit, and a point that nobody counted.
    let at = BEGAN.plus(20 * 60 * SECOND).0;
    influx
        .write(&format!("minute,symbol=A avg=107.00000000000001 {at}\nminute,symbol=Z count=1i,sum=\"1\",avg=1 {at}"));
    let (code, report, said) = verified(&[]);
    let findings = report["sinks"][0]["findings"].as_array().unwrap();
    assert_eq!((code, findings.len()), (Some(65), 2), "{report:#}{said}");
    assert_eq!((&findings[0]["minute"], &findings[0]["what"]), (&minute(20).into(), &"different".into()), "{report:#}");
    assert_eq!(findings[0]["columns"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!((&findings[1]["symbol"], &findings[1]["what"]), (&"Z".into(), &"extra".into()), "{report:#}");
    assert_eq!(report["sinks"][1]["equal"], 2 * MINUTES / 10, "{report:#}");
    assert_eq!(report["sinks"][2]["equal"], 2 * MINUTES, "the other sink is as it was: {report:#}");

    // Retention: what is gone is not equal.
    kafka.delete_before(&topic, 0, 25 * 30);
    let (_, report, said) = verified(&["--from", &minute(0)]);
    assert_eq!(report["unverifiable"][0]["from"], minute(0), "{report:#}{said}");
    let why = report["unverifiable"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("no longer verifiable"), "{why}");
    assert_eq!(report["sinks"][2]["equal"], 2 * (MINUTES - 30), "{report:#}");
    assert_eq!(report["sinks"][3]["equal"], 2 * (MINUTES - 30) / 10, "{report:#}");
    let (code, report, said) = verified(&["--from", &minute(0), "--to", &minute(10)]);
    assert_eq!((code, &report["rows"]), (Some(65), &0.into()), "{report:#}{said}");

    kafka.make_anew(&topic, 2);
    let (code, _, said) = verified(&[]);
    assert!(code == Some(65) && said.contains("made anew"), "{said}");
}
