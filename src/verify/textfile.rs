//! What the last verification found, as metrics in a file: node_exporter's textfile collector reads it, and so Prometheus.
//!
//! The file is whole at any time: it is written beside and then renamed.

use super::report::VerifyReport;
use crate::clock::SystemClock;
use crate::metrics_text::MetricsText;
use minutely_dataflows::time::SECOND;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A verification that has ended, as a file of metrics tells it.
pub(super) struct LastVerification<'a> {
    pub(super) job: &'a str,
    /// None where nothing could be verified; with it: is all of it well?
    pub(super) report: Option<(&'a VerifyReport, bool)>,
}

impl LastVerification<'_> {
    /// Writes the file.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(super) fn write(&self, path: &Path, clock: SystemClock) -> io::Result<()> {
        let mut beside = OsString::from(path);
        // (The collector reads `*.prom` alone; two verifications may have the same file.)
        beside.push(format!(".{}.tmp", std::process::id()));
        let beside = PathBuf::from(beside);
        let write = || {
            let mut file = fs::File::create(&beside)?;
            file.write_all(self.text(clock.wall().0 / SECOND).as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    fn text(&self, now: i64) -> String {
        let mut text = MetricsText::default();
        let job = [("job", self.job)];
        let mut one = |name, help, value: &dyn std::fmt::Display| {
            text.metric(name, "gauge", help);
            text.sample("", &job, value);
        };
        one("minutely_verify_end_timestamp_seconds", "When the last verification ended.", &now);
        let done = u8::from(self.report.is_some());
        one("minutely_verify_done_bool", "1 if it came to its end, 0 if something could not be reached.", &done);
        let Some((report, is_well)) = self.report else { return text.out };
        let help = "1 if all that was asked for is equal, else 0.";
        one("minutely_verify_equal_bool", help, &u8::from(is_well));
        one("minutely_verify_duration_seconds", "How long it took.", &report.took.as_secs_f64());
        one("minutely_verify_windows", "Minutes with rows, counted again.", &report.minutes);
        one("minutely_verify_records", "Records that were read.", &report.records);
        let differing = report.wrong_digests.len();
        one("minutely_verify_different_digests", "Digests of the state that are not those of the log.", &differing);
        let unverifiable: i64 = report.unverifiable.iter().map(|(_, of)| (of.end.0 - of.start.0) / SECOND).sum();
        let help = "Event time that was asked for and cannot be verified any more.";
        one("minutely_verify_unverifiable_seconds", help, &unverifiable);
        text.metric("minutely_verify_rows", "gauge", "Rows of each sink, by what was found.");
        for sink in &report.sinks {
            let (tally, kind) = (&sink.tally, sink.kind_name().unwrap_or_else(|| "minutes".into()));
            let all = [
                ("equal", tally.equal),
                ("missing", tally.missing),
                ("different", tally.different),
                ("extra", tally.extra),
            ];
            for (result, many) in all {
                let labels = [("job", self.job), ("sink", &sink.name), ("rows", &kind), ("result", result)];
                text.sample("", &labels, many);
            }
        }
        for amended in report.amended.iter().filter(|amended| amended.is_there()) {
            for (result, many) in amended.counts() {
                let labels = [("job", self.job), ("sink", &amended.name), ("rows", "amended"), ("result", result)];
                text.sample("", &labels, many);
            }
        }
        text.out
    }
}
