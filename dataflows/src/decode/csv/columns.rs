//! Which cell fills which slot.

use super::cells::{CellSyntax, RowProblem};
use crate::decode::assemble::{Assembler, rejection};
use crate::decode::error::{EventPart, FieldError, FieldProblem};
use crate::decode::fields::FieldNames;
use crate::decode::path::{FieldPath, array_index};
use crate::decode::shape::{FieldInput, Origin, Shape};
use crate::escape::shortened;
use crate::record::{Reason, Rejection};

/// What a slot is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SlotUse {
    /// A text, whatever it looks like: a symbol, an id.
    Text,
    /// A value or a weight.
    Number,
    /// A time, in which zeros at the front may mean something; or what a condition looks at.
    Any,
}

/// Which column a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// By its number, from 0.
    Number(usize),
    /// By its name.
    Name(Box<str>),
    /// It is no field of the row.
    Elsewhere,
}

/// The columns of rows, as they are known.
#[derive(Clone, Debug)]
pub(super) struct ColumnMap {
    /// How many cells a row has to have; `None`: any number.
    pub(super) cells: Option<usize>,
    /// The names, for people.
    pub(super) names: Vec<String>,
    /// The cells that are looked for, in ascending order.
    pub(super) wanted: Vec<WantedCell>,
}

/// A cell that fills a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WantedCell {
    /// The number of its column, from 0.
    pub(super) column: usize,
    pub(super) slot: usize,
    pub(super) slot_use: SlotUse,
}

/// What each slot is, and what for.
pub(super) fn slots(fields: &FieldNames, shape: &Shape) -> Result<Vec<(Column, SlotUse)>, Vec<FieldError>> {
    let mut errors = Vec::new();
    if let Some(each) = &fields.each {
        let (part, field, problem) = (EventPart::Each, each.clone(), FieldProblem::NoArray);
        errors.push(FieldError::Field { part, field, problem });
    }
    let mut slots = Vec::new();
    for (slot, (field, origin)) in shape.slots.iter().enumerate() {
        let part = part_of(shape, slot);
        let slot_use = match part {
            EventPart::Symbol | EventPart::Id => SlotUse::Text,
            EventPart::Value | EventPart::Weight => SlotUse::Number,
            _ => SlotUse::Any,
        };
        let column = if *origin == Origin::Key { Ok(Column::Elsewhere) } else { column(field) };
        match column {
            Ok(column) => slots.push((column, slot_use)),
            Err(problem) => errors.push(FieldError::Field { part, field: field.clone(), problem }),
        }
    }
    if errors.is_empty() { Ok(slots) } else { Err(errors) }
}

/// What a slot is of.
pub(super) fn part_of(shape: &Shape, slot: usize) -> EventPart {
    let is = |input: &FieldInput| *input == FieldInput::Slot(slot);
    if shape.symbol.iter().any(is) {
        EventPart::Symbol
    } else if is(&shape.value) {
        EventPart::Value
    } else if shape.time.iter().any(is) {
        EventPart::Time
    } else if shape.weight.as_ref().is_some_and(is) {
        EventPart::Weight
    } else if shape.id.iter().any(is) {
        EventPart::Id
    } else {
        EventPart::Filter
    }
}

/// The column of a field: its name or, after a slash, its number.
fn column(field: &str) -> Result<Column, FieldProblem> {
    let path = if field.starts_with('@') { FieldPath(Vec::new()) } else { FieldPath::parse(field)? };
    let [step] = path.0.as_slice() else { return Err(FieldProblem::NotAColumn) };
    match array_index(step).filter(|_| field.starts_with('/')) {
        Some(number) => Ok(Column::Number(number)),
        None => Ok(Column::Name(step.clone())),
    }
}

impl ColumnMap {
    /// Of columns that have no names.
    pub(super) fn unnamed(slots: &[(Column, SlotUse)]) -> Self {
        let number = |(slot, (column, slot_use)): (usize, &(Column, SlotUse))| match column {
            Column::Number(column) => Some(WantedCell { column: *column, slot, slot_use: *slot_use }),
            _ => None,
        };
        let mut wanted: Vec<_> = slots.iter().enumerate().filter_map(number).collect();
        wanted.sort_unstable();
        ColumnMap { cells: None, names: Vec::new(), wanted }
    }

    /// Of columns with these names.
    ///
    /// # Errors
    /// A slot's name that is there more than once.
    pub(super) fn named(names: Vec<String>, slots: &[(Column, SlotUse)]) -> Result<Self, usize> {
        let mut wanted = ColumnMap::unnamed(slots).wanted;
        for (slot, (column, slot_use)) in slots.iter().enumerate() {
            let Column::Name(name) = column else { continue };
            let mut columns = names.iter().enumerate().filter(|(_, known)| ***known == **name);
            wanted.extend(columns.next().map(|(column, _)| WantedCell { column, slot, slot_use: *slot_use }));
            if columns.next().is_some() {
                return Err(slot);
            }
        }
        wanted.sort_unstable();
        Ok(ColumnMap { cells: Some(names.len()), names, wanted })
    }

    /// As a header says.
    ///
    /// # Errors
    /// Why all rows below it are rejected.
    pub(super) fn of_header(
        header: &str,
        syntax: CellSyntax,
        slots: &[(Column, SlotUse)],
        rule: &Assembler,
    ) -> Result<Self, Rejection> {
        if header.trim().is_empty() {
            let found = "an empty line (--skip-lines says how many lines stand before the header)".to_owned();
            return Err(rejection(Reason::Csv, None, "a header with the names of columns", found));
        }
        let mut names = Vec::new();
        let split = syntax.split(header, |_, cell| names.push(cell.text(header).trim().to_owned()));
        split.map_err(|problem: RowProblem| {
            let found = format!("{} in it: {}", problem.words(), shortened(header));
            rejection(Reason::Csv, None, "a header that is one row of CSV", found)
        })?;
        ColumnMap::named(names, slots).map_err(|slot| {
            let field = Some(rule.shape.slots[slot].0.clone());
            let found = format!("it more than once: {}", shortened(header));
            rejection(Reason::Twice, field, "its column once in the header", found)
        })
    }
}
