//! `influxdb://host:port/org/bucket` and `influxdb1://host:port/db`: two measurements that never share a point. Both
//! take the same lines by the same rules of delivery; they differ in the address of a write and in who may write.
//!
//! `minute` holds each final row, once, the same bytes for ever: whatever is delayed, repeated or sent by a run that
//! was taken over changes nothing. `minute_live` (with `--emit changes`) holds the newest row, final ones too: a view.
//! In one measurement a delayed older write would overwrite a final row for ever, for InfluxDB has no conditional
//! write. Each has a connection and a thread of its own.

mod address;
mod client;
mod line;
mod retry;
mod unwritable;
mod writer;

use super::port::{Health, RowPort, Stop};
use super::{Emit, OpenSink, SinkOptions};
pub(super) use address::Address;
use client::SetUp;
use minutely_dataflows::edge::{Halt, HaltKind, Takes};
use minutely_dataflows::time::SECOND;
use retry::Pace;
use std::sync::Arc;
use std::time::Duration;
use unwritable::Unwritable;
use writer::InfluxWriter;

/// At most every so many nanoseconds a point of an open window is written again.
const LIVE_EVERY: i64 = 5 * SECOND;

/// Is the server there, and may we write? Leaves nothing behind; may take as long as the patience.
///
/// # Errors
/// 64 when the server says no, with what to do; 69 when it says nothing.
pub(super) fn look(address: Address, options: &SinkOptions) -> Result<(), Halt> {
    found(&Arc::new(address), options, Pace::default()).map(drop)
}

/// On a thread of its own, for the caller's may belong to an async runtime.
fn found(address: &Arc<Address>, options: &SinkOptions, pace: Pace) -> Result<SetUp, Halt> {
    std::thread::scope(|scope| {
        let look = scope.spawn(|| client::look(address, pace, options.patience, options.clock));
        look.join()
            .unwrap_or_else(|_| Err(Halt::new(HaltKind::Internal, format!("{}: the check panicked", address.name))))
    })
}

/// Opens `minute` and, with `--emit changes`, `minute_live`.
///
/// # Errors
/// As [`look`].
pub(super) fn open(address: Address, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    open_at(address, options, Pace::default())
}

fn open_at(address: Address, options: &SinkOptions, pace: Pace) -> Result<Vec<OpenSink>, Halt> {
    let address = Arc::new(address);
    if let Some(why) = too_short(&found(&address, options, pace)?, options) {
        tracing::warn!("{}: {why}", address.name);
    }
    let unwritable = Arc::new(Unwritable::new(options.data.join("unwritable.jsonl")));
    let open = |measurement: &'static str, takes: Takes| {
        let name = format!("{} {measurement}", address.name);
        let (health, stop) = (Health::new(&name), Stop::new());
        let writer = InfluxWriter::new(
            address.clone(),
            measurement,
            !takes.changes,
            pace,
            options.clock,
            unwritable.clone(),
            health.clone(),
            stop.clone(),
        )?;
        let port = RowPort::start(measurement, options.wake.clone(), stop, Box::new(writer))?;
        Ok(OpenSink { name, takes, port: Box::new(port), health, chain: None })
    };
    measurements(options.emit).into_iter().map(|(measurement, takes)| open(measurement, takes)).collect()
}

/// The measurements, and what each takes.
pub(super) fn measurements(emit: Emit) -> Vec<(&'static str, Takes)> {
    let minute = ("minute", Takes { changes: false, partial: false, open_every: 0 });
    let live = ("minute_live", Takes { changes: true, partial: true, open_every: LIVE_EVERY });
    match emit {
        Emit::Changes => vec![minute, live],
        Emit::Final => vec![minute],
    }
}

/// What is wrong with how long the bucket or database keeps points.
fn too_short(set_up: &SetUp, options: &SinkOptions) -> Option<String> {
    let kept = Duration::from_secs(set_up.retention?);
    let held = options.windowing.length.saturating_add(options.windowing.lateness);
    let held = Duration::from_nanos(u64::try_from(held).unwrap_or_default());
    (kept < held).then(|| {
        format!(
            "the database keeps points for {} s, less than window and lateness ({} s): final rows come too late for it; \
             make its retention longer",
            kept.as_secs(),
            held.as_secs_f64()
        )
    })
}

#[cfg(test)]
mod tests;
