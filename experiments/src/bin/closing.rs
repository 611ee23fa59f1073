//! `closing MINUTELY BROKER TOPIC WINDOWS FOLDER [OPTIONS…]`: how long after a window's end its closed rows are in the sinks.
//!
//! Starts `MINUTELY` on a topic of four partitions with windows of one second, rows to a pipe and to a CSV, and these options
//! too. Writes 10,000 ticks of 100 symbols a second to it, and whenever a window's end comes a record of that moment to each
//! partition; that is when the clock starts. A window lasts 1.137 seconds of the clock, so that ends meet cuts at every
//! phase. Prints for each window and sink: rows, and milliseconds until the first and the last of its closed rows was there
//! to read (in the CSV: written, its fsync may follow). The first five windows are left out.

use anyhow::Context;
use minutely_experiments::market::{BEGIN_MS, name};
use minutely_experiments::{argument, say};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PARTITIONS: u64 = 4;
const SYMBOLS: u64 = 100;
const TICKS_PER_MS: u64 = 10;
/// Milliseconds of the clock in a window of one second.
const WINDOW_MS: u64 = 1137;
const WARM_UP: u64 = 5;

/// Closed rows of a window: how many, when the first and the last came.
type Closed = Arc<Mutex<BTreeMap<u64, (u64, Instant, Instant)>>>;

/// Files a row `symbol,2026-01-05T14:MM:SSZ,…,state,…`.
fn file(line: &str, closed: &Closed) {
    let now = Instant::now();
    let fields: Vec<&str> = line.trim_end().split(',').collect();
    if fields.get(5) != Some(&"closed") {
        return;
    }
    let number = |from: usize| fields[1].get(from..from + 2).and_then(|two| two.parse::<u64>().ok());
    let (Some(minutes), Some(seconds)) = (number(14), number(17)) else { return };
    let window = minutes * 60 + seconds - BEGIN_MS / 1000 % 3600;
    let mut closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = closed.entry(window).or_insert((0, now, now));
    *seen = (seen.0 + 1, seen.1, now);
}

/// Reads a file as it grows.
fn follow(path: &Path, closed: &Closed) {
    let mut file_of_rows = None;
    let mut bytes = Vec::new();
    loop {
        std::thread::sleep(Duration::from_millis(1));
        if file_of_rows.is_none() {
            file_of_rows = File::open(path).ok();
        }
        let read = file_of_rows.as_mut().map_or(Ok(0), |rows| rows.read_to_end(&mut bytes));
        read.expect("a file that was opened can be read");
        if let Some(end) = memchr::memrchr(b'\n', &bytes) {
            String::from_utf8_lossy(&bytes[..=end]).lines().for_each(|line| file(line, closed));
            drop(bytes.drain(..=end));
        }
    }
}

fn produce(broker: &str, topic: &str, windows: u64) -> anyhow::Result<BTreeMap<u64, Instant>> {
    #[expect(clippy::disallowed_methods, reason = "a producer of made-up records, not a reader of anyone's")]
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "1000000") // a broker that stalls shows in the latencies
        .create()?;
    let send = |partition: u64, symbol: u64, event_ms: u64| -> anyhow::Result<()> {
        let ts = BEGIN_MS + event_ms;
        let payload = format!(r#"{{"symbol":"{}","price":412.75,"ts":{ts},"volume":100}}"#, name(symbol));
        let record = BaseRecord::<(), _>::to(topic).payload(&payload).partition(i32::try_from(partition)?);
        producer.send(record).map_err(|(error, _)| error.into())
    };
    let (began, mut sent, mut ends) = (Instant::now(), 0, BTreeMap::new());
    let mut window = 0;
    while window <= windows {
        std::thread::sleep(Duration::from_millis(1));
        let elapsed = u64::try_from(began.elapsed().as_millis())?;
        let event_ms = elapsed * 1000 / WINDOW_MS;
        if event_ms / 1000 > window {
            window = event_ms / 1000;
            ends.insert(window - 1, Instant::now());
            (0..PARTITIONS).try_for_each(|partition| send(partition, partition, window * 1000))?;
        }
        while sent < elapsed * TICKS_PER_MS {
            let symbol = sent % SYMBOLS;
            send(symbol % PARTITIONS, symbol, event_ms)?;
            sent += 1;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).context("not all was acknowledged")?;
    Ok(ends)
}

/// Ended with the measurement.
struct Ours(Child);

impl Drop for Ours {
    fn drop(&mut self) {
        let killed = self.0.kill().and_then(|()| self.0.wait());
        killed.expect("a child of ours can be ended");
    }
}

fn main() -> anyhow::Result<()> {
    let (minutely, broker, topic) =
        (argument(1, PathBuf::new())?, argument(2, String::new())?, argument(3, String::new())?);
    let (windows, folder) = (argument(4, 200)?, argument(5, PathBuf::from("closing"))?);
    let windows = windows + WARM_UP;
    let (csv, data) = (folder.join("out.csv"), folder.join("data"));
    let mut child = Command::new(minutely)
        .args(["--source", &format!("kafka://{broker}/{topic}"), "--window", "1s", "--lateness", "5s"])
        .args(["--sink", "stdout:", "--sink", &format!("csv:{}", csv.display())])
        .arg("--data")
        .arg(data)
        .args(std::env::args().skip(6))
        .stdout(Stdio::piped())
        .spawn()?;
    let rows = BufReader::new(child.stdout.take().context("it is piped")?);
    let child = Ours(child);
    let (piped, written) = (Closed::default(), Closed::default());
    let (into, kept) = (Arc::clone(&piped), Arc::clone(&written));
    std::thread::spawn(move || rows.lines().map_while(Result::ok).for_each(|line| file(&line, &into)));
    std::thread::spawn(move || follow(&csv, &kept));
    std::thread::sleep(Duration::from_secs(3));
    let ends = produce(&broker, &topic, windows)?;
    std::thread::sleep(Duration::from_secs(5));
    drop(child);
    for (sink, closed) in [("stdout", piped), ("csv", written)] {
        let closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
        for (window, end) in ends.range(WARM_UP..windows) {
            let (rows, first, last) = closed.get(window).with_context(|| format!("window {window} was not closed"))?;
            let ms = |at: &Instant| at.duration_since(*end).as_secs_f64() * 1000.0;
            say(format_args!("{sink},{window},{rows},{:.1},{:.1}", ms(first), ms(last)))?;
        }
    }
    Ok(())
}
