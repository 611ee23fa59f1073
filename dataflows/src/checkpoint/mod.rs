//! What a checkpoint is made of, as bytes (`docs/checkpoints.md`): objects with the windows that changed or with new ids, and manifests that say
//! which objects make up the state. Pure: `src/store/` writes and reads them.
//!
//! ```text
//!   worker 0 ── object, object, merged object ─┐
//!   worker 1 ── object, object of ids ─────────┼── manifest 7 ──parent──> manifest 6 ──parent──> …
//!   dead letters that are not stored yet ──────┘
//! ```
//!
//! Of two entries for one window of a series the one in the later object counts; entries of windows before the worker's
//! `retired_before` count no more. Ids of windows that are final for their own partition count no more. Every object and every manifest carries the hash of what it holds, so damage is found when it is
//! read. What it does not promise: that a hash of 128 bits withstands a forger.

mod audit;
mod content;
mod damage;
mod dead_letters;
mod encoding;
mod error;
mod fold_object;
mod held;
mod id_object;
mod index_object;
mod manifest;
mod object;
mod object_ref;
mod publish;
mod same_log;
mod sections;
mod sinks;
mod trail;
mod trail_object;
mod trail_ref;
mod valid;

pub use audit::{Audit, WindowTotals};
pub use content::{MergeRule, ObjectContent};
pub use damage::{Damage, FORMAT, hash};
pub use dead_letters::{decode_dead_letters, encode_dead_letters};
pub use error::{ChangedLogError, ChangedPartition, LogChange, ObjectError, ObjectProblem, SinksError};
pub use fold_object::read_folds;
pub use held::held_digests;
pub(crate) use id_object::MAX_IDS;
pub use id_object::{FirstHeld, IdObject, IdObjectBuilder, IdSpan};
pub use index_object::IndexPart;
pub(crate) use index_object::MAX_INDEX;
pub use manifest::{Manifest, Override, PartitionSnapshot, SinkState, WorkerObjects};
pub use object::{Object, ObjectBuilder, merge};
pub use object_ref::ObjectRef;
pub use publish::{PublishStep, StoreReply};
pub use same_log::{Resumed, probe_targets, resume};
pub use sinks::SinksOfRun;
pub use trail::{WatermarkPassage, WindowTrail};
pub(crate) use trail_object::MAX_TRAIL;
pub use trail_object::{CutRecord, TrailMerge, TrailObject, WatermarkHolder, WindowVersion};
pub use trail_ref::{PartTrail, TrailRef, TrailStart};
