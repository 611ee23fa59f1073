//! Bytes that others may send, for the tests of what reads them: the same as the core's.

#[path = "../dataflows/tests/fuzz/random.rs"]
mod random;

pub(crate) use random::any_bytes;
