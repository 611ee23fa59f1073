//! Exact averages of timestamped values by minutes of event time, from partitioned logs: the core of minutely.
//!
//! This crate decides; it does not act. It has no clock, no network and no disk, and no float arithmetic but the one
//! division at the end. What it needs of the outside is behind the traits of [`edge`], so that all of it runs in a test.
//! The rules that comments cite as R1 to R14 are in `docs/semantics.md` of the repository, `docs/glossary.md` defines the
//! terms, and `ARCHITECTURE.md` follows one record and one cut through the files.
//!
//! # How a record becomes a row
//!
//! ```text
//!  LogSource ──> decode ──> judge ──> add up ══exchange══> arrangement ──> outbox ──> SinkPort
//!                  │          │                                  │            ^
//!                  └──────────┴──> dead letters                  └── cut ──> commit
//! ```
//!
//! 1. A worker reads records of the partitions that it owns ([`edge::PartitionReader`]).
//! 2. [`decode`] turns a payload into a symbol, an exact decimal value, an event time and maybe a weight, or rejects it.
//! 3. [`partition`] judges it against its *own* partition, in offset order: it counts, or it is late, or it is too far from
//!    the clock. So the verdict depends on the log alone, but for the exceptions that are listed (R10).
//! 4. What counts is added up by window and series ([`acc`]); what does not count is a dead letter ([`record`]).
//! 5. Sums travel to the worker that holds the series and accumulate in a differential arrangement, one entry per open
//!    window and series.
//! 6. Worker 0 ends epochs and takes cuts ([`control`]). A cut is committed if the records counted at the sources are those
//!    in windows ([`status::Ledger`]), and once its manifest is published, where a state is kept ([`checkpoint`]).
//! 7. Only committed rows go to sinks. A window is forgotten once its final row is stored by every sink.
//!
//! # What is pure
//!
//! Decoding, verdicts, the watermark W, control's decisions, the formats of objects and manifests, and the way a manifest is
//! published are plain structs and functions: facts in, decision out, tested without a worker. Only the operators and a
//! worker's loop ([`worker`]) touch timely. [`oracle`] computes the same answer in three pages and one thread; tests compare
//! whole outputs with it.
//!
//! # What the outside implements
//!
//! | trait | is | blocks? |
//! |---|---|---|
//! | [`edge::LogSource`], [`edge::PartitionReader`] | a log and one partition of it | no, but for the look at the log before the run |
//! | [`edge::SinkPort`] | a bounded queue to a place for rows | no |
//! | [`edge::DeadLetterPort`] | a bounded queue to the place for dead letters | no |
//! | [`edge::Clock`] | the monotonic and the wall clock | no |
//! | [`edge::StateStore`], [`edge::ObjectPort`], [`edge::ManifestPort`] | checkpoints; optional | `read` alone, before the run |
//! | [`watch::Watcher`] | sees rows before they are committed; optional | no |
//!
//! # What is not promised
//!
//! - A process that dies takes its workers with it: there is no replica. The next run resumes from the newest manifest.
//! - The log's end proves what the log holds, not what a producer still holds (R8).
//! - Without a state ([`Job::state`]) nothing is known of earlier runs, and rows may be sent again.
//! - The crate has no stable API: its version is the program's.
//!
//! # Example
//!
//! A log in memory, read to its end by one worker. `examples/averages.rs` has two workers, two partitions and a late record.
//!
//! ```
//! use minutely_dataflows::acc::Avg;
//! use minutely_dataflows::decode::{Decoder, FieldNames};
//! use minutely_dataflows::edge::{Clock, DeadLetterPort, Discovered, EndAnswer, Halt, LogSource, PartitionReader};
//! use minutely_dataflows::edge::{RowBatch, RowFilter, SinkPort, SinkProgress, Wake};
//! use minutely_dataflows::leader::{LeaderOutputs, SinkHandle};
//! use minutely_dataflows::record::{DeadLetter, PartitionName, Record};
//! use minutely_dataflows::row::Row;
//! use minutely_dataflows::settings::Settings;
//! use minutely_dataflows::time::{EventTime, Monotonic, NextOffset, first_epoch};
//! use minutely_dataflows::worker::{Alarm, drive};
//! use minutely_dataflows::{BadRecordPolicy, Job, park};
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::sync::{Arc, Mutex};
//! use std::{rc::Rc, time::Duration, time::Instant};
//!
//! const LOG: [&str; 3] = [
//!     r#"{"symbol": "A", "price": 0.10, "ts": 1000}"#,
//!     r#"{"symbol": "A", "price": 0.20, "ts": 59999}"#,
//!     r#"{"symbol": "A", "price": "ten", "ts": 2000}"#,
//! ];
//!
//! /// One partition, which is found once.
//! struct Memory(AtomicBool);
//!
//! impl LogSource for Memory {
//!     fn discover(&self) -> Result<Vec<Discovered>, Halt> {
//!         let name = PartitionName { log: "ticks".into(), number: Some(0) };
//!         let (start, end) = (NextOffset(0), Some(LOG.len() as i64));
//!         let found = Discovered { name, start, earliest: start, end, log_id: None };
//!         Ok(if self.0.swap(true, Ordering::Relaxed) { vec![] } else { vec![found] })
//!     }
//!     fn open(&self, found: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
//!         Ok(Box::new(Reader(found.start.0)))
//!     }
//! }
//!
//! struct Reader(i64);
//!
//! impl PartitionReader for Reader {
//!     fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
//!         let records = LOG.iter().skip(self.0 as usize).take(max);
//!         let read = records.map(|text| {
//!             let payload = Some(text.as_bytes());
//!             each(Record { offset: self.0, key: None, payload, ..Record::default() });
//!             self.0 += 1;
//!         });
//!         Ok(read.count())
//!     }
//!     fn next(&self) -> NextOffset {
//!         NextOffset(self.0)
//!     }
//!     fn ended(&self) -> bool {
//!         self.0 == LOG.len() as i64
//!     }
//!     fn ask_end(&mut self, _urgent: bool) {} // asked of live logs alone
//!     fn answer(&mut self) -> Option<EndAnswer> {
//!         None
//!     }
//!     fn idle_wait(&self) -> Duration {
//!         Duration::from_millis(1)
//!     }
//! }
//!
//! /// A place in memory, for rows or for dead letters: what it takes is stored at once.
//! struct Place<T>(Arc<Mutex<Vec<T>>>, Option<u64>);
//!
//! impl SinkPort for Place<Row> {
//!     fn offer(&mut self, batch: RowBatch) -> Result<(), RowBatch> {
//!         self.0.lock().unwrap().extend(batch.rows);
//!         self.1 = batch.last.then_some(batch.round).or(self.1);
//!         Ok(())
//!     }
//!     fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
//!         Ok(self.1.map(|at| SinkProgress { at, position: None }))
//!     }
//! }
//!
//! impl DeadLetterPort for Place<DeadLetter> {
//!     fn offer(&mut self, cut: u64, dead_letters: Vec<DeadLetter>) -> Result<(), Vec<DeadLetter>> {
//!         self.0.lock().unwrap().extend(dead_letters);
//!         self.1 = Some(cut);
//!         Ok(())
//!     }
//!     fn stored(&mut self) -> Result<Option<SinkProgress>, Halt> {
//!         Ok(self.1.map(|at| SinkProgress { at, position: None }))
//!     }
//! }
//!
//! struct Clocks(Instant);
//!
//! impl Clock for Clocks {
//!     fn monotonic(&self) -> Monotonic {
//!         Monotonic(self.0.elapsed().as_nanos() as i64)
//!     }
//!     fn wall(&self) -> EventTime {
//!         unreachable!("a bounded run judges by one instant")
//!     }
//! }
//!
//! let (rows, dead_letters) = (Arc::default(), Arc::default());
//! let (shared_rows, shared_dead_letters) = (Arc::clone(&rows), Arc::clone(&dead_letters));
//! let status = timely::execute_directly(move |worker| {
//!     let filter = RowFilter { changes: false, partial: true, open_every: 0 }; // final rows, each once
//!     let job = Job {
//!         settings: Settings { bounded: true, instant: Some(EventTime(60_000_000_000)), ..Settings::default() },
//!         decoder: Decoder::new(&FieldNames::default()).unwrap(),
//!         source: Arc::new(Memory(AtomicBool::new(false))),
//!         clock: Rc::new(Clocks(Instant::now())),
//!         first_epoch: first_epoch(0),
//!         bad_records: BadRecordPolicy::SetAside,
//!         filters: vec![filter],
//!         state: None,
//!         stop: Rc::new(|| false),
//!         park: Rc::new(park),
//!         preview_interval: None,
//!     };
//!     let lead = LeaderOutputs {
//!         sinks: vec![SinkHandle { name: "memory".into(), filter, port: Box::new(Place(shared_rows, None)), chain: None }],
//!         dead_letters: Box::new(Place(shared_dead_letters, None)),
//!         dead_letters_name: "memory".into(),
//!         manifests: None,
//!         watch: Box::new(|_| {}),
//!         watcher: None,
//!     };
//!     drive::<Avg>(worker, job, Some(lead), &Alarm::default())
//! });
//!
//! let counts = status.unwrap().expect("worker 0 leads").ledger.counts;
//! assert_eq!((counts.read, counts.counted, counts.rejected), (3, 2, 1));
//! let rows: Vec<Row> = std::mem::take(&mut *rows.lock().unwrap());
//! assert_eq!((rows[0].count, rows[0].sum.to_string(), rows[0].avg), (2, "0.3".into(), 0.15));
//! let dead_letters: Vec<DeadLetter> = std::mem::take(&mut *dead_letters.lock().unwrap());
//! assert_eq!(dead_letters[0].reason.name(), "type");
//! ```

#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

pub mod acc;
pub mod checkpoint;
pub mod coarse;
pub mod control;
pub mod decimal;
pub mod decode;
pub mod delivery;
pub mod derived;
pub mod digest;
pub mod edge;
pub mod escape;
pub mod explain;
pub mod frontier;
mod graph;
pub mod halt;
pub mod leader;
mod literal;
pub mod marks;
pub mod mutants;
pub mod numbers;
pub mod oracle;
pub mod partial;
pub mod partition;
pub mod protocol;
pub mod record;
pub mod row;
pub mod settings;
mod shards;
pub mod status;
pub mod time;
pub mod watch;
pub mod wide;
pub mod worker;

pub use graph::{BadRecordPolicy, Job, Restored, park};
