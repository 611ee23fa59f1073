//! One row taken apart into cells (RFC 4180): strictly, so that no row is read otherwise than it was meant.

use crate::decode::scan::Scanner;
use crate::decode::words::marks_of;
use std::borrow::Cow;
use std::ops::Range;

/// How cells are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellSyntax {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
}

/// A cell, by where its content is: without quotes, and without blanks around a cell that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) range: Range<usize>,
    /// It is in quotes, and this one is twice in it for once.
    pub(super) doubled: Option<u8>,
}

impl Cell {
    /// What it says, of the row that it stands in.
    pub(super) fn text<'a>(&self, row: &'a str) -> Cow<'a, str> {
        let text = &row[self.range.clone()];
        match self.doubled {
            None => Cow::Borrowed(text),
            Some(quote) => {
                let quote = char::from(quote);
                Cow::Owned(text.replace(&format!("{quote}{quote}"), &quote.to_string()))
            }
        }
    }
}

/// Why a row cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowProblem {
    /// A quote is open at its end.
    Open,
    /// There is a quote inside a cell, or something after a cell's closing quote.
    Stray,
}

impl RowProblem {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            RowProblem::Open => "a quote that is not closed on its line",
            RowProblem::Stray => "a quote inside a cell that does not begin with one, or text after a closing quote",
        }
    }
}

impl CellSyntax {
    /// Hands out a row's cells, with their numbers, and says how many there are.
    ///
    /// # Errors
    /// When it is no row; some cells may have been handed out.
    pub(super) fn split(self, row: &str, mut each: impl FnMut(usize, Cell)) -> Result<usize, RowProblem> {
        let bytes = row.as_bytes();
        let (mut start, mut number) = (0, 0);
        loop {
            let (cell, end) = self.cell(bytes, start)?;
            each(number, cell);
            number += 1;
            if end == bytes.len() {
                return Ok(number);
            }
            start = end + 1;
        }
    }

    /// The cell that begins here, and where it ends: at a delimiter, or with the row.
    fn cell(self, bytes: &[u8], start: usize) -> Result<(Cell, usize), RowProblem> {
        let first = start + bytes[start..].iter().take_while(|byte| self.is_blank(**byte)).count();
        let Some(quote) = self.quote.filter(|quote| bytes.get(first) == Some(quote)) else {
            let length = bytes[start..].iter().position(|byte| *byte == self.delimiter);
            let end = length.map_or(bytes.len(), |length| start + length);
            let stray = self.quote.is_some_and(|quote| bytes[start..end].contains(&quote));
            return if stray { Err(RowProblem::Stray) } else { Ok((self.bare(bytes, start..end), end)) };
        };
        let (mut at, mut doubled) = (first + 1, None);
        loop {
            at += bytes[at..].iter().position(|byte| *byte == quote).ok_or(RowProblem::Open)?;
            if bytes.get(at + 1) != Some(&quote) {
                break;
            }
            doubled = Some(quote);
            at += 2;
        }
        let end = at + 1 + bytes[at + 1..].iter().take_while(|byte| self.is_blank(**byte)).count();
        match bytes.get(end) {
            Some(byte) if *byte != self.delimiter => Err(RowProblem::Stray),
            _ => Ok((Cell { range: first + 1..at, doubled }, end)),
        }
    }

    /// Where the next delimiter or quote is, from the scanner on, or the row's end.
    #[inline]
    pub(super) fn end(self, scan: &Scanner<'_>) -> usize {
        let (delimiter, quote) = (self.delimiter, self.quote.unwrap_or(self.delimiter));
        let mut at = scan.at;
        // Eight bytes at once, for cells are short.
        while at < scan.bytes.len() {
            let word = Scanner { bytes: scan.bytes, at }.word();
            let marks = marks_of(word, delimiter) | marks_of(word, quote);
            if marks != 0 {
                return at + (marks.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        scan.bytes.len()
    }

    /// A cell without quotes.
    #[inline]
    pub(super) fn bare(self, bytes: &[u8], range: Range<usize>) -> Cell {
        let Range { mut start, mut end } = range;
        while start < end && self.is_blank(bytes[start]) {
            start += 1;
        }
        while start < end && self.is_blank(bytes[end - 1]) {
            end -= 1;
        }
        Cell { range: start..end, doubled: None }
    }

    fn is_blank(self, byte: u8) -> bool {
        (byte == b' ' || byte == b'\t') && byte != self.delimiter
    }
}
