//! minutely: exact one-minute event-time averages. See `README.md`.

#![allow(dead_code, reason = "until `run` joins the rooms")]

mod clock;
mod sinks;
mod sources;

/// C's malloc too: librdkafka allocates messages on one thread and frees them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
