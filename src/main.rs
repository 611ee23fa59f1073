//! minutely: exact one-minute event-time averages. See `README.md`.

#![allow(dead_code, reason = "until `run` joins the rooms")]

mod clock;
mod sinks;
mod sources;

fn main() {}
