//! `minutely verify`: counts final minutes again from the log, and compares them with what the sinks hold now. `minutely digest`: what
//! minutes come to, in one number each.
//!
//! ```text
//!   state ── index ──> where to read ── log ──> a reader of its own ──> the oracle ──> rows ─┬─> equal, missing, different, extra
//!   sinks ── read back ──> cells ────────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing is locked and nothing is written, so a run may go on meanwhile. With a run it shares the options, the decoder, and the
//! source's client; it has no dataflow, and none of the code that judges and adds up there. With `--independent` it has a decoder and an
//! arithmetic of its own, too (`crate::independent`).

mod amended;
mod coarse;
mod compare;
mod digests;
mod error;
mod facts;
mod log;
mod plan;
mod recount;
mod report;
mod rows;
mod session;
mod sums;
mod textfile;

pub(crate) use amended::{AmendedFault, AmendedFinding, AmendedTally};
pub(crate) use compare::{ComparedSink, ExpectedRow, Fault, KindRows, RowFinding};
pub(crate) use digests::{digest, digests_json};
pub(crate) use error::VerifyError;
pub(crate) use facts::{IndexedPartition, StateFacts, Unverifiable, has_state};
pub(crate) use log::OpenLog;
pub(crate) use plan::{AskedMinutes, VerifyPlan};
pub(crate) use recount::Recount;
pub(crate) use report::{MOST_SHOWN, PartitionRead, described, findings_json};
pub(crate) use rows::{LogRows, LogSlice, LogStep};
pub(crate) use session::{open_sinks, verify};
