//! What a decoder makes of a record, and the slots of its parts.

use crate::decimal::Decimal;
use crate::record::{Element, Rejection};
use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What tells an event from others of its series: XXH3-128 of the series' name and the text of its `--id-field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub u128);

/// A decoded record, or an element of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedEvent<'a> {
    /// Its series: not empty, no control characters.
    pub symbol: Cow<'a, str>,
    /// Its value, exact or rounded once.
    pub value: Decimal,
    /// When it says it happened.
    pub time: EventTime,
    /// Its exact weight, if it has one.
    pub weight: Option<Decimal>,
    /// It has a weight that is none here, for it is beyond the range of the scale: the volume of its window is unknown.
    pub weight_beyond: bool,
    /// Its id, where one is configured.
    pub id: Option<EventId>,
    /// Its value or weight was rounded to the scale.
    pub rounded: bool,
}

impl DecodedEvent<'_> {
    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> DecodedEvent<'static> {
        let DecodedEvent { symbol, value, time, weight, weight_beyond, id, rounded } = self;
        DecodedEvent { symbol: Cow::Owned(symbol.into_owned()), value, time, weight, weight_beyond, id, rounded }
    }
}

/// What one event of a record is decoded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventOutcome<'a> {
    /// An event.
    Event(DecodedEvent<'a>),
    /// `--where` leaves it out.
    Skipped,
    /// It cannot count, and why.
    Rejected(Rejection),
}

/// One event of a record, and which element it is where records are taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedPart<'a> {
    /// `None` where a record is one event, and for a record that cannot be taken apart.
    pub element: Option<Element<'a>>,
    /// What it is.
    pub outcome: EventOutcome<'a>,
}
