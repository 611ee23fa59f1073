//! Cleaning (R5): what a decoded event that is in time must be to count. All of it is off unless it is asked for.
//!
//! ```text
//!   in time ──> within the session? ──> within the bounds? ──> (duplicate?) ──> near the median of its series? ──> counts
//!                    └ session              └ bounds                                 └ outlier
//! ```
//!
//! The first two look at the event alone. The third looks at the events that counted before it in its partition: a function of the
//! log, like H. No floor decides anything here (R10).

use super::outliers::{FilteredSeries, OutlierFilters, OutlierRule};
use super::session::{Calendar, SessionSpan};
use crate::decimal::Decimal;
use crate::decode::DecodedEvent;
use crate::record::{Evidence, Reason};
use crate::time::{EventTime, WindowStart, Windowing};

/// What an event must be to count, beside being in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleaningRule {
    /// The least value (`--value-min`).
    pub least: Option<Decimal>,
    /// The greatest value (`--value-max`).
    pub greatest: Option<Decimal>,
    /// When a value is too far from those before it (`--outlier`).
    pub outlier: Option<OutlierRule>,
    /// The times that count (`--session`); none: all.
    pub session: Option<Calendar>,
}

impl CleaningRule {
    /// Is there anything that it leaves out?
    pub fn is_off(&self) -> bool {
        *self == CleaningRule::default()
    }

    /// The bound that a value is beyond.
    pub fn bound(&self, value: Decimal) -> Option<Decimal> {
        let least = self.least.filter(|least| value < *least);
        least.or_else(|| self.greatest.filter(|greatest| value > *greatest))
    }
}

/// One partition's cleaning.
#[derive(Clone, Debug)]
pub(super) struct Cleaner {
    rule: &'static CleaningRule,
    /// The time around the event before in which the session is open, or closed: as a rule the next is in it, too.
    span: SessionSpan,
    filters: Option<OutlierFilters>,
}

impl Cleaner {
    /// Without any event yet.
    pub(super) fn new(rule: &'static CleaningRule, windowing: Windowing) -> Self {
        let filters = rule.outlier.map(|outlier| OutlierFilters::new(outlier, windowing));
        Cleaner { rule, span: SessionSpan::default(), filters }
    }

    /// Why an event may not count, whatever was before it.
    pub(super) fn check(&mut self, event: &DecodedEvent<'_>) -> Option<(Reason, Evidence)> {
        if let Some(calendar) = &self.rule.session {
            if !self.span.contains(event.time) {
                self.span = calendar.span(event.time);
            }
            if !self.span.is_open {
                return Some((Reason::Session, Evidence::Closed));
            }
        }
        self.rule.bound(event.value).map(|bound| (Reason::Bounds, Evidence::Bound(bound)))
    }

    /// Why an event of this window, which nothing else keeps from counting, may not. It is noted either way. `h`: the partition's
    /// H before it.
    pub(super) fn filter(
        &mut self,
        event: &DecodedEvent<'_>,
        window: WindowStart,
        h: Option<EventTime>,
    ) -> Option<(Reason, Evidence)> {
        let evidence = self.filters.as_mut()?.judge(&event.symbol, event.value, window, h)?;
        Some((Reason::Outlier, evidence))
    }

    /// What a run that resumes needs, without the series that are forgotten by `h`.
    pub(super) fn filtered(&mut self, h: Option<EventTime>) -> Vec<FilteredSeries> {
        self.filters.as_mut().map(|filters| filters.save(h)).unwrap_or_default()
    }

    /// Takes back what an earlier run had noted.
    pub(super) fn restore(&mut self, series: &[FilteredSeries]) {
        if let Some(filters) = &mut self.filters {
            filters.restore(series);
        }
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn bytes(&self) -> u64 {
        self.filters.as_ref().map_or(0, OutlierFilters::bytes)
    }
}
