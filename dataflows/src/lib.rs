//! The heart of minutely: verdicts, exact sums, windows and checkpoints. No clock, no network, no disk, and no float
//! arithmetic but the one division. `ARCHITECTURE.md` at the root of the repository has the rules (R1 to R13) that the
//! comments here cite.

#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

pub mod acc;
pub mod decimal;
pub mod decode;
pub mod edge;
pub mod partition;
pub mod record;
pub mod row;
pub mod time;
pub mod wide;
