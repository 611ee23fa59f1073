//! minutely: exact one-minute event-time averages. See `README.md`.

mod clock;
mod sinks;
mod sources;

fn main() {}
