//! Averages of a log in memory, by two workers: two partitions, of which one is behind the other, a record that comes too
//! late, and one that cannot be decoded.
//!
//! ```text
//!   cargo run --release -p minutely-dataflows --example averages
//! ```
//!
//! It prints each final row, each dead letter with its evidence, and the ledger. Which worker does what, and how far one
//! partition is behind, changes nothing of that: a record is judged against its own partition alone.

#![allow(clippy::print_stdout, reason = "it is what an example is for")]
#![allow(clippy::disallowed_types, reason = "stands at the edge: the core is given this clock")]

use minutely_dataflows::acc::Avg;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::edge::{
    Clock, DeadLetterPort, Discovered, EndAnswer, Halt, LogSource, PartitionReader, RowBatch, RowFilter, SinkPort,
    SinkProgress, Wake,
};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::record::{DeadLetter, PartitionName, Record};
use minutely_dataflows::row::Row;
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Ledger;
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, first_epoch};
use minutely_dataflows::worker::{Alarm, drive};
use minutely_dataflows::{Job, park};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What each partition holds. Event times are in milliseconds since 1970; the lateness is ten minutes.
const PARTITIONS: [&[&str]; 2] = [
    &[
        r#"{"symbol": "AAPL", "price": 210.10, "ts": 1000, "volume": 5}"#,
        r#"{"symbol": "AAPL", "price": 210.20, "ts": 59999}"#,
        r#"{"symbol": "NVDA", "price": "99.5", "ts": 60000}"#,
        // Eleven minutes later: for this partition the first minute is final now.
        r#"{"symbol": "AAPL", "price": 211.00, "ts": 661000}"#,
        // So this one is late, and a dead letter.
        r#"{"symbol": "AAPL", "price": 209.00, "ts": 2000}"#,
    ],
    &[
        // The other partition is where the first one began: it counts for the same minute.
        r#"{"symbol": "AAPL", "price": 210.60, "ts": 30000}"#,
        r#"{"symbol": "AAPL", "price": 210.60"#,
    ],
];

/// Workers of the run.
const WORKERS: usize = 2;

/// The log: its partitions are told once.
struct Memory {
    told: AtomicBool,
}

impl LogSource for Memory {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.told.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = |(number, records): (i32, &&[&str])| Discovered {
            name: PartitionName { log: "ticks".into(), number: Some(number) },
            start: NextOffset(0),
            earliest: NextOffset(0),
            end: i64::try_from(records.len()).ok(),
            log_id: None,
        };
        Ok((0..).zip(&PARTITIONS).map(found).collect())
    }

    fn open(&self, found: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let number = found.name.number.and_then(|number| usize::try_from(number).ok());
        let records = PARTITIONS[number.expect("partitions of this log have numbers")];
        Ok(Box::new(Reader { rest: records, next: found.start }))
    }
}

/// One partition's records that are not read yet.
struct Reader {
    rest: &'static [&'static str],
    next: NextOffset,
}

impl PartitionReader for Reader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let (records, rest) = self.rest.split_at(max.min(self.rest.len()));
        for text in records {
            let (offset, payload) = (self.next.0, Some(text.as_bytes()));
            each(Record { offset, key: None, payload, ..Record::default() });
            self.next = NextOffset(offset + 1);
        }
        self.rest = rest;
        Ok(records.len())
    }

    fn next(&self) -> NextOffset {
        self.next
    }

    fn ended(&self) -> bool {
        self.rest.is_empty()
    }

    fn ask_end(&mut self, _urgent: bool) {}

    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }

    fn idle_wait(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// A clock that begins with the run. A bounded run asks no wall clock.
struct Clocks(Instant);

impl Clock for Clocks {
    fn monotonic(&self) -> Monotonic {
        Monotonic(i64::try_from(self.0.elapsed().as_nanos()).expect("a run is shorter than 292 years"))
    }

    fn wall(&self) -> EventTime {
        unreachable!("a bounded run judges by one instant")
    }
}

/// What a place in memory has been given; it stores at once.
struct Place<T> {
    kept: Arc<Mutex<Vec<T>>>,
    stored: Option<u64>,
}

impl<T> Place<T> {
    fn new(kept: &Arc<Mutex<Vec<T>>>) -> Box<Self> {
        Box::new(Place { kept: Arc::clone(kept), stored: None })
    }

    fn keep(&mut self, things: Vec<T>, stored: Option<u64>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(things);
        self.stored = stored.or(self.stored);
    }

    fn newest(&self) -> Option<SinkProgress> {
        self.stored.map(|at| SinkProgress { at, position: None })
    }
}

impl SinkPort for Place<Row> {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        self.keep(batch.rows, batch.last.then_some(batch.round));
        Ok(())
    }

    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(self.newest())
    }
}

impl DeadLetterPort for Place<DeadLetter> {
    fn offer(&mut self, cut: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        self.keep(dead_letters, Some(cut));
        Ok(())
    }

    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(self.newest())
    }
}

/// What a run gives.
pub(crate) struct Answers {
    /// In the order (minute, symbol).
    pub(crate) rows: Vec<Row>,
    /// In the order of partitions and offsets.
    pub(crate) letters: Vec<DeadLetter>,
    /// At the last commit.
    pub(crate) ledger: Ledger,
}

/// Runs to the end of the log.
///
/// # Errors
/// When the run cannot go on.
pub(crate) fn run() -> Result<Answers, Halt> {
    let (rows, letters) = (Arc::<Mutex<Vec<Row>>>::default(), Arc::<Mutex<Vec<DeadLetter>>>::default());
    let source = Arc::new(Memory { told: AtomicBool::new(false) });
    let (kept, dead, alarm) = (Arc::clone(&rows), Arc::clone(&letters), Arc::new(Alarm::default()));
    let workers = timely::execute(timely::Config::process(WORKERS), move |worker| {
        // Each final row once.
        let filter = RowFilter { changes: false, partial: true, open_every: 0 };
        let lead = (worker.index() == 0).then(|| LeaderOutputs {
            sinks: vec![SinkHandle { name: "memory".into(), filter, port: Place::new(&kept), chain: None }],
            dead_letters: Place::new(&dead),
            dead_letters_name: "memory".into(),
            manifests: None,
            watch: Box::new(|_| {}),
            watcher: None,
        });
        let job = Job {
            settings: Settings { bounded: true, instant: Some(EventTime(661_000_000_000)), ..Settings::default() },
            decoder: Decoder::new(&FieldNames::default()).expect("the default fields are valid"),
            source: Arc::clone(&source) as Arc<dyn LogSource>,
            clock: Rc::new(Clocks(Instant::now())),
            first_epoch: first_epoch(0),
            bad_is_fatal: false,
            filters: vec![filter],
            state: None,
            stop: Rc::new(|| false),
            park: Rc::new(park),
            preview_interval: None,
        };
        drive::<Avg>(worker, job, lead, &alarm)
    });
    let workers = workers.expect("two threads can be started").join();
    let outcomes = workers.into_iter().map(|worker| worker.expect("no worker panics"));
    let status = outcomes.collect::<Result<Vec<_>, Halt>>()?.into_iter().flatten().next();
    let mut letters = std::mem::take(&mut *letters.lock().unwrap_or_else(PoisonError::into_inner));
    letters.sort_unstable();
    let rows = std::mem::take(&mut *rows.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Answers { rows, letters, ledger: status.expect("worker 0 leads").ledger })
}

/// Prints what [`run`] gives.
#[allow(dead_code, reason = "the test of this example runs it without printing")]
fn main() -> Result<(), Halt> {
    let Answers { rows, letters, ledger } = run()?;
    for Row { symbol, minute, count, sum, avg, state, .. } in rows {
        println!("{:>6} s {symbol:<5} count {count} sum {sum} avg {avg} {}", minute.0 / 1_000_000_000, state.name());
    }
    for DeadLetter { partition, offset, reason, judged, finding, .. } in letters {
        let evidence = judged.map(|judged| format!("{:?}", judged.evidence));
        let evidence = evidence.or(finding.map(|finding| finding.to_string())).unwrap_or_default();
        println!("dead letter {partition} offset {offset}: {} ({evidence})", reason.name());
    }
    let counts = ledger.counts;
    println!(
        "read {} = counted {} + late {} + rejected {} + quarantined {}; held {}, retired {}",
        counts.read, counts.counted, counts.late, counts.rejected, counts.quarantined, ledger.held, ledger.retired
    );
    Ok(())
}
