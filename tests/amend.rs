//! `minutely amend`, without servers: late letters are added to final minutes, exactly, once, whatever the order, and whenever it is killed.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use common::{rfc3339, seed};
use minutely_dataflows::record::PartitionName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PARTITIONS: usize = 3;
const MINUTES: i64 = 70;

/// Milliseconds of event time at this second of the log.
fn at(second: i64) -> i64 {
    hostile::BEGAN.0 / 1_000_000 + second * 1000
}

/// A tick a second in each file, out of order by up to five minutes; one of forty is twenty minutes late, and one of sixty is broken. With an
/// id, a late one may be the copy of one that counts.
fn write_log(folder: &Path, rng: &mut fastrand::Rng) {
    for partition in 0..PARTITIONS {
        let mut lines: Vec<String> = Vec::new();
        for second in 0..MINUTES * 60 {
            let back = match rng.u8(..40) {
                0 => 20 * 60,
                1..8 => rng.i64(0..300),
                _ => 0,
            };
            let (ts, symbol, price) = (at(second - back) + rng.i64(0..1000), rng.u8(..4), rng.i64(-50..100_000));
            lines.push(match rng.u8(..60) {
                0 => "{\"symbol\":".into(),
                1 => format!(r#"{{"symbol":"S{symbol}","price":"{price}e-3","ts":{ts}}}"#),
                _ => format!(
                    r#"{{"symbol":"S{symbol}","price":{}.{:02},"volume":{}.5,"ts":{ts},"id":"{}"}}"#,
                    price / 100,
                    price.abs() % 100,
                    rng.u32(..900),
                    rng.u32(..)
                ),
            });
        }
        // A series of which a minute has late records alone.
        lines.push(format!(r#"{{"symbol":"alone","price":7.25,"volume":2.5,"ts":{}}}"#, at(5 * 60)));
        std::fs::write(folder.join(format!("part-{partition}.jsonl")), lines.join("\n") + "\n").unwrap();
    }
}

/// A number at a scale of 0.001, as an integer.
fn milli(text: &str) -> i64 {
    if let Some(text) = text.strip_suffix("e-3") {
        return text.parse().unwrap();
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let part: i64 = format!("{part:0<3}").parse().unwrap();
    whole.parse::<i64>().unwrap() * 1000 + sign * part
}

/// A record that can be decoded, in thousandths.
struct Tick {
    time: i64,
    place: (u64, i64),
    value: i64,
    weight: Option<i64>,
}

/// All records of the log by minute and symbol: what counts, and what is late.
fn all_ticks(folder: &Path) -> BTreeMap<(String, String), Vec<Tick>> {
    let mut all: BTreeMap<(String, String), Vec<Tick>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let log = format!("part-{partition}.jsonl");
        let text = std::fs::read_to_string(folder.join(&log)).unwrap();
        let identity = PartitionName { log, number: None }.identity();
        for (offset, line) in (0..).zip(text.lines()) {
            let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
            let number = |value: &Value| milli(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let time = record["ts"].as_i64().unwrap();
            let minute = rfc3339(time.div_euclid(60_000) * 60_000_000_000);
            let weight = record.get("volume").map(number);
            let tick = Tick { time, place: (identity, offset), value: number(&record["price"]), weight };
            all.entry((minute, record["symbol"].as_str().unwrap().into())).or_default().push(tick);
        }
    }
    all.values_mut().for_each(|ticks| ticks.sort_by_key(|tick| (tick.time, tick.place)));
    all
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn ratio(above: i64, below: i64) -> f64 {
    assert!(above.abs() < 1 << 53 && below.abs() < 1 << 53);
    above as f64 / below as f64
}

/// An exact number of thousandths, as SQLite has it.
fn exact(milli: i64) -> String {
    let text = format!("{}{}.{:03}", if milli < 0 { "-" } else { "" }, milli.abs() / 1000, milli.abs() % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// count, sum, avg, open, high, low, close, volume, vwap.
type Numbers = (i64, String, f64, [f64; 4], Option<String>, Option<f64>);

fn numbers(ticks: &[Tick]) -> Numbers {
    let count = i64::try_from(ticks.len()).unwrap();
    let sum: i64 = ticks.iter().map(|tick| tick.value).sum();
    let price = |value: i64| ratio(value, 1000);
    let prices = [
        price(ticks[0].value),
        price(ticks.iter().map(|tick| tick.value).max().unwrap()),
        price(ticks.iter().map(|tick| tick.value).min().unwrap()),
        price(ticks[ticks.len() - 1].value),
    ];
    let weighed: Vec<(i64, i64)> = ticks.iter().filter_map(|tick| Some((tick.value, tick.weight?))).collect();
    let volume: i64 = weighed.iter().map(|(_, weight)| weight).sum();
    let weighted: i64 = weighed.iter().map(|(value, weight)| value * weight).sum();
    let vwap = (volume > 0).then(|| ratio(weighted, volume * 1000));
    (count, exact(sum), ratio(sum, count * 1000), prices, (!weighed.is_empty()).then(|| exact(volume)), vwap)
}

/// A row of the table of amended rows.
struct StoredRow {
    numbers: Numbers,
    state: String,
    letters: Vec<String>,
}

struct Job {
    dir: tempfile::TempDir,
    options: Vec<String>,
}

struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.said))
    }
}

impl Job {
    fn new(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Job { dir: tempfile::tempdir().unwrap(), options }
    }

    /// With a log that was read to its end.
    fn done(rng: &mut fastrand::Rng, options: &[&str]) -> Self {
        let job = Job::new(options);
        write_log(job.dir.path(), rng);
        job.run();
        job
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
            ("--as-of", rfc3339(hostile::BEGAN.0 + (MINUTES + 200) * 60_000_000_000)),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        own.chain(self.options.iter().cloned()).chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    fn run(&self) {
        let args = self.args(&[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Program::start(&self.path("data"), &args, &[]).ended(PATIENCE).well();
    }

    fn command(&self, what: &str, more: &[&str]) -> std::process::Command {
        let mut command = command();
        command.arg(what).args(self.args(more)).arg("--data").arg(self.path("data")).stdin(Stdio::null());
        command
    }

    fn look(&self, what: &str, more: &[&str]) -> Looked {
        let output = self.command(what, more).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Looked { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
    }

    fn amended(&self, more: &[&str]) -> Value {
        let looked = self.look("amend", &[&["--json"], more].concat());
        let report = looked.json();
        assert_eq!(looked.code, Some(0), "{report:#}{}", looked.said);
        report
    }

    fn letters_file(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.path("data/job")).unwrap().map(|entry| entry.unwrap().path());
        let mut files = entries.filter(|path| path.to_string_lossy().contains("dead-letters-"));
        files.next().unwrap()
    }

    /// The lines of late letters.
    fn late_lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.letters_file()).unwrap();
        text.lines().filter(|line| line.contains(r#""reason":"late""#)).map(str::to_owned).collect()
    }

    fn rows(&self) -> BTreeMap<(String, String), StoredRow> {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        let sql = "SELECT minute, symbol, count, sum_exact, avg, open, high, low, close, volume_exact, vwap, state, letters, \
                   letter_count FROM minutes_amended";
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            let prices = [row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?];
            let numbers = (row.get(2)?, row.get(3)?, row.get(4)?, prices, row.get(9)?, row.get(10)?);
            let letters: Vec<String> = row.get::<_, String>(12)?.split(' ').map(str::to_owned).collect();
            assert_eq!(usize::try_from(row.get::<_, i64>(13)?).unwrap(), letters.len());
            Ok(((row.get(0)?, row.get(1)?), StoredRow { numbers, state: row.get(11)?, letters }))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// All that the amended rows are, in both sinks.
    fn bytes(&self) -> (String, String) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        let mut statement = db.prepare("SELECT * FROM minutes_amended ORDER BY minute, symbol").unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut dump = String::new();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<_> = (0..width).map(|place| row.get::<_, rusqlite::types::Value>(place).unwrap()).collect();
            writeln!(dump, "{cells:?}").unwrap();
        }
        (dump, std::fs::read_to_string(self.path("minutes.amended.csv")).unwrap())
    }

    /// What writing leaves: how much of amended rows there is, and files beside them.
    fn traces(&self) -> (Option<i64>, Option<String>, Vec<bool>) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        let letters = db.query_row("SELECT sum(letter_count) FROM minutes_amended", [], |row| row.get(0));
        let beside = ["minutes.amended.csv.new"].map(|name| self.path(name).exists());
        (letters.unwrap_or(None), std::fs::read_to_string(self.path("minutes.amended.csv")).ok(), beside.to_vec())
    }

    /// The amended rows are gone.
    fn forget(&self) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        db.execute_batch("DROP TABLE IF EXISTS minutes_amended").unwrap();
        let _absent = std::fs::remove_file(self.path("minutes.amended.csv"));
    }

    fn own_rows(&self) -> (Vec<u8>, String) {
        let db = rusqlite::Connection::open(self.path("minutes.db")).unwrap();
        let sql = "SELECT group_concat(minute || symbol || sum_exact || count || avg || state, '|') FROM minutes";
        let dump = db.query_row(sql, [], |row| row.get(0)).unwrap();
        (std::fs::read(self.path("minutes.csv")).unwrap(), dump)
    }
}

/// Of the lines of letters: their places, by minute and symbol.
fn places(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<(String, String), Vec<(String, i64)>> = BTreeMap::new();
    for line in lines {
        let letter: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| letter[name].as_str().unwrap().to_owned();
        let minute = format!("{}:00Z", &text("event_time")[..16]);
        all.entry((minute, text("symbol"))).or_default().push((text("path"), letter["offset"].as_i64().unwrap()));
    }
    all.values_mut().for_each(|places| places.sort());
    let shown = |places: Vec<(String, i64)>| places.into_iter().map(|(path, at)| format!("{path}@{at}")).collect();
    all.into_iter().map(|(key, places)| (key, shown(places))).collect()
}

#[test]
fn amended_rows_are_of_all_records_of_their_minute() {
    let job = Job::done(&mut seed(), &["--metrics", "market", "-w", "2"]);
    let before = (job.own_rows(), job.look("digest", &[]).out);
    let shown = job.amended(&[]);
    assert_eq!((&shown["written"], shown["rows"].as_array().unwrap().len() > 60), (&false.into(), true), "{shown:#}");
    assert!(!job.path("minutes.amended.csv").exists(), "nothing is written without --yes");
    let report = job.amended(&["--yes"]);
    let late = job.late_lines();
    assert!(late.len() > 150, "{}", late.len());
    assert_eq!((&report["letters"], &report["amending"]), (&late.len().into(), &late.len().into()), "{report:#}");

    let (ticks, want, got) = (all_ticks(job.dir.path()), places(&late), job.rows());
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    for (key, row) in &got {
        assert_eq!(row.letters, want[key], "{key:?}");
        assert_eq!((&row.numbers, row.state.as_str()), (&numbers(&ticks[key]), "amended"), "{key:?}");
    }
    let alone = got.iter().find(|((_, symbol), _)| symbol == "alone").unwrap().1;
    assert_eq!((alone.numbers.0, alone.letters.len()), (3, 3), "a minute without a final row");
    // The file says the same.
    let (_, text) = job.bytes();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap().iter().next_back(), Some("letters"));
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), got.len());
    for (line, ((minute, symbol), row)) in lines.iter().zip(&got) {
        assert_eq!((&line[0], &line[1], &line[5]), (symbol.as_str(), minute.as_str(), "amended"));
        assert_eq!(line[2].parse::<i64>().unwrap(), row.numbers.0);
        assert_eq!(milli(&line[3]), milli(&row.numbers.1));
        assert_eq!(line[4].parse::<f64>().unwrap().to_bits(), row.numbers.2.to_bits());
        assert_eq!(line[13].split(' ').collect::<Vec<_>>(), row.letters);
    }
    // The run's own rows are as they were, verify finds them so, and the state has not changed.
    assert_eq!(before, (job.own_rows(), job.look("digest", &[]).out));
    let verified = job.look("verify", &[]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.said);
    // Again: nothing is to be done. And a run that goes on is not disturbed.
    let bytes = job.bytes();
    let again = job.amended(&["--yes"]);
    for sink in again["sinks"].as_array().unwrap() {
        assert_eq!((&sink["new"], &sink["changed"], &sink["same"]), (&0.into(), &0.into(), &got.len().into()));
    }
    job.run();
    job.amended(&["--yes"]);
    assert!(job.bytes() == bytes, "the same bytes");
    // A person reads of the first rows.
    let text = job.look("amend", &[]).out;
    assert!(text.contains("are there as they should be") && !text.contains("--yes"), "{text}");
}

#[test]
fn files_may_be_split_overlap_and_come_in_any_order() {
    let mut rng = seed();
    let job =
        Job::done(&mut rng, &["--metrics", "market", "--id-field", "id", "--value-min", "1", "--value-max", "990"]);
    job.amended(&["--yes"]);
    let want = job.bytes();
    let late = job.late_lines();
    for _ in 0..3 {
        job.forget();
        let mut parts: Vec<Vec<String>> = vec![Vec::new(); 4];
        for line in &late {
            parts[rng.usize(..4)].push(line.clone());
            if rng.u8(..3) == 0 {
                parts[rng.usize(..4)].push(line.clone());
            }
        }
        rng.shuffle(&mut parts);
        for (number, part) in parts.iter_mut().enumerate() {
            rng.shuffle(part);
            let file = job.path(&format!("copy-{number}.jsonl"));
            std::fs::write(&file, part.join("\n") + "\n").unwrap();
            job.amended(&["--yes", "--from-dead-letters", &file.display().to_string()]);
        }
        assert!(job.bytes() == want, "the same bytes");
    }
    // A range of minutes, and then the others.
    job.forget();
    let middle = rfc3339(hostile::BEGAN.0 + 20 * 60_000_000_000);
    let part = job.amended(&["--yes", "--from", &middle]);
    assert!(part["letters_not_asked_for"].as_u64().unwrap() > 0 && job.bytes() != want, "{part:#}");
    job.amended(&["--yes", "--to", &middle]);
    assert!(job.bytes() == want, "the same bytes");
    // One sink that lost its rows gets them from the letters of the other.
    std::fs::remove_file(job.path("minutes.amended.csv")).unwrap();
    job.amended(&["--yes", "--from-dead-letters", &job.path("copy-0.jsonl").display().to_string()]);
    let (dump, text) = job.bytes();
    assert!(dump == want.0, "the same rows");
    assert!(text.lines().all(|line| want.1.contains(line)), "{text}");
}

#[test]
fn a_kill_at_any_time_leaves_what_another_amend_completes() {
    let mut rng = seed();
    let job = Job::done(&mut rng, &["--metrics", "market"]);
    let late = job.late_lines();
    let whole = Job { dir: tempfile::tempdir().unwrap(), options: job.options.clone() };
    for partition in 0..PARTITIONS {
        let name = format!("part-{partition}.jsonl");
        std::fs::copy(job.path(&name), whole.path(&name)).unwrap();
    }
    whole.run();
    whole.amended(&["--yes"]);
    let want = whole.bytes();
    // Killed ever later, until a kill came when it had begun to write and had not ended, twice.
    let (deadline, mut sleep, mut written) = (Instant::now() + PATIENCE, Duration::from_millis(2), 0);
    let file = job.path("part.jsonl.dead");
    let mut parts = late.chunks(late.len() / 20 + 1).cycle();
    while written < 2 {
        assert!(Instant::now() < deadline, "no kill met a write");
        let part = parts.next().unwrap();
        std::fs::write(&file, part.join("\n") + "\n").unwrap();
        let before = job.traces();
        let mut child = job.command("amend", &["--yes", "--from-dead-letters", &file.display().to_string()]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(sleep + Duration::from_micros(rng.u64(..2000)));
        let at_work = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        sleep = if at_work { sleep + Duration::from_millis(2) } else { Duration::from_millis(2) };
        written += u32::from(at_work && job.traces() != before);
        if !at_work {
            // (So that there is something to be written again.)
            job.forget();
        }
    }
    job.amended(&["--yes"]);
    assert!(job.bytes() == want, "the same bytes");
    assert!(!job.path("minutes.amended.csv.new").exists(), "what a kill left is gone");
}

#[test]
fn what_cannot_be_amended_is_told_and_nothing_is_guessed() {
    let job = Job::done(&mut seed(), &[]);
    let late = job.late_lines();
    let file = job.path("others.dead");
    let amended = |lines: &[String]| {
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        job.look("amend", &["--json", "--yes", "--from-dead-letters", &file.display().to_string()])
    };
    let edited = |line: &str, edit: &dyn Fn(&mut Value)| {
        let mut letter: Value = serde_json::from_str(line).unwrap();
        edit(&mut letter);
        letter.to_string()
    };
    let counts = {
        // A record that counts, as a run with another lateness would have set it aside.
        let text = std::fs::read_to_string(job.path("part-0.jsonl")).unwrap();
        let (offset, line) = (0_i64..).zip(text.lines()).find(|(_, line)| line.contains("volume")).unwrap();
        let record: Value = serde_json::from_str(line).unwrap();
        let time = record["ts"].as_i64().unwrap();
        edited(&late[0], &|letter| {
            letter["path"] = "part-0.jsonl".into();
            letter["offset"] = offset.into();
            letter["symbol"] = record["symbol"].clone();
            letter["value"] = exact(milli(&record["price"].to_string())).into();
            letter["event_time"] =
                format!("{}.{:03}000000Z", &rfc3339(time / 1000 * 1_000_000_000)[..19], time % 1000).into();
            use base64::Engine;
            letter["raw"] = base64::engine::general_purpose::STANDARD.encode(line).into();
        })
    };
    let lines = [
        late[0].clone(),
        edited(&late[1], &|letter| letter["value"] = "1.5".into()),
        edited(&late[2], &|letter| letter["path"] = "part-9.jsonl".into()),
        edited(&late[3], &|letter| letter["raw"] = "e30=".into()),
        edited(&late[4], &|letter| letter["offset"] = 1_000_000.into()),
        "no letter".to_owned(),
        counts,
    ];
    let looked = amended(&lines);
    let report = looked.json();
    assert_eq!((looked.code, &report["amending"]), (Some(65), &1.into()), "{report:#}{}", looked.said);
    let why: Vec<&str> = report["left_out"].as_array().unwrap().iter().map(|of| of["why"].as_str().unwrap()).collect();
    for part in [
        "not what it says of itself",
        "a partition that the state does not have",
        "does not decode",
        "newer than the state",
        "is no dead letter",
        "counts in this job",
    ] {
        assert!(why.iter().any(|why| why.contains(part)), "{part}: {why:?}");
    }
    assert!(looked.said.contains("5 letters cannot be amended"), "{}", looked.said);
    assert_eq!(job.rows().len(), 1);

    // Places of others are refused, and stay as they are.
    let refused = |parts: &[&str]| {
        let looked = job.look("amend", &["--yes"]);
        assert_eq!(looked.code, Some(64), "{}{}", looked.out, looked.said);
        parts.iter().for_each(|part| assert!(looked.said.contains(part), "{part}: {}", looked.said));
    };
    let csv = std::fs::read(job.path("minutes.amended.csv")).unwrap();
    std::fs::write(job.path("minutes.amended.csv"), "a,b\n1,2\n").unwrap();
    refused(&["minutes.amended.csv", "has other columns", "move it away"]);
    std::fs::write(job.path("minutes.amended.csv"), csv).unwrap();
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    let sql = |text: &str| db.execute_batch(text).unwrap();
    sql("UPDATE owners SET job = 'other', semantics = 'x' WHERE name = 'minutes_amended'");
    refused(&["minutes_amended belongs to job other"]);
    sql("DELETE FROM owners WHERE name = 'minutes_amended'");
    refused(&["minutes_amended was not made for amended rows"]);
    sql("DROP TABLE minutes_amended");
    job.amended(&["--yes"]);
    let looked = job.look("amend", &["--sink", "csv:elsewhere.csv"]);
    assert!(looked.code == Some(64) && looked.said.contains("the state knows no such sink"), "{}", looked.said);
    // A letter that a row has, and that the log has otherwise now, leaves the row alone.
    let after = rfc3339(hostile::BEGAN.0 + 10 * 60_000_000_000);
    let text = std::fs::read_to_string(job.path("part-0.jsonl")).unwrap();
    let (other, _) = text.lines().enumerate().find(|(_, line)| line.contains("volume")).unwrap();
    sql(&format!("UPDATE minutes_amended SET letters = 'part-0.jsonl@{other} ' || letters WHERE minute >= '{after}'"));
    let bytes = job.bytes();
    let looked = job.look("amend", &["--yes", "--json"]);
    assert_eq!(looked.code, Some(65), "{}", looked.said);
    assert!(looked.out.contains("which is of another minute or symbol in this log"), "{}", looked.out);
    assert!(job.bytes() == bytes, "no row is changed");
}

#[test]
fn elements_ids_and_cleaning_are_judged_as_a_run_would() {
    let options = [
        "--each",
        "/data",
        "--symbol-field",
        "@message/s",
        "--value-field",
        "p",
        "--time-field",
        "t",
        "--weight-field",
        "",
        "--id-field",
        "id",
        "--value-max",
        "100",
    ];
    let job = Job::new(&options);
    let record = |events: &[(i64, &str, &str)]| {
        let events: Vec<String> = events
            .iter()
            .map(|(second, price, id)| format!(r#"{{"p":{price},"t":{},"id":"{id}"}}"#, at(*second)))
            .collect();
        format!(r#"{{"s":"X","data":[{}]}}"#, events.join(","))
    };
    let lines = [
        record(&[(30, "10.5", "a"), (40, "20", "b")]),
        record(&[(3600, "50", "c")]),
        // Late: a copy of one that counts, two of one id, one out of bounds, and one of another minute.
        record(&[(40, "20", "b"), (3601, "51", "d"), (50, "1.25", "e"), (50, "1.25", "e"), (55, "100.5", "f")]),
        record(&[(100, "3", "g"), (50, "9", "e")]),
    ];
    std::fs::write(job.path("part-0.jsonl"), lines.join("\n") + "\n").unwrap();
    job.run();
    let report = job.amended(&["--yes"]);
    assert_eq!((&report["letters"], &report["amending"]), (&6.into(), &2.into()), "{report:#}");
    let rows = job.rows();
    let minute = |number: i64| rfc3339(hostile::BEGAN.0 + number * 60_000_000_000);
    let row = &rows[&(minute(0), "X".to_owned())];
    assert_eq!((row.numbers.0, row.numbers.1.as_str()), (3, "31.75"));
    assert_eq!(row.letters, ["part-0.jsonl@2#2"]);
    assert_eq!(row.numbers.2.to_bits(), ratio(31_750, 3000).to_bits());
    let row = &rows[&(minute(1), "X".to_owned())];
    assert_eq!(
        (row.numbers.0, row.numbers.1.as_str(), row.letters.as_slice()),
        (1, "3", &["part-0.jsonl@3#0".to_owned()][..])
    );
    let count = |why: &str| {
        let all = report["left_out"].as_array().unwrap();
        all.iter().find(|of| of["why"].as_str().unwrap().contains(why)).map(|of| of["count"].clone())
    };
    assert_eq!((count("its id came before"), count("out of bounds")), (Some(json!(3)), Some(json!(1))), "{report:#}");
}

#[test]
fn letters_of_another_log_are_told_and_a_letter_counts_once_however_often_it_is_given() {
    let job = Job::done(&mut seed(), &[]);
    let late = job.late_lines();
    let file = job.path("others.dead");
    let given = file.display().to_string();
    let edited = |line: &str, offset: i64| {
        let mut letter: Value = serde_json::from_str(line).unwrap();
        letter["offset"] = offset.into();
        letter.to_string()
    };
    // Places that have another record, or lie before the log.
    std::fs::write(&file, [edited(&late[0], 1), edited(&late[1], -7)].join("\n") + "\n").unwrap();
    let looked = job.look("amend", &["--json", "--yes", "--from-dead-letters", &given]);
    let report = looked.json();
    assert_eq!((looked.code, &report["amending"]), (Some(65), &0.into()), "{report:#}{}", looked.said);
    for of in report["left_out"].as_array().unwrap() {
        assert!(of["why"].as_str().unwrap().contains("is of another log"), "{report:#}");
    }
    assert!(!job.path("minutes.amended.csv").exists(), "{report:#}");
    // One letter, in one file that is given twice; then others of the same rows, beside it.
    std::fs::write(&file, late[0].clone() + "\n").unwrap();
    let twice = job.amended(&["--yes", "--from-dead-letters", &given, "--from-dead-letters", &given]);
    assert_eq!((&twice["letters"], &twice["amending"]), (&1.into(), &1.into()), "{twice:#}");
    job.amended(&["--yes"]);
    let again = job.amended(&["--yes", "--from-dead-letters", &given]);
    let (amending, beside) = (&again["amending"], again["in_rows_beside"].as_u64().unwrap());
    let listed = again["rows"][0]["letter_count"].as_u64().unwrap();
    assert_eq!((amending, beside), (&1.into(), listed - 1), "{again:#}");
    // A report that nobody can read says what is done.
    job.forget();
    match std::fs::OpenOptions::new().write(true).open("/dev/full") {
        Ok(full) if !full.metadata().unwrap().is_file() => {
            let output = job.command("amend", &["--yes"]).stdout(full).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(69), "{said}");
            assert!(said.contains("the amended rows are written"), "{said}");
            assert!(!job.rows().is_empty());
        }
        _ => println!("LEFT OUT: a report on a full disk (tool /dev/full)"),
    }
    // The run's own letters that are gone: 69. A file that is named, and is none: 64.
    let own = job.letters_file();
    std::fs::rename(&own, job.path("away")).unwrap();
    let looked = job.look("amend", &[]);
    assert_eq!(looked.code, Some(69), "{}", looked.said);
    std::fs::rename(job.path("away"), &own).unwrap();
    let looked = job.look("amend", &["--from-dead-letters", &job.path("away").display().to_string()]);
    assert_eq!(looked.code, Some(64), "{}", looked.said);
}

#[test]
fn verify_compares_amended_rows_with_the_log_and_their_letters() {
    let job = Job::done(&mut seed(), &["--metrics", "market"]);
    job.amended(&["--yes"]);
    let rows = job.rows();
    let verified = |code: i32| {
        let looked = job.look("verify", &["--json"]);
        assert_eq!(looked.code, Some(code), "{}{}", looked.out, looked.said);
        looked.json()["amended"].clone()
    };
    let counts = |of: &Value| ["equal", "different", "extra", "unverifiable"].map(|name| of[name].as_u64().unwrap());
    let all = rows.len() as u64;
    let report = verified(0);
    assert_eq!([counts(&report[0]), counts(&report[1])], [[all, 0, 0, 0]; 2], "{report:#}");
    // One number, one letter less, and a row that names a record of another minute.
    let db = rusqlite::Connection::open(job.path("minutes.db")).unwrap();
    let changed = db.execute("UPDATE minutes_amended SET volume = volume + 0.5 WHERE symbol = 'alone'", []).unwrap();
    assert_eq!(changed, 1);
    let ((minute, symbol), row) = rows.iter().find(|(key, row)| key.1 != "alone" && row.letters.len() > 1).unwrap();
    let less = row.letters[1..].join(" ");
    let sql = "UPDATE minutes_amended SET letters = ?1 WHERE minute = ?2 AND symbol = ?3";
    assert_eq!(db.execute(sql, (&less, minute, symbol)).unwrap(), 1);
    let other = rows.keys().find(|key| key.1 != "alone" && (&key.0, &key.1) != (minute, symbol)).unwrap();
    let sql = "UPDATE minutes_amended SET letters = ?1, letter_count = 1 WHERE minute = ?2 AND symbol = ?3";
    assert_eq!(db.execute(sql, (&row.letters[0], &other.0, &other.1)).unwrap(), 1);
    let report = verified(65);
    assert_eq!([counts(&report[0]), counts(&report[1])], [[all - 3, 2, 1, 0], [all, 0, 0, 0]], "{report:#}");
    let findings = report[0]["findings"].as_array().unwrap();
    let why = |symbol: &str| {
        let of = findings.iter().find(|of| of["symbol"] == symbol).unwrap();
        of["why"].as_str().unwrap().to_owned()
    };
    assert!(why("alone").contains("volume is 8, by the log and its letters 7.5"), "{report:#}");
    let text = job.look("verify", &[]).out;
    let line = format!("minutes.db, amended: {} equal, 2 different, 1 extra", all - 3);
    assert!(text.contains(&line) && text.contains("is of another minute or symbol"), "{text}");
    // Amend makes them right again.
    job.forget();
    job.amended(&["--yes"]);
    verified(0);
}
