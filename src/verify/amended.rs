//! What was found of amended rows. They are compared by who makes them, which stands on this room: see [`CompareAmended`].

use super::log::OpenLog;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::fmt::number_of;
use crate::text::MinuteText;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::WindowStart;
use serde_json::{Value, json};
use std::ops::Range;

/// Findings of a sink that are kept, for JSON.
const MOST_FINDINGS: usize = 1000;
/// Those that are shown to a person.
const MOST_SHOWN: usize = 20;

/// Compares the amended rows of these minutes, sink by sink.
pub(crate) type CompareAmended =
    fn((&Config, &OpenLog), &[Range<WindowStart>], SystemClock) -> Result<Vec<AmendedTally>, Halt>;

/// What an amended row is beside what the log and its letters give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AmendedFault {
    Different,
    /// None of its letters adds to it.
    Extra,
    /// Its minute, or one of its letters, is not in the log any more: nothing is known of it.
    Gone,
}

/// A row that is not equal.
#[derive(Clone, Debug)]
pub(crate) struct AmendedFinding {
    pub(crate) minute: WindowStart,
    pub(crate) symbol: String,
    pub(crate) fault: AmendedFault,
    /// In words.
    pub(crate) what: String,
}

/// What came of one sink.
#[derive(Clone, Debug, Default)]
pub(crate) struct AmendedTally {
    pub(super) name: String,
    pub(crate) equal: u64,
    different: u64,
    extra: u64,
    gone: u64,
    findings: Vec<AmendedFinding>,
    /// Why its amended rows cannot be compared, in words.
    pub(crate) unreadable: Option<String>,
}

impl AmendedTally {
    /// Of a sink of this name, with no rows yet.
    pub(crate) fn new(name: String) -> Self {
        AmendedTally { name, ..AmendedTally::default() }
    }

    /// A row that is not equal.
    pub(crate) fn add(&mut self, finding: AmendedFinding) {
        match finding.fault {
            AmendedFault::Different => self.different += 1,
            AmendedFault::Extra => self.extra += 1,
            AmendedFault::Gone => self.gone += 1,
        }
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// It has amended rows, or it is not known whether it has.
    pub(super) fn is_there(&self) -> bool {
        self.equal + self.different + self.extra + self.gone > 0 || self.unreadable.is_some()
    }

    pub(super) fn faults(&self) -> u64 {
        self.different + self.extra + u64::from(self.unreadable.is_some())
    }

    /// Rows of which nothing is known any more.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// How many rows are what, for metrics.
    pub(super) fn counts(&self) -> [(&'static str, u64); 4] {
        [("equal", self.equal), ("different", self.different), ("extra", self.extra), ("unverifiable", self.gone)]
    }

    /// For a person.
    pub(super) fn lines(&self, minute: &mut MinuteText) -> Vec<String> {
        let AmendedTally { name, equal, different, extra, gone, findings, unreadable } = self;
        if let Some(why) = unreadable {
            return vec![format!("{name}, amended: not compared: {why}")];
        }
        let more = if *gone > 0 { format!(", {gone} no longer verifiable") } else { String::new() };
        let mut lines = vec![format!("{name}, amended: {equal} equal, {different} different, {extra} extra{more}")];
        for AmendedFinding { minute: at, symbol, what, .. } in findings.iter().take(MOST_SHOWN) {
            lines.push(format!("  {} {symbol}: {what}", minute.of(*at)));
        }
        let all = different + extra + gone;
        let shown = findings.len().min(MOST_SHOWN) as u64;
        if all > shown {
            lines.push(format!("  and {} (--json lists a thousand)", number_of(all - shown, "more row")));
        }
        lines
    }

    /// For a program.
    pub(super) fn object(&self, at: &mut dyn FnMut(WindowStart) -> String) -> Value {
        let mut findings = Vec::new();
        for AmendedFinding { minute, symbol, fault, what } in &self.findings {
            let fault = match fault {
                AmendedFault::Different => "different",
                AmendedFault::Extra => "extra",
                AmendedFault::Gone => "unverifiable",
            };
            findings.push(json!({ "minute": at(*minute), "symbol": symbol, "what": fault, "why": what }));
        }
        let AmendedTally { name, equal, different, extra, gone, unreadable, .. } = self;
        json!({
            "sink": name, "equal": equal, "different": different, "extra": extra, "unverifiable": gone,
            "not_compared": unreadable, "findings": findings,
        })
    }
}
