//! One amendment, from letters to rows.

use super::base::LogBase;
use super::corrected::{CorrectedRecord, CorrectedRecords};
use super::error::AmendError;
use super::events::{DecodedLetter, LateEvent, LetterDecoders};
use super::fetch::fetch;
use super::lines::{LetterFile, own_files};
use super::lock::AmendLock;
use super::pending::{OfLetter, PendingLetters};
use super::place::LetterPlace;
use super::plan::AmendPlan;
use super::report::AmendReport;
use super::rows::{EventsByRow, NotAdded, file, is_of, row};
use super::stored::{OpenAmended, partitions};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::dead_letter_line::DeadLetterLine;
use crate::text::event_time;
use crate::verify::OpenLog;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::oracle::Position;
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::record::Reason;
use minutely_dataflows::time::{State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use xxhash_rust::xxh3::xxh3_128;

/// See the module.
pub(crate) struct AmendSession<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    decoders: LetterDecoders<'a>,
    corrected: CorrectedRecords,
    sinks: Vec<OpenAmended>,
    pending: PendingLetters,
    /// Letters that were given, each once: their places, and hashes of their payloads.
    seen: HashSet<(Position, u128)>,
    /// Letters that are in rows already, and were not given: as rows name them.
    listed: HashSet<String>,
    /// Records that are kept if a row names their places.
    kept: Vec<(LetterPlace, CorrectedRecord)>,
    report: AmendReport,
}

/// Amends what is asked for, or shows what it would come to.
///
/// # Errors
/// 64: the options are not those of a state, a file of letters cannot be read, or a place is another job's. 65: letters cannot be amended.
/// 69: log, state or a sink cannot be reached.
pub(crate) fn amend(mut config: Config, plan: &AmendPlan, clock: SystemClock) -> Result<(), Halt> {
    let log = OpenLog::open(&mut config, clock)?;
    let committed = None;
    let given = plan.files.iter().map(|path| LetterFile { path: path.clone(), committed });
    let mut files: Vec<LetterFile> = given.collect();
    let reads_own = files.is_empty();
    if reads_own {
        files = own_files(&log.head, &config.folder)?;
    }
    let _lock = if plan.yes { Some(AmendLock::take(&config.folder)?) } else { None };
    let mut session = AmendSession::open(&config, &log, clock)?;
    session.report.lacks_letters = reads_own && log.missing_letters.is_some();
    for of in &files {
        of.each(|number, line| {
            let at = format!("{} line {number}", of.path.display());
            session.line((&at, line), plan)
        })?;
    }
    let events = session.settled()?;
    let report = session.carry_out(events, plan.yes)?;
    let windowing = log.facts.rule.windowing;
    let text = if plan.json { report.json(windowing)? } else { report.text(windowing) };
    print(&text).map_err(|source| AmendError::Unwritten { source, done: report.done() })?;
    report.verdict()
}

impl<'a> AmendSession<'a> {
    /// Opens the sinks.
    ///
    /// # Errors
    /// 64: no sink can be amended. 65: what is kept is damaged.
    pub(crate) fn open(config: &'a Config, log: &'a OpenLog, clock: SystemClock) -> Result<Self, Halt> {
        let mut report = AmendReport::new(!config.columns().derived.is_empty());
        let (sinks, without) = OpenAmended::all(config, log, clock)?;
        (report.without, report.doubt) = (without, log.doubt());
        if sinks.is_empty() {
            return Err(AmendError::NoSink.into());
        }
        let corrected = CorrectedRecords::read(&config.folder, partitions(log))?;
        Ok(AmendSession {
            config,
            log,
            decoders: LetterDecoders::new(config, log),
            corrected,
            sinks,
            pending: PendingLetters::default(),
            seen: HashSet::new(),
            listed: HashSet::new(),
            kept: Vec::new(),
            report,
        })
    }

    /// A line of a file of dead letters.
    fn line(
        &mut self,
        (at, line): (&str, Result<DeadLetterLine<'static>, String>),
        plan: &AmendPlan,
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
        let hash = xxh3_128(line.raw.as_deref().unwrap_or_default());
        if !self.seen.insert((place.position(), hash)) {
            return Ok(());
        }
        self.report.letters += 1;
        if !self.is_due(&place, window) {
            return Ok(());
        }
        let of = match self.decoders.letter(&place, &line)? {
            DecodedLetter::Event(event) => OfLetter::Event(event),
            DecodedLetter::NeedsRecord => OfLetter::Says(Box::new(line.why)),
            DecodedLetter::Not(why) => {
                self.report.leave_out_at(&place, &why, true);
                return Ok(());
            }
        };
        self.pending.add(place, window, hash, of);
        Ok(())
    }

    /// The events of all lines so far, once the log has been looked at.
    fn settled(&mut self) -> Result<EventsByRow, Halt> {
        let (report, mut events) = (&mut self.report, EventsByRow::new());
        let pending = std::mem::take(&mut self.pending);
        pending.settle(self.log, &mut self.decoders, &mut |place, event| match event {
            Ok(event) => file(&mut events, event),
            Err(why) => report.leave_out_at(place, &why, true),
        })?;
        Ok(events)
    }

    /// Can a letter of this place and minute be amended now? Else the report says why not.
    pub(crate) fn is_due(&mut self, place: &LetterPlace, window: WindowStart) -> bool {
        let facts = &self.log.facts;
        let partition = facts.partitions.iter().find(|partition| partition.name == place.partition);
        let (why, is_trouble) = match partition {
            None => ("is of a partition that the state does not have", true),
            Some(partition) if place.offset < partition.start.0 => {
                ("is of another log: it stands before the first record that this job has read", true)
            }
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

    /// Adds an event of a corrected record, which is kept if a row names it; one that was kept otherwise meanwhile is told.
    pub(crate) fn add_corrected(&mut self, event: LateEvent, record: CorrectedRecord, events: &mut EventsByRow) {
        self.report.letters += 1;
        if !self.is_due(&event.place, event.window) {
            return;
        }
        if self.corrected.get(&event.place).is_some_and(|before| before.payload != record.payload) {
            return self.report.leave_out_at(&event.place, "was amended by another correction before", true);
        }
        self.kept.push((event.place.clone(), record));
        file(events, event);
    }

    /// Makes the rows of these events and of the letters that rows have already; with `yes` writes them.
    ///
    /// # Errors
    /// As [`amend`].
    pub(crate) fn carry_out(mut self, mut events: EventsByRow, yes: bool) -> Result<AmendReport, Halt> {
        if let (Some(((first, _), _)), Some(((last, _), _))) = (events.first_key_value(), events.last_key_value()) {
            let minutes = *first..WindowStart(last.0 + 1);
            for sink in &mut self.sinks {
                sink.stored = sink.rows.read(minutes.clone())?;
            }
            self.add_stored(&mut events)?;
            self.build(&events)?;
        }
        if yes {
            self.keep(&events)?;
            for sink in self.sinks.iter_mut().filter(|sink| !sink.due.is_empty()) {
                sink.rows.write(&sink.due)?;
            }
        }
        self.report.written = yes;
        self.report.sinks = self.sinks.into_iter().map(|sink| sink.changes).collect();
        Ok(self.report)
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
        let fetched = fetch((self.config, self.log), &mut self.decoders, &self.corrected, wanted.keys())?;
        for (place, decoded) in fetched {
            for key in wanted.remove(&place).unwrap_or_default() {
                let why = match &decoded {
                    Ok(event) if is_of(&self.log.facts.rule, &key, event) => {
                        file(events, LateEvent { place: place.clone(), window: key.0, event: event.clone() });
                        self.listed.insert(place.to_string());
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
                if !self.listed.contains(&place.to_string()) {
                    self.report.leave_out_at(&place, &why, true);
                }
            }
        }
        Ok(())
    }

    /// Makes the rows, and finds out which sinks lack them.
    fn build(&mut self, events: &EventsByRow) -> Result<(), Halt> {
        let mut wanted = BTreeSet::new();
        for (key, of) in events {
            let Some(why) = self.log.facts.unverifiable(key.0.0.div_euclid(BUCKET)) else {
                wanted.insert(key.clone());
                continue;
            };
            let given: Vec<(&LetterPlace, String)> = of.keys().map(|place| (place, place.to_string())).collect();
            let given = given.into_iter().filter(|(_, text)| !self.listed.contains(text));
            let (there, lacking): (Vec<_>, Vec<_>) =
                given.partition(|(_, text)| self.sinks.iter().all(|sink| sink.names(key, text)));
            lacking.iter().for_each(|(place, _)| self.report.leave_out_at(place, why.reason(), true));
            self.report.add_listed(there.len() as u64);
        }
        let places: HashSet<_> = events.values().flatten().map(|(place, _)| place.position()).collect();
        let base = LogBase::count(self.log, &wanted, &places)?;
        let columns = (&self.log.facts.rule, self.log.columns.market, self.config.decoder.scales());
        for (key, of) in events.iter().filter(|(key, _)| wanted.contains(*key)) {
            let report = &mut self.report;
            let mut told = |place: &LetterPlace, not: NotAdded| {
                report.leave_out_at(place, not.words(), not.is_trouble());
            };
            let Some(built) = row(key, of, &base, columns, &mut told) else { continue };
            let beside = built.amended.letters.split(' ').filter(|letter| self.listed.contains(*letter)).count();
            for OpenAmended { rows, stored, due, changes } in &mut self.sinks {
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
            self.report.add_row(built, beside as u64);
        }
        Ok(())
    }

    /// Keeps the corrected records that rows name: before any row is written, and only where one is there or is about to be.
    fn keep(&mut self, events: &EventsByRow) -> Result<(), Halt> {
        let kept = std::mem::take(&mut self.kept);
        let due = self.sinks.iter().flat_map(|sink| sink.due.iter().map(|row| row.letters.as_str()));
        let stored = self.sinks.iter().flat_map(|sink| events.keys().filter_map(|key| sink.stored.get(key)));
        let rows = due.chain(stored.map(|stored| stored.letters.as_str()));
        let named: HashSet<&str> = rows.flat_map(|letters| letters.split(' ')).collect();
        let kept = kept.into_iter().filter(|(place, _)| named.contains(place.to_string().as_str())).collect();
        Ok(self.corrected.add(kept)?)
    }
}
