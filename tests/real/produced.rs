//! `minutely produce`: what it wrote is what the source has, record for record.

use crate::common::kafka::{Kafka, OwnKafka};
use crate::common::program::{PATIENCE, Program, command};
use crate::common::rows::{csv, letters};
use crate::common::terminal::shown_on_terminal;
use std::io::Write;

#[test]
fn a_topic_gives_the_rows_that_the_market_gives() {
    let Some(kafka) = Kafka::of_tests("a market, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let market = "sim:?seed=11&partitions=3&rate=300&symbols=30&history=20m&late=1%&broken=0.5%&duplicate=1%";
    let topic = kafka.topic("market", 3, &[]);
    let to = kafka.uri(&topic);
    let bounded = ["--until-end", "--as-of", "2026-01-06T15:00:00Z"];
    let data = |name: &str| folder.path().join(name);

    let produced = Program::produce(&[&["--from", market, "--to", &to], &bounded[..]].concat()).well();
    let total = produced.done("records");
    assert!(total > 300_000, "{}", produced.said);
    assert_eq!(produced.done("acknowledged"), total);

    let rows = |name: &str, source: &str| {
        let sink = format!("csv:{}", data(name).with_extension("csv").display());
        let args = [&["--source", source, "--sink", &sink, "--emit", "final", "--close"], &bounded[..]].concat();
        let ended = Program::run(&data(name), &args, &[]).well();
        assert_eq!(ended.done("records"), total);
        let mut rows = csv(&data(name).with_extension("csv"));
        // The market's log begins at an offset above 0: its first minutes are partial, and others are not derived from them.
        for cells in rows.values_mut() {
            (cells.state, cells.derived) = ("any".into(), Vec::new());
        }
        (rows, letters(&data(name)).len())
    };
    let (from_topic, from_market) = (rows("topic", &to), rows("market", market));
    assert!(from_topic.0.len() > 600 && from_topic.1 > 1000, "{} {}", from_topic.0.len(), from_topic.1);
    assert!(from_topic == from_market, "the topic gives other rows than the market");
}

#[test]
fn files_are_replayed_line_by_line() {
    let Some(kafka) = Kafka::of_tests("files, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for number in 0..2 {
        let mut file = std::fs::File::create(folder.path().join(format!("{number}.jsonl"))).unwrap();
        let of_file = |at: i64| match at % 7 {
            6 => "no json".to_owned(),
            _ => format!(r#"{{"symbol":"S{number}","price":{at},"ts":{}}}"#, 1_767_600_000_000 + at * 1000),
        };
        lines.push((0..100).map(of_file).collect::<Vec<_>>());
        lines[number].iter().for_each(|line| writeln!(file, "{line}").unwrap());
    }
    // Not there before: it is made, with a partition for each file.
    let topic = format!("replayed-{}", std::process::id());
    let from = format!("file:{}/*.jsonl", folder.path().display());
    let to = kafka.uri(&topic);
    let ended = Program::produce(&["--from", &from, "--to", &to, "--speed", "1000"]).well();
    assert_eq!((ended.done("records"), ended.done("acknowledged")), (200, 200));
    let log = kafka.read_back(&topic);
    let payload = |payload: &Option<Vec<u8>>| String::from_utf8(payload.clone().unwrap()).unwrap();
    let there: Vec<Vec<_>> = log.iter().map(|p| p.records.iter().map(|r| payload(&r.payload)).collect()).collect();
    assert_eq!(there, lines);

    let limited = Program::produce(&["--from", &from, "--to", &to, "--limit", "7", "--partition-by", "key"]).well();
    assert_eq!(limited.done("acknowledged"), 7);
    let more = "file:/nowhere/*.jsonl";
    Program::produce(&["--from", more, "--to", &to]).refused(64, &["/nowhere"]);
    let wide = Program::produce(&["--from", "sim:?partitions=9", "--to", &to, "--limit", "1"]);
    wide.refused(64, &["has 2 partitions and the source 9", "--partition-by key"]);
}

/// Any file of any feed: arrays are taken apart, what is not asked for is left out, keys are chosen.
#[test]
fn events_of_messages_and_rows_are_replayed_with_chosen_keys() {
    let Some(kafka) = Kafka::of_tests("feeds, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let elements = [
        r#"{"s":"ADA","p":"0.41","t":1767600000000}"#,
        r#"{"s":"DOT","p":"2.05","t":1767600001000}"#,
        r#"{"p":"7","t":1767600002000}"#,
    ];
    let messages = format!(
        "{{\"type\":\"trade\",\"data\":[{},{}]}}\n{{\"type\":\"ping\"}}\n{{\"type\":\"trade\",\"data\":[{}]}}\n",
        elements[0], elements[1], elements[2]
    );
    std::fs::write(folder.path().join("feed.jsonl"), messages).unwrap();
    std::fs::write(folder.path().join("rows.csv"), "Date,Name,close\n2026-01-05,ADA,0.41\n2026-01-06,DOT,2.05\n")
        .unwrap();
    let replay = |name: &str, options: &[&str]| {
        let topic = crate::common::fresh("replayed");
        let (from, to) = (format!("file:{}", folder.path().join(name).display()), kafka.uri(&topic));
        let ended = Program::produce(&[&["--from", &from, "--to", &to], options].concat()).well();
        let text = |bytes: &Option<Vec<u8>>| bytes.clone().map(|bytes| String::from_utf8(bytes).unwrap());
        let records = kafka.read_back(&topic).into_iter().flat_map(|partition| partition.records);
        (ended.said, records.map(|record| (text(&record.key), text(&record.payload).unwrap())).collect::<Vec<_>>())
    };
    let feed = ["--each", "/data", "--where", "@message/type=trade", "--time-field", "t", "--key-field", "s"];
    let (said, written) = replay("feed.jsonl", &feed);
    let record = |key: Option<&str>, payload: &str| (key.map(str::to_owned), payload.to_owned());
    let want = [record(Some("ADA"), elements[0]), record(Some("DOT"), elements[1]), record(None, elements[2])];
    assert_eq!(written, want, "what has no key is written as it is");
    assert!(said.contains("done: 3 records produced, 3 acknowledged") && said.contains(", 1 left out"), "{said}");
    assert!(said.contains("records by partition: 0: 3"), "{said}");

    // The symbol is a part of the file's name.
    std::fs::write(
        folder.path().join("XRPEUR-trades-2026-01-05.csv"),
        "1,0.41,1767600000000\nno row\n2,0.42,1767600060000\n",
    )
    .unwrap();
    let dump = ["--format", "csv", "--time-field", "/2", "--key-field", "@file/0", "--where", "@file/1=trades"];
    let (said, written) = replay("XRPEUR-trades-2026-01-05.csv", &dump);
    let rows = [(Some("XRPEUR"), "1,0.41,1767600000000"), (None, "no row"), (Some("XRPEUR"), "2,0.42,1767600060000")];
    assert_eq!(written, rows.map(|(key, row)| record(key, row)));
    assert!(said.contains("records by partition: 0: 3"), "{said}");

    let rows = ["--format", "csv", "--time-field", "Date", "--time-zone", "UTC", "--key-field", "Name"];
    let (said, written) = replay("rows.csv", &rows);
    assert_eq!(written, [record(Some("ADA"), "2026-01-05,ADA,0.41"), record(Some("DOT"), "2026-01-06,DOT,2.05")]);
    assert!(said.contains("the newest of 2026-01-06T00:00:00Z"), "{said}");
}

/// Records of 2023, of a symbol, with the fields `T` and `p` alone.
fn old_file(folder: &std::path::Path, records: i64) -> String {
    let line = |n: i64| format!("{{\"s\":\"A\",\"p\":1,\"T\":{}}}\n", 1_672_740_000_000 + n * 1000);
    std::fs::write(folder.join("old.jsonl"), (0..records).map(line).collect::<String>()).unwrap();
    format!("file:{}", folder.join("old.jsonl").display())
}

#[test]
fn what_a_topic_would_delete_is_not_written_to_it() {
    let Some(kafka) = Kafka::of_tests("an old file, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = old_file(folder.path(), 20);
    // A topic that is made for a replay keeps it.
    let made = format!("kept-{}", std::process::id());
    let produced =
        Program::produce(&["--from", &from, "--to", &kafka.uri(&made), "--time-field", "T", "--speed", "20"]).well();
    assert_eq!(produced.done("acknowledged"), 20);
    assert!(produced.said.contains("the newest of 2023-01-03T10:00:19Z"), "the event time is found: {}", produced.said);
    assert_eq!(kafka.setting(&made, "retention.ms").as_deref(), Some("-1"));
    // One that is there may not; what is written then is gone after it was acknowledged.
    let week = kafka.topic("week", 1, &[("retention.ms", "604800000")]);
    let to = kafka.uri(&week);
    let args = ["--from", &from, "--to", &to, "--time-field", "T"];
    let parts =
        ["keeps records for 7 d", "2023-01-03", "retention.ms=-1", "--stamp now", "0 records were acknowledged"];
    let ended = Program::produce(&args);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    parts.iter().for_each(|part| assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said));
    let warned = Program::produce(&[&args[..], &["--stamp", "event"]].concat()).well();
    assert_eq!(warned.said.matches("the broker will delete it").count(), 1, "{}", warned.said);
    let stamped = Program::produce(&[&args[..], &["--stamp", "now"]].concat()).well();
    assert!(!stamped.said.contains("will delete"), "{}", stamped.said);
    let stamps = kafka.topic("stamps", 1, &[("retention.ms", "1000"), ("message.timestamp.type", "LogAppendTime")]);
    Program::produce(&["--from", &from, "--to", &kafka.uri(&stamps), "--time-field", "T"]).well();
    // A field that no record has is said.
    let untimed = Program::produce(&["--from", &from, "--to", &to]).well();
    assert!(untimed.said.contains("20 records have no event time in --time-field ts"), "{}", untimed.said);
}

/// Stamps of a topic's records, as far as they are the broker's.
fn broker_stamps(kafka: &Kafka, topic: &str) -> Vec<Option<i64>> {
    let log = kafka.read_back(topic);
    log.iter().flat_map(|partition| &partition.records).map(|record| record.append_time.map(|time| time.0)).collect()
}

#[test]
fn the_broker_stamps_records_where_its_topic_says_so() {
    let Some(kafka) = Kafka::of_tests("stamps of the broker, produced") else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = old_file(folder.path(), 30);
    let replay = |topic: &str, stamp: &str| {
        Program::produce(&["--from", &from, "--to", &kafka.uri(topic), "--time-field", "T", "--stamp", stamp])
    };
    // A topic that is made has the setting; one that is there and has it is taken as it is.
    let made = crate::common::fresh("stamped");
    let there = kafka.topic("stamps", 1, &[("retention.ms", "3600000"), ("message.timestamp.type", "LogAppendTime")]);
    for topic in [&made, &there] {
        let ended = replay(topic, "broker").well();
        assert_eq!(ended.done("acknowledged"), 30);
        assert!(ended.said.contains("the newest of 2023-01-03T10:00:29Z"), "{}", ended.said);
        assert!(!ended.said.contains("will delete") && !ended.said.contains("no event time"), "{}", ended.said);
        assert_eq!(kafka.setting(topic, "message.timestamp.type").as_deref(), Some("LogAppendTime"));
        let stamps = broker_stamps(&kafka, topic);
        assert_eq!(stamps.len(), 30);
        // The broker's clock: long after the records' own times, and it does not go back.
        let of_2025 = Some(1_735_689_600_000_000_000);
        assert!(stamps.iter().all(|stamp| *stamp > of_2025) && stamps.is_sorted(), "{stamps:?}");
    }
    // One whose producers stamp is refused before anything is written.
    let theirs = kafka.topic("theirs", 1, &[("retention.ms", "-1")]);
    let refused = replay(&theirs, "broker");
    let parts =
        ["message.timestamp.type=CreateTime", "--add-config message.timestamp.type=LogAppendTime", "--stamp now"];
    assert_eq!(refused.code, Some(64), "{}", refused.said);
    parts.iter().for_each(|part| assert!(refused.said.contains(part), "`{part}` is not in: {}", refused.said));
    assert_eq!(broker_stamps(&kafka, &theirs), []);
    assert_eq!(replay(&theirs, "event").well().done("acknowledged"), 30);
    assert_eq!(broker_stamps(&kafka, &theirs), vec![None; 30]);
}

/// It begins where its source does: what the killed one wrote is there twice, and each partition is still in its order.
#[test]
fn a_replay_that_was_killed_begins_again() {
    let Some(kafka) = Kafka::of_tests("a replay, killed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let line = |file: i64, n: i64| format!("{{\"s\":\"F{file}\",\"p\":1,\"T\":{}}}", 1_767_600_000_000 + n);
    for file in 0..2 {
        let lines: String = (0..1500).map(|n| line(file, n) + "\n").collect();
        std::fs::write(folder.path().join(format!("{file}.jsonl")), lines).unwrap();
    }
    let from = format!("file:{}/*.jsonl", folder.path().display());
    let topic = crate::common::fresh("twice");
    let to = kafka.uri(&topic);
    let args = ["--from", &from, "--to", &to, "--time-field", "T"];
    let mut producing = Program::producing(&[&args[..], &["--rate", "500", "--progress"]].concat(), &[]);
    producing.until("some are written", PATIENCE, |producing| producing.said().contains("records produced, "));
    producing.signal("KILL");
    assert_eq!(producing.ended(PATIENCE).code, None);
    let of = |topic: &str| -> Vec<Vec<String>> {
        let text = |payload: &Option<Vec<u8>>| String::from_utf8(payload.clone().unwrap()).unwrap();
        let log = kafka.read_back(topic);
        log.iter().map(|partition| partition.records.iter().map(|record| text(&record.payload)).collect()).collect()
    };
    let first = of(&topic);
    assert!(first.iter().all(|lines| (1..1500).contains(&lines.len())), "{:?}", first.iter().map(Vec::len));
    let again = Program::produce(&args).well();
    assert!(again.said.contains("records by partition: 0: 1500, 1: 1500"), "{}", again.said);
    for (file, (before, after)) in (0..).zip(first.iter().zip(of(&topic))) {
        let whole: Vec<_> = (0..1500).map(|n| line(file, n)).collect();
        assert_eq!(before[..], whole[..before.len()], "the beginning, without a gap");
        assert_eq!(after, [&before[..], &whole].concat());
    }
}

#[test]
fn a_terminal_shows_how_far_a_replay_has_come() {
    let Some(kafka) = Kafka::of_tests("a replay on a terminal") else { return };
    let folder = tempfile::tempdir().unwrap();
    let from = old_file(folder.path(), 900);
    let to = kafka.uri(&crate::common::fresh("shown"));
    let shown = |more: &[&str]| {
        let mut program = command();
        program.args(["produce", "--from", &from, "--to", &to, "--time-field", "T", "--rate", "600"]).args(more);
        shown_on_terminal(program)
    };
    let said = shown(&[]);
    for part in [" %  ", "KiB of ", " records/s", " left", " records produced, ", "done: 900 records produced"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(said.find("done: 900").unwrap() > said.rfind(" left").unwrap(), "the bar is gone then: {said}");
    let limited = shown(&["--limit", "800"]);
    assert!(limited.contains(" of 800 records"), "{limited}");
    assert_eq!(shown(&["--quiet"]), "");
}

#[test]
fn brokers_that_are_down_are_told_of_and_have_a_deadline() {
    let Some(own) = OwnKafka::start("brokers that are down") else { return };
    let to = own.kafka.uri("down");
    let args = ["--from", "sim:?rate=100&history=1m", "--to", &to, "-X", "message.timeout.ms=12000"];
    let mut producing = Program::producing(&args, &[]);
    producing.until("it writes", PATIENCE, |producing| producing.said().contains(" -> "));
    own.kill();
    producing
        .until("it says so", PATIENCE, |producing| producing.said().contains("no record was acknowledged for 5 s"));
    let ended = producing.ended(PATIENCE);
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    for part in ["wait: ", "records were acknowledged before", "message.timeout.ms"] {
        assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said);
    }
}

#[test]
fn a_record_that_the_topic_does_not_take_is_no_trouble_of_the_network() {
    let Some(kafka) = Kafka::of_tests("a record too large") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jsonl");
    std::fs::write(&path, format!("{{\"symbol\":\"A\",\"x\":\"{}\"}}\n", "x".repeat(5000))).unwrap();
    let from = format!("file:{}", path.display());
    let topic = kafka.topic("small", 1, &[("max.message.bytes", "1000")]);
    let to = kafka.uri(&topic);
    let ended = Program::produce(&["--from", &from, "--to", &to, "--stamp", "now", "-X", "compression.codec=none"]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    assert!(ended.said.contains("max.message.bytes of the topic"), "{}", ended.said);
    let here = ["--from", &from, "--to", &to, "--stamp", "now", "-X", "message.max.bytes=1000"];
    let ended = Program::produce(&here);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    assert!(ended.said.contains("-X message.max.bytes"), "{}", ended.said);
}
