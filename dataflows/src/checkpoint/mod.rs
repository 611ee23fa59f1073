//! What a checkpoint is made of, as bytes (section 3): objects with the windows that changed, and manifests that say
//! which objects make up the state. Pure: who writes and reads them is `src/store/`.
//!
//! ```text
//!   worker 0 ── object, object, merged object ─┐
//!   worker 1 ── object ────────────────────────┼── manifest 7 ──parent──> manifest 6 ──parent──> …
//!   dead letters that are not stored yet ──────┘
//! ```
//!
//! Of two entries for one window of a series the one in the later object counts; entries of windows before the worker's
//! line count no more. Every object and every manifest carries the hash of what it holds, so damage is found when it is
//! read. What it does not promise: that a hash of 128 bits withstands somebody who wants to deceive.

mod audit;
mod manifest;
mod object;
mod publish;
mod same_log;
mod sinks;
mod valid;

pub use audit::{Audit, WindowTotals};
pub use manifest::{Manifest, ObjectRef, Override, PartitionSnapshot, SinkState, WorkerObjects};
pub use object::{Object, ObjectBuilder, decode_letters, encode_letters, merge};
pub use publish::{PublishStep, StoreReply};
pub use same_log::{Resumed, go_on, places};
pub use sinks::SinksOfRun;

use xxhash_rust::xxh3::xxh3_128;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What is wrong with bytes that were read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Damage {
    what: String,
    newer: bool,
}

impl Damage {
    fn new(what: impl Into<String>) -> Self {
        Damage { what: what.into(), newer: false }
    }

    /// Whole, and written by a newer version of this program.
    fn newer(format: u32) -> Self {
        Damage { what: format!("has format {format}, and this version reads up to {FORMAT}"), newer: true }
    }

    /// Is nothing wrong but that a newer version of this program wrote it?
    pub fn is_newer(&self) -> bool {
        self.newer
    }
}

/// XXH3-128 in 32 hexadecimal digits (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
pub fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}
