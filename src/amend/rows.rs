//! Amended rows, of the log's own sums and late events: the rules that an event is judged by beside being in time (R5).

use super::base::LogBase;
use super::events::LateEvent;
use super::place::LetterPlace;
use crate::sinks::AmendedRow;
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::oracle::PlainSums;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{State, WindowStart};
use std::collections::{BTreeMap, HashSet};

/// The longest list of letters of a row, in bytes: InfluxDB takes no text of more than 64 KiB.
pub(super) const MOST_LISTED: usize = 60_000;

/// Late events by minute and series, and by place.
pub(crate) type EventsByRow = BTreeMap<(WindowStart, String), BTreeMap<LetterPlace, DecodedEvent<'static>>>;

/// Adds an event; one of a place that is there already changes nothing.
pub(super) fn file(events: &mut EventsByRow, LateEvent { place, window, event }: LateEvent) {
    events.entry((window, event.symbol.to_string())).or_default().entry(place).or_insert(event);
}

/// Is that an event of this minute and symbol?
pub(super) fn is_of(rule: &Rule, (window, symbol): &(WindowStart, String), event: &DecodedEvent<'_>) -> bool {
    rule.windowing.window_of(event.time) == *window && *event.symbol == **symbol
}

/// Why a letter is in no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotAdded {
    /// By the log it is not late.
    Counts,
    Duplicate,
    Session,
    Bounds,
    /// All of its row's.
    TooMany,
}

impl NotAdded {
    pub(super) fn words(self) -> &'static str {
        match self {
            NotAdded::Counts => "counts in this job: the letter is of another run",
            NotAdded::Duplicate => "its id came before (--id-field)",
            NotAdded::Session => "its time is outside of the session (--session)",
            NotAdded::Bounds => "its value is out of bounds (--value-min, --value-max)",
            NotAdded::TooMany => "its row would have more letters than can be listed (60,000 bytes)",
        }
    }

    /// Is somebody to look at it?
    pub(super) fn is_trouble(self) -> bool {
        matches!(self, NotAdded::Counts | NotAdded::TooMany)
    }
}

/// A row, and what the log alone gives.
pub(super) struct BuiltRow {
    pub(super) amended: AmendedRow,
    /// Records that count by the log; none without a final row.
    pub(super) before: i64,
}

/// The row of one minute of one series, where any letter is in it. `told`: is told which are not.
pub(super) fn row(
    (window, symbol): &(WindowStart, String),
    events: &BTreeMap<LetterPlace, DecodedEvent<'static>>,
    base: &LogBase,
    (rule, market, scales): (&Rule, bool, Scales),
    told: &mut impl FnMut(&LetterPlace, NotAdded),
) -> Option<BuiltRow> {
    let mut sums: Option<PlainSums> = base.sums.get(&(*window, symbol.clone())).cloned();
    let before = sums.as_ref().map_or(0, |sums| sums.count);
    let (mut ids, mut places) = (HashSet::new(), Vec::new());
    for (place, event) in events {
        let position = place.position();
        let id = event.id.map(|id| (position.0, *window, id));
        let not = misfit(event, rule).or_else(|| {
            let counts = base.counted.contains(&position).then_some(NotAdded::Counts);
            let repeats = id.is_some_and(|id| base.ids.contains(&id) || !ids.insert(id));
            counts.or(repeats.then_some(NotAdded::Duplicate))
        });
        match not {
            Some(not) => told(place, not),
            None => {
                places.push(place);
                match &mut sums {
                    Some(sums) => sums.add(event, position),
                    None => sums = Some(PlainSums::of(event, position)),
                }
            }
        }
    }
    let letters = places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if places.is_empty() || letters.len() > MOST_LISTED {
        places.iter().for_each(|place| told(place, NotAdded::TooMany));
        return None;
    }
    let row = sums?.row(symbol, *window, State::Final, (market, scales));
    let letter_count = i64::try_from(places.len()).expect("a list in memory");
    Some(BuiltRow { amended: AmendedRow { row, letters, letter_count }, before })
}

/// Does an event not count by itself? (What an outlier is depends on the values that counted before it, and a late event has no place among
/// them.)
fn misfit(event: &DecodedEvent<'_>, rule: &Rule) -> Option<NotAdded> {
    let cleaning = rule.cleaning?;
    if cleaning.session.as_ref().is_some_and(|calendar| !calendar.is_open(event.time)) {
        return Some(NotAdded::Session);
    }
    cleaning.bound(event.value).map(|_| NotAdded::Bounds)
}
