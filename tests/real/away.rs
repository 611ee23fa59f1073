//! A database that is not there when a run begins: the run begins all the same, and its rows come when it does.

use crate::common::influx::{Influx, OwnInflux};
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::{csv, only, plain, same};
use std::time::{Duration, Instant};

/// A market whose minutes last a second.
const SOURCE: &str = "sim:?seed=3&rate=200&partitions=2&symbols=5&history=10s";
const SHORT: [&str; 8] = ["--window", "1s", "--lateness", "1s", "--idle", "1s", "--emit", "final"];

#[test]
fn rows_are_held_over_three_restarts_without_the_database_and_none_is_lost() {
    let Some(database) = OwnInflux::start("a database that is away at the start") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("minutes.csv");
    let sinks = [database.influx.uri(), format!("csv:{}", text.display())];
    let mut args = vec!["--source", SOURCE, "--sink", &sinks[0], "--sink", &sinks[1]];
    args.extend(SHORT);
    let env = [("INFLUX_TOKEN", database.influx.token.as_str())];
    let (data, finals) = (folder.path().join("data"), || only(&plain(&csv(&text)), |_, cells| cells.state == "final"));
    database.stop();
    let mut stored = 0;
    for last in [false, false, true] {
        let mut run = Program::start(&data, &args, &env);
        let lacks = |line: &str| line.contains(&format!("{} minute: ", sinks[0]));
        run.until("the line says what is wrong", PATIENCE, |run| run.live().is_some_and(|line| lacks(&line)));
        assert!(run.said().contains("the run begins all the same"), "{}", run.said());
        run.until("the other sink gets its rows", PATIENCE, |_| finals().len() > stored + 10);
        stored = finals().len();
        if last {
            run.stopped();
        } else {
            drop(run); // kill -9
        }
    }
    database.again();
    let mut run = Program::start(&data, &args, &env);
    run.until("it has what it lacked", PATIENCE, |_| database.influx.rows("minute").len() > stored + 10);
    run.stopped();
    args.push("--until-end");
    Program::run(&data, &args, &env).well();
    let wanted = finals();
    assert!(wanted.len() > stored, "{} of {stored}", wanted.len());
    same("what was held", &database.influx.rows("minute"), &wanted);
}

#[test]
fn a_bounded_run_waits_for_it_as_long_as_it_was_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "influxdb://127.0.0.1:1/market/ticks";
    let mut args = vec!["--source", SOURCE, "--sink", sink, "--until-end", "--sink-timeout", "2s"];
    args.extend(SHORT);
    let began = Instant::now();
    let ended = Program::run(&folder.path().join("data"), &args, &[("INFLUX_TOKEN", "t")]);
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    for part in ["Connection refused", "nothing was stored for", "the rows that it lacks come again with the next run"]
    {
        assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said);
    }
}

#[test]
fn a_proxy_that_the_environment_names_is_named_in_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "influxdb://localhost:9/market/ticks";
    let mut args = vec!["--source", SOURCE, "--sink", sink, "--until-end", "--sink-timeout", "1s"];
    args.extend(SHORT);
    let env = [("INFLUX_TOKEN", "t"), ("http_proxy", "http://me:s3cret@127.0.0.1:1"), ("no_proxy", "elsewhere")];
    let ended = Program::run(&folder.path().join("data"), &args, &env);
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("by the proxy http://127.0.0.1:1/, from http_proxy or all_proxy"), "{}", ended.said);
    assert!(!ended.said.contains("s3cret"), "{}", ended.said);
}

#[test]
fn a_bounded_run_of_which_nothing_could_be_stored_does_not_end_well() {
    let Some(influx) = Influx::that_keeps("rows that a database refuses", 3_600) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ticks = folder.path().join("ticks.jsonl");
    std::fs::write(&ticks, "{\"symbol\":\"A\",\"price\":10,\"ts\":1767600000000}\n").unwrap();
    let (source, sink) = (format!("file:{}", ticks.display()), influx.uri());
    let text = format!("csv:{}", folder.path().join("minutes.csv").display());
    let args = ["--source", &source, "--sink", &sink, "--sink", &text];
    let ended = Program::run(&folder.path().join("data"), &args, &[("INFLUX_TOKEN", &influx.token)]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in ["refused all 1 points of this run", "unwritable.jsonl", "minutely: done: 1 record read"] {
        assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said);
    }
    assert_eq!(csv(&folder.path().join("minutes.csv")).len(), 1, "the other sink has it");
}
