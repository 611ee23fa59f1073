//! `influxdb://host:port/org/bucket` and `influxdb1://host:port/db`: two measurements that never share a point. Both
//! take the same lines by the same rules of delivery; they differ in the address of a write and in who may write.
//!
//! `minute` holds each final row, once, always the same bytes: writes that are delayed, repeated or sent by a run that was
//! taken over change nothing. `minute_live` (with `--emit changes`) holds the newest row, final ones too: a view. In one
//! measurement a delayed older write would overwrite a final row for good, because InfluxDB has no conditional write. Each
//! has a connection and a thread of its own, and both may have other names and static tags (`series.rs`).

mod advice;
mod amended;
mod answer;
mod client;
mod context;
mod error;
mod line;
mod look;
mod mark;
mod ownership;
mod query;
mod read_back;
mod repair;
mod retention;
mod retry;
mod sender;
mod series;
mod target;
mod unwritable;
mod writer;

pub(super) use amended::AmendedInflux;
pub(super) use read_back::InfluxRows;
pub(super) use repair::InfluxRepair;
pub(super) use target::InfluxTarget;

use super::options::{Emit, OpenSink, SinkOptions};
use super::port::RowPort;
use crate::threads::{Health, Stop};
use context::InfluxContext;
use error::InfluxError;
use look::ServerCheck;
use minutely_dataflows::edge::{Halt, RowFilter};
use retry::Timeouts;
use sender::Sender;
use series::measurements;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use unwritable::Unwritable;
use writer::InfluxWriter;

/// Checks that the server takes our writes and that no other job owns the series. Leaves nothing behind, and takes a few
/// seconds at most: a server that does not answer is a warning.
///
/// # Errors
/// 64 when the server refuses, or another job owns the series, with what to do.
pub(super) fn look(target: InfluxTarget, options: &SinkOptions) -> Result<(), InfluxError> {
    let target = Arc::new(target);
    if let ServerCheck::Absent(why) = looked(&target, options, Timeouts::default())? {
        tracing::warn!(
            "{}: {why}; the run begins all the same, and its rows are held until this sink takes them",
            target.name
        );
    }
    Ok(())
}

/// On a thread of its own, because the caller's may belong to an async runtime.
fn looked(target: &Arc<InfluxTarget>, options: &SinkOptions, timeouts: Timeouts) -> Result<ServerCheck, InfluxError> {
    std::thread::scope(|scope| {
        let look = scope.spawn(|| look::look(target, timeouts, options));
        look.join().unwrap_or_else(|_| Err(InfluxError::Panicked { name: target.name.clone() }))
    })
}

/// Opens `minute` and, with `--emit changes`, `minute_live`. Waits for no server: each begins on its own thread.
///
/// # Errors
/// 64 when TLS cannot be set up; 70 when the system has no thread for us.
pub(super) fn open(target: InfluxTarget, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    open_at(target, options, Timeouts::default())
}

fn open_at(target: InfluxTarget, options: &SinkOptions, timeouts: Timeouts) -> Result<Vec<OpenSink>, Halt> {
    let context = Arc::new(InfluxContext {
        target: Arc::new(target),
        timeouts,
        unwritable: Unwritable::new(options.data.join("unwritable.jsonl")),
        options: options.clone(),
        warned: AtomicBool::new(false),
    });
    let open = |suffix: &str, takes: RowFilter| {
        let series = context.target.series.with(suffix);
        let name = format!("{} {}", context.target.name, series.measurement);
        let (health, stop) = (Health::new(&name), Stop::new());
        health.set_unknown();
        let writer = InfluxWriter::new(Sender::new(&context, series, health.clone(), stop.clone())?, !takes.changes);
        let port = RowPort::start(&format!("influx{suffix}"), options.wake.clone(), stop, Box::new(writer))?;
        Ok(OpenSink { name, takes, port: Box::new(port), health, chain: None })
    };
    measurements(options.emit).into_iter().map(|(suffix, takes)| open(suffix, takes)).collect()
}

/// What each measurement of a sink takes, in the order of [`open`].
pub(super) fn takes(emit: Emit) -> Vec<RowFilter> {
    measurements(emit).into_iter().map(|(_, takes)| takes).collect()
}

#[cfg(test)]
mod tests;
