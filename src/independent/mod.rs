//! A second answer, for `minutely verify --independent`: the same rules (R1, R2, R4 to R9, R14) by other means, so that a mistake of the
//! decoder or of the arithmetic is not made twice.
//!
//! ```text
//!   record ── json-event-parser ──> a tree ── pointers ──> texts ── num-bigint ──> event ── judge ──> sums ── num-rational ──> row
//! ```
//!
//! Nothing is imported from the core but plain types: records, times, rows, options. It holds a record as a tree, a partition's ids as
//! their texts, and every number as an integer of any size, and is slower for it. It promises an answer or a refusal: what it does not
//! read is refused by [`IndependentRules::of`] before anything is read.

mod condition;
mod derived;
mod document;
mod event;
mod fields;
mod folds;
mod found;
mod fraction;
mod instant;
mod judge;
mod number;
mod outliers;
mod pointer;
mod rules;
mod sums;
#[cfg(test)]
mod tests;

pub(crate) use derived::IndependentColumns;
pub(crate) use event::IndependentEvent;
pub(crate) use folds::IndependentFolds;
pub(crate) use judge::{CountedPlace, IndependentJudgement, IndependentPartition};
pub(crate) use rules::IndependentRules;
pub(crate) use sums::IndependentSums;
