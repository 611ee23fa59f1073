//! `minutely redrive`: rejected letters, decoded again with other options, as records that the run's own options read. They go to the topic, or
//! into amended rows.
//!
//! ```text
//!   dead letters ── --map ──> payload ── the letters' options ──> event ── as the run reads it ──> corrected record ─┬─> topic, with a header
//!                                                                                  │ read back: the same event       └─> amend
//!                                                                                  └─ else: told
//! ```

mod correct;
mod error;
mod journal;
mod path;
mod plan;
mod raw;
mod report;
mod session;
mod topic;

pub(crate) use plan::RedrivePlan;
pub(crate) use session::redrive;
