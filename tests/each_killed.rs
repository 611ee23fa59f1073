//! `kill -9` while one message of a hundred thousand elements is read (`--each`), at several moments of it, with a filter and ids:
//! at the end there is what a run has that nobody stopped, byte for byte, and what this test counts by itself in integers.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command, files};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Elements of a long message, 20 ms of event time apart: more than half an hour, so windows and ids end within it.
const LONG: i64 = 100_000;
/// 2026-03-02T00:00:00Z, in milliseconds.
const BEGAN: i64 = 1_772_409_600_000;
const MINUTE: i64 = 60_000;
const LATENESS: i64 = 2 * MINUTE;
/// When kills come, counted from when the message was read from the disk.
const MOMENTS_MS: [u64; 5] = [0, 10, 30, 60, 120];

/// An element, by its number over all messages.
struct Tick {
    number: i64,
}

impl Tick {
    fn symbol(&self) -> i64 {
        self.number % 5
    }

    /// Hundredths; none: a text that is no number.
    fn price(&self) -> Option<i64> {
        (self.number % 4999 != 7).then_some(10_000 + self.number * 7919 % 977)
    }

    /// Thousandths.
    fn weight(&self) -> i64 {
        1 + self.number * 31 % 500
    }

    /// A few are ten minutes late.
    fn time(&self) -> i64 {
        BEGAN + self.number * 20 - if self.number % 5003 == 3002 { 10 * MINUTE } else { 0 }
    }

    /// Some have the id of one a moment ago, and some the one of five minutes before, whose window is final.
    fn id(&self) -> i64 {
        match self.number {
            number if number % 11 == 3 => number - 5,
            number if number % 1009 == 1 => number - 15_000,
            number => number,
        }
    }

    fn is_trade(&self) -> bool {
        self.number % 7 != 5
    }

    fn json(&self) -> String {
        let price = self.price().map_or("\"n/a\"".into(), |price| format!("\"{}.{:02}\"", price / 100, price % 100));
        let (symbol, weight, kind) = (self.symbol(), self.weight(), if self.is_trade() { "trade" } else { "quote" });
        format!(
            r#"{{"s":"S{symbol}","p":{price},"v":0.{weight:03},"t":{},"id":"{}","k":"{kind}"}}"#,
            self.time(),
            self.id()
        )
    }
}

/// A message of these elements. `kind`: others than `ticks` are skipped as a whole.
fn message(kind: &str, numbers: std::ops::Range<i64>) -> String {
    let elements: Vec<String> = numbers.map(|number| Tick { number }.json()).collect();
    format!("{{\"type\":\"{kind}\",\"data\":[{}]}}\n", elements.join(","))
}

/// One row in the making: count, then sums of hundredths, of thousandths and of their products, then open, high, low, close.
#[derive(Clone, Default)]
struct Sums(i64, i64, i64, i64, [i64; 4]);

/// What must come out of elements: rows as text, and how many are late, rejected, skipped and duplicates.
fn counted(numbers: impl Iterator<Item = i64>) -> (Vec<String>, [i64; 4]) {
    let mut rows: BTreeMap<(i64, i64), Sums> = BTreeMap::new();
    let mut ids: HashMap<(i64, i64), i64> = HashMap::new();
    let (mut h, mut other) = (i64::MIN, [0; 4]);
    for tick in numbers.map(|number| Tick { number }) {
        let Some(price) = tick.price().filter(|_| tick.is_trade()) else {
            other[if tick.is_trade() { 1 } else { 2 }] += 1;
            continue;
        };
        let minute = tick.time().div_euclid(MINUTE);
        let is_final = |minute: i64| (minute + 1) * MINUTE + LATENESS <= h;
        let key = (tick.symbol(), tick.id());
        if is_final(minute) {
            other[0] += 1;
        } else if ids.get(&key).is_some_and(|minute| !is_final(*minute)) {
            other[3] += 1;
        } else {
            ids.insert(key, minute);
            let Sums(count, hundredths, thousandths, products, prices) =
                rows.entry((minute, tick.symbol())).or_default();
            (*count, *hundredths, *thousandths) = (*count + 1, *hundredths + price, *thousandths + tick.weight());
            *products += price * tick.weight();
            let [open, high, low, _] = *prices;
            *prices = match count {
                1 => [price; 4],
                _ => [open, high.max(price), low.min(price), price],
            };
        }
        h = h.max(tick.time());
    }
    (rows.into_iter().map(|((minute, symbol), sums)| row(minute, symbol, &sums)).collect(), other)
}

/// An integer over a power of ten, as a row has it.
fn decimal(integer: i64, places: usize) -> String {
    let power = 10_i64.pow(u32::try_from(places).unwrap());
    let text = format!("{}.{:0places$}", integer / power, integer % power);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// Both are whole and below 2^53, so their quotient is the nearest float to the exact one.
#[expect(clippy::cast_precision_loss, reason = "they are small")]
fn ratio(a: i64, b: i64) -> f64 {
    a as f64 / b as f64
}

fn row(minute: i64, symbol: i64, Sums(count, hundredths, thousandths, products, prices): &Sums) -> String {
    let at = jiff::Timestamp::from_millisecond(minute * MINUTE).unwrap();
    let mut row = format!("S{symbol},{at},{count},{}", decimal(*hundredths, 2));
    write!(row, ",{:?},final", ratio(*hundredths, 100 * count)).unwrap();
    prices.iter().for_each(|price| write!(row, ",{:?}", ratio(*price, 100)).unwrap());
    write!(row, ",{},{:?}", decimal(*thousandths, 3), ratio(*products, 100 * thousandths)).unwrap();
    row
}

/// A log that grows, and a job that reads it.
struct Job(tempfile::TempDir);

impl Job {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Appends messages; how long the log is.
    fn grow(&self, messages: &str) -> u64 {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log.jsonl"));
        file.unwrap().write_all(messages.as_bytes()).unwrap();
        std::fs::metadata(self.path("log.jsonl")).unwrap().len()
    }

    fn start(&self, workers: &str, close: bool) -> Program {
        let (source, sink) =
            (self.path("log.jsonl").display().to_string(), self.path("rows.csv").display().to_string());
        let (source, sink) = (format!("file:{source}"), format!("csv:{sink}"));
        let fields = ["--symbol-field", "s", "--value-field", "p", "--weight-field", "v", "--time-field", "t"];
        let events = ["--each", "/data", "--where", "@message/type=ticks", "--where", "k=trade", "--id-field", "id"];
        let rule = [
            "--lateness",
            "2m",
            "--as-of",
            "2026-03-10T00:00:00Z",
            "--emit",
            "final",
            "--dead-letter-file-size",
            "1kB",
        ];
        let run =
            ["--source", &source, "--sink", &sink, "--job", "job", "--checkpoint-interval", "20ms", "-w", workers];
        let close = [if close { "--close" } else { "--keep-open" }];
        Program::start(&self.path("data"), &[&run[..], &fields, &events, &rule, &close].concat(), &[])
    }

    /// Messages that the newest cut has read.
    fn committed(&self) -> u64 {
        let state = self.path("data/job/state").display().to_string();
        let shown = command().args(["state", "show", "--json", "--state", &state]).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown["partitions"][0]["state"]["next"].as_u64().unwrap()
    }

    /// Kills a run `moment` after it has read so many bytes. Whether it had not committed message `number` then.
    fn killed_within(&self, workers: &str, (bytes, number): (u64, u64), moment: Duration) -> bool {
        let run = self.start(workers, false);
        let deadline = Instant::now() + PATIENCE;
        let io = format!("/proc/{}/io", run.id());
        let read = |text: String| text.split_whitespace().nth(1).and_then(|bytes| bytes.parse::<u64>().ok());
        while std::fs::read_to_string(&io).ok().and_then(read).is_some_and(|read| read < bytes) {
            assert!(Instant::now() < deadline, "it does not read its log");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(moment); // which moment of the message it is: any is right
        drop(run);
        self.committed() <= number
    }
}

/// All bytes of the files of this name below a folder, in the order of their lines.
fn lines(folder: &Path, name: &str) -> Vec<String> {
    let found = files(folder).into_iter().filter(|path| path.to_string_lossy().contains(name));
    let text: String = found.map(|path| std::fs::read_to_string(folder.join(path)).unwrap()).collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_kill_within_a_message_of_many_elements_changes_nothing() {
    let job = Job(tempfile::tempdir().unwrap());
    let parts = [
        message("ticks", 0..3),
        message("ticks", 3..LONG) + &message("hello", 0..3),
        message("ticks", LONG..2 * LONG) + &message("ticks", 2 * LONG..2 * LONG + 3),
    ];
    job.grow(&parts[0]);
    job.start("1", false).ended(PATIENCE).well();
    assert_eq!(job.committed(), 1);
    let mut within = [0; 2];
    for (part, number) in [(1, 1), (2, 3)] {
        let bytes = job.grow(&parts[part]);
        for (moment, workers) in MOMENTS_MS.into_iter().zip(["1", "2", "3", "1", "3"]) {
            let was_within = job.killed_within(workers, (bytes, number), Duration::from_millis(moment));
            within[part - 1] += i32::from(was_within);
        }
        job.start("3", part == 2).ended(PATIENCE).well();
    }
    eprintln!("{within:?} of {} kills came before the message was committed", MOMENTS_MS.len());
    assert!(within.iter().all(|kills| *kills > 0), "{within:?}: no kill came within a message");

    let whole = Job(tempfile::tempdir().unwrap());
    whole.grow(&parts.concat());
    let ended = whole.start("1", true).ended(PATIENCE).well();
    let (rows, [late, rejected, skipped, duplicate]) = counted(0..2 * LONG + 3);
    assert!(late > 10 && rejected > 10 && duplicate > 1000, "{late} {rejected} {duplicate}");
    let found = |job: &Job| std::fs::read_to_string(job.path("rows.csv")).unwrap();
    let header = "symbol,minute,count,sum,avg,state,open,high,low,close,volume,vwap";
    let wanted: Vec<&str> = std::iter::once(header).chain(rows.iter().map(String::as_str)).collect();
    // Behind what is calculated here stand the columns of `--derive`.
    let found_whole = found(&whole);
    assert_eq!(found_whole.lines().count(), wanted.len());
    for (line, want) in found_whole.lines().zip(wanted) {
        assert!(line.strip_prefix(want).is_some_and(|rest| rest.starts_with(',')), "{line}: {want}");
    }
    assert!(found(&job) == found_whole, "the rows differ");
    let letters = [&job, &whole].map(|job| lines(&job.path("data"), "dead-letters-"));
    assert_eq!(i64::try_from(letters[1].len()).unwrap(), late + rejected);
    assert!(letters[0] == letters[1], "dead letters differ");
    let classes = ["late", "rejected", "skipped", "duplicate"].map(|what| ended.done(what));
    assert_eq!(classes, [late, rejected, skipped + 1, duplicate], "the message that is skipped is one event");
}
