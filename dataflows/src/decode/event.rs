//! What a decoder makes of a record, and the slots of its parts.

use crate::decimal::Decimal;
use crate::time::EventTime;
use std::borrow::Cow;

/// A decoded record.
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
    /// Its value or its weight had digits beyond its scale.
    pub rounded: bool,
}

pub(super) const SYMBOL: usize = 0;
pub(super) const VALUE: usize = 1;
pub(super) const TIME: usize = 2;
pub(super) const WEIGHT: usize = 3;
