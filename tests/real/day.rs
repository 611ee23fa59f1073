//! A day of a simulated market over a topic, a bucket and a table: verified by both arithmetics, damaged in every way that is promised to be
//! found, and mended to the bytes that the run had written, also where the repair is killed.

use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::seed;
use minutely_dataflows::time::{EventTime, SECOND};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const BEGAN: EventTime = EventTime(1_767_600_000 * SECOND);
/// Two a second for a day.
const RECORDS: i64 = 172_800;
const HOUR: i64 = 3600 * SECOND;

/// A job, and how its commands are called.
struct Job<'a> {
    folder: &'a Path,
    options: Vec<String>,
    token: &'a str,
}

impl Job<'_> {
    fn args(&self, more: &[&str]) -> Vec<String> {
        self.options.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    fn prepared(&self, what: &str, more: &[&str]) -> std::process::Command {
        let mut command = command();
        command.arg(what).args(self.args(more)).arg("--data").arg(self.folder).env("INFLUX_TOKEN", self.token);
        command.stdin(Stdio::null());
        command
    }

    /// The report, after this exit code.
    fn look(&self, what: &str, more: &[&str], code: i32) -> Value {
        let output = self.prepared(what, &[more, &["--json"]].concat()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{what}: {e}: {said}"));
        assert_eq!(output.status.code(), Some(code), "{what} {more:?}: {report:#}{said}");
        report
    }

    fn table(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.folder.join("minutes.db")).unwrap();
        let mut names = db.prepare("SELECT name FROM pragma_table_info('minutes')").unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let kept = names.filter(|name| !["chain", "generation", "seq"].contains(&name.as_str())).collect::<Vec<_>>();
        let sql = format!("SELECT {} FROM minutes ORDER BY minute, symbol", kept.join(", "));
        let mut rows = db.prepare(&sql).unwrap();
        let cells = |row: &rusqlite::Row<'_>| {
            Ok((0..kept.len()).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join(" "))
        };
        rows.query_map([], cells).unwrap().map(Result::unwrap).collect()
    }
}

/// Of a sink and kind of rows: missing, different, extra.
fn faults(report: &Value, sink: usize) -> [i64; 3] {
    ["missing", "different", "extra"].map(|what| report["sinks"][sink][what].as_i64().unwrap())
}

#[test]
fn a_day_of_the_market_is_verified_damaged_and_mended() {
    let what = "a day that is verified";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::of_tests(what)) else { return };
    let (mut rng, folder) = (seed(), tempfile::tempdir().unwrap());
    let topic = kafka.topic("day", 3, &[]);
    let writer = kafka.writer(&topic);
    for n in 0..RECORDS {
        // Out of order by up to 20 s; one in a thousand is late, and one is broken.
        let back = if rng.u16(..1000) == 0 { 40 * 60 * SECOND } else { rng.i64(0..20 * SECOND) };
        let (partition, time) = (i32::try_from(n % 3).unwrap(), BEGAN.plus(n * SECOND / 2 - back));
        match rng.u16(..1000) {
            0 => writer.send(partition, None, Some(b"{\"symbol\":"), time.0 / 1_000_000),
            _ => writer.tick(partition, &format!("S{}", n % 8), 10_000 + rng.i64(0..500), time),
        }
    }
    writer.flush();
    let db = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let options =
        ["--source", &kafka.uri(&topic), "--sink", &influx.uri(), "--sink", &db, "--job", "day", "--windows", "1h"];
    let options = options.map(str::to_owned).into();
    let job = Job { folder: folder.path(), options, token: &influx.token };
    let run = job.args(&["--until-end", "--close", "-w", "2", "--as-of", "2026-03-01T00:00:00Z"]);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    let ended = Program::start(job.folder, &run, &[("INFLUX_TOKEN", &influx.token)]).ended(PATIENCE).well();
    assert!(ended.done("counted") > RECORDS - 2000, "{}", ended.said);

    let report = job.look("verify", &[], 0);
    let (minutes, rows) = (report["minutes"].as_i64().unwrap(), report["sinks"][0]["equal"].as_i64().unwrap());
    assert!(minutes >= 1439 && rows > 8 * 1400 && report["sinks"].as_array().unwrap().len() == 4, "{report:#}");
    assert!(report["digests"]["compared"].as_i64().unwrap() > 1300, "{report:#}");
    assert_eq!(job.look("verify", &["--independent"], 0)["sinks"][0]["equal"], rows);
    // (Before the market began, only late records are in some minutes.)
    let sampled = job.look("verify", &["--sample", "30"], 0)["minutes"].as_i64().unwrap();
    assert!((25..=30).contains(&sampled), "{sampled}");
    assert!(job.look("verify", &["--since-final", "2h"], 0)["minutes"].as_i64().unwrap() <= 121);
    let (before, points, means) = (job.table(), influx.rows("minute"), influx.column("minute", "ema12"));

    // Single bits, rows that are deleted, rows that are added, and an hour as an older copy had it.
    let (first, symbol) = points.keys().next().unwrap().clone();
    let began = i64::try_from(first.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
    let at = |minute: i64| began + minute * 60_000_000_000;
    for minute in [100, 500, 1200] {
        influx.write(&format!("minute,symbol={symbol} high=1e9 {}", at(minute)));
    }
    influx.delete(at(300), at(310), "_measurement=\"minute\"");
    influx.write(&format!("minute,symbol=GHOST count=1i,sum=\"1\",avg=1 {}", at(700)));
    influx.write(&format!("window_1h,symbol={symbol} low=0.5 {}", began.div_euclid(HOUR) * HOUR + 3 * HOUR));
    let table = rusqlite::Connection::open(job.folder.join("minutes.db")).unwrap();
    let deleted = table.execute("DELETE FROM minutes WHERE symbol = ?1 AND minute LIKE '%:30:00Z'", [&symbol]).unwrap();
    let changed = table.execute("UPDATE minutes SET close = close + 1e-9 WHERE minute LIKE '%:15:00Z'", []).unwrap();
    drop(table);
    let report = job.look("verify", &[], 65);
    let of_bucket = faults(&report, 0);
    assert!((70..=88).contains(&of_bucket[0]) && of_bucket[1..] == [3, 1], "{report:#}");
    assert_eq!(faults(&report, 1), [0, 1, 0], "{report:#}");
    assert_eq!(faults(&report, 2)[0], deleted as i64, "{report:#}");
    // (A change below the last bit of a float is none.)
    assert!(faults(&report, 2)[1] > 0 && faults(&report, 2)[1] <= changed as i64, "{report:#}");
    assert_eq!(report["digests"]["different"].as_array().unwrap().len(), 0, "{report:#}");

    // Killed at random moments; the next one ends it.
    for round in 0..8 {
        let mut repair =
            job.prepared("repair", &["--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(rng.u64(5..300 + 200 * round)));
        repair.kill().unwrap();
        repair.wait().unwrap();
    }
    job.look("repair", &["--yes"], 0);
    job.look("verify", &[], 0);
    assert_eq!(job.table(), before, "the table has the bytes that the run had written");
    assert!(influx.rows("minute") == points && influx.column("minute", "ema12") == means, "and so has the bucket");
    let report = job.look("repair", &[], 0);
    assert!(report["sinks"].as_array().unwrap().iter().all(|sink| sink["rows_to_write"] == 0), "{report:#}");
}
