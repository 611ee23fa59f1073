//! Writes the final rows that a measurement lacks, by the writer of a run, and deletes points that do not belong there: those of the
//! job's own series alone. The measurement of newest rows is a view, and stays as it is.
//!
//! InfluxDB merges the fields of writes to one point: one that is to lose a field is deleted before it is written. A deletion takes all
//! points that have the tags which it names, so none is sent for a point beside which there is one with further tags.

use super::client::{HttpReply, brief};
use super::context::InfluxContext;
use super::look::ServerCheck;
use super::read_back::InfluxRows;
use super::retry::Timeouts;
use super::sender::Sender;
use super::series::InfluxSeries;
use super::target::{Destination, InfluxTarget};
use super::unwritable::Unwritable;
use super::writer::InfluxWriter;
use super::{client, looked};
use crate::sinks::options::{RowWriter, SinkOptions};
use crate::sinks::repair_writer::{RepairBatch, RepairWriter, RowKey};
use crate::sinks::stored::ReadBackOptions;
use crate::text::rfc3339;
use crate::threads::{Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::{EventTime, WindowStart};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// See the module.
pub(in crate::sinks) struct InfluxRepair {
    context: Arc<InfluxContext>,
    writer: InfluxWriter,
    client: client::Client,
    /// What there is of each kind of rows.
    rows: Vec<(RowKind, InfluxRows)>,
    health: Arc<Health>,
    stop: Stop,
    /// How long the server may take nothing.
    timeout: Duration,
    /// Points that stay, because another series would lose some.
    shared: u64,
    /// Why the server deleted nothing, the last time.
    undeleted: Option<String>,
}

impl InfluxRepair {
    /// Finds out whether the server takes writes.
    ///
    /// # Errors
    /// 64: the server refuses, or the series is another job's. 69: it does not answer.
    pub(in crate::sinks) fn open(target: InfluxTarget, options: &SinkOptions, timeout: Duration) -> Result<Self, Halt> {
        let timeouts = Timeouts::default();
        let target = Arc::new(target);
        if let ServerCheck::Absent(why) = looked(&target, options, timeouts)? {
            return Err(Halt::new(HaltKind::Unreachable, format!("{}: {why}", target.name)));
        }
        let context = Arc::new(InfluxContext {
            target: Arc::clone(&target),
            timeouts,
            unwritable: Unwritable::counting(),
            options: options.clone(),
            warned: AtomicBool::new(true),
        });
        let (health, stop) = (Health::new(&target.name), Stop::new());
        let sender = Sender::new(&context, target.series.clone(), health.clone(), stop.clone())?;
        let client = client::Client::new(&target, timeouts, options.clock)?;
        let of_kind = |kind| {
            let SinkOptions { columns, windowing, clock, .. } = options;
            let read = ReadBackOptions { kind, columns: columns.clone(), windowing: *windowing, clock: *clock };
            InfluxRows::of(&target, &read).map(|rows| (kind, rows))
        };
        let rows = options.columns.kinds().into_iter().map(of_kind).collect::<Result<_, _>>();
        let rows = rows.map_err(|why| Halt::new(HaltKind::Usage, why))?;
        let writer = InfluxWriter::new(sender, true);
        Ok(InfluxRepair { context, writer, client, rows, health, stop, timeout, shared: 0, undeleted: None })
    }

    /// Lets the writer work until it is done, or the time is over.
    fn within<T>(&mut self, work: impl FnOnce(&mut InfluxWriter) -> Result<T, WriterExit>) -> Result<T, Halt> {
        let (done, stop, timeout) = (Stop::new(), self.stop.clone(), self.timeout);
        let worked = std::thread::scope(|scope| {
            let is_done = done.clone();
            scope.spawn(move || is_done.wait(timeout).map_or((), |()| stop.set()));
            let worked = work(&mut self.writer);
            done.set();
            worked
        });
        worked.map_err(|exit| match exit {
            WriterExit::Halt(halt) => halt,
            WriterExit::Stopped => {
                let why = self.health.complaint().unwrap_or_else(|| format!("{}: no answer", self.health.name()));
                Halt::new(HaltKind::Unreachable, format!("{why}; given up after {} s", self.timeout.as_secs()))
            }
        })
    }

    /// Deletes points, but for those beside which there are others.
    fn delete(&mut self, kind: RowKind, keys: &[RowKey]) -> Result<(), Halt> {
        let (Some((first, _)), Some((last, _))) = (keys.iter().min(), keys.iter().max()) else { return Ok(()) };
        let unreachable = |why: String| Halt::new(HaltKind::Unreachable, why);
        let minutes = *first..WindowStart(last.0.saturating_add(1));
        let rows = self.rows.iter().find(|(of, _)| *of == kind);
        let others = rows.map_or(Ok(BTreeSet::new()), |(_, rows)| rows.others(&minutes)).map_err(unreachable)?;
        let runtime = client::runtime()?;
        for (minute, symbol) in keys {
            if others.contains(&(*minute, symbol.clone())) {
                self.shared += 1;
                continue;
            }
            let target = &self.context.target;
            let series = &target.series.of(kind);
            let reply = runtime.block_on(async {
                match &target.destination {
                    Destination::Bucket { org, bucket } => {
                        let at = rfc3339(EventTime(minute.0), 9);
                        let body = json!({ "start": at, "stop": at, "predicate": predicate(series, symbol) });
                        self.client.delete([("org", org), ("bucket", bucket)], &body).await
                    }
                    Destination::Database(database) => {
                        let statement = statement(series, symbol, *minute);
                        self.client.influxql_change(&[("db", database.clone()), ("q", statement)]).await
                    }
                }
            });
            match reply {
                HttpReply::Status { status: 200..=204, fails: false, text, .. } if !text.contains("\"error\"") => {}
                HttpReply::Status { status, text, .. } => self.undeleted = Some(format!("{status}: {}", brief(&text))),
                HttpReply::Lost { why, .. } => return Err(unreachable(format!("{}: {why}", target.name))),
            }
        }
        Ok(())
    }
}

/// Which points a deletion of the v2 API takes.
fn predicate(series: &InfluxSeries, symbol: &str) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let tags = series.tags.iter().map(|(name, value)| format!(" AND {}={}", text(name), text(value)));
    format!("_measurement={} AND symbol={}{}", text(&series.measurement), text(symbol), tags.collect::<String>())
}

/// The same in InfluxQL.
fn statement(series: &InfluxSeries, symbol: &str, minute: WindowStart) -> String {
    let name = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let text = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
    let tags = series.tags.iter().map(|(tag, value)| format!(" AND {} = {}", name(tag), text(value)));
    format!(
        "DELETE FROM {} WHERE \"symbol\" = {}{} AND time = {}",
        name(&series.measurement),
        text(symbol),
        tags.collect::<String>(),
        minute.0
    )
}

impl RepairWriter for InfluxRepair {
    fn write(&mut self, batch: &RepairBatch) -> Result<(), Halt> {
        self.delete(batch.kind, &batch.extra)?;
        // Each batch has the whole time: it is for a server that takes nothing.
        let most = self.context.target.batch.max(1);
        let mut batches = batch.rows.chunks(most);
        batches.try_for_each(|rows| self.within(|writer| writer.rows(0, rows).and_then(|()| writer.store()).map(drop)))
    }

    fn finish(&mut self, _is_whole: bool) -> Result<Option<u64>, Halt> {
        Ok(None)
    }

    fn remarks(&self) -> Vec<String> {
        let refused = Some(self.health.unwritable()).filter(|refused| *refused > 0);
        let refused = refused.map(|refused| {
            format!("the server refuses {refused} of these points for good, with the answer that is logged above")
        });
        let shared = Some(self.shared).filter(|shared| *shared > 0).map(|shared| {
            format!(
                "{shared} points are not deleted, for beside each there is one with further tags, which a deletion would take, too"
            )
        });
        let undeleted = self.undeleted.as_ref().map(|why| format!("the server deletes nothing ({why})"));
        [refused, shared, undeleted].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_names_the_series_and_one_symbol() {
        let tags = [("desk".to_owned(), "a\"b".to_owned())].into();
        let series = InfluxSeries { measurement: "m'n".into(), tags };
        assert_eq!(predicate(&series, "A\\B"), r#"_measurement="m'n" AND symbol="A\\B" AND "desk"="a\"b""#);
        assert_eq!(
            statement(&series, "O'X", WindowStart(60)),
            r#"DELETE FROM "m'n" WHERE "symbol" = 'O\'X' AND "desk" = 'a"b' AND time = 60"#
        );
    }
}
