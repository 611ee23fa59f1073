//! `minutely amend`: rows of final minutes with the late dead letters that missed them, beside the rows of the run, which stay as they are.
//!
//! ```text
//!   dead letters ── decode again ── as in the log? ──> late events by row ─┬─> union ── the rules ──> amended rows ──> sinks
//!   amended rows that are there ── their letters, from the log ────────────┘             │
//!   log ── verify's recount of those minutes ────────────────────────────────────────────┘
//! ```
//!
//! An amended row is a function of the log and of the set of its letters, and says which these are. So it does not matter in which order
//! files are amended, how often, or where it was killed. Nothing of the state is locked or written: a run may go on.

mod base;
mod compare;
mod corrected;
mod error;
mod events;
mod fetch;
mod lines;
mod lock;
mod log_records;
mod pending;
mod place;
mod plan;
mod report;
mod rows;
mod session;
mod stored;

pub(crate) use compare::compare;
pub(crate) use corrected::{CorrectedRecord, CorrectedRecords};
pub(crate) use events::{LateEvent, one_event, wrapped};
pub(crate) use lines::LetterFile;
pub(crate) use lock::AmendLock;
pub(crate) use log_records::{is_gone, records_at};
pub(crate) use place::LetterPlace;
pub(crate) use plan::AmendPlan;
pub(crate) use report::AmendReport;
pub(crate) use rows::EventsByRow;
pub(crate) use session::{AmendSession, amend};
pub(crate) use stored::amended_places;
