//! All that is known of one minute of one symbol.

use super::account::PartitionFindings;
use super::history::MinuteHistory;
use super::in_sinks::SinkView;
use super::passing::Passing;
use super::uncounted::UncountedRecord;
use crate::verify::{ExpectedRow, Unverifiable};
use minutely_dataflows::time::{EventTime, NextOffset, State};

/// A partition, and what is known of the minute in it.
pub(super) struct ExplainedPartition {
    pub(super) name: String,
    /// Up to where the newest manifest has read it.
    pub(super) next: NextOffset,
    pub(super) found: PartitionFindings,
    /// By what its watermark came to the end of the minute, and to where it is final.
    pub(super) passed: [Passing; 2],
    /// It is passed by evidence now (R8): it is silent, and at its end.
    pub(super) is_idle: bool,
}

/// See the module.
pub(crate) struct Explanation {
    pub(super) symbol: String,
    pub(super) ends: [EventTime; 2],
    /// As rows say by the newest manifest; none while no watermark is known.
    pub(super) state: Option<State>,
    /// By the newest manifest, whether or not its row says `partial`.
    pub(super) is_final: bool,
    /// The newest manifest.
    pub(super) manifest: u64,
    pub(super) w: Option<EventTime>,
    /// Why it cannot be counted again.
    pub(super) unverifiable: Option<Unverifiable>,
    /// None where nothing counts, or where it cannot be counted again.
    pub(super) row: Option<ExpectedRow>,
    /// Names of the columns of `--derive`.
    pub(super) derived: Vec<String>,
    pub(super) sinks: Vec<SinkView>,
    /// Sinks that cannot be read back.
    pub(super) unreadable: Vec<String>,
    pub(super) partitions: Vec<ExplainedPartition>,
    /// By partition and offset.
    pub(super) uncounted: Vec<UncountedRecord>,
    pub(super) more_uncounted: u64,
    /// Dead letters that are not there: whether others of this minute are in them is unknown.
    pub(super) missing_letters: Option<String>,
    /// None: the state has no audit trail.
    pub(super) history: Option<MinuteHistory>,
    /// With the records that count.
    pub(super) records: bool,
    /// Records that were read.
    pub(super) read: u64,
    /// How starts of minutes are written.
    pub(super) minute: String,
}

impl Explanation {
    /// Why not all is well; none where it is.
    pub(super) fn fault(&self) -> Option<String> {
        if let Some(why) = self.unverifiable {
            return Some(format!("{} {}: {}", self.symbol, self.minute, why.reason()));
        }
        if self.is_of_another_log() {
            return Some(format!(
                "{} {}: the log is not the one that was counted: it gives the row otherwise than the newest version of its history",
                self.symbol, self.minute
            ));
        }
        let wrong: Vec<&str> =
            self.sinks.iter().filter(|sink| sink.verdict.is_fault()).map(|sink| sink.name.as_str()).collect();
        (!wrong.is_empty())
            .then(|| format!("{} {}: not as the log gives it in {}", self.symbol, self.minute, wrong.join(", ")))
    }

    /// Is the row otherwise than its newest version was? Said of a minute that is final, or where its history is as of the same manifest.
    pub(super) fn is_of_another_log(&self) -> bool {
        let Some(history) = &self.history else { return false };
        let is_known = self.unverifiable.is_none() && (self.is_final || history.newest == self.manifest);
        let newest = history.versions.last().filter(|_| is_known);
        newest.is_some_and(|newest| {
            let row = self.row.as_ref().map(|expected| &expected.row);
            row.is_none_or(|row| (row.count, row.sum) != (newest.count, newest.sum))
        })
    }

    /// How many events count.
    pub(super) fn count(&self) -> i64 {
        self.partitions.iter().filter_map(|partition| partition.found.span).map(|span| span.count).sum()
    }

    /// Which partition was the last to come to the end of the minute (0), or to where it is final (1), and when that was, by the stamps
    /// that the log gives its records. None while one has not come there, where one passed by evidence or by a record without a stamp:
    /// then no log tells which was the last.
    pub(super) fn last_to_pass(&self, nth: usize) -> Option<(&str, EventTime)> {
        let stamps = self.partitions.iter().map(|partition| match partition.passed[nth] {
            Passing::Record(record) => record.stamp.map(|stamp| (stamp, partition.name.as_str())),
            _ => None,
        });
        let all: Option<Vec<_>> = stamps.collect();
        all?.into_iter().max().map(|(stamp, name)| (name, stamp))
    }
}
