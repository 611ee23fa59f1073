//! Which minute is to be explained, and how it is told.

use crate::cli::{AskedTime, ExplainArgs, UsageErrors};
use minutely_dataflows::time::{EventTime, SECOND};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExplainPlan {
    pub(crate) symbol: String,
    /// Any time within the minute.
    pub(crate) time: AskedTime,
    /// The records that count are told one by one.
    pub(crate) records: bool,
    pub(crate) json: bool,
}

impl ExplainPlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of(args: &ExplainArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let time = args.minute.as_ref().map(|given| errors.value(given));
        let symbol = args.of_symbol.clone().filter(|symbol| !symbol.is_empty());
        if symbol.is_none() || time.is_none() {
            errors.push("explain: takes a symbol and a minute, such as `minutely explain AAPL 2026-01-05T08:41:00Z`");
        }
        let plan = symbol.zip(time.flatten());
        errors.unless_any(plan.map(|(symbol, time)| ExplainPlan {
            symbol,
            time,
            records: args.records,
            json: args.json,
        }))
    }
}

/// The instant that is meant: of a time of day, the newest that is not after the newest event time.
pub(super) fn instant(asked: AskedTime, newest: Option<EventTime>) -> Option<EventTime> {
    const DAY: i64 = 86_400 * SECOND;
    match asked {
        AskedTime::At(time) => Some(time),
        AskedTime::OfDay(ns) => newest.map(|newest| {
            let midnight = newest.0.div_euclid(DAY) * DAY;
            let of_day = midnight + ns;
            EventTime(if of_day <= newest.0 { of_day } else { of_day - DAY })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_newest_that_has_been() {
        let (hour, day) = (3600 * SECOND, 24 * 3600 * SECOND);
        let newest = Some(EventTime(3 * day + 10 * hour));
        assert_eq!(instant(AskedTime::OfDay(9 * hour), newest), Some(EventTime(3 * day + 9 * hour)));
        assert_eq!(instant(AskedTime::OfDay(10 * hour), newest), newest);
        assert_eq!(instant(AskedTime::OfDay(11 * hour), newest), Some(EventTime(2 * day + 11 * hour)));
        assert_eq!(instant(AskedTime::OfDay(hour), Some(EventTime(-23 * hour))), Some(EventTime(-23 * hour)));
        assert_eq!(instant(AskedTime::OfDay(hour), None), None);
        assert_eq!(instant(AskedTime::At(EventTime(5)), None), Some(EventTime(5)));
    }
}
