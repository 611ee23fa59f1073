//! `influxdb://host:port/org/bucket` and `influxdb1://host:port/db`: two measurements that never share a point. Both
//! take the same lines by the same rules of delivery; they differ in the address of a write and in who may write.
//!
//! `minute` holds each final row, once, the same bytes for ever: whatever is delayed, repeated or sent by a run that
//! was taken over changes nothing. `minute_live` (with `--emit changes`) holds the newest row, final ones too: a view.
//! In one measurement a delayed older write would overwrite a final row for ever, for InfluxDB has no conditional
//! write. Each has a connection and a thread of its own, and both may have other names and static tags (`series.rs`).

mod address;
mod advice;
mod claim;
mod client;
mod line;
mod look;
mod mark;
mod retention;
mod retry;
mod series;
mod unwritable;
mod writer;

use super::options::{Emit, OpenSink, SinkOptions};
use super::port::RowPort;
use crate::threads::{Health, Stop};
pub(super) use address::Address;
use look::Looked;
use minutely_dataflows::edge::{Halt, HaltKind, RowFilter};
use minutely_dataflows::time::SECOND;
use retry::Timeouts;
use series::LIVE;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use unwritable::Unwritable;
use writer::InfluxWriter;

/// At most every so many nanoseconds a point of an open window is written again.
const LIVE_EVERY: i64 = 5 * SECOND;

/// What all measurements of a sink have in common.
struct Shared {
    address: Arc<Address>,
    options: SinkOptions,
    timeouts: Timeouts,
    unwritable: Unwritable,
    /// Was it said that the database does not keep points for long enough?
    warned: AtomicBool,
}

/// May we write, and is the place ours? Leaves nothing behind, and takes a few seconds at most: a server that does not answer
/// is a warning.
///
/// # Errors
/// 64 when the server says no, or another job has the place, with what to do.
pub(super) fn look(address: Address, options: &SinkOptions) -> Result<(), Halt> {
    let address = Arc::new(address);
    if let Looked::Absent(why) = looked(&address, options, Timeouts::default())? {
        tracing::warn!(
            "{}: {why}; the run begins all the same, and its rows are held until this sink takes them",
            address.name
        );
    }
    Ok(())
}

/// On a thread of its own, for the caller's may belong to an async runtime.
fn looked(address: &Arc<Address>, options: &SinkOptions, timeouts: Timeouts) -> Result<Looked, Halt> {
    std::thread::scope(|scope| {
        let look = scope.spawn(|| look::look(address, timeouts, options));
        look.join()
            .unwrap_or_else(|_| Err(Halt::new(HaltKind::Internal, format!("{}: the check panicked", address.name))))
    })
}

/// Opens `minute` and, with `--emit changes`, `minute_live`. Waits for nobody: each begins on its own thread.
///
/// # Errors
/// 64 when TLS cannot be set up; 70 when the system has no thread for us.
pub(super) fn open(address: Address, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    open_at(address, options, Timeouts::default())
}

fn open_at(address: Address, options: &SinkOptions, timeouts: Timeouts) -> Result<Vec<OpenSink>, Halt> {
    let shared = Arc::new(Shared {
        address: Arc::new(address),
        timeouts,
        unwritable: Unwritable::new(options.data.join("unwritable.jsonl")),
        options: options.clone(),
        warned: AtomicBool::new(false),
    });
    let open = |suffix: &str, takes: RowFilter| {
        let series = shared.address.series.with(suffix);
        let name = format!("{} {}", shared.address.name, series.measurement);
        let (health, stop) = (Health::new(&name), Stop::new());
        health.set_unknown();
        let writer = InfluxWriter::new(&shared, series, !takes.changes, health.clone(), stop.clone())?;
        let port = RowPort::start(&format!("influx{suffix}"), options.wake.clone(), stop, Box::new(writer))?;
        Ok(OpenSink { name, takes, port: Box::new(port), health, chain: None })
    };
    measurements(options.emit).into_iter().map(|(suffix, takes)| open(suffix, takes)).collect()
}

/// What follows the name of each measurement, and what it takes.
pub(super) fn measurements(emit: Emit) -> Vec<(&'static str, RowFilter)> {
    let minute = ("", RowFilter { changes: false, partial: false, open_every: 0 });
    let live = (LIVE, RowFilter { changes: true, partial: true, open_every: LIVE_EVERY });
    match emit {
        Emit::Changes => vec![minute, live],
        Emit::Final => vec![minute],
    }
}

#[cfg(test)]
mod tests;
