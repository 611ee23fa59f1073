//! A plain row straight to its event, cell by cell, without tokens: nearly every row. It never rejects.
//!
//! Plain is a row in ASCII with no quote, in which the symbol, value, time and weight are a cell each: a symbol of printable
//! characters without blanks around it, numbers without sign or exponent, a time in the unit. What each column is for is known from
//! the header on. Any other row, right or wrong, is read as tokens or as cells, and a test looks for an event that these would not
//! give.

use super::cells::CellSyntax;
use super::columns::ColumnMap;
use crate::decimal::POWERS;
use crate::decode::assemble::Assembler;
use crate::decode::event::{DecodedEvent, DecodedPart, EventOutcome};
use crate::decode::scan::{PlainNumber, Scanner};
use crate::decode::words::printable_before;
use crate::numbers::NumberRule;
use crate::record::MAX_SYMBOL_BYTES;
use crate::time::EventTime;
use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Columns of rows that are read so, at most.
const MAX_CELLS: usize = 256;

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellUse {
    Nothing,
    Symbol,
    Value,
    Time,
    Weight,
}

/// What the columns of a partition's rows are for.
#[derive(Clone, Debug)]
pub(super) struct StraightRow {
    uses: Box<[CellUse]>,
    /// A row has as many cells; else it may have more.
    is_whole: bool,
    delimiter: u8,
    quote: u8,
    /// From a time to nanoseconds.
    factor: u64,
}

impl StraightRow {
    /// None where no row of these columns can be read so.
    pub(super) fn of(columns: &ColumnMap, syntax: CellSyntax, rule: &Assembler) -> Option<Self> {
        let simple = rule.simple.filter(|_| rule.shape.key.is_empty())?;
        let CellSyntax { delimiter, quote } = syntax;
        let quote = quote.unwrap_or(delimiter);
        // What numbers are made of is nothing else.
        if [delimiter, quote].iter().any(|sign| matches!(sign, b'.' | b'+' | b'-')) {
            return None;
        }
        let count = columns.cells.unwrap_or(columns.wanted.last()?.column + 1);
        let mut uses = vec![CellUse::Nothing; Some(count).filter(|count| *count <= MAX_CELLS)?];
        for wanted in &columns.wanted {
            let cell_use = match wanted.slot {
                slot if slot == simple.symbol => CellUse::Symbol,
                slot if slot == simple.value => CellUse::Value,
                slot if slot == simple.time => CellUse::Time,
                slot if Some(slot) == simple.weight => CellUse::Weight,
                _ => return None,
            };
            let is_free = |cell: &&mut CellUse| **cell == CellUse::Nothing;
            *uses.get_mut(wanted.column).filter(is_free)? = cell_use;
        }
        let has = |cell_use: CellUse| uses.contains(&cell_use);
        let is_event = has(CellUse::Symbol) && has(CellUse::Value) && has(CellUse::Time);
        let factor = *POWERS.get(usize::try_from(simple.places).ok()?)?;
        let is_whole = columns.cells.is_some();
        is_event.then(|| StraightRow { uses: uses.into(), is_whole, delimiter, quote, factor })
    }

    /// Hands out the event of a plain row: where it is made, for it is large.
    #[inline]
    pub(super) fn event<'a>(
        &self,
        numbers: &NumberRule,
        row: &'a [u8],
        each: &mut impl FnMut(DecodedPart<'a>),
    ) -> Option<()> {
        let mut scan = Scanner { bytes: row, at: 0 };
        let (mut symbol, mut time, mut value, mut weight): (_, Option<PlainNumber>, Option<PlainNumber>, _) =
            (&row[..0], None, None, None);
        let mut ended = false;
        for cell_use in &self.uses {
            if ended {
                return None;
            }
            match cell_use {
                CellUse::Symbol => symbol = self.symbol(&mut scan)?,
                CellUse::Weight if scan.peek().is_none_or(|byte| byte == self.delimiter) => {}
                CellUse::Nothing => self.pass(&mut scan)?,
                of_number => {
                    let number = Some(scan.plain_number()?);
                    match of_number {
                        CellUse::Value => value = number,
                        CellUse::Time => time = number,
                        _ => weight = number,
                    }
                }
            }
            match scan.take() {
                None => ended = true,
                Some(byte) if byte == self.delimiter => {}
                Some(_) => return None,
            }
        }
        let (time, value) = (time?, value?);
        if time.fraction > 0 || !ended && (self.is_whole || !self.is_plain(scan.bytes.get(scan.at..)?)) {
            return None;
        }
        let ns = i64::try_from(time.digits.checked_mul(self.factor)?).ok().filter(|ns| *ns <= EventTime::LIMIT)?;
        let value = numbers.plain_value(false, value.digits, value.fraction)?;
        let weight = match weight {
            None => None,
            Some(PlainNumber { digits, fraction, .. }) => Some(numbers.plain_weight(false, digits, fraction)?),
        };
        let (symbol, time) = (Cow::Borrowed(std::str::from_utf8(symbol).ok()?), EventTime(ns));
        let event = DecodedEvent { symbol, value, time, weight, weight_beyond: false, id: None, rounded: false };
        each(DecodedPart { element: None, outcome: EventOutcome::Event(event) });
        Some(())
    }

    /// The symbol that begins here.
    #[inline]
    fn symbol<'a>(&self, scan: &mut Scanner<'a>) -> Option<&'a [u8]> {
        let start = scan.at;
        loop {
            let left = scan.bytes.len() - scan.at;
            let count = printable_before(scan.word(), left, self.delimiter, self.quote)?;
            scan.at += count;
            if count < 8 {
                break;
            }
        }
        let symbol = scan.bytes.get(start..scan.at)?;
        let (first, last) = (symbol.first()?, symbol.last()?);
        (*first != b' ' && *last != b' ' && symbol.len() <= MAX_SYMBOL_BYTES).then_some(symbol)
    }

    /// Passes a cell that is not asked for.
    #[inline]
    fn pass(&self, scan: &mut Scanner<'_>) -> Option<()> {
        let start = scan.at;
        scan.at = CellSyntax { delimiter: self.delimiter, quote: Some(self.quote) }.end(scan);
        scan.bytes.get(start..scan.at)?.is_ascii().then_some(())
    }

    /// May these cells be passed without a look at each?
    fn is_plain(&self, cells: &[u8]) -> bool {
        let has_quote = self.quote != self.delimiter && cells.contains(&self.quote);
        cells.is_ascii() && !has_quote
    }
}
