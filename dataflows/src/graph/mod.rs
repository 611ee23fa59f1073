//! The dataflow of one worker, and what its operators share.
//!
//! ```text
//!  Read ──updates──> Intern ──> Windows (arrangement) ──┬──> Snapshot ─parts──> Inbox (worker 0)
//!   │                             ^                     ├──> Outbox ───chunks─> Inbox
//!   │                             │                     └──> Preview ──rows───> Inbox
//!   │──clock──> Retire ─retractions┘
//!   └──reports────────────────────────────────────────────────────────────────> Inbox
//! ```
//!
//! Decisions come back over a dataflow of their own. Retire reads the arrangement's trace beside the dataflow, so there
//! is no feedback edge: its capability follows Read's clock, and what it takes away is final, so no update can follow.

mod context;
mod dataflow;
mod folds;
mod intern;
mod job;
mod key;
pub(crate) mod outbox;
mod preview;
pub(crate) mod read;
mod retire;
mod rows;
mod series;
mod snapshot;
mod strips;
mod windows;

pub(crate) use context::WorkerContext;
pub(crate) use dataflow::{Graph, build, decisions};
#[cfg(test)]
pub(crate) use job::testing;
pub use job::{BadRecordPolicy, Job, Restored, park};
