//! The heart of minutely: verdicts, exact sums, windows and checkpoints. No clock, no network, no disk, and no float
//! arithmetic but the one division. `ARCHITECTURE.md` at the root of the repository has the rules (R1 to R13) that the
//! comments here cite.

#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

pub mod acc;
pub mod checkpoint;
pub mod control;
pub mod decimal;
pub mod decode;
pub mod delivery;
pub mod edge;
pub mod emitter;
pub mod escape;
pub mod explain;
mod graph;
pub mod marks;
pub mod mutants;
pub mod oracle;
pub mod partition;
pub mod protocol;
pub mod record;
pub mod row;
pub mod settings;
mod shards;
pub mod status;
pub mod time;
pub mod watch;
pub mod wide;
pub mod worker;

pub use graph::{Job, Restored, park};
