//! Amended rows that sinks hold, beside what the log and their own letters give: for `minutely verify`.

use super::base::LogBase;
use super::corrected::CorrectedRecords;
use super::events::LetterDecoders;
use super::fetch::{Absent, fetch};
use super::place::LetterPlace;
use super::rows::{is_of, row};
use super::stored::{OpenAmended, partitions};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::sinks::StoredAmended;
use crate::verify::{AmendedFault, AmendedFinding, AmendedTally, OpenLog};
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::escape::shortened;
use minutely_dataflows::partition::BUCKET;
use minutely_dataflows::time::WindowStart;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

/// A minute and a symbol.
type RowKey = (WindowStart, String);

/// What rows are compared with.
struct Given<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    events: BTreeMap<LetterPlace, Result<DecodedEvent<'static>, Absent>>,
    base: LogBase,
}

/// Compares the amended rows of these minutes, sink by sink.
///
/// # Errors
/// 65: what is kept of corrected records is damaged. 69: the log or a sink cannot be read.
pub(crate) fn compare(
    (config, log): (&Config, &OpenLog),
    ranges: &[Range<WindowStart>],
    clock: SystemClock,
) -> Result<Vec<AmendedTally>, Halt> {
    let (mut sinks, _) = OpenAmended::all(config, log, clock)?;
    let mut tallies = Vec::new();
    for sink in &mut sinks {
        let mut tally = AmendedTally::new(sink.changes.name.clone());
        for range in ranges {
            match sink.rows.read(range.clone()) {
                Ok(rows) => sink.stored.extend(rows),
                Err(halt) if halt.kind == HaltKind::Unreachable => return Err(halt),
                Err(halt) => tally.unreadable = Some(halt.why),
            }
        }
        tallies.push(tally);
    }
    if sinks.iter().all(|sink| sink.stored.is_empty()) {
        return Ok(tallies);
    }
    let corrected = CorrectedRecords::read(&config.folder, partitions(log))?;
    let (mut wanted, mut places) = (BTreeSet::new(), BTreeSet::new());
    for (key, stored) in sinks.iter().flat_map(|sink| &sink.stored) {
        if log.facts.unverifiable(key.0.0.div_euclid(BUCKET)).is_none() {
            wanted.insert(key.clone());
            let letters = stored.letters.split(' ');
            places.extend(letters.filter_map(|text| LetterPlace::parse(text, partitions(log))));
        }
    }
    let mut decoders = LetterDecoders::new(config, log);
    let events = fetch((config, log), &mut decoders, &corrected, places.iter())?;
    let base = LogBase::count(log, &wanted, &places.iter().map(LetterPlace::position).collect::<HashSet<_>>())?;
    let given = Given { config, log, events, base };
    for (sink, tally) in sinks.iter().zip(&mut tallies) {
        for (key, stored) in &sink.stored {
            match given.fault(sink, key, stored) {
                None => tally.equal += 1,
                Some((fault, what)) => {
                    let (minute, symbol) = key.clone();
                    tally.add(AmendedFinding { minute, symbol, fault, what });
                }
            }
        }
    }
    Ok(tallies)
}

impl Given<'_> {
    /// What is wrong with a row.
    fn fault(&self, sink: &OpenAmended, key: &RowKey, stored: &StoredAmended) -> Option<(AmendedFault, String)> {
        let (log, rule) = (self.log, &self.log.facts.rule);
        if let Some(why) = log.facts.unverifiable(key.0.0.div_euclid(BUCKET)) {
            return Some((AmendedFault::Gone, why.reason().to_owned()));
        }
        let (mut events, mut not) = (BTreeMap::new(), None);
        for text in stored.letters.split(' ') {
            let place = LetterPlace::parse(text, partitions(log));
            let event = place.as_ref().and_then(|place| self.events.get(place));
            match (place, event) {
                (Some(place), Some(Ok(event))) if is_of(rule, key, event) => drop(events.insert(place, event.clone())),
                (Some(_), Some(Ok(_))) => not = Some(format!("{text} is of another minute or symbol")),
                // (What does not decode was corrected, and `corrected.jsonl` has it not any more.)
                (Some(_), Some(Err(why @ (Absent::Gone | Absent::Broken(_))))) => {
                    return Some((AmendedFault::Gone, format!("no longer verifiable: {text} {why}")));
                }
                (Some(_), Some(Err(why))) => not = Some(format!("{text} {why}")),
                _ => not = Some(format!("`{}` is the place of no letter of this job", shortened(text))),
            }
        }
        let columns = (rule, log.columns.market, self.config.decoder.scales());
        let mut told = |place: &LetterPlace, why: super::rows::NotAdded| {
            not.get_or_insert_with(|| format!("{place}: {}", why.words()));
        };
        let built = row(key, &events, &self.base, columns, &mut told);
        let because = not.map(|not| format!("; {not}")).unwrap_or_default();
        let Some(built) = built else {
            return Some((AmendedFault::Extra, format!("extra: none of its letters adds to this minute{because}")));
        };
        let cells = sink.rows.cells(&built.amended).into_iter().zip(&stored.cells).zip(sink.rows.columns());
        let differ = cells.filter(|((should_be, is), _)| should_be != *is).map(|((should_be, is), column)| {
            let (is, should_be) = (shortened(&is.to_string()), shortened(&should_be.to_string()));
            format!("{column} is {is}, by the log and its letters {should_be}")
        });
        let differ: Vec<String> = differ.collect();
        (!differ.is_empty()).then(|| (AmendedFault::Different, format!("{}{because}", differ.join("; "))))
    }
}
