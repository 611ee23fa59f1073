//! Rows of cells: CSV, TSV and what is like them.
//!
//! ```text
//!   record ──> row ─┬─ is plain, its fields a cell each ──> straight ──────┐
//!                   ├─ is plain ──> tokens ─> as those of plain JSON ──────┤
//!                   └─ anything else ─> cells ─> scalars ─> assemble ──────┴─> event | skipped | rejected
//! ```
//!
//! A record is a row. Lines before the first row, the header and empty lines are skipped; they have offsets, as all records. A row
//! has as many cells as the header has names, or as names are given: one that has more or fewer is rejected, for it may be cut off
//! within a number. Where fields are numbers of columns alone, nothing says how many cells there are.
//!
//! A quote is strict: it opens a cell at its beginning, and closes it at its end; anywhere else the row is rejected. So a row never
//! means anything else than RFC 4180 says. Blanks around cells are passed by, those inside quotes are part of a text.

mod cells;
mod columns;
mod number;
mod straight;
#[cfg(test)]
mod tests;
mod values;

use super::assemble::{Assembler, rejection};
use super::error::{FieldError, FieldProblem};
use super::event::{DecodedPart, EventOutcome};
use super::fields::{CsvOptions, FieldNames};
use super::json;
use super::plain::MAX_SLOTS;
use super::scalar::Scalar;
use super::scan::{JsonToken, JsonTokenKind, Scanner};
use super::tokens;
use super::words::is_utf8;
use crate::escape::shortened;
use crate::record::{Reason, Record, Rejection};
use cells::CellSyntax;
use columns::{Column, ColumnMap, SlotUse, WantedCell, part_of};
use std::ops::Range;
use std::sync::Arc;
use straight::StraightRow;
use values::scalar;

/// Decodes rows.
#[derive(Clone, Debug)]
pub(super) struct CsvRows {
    syntax: CellSyntax,
    slots: Arc<[(Column, SlotUse)]>,
    /// The offset of the first row, or of the header.
    first: i64,
    /// The offset of the header, where there is one.
    pub(super) header_at: Option<i64>,
    /// Where cells are; why no row can be decoded, as long as the header is unknown or when it is wrong.
    columns: Result<Arc<ColumnMap>, Box<Rejection>>,
    /// How plain rows are read, where they can be read without tokens.
    straight: Option<StraightRow>,
    /// Lines before this offset are no rows.
    rows_from: i64,
}

impl CsvRows {
    /// Of these fields.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn new(options: &CsvOptions, fields: &FieldNames, rule: &Assembler) -> Result<Self, Vec<FieldError>> {
        let slots = columns::slots(fields, &rule.shape)?;
        if !options.is_valid() {
            return Err(vec![FieldError::Delimiter]);
        }
        let first = i64::from(options.skip_lines);
        let is_name = |(column, _): &(Column, SlotUse)| matches!(column, Column::Name(_));
        let has_header = options.columns.is_none() && slots.iter().any(is_name);
        let columns = match &options.columns {
            Some(names) => Ok(Arc::new(named(names, &slots, rule)?)),
            None if has_header => Err(Box::new(no_header("none that was read".into()))),
            None => Ok(Arc::new(ColumnMap::unnamed(&slots))),
        };
        let syntax = CellSyntax { delimiter: options.delimiter, quote: options.quote };
        let straight = columns.as_ref().ok().and_then(|columns| StraightRow::of(columns, syntax, rule));
        let rows_from = first + i64::from(has_header);
        let header_at = has_header.then_some(first);
        Ok(CsvRows { syntax, slots: slots.into(), first, header_at, columns, straight, rows_from })
    }

    /// Takes the names of columns from the header.
    pub(super) fn read_header(&mut self, rule: &Assembler, record: &Record<'_>) {
        let text = json::text(record, no_header);
        let columns = text.and_then(|text| {
            let header = text.strip_suffix('\r').unwrap_or(text);
            ColumnMap::of_header(header, self.syntax, &self.slots, rule)
        });
        self.columns = columns.map(Arc::new).map_err(Box::new);
        self.straight = self.columns.as_ref().ok().and_then(|columns| StraightRow::of(columns, self.syntax, rule));
    }

    /// What a line is that holds no event; `None` where it does.
    pub(super) fn no_event(&self, record: &Record<'_>) -> Option<&'static str> {
        match record.payload {
            _ if self.header_at == Some(record.offset) => Some("the header"),
            _ if record.offset < self.first => Some("a line before the first row (--skip-lines)"),
            Some(b"" | b"\r") => Some("an empty line"),
            _ => None,
        }
    }

    /// The values of a row's fields.
    pub(super) fn cells<'a>(&self, rule: &'a Assembler, record: &Record<'a>) -> Option<Vec<Scalar<'a>>> {
        let text = json::text(record, no_row).ok()?;
        self.scalars(rule, record, text.strip_suffix('\r').unwrap_or(text), self.columns.as_ref().ok()?).ok()
    }

    /// Hands out what a record is.
    #[inline]
    pub(super) fn part<'a>(&self, rule: &'a Assembler, record: &Record<'a>, each: &mut impl FnMut(DecodedPart<'a>)) {
        if let (Some(straight), Some(text), None) = (&self.straight, record.payload, record.cut_from)
            && record.offset >= self.rows_from
            && straight.event(&rule.numbers, text.strip_suffix(b"\r").unwrap_or(text), each).is_some()
        {
            return;
        }
        each(DecodedPart { element: None, outcome: self.outcome(rule, record) });
    }

    /// What a record is that cannot be read straight.
    #[inline(never)]
    fn outcome<'a>(&self, rule: &'a Assembler, record: &Record<'a>) -> EventOutcome<'a> {
        if record.offset < self.rows_from {
            return self.before_rows(record);
        }
        // Many rows are plain all the same; why one is no text, or no row, is said below.
        let text = record.payload.filter(|bytes| record.cut_from.is_none() && is_utf8(bytes));
        if let (Some(text), Ok(columns)) = (text, &self.columns) {
            let row = text.strip_suffix(b"\r").unwrap_or(text);
            let plain = match self.slots.len() {
                _ if row.is_empty() => return EventOutcome::Skipped,
                ..=4 => self.plain::<4>(rule, record, row, columns),
                5..=8 => self.plain::<8>(rule, record, row, columns),
                9..=MAX_SLOTS => self.plain::<MAX_SLOTS>(rule, record, row, columns),
                _ => None,
            };
            if let Some(outcome) = plain {
                return outcome;
            }
        }
        self.any_outcome(rule, record)
    }

    /// What a record before the first row is. A header that has line ends of another kind within holds the rows as well: skipped, they would be lost
    /// in silence.
    #[cold]
    fn before_rows<'a>(&self, record: &Record<'a>) -> EventOutcome<'a> {
        let text = record.payload.unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.header_at != Some(record.offset) || text.contains(&b'"') || !text.contains(&b'\r') {
            return EventOutcome::Skipped;
        }
        let found = "carriage returns without line feeds in it (convert the file: tr '\\r' '\\n')".to_owned();
        EventOutcome::Rejected(rejection(Reason::Csv, None, "a header that is one line", found))
    }

    /// What any record is, from the header on.
    #[cold]
    #[inline(never)]
    fn any_outcome<'a>(&self, rule: &'a Assembler, record: &Record<'a>) -> EventOutcome<'a> {
        let text = match json::text(record, no_row) {
            Ok(text) => text.strip_suffix('\r').unwrap_or(text),
            Err(rejection) => return EventOutcome::Rejected(rejection),
        };
        match &self.columns {
            _ if text.is_empty() => EventOutcome::Skipped,
            Ok(columns) => self.any(rule, record, text, columns),
            Err(wrong) => EventOutcome::Rejected((**wrong).clone()),
        }
    }

    /// A row whose configured cells are as plain JSON has them, with quotes at most around cells. It never rejects. `row` is valid
    /// UTF-8.
    fn plain<'a, const N: usize>(
        &self,
        rule: &'a Assembler,
        record: &Record<'a>,
        row: &'a [u8],
        columns: &ColumnMap,
    ) -> Option<EventOutcome<'a>> {
        u32::try_from(row.len()).ok()?; // a token's place has 32 bits
        if !rule.shape.key.is_empty() {
            return None;
        }
        let mut scan = Scanner { bytes: row, at: 0 };
        let mut tokens = [JsonToken::ABSENT; N];
        // Cells before the scanner, whether one more is there, and where the last that was looked for began.
        let (mut passed, mut is_more, mut last) = (0, true, 0);
        for WantedCell { column, slot, slot_use } in &columns.wanted {
            if *column < passed {
                (scan.at, passed, is_more) = (last, passed - 1, true);
            }
            while *column > passed && is_more {
                self.pass(&mut scan)?;
                (is_more, passed) = (self.passes_delimiter(&mut scan)?, passed + 1);
            }
            if !is_more {
                break;
            }
            last = scan.at;
            *tokens.get_mut(*slot)? = self.token(&mut scan, *slot_use)?;
            (is_more, passed) = (self.passes_delimiter(&mut scan)?, passed + 1);
        }
        while is_more {
            self.pass(&mut scan)?;
            (is_more, passed) = (self.passes_delimiter(&mut scan)?, passed + 1);
        }
        if columns.cells.is_some_and(|cells| cells != passed) {
            return None;
        }
        tokens::row_event(rule, record, row, &tokens[..])
    }

    /// Passes the delimiter that is next; `false` at the end of the row.
    #[inline]
    fn passes_delimiter(&self, scan: &mut Scanner<'_>) -> Option<bool> {
        match scan.take() {
            None => Some(false),
            Some(byte) => (byte == self.syntax.delimiter).then_some(true),
        }
    }

    /// The cell that begins here, up to the delimiter after it; none as [`CsvRows::pass`] says.
    #[inline]
    fn token(&self, scan: &mut Scanner<'_>, slot_use: SlotUse) -> Option<JsonToken> {
        let ends = |scan: &Scanner<'_>| scan.peek().is_none_or(|byte| byte == self.syntax.delimiter);
        let start = scan.at;
        if slot_use != SlotUse::Text {
            if let Some(number) = scan.literal()
                && ends(scan)
            {
                return Some(JsonToken::new(start..scan.at, JsonTokenKind::Literal, number));
            }
            scan.at = start;
        }
        let Range { start, end } = self.pass(scan)?;
        if start == end {
            return Some(JsonToken::new(start..end, JsonTokenKind::Null, None));
        }
        if slot_use == SlotUse::Text {
            return Some(JsonToken::new(start..end, JsonTokenKind::Text, None));
        }
        self.odd_number(scan, start..end)
    }

    /// The cell of a number, or of what a condition looks at, that is more than the digits of one.
    fn odd_number(&self, scan: &Scanner<'_>, Range { start, end }: Range<usize>) -> Option<JsonToken> {
        // In quotes, blanks are part of a text alone.
        if self.syntax.bare(scan.bytes, start..end).range != (start..end) {
            return None;
        }
        let mut trimmed = Scanner { bytes: &scan.bytes[..end], at: start };
        if let Some(number) = trimmed.literal()
            && trimmed.at == end
        {
            return Some(JsonToken::new(start..end, JsonTokenKind::Literal, number));
        }
        Some(JsonToken::new(start..end, JsonTokenKind::Text, None))
    }

    /// Passes the cell that begins here, and says where its content is; none if it has to be looked at closely: a quote is doubled
    /// or stands elsewhere than around it, or there are blanks beside one.
    #[inline]
    fn pass(&self, scan: &mut Scanner<'_>) -> Option<Range<usize>> {
        let (bytes, start) = (scan.bytes, scan.at);
        let (range, end) = if scan.peek().is_some_and(|first| Some(first) == self.syntax.quote) {
            let quotes = CellSyntax { delimiter: bytes[start], quote: None };
            let close = quotes.end(&Scanner { bytes, at: start + 1 });
            (start + 1..close, close + 1)
        } else {
            let end = self.syntax.end(scan);
            (self.syntax.bare(bytes, start..end).range, end)
        };
        scan.at = end;
        let ends = end == bytes.len() || bytes.get(end) == Some(&self.syntax.delimiter);
        ends.then_some(range)
    }

    /// Any row.
    #[cold]
    #[inline(never)]
    fn any<'a>(
        &self,
        rule: &'a Assembler,
        record: &Record<'a>,
        text: &'a str,
        columns: &ColumnMap,
    ) -> EventOutcome<'a> {
        let scalars = match self.scalars(rule, record, text, columns) {
            Ok(scalars) => scalars,
            Err(rejection) => return EventOutcome::Rejected(rejection),
        };
        if !rule.passes(record, &scalars, true) {
            return EventOutcome::Skipped;
        }
        let mut outcome = rule.event(record, &scalars);
        if let EventOutcome::Rejected(Rejection { reason, finding }) = &mut outcome {
            let slot = rule.shape.slots.iter().position(|(field, _)| Some(field) == finding.field.as_ref());
            let more = slot.and_then(|slot| self.hint(slot, *reason, &scalars[slot], columns));
            finding.found.extend(more.map(|more| format!(" ({more})")));
        }
        outcome
    }

    /// The cells of a row, by slot.
    fn scalars<'a>(
        &self,
        rule: &'a Assembler,
        record: &Record<'a>,
        text: &'a str,
        columns: &ColumnMap,
    ) -> Result<Vec<Scalar<'a>>, Rejection> {
        let mut scalars = vec![Scalar::Absent; self.slots.len()];
        let mut wanted = columns.wanted.iter().peekable();
        let split = self.syntax.split(text, |number, cell| {
            while let Some(WantedCell { slot, slot_use, .. }) = wanted.next_if(|wanted| wanted.column == number) {
                scalars[*slot] = scalar(cell.text(text), *slot_use);
            }
        });
        match (split, columns.cells) {
            (Err(problem), _) => return Err(no_row(format!("{}: {}", problem.words(), shortened(text)))),
            (Ok(found), Some(cells)) if found != cells => {
                let expected = format!("a row of {cells} cells, as there are columns");
                return Err(rejection(Reason::Csv, None, expected, format!("{found} cells: {}", shortened(text))));
            }
            _ => {}
        }
        if let Some(of_key) = json::key_fields(rule, record) {
            for (own, of_key) in scalars.iter_mut().zip(of_key.texts) {
                if let (Scalar::Absent, Some(raw)) = (&own, of_key) {
                    *own = Scalar::of_json(raw);
                }
            }
            if let Some(path) = of_key.twice {
                return Err(json::twice(rule, &path));
            }
        }
        Ok(scalars)
    }

    /// What helps beside what was found in a slot.
    fn hint(&self, slot: usize, reason: Reason, found: &Scalar<'_>, columns: &ColumnMap) -> Option<String> {
        match (found, reason) {
            (Scalar::Text(text), Reason::Type | Reason::Weight) if self.slots[slot].1 == SlotUse::Number => {
                number::hint(text).map(str::to_owned)
            }
            (Scalar::Absent, Reason::Null) if !columns.names.is_empty() => {
                Some(format!("there are {}", shortened(&columns.names.join(", "))))
            }
            (Scalar::Null, Reason::Null) => Some("an empty cell".into()),
            _ => None,
        }
    }
}

/// Columns with names that were given.
fn named(names: &[String], slots: &[(Column, SlotUse)], rule: &Assembler) -> Result<ColumnMap, Vec<FieldError>> {
    let error = |slot: usize, problem| FieldError::Field {
        part: part_of(&rule.shape, slot),
        field: rule.shape.slots[slot].0.clone(),
        problem,
    };
    let unknown = slots.iter().enumerate().filter(|(_, (column, _))| match column {
        Column::Name(name) => !names.iter().any(|known| **known == **name),
        Column::Number(number) => *number >= names.len(),
        Column::Elsewhere => false,
    });
    let errors: Vec<_> = unknown.map(|(slot, _)| error(slot, FieldProblem::UnknownColumn(names.join(", ")))).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let twice = |slot: usize| vec![error(slot, FieldProblem::ColumnTwice)];
    ColumnMap::named(names.to_vec(), slots).map_err(twice)
}

fn no_row(found: String) -> Rejection {
    rejection(Reason::Csv, None, "one row of CSV in UTF-8", found)
}

fn no_header(found: String) -> Rejection {
    rejection(Reason::Csv, None, "a header with the names of columns, in UTF-8", found)
}
