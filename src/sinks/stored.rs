//! What a sink holds now, cell by cell, whatever kind of sink it is: for `minutely verify`. Nothing is shared with what wrote it but the
//! names of columns.

use crate::clock::SystemClock;
use crate::text::{Columns, event_time};
use minutely_dataflows::decimal::{ExactNumber, MAX_DECIMALS};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{EventTime, WindowStart, Windowing};
use std::fmt;
use std::ops::Range;

/// One value as a sink holds it. Floats are equal bit for bit.
#[derive(Clone, Debug)]
pub(crate) enum StoredCell {
    /// The place has no such column.
    NoColumn,
    Nothing,
    Integer(i64),
    Float(f64),
    Text(String),
}

impl PartialEq for StoredCell {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (StoredCell::Nothing, StoredCell::Nothing) => true,
            (StoredCell::Integer(a), StoredCell::Integer(b)) => a == b,
            (StoredCell::Float(a), StoredCell::Float(b)) => a.to_bits() == b.to_bits(),
            (StoredCell::Text(a), StoredCell::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for StoredCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoredCell::NoColumn | StoredCell::Nothing => f.write_str("nothing"),
            StoredCell::Integer(number) => number.fmt(f),
            StoredCell::Float(number) => number.fmt(f),
            StoredCell::Text(text) => text.fmt(f),
        }
    }
}

/// What one place holds.
pub(crate) trait StoredRows {
    /// The names of the columns that are compared, in the order of cells.
    fn columns(&self) -> &[String];

    /// Can it hold rows of this symbol?
    fn can_hold(&self, _symbol: &str) -> bool {
        true
    }

    /// What it should hold of this row.
    fn cells(&self, row: &Row) -> Vec<StoredCell>;

    /// Hands each row of these minutes to `each`, in any order: its minute, its symbol, its cells. `goes_on` is asked now and then; once it
    /// says no, reading ends with an error.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn read(
        &mut self,
        minutes: Range<WindowStart>,
        each: &mut EachStored<'_>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String>;

    /// Hands over what no run has written, for its minute or symbol is none or is written otherwise: such rows are not those of
    /// [`StoredRows::read`]. Those of some ranges of minutes, as far as they have minutes; none: all that there are.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn foreign(&mut self, _within: &[Range<WindowStart>], _each: &mut dyn FnMut(ForeignRow)) -> Result<(), String> {
        Ok(())
    }
}

/// What reading says that was not to go on.
pub(super) const GIVEN_UP: &str = "was not read to its end";

/// A row that no run has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignRow {
    /// As they stand there.
    pub(crate) minute: String,
    pub(crate) symbol: String,
    /// Where it is, and what is wrong with it.
    pub(crate) what: String,
    pub(crate) remedy: ForeignRemedy,
}

/// How a row that no run has written is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForeignRemedy {
    /// It is deleted by its key.
    Delete(ForeignKey),
    /// It stands behind what the state knows of the place, and is cut off as the place is opened for repair.
    Cut,
    /// By hand alone.
    ByHand,
}

/// Minute and symbol of a row as the bytes that stand there.
pub(crate) type ForeignKey = [KeyBytes; 2];

/// A text, or what was stored in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_text: bool,
}

/// See [`StoredRows::read`].
pub(crate) type EachStored<'a> = dyn FnMut(WindowStart, String, Vec<StoredCell>) + 'a;

/// How a sink is read back.
#[derive(Clone, Debug)]
pub(crate) struct ReadBackOptions {
    /// Which rows: each kind has a table, a measurement or a column's value of its own.
    pub(crate) kind: RowKind,
    /// Those of all rows.
    pub(crate) columns: Columns,
    pub(crate) windowing: Windowing,
    pub(crate) clock: SystemClock,
}

/// The one text of a decimal: without zeros at the end.
pub(super) fn exact_text(text: &str) -> Option<String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = part.trim_end_matches('0');
    let good = |digits: &str| digits.bytes().all(|c| c.is_ascii_digit());
    let decimals = u8::try_from(part.len()).ok().filter(|decimals| *decimals <= MAX_DECIMALS)?;
    if whole.is_empty() || !good(whole) || !good(part) {
        return None;
    }
    let scaled: i128 = format!("{}{whole}{part}", if negative { "-" } else { "" }).parse().ok()?;
    Some(ExactNumber::new(scaled, decimals).to_string())
}

/// A window's start from its text in RFC 3339.
pub(super) fn minute(text: &str) -> Option<WindowStart> {
    // (The first windows begin before the first event time, and so before what a record may say.)
    let beyond = || {
        let ns = i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()?;
        Some(EventTime(ns)).filter(|_| ns.unsigned_abs() <= EventTime::FARTHEST.unsigned_abs())
    };
    event_time(text).or_else(beyond).map(|time| WindowStart(time.0))
}
