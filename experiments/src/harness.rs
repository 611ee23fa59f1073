//! The core with the least around it: a clock, files as a log, and sinks that take everything at once.

use crate::lines::Lines;
use crate::store::Store;
use minutely_dataflows::acc::Accumulate;
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::edge::{
    Clock, DeadLetterPort, Discovered, EndAnswer, Halt, HaltKind, LogSource, ManifestPort, PartitionReader, RowBatch,
    RowFilter, SinkPort, SinkProgress, Wake,
};
use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
use minutely_dataflows::record::{DeadLetter, PartitionName, Record};
use minutely_dataflows::settings::Settings;
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, first_epoch};
use minutely_dataflows::worker::{Alarm, drive};
use minutely_dataflows::{Job, Restored};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What worker 0 is given.
pub struct Outputs {
    /// Receives the rows.
    pub rows: Box<dyn SinkPort + Send>,
    /// What it takes.
    pub takes: RowFilter,
    /// Is shown each commit.
    pub watch: Box<dyn FnMut(&Status) + Send>,
    /// Set: the run is to end.
    pub stop: Arc<AtomicBool>,
    /// Where checkpoints go.
    pub store: Option<Store>,
}

/// Runs the core on one worker, to the end of the log or until it is stopped.
///
/// # Errors
/// When the run cannot go on.
pub fn run<A: Accumulate>(source: Arc<dyn LogSource>, settings: Settings, outputs: Outputs) -> anyhow::Result<Status> {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true)?; // as the product
    let takes = outputs.takes;
    let lead = Mutex::new(Some(outputs));
    let decoder = Decoder::new(&FieldNames::default()).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let communication = timely::CommunicationConfig::Process(1);
    let config = timely::Config { communication, worker: timely::WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let lead = lead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stop = lead.as_ref().map(|outputs| Arc::clone(&outputs.stop));
        let store = lead.as_ref().and_then(|outputs| outputs.store.clone());
        let manifests = store.as_ref().map(|store| store.manifests() as Box<dyn ManifestPort>);
        let state = store.map(|store| Restored {
            head: Arc::new(store.head()),
            store: Arc::new(store),
            stored_before: vec![None],
        });
        let job = Job {
            settings: settings.clone(),
            decoder: decoder.clone(),
            source: Arc::clone(&source),
            clock: Rc::new(RealClock(Instant::now())),
            first_epoch: first_epoch(u64::from(state.is_some())),
            bad_is_fatal: true,
            filters: vec![takes],
            state,
            stop: Rc::new(move || stop.as_ref().is_some_and(|stop| stop.load(Ordering::Acquire))),
            park: Rc::new(minutely_dataflows::park),
            preview_interval: None,
        };
        let lead = lead.map(|Outputs { rows, takes, watch, .. }| LeaderOutputs {
            sinks: vec![SinkHandle { name: "rows".into(), filter: takes, port: rows, chain: None }],
            dead_letters: Box::new(NoLetters),
            dead_letters_name: "none".into(),
            manifests,
            watch,
            watcher: None,
        });
        drive::<A>(worker, job, lead, &Alarm::default())
    })
    .map_err(anyhow::Error::msg)?;
    let ended = guards.join().into_iter().next().ok_or_else(|| anyhow::anyhow!("no worker"))?;
    let status = ended.map_err(anyhow::Error::msg)??;
    status.ok_or_else(|| anyhow::anyhow!("worker 0 leads"))
}

struct RealClock(Instant);

impl Clock for RealClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(i64::try_from(self.0.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
    fn wall(&self) -> EventTime {
        EventTime(EventTime::LIMIT) // made-up logs are judged by nothing
    }
}

/// Files as a log.
pub struct Files {
    paths: Vec<PathBuf>,
    told: AtomicBool,
}

impl Files {
    /// These files, a partition each.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Files { paths, told: AtomicBool::new(false) }
    }
}

impl LogSource for Files {
    fn discover(&self) -> Result<Vec<Discovered>, Halt> {
        if self.told.swap(true, Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let found = |path: &PathBuf| {
            let name = PartitionName { log: path.display().to_string(), number: None };
            Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: Some(i64::MAX), log_id: None }
        };
        Ok(self.paths.iter().map(found).collect())
    }

    fn open(&self, found: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
        let lines = Lines::open(Path::new(&found.name.log)).map_err(|error| unreadable(&error))?;
        Ok(Box::new(FileReader { lines, next: found.start }))
    }
}

fn unreadable(error: &std::io::Error) -> Halt {
    Halt::new(HaltKind::Unreachable, format!("a file cannot be read: {error}"))
}

struct FileReader {
    lines: Lines,
    next: NextOffset,
}

impl PartitionReader for FileReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        let mut total = 0;
        while total == 0 && !self.lines.ended() {
            let next = &mut self.next.0;
            let read = self.lines.read(max, |line| {
                each(Record { offset: *next, key: None, payload: Some(line), ..Record::default() });
                *next += 1;
            });
            total += read.map_err(|error| unreadable(&error))?;
        }
        Ok(total)
    }
    fn next(&self) -> NextOffset {
        self.next
    }
    fn ended(&self) -> bool {
        self.lines.ended()
    }
    fn ask_end(&mut self, _: bool) {}
    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }
    fn idle_wait(&self) -> Duration {
        if self.ended() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}

/// A CSV of rows, written where it is offered.
pub struct Csv {
    file: BufWriter<File>,
    stored: Option<u64>,
    trouble: Option<std::io::Error>,
}

impl Csv {
    /// A new file.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Csv { file: BufWriter::new(File::create(path)?), stored: None, trouble: None })
    }
}

impl SinkPort for Csv {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        for row in &batch.rows {
            let wrote = writeln!(
                self.file,
                "{},{},{},{},{},{}",
                row.symbol,
                row.minute.0,
                row.count,
                row.sum,
                row.avg,
                row.state.name()
            );
            self.trouble = self.trouble.take().or(wrote.err());
        }
        if batch.last {
            self.trouble = self.trouble.take().or(self.file.flush().err());
            self.stored = Some(batch.round);
        }
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        match self.trouble.take() {
            Some(trouble) => Err(Halt::new(HaltKind::Unreachable, format!("rows cannot be written: {trouble}"))),
            None => Ok(self.stored.map(|at| SinkProgress { at, position: None })),
        }
    }
}

/// Rows go nowhere.
#[derive(Default)]
pub struct Nowhere(Option<u64>);

impl SinkPort for Nowhere {
    fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
        if batch.last {
            self.0 = Some(batch.round);
        }
        Ok(())
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(self.0.map(|at| SinkProgress { at, position: None }))
    }
}

struct NoLetters;

impl DeadLetterPort for NoLetters {
    fn offer(&mut self, _: u64, letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
        Err(letters) // a made-up log has none: a run with some does not end
    }
    fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
        Ok(None)
    }
}
