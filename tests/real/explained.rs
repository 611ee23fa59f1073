//! `minutely explain` over a topic and a bucket: what the log has, what the database holds, and what retention has taken.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::rfc3339;
use minutely_dataflows::time::{EventTime, SECOND};
use serde_json::Value;
use std::process::Stdio;

const BEGAN: EventTime = EventTime(1_767_700_800 * SECOND);
const MINUTES: i64 = 60;

fn minute(number: i64) -> String {
    rfc3339(BEGAN.plus(number * 60 * SECOND).0)
}

#[test]
fn a_minute_of_a_topic_is_explained_until_retention_has_taken_it() {
    let what = "an explained topic";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::of_tests(what)) else { return };
    let topic = kafka.topic("explained", 2, &[]);
    let writer = kafka.writer(&topic);
    for second in 0..MINUTES * 60 {
        // Five records a minute in one partition, one second apart; all others in the other.
        let partition = i32::from(second % 60 >= 5);
        writer.tick(partition, "A", 10_000 + second % 89, BEGAN.plus(second * SECOND));
    }
    // Late by an hour for its partition.
    writer.tick(0, "A", 7, BEGAN.plus((20 * 60 + 30) * SECOND));
    writer.flush();
    let folder = tempfile::tempdir().unwrap();
    let (source, bucket) = (kafka.uri(&topic), influx.uri());
    let job = ["--source", &source, "--sink", &bucket, "--job", "explained"];
    let as_of = rfc3339(BEGAN.plus(86_400 * SECOND).0);
    let run = [&job[..], &["--until-end", "--close", "-w", "2", "--as-of", &as_of]].concat();
    Program::start(folder.path(), &run, &[("INFLUX_TOKEN", &influx.token)]).ended(PATIENCE).well();
    let explain = |at: &str, code: i32| -> Value {
        let mut command = command();
        command.arg("explain").args(job).args(["--json", "--records", "--data"]).arg(folder.path());
        let output = command.args(["A", at]).env("INFLUX_TOKEN", &influx.token).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(output.status.code(), Some(code), "{told:#}{said}");
        told
    };
    let told = explain(&minute(20), 0);
    assert_eq!((&told["row"]["count"], &told["sinks"][0]["is"]), (&60.into(), &"equal".into()), "{told:#}");
    let mut spans: Vec<_> = told["partitions"].as_array().unwrap().iter().collect();
    spans.sort_by_key(|of| of["partition"].as_str().map(str::to_owned));
    let of = |n: usize, name: &str| spans[n][name].as_i64();
    assert_eq!((of(0, "first"), of(0, "last"), of(0, "records")), (Some(100), Some(104), Some(5)), "{told:#}");
    assert_eq!((of(1, "first"), of(1, "last"), of(1, "records")), (Some(1100), Some(1154), Some(55)), "{told:#}");
    // Ten minutes and the minute's own: the first record of each partition that is not before it.
    let final_by = |n: usize| (spans[n]["final_by"]["by"].clone(), spans[n]["final_by"]["offset"].as_i64());
    assert_eq!((final_by(0), final_by(1)), (("record".into(), Some(155)), ("record".into(), Some(1705))), "{told:#}");
    assert!(spans[0]["final_by"]["stamp"].is_string() && told["final_last_by"].is_object(), "{told:#}");
    assert_eq!(spans[0]["counted"].as_array().unwrap().len(), 5, "{told:#}");
    let [late] = &told["uncounted"].as_array().unwrap()[..] else { panic!("{told:#}") };
    assert_eq!((&late["reason"], late["offset"].as_i64()), (&"late".into(), Some(MINUTES * 5)), "{told:#}");

    // Another average in the database.
    influx.write(&format!("minute,symbol=A avg=100.5 {}", BEGAN.plus(20 * 60 * SECOND).0));
    let told = explain(&minute(20), 65);
    let cells = told["sinks"][0]["cells"].as_array().unwrap();
    let differ: Vec<_> = cells.iter().filter(|cell| cell["differs"] == true).collect();
    assert_eq!((differ.len(), &differ[0]["column"]), (1, &"avg".into()), "{told:#}");
    assert_ne!(differ[0]["sink"], differ[0]["log"], "{told:#}");

    // Retention takes the minute from one partition: it is not counted again, and what the sink holds is still told.
    kafka.delete_before(&topic, 0, 25 * 5);
    let told = explain(&minute(20), 65);
    assert!(told["unverifiable"].as_str().unwrap().starts_with("no longer verifiable"), "{told:#}");
    assert_eq!((&told["row"], &told["sinks"][0]["is"]), (&Value::Null, &"not compared".into()), "{told:#}");
    assert_eq!(told["uncounted"].as_array().unwrap().len(), 1, "the dead letters have it: {told:#}");
    assert_eq!(explain(&minute(40), 0)["row"]["count"], 60);
}
