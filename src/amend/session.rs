//! One amendment, from letters to rows.

use super::base::LogBase;
use super::corrected::{CorrectedRecord, CorrectedRecords};
use super::error::AmendError;
use super::events::{DecodedLetter, LateEvent, LetterDecoders, one_event};
use super::lines::{LetterFile, own_file};
use super::log_records::records_at;
use super::place::LetterPlace;
use super::plan::AmendPlan;
use super::report::{AmendReport, SinkChanges};
use super::rows::{EventsByRow, file, row};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::dead_letter_line::DeadLetterLine;
use crate::sinks::{self, AmendedOptions, AmendedRow, AmendedRows, StoredAmendedRows};
use crate::text::{Columns, event_time};
use crate::uri::redacted;
use crate::verify::OpenLog;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::record::{PartitionName, Reason};
use minutely_dataflows::time::{State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::path::Path;

/// The lock's name, in the job's folder.
const LOCK: &str = "amend.lock";
/// Letters that wait for their whole records at once, at most.
const MOST_PENDING: usize = 500;

/// A sink whose amended rows are read and written.
struct OpenAmended {
    rows: Box<dyn AmendedRows>,
    stored: StoredAmendedRows,
    /// Rows that it lacks, or has otherwise.
    due: Vec<AmendedRow>,
    changes: SinkChanges,
}

/// See the module.
pub(crate) struct AmendSession<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    pub(crate) decoders: LetterDecoders<'a>,
    pub(crate) corrected: CorrectedRecords,
    sinks: Vec<OpenAmended>,
    /// Letters of elements that need their whole records.
    pending: Vec<(LetterPlace, WindowStart, DeadLetterLine<'static>)>,
    report: AmendReport,
    /// Held for as long as rows may be written.
    _lock: Option<File>,
}

/// Amends what is asked for, or shows what it would come to.
///
/// # Errors
/// 64: the options are not those of a state, or a place is another job's. 65: letters cannot be amended. 69: log, state, letters or a sink
/// cannot be reached.
pub(crate) fn amend(mut config: Config, plan: &AmendPlan, clock: SystemClock) -> Result<(), Halt> {
    let log = OpenLog::open(&mut config, clock)?;
    let committed = None;
    let given = plan.files.iter().map(|path| LetterFile { path: path.clone(), committed });
    let mut files: Vec<LetterFile> = given.collect();
    if files.is_empty() {
        files.push(own_file(&log.head, &config.folder)?);
    }
    let mut session = AmendSession::open(&config, &log, clock, plan.yes)?;
    let mut events = EventsByRow::new();
    for of in &files {
        of.each(|number, line| {
            let at = format!("{} line {number}", of.path.display());
            session.line((&at, line), plan, &mut events)
        })?;
    }
    session.take_pending(&mut events)?;
    session.carry_out(events, plan)
}

impl<'a> AmendSession<'a> {
    /// Opens the sinks, and with `yes` takes the lock.
    ///
    /// # Errors
    /// 64: no sink can be amended. 69: another amend of the job is under way.
    pub(crate) fn open(config: &'a Config, log: &'a OpenLog, clock: SystemClock, yes: bool) -> Result<Self, Halt> {
        let lock = if yes { lock(&config.folder)? } else { None };
        let options = AmendedOptions {
            columns: Columns { market: log.columns.market, ..Columns::default() },
            windowing: log.facts.rule.windowing,
            owners: config.owners(&log.head),
            folder: config.folder.clone(),
            clock,
        };
        let mut report = AmendReport::new(!config.columns().derived.is_empty());
        let mut open = Vec::new();
        for uri in &config.sinks {
            let name = redacted(uri);
            let Some(rows) = sinks::amended(uri, &options)? else {
                report.without.push(name);
                continue;
            };
            let known = config.names_of(uri).first().is_some_and(|name| log.head.sink(name).is_some());
            if !known {
                return Err(AmendError::UnknownSink { sink: name }.into());
            }
            let changes = SinkChanges { name, ..SinkChanges::default() };
            open.push(OpenAmended { rows, stored: StoredAmendedRows::new(), due: Vec::new(), changes });
        }
        if open.is_empty() {
            return Err(AmendError::NoSink.into());
        }
        let corrected = CorrectedRecords::read(&config.folder, partitions(log))?;
        let decoders = LetterDecoders::new(config, log);
        Ok(AmendSession { config, log, decoders, corrected, sinks: open, pending: Vec::new(), report, _lock: lock })
    }

    /// A line of a file of dead letters.
    fn line(
        &mut self,
        (at, line): (&str, Result<DeadLetterLine<'static>, String>),
        plan: &AmendPlan,
        events: &mut EventsByRow,
    ) -> Result<(), Halt> {
        let line = match line {
            Ok(line) => line,
            Err(why) => {
                self.report.leave_out(at, &why, true);
                return Ok(());
            }
        };
        if line.place.reason != Reason::Late.name() {
            self.report.others += 1;
            return Ok(());
        }
        let time = line.why.event_time.as_deref().and_then(event_time);
        let (Some(place), Some(time)) = (LetterPlace::of(&line.place), time) else {
            self.report.leave_out(at, "is no dead letter of a late record: it lacks its place or its event time", true);
            return Ok(());
        };
        let window = self.log.facts.rule.windowing.window_of(time);
        if !plan.minutes.include(window) {
            self.report.unasked += 1;
            return Ok(());
        }
        self.report.letters += 1;
        if !self.is_due(&place, window) {
            return Ok(());
        }
        match self.decoders.letter(&place, &line)? {
            DecodedLetter::Event(event) => file(events, LateEvent { place, window, event }),
            DecodedLetter::Not(why) => self.report.leave_out_at(&place, &why, true),
            DecodedLetter::NeedsRecord => {
                self.pending.push((place, window, line));
                if self.pending.len() == MOST_PENDING {
                    self.take_pending(events)?;
                }
            }
        }
        Ok(())
    }

    /// The letters that wait for their whole records get them.
    fn take_pending(&mut self, events: &mut EventsByRow) -> Result<(), Halt> {
        let pending = std::mem::take(&mut self.pending);
        let mut offsets: BTreeMap<&PartitionName, BTreeSet<i64>> = BTreeMap::new();
        for (place, ..) in &pending {
            offsets.entry(&place.partition).or_default().insert(place.offset);
        }
        let mut records = BTreeMap::new();
        for (partition, offsets) in offsets {
            records.insert(partition, records_at(self.log, partition, &offsets)?);
        }
        for (place, window, line) in &pending {
            let record = records.get(&place.partition).and_then(|records| records.get(&place.offset));
            match self.decoders.element((place, line), record)? {
                Ok(event) => file(events, LateEvent { place: place.clone(), window: *window, event }),
                Err(why) => self.report.leave_out_at(place, &why, true),
            }
        }
        Ok(())
    }

    /// Can a letter of this place and minute be amended now? Else the report says why not.
    pub(crate) fn is_due(&mut self, place: &LetterPlace, window: WindowStart) -> bool {
        let facts = &self.log.facts;
        let partition = facts.partitions.iter().find(|partition| partition.name == place.partition);
        let (why, is_trouble) = match partition {
            None => ("is of a partition that the state does not have", true),
            Some(partition) if partition.next.0 <= place.offset => {
                ("is newer than the state: amend again when the run has committed more", false)
            }
            Some(_) if window >= facts.final_before => ("its minute is not final yet: amend again when it is", false),
            Some(_) if self.log.state_of(window) == State::Partial => {
                ("its minute says `partial`: it lacks records that no letter has", false)
            }
            Some(_) => return true,
        };
        self.report.leave_out_at(place, why, is_trouble);
        false
    }

    /// The same of these events.
    ///
    /// # Errors
    /// As [`amend`].
    pub(crate) fn carry_out_events(mut self, all: Vec<LateEvent>, plan: &AmendPlan) -> Result<(), Halt> {
        let mut events = EventsByRow::new();
        self.report.letters = all.len() as u64;
        all.into_iter().for_each(|event| file(&mut events, event));
        self.carry_out(events, plan)
    }

    /// Makes the rows of these events and of the letters that rows have already; with `--yes` writes them. Prints the report.
    ///
    /// # Errors
    /// As [`amend`].
    fn carry_out(mut self, mut events: EventsByRow, plan: &AmendPlan) -> Result<(), Halt> {
        if let (Some(((first, _), _)), Some(((last, _), _))) = (events.first_key_value(), events.last_key_value()) {
            let minutes = *first..WindowStart(last.0 + 1);
            for sink in &mut self.sinks {
                sink.stored = sink.rows.read(minutes.clone())?;
            }
            self.add_stored(&mut events)?;
            self.build(&events)?;
        }
        for sink in &mut self.sinks {
            if plan.yes && !sink.due.is_empty() {
                sink.rows.write(&sink.due)?;
            }
        }
        self.report.written = plan.yes;
        self.report.sinks = self.sinks.into_iter().map(|sink| sink.changes).collect();
        let windowing = self.log.facts.rule.windowing;
        let text = if plan.json { self.report.json(windowing)? } else { self.report.text(windowing) };
        print(&text).map_err(AmendError::Unwritten)?;
        Ok(self.report.verdict()?)
    }

    /// Adds the letters that the sinks' rows have, of the rows that there are events for.
    fn add_stored(&mut self, events: &mut EventsByRow) -> Result<(), Halt> {
        let mut unusable: BTreeMap<(WindowStart, String), String> = BTreeMap::new();
        let mut wanted: BTreeMap<LetterPlace, BTreeSet<(WindowStart, String)>> = BTreeMap::new();
        for (key, given) in &*events {
            for (text, sink) in self.sinks.iter().filter_map(|sink| Some((&sink.stored.get(key)?.letters, sink))) {
                for text in text.split(' ') {
                    match LetterPlace::parse(text, partitions(self.log)) {
                        Some(place) if given.contains_key(&place) => {}
                        Some(place) => drop(wanted.entry(place).or_default().insert(key.clone())),
                        None => {
                            let why =
                                format!("its row in {} names a letter `{text}`, which is none", sink.changes.name);
                            unusable.insert(key.clone(), why);
                        }
                    }
                }
            }
        }
        for (place, decoded) in self.fetch(wanted.keys())? {
            for key in wanted.remove(&place).unwrap_or_default() {
                let why = match &decoded {
                    Ok(event) if self.is_of(&key, event) => {
                        file(events, LateEvent { place: place.clone(), window: key.0, event: event.clone() });
                        continue;
                    }
                    Ok(_) => format!("its row names {place}, which is of another minute or symbol in this log"),
                    Err(why) => format!("its row has {place}, too, which {why}"),
                };
                unusable.insert(key, why);
            }
        }
        for (key, why) in unusable {
            for place in events.remove(&key).into_iter().flat_map(BTreeMap::into_keys) {
                self.report.leave_out_at(&place, &why, true);
            }
        }
        Ok(())
    }

    fn is_of(&self, (window, symbol): &(WindowStart, String), event: &LateDecoded) -> bool {
        self.log.facts.rule.windowing.window_of(event.time) == *window && *event.symbol == **symbol
    }

    /// The events of these places: of corrected records, else of the log's.
    fn fetch<'p>(&mut self, places: impl Iterator<Item = &'p LetterPlace>) -> Result<Vec<Fetched>, Halt> {
        let mut all = Vec::new();
        let mut of_log: BTreeMap<PartitionName, Vec<LetterPlace>> = BTreeMap::new();
        for place in places {
            match self.corrected.get(place) {
                Some(corrected) => {
                    let each = self.config.fields.each.is_some();
                    let record = corrected.record(place.offset);
                    let decoded = one_event(self.decoders.of(&place.partition)?, &record, each.then_some(0))?;
                    all.push((place.clone(), decoded));
                }
                None => of_log.entry(place.partition.clone()).or_default().push(place.clone()),
            }
        }
        for (partition, places) in of_log {
            let offsets: BTreeSet<i64> = places.iter().map(|place| place.offset).collect();
            let records = records_at(self.log, &partition, &offsets)?;
            for place in places {
                let decoded = match records.get(&place.offset) {
                    Some(record) => self.decoders.record(&place, record)?,
                    None => Err("is not in the log any more".to_owned()),
                };
                all.push((place, decoded));
            }
        }
        Ok(all)
    }

    /// Makes the rows, and finds out which sinks lack them.
    fn build(&mut self, events: &EventsByRow) -> Result<(), Halt> {
        let mut wanted = BTreeSet::new();
        for (key, of) in events {
            let Some(why) = self.log.facts.unverifiable(key.0.0.div_euclid(BUCKET)) else {
                wanted.insert(key.clone());
                continue;
            };
            let lacking: Vec<&LetterPlace> = of.keys().filter(|place| !self.is_listed(key, place)).collect();
            lacking.iter().for_each(|place| self.report.leave_out_at(place, why.reason(), true));
            self.report.amending += (of.len() - lacking.len()) as u64;
        }
        let places: HashSet<_> = events.values().flatten().map(|(place, _)| place.position()).collect();
        let base = LogBase::count(self.log, &wanted, &places)?;
        let columns = (&self.log.facts.rule, self.log.columns.market, self.config.decoder.scales());
        for (key, of) in events.iter().filter(|(key, _)| wanted.contains(*key)) {
            let report = &mut self.report;
            let mut told = |place: &LetterPlace, not: super::rows::NotAdded| {
                report.leave_out_at(place, not.words(), not.is_trouble());
            };
            let Some(built) = row(key, of, &base, columns, &mut told) else { continue };
            self.report.amending += built.amended.letter_count.unsigned_abs();
            for sink in &mut self.sinks {
                let OpenAmended { rows, stored, due, changes } = sink;
                if !rows.can_hold(&key.1) {
                    changes.unfit += 1;
                    continue;
                }
                match stored.get(key) {
                    Some(stored) if stored.cells == rows.cells(&built.amended) => {
                        changes.same += 1;
                        continue;
                    }
                    Some(_) => changes.changed += 1,
                    None => changes.new += 1,
                }
                due.push(built.amended.clone());
            }
            self.report.rows.push(built);
        }
        Ok(())
    }

    /// Has the row of every sink this letter?
    fn is_listed(&self, key: &(WindowStart, String), place: &LetterPlace) -> bool {
        let text = place.to_string();
        self.sinks.iter().all(|sink| {
            sink.stored.get(key).is_some_and(|stored| stored.letters.split(' ').any(|listed| listed == text))
        })
    }

    /// Records that stand for broken ones from now on: kept before any row names them.
    ///
    /// # Errors
    /// 69: they cannot be written.
    pub(crate) fn keep(&mut self, corrected: Vec<(LetterPlace, CorrectedRecord)>) -> Result<(), Halt> {
        Ok(self.corrected.add(corrected)?)
    }
}

/// A place, and its event, or why there is none.
type Fetched = (LetterPlace, Result<LateDecoded, String>);
type LateDecoded = minutely_dataflows::decode::DecodedEvent<'static>;

/// The partitions of a state.
fn partitions(log: &OpenLog) -> impl Iterator<Item = &PartitionName> + Clone {
    log.facts.partitions.iter().map(|partition| &partition.name)
}

/// One amend of a job at a time: two would each write rows without the other's letters.
fn lock(folder: &Path) -> Result<Option<File>, AmendError> {
    let path = folder.join(LOCK);
    let unusable = |source| AmendError::Unwritable { path: path.clone(), source };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(AmendError::UnderWay { path }),
        // A file system without locks.
        Err(TryLockError::Error(e)) => {
            tracing::warn!("{}: cannot be locked: {e}; run one amend at a time", path.display());
            Ok(None)
        }
    }
}
