//! `minutely explain`, without servers: what it says of a minute is what the oracle says, and what somebody changed in a sink is marked.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use common::rows::{Wanted, exceptions, letters};
use common::{draw_rule, rfc3339, rule_args, seed};
use hostile::{Kind, Partition};
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::oracle::{Judgement, OraclePartition};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{Cause, DeadLetter};
use minutely_dataflows::time::{EventTime, SECOND, WindowStart};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How `minutely explain` ended.
struct Explained {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Explained {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.said))
    }
}

/// A folder with a log, and a job that reads it.
struct Job {
    dir: tempfile::TempDir,
    options: Vec<String>,
}

impl Job {
    fn new(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Job { dir: tempfile::tempdir().unwrap(), options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        let own = [
            ("--source", format!("file:{}", path("part-*.jsonl"))),
            ("--sink", format!("sqlite:{}", path("minutes.db"))),
            ("--sink", format!("csv:{}", path("minutes.csv"))),
            ("--job", "job".into()),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        own.chain(self.options.iter().cloned()).chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    fn run(&self, more: &[&str]) {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Program::start(&self.path("data"), &args, &[]).ended(PATIENCE).well();
    }

    fn explain(&self, symbol: &str, minute: &str, more: &[&str]) -> Explained {
        let mut command = command();
        command.arg("explain").args(self.args(more)).arg("--data").arg(self.path("data")).args(["--", symbol, minute]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Explained { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    /// What is told with this exit code, as JSON.
    fn told(&self, code: i32, symbol: &str, minute: &str, more: &[&str]) -> Value {
        let explained = self.explain(symbol, minute, &[&["--json"], more].concat());
        let json = explained.json();
        assert_eq!(explained.code, Some(code), "{json:#}{}", explained.said);
        json
    }

    fn sql(&self, text: &str) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        assert_eq!(db.execute(text, []).unwrap(), 1, "{text}");
    }
}

/// A time of JSON, in nanoseconds.
fn ns(value: &Value) -> i64 {
    let stamp: jiff::Timestamp = value.as_str().unwrap_or_else(|| panic!("{value} is no time")).parse().unwrap();
    i64::try_from(stamp.as_nanosecond()).unwrap()
}

// --- the oracle's own account ---------------------------------------------------------------------------------------

type Place = (String, i64, Option<u32>);

/// Of one minute of one symbol.
#[derive(Debug, Default, PartialEq)]
struct Account {
    /// By partition: first and last offset, and how many.
    spans: BTreeMap<String, (i64, i64, i64)>,
    /// Those that are judged, with their reasons.
    judged: BTreeMap<Place, String>,
    /// Those between the first and the last that cannot be decoded.
    rejected: BTreeMap<Place, String>,
}

/// Each window of each symbol; and by partition, how H rose: offset and H.
struct Accounts {
    minutes: BTreeMap<(WindowStart, String), Account>,
    rises: BTreeMap<String, Vec<(i64, EventTime)>>,
}

impl Accounts {
    /// Reads each partition from its beginning, and keeps all that it finds.
    fn of(log: &[Partition], rule: &Rule, listed: &[DeadLetter]) -> Self {
        let decoder = Decoder::new(&FieldNames::default()).unwrap();
        let mut exceptions = OraclePartition::exceptions(listed);
        let mut all = Accounts { minutes: BTreeMap::new(), rises: BTreeMap::new() };
        for partition in log {
            let name = partition.name.to_string();
            let of_partition = exceptions.remove(&partition.name).unwrap_or_default();
            let mut judge = OraclePartition::new(&partition.name, &decoder, rule, of_partition, None);
            let mut rejected: Vec<(Place, String)> = Vec::new();
            for record in &partition.records {
                let before = judge.h();
                let judged = judge.record(&record.lend(), |judgement| match judgement {
                    Judgement::Counts(window, _, event) => {
                        let account = all.minutes.entry((window, event.symbol.to_string())).or_default();
                        let new = (record.offset, record.offset, 0);
                        let span = account.spans.entry(name.clone()).or_insert(new);
                        *span = (span.0, record.offset, span.2 + 1);
                    }
                    Judgement::DeadLetter(element, cause) => {
                        let place = (name.clone(), record.offset, element.map(|element| element.index));
                        match cause {
                            Cause::Judged(reason, judged) => {
                                let window = rule.windowing.window_of(judged.time);
                                let account = all.minutes.entry((window, judged.symbol)).or_default();
                                account.judged.insert(place, reason.name().to_owned());
                            }
                            Cause::Rejected(why) => rejected.push((place, why.reason.name().to_owned())),
                        }
                    }
                });
                judged.unwrap();
                if judge.h() != before {
                    all.rises.entry(name.clone()).or_default().push((record.offset, judge.h().unwrap()));
                }
            }
            for account in all.minutes.values_mut() {
                let Some((first, last, _)) = account.spans.get(&name) else { continue };
                let between = rejected.iter().filter(|((_, offset, _), _)| first < offset && offset < last);
                account.rejected.extend(between.cloned());
            }
        }
        all
    }

    /// By which record H of a partition came to this time.
    fn passed(&self, partition: &str, at: EventTime) -> Option<(i64, EventTime)> {
        self.rises.get(partition)?.iter().find(|(_, h)| *h >= at).copied()
    }
}

fn place(one: &Value) -> Place {
    let element = one["element"].as_u64().map(|element| u32::try_from(element).unwrap());
    (one["partition"].as_str().unwrap().to_owned(), one["offset"].as_i64().unwrap(), element)
}

/// What is told of a minute is the account of it.
fn same_account(told: &Value, account: &Account) {
    let mut spans = BTreeMap::new();
    for of in told["partitions"].as_array().unwrap() {
        let n = |name: &str| of[name].as_i64();
        match n("records").unwrap() {
            0 => assert!(n("first").is_none() && n("last").is_none(), "{of:#}"),
            count => {
                let span = (n("first").unwrap(), n("last").unwrap(), count);
                spans.insert(of["partition"].as_str().unwrap().to_owned(), span);
            }
        }
    }
    assert_eq!(spans, account.spans, "{told:#}");
    let uncounted = told["uncounted"].as_array().unwrap();
    let those = |decoded: bool| -> BTreeMap<Place, String> {
        let some = uncounted.iter().filter(|one| one["event_time"].is_null() != decoded);
        some.map(|one| (place(one), one["reason"].as_str().unwrap().to_owned())).collect()
    };
    assert_eq!((those(true), &those(false)), (account.judged.clone(), &account.rejected), "{told:#}");
    assert_eq!(told["more_uncounted"], 0);
}

fn write(folder: &Path, log: &[Partition]) {
    for partition in log {
        let lines = partition.records.iter().map(|record| record.payload.as_deref().unwrap());
        let text: Vec<u8> = lines.flat_map(|line| [line, b"\n"].concat()).collect();
        std::fs::write(folder.join(&partition.name.log), text).unwrap();
    }
}

#[test]
fn of_hostile_files_it_tells_what_the_oracle_finds_at_1_and_4_workers() {
    let mut rng = seed();
    for workers in ["1", "4"] {
        let rule = draw_rule(&mut rng);
        let log = hostile::log(&mut rng, Kind::File, &rule, 4, 2000);
        let as_of = hostile::BEGAN.plus(1800 * SECOND);
        let mut options = rule_args(&rule);
        options.extend(["--as-of", &rfc3339(as_of.0), "-w", workers].map(str::to_owned));
        let job = Job { dir: tempfile::tempdir().unwrap(), options };
        write(job.dir.path(), &log);
        job.run(&[]);
        let listed = exceptions(&letters(&job.path("data")));
        let (wanted, accounts) = (Wanted::with(&log, &rule, &listed, true), Accounts::of(&log, &rule, &listed));
        let keys: Vec<_> = accounts.minutes.keys().collect();
        let mut passed = BTreeSet::new();
        for _ in 0..12 {
            let (window, symbol) = keys[rng.usize(..keys.len())];
            eprintln!("{symbol} {}", rfc3339(window.0));
            let told = job.told(0, symbol, &rfc3339(window.0 + rng.i64(0..rule.windowing.length)), &[]);
            assert_eq!((&told["symbol"], ns(&told["minute"])), (&symbol.as_str().into(), window.0));
            same_account(&told, &accounts.minutes[&(*window, symbol.clone())]);
            match wanted.rows.get(&(rfc3339(window.0), symbol.clone())) {
                None => assert!(told["row"].is_null(), "{told:#}"),
                Some(row) => {
                    let of = |name: &str| &told["row"][name];
                    assert_eq!((of("count"), of("sum")), (&row.count.into(), &row.sum.as_str().into()), "{told:#}");
                    assert_eq!(told["state"], row.state.as_str(), "{told:#}");
                }
            }
            // (Of a minute of which nothing counts W may know nothing: that of a record from the future.)
            let is_settled = told["row"].is_object();
            for sink in told["sinks"].as_array().unwrap() {
                assert!(sink["is"] == "equal" || (!is_settled && sink["is"] == "not compared"), "{told:#}");
            }
            for (at, by) in [("end", "closed_by"), ("final_at", "final_by")] {
                let at = EventTime(ns(&told[at]));
                for of in told["partitions"].as_array().unwrap() {
                    let (name, by) = (of["partition"].as_str().unwrap(), &of[by]);
                    passed.insert(by["by"].as_str().unwrap().to_owned());
                    match accounts.passed(name, at) {
                        Some((offset, h)) => {
                            assert_eq!(
                                (&by["by"], by["offset"].as_i64()),
                                (&"record".into(), Some(offset)),
                                "{told:#}"
                            );
                            assert_eq!(ns(&by["watermark"]), h.0, "{told:#}");
                        }
                        // Its own records never came there: the end of a whole log is evidence.
                        None => {
                            assert!(by["by"] == "evidence" || (!is_settled && by["by"] == "not yet"), "{told:#}");
                        }
                    }
                }
            }
        }
        assert!(passed.contains("record"), "{passed:?}");
    }
}

// --- a log of ticks that are known one by one ------------------------------------------------------------------------

/// The start of a minute of the log.
fn minute(number: i64) -> String {
    rfc3339(hostile::BEGAN.0 + number * 60 * SECOND)
}

/// A line: a second of the log, a price, and more fields.
fn tick(symbol: &str, second: i64, price: &str, more: &str) -> String {
    let at = hostile::BEGAN.0 / 1_000_000 + second * 1000;
    format!("{{\"symbol\":\"{symbol}\",\"price\":{price},\"volume\":2.5,\"ts\":{at}{more}}}\n")
}

/// Ticks of two symbols, ten seconds apart, in this partition.
fn ticks(minutes: std::ops::Range<i64>) -> String {
    let mut text = String::new();
    for second in (minutes.start * 60..minutes.end * 60).step_by(10) {
        text += &tick("AAPL", second, &format!("{}.25", 100 + second % 7), "");
        text += &tick("MSFT", second + 1, "4", "");
    }
    text
}

const AS_OF: [&str; 2] = ["--as-of", "2027-01-05T15:00:00Z"];

#[test]
fn what_somebody_changed_in_a_sink_is_marked_there() {
    let job = Job::new(&[&AS_OF[..], &["--emit", "final"]].concat());
    std::fs::write(job.path("part-0.jsonl"), ticks(0..40)).unwrap();
    job.run(&[]);
    let at = minute(21);
    let well = job.explain("AAPL", &at, &[]);
    assert_eq!(well.code, Some(0), "{}{}", well.out, well.said);
    assert!(!well.out.contains('≠') && well.out.contains("records that count: 6\n"), "{}", well.out);
    assert!(well.out.starts_with(&format!("AAPL {at}: final by manifest ")), "{}", well.out);
    assert!(well.out.contains("  part-0.jsonl: 6, offsets 252 to 262\n"), "{}", well.out);
    job.sql(&format!("UPDATE minutes SET avg = avg + 1, sma5 = 7 WHERE minute = '{at}' AND symbol = 'AAPL'"));
    job.sql(&format!("DELETE FROM minutes WHERE minute = '{at}' AND symbol = 'MSFT'"));
    job.sql(&format!("UPDATE minutes SET symbol = 'GOOG' WHERE minute = '{}' AND symbol = 'MSFT'", minute(22)));
    let told = job.told(65, "AAPL", &at, &[]);
    let (db, csv) = (&told["sinks"][0], &told["sinks"][1]);
    assert_eq!((&db["is"], &csv["is"]), (&"different".into(), &"equal".into()), "{told:#}");
    let differ = |sink: &Value| -> Vec<Value> {
        sink["cells"].as_array().unwrap().iter().filter(|cell| cell["differs"] == true).cloned().collect()
    };
    let [avg, sma] = &differ(db)[..] else { panic!("{told:#}") };
    assert!(differ(csv).is_empty() && csv["cells"].as_array().unwrap().len() > 10, "{csv:#}");
    assert_eq!((&avg["column"], &sma["column"]), (&"avg".into(), &"sma5".into()));
    assert_eq!((&sma["sink"], &avg["log"]), (&7.0.into(), &told["row"]["avg"]), "{told:#}");
    assert_eq!(avg["sink"].as_f64().unwrap(), avg["log"].as_f64().unwrap() + 1.0);
    let text = job.explain("AAPL", &at, &[]);
    assert_eq!(text.code, Some(65));
    assert!(
        text.out.contains("minutes.db: different\n") && text.out.contains("  ≠ sma5 7, by the log "),
        "{}",
        text.out
    );
    assert!(text.said.contains("minutes.db") && !text.said.contains("minutes.csv"), "{}", text.said);
    let gone = job.told(65, "MSFT", &at, &[]);
    assert_eq!((&gone["sinks"][0]["is"], &gone["sinks"][1]["is"]), (&"missing".into(), &"equal".into()), "{gone:#}");
    let extra = job.told(65, "GOOG", &minute(22), &[]);
    assert_eq!((&extra["sinks"][0]["is"], &extra["row"]), (&"extra".into(), &Value::Null), "{extra:#}");
}

#[test]
fn records_are_told_one_by_one_and_a_time_of_day_is_enough() {
    let job = Job::new(&AS_OF);
    let evil = "\\u001b[31m";
    let mut text = ticks(0..30);
    text += &tick("EVIL", 29 * 60 + 30, "1e-3", &format!(",\"note\":\"{evil}\""));
    text += &tick("EVIL", 29 * 60 + 20, "\"2.5\"", "");
    std::fs::write(job.path("part-0.jsonl"), text).unwrap();
    std::fs::write(job.path("part-1.jsonl"), tick("EVIL", 29 * 60 + 1, "7", "")).unwrap();
    job.run(&[]);
    let of_day = &minute(29)[11..16];
    let told = job.told(0, "EVIL", of_day, &["--records"]);
    assert_eq!(told["minute"], minute(29), "{told:#}");
    let counted: Vec<&Value> =
        told["partitions"].as_array().unwrap().iter().flat_map(|of| of["counted"].as_array().unwrap()).collect();
    let values: Vec<&str> = counted.iter().map(|one| one["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["0.001", "2.5", "7"], "{told:#}");
    assert_eq!((&told["row"]["count"], &told["row"]["sum"]), (&3.into(), &"9.501".into()));
    assert_eq!((&counted[0]["offset"], &counted[0]["weight"]), (&360.into(), &"2.5".into()), "{told:#}");
    assert_eq!(ns(&counted[0]["event_time"]), hostile::BEGAN.0 + (29 * 60 + 30) * SECOND);
    assert!(counted[0]["payload"].as_str().unwrap().contains("\"price\":1e-3"), "{told:#}");
    let text = job.explain("EVIL", of_day, &["--records"]);
    assert!(text.out.contains("    offset 360: ") && text.out.contains(" value 0.001, weight 2.5  {"), "{}", text.out);
    let none = job.told(0, "EVIL", of_day, &[]);
    assert!(none["partitions"][0].get("counted").is_none(), "{none:#}");
}

#[test]
fn repeated_ids_and_cleaned_records_are_told_with_what_they_were_judged_by() {
    let job = Job::new(&[&AS_OF[..], &["--id-field", "id", "--value-max", "1000"]].concat());
    let mut text = String::new();
    for second in 0..1200 {
        text += &tick("AAPL", second, "10.5", &format!(",\"id\":{second}"));
    }
    // In minute 19: an id of minute 18, one of its own, a value that is too great, a line that is nothing, and one that counts.
    text += &tick("AAPL", 1199, "11", ",\"id\":1100");
    text += &tick("AAPL", 1199, "12", ",\"id\":1150");
    text += &tick("AAPL", 1199, "1000.5", ",\"id\":\"x\"");
    text += "{\"symbol\":\"AAPL\"\n";
    text += &tick("AAPL", 1199, "13", "");
    // Long after it, a late one.
    text += &tick("AAPL", 3600, "14", "");
    text += &tick("AAPL", 1198, "15", "");
    std::fs::write(job.path("part-0.jsonl"), text).unwrap();
    job.run(&[]);
    let told = job.told(0, "AAPL", &minute(19), &[]);
    let all = told["uncounted"].as_array().unwrap();
    let of = |n: usize, name: &str| all[n][name].as_str().unwrap().to_owned();
    let kinds: Vec<_> = (0..all.len()).map(|n| (all[n]["offset"].as_i64().unwrap(), of(n, "reason"))).collect();
    let want = [(1200, "duplicate"), (1201, "duplicate"), (1202, "bounds"), (1203, "json"), (1206, "late")];
    assert_eq!(kinds, want.map(|(offset, reason)| (offset, reason.to_owned())), "{told:#}");
    assert_eq!((of(0, "why"), of(0, "value")), ("its id is that of the record at offset 1100".into(), "11".into()));
    assert!(of(1, "why").ends_with("offset 1150") && of(2, "why") == "the bound is 1000", "{told:#}");
    assert!(
        of(3, "why").contains("expected ") && of(4, "why").starts_with("its partition's watermark was "),
        "{told:#}"
    );
    assert_eq!((of(4, "told_by"), of(2, "told_by")), ("dead letters".into(), "log".into()), "{told:#}");
    assert!(all.iter().all(|one| one["exception"] == false), "{told:#}");
    assert_eq!((&told["row"]["count"], &told["row"]["sum"]), (&61.into(), &"643".into()), "{told:#}");
    let by = &told["partitions"][0]["final_by"];
    assert_eq!((&by["by"], &by["offset"]), (&"record".into(), &1205.into()), "{told:#}");
}

/// A floor (R8) is no function of the log: which records it made late is read from the dead letters, and told so.
#[test]
fn what_a_floor_judged_is_an_exception_and_evidence_of_when_it_was_final() {
    let job = Job::new(&[&AS_OF[..], &["--close"]].concat());
    let path = job.path("part-0.jsonl");
    std::fs::write(&path, ticks(0..20)).unwrap();
    job.run(&[]);
    let told = job.told(0, "AAPL", &minute(19), &[]);
    let by = |told: &Value| told["partitions"][0]["final_by"]["by"].as_str().unwrap().to_owned();
    assert_eq!((by(&told), &told["state"]), ("evidence".to_owned(), &"final".into()), "{told:#}");
    // The log goes on where the first run has closed the minute.
    let late = tick("AAPL", 19 * 60 + 55, "77", "");
    std::fs::write(&path, ticks(0..20) + &late + &ticks(20..60)).unwrap();
    job.run(&[]);
    let told = job.told(0, "AAPL", &minute(19), &[]);
    let [one] = &told["uncounted"].as_array().unwrap()[..] else { panic!("{told:#}") };
    assert_eq!((&one["reason"], &one["exception"], &one["value"]), (&"late".into(), &true.into(), &"77".into()));
    assert!(one["why"].as_str().unwrap().contains("floor was"), "{told:#}");
    let final_by = &told["partitions"][0]["final_by"];
    assert_eq!((by(&told), &final_by["offset"]), ("evidence".to_owned(), &one["offset"]), "{told:#}");
    assert_eq!(told["row"]["count"], 6, "{told:#}");
    let text = job.explain("AAPL", &minute(19), &[]).out;
    assert!(
        text.contains("(an exception, R10)") && text.contains("by evidence of its end (R8) before offset"),
        "{text}"
    );
}

#[test]
fn a_minute_that_is_open_is_explained_as_far_as_it_is() {
    let job = Job::new(&[&AS_OF[..], &["--keep-open"]].concat());
    std::fs::write(job.path("part-0.jsonl"), ticks(0..30)).unwrap();
    std::fs::write(job.path("part-1.jsonl"), tick("MSFT", 1500, "8", "")).unwrap();
    job.run(&[]);
    let told = job.told(0, "AAPL", &minute(29), &[]);
    assert_eq!((&told["row"]["count"], &told["row"]["state"]), (&6.into(), &told["state"]), "{told:#}");
    assert_ne!(told["state"], "final", "{told:#}");
    assert!(told["partitions"].as_array().unwrap().iter().any(|of| of["final_by"]["by"] == "not yet"), "{told:#}");
    for sink in told["sinks"].as_array().unwrap() {
        assert!(["equal", "not compared"].contains(&sink["is"].as_str().unwrap()), "{told:#}");
    }
    let text = job.explain("AAPL", &minute(29), &[]).out;
    assert!(text.contains("not final yet: W is "), "{text}");
    // A minute in which nothing counts, of a symbol that is there.
    let none = job.told(0, "AAPL", &minute(300), &[]);
    assert_eq!((&none["row"], &none["partitions"][0]["records"]), (&Value::Null, &0.into()), "{none:#}");
}

/// Each version that was committed is in the audit trail, with the cut that committed it.
#[test]
fn its_history_has_each_version_that_was_committed() {
    let job = Job::new(&[&AS_OF[..], &["--keep-open"]].concat());
    let path = job.path("part-0.jsonl");
    // A run for each tick of minute 19, and one that makes it final.
    let mut text = ticks(0..19);
    for second in [0, 20, 40] {
        text += &tick("ONE", 19 * 60 + second, "1.5", "");
        std::fs::write(&path, &text).unwrap();
        job.run(&[]);
    }
    text += &ticks(20..60);
    std::fs::write(&path, &text).unwrap();
    job.run(&[]);
    let told = job.told(0, "ONE", &minute(19), &[]);
    let history = &told["history"];
    let versions: Vec<_> = history["versions"].as_array().unwrap().iter().collect();
    let counts: Vec<_> = versions.iter().map(|one| one["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [1, 2, 3], "{told:#}");
    assert_eq!((&versions[2]["sum"], &versions[2]["state"]), (&"4.5".into(), &"open".into()), "{told:#}");
    let seqs: Vec<_> = versions.iter().map(|one| one["manifest"].as_i64().unwrap()).collect();
    assert!(seqs.is_sorted() && history["since"].as_i64().unwrap() <= seqs[0], "{told:#}");
    assert!(history["final"]["manifest"].as_i64().unwrap() > seqs[2], "{told:#}");
    assert_eq!(history["final"]["waited_for"], "part-0.jsonl", "{told:#}");
    let said = job.explain("ONE", &minute(19), &[]).out;
    assert!(
        said.contains("history: 3 versions, known from manifest ") && said.contains("  final by manifest "),
        "{said}"
    );
    // A run that keeps no trail gives up what there is.
    text += &ticks(60..62);
    std::fs::write(&path, &text).unwrap();
    job.run(&["--audit", "0s"]);
    let told = job.told(0, "ONE", &minute(19), &["--audit", "0s"]);
    assert!(told["history"].is_null(), "{told:#}");
    assert!(job.explain("ONE", &minute(19), &[]).out.contains("history: unknown"), "{told:#}");
}

/// Its newest version is what the run has counted: where the log gives another number, it is not the log that was counted.
#[test]
fn a_minute_that_the_log_gives_otherwise_than_its_history_is_told() {
    let job = Job::new(&AS_OF);
    let path = job.path("part-0.jsonl");
    std::fs::write(&path, ticks(0..40)).unwrap();
    job.run(&[]);
    let at = minute(21);
    let told = job.told(0, "AAPL", &at, &[]);
    assert_eq!(told["history_is_of_another_log"], false, "{told:#}");
    assert_eq!(told["history"]["versions"].as_array().unwrap().last().unwrap()["sum"], told["row"]["sum"], "{told:#}");
    let line = tick("AAPL", 21 * 60 + 10, &format!("{}.25", 100 + (21 * 60 + 10) % 7), "");
    let text = ticks(0..40).replacen(&line, &line.replacen(".25", ".75", 1), 1);
    assert_ne!(text, ticks(0..40));
    std::fs::write(&path, text).unwrap();
    let told = job.told(65, "AAPL", &at, &[]);
    assert_eq!(told["history_is_of_another_log"], true, "{told:#}");
    let text = job.explain("AAPL", &at, &[]);
    assert!(text.out.contains("  ≠ the log is not the one that was counted"), "{}", text.out);
    assert!(text.said.contains("the log is not the one that was counted"), "{}", text.said);
    let other = job.told(0, "MSFT", &at, &[]);
    assert_eq!(other["history_is_of_another_log"], false, "{other:#}");
}

#[test]
fn what_is_not_known_is_said_with_what_is() {
    let job = Job::new(&AS_OF);
    let mut text = ticks(0..30);
    writeln!(text, "{}", tick("aapl", 25 * 60, "5", "").trim_end()).unwrap();
    std::fs::write(job.path("part-0.jsonl"), text).unwrap();
    let refused = |symbol: &str, at: &str, more: &[&str], part: &str| {
        let looked = job.explain(symbol, at, more);
        assert!(looked.code == Some(64) && looked.said.contains(part), "{part}: {:?} {}", looked.code, looked.said);
    };
    refused("AAPL", &minute(3), &[], "there is none");
    job.run(&[]);
    refused("AAPLE", &minute(12), &[], "there are AAPL");
    refused("AaPL", &minute(25), &[], "there are AAPL, aapl");
    refused("NOTHING", &minute(12), &[], "no record, dead letter or sink has it");
    refused("AAPL", "25:00", &[], "takes a time such as");
    refused("AAPL", &minute(3), &["--state", "none"], "keeps no state");
    refused("AAPL", &minute(3), &["--lateness", "11m"], "--lateness");
    let mut command = command();
    let output = command.args(["explain", "AAPL"]).args(job.args(&[])).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(64) && said.contains("takes a symbol and a minute"), "{said}");
}
