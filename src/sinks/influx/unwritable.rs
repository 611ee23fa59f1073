//! `unwritable.jsonl`: points that the database will never take, with its answer. Durable before the round counts as
//! stored. A point may be recorded twice, after a retry or a restart; a line that a crash tore is ended by a newline.

use super::series::InfluxSeries;
use crate::sinks::append;
use crate::sinks::file_id::FileId;
use crate::text::rfc3339;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::EventTime;
use serde_json::{Value, json};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The file, shared by all sinks of a run.
pub(super) struct Unwritable {
    /// None: points are counted alone.
    path: Option<PathBuf>,
    /// The file and its length after the last record. Locked while records are written.
    left: Mutex<Option<(FileId, u64)>>,
}

/// A point as it is recorded. `derived`: the names of the columns of `--derive`.
pub(super) fn record(sink: &str, (series, derived): (&InfluxSeries, &[String]), row: &Row, answer: &str) -> Value {
    let mut point = json!({
        "measurement": series.measurement, "symbol": row.symbol, "minute": rfc3339(EventTime(row.minute.0), 9),
        "count": row.count, "sum": row.sum.to_string(), "avg": row.avg, "state": row.state.name(),
    });
    if !series.tags.is_empty() {
        point["tags"] = json!(series.tags);
    }
    if let Some(market) = &row.market {
        point["open"] = json!(market.open);
        point["high"] = json!(market.high);
        point["low"] = json!(market.low);
        point["close"] = json!(market.close);
        point["volume"] = json!(market.volume.map(|volume| volume.to_string()));
        point["vwap"] = json!(market.vwap);
    }
    for (name, value) in derived.iter().zip(&row.derived) {
        point[name] = json!(value);
    }
    json!({"sink": sink, "point": point, "answer": answer})
}

impl Unwritable {
    pub(super) fn new(path: PathBuf) -> Self {
        Unwritable { path: Some(path), left: Mutex::new(None) }
    }

    /// Counts what is refused and keeps nothing of it: for rows that the log gives again.
    pub(super) fn counting() -> Self {
        Unwritable { path: None, left: Mutex::new(None) }
    }

    /// Are points recorded?
    pub(super) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Returns once they are durable.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`]; trouble with the disk is waited out.
    pub(super) fn add(&self, records: &[Value], health: &Health, stop: &Stop) -> Result<(), WriterExit> {
        let count = || health.count_unwritable(u64::try_from(records.len()).expect("a usize fits a u64"));
        let Some(path) = &self.path else {
            count();
            return Ok(());
        };
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record).expect("memory takes what is written to it");
            lines.push(b'\n');
        }
        let (mut backoff, mut hurt) = (Backoff::of_files(), false);
        while let Err(e) = self.append(path, &lines) {
            health.set_trouble(format!("{}: {e}", path.display()));
            hurt = true;
            backoff.wait(stop)?;
        }
        if hurt {
            health.clear_trouble();
        }
        count();
        Ok(())
    }

    /// Repeated whole after any failure, a failed fsync included: a record that is there twice does no harm, a missing one does.
    fn append(&self, path: &Path, lines: &[u8]) -> io::Result<()> {
        let mut left = self.left.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::fs::create_dir_all(append::folder_of(path))?;
        let mut file = append::growing(true).create(true).open(path)?;
        let now = file.metadata()?;
        if left.is_some_and(|(file, len)| file != FileId::of(&now) || len > now.len()) {
            tracing::warn!(
                "{}: was deleted, cut or replaced while this run writes to it: what was recorded there before is lost",
                path.display()
            );
        }
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        file.write_all(lines)?;
        file.sync_data()?;
        append::sync_folder_of(path)?;
        let now = file.metadata()?;
        *left = Some((FileId::of(&now), now.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{row, temp};
    use std::fs::OpenOptions;

    #[test]
    fn a_record_names_the_whole_place() {
        let mut series = InfluxSeries::default();
        let plain = record("influxdb://h/o/b", (&series, &[]), &row("A", 0, 1), "no");
        assert_eq!((&plain["point"]["measurement"], plain["point"].get("tags")), (&json!("minute"), None));
        series.tags.insert("venue".into(), "B".into());
        let tagged = record("influxdb://h/o/b", (&series, &[]), &row("A", 0, 1), "no");
        assert_eq!((&tagged["point"]["tags"], &tagged["answer"]), (&json!({"venue": "B"}), &json!("no")));
    }

    #[test]
    fn records_are_appended_and_a_torn_line_is_closed() {
        let dir = temp();
        let path = dir.path().join("job/unwritable.jsonl");
        let file = Unwritable::new(path.clone());
        let (health, stop) = (Health::new("influxdb"), Stop::new());
        file.add(&[json!({"n": 1})], &health, &stop).unwrap();
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"to").unwrap();
        file.add(&[json!({"n": 2}), json!({"n": 3})], &health, &stop).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"to\n{\"n\":2}\n{\"n\":3}\n");
        assert_eq!(health.unwritable(), 3);
    }
}
