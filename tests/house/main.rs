//! Rules of the source tree that no compiler checks. Each list of exceptions may only shrink: an exception that is no longer
//! needed fails the test too.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod checkout;
mod circles;
mod names;
mod rooms;
mod sizes;
mod source;
