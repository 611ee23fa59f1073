//! `minutely repair` and `--sink-from earliest`, without servers: whatever is changed, deleted, added or put back, files and tables are
//! what the run has written, and the next run takes them.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program, command};
use common::{rfc3339, seed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

const PARTITIONS: usize = 2;
const MINUTES: i64 = 70;

/// A log in files, and a job that reads it.
struct Job {
    dir: tempfile::TempDir,
    sinks: Vec<String>,
    /// Further options of all its commands.
    options: Vec<String>,
}

/// How a command ended.
struct Looked {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Looked {
    fn is(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.said);
        self
    }

    fn says(&self, words: &str) -> &Self {
        assert!(
            self.out.contains(words) || self.said.contains(words),
            "`{words}` is not in: {}{}",
            self.out,
            self.said
        );
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.said))
    }
}

type CsvRows = BTreeMap<(String, String), String>;

impl Job {
    /// With these sinks, whose paths are in the job's folder, after a run over some minutes.
    fn new(rng: &mut fastrand::Rng, sinks: &[&str]) -> Self {
        let job = Job::without_run(rng, sinks);
        job.run(&[]);
        job.verified();
        job
    }

    fn without_run(rng: &mut fastrand::Rng, sinks: &[&str]) -> Self {
        let mut job = Job { dir: tempfile::tempdir().unwrap(), sinks: Vec::new(), options: Vec::new() };
        job.sinks(sinks);
        job.grow(0, MINUTES, rng);
        job
    }

    fn sinks(&mut self, sinks: &[&str]) {
        let placed = |sink: &&str| {
            let (scheme, path) = sink.split_once(':').unwrap();
            format!("{scheme}:{}", self.path(path).display())
        };
        self.sinks = sinks.iter().map(placed).collect();
    }

    /// A tick a second in each file: out of order by up to a minute, a few broken.
    fn grow(&self, from: i64, to: i64, rng: &mut fastrand::Rng) {
        for partition in 0..PARTITIONS {
            let mut text = fs::read_to_string(self.log(partition)).unwrap_or_default();
            for second in from * 60..to * 60 {
                let at = hostile::BEGAN.0 / 1_000_000 + (second - rng.i64(0..60)) * 1000;
                let (symbol, price, volume) = (rng.u8(..4), rng.i64(1..100_000), rng.u32(..900));
                match rng.u8(..90) {
                    0 => text.push_str("{\"symbol\":\n"),
                    _ => writeln!(
                        text,
                        r#"{{"symbol":"S{symbol}","price":{}.{:02},"volume":{volume}.5,"ts":{at}}}"#,
                        price / 100,
                        price % 100
                    )
                    .unwrap(),
                }
            }
            fs::write(self.log(partition), text).unwrap();
        }
    }

    fn log(&self, partition: usize) -> PathBuf {
        self.path(&format!("part-{partition}.jsonl"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let as_of = rfc3339(hostile::BEGAN.0 + (MINUTES + 500) * 60_000_000_000);
        let source = format!("file:{}", self.path("part-*.jsonl").display());
        let own = ["--source", &source, "--job", "job", "--as-of", &as_of, "--emit", "final"].map(str::to_owned);
        let sinks = self.sinks.iter().flat_map(|sink| ["--sink".to_owned(), sink.clone()]);
        own.into_iter()
            .chain(self.options.iter().cloned())
            .chain(sinks)
            .chain(more.iter().map(|word| (*word).to_owned()))
            .collect()
    }

    fn start(&self, more: &[&str]) -> Program {
        let args = self.args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Program::start(&self.path("data"), &args, &[])
    }

    fn ended(&self, more: &[&str]) -> Ended {
        self.start(more).ended(PATIENCE)
    }

    fn run(&self, more: &[&str]) -> Ended {
        self.ended(more).well()
    }

    fn spawn(&self, what: &str, more: &[&str]) -> Child {
        let mut command = command();
        command.arg(what).args(self.args(more)).arg("--data").arg(self.path("data"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn look(&self, what: &str, more: &[&str]) -> Looked {
        waited(self.spawn(what, more))
    }

    fn repaired(&self) -> Value {
        let looked = self.look("repair", &["--yes", "--json"]);
        looked.is(0);
        looked.json()
    }

    fn verified(&self) -> Value {
        let looked = self.look("verify", &["--json"]);
        looked.is(0);
        let report = looked.json();
        assert_eq!(report["equal"], true, "{report:#}");
        report
    }

    fn db(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("minutes.db")).unwrap()
    }

    fn sql(&self, text: &str) {
        assert_eq!(self.db().execute(text, []).unwrap(), 1, "{text}");
    }

    /// All rows of the table, without their versions.
    fn table(&self) -> Vec<String> {
        let db = self.db();
        let mut names = db.prepare("SELECT name FROM pragma_table_info('minutes') ORDER BY name").unwrap();
        let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let names: Vec<String> =
            names.filter(|name| !["chain", "generation", "seq"].contains(&name.as_str())).collect();
        let sql = format!("SELECT {} FROM minutes ORDER BY minute, symbol", names.join(", "));
        let mut rows = db.prepare(&sql).unwrap();
        let cells = |row: &rusqlite::Row<'_>| {
            Ok((0..names.len()).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<Vec<_>>().join(" "))
        };
        rows.query_map([], cells).unwrap().map(Result::unwrap).collect()
    }

    /// Of each minute and symbol the last line, over all files whose name begins so.
    fn lines(&self, name: &str) -> CsvRows {
        let mut rows = CsvRows::new();
        for file in self.files(name) {
            for line in fs::read_to_string(file).unwrap().lines().skip(1) {
                let mut cells = line.splitn(3, ',').map(str::to_owned);
                let (symbol, minute, rest) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
                rows.insert((minute, symbol), rest);
            }
        }
        rows
    }

    /// In the order of their numbers.
    fn files(&self, name: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(name);
        let mut files: Vec<PathBuf> = all.filter(is_one).collect();
        files.sort_by_key(|path| path.to_string_lossy().rsplit_once('-').map(|(_, number)| number.to_owned()));
        files
    }

    fn edit(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let path = self.path(name);
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    }
}

fn waited(child: Child) -> Looked {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Looked { code: output.status.code(), out: text(output.stdout), said: text(output.stderr) }
}

/// The start of a minute of the log.
fn minute(number: i64) -> String {
    rfc3339(hostile::BEGAN.0 + number * 60_000_000_000)
}

/// Bits are changed, rows deleted and added; shown first, then mended, then the log goes on.
#[test]
fn what_somebody_changed_is_as_the_run_wrote_it() {
    let mut rng = seed();
    let job = Job::new(&mut rng, &["sqlite:minutes.db", "csv:minutes.csv"]);
    let (table, lines) = (job.table(), job.lines("minutes.csv"));
    let (a, b, c) = (minute(20), minute(31), minute(42));
    job.sql(&format!("UPDATE minutes SET avg = avg + 1e-9, ema12 = NULL WHERE minute = '{a}' AND symbol = 'S1'"));
    job.sql(&format!("UPDATE minutes SET state = 'open', chain = 99 WHERE minute = '{b}' AND symbol = 'S0'"));
    job.sql(&format!("DELETE FROM minutes WHERE minute = '{c}' AND symbol = 'S3'"));
    job.sql(&format!("UPDATE minutes SET symbol = 'T' WHERE minute = '{c}' AND symbol = 'S2'"));
    // The first digit of a line's average is another (a last one may be the same number).
    let key = format!("S1,{a},");
    job.edit("minutes.csv", |text| {
        let line = text.lines().find(|line| line.starts_with(&key)).unwrap();
        let at = key.len() + line[key.len()..].find(|c: char| c.is_ascii_digit()).unwrap();
        let other = if line.as_bytes()[at] == b'1' { "2" } else { "1" };
        text.replacen(line, &format!("{}{other}{}", &line[..at], &line[at + 1..]), 1)
    });
    let damaged = (job.table(), job.lines("minutes.csv"));
    assert!(damaged.0 != table && damaged.1 != lines);

    let shown = job.look("repair", &[]);
    shown.is(65).says("4 rows to write (2 missing, 2 different), 1 extra row to delete");
    shown.says("1 row to write (0 missing, 1 different)").says("nothing was written").says(&format!("{c} T: extra"));
    assert_eq!((job.table(), job.lines("minutes.csv")), damaged, "it was shown alone");
    let done = job.look("repair", &["--yes"]);
    done.is(0).says("4 rows written (2 missing, 2 different), 1 extra row deleted").says("compared again: ");
    assert_eq!((job.table(), job.lines("minutes.csv")), (table, lines));
    job.verified();
    let again = job.look("repair", &["--yes"]);
    again.is(0).says("nothing to do");
    // The next run goes on, and what it writes is right as well.
    job.grow(MINUTES, MINUTES + 30, &mut rng);
    job.run(&[]);
    let report = job.verified();
    assert!(report["minutes"].as_i64() >= Some(MINUTES + 20), "{report:#}");
    let (equal, rows) = (report["sinks"][0]["equal"].as_i64(), report["rows"].as_i64());
    assert_eq!(equal, rows, "the end of a run is known to the state: {report:#}");
}

/// The table, the database, and an older copy of it, which a run refuses.
#[test]
fn a_database_that_is_gone_or_older_is_whole_again() {
    let mut rng = seed();
    let job = Job::new(&mut rng, &["sqlite:minutes.db"]);
    fs::copy(job.path("minutes.db"), job.path("copy")).unwrap();
    job.grow(MINUTES, MINUTES + 40, &mut rng);
    job.run(&[]);
    let table = job.table();
    let remove = || {
        for name in ["minutes.db", "minutes.db-wal", "minutes.db-shm"] {
            drop(fs::remove_file(job.path(name)));
        }
    };
    let damage: [(&str, &dyn Fn()); 3] = [
        ("dropped", &|| job.db().execute_batch("DROP TABLE minutes").unwrap()),
        ("deleted", &remove),
        ("older", &|| {
            remove();
            fs::copy(job.path("copy"), job.path("minutes.db")).unwrap();
        }),
    ];
    for (name, damage) in damage {
        damage();
        let is_refused = name != "dropped";
        if is_refused {
            let run = job.ended(&[]);
            assert_eq!(run.code, Some(65), "{name}: {}", run.said);
            let part = job.look("repair", &["--yes", "--from", &minute(5)]);
            part.is(64).says("repair all of them");
        }
        let there = job.path("minutes.db").exists();
        let shown = job.look("repair", &["--json"]);
        shown.is(65);
        assert_eq!(shown.json()["sinks"][0]["behind_the_state"], is_refused, "{name}");
        assert_eq!(job.path("minutes.db").exists(), there, "{name}: nothing was made");
        let report = job.repaired();
        assert!(report["sinks"][0]["rows_to_write"].as_i64() > Some(50), "{name}: {report:#}");
        assert_eq!(job.table(), table, "{name}");
        job.verified();
        job.run(&[]);
    }
    job.grow(MINUTES + 40, MINUTES + 60, &mut rng);
    job.run(&[]);
    job.verified();
}

/// Lines taken out of the middle, a file that is cut, emptied, deleted, or longer: a run refuses it or would cut it, and a repair does not.
#[test]
fn a_file_that_was_cut_or_edited_is_whole_again() {
    let mut rng = seed();
    for sink in ["csv:minutes.csv", "csv:minutes.csv?rotate=4KB"] {
        let job = Job::new(&mut rng, &[sink]);
        let newest = || job.files("minutes").last().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        // The newest file of a series may have few lines.
        let mut end = MINUTES;
        while fs::read_to_string(job.path(&newest())).unwrap().lines().count() < 10 {
            job.grow(end, end + 2, &mut rng);
            job.run(&[]);
            end += 2;
        }
        let lines = job.lines("minutes");
        let cut = |text: String| text[..text.len() * 2 / 3].to_owned();
        let without = |text: String| {
            let mut lines: Vec<&str> = text.lines().collect();
            drop(lines.drain(4..7));
            lines.join("\n") + "\n"
        };
        let longer = |text: String| {
            let line = text.lines().nth(3).unwrap().to_owned();
            text.replacen(&line, &format!("{line}e00002"), 1)
        };
        let edits: [(&str, &dyn Fn(String) -> String); 4] =
            [("cut", &cut), ("without", &without), ("longer", &longer), ("emptied", &|_| String::new())];
        for (name, edit) in edits {
            job.edit(&newest(), edit);
            if name != "longer" {
                assert_eq!(job.ended(&[]).code, Some(65), "{name}: a run refuses it");
            }
            let shown = job.look("repair", &[]);
            shown.is(65);
            job.repaired();
            assert_eq!(job.lines("minutes"), lines, "{sink} {name}");
            job.verified();
            job.run(&[]);
            assert_eq!(job.lines("minutes"), lines, "{sink} {name}: the run took it");
        }
        // What is gone whole is made anew; of a series the newest file.
        fs::remove_file(job.path(&newest())).unwrap();
        job.repaired();
        assert_eq!(job.lines("minutes"), lines, "{sink}");
        // Behind what the state knows there is nothing that a run keeps.
        job.edit(&newest(), |text| text + &format!("S1,{},1,1.0,1.0,final\n", minute(30)));
        let shown = job.look("repair", &[]);
        shown.is(0).says("nothing to do");
        job.grow(end, end + 20, &mut rng);
        job.run(&[]);
        job.verified();
        assert!(job.lines("minutes").len() > lines.len() + 30);
        assert!(job.files("minutes").iter().all(|path| !path.to_string_lossy().ends_with(".repaired")));
    }
}

#[test]
fn lines_that_nothing_counts_for_are_named_and_left() {
    let job = Job::new(&mut seed(), &["csv:minutes.csv"]);
    let lines = job.lines("minutes.csv");
    // In place of a line, which is lost: of the same length, so that a run takes the file.
    let line =
        |text: &str| text.lines().find(|line| line.starts_with(&format!("S2,{},", minute(33)))).unwrap().to_owned();
    job.edit("minutes.csv", |text| text.replacen(&line(&text), &line(&text).replacen("S2", "SX", 1), 1));
    let left = job.look("repair", &["--yes"]);
    left.is(65)
        .says("1 row written (1 missing, 0 different)")
        .says("SX: extra")
        .says("1 extra row left")
        .says("by hand");
    assert_eq!(job.lines("minutes.csv").len(), lines.len() + 1);
    job.edit("minutes.csv", |text| {
        text.lines().filter(|line| !line.starts_with("SX")).map(|line| format!("{line}\n")).collect()
    });
    job.repaired();
    assert_eq!(job.lines("minutes.csv"), lines);
    // A header that is none.
    job.edit("minutes.csv", |text| text.replacen("symbol", "simbol", 1));
    let looked = job.look("repair", &["--yes"]);
    looked.is(65).says("its first line is not the one").says("move the file away");
    fs::remove_file(job.path("minutes.csv")).unwrap();
    job.repaired();
    assert_eq!(job.lines("minutes.csv"), lines);
    job.verified();
}

/// By the bytes that stand there: of a table they are deleted, behind the known length of a file they are cut off, within it they are left
/// and named. Verify and repair say the same of all.
#[test]
fn what_no_run_writes_is_taken_out_or_named() {
    let job = Job::new(&mut seed(), &["sqlite:minutes.db", "csv:minutes.csv"]);
    let (table, lines) = (job.table(), job.lines("minutes.csv"));
    let at = minute(30);
    let again = format!("{}.000Z", at.trim_end_matches('Z'));
    let second = |symbol: &str, change: &str| {
        let row = format!("SELECT * FROM minutes WHERE minute = '{at}' AND symbol = '{symbol}'");
        let changed = format!("CREATE TEMP TABLE second AS {row}; UPDATE second SET {change}");
        job.db().execute_batch(&format!("{changed}; INSERT INTO minutes SELECT * FROM second")).unwrap();
    };
    second("S0", &format!("minute = '{again}', count = count + 1"));
    second("S1", "minute = 'garbage'");
    second("S2", "symbol = cast(symbol AS BLOB), count = count + 1");
    second("S3", "symbol = cast(x'ff41' AS TEXT)");
    job.sql(&format!(
        "UPDATE minutes SET minute = '{}zzz' WHERE minute = '{}' AND symbol = 'S1'",
        minute(41),
        minute(41)
    ));
    let whole = fs::read_to_string(job.path("minutes.csv")).unwrap();
    job.edit("minutes.csv", |text| text + "A,notime,1,1.0,1.0,final\n");
    job.look("verify", &[]).is(65).says("5 extra").says("1 extra").says("has no minute in its second column");
    let shown = job.look("repair", &[]);
    shown.is(65).says("1 row to write (1 missing, 0 different), 5 extra rows to delete");
    shown.says("0 rows to write (0 missing, 0 different), 1 extra row to delete").says("--yes does it");
    let done = job.look("repair", &["--yes"]);
    done.is(0).says("1 row written (1 missing, 0 different), 5 extra rows deleted").says(", 1 extra row deleted");
    assert_eq!((job.table(), fs::read_to_string(job.path("minutes.csv")).unwrap()), (table.clone(), whole.clone()));
    job.verified();

    // In place of a line within the file: of the same length, so that a run takes it.
    let line = whole.lines().nth(40).unwrap();
    job.edit("minutes.csv", |text| text.replacen(line, &"x".repeat(line.len()), 1));
    job.look("verify", &[]).is(65).says("1 missing, 0 different, 1 extra").says("line 41 of ");
    for more in [&[][..], &["--yes"]] {
        job.look("repair", more).is(65).says("1 extra row left").says("by hand").says("line 41 of ");
    }
    job.look("repair", &[]).is(65).says("1 row not repaired");
    assert_eq!(job.look("verify", &["--json"]).json()["sinks"][1]["extra"], 1);
    job.edit("minutes.csv", |text| {
        text.lines().filter(|line| !line.starts_with('x')).map(|line| format!("{line}\n")).collect()
    });
    job.repaired();
    assert_eq!((job.table(), job.lines("minutes.csv")), (table, lines));
    job.verified();
    job.run(&[]);
}

#[test]
fn a_database_that_is_none_any_more_or_lacks_a_column_says_what_to_do() {
    let job = Job::new(&mut seed(), &["sqlite:minutes.db"]);
    let table = job.table();
    // One of `--derive` is made again, with what all rows lack of it.
    job.db().execute_batch("ALTER TABLE minutes DROP COLUMN ema12").unwrap();
    job.look("repair", &[]).is(65).says("different), 0 extra rows");
    job.repaired();
    assert_eq!(job.table(), table);
    job.verified();
    job.db().execute_batch("ALTER TABLE minutes DROP COLUMN vwap").unwrap();
    job.look("verify", &[]).is(65).says("vwap is ");
    job.look("repair", &["--yes"]).is(65).says("has no column vwap").says("drop the table");
    job.db().execute_batch("DROP TABLE minutes").unwrap();
    job.repaired();
    assert_eq!(job.table(), table);
    for name in ["minutes.db-wal", "minutes.db-shm"] {
        drop(fs::remove_file(job.path(name)));
    }
    fs::write(job.path("minutes.db"), "no database, but for its name".repeat(500)).unwrap();
    job.look("repair", &["--yes"]).is(65).says("not a database").says("move it away");
    fs::remove_file(job.path("minutes.db")).unwrap();
    job.repaired();
    assert_eq!(job.table(), table);
}

#[test]
fn killed_at_any_moment_the_next_repair_ends_it() {
    let mut rng = seed();
    let job = Job::new(&mut rng, &["sqlite:minutes.db", "csv:minutes.csv", "csv:series.csv?rotate=4KB"]);
    let (table, lines) = (job.table(), job.lines("minutes.csv"));
    let (mut kills, mut most) = (0, 20);
    for round in 0..20 {
        match round % 4 {
            0 => job.db().execute_batch("DROP TABLE IF EXISTS minutes").unwrap(),
            1 => job.edit("minutes.csv", |text| text[..text.len() / 3].to_owned()),
            2 => job.files("series-").last().map_or((), |path| fs::remove_file(path).unwrap()),
            _ => {}
        }
        let mut repair = job.spawn("repair", &["--yes"]);
        std::thread::sleep(Duration::from_millis(rng.u64(5..most)));
        repair.kill().unwrap();
        let killed = waited(repair).code.is_none();
        kills += u32::from(killed);
        // Later and later, until it is over by then.
        most = if killed { most + 25 } else { 20 };
    }
    assert!(kills > 5, "{kills} kills");
    job.repaired();
    assert_eq!((job.table(), job.lines("minutes.csv"), job.lines("series")), (table, lines.clone(), lines));
    job.verified();
    job.grow(MINUTES, MINUTES + 20, &mut rng);
    job.run(&[]);
    job.verified();
}

#[test]
fn two_repairs_at_once_and_one_beside_an_owner() {
    let mut job = Job::new(&mut seed(), &["sqlite:minutes.db", "csv:minutes.csv"]);
    let table = job.table();
    let lock = fs::File::open(job.path("data/job/state/lock")).unwrap();
    lock.lock().unwrap();
    let owned = job.look("repair", &["--yes"]);
    owned.is(78).says("stop the run, or name the other sinks alone");
    job.look("repair", &[]).is(0);
    // A table needs no lock; while others write to the database it is waited for.
    job.sinks(&["sqlite:minutes.db"]);
    job.db().execute_batch("DELETE FROM minutes WHERE symbol = 'S1'").unwrap();
    let other = job.db();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (first, second) = (job.spawn("repair", &["--yes"]), job.spawn("repair", &["--yes"]));
    std::thread::sleep(Duration::from_millis(900));
    other.execute_batch("COMMIT").unwrap();
    for repair in [first, second] {
        waited(repair).is(0);
    }
    drop(lock);
    assert_eq!(job.table(), table);
    job.verified();
}

/// What the log does not give is as it was, or told.
#[test]
fn columns_that_are_not_known_are_not_lost() {
    let job = Job::new(&mut seed(), &["sqlite:minutes.db"]);
    let table = job.table();
    job.sql(&format!("UPDATE minutes SET avg = 7 WHERE minute = '{}' AND symbol = 'S1'", minute(50)));
    let few = ["--yes", "--from", &minute(40), "--to", &minute(60)];
    job.look("repair", &few).is(0);
    assert_eq!(job.table(), table, "ema12 is as it was");
    job.sql(&format!("DELETE FROM minutes WHERE minute = '{}' AND symbol = 'S1'", minute(50)));
    job.look("repair", &few).is(0).says("1 row without columns");
    assert_eq!(job.table().len(), table.len());
    job.look("repair", &["--yes"]).is(0).says("1 different");
    assert_eq!(job.table(), table);
}

/// Rows are the run's, not those of a log that was changed since.
#[test]
fn a_log_that_is_another_one_repairs_nothing_from_there_on() {
    let job = Job::new(&mut seed(), &["sqlite:minutes.db"]);
    let text = fs::read_to_string(job.log(1)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = (1800..).find(|at| lines[*at].contains("\"price\":")).unwrap();
    let digit = lines[at].find("\"price\":").unwrap() + "\"price\":".len();
    let other = if lines[at].as_bytes()[digit] == b'7' { "8" } else { "7" };
    lines[at].replace_range(digit..=digit, other);
    fs::write(job.log(1), lines.join("\n") + "\n").unwrap();
    job.db().execute_batch("DELETE FROM minutes WHERE symbol = 'S1'").unwrap();
    let damaged = job.table();
    let looked = job.look("repair", &["--yes"]);
    looked.is(65).says("on nothing is repaired").says("by the digest");
    let mended = job.table();
    assert!(mended.len() > damaged.len() + 10, "minutes before it are mended");
    assert!(damaged.iter().all(|row| mended.contains(row)), "no row is overwritten");
    job.sinks_from_another_log();
}

/// The newest final minutes have no digest yet: the state holds them whole.
#[test]
fn a_log_that_is_another_one_in_its_newest_minutes_repairs_nothing_there() {
    let job = Job::new(&mut seed(), &["sqlite:minutes.db", "csv:minutes.csv"]);
    let table = job.table();
    let at: String = job.db().query_row("SELECT max(minute) FROM minutes", [], |row| row.get(0)).unwrap();
    // A record that counts for the newest minute.
    let text = fs::read_to_string(job.log(0)).unwrap();
    let counts = |line: &&str| {
        let tick: Value = serde_json::from_str(line).unwrap_or_default();
        tick["ts"].as_i64().is_some_and(|ts| rfc3339(ts.div_euclid(60_000) * 60_000_000_000) == at)
    };
    let line = text.lines().find(counts).unwrap();
    let digit = line.find("\"price\":").unwrap() + "\"price\":".len();
    let other = if line.as_bytes()[digit] == b'7' { "8" } else { "7" };
    let changed = format!("{}{other}{}", &line[..digit], &line[digit + 1..]);
    fs::write(job.log(0), text.replacen(line, &changed, 1)).unwrap();
    let verified = job.look("verify", &["--json"]);
    let digests = verified.is(65).json()["digests"]["different"].clone();
    assert_eq!(digests.as_array().unwrap().len(), 1, "{digests:#}");
    assert_eq!(digests[0]["minute"], at, "{digests:#}");
    job.db().execute_batch("DELETE FROM minutes WHERE symbol = 'S1'").unwrap();
    let looked = job.look("repair", &["--yes"]);
    looked.is(65).says(&format!("from {at} on nothing is repaired")).says(" not repaired");
    let mended = job.table();
    assert!(
        mended.len() + 1 >= table.len() && mended.iter().all(|row| table.contains(row)),
        "no row is of the other log"
    );
    fs::write(job.log(0), text).unwrap();
    job.repaired();
    assert_eq!(job.table(), table);
}

impl Job {
    fn sinks_from_another_log(mut self) {
        self.sinks(&["sqlite:minutes.db", "csv:new.csv"]);
        self.grow(MINUTES, MINUTES + 20, &mut seed());
        let refused = self.ended(&["--sink-from", "earliest"]);
        assert!(refused.code == Some(65) && refused.said.contains("--sink-from now"), "{}", refused.said);
        self.run(&[]);
    }
}

#[test]
fn a_sink_that_is_new_or_comes_back_is_filled_from_the_log() {
    let mut rng = seed();
    let mut job = Job::new(&mut rng, &["sqlite:minutes.db", "csv:back.csv"]);
    job.sinks(&["sqlite:minutes.db"]);
    job.grow(MINUTES, MINUTES + 40, &mut rng);
    let out = job.run(&[]);
    assert!(out.said.contains("back.csv: is left out"), "{}", out.said);
    job.grow(MINUTES + 40, MINUTES + 80, &mut rng);
    job.sinks(&["sqlite:minutes.db", "csv:back.csv", "csv:new.csv", "sqlite:new.db"]);
    let filled = job.run(&["--sink-from", "earliest"]);
    assert!(!filled.said.contains("lacks"), "{}", filled.said);
    let report = job.verified();
    let rows = |sink: usize| report["sinks"][sink]["equal"].as_i64().unwrap();
    assert!(rows(0) > 3 * (MINUTES + 70), "{report:#}");
    assert_eq!((rows(1), rows(2), rows(3)), (rows(0), rows(0), rows(0)), "{report:#}");
    assert_eq!(job.lines("back.csv"), job.lines("new.csv"));
    // Nothing is filled twice.
    let lines = job.lines("new.csv");
    let again = job.run(&["--sink-from", "earliest"]);
    assert!(!again.said.contains("filled"), "{}", again.said);
    assert_eq!(job.lines("new.csv"), lines);
    let none = job.ended(&["--sink-from", "earliest", "--state", "none"]);
    assert!(none.code == Some(64) && none.said.contains("keep a state"), "{}", none.said);
}

/// Kills that meet the filling, whose file has some of its rows then.
#[test]
fn a_filling_that_is_killed_begins_again() {
    let mut rng = seed();
    let mut job = Job::without_run(&mut rng, &["sqlite:minutes.db"]);
    job.grow(MINUTES, MINUTES + 400, &mut rng);
    job.run(&[]);
    let mut met = 0;
    for attempt in 0..8 {
        let file = format!("new{attempt}.csv");
        job.sinks(&["sqlite:minutes.db", &format!("csv:{file}")]);
        // Later and later, until it is over by then.
        for round in 0.. {
            if job.path(&file).exists() {
                fs::write(job.path(&file), "").unwrap();
            }
            let program = job.start(&["--sink-from", "earliest"]);
            std::thread::sleep(Duration::from_millis(5 + 4 * round + rng.u64(0..4)));
            program.signal("KILL");
            let said = program.ended(PATIENCE).said;
            if said.contains("filled with") {
                break;
            }
            met += u32::from(fs::read_to_string(job.path(&file)).unwrap_or_default().lines().count() > 1);
        }
        job.run(&["--sink-from", "earliest"]);
        let report = job.verified();
        let rows = |sink: usize| report["sinks"][sink]["equal"].as_i64().unwrap();
        assert!(rows(0) > 3 * (MINUTES + 380) && rows(0) == rows(1), "{report:#}");
        if met > 0 {
            return;
        }
    }
    panic!("no kill has met the filling");
}

#[test]
fn a_sink_is_filled_at_once_and_says_so() {
    let mut rng = seed();
    let mut job = Job::new(&mut rng, &["sqlite:minutes.db"]);
    job.grow(MINUTES, MINUTES + 40, &mut rng);
    job.sinks(&["sqlite:minutes.db", "csv:new.csv"]);
    let filled = job.run(&["--sink-from", "earliest"]);
    assert!(filled.said.contains("new.csv: filled with ") && filled.said.contains("rows of "), "{}", filled.said);
    assert!(!filled.said.contains("is new to this state"), "{}", filled.said);
    job.verified();
    // As it is without it: what is forgotten is lacking, told, and can be repaired.
    job.grow(MINUTES + 40, MINUTES + 80, &mut rng);
    job.sinks(&["sqlite:minutes.db", "csv:new.csv", "csv:late.csv"]);
    let told = job.run(&[]);
    assert!(told.said.contains("late.csv: is new to this state"), "{}", told.said);
    job.look("verify", &[]).is(65);
    job.repaired();
    job.verified();
    assert_eq!(job.lines("late.csv"), job.lines("new.csv"));
}

#[test]
fn rows_of_coarser_windows_and_groups_are_mended_and_filled() {
    let mut rng = seed();
    let mut job = Job::without_run(&mut rng, &["sqlite:minutes.db", "csv:minutes.csv"]);
    let table = job.path("groups.csv");
    fs::write(&table, "symbol,group,weight\nS0,g,2.5\nS1,g,1\nS2,h,1\n").unwrap();
    job.options = ["--windows", "5m,1h", "--groups"].map(str::to_owned).into();
    job.options.push(table.display().to_string());
    job.run(&[]);
    let equal = |report: &Value| -> Vec<i64> {
        report["sinks"].as_array().unwrap().iter().map(|sink| sink["equal"].as_i64().unwrap()).collect()
    };
    let before = equal(&job.verified());
    assert!(before.len() == 8 && before[..4] == before[4..] && before.iter().all(|rows| *rows > 0), "{before:?}");

    job.sql(&format!("UPDATE group_minutes SET avg = avg + 1 WHERE minute = '{}' AND symbol = 'g'", minute(20)));
    job.sql(&format!("UPDATE window_5m SET symbol = 'T' WHERE minute = '{}' AND symbol = 'S3'", minute(20)));
    job.db().execute_batch("DROP TABLE window_1h").unwrap();
    // The last line of a group, and one of five minutes, of the file.
    job.edit("minutes.csv", |text| {
        let text = text.trim_end().to_owned();
        let cut = text.rfind("\ng,").unwrap();
        text[..cut].to_owned() + "\n"
    });
    job.look("repair", &[]).is(65).says(", 1h: ").says(", groups: ");
    job.repaired();
    assert_eq!(equal(&job.verified()), before);

    job.grow(MINUTES, MINUTES + 80, &mut rng);
    job.sinks(&["sqlite:minutes.db", "csv:minutes.csv", "sqlite:new.db", "csv:new.csv"]);
    job.run(&["--sink-from", "earliest"]);
    let after = equal(&job.verified());
    assert!(after[0] > before[0] && after[2] > before[2], "{before:?} {after:?}");
    assert!(after.chunks(4).all(|of_sink| of_sink == &after[..4]), "{after:?}");
}
