//! One redrive, from letters to records.

use super::correct::{CorrectedLetter, Corrector, DecodingRule, shown};
use super::error::RedriveError;
use super::journal::{Journal, beside, written};
use super::plan::{FieldMap, RedrivePlan, RedriveTarget};
use super::report::{MinuteLife, RedriveReport};
use super::topic::RunTopic;
use crate::amend::{
    AmendLock, AmendReport, AmendSession, CorrectedRecord, CorrectedRecords, EventsByRow, LateEvent, LetterFile,
    LetterPlace, amended_places, is_gone, records_at,
};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::{print, say};
use crate::dead_letter_line::DeadLetterLine;
use crate::verify::{OpenLog, has_state};
use minutely_dataflows::decode::{FieldNames, Format};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::oracle::Position;
use minutely_dataflows::record::{PartitionName, Reason};
use minutely_dataflows::time::{EventTime, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use xxhash_rust::xxh3::xxh3_128;

/// Reasons of letters that were decoded.
const DECODED: [Reason; 6] =
    [Reason::Late, Reason::Future, Reason::Past, Reason::Session, Reason::Bounds, Reason::Outlier];
/// Letters whose records are looked up in the log at once, and bytes of their payloads.
const LOOKED_UP: usize = 100_000;
const LOOKED_UP_BYTES: usize = 16 << 20;

/// Redrives what is asked for, or shows what it would come to. `given`: by all options; `own`: without those of decoding on the command
/// line.
///
/// # Errors
/// 64: none of both is a run of a state; 65: some letters still do not count; 69: log, state, letters, journal, topic or a sink cannot be
/// reached.
pub(crate) fn redrive(given: Config, own: Config, plan: &RedrivePlan, clock: SystemClock) -> Result<(), Halt> {
    let letters_by = (given.fields.clone(), given.decoder.clone());
    let mut config = match (has_state(&given), has_state(&own)) {
        (Ok(()), _) => given,
        (Err(_), Ok(())) => own,
        (Err(_), Err(why)) => return Err(RedriveError::NoRun(why.why).into()),
    };
    check(&config.fields, &plan.maps)?;
    let topic = match plan.target {
        Some(RedriveTarget::Topic) => {
            RunTopic::of(&config)?;
            true
        }
        _ => false,
    };
    let log = OpenLog::open(&mut config, clock)?;
    log.doubt().iter().for_each(|doubt| say(doubt));
    let config = config;
    let (letters, decoder) = letters_by;
    let corrector = Corrector {
        letters: DecodingRule { fields: &letters, decoder },
        run: DecodingRule { fields: &config.fields, decoder: config.decoder.clone() },
        maps: &plan.maps,
    };
    let report = RedriveReport::default();
    let mut session = Session {
        config: &config,
        log: &log,
        corrector,
        clock,
        letters: Vec::new(),
        corrected: HashSet::new(),
        report,
    };
    // Nobody amends what is about to be written, and the other way round.
    let _lock = plan.target.map(|_| AmendLock::take(&config.folder)).transpose()?;
    let to_topic = if topic { Some((Journal::open(&plan.file)?, RunTopic::of(&config)?.open()?)) } else { None };
    session.read(plan)?;
    if let Some((mut journal, topic)) = to_topic {
        let next = log.facts.partitions.iter().map(|partition| (partition.name.clone(), partition.next.0)).collect();
        let written = topic.write(&session.letters, &next, &mut journal)?;
        session.report.written = Some(written);
    }
    let amended = (plan.target == Some(RedriveTarget::Amend)).then(|| session.amend());
    let done = amended.as_ref().and_then(|amended| amended.as_ref().ok());
    session.print(plan, done)?;
    amended.transpose()?.map_or(Ok(()), |amended| amended.verdict())?;
    Ok(session.report.verdict()?)
}

/// Can records be written that the run reads, and has it these fields?
fn check(run: &FieldNames, maps: &[FieldMap]) -> Result<(), RedriveError> {
    match (&run.format, &run.debezium) {
        (Format::Json, None) => {}
        (_, Some(_)) => return Err(RedriveError::NotJson("change events")),
        (Format::Csv(_), _) => return Err(RedriveError::NotJson("CSV")),
        (Format::Avro, _) => return Err(RedriveError::NotJson("Avro")),
        (Format::Protobuf, _) => return Err(RedriveError::NotJson("Protobuf")),
        (Format::JsonSchema, _) => return Err(RedriveError::NotJson("JSON behind the frame of a registry")),
    }
    let all = run.symbol.iter().chain([&run.value]).chain(&run.time).chain(&run.weight).chain(&run.id);
    let known: Vec<&String> = all.filter(|field| !field.starts_with('@')).collect();
    match maps.iter().find(|map| !known.contains(&&map.name)) {
        None => Ok(()),
        Some(map) => {
            let known = known.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
            Err(RedriveError::UnknownField { name: map.name.clone(), known })
        }
    }
}

struct Session<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    corrector: Corrector<'a>,
    clock: SystemClock,
    letters: Vec<CorrectedLetter>,
    /// Their places.
    corrected: HashSet<Position>,
    report: RedriveReport,
}

/// A letter whose record is looked up.
struct LookedUp {
    place: LetterPlace,
    line: DeadLetterLine<'static>,
    record: FoundRecord,
}

/// What the log has at a letter's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoundRecord {
    /// The letter's own, with its stamp.
    Own(Option<EventTime>),
    Another,
    /// Nothing, for the log begins behind it, or the run has not read that far by its state.
    Gone,
    Nothing,
}

impl Session<'_> {
    /// Reads the letters, and corrects them.
    fn read(&mut self, plan: &RedrivePlan) -> Result<(), Halt> {
        let names = self.log.facts.partitions.iter().map(|partition| &partition.name);
        let amended = CorrectedRecords::read(&self.config.folder, names)?;
        let to_topic = plan.target == Some(RedriveTarget::Topic);
        let (in_topic, is_ended) = written(&plan.file)?;
        if !is_ended && plan.target == Some(RedriveTarget::Amend) {
            return Err(RedriveError::Unfinished { path: beside(&plan.file) }.into());
        }
        let file = LetterFile { path: plan.file.clone(), committed: None };
        let (mut some, mut bytes, mut seen, mut kept) = (Vec::new(), 0, HashSet::new(), BTreeSet::new());
        file.each(|number, line| {
            let at = format!("{} line {number}", plan.file.display());
            let line = match line {
                Ok(line) => line,
                Err(why) => {
                    self.report.leave_out(&at, &why, "");
                    return Ok(());
                }
            };
            if DECODED.iter().any(|reason| reason.name() == line.place.reason) {
                self.report.others += 1;
                return Ok(());
            }
            let Some(place) = LetterPlace::of(&line.place) else {
                self.report.leave_out(&at, "is no dead letter: it says not where it stood", "");
                return Ok(());
            };
            // The same letter again; another one of its place is looked at, for one of both is of another log.
            if !seen.insert((place.position(), xxh3_128(line.raw.as_deref().unwrap_or_default()))) {
                return Ok(());
            }
            self.report.letters += 1;
            // What is written twice would count twice; a topic's own journal is looked at as it is written.
            if !to_topic && in_topic.contains(&place.to_string()) {
                self.report.done_before += 1;
                return Ok(());
            }
            if to_topic && amended.get(&place).is_some() {
                kept.insert(place);
                return Ok(());
            }
            if !self.log.facts.partitions.iter().any(|partition| partition.name == place.partition) {
                self.report.leave_out(&at, "is of a partition that the state does not have", "");
                return Ok(());
            }
            bytes += line.raw.as_deref().map_or(0, <[u8]>::len);
            some.push(LookedUp { place, line, record: FoundRecord::Nothing });
            if some.len() < LOOKED_UP && bytes < LOOKED_UP_BYTES {
                return Ok(());
            }
            bytes = 0;
            self.correct(std::mem::take(&mut some), &amended)
        })?;
        self.correct(some, &amended)?;
        self.tell_kept(&kept, &amended)
    }

    /// Letters whose corrected records are kept for amended rows do not go to the topic: they would count twice.
    fn tell_kept(&mut self, kept: &BTreeSet<LetterPlace>, amended: &CorrectedRecords) -> Result<(), Halt> {
        if kept.is_empty() {
            return Ok(());
        }
        let in_rows = amended_places((self.config, self.log), amended, kept, self.clock)?;
        self.report.amended_before = in_rows.len() as u64;
        for place in kept.difference(&in_rows) {
            let why = "is kept for amended rows (corrected.jsonl), and not every sink has its row: end that by --amend";
            self.report.leave_out(&place.to_string(), why, "");
        }
        Ok(())
    }

    /// Corrects some, with the stamps of their records where the log still has these.
    fn correct(&mut self, mut some: Vec<LookedUp>, amended: &CorrectedRecords) -> Result<(), Halt> {
        self.look_up(&mut some)?;
        for LookedUp { place, line, record } in some {
            let at = place.to_string();
            let stamp = match record {
                FoundRecord::Own(stamp) => stamp,
                FoundRecord::Gone => None,
                FoundRecord::Another | FoundRecord::Nothing => {
                    let why = "is of another log: what this one has at its place is not what it has";
                    self.report.leave_out(&at, why, &shown(&line));
                    continue;
                }
            };
            match self.corrector.correct(place, &line, stamp)? {
                Ok(letter) if amended.get(&letter.place).is_some_and(|before| before.payload != letter.payload) => {
                    // It may count for another minute or symbol, and would count twice.
                    self.report.leave_out(&at, "was amended by another correction before", &shown(&line));
                }
                Ok(letter) if !self.corrected.insert(letter.place.position()) => {
                    self.report.leave_out(
                        &at,
                        "has two letters that differ, and the log has its record not any more",
                        "",
                    );
                }
                Ok(letter) => {
                    let window = self.log.facts.rule.windowing.window_of(letter.event.time);
                    let life = self.life(&letter.place.partition, window);
                    let columns = (&self.config.fields, self.config.decoder.scales());
                    self.report.add(&letter, (window, life), columns);
                    self.letters.push(letter);
                }
                Err(why) => self.report.leave_out(&at, &why, &shown(&line)),
            }
        }
        Ok(())
    }

    /// Looks at the log, one record at a time. An element's letter has the text of a part of its record.
    fn look_up(&self, some: &mut [LookedUp]) -> Result<(), Halt> {
        let mut by_place: BTreeMap<PartitionName, BTreeMap<i64, Vec<usize>>> = BTreeMap::new();
        for (number, of) in some.iter_mut().enumerate() {
            let LetterPlace { partition, offset, .. } = &of.place;
            let known = self.log.facts.partitions.iter().find(|known| known.name == *partition);
            let is_newer = known.is_some_and(|known| known.next.0 <= *offset);
            if is_newer || (*offset >= 0 && is_gone(self.log, partition, *offset)) {
                of.record = FoundRecord::Gone;
            }
            by_place.entry(partition.clone()).or_default().entry(*offset).or_default().push(number);
        }
        for (partition, by_offset) in by_place {
            let offsets: BTreeSet<i64> = by_offset.keys().copied().collect();
            records_at(self.log, &partition, &offsets, &mut |record| {
                for number in by_offset.get(&record.offset).into_iter().flatten() {
                    let LookedUp { place, line, record: found } = &mut some[*number];
                    let (has, raw) = (record.payload, line.raw.as_deref());
                    let is_own = match (has, raw) {
                        (Some(has), Some(raw)) if line.raw_of_bytes.is_some() => {
                            has.starts_with(raw) || raw.starts_with(has)
                        }
                        (Some(has), Some(raw)) if place.element.is_some() => memchr::memmem::find(has, raw).is_some(),
                        _ => has == raw,
                    };
                    *found = if is_own { FoundRecord::Own(record.timestamp) } else { FoundRecord::Another };
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What a record of this partition would find.
    fn life(&self, partition: &PartitionName, window: WindowStart) -> MinuteLife {
        let windowing = self.log.facts.rule.windowing;
        if window < self.log.facts.final_before {
            return MinuteLife::Final;
        }
        let of = self.log.head.partitions.iter().find(|snapshot| snapshot.found.name == *partition);
        let state = of.and_then(|snapshot| snapshot.state.as_ref());
        let watermark = state.and_then(|state| state.h.max(state.floor));
        if watermark.is_some_and(|watermark| windowing.final_at(window) <= watermark) {
            return MinuteLife::Late;
        }
        match windowing.state(window, self.log.head.marks.w) {
            State::Open => MinuteLife::Open,
            _ => MinuteLife::Closed,
        }
    }

    /// Adds the letters of final minutes to amended rows.
    fn amend(&mut self) -> Result<AmendReport, Halt> {
        let mut amend = AmendSession::open(self.config, self.log, self.clock)?;
        let mut events = EventsByRow::new();
        for letter in std::mem::take(&mut self.letters) {
            let window = self.log.facts.rule.windowing.window_of(letter.event.time);
            let mut record = CorrectedRecord::new(&letter.place, letter.payload);
            record.key = letter.key.and_then(|key| String::from_utf8(key).ok());
            record.timestamp = letter.timestamp.map(|stamp| stamp.0);
            amend.add_corrected(LateEvent { place: letter.place, window, event: letter.event }, record, &mut events);
        }
        amend.carry_out(events, true)
    }

    /// Prints what came of it, and of the rows: one document.
    fn print(&self, plan: &RedrivePlan, amended: Option<&AmendReport>) -> Result<(), Halt> {
        let windowing = self.log.facts.rule.windowing;
        let text = if plan.json {
            self.report.json(windowing, amended.map(|amended| amended.object(windowing)))?
        } else {
            let of_rows = amended.map(|amended| amended.text(windowing)).unwrap_or_default();
            self.report.text(windowing, plan.target) + &of_rows
        };
        let done = match self.report.written {
            Some(1..) => "; the corrected records are written",
            _ => amended.map_or("; nothing was written", AmendReport::done),
        };
        Ok(print(&text).map_err(|source| RedriveError::Unwritten { source, done })?)
    }
}
