//! One redrive, from letters to records.

use super::correct::{CorrectedLetter, Corrector, DecodingRule, shown};
use super::error::RedriveError;
use super::journal::{Journal, beside, written};
use super::plan::{FieldMap, RedrivePlan, RedriveTarget};
use super::report::{MinuteLife, RedriveReport};
use super::topic::RunTopic;
use crate::amend::{
    AmendPlan, AmendSession, CorrectedRecord, CorrectedRecords, LateEvent, LetterFile, LetterPlace, records_at,
};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::dead_letter_line::DeadLetterLine;
use crate::verify::{OpenLog, has_state};
use minutely_dataflows::decode::{FieldNames, Format};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::{PartitionName, Reason};
use minutely_dataflows::time::{EventTime, State, WindowStart};
use std::collections::{BTreeMap, BTreeSet};

/// Reasons of letters that were decoded.
const DECODED: [Reason; 6] =
    [Reason::Late, Reason::Future, Reason::Past, Reason::Session, Reason::Bounds, Reason::Outlier];
/// Letters whose records are looked up in the log at once.
const LOOKED_UP: usize = 500;

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
    let config = config;
    let (letters, decoder) = letters_by;
    let corrector = Corrector {
        letters: DecodingRule { fields: &letters, decoder },
        run: DecodingRule { fields: &config.fields, decoder: config.decoder.clone() },
        maps: &plan.maps,
    };
    let mut session =
        Session { config: &config, log: &log, corrector, letters: Vec::new(), report: RedriveReport::default() };
    let journal = if topic { Some(Journal::open(&plan.file)?) } else { None };
    session.read(plan)?;
    if let Some(mut journal) = journal {
        let next = log.facts.partitions.iter().map(|partition| (partition.name.clone(), partition.next.0)).collect();
        let written = RunTopic::of(&config)?.write(&session.letters, &next, &mut journal)?;
        session.report.written = Some(written);
    }
    let windowing = log.facts.rule.windowing;
    let text = if plan.json { session.report.json(windowing)? } else { session.report.text(windowing, plan.target) };
    print(&text).map_err(RedriveError::Unwritten)?;
    let verdict = session.report.verdict();
    if plan.target == Some(RedriveTarget::Amend) {
        session.amend(plan, clock)?;
    }
    Ok(verdict?)
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
    letters: Vec<CorrectedLetter>,
    report: RedriveReport,
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
        let (mut some, mut seen) = (Vec::new(), BTreeSet::new());
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
            if !seen.insert(place.clone()) {
                return Ok(());
            }
            self.report.letters += 1;
            // What is written twice would count twice; a topic's own journal is looked at as it is written.
            if (!to_topic && in_topic.contains(&place.to_string())) || (to_topic && amended.get(&place).is_some()) {
                self.report.done_before += 1;
                return Ok(());
            }
            if !self.log.facts.partitions.iter().any(|partition| partition.name == place.partition) {
                self.report.leave_out(&at, "is of a partition that the state does not have", "");
                return Ok(());
            }
            some.push((place, line));
            if some.len() == LOOKED_UP { self.correct(std::mem::take(&mut some), &amended) } else { Ok(()) }
        })?;
        self.correct(some, &amended)
    }

    /// Corrects some, with the stamps of their records where the log still has these.
    fn correct(
        &mut self,
        some: Vec<(LetterPlace, DeadLetterLine<'static>)>,
        amended: &CorrectedRecords,
    ) -> Result<(), Halt> {
        let mut offsets: BTreeMap<PartitionName, BTreeSet<i64>> = BTreeMap::new();
        for (place, _) in &some {
            offsets.entry(place.partition.clone()).or_default().insert(place.offset);
        }
        let mut stamps: BTreeMap<(PartitionName, i64), EventTime> = BTreeMap::new();
        // (Records of files have none.)
        for (partition, offsets) in offsets.into_iter().filter(|(partition, _)| partition.number.is_some()) {
            for (offset, record) in records_at(self.log, &partition, &offsets)? {
                let stamp = record.timestamp;
                stamps.extend(stamp.map(|stamp| ((partition.clone(), offset), stamp)));
            }
        }
        for (place, line) in some {
            let stamp = stamps.get(&(place.partition.clone(), place.offset)).copied();
            let at = place.to_string();
            match self.corrector.correct(place, &line, stamp)? {
                Ok(letter) if amended.get(&letter.place).is_some_and(|before| before.payload != letter.payload) => {
                    // It may count for another minute or symbol, and would count twice.
                    self.report.leave_out(&at, "was amended by another correction before", &shown(&line));
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
    fn amend(self, plan: &RedrivePlan, clock: SystemClock) -> Result<(), Halt> {
        let plan = AmendPlan::of_given(true, plan.json);
        let mut amend = AmendSession::open(self.config, self.log, clock, true)?;
        let (mut events, mut kept) = (Vec::new(), Vec::new());
        for letter in self.letters {
            let window = self.log.facts.rule.windowing.window_of(letter.event.time);
            if !amend.is_due(&letter.place, window) {
                continue;
            }
            let mut record = CorrectedRecord::new(&letter.place, letter.payload);
            record.key = letter.key.and_then(|key| String::from_utf8(key).ok());
            record.timestamp = letter.timestamp.map(|stamp| stamp.0);
            kept.push((letter.place.clone(), record));
            events.push(LateEvent { place: letter.place, window, event: letter.event });
        }
        amend.keep(kept)?;
        amend.carry_out_events(events, &plan)
    }
}
