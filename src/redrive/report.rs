//! What a redrive comes to, for a person and for a program.

use super::correct::CorrectedLetter;
use super::error::RedriveError;
use super::plan::RedriveTarget;
use crate::fmt::number_of;
use crate::text::{MinuteText, rfc3339};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::FieldNames;
use minutely_dataflows::escape::{escaped, escaped_json};
use minutely_dataflows::time::{WindowStart, Windowing};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Letters that are shown field by field, minutes that are listed, and kinds of letters that still do not count.
const MOST_FIELDS: usize = 10;
const MOST_MINUTES: usize = 20;
const MOST_KINDS: usize = 100;

/// Where the minute of a corrected record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MinuteLife {
    /// A record of the topic would count.
    Open,
    /// It would count as a straggler.
    Closed,
    /// It would be late for its own partition.
    Late,
    Final,
}

impl MinuteLife {
    pub(super) fn name(self) -> &'static str {
        match self {
            MinuteLife::Open => "open",
            MinuteLife::Closed => "closed",
            MinuteLife::Late => "late",
            MinuteLife::Final => "final",
        }
    }

    /// Would a record that is written to the topic count?
    pub(super) fn counts(self) -> bool {
        matches!(self, MinuteLife::Open | MinuteLife::Closed)
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct RedriveReport {
    /// Rejected letters that were read, and others.
    pub(super) letters: u64,
    pub(super) others: u64,
    /// Those that are read now, by minute.
    pub(super) minutes: BTreeMap<(WindowStart, MinuteLife), u64>,
    /// The first of them.
    first: Vec<String>,
    /// Letters that are not redriven, by why: how many, and the first.
    left_out: BTreeMap<String, (u64, String)>,
    /// Of other redrives: in the topic, or in amended rows of every sink.
    pub(super) done_before: u64,
    pub(super) amended_before: u64,
    pub(super) written: Option<u64>,
}

impl RedriveReport {
    /// A letter that still does not count.
    pub(super) fn leave_out(&mut self, at: &str, why: &str, payload: &str) {
        let known = self.left_out.contains_key(why) || self.left_out.len() < MOST_KINDS;
        let kind = if known { why } else { "other reasons" };
        let first = if payload.is_empty() { at.to_owned() } else { format!("{at}: {payload}") };
        self.left_out.entry(kind.to_owned()).or_insert((0, first)).0 += 1;
    }

    /// A letter that would.
    pub(super) fn add(
        &mut self,
        letter: &CorrectedLetter,
        (window, life): (WindowStart, MinuteLife),
        (fields, scales): (&FieldNames, Scales),
    ) {
        *self.minutes.entry((window, life)).or_default() += 1;
        if self.first.len() < MOST_FIELDS {
            self.first.push(format!("{}: {} -> {}", letter.place, shown(fields, scales, letter), life.name()));
        }
    }

    fn read_now(&self) -> u64 {
        self.minutes.values().sum()
    }

    fn by_life(&self) -> BTreeMap<MinuteLife, u64> {
        let mut all = BTreeMap::new();
        self.minutes.iter().for_each(|((_, life), count)| *all.entry(*life).or_default() += count);
        all
    }

    /// For a person.
    pub(super) fn text(&self, windowing: Windowing, target: Option<RedriveTarget>) -> String {
        let mut out = String::new();
        let mut line = |text: &str| writeln!(out, "{}", escaped(text)).expect("a string takes it");
        let others =
            if self.others > 0 { format!("; {} of other reasons are passed over", self.others) } else { String::new() };
        line(&format!("{}: {} can be read now{others}", number_of(self.letters, "rejected letter"), self.read_now()));
        let by_life = self.by_life().into_iter().map(|(life, count)| format!("{count} of {} minutes", life.name()));
        let by_life = by_life.collect::<Vec<_>>().join(", ");
        if !by_life.is_empty() {
            line(&format!(
                "they are {by_life}: in the topic those of open and closed ones count, --amend adds those of final ones"
            ));
        }
        self.first.iter().for_each(|first| line(&format!("  {first}")));
        let mut minute = MinuteText::new(windowing);
        for ((window, life), count) in self.minutes.iter().take(MOST_MINUTES) {
            line(&format!("  minute {} ({}): {}", minute.of(*window), life.name(), number_of(*count, "letter")));
        }
        if self.minutes.len() > MOST_MINUTES {
            line(&format!("  and {} more minutes", self.minutes.len() - MOST_MINUTES));
        }
        for (why, (count, first)) in &self.left_out {
            line(&format!("still not: {}, first {first}: {why}", number_of(*count, "letter")));
        }
        if self.done_before > 0 {
            line(&format!("{} were redriven before", self.done_before));
        }
        if self.amended_before > 0 {
            line(&format!("{} are in amended rows", self.amended_before));
        }
        match (self.written, target) {
            (Some(written), _) => line(&format!("{} to the topic", number_of(written, "corrected record"))),
            (None, None) if self.read_now() > 0 => line("nothing is written yet: add --yes and --to-topic or --amend"),
            _ => {}
        }
        out
    }

    /// For a program: one object. `amended`: what came of rows, where they are amended.
    pub(super) fn json(&self, windowing: Windowing, amended: Option<Value>) -> Result<String, RedriveError> {
        let mut minute = MinuteText::new(windowing);
        let minutes: Vec<_> = self
            .minutes
            .iter()
            .map(|((window, life), count)| json!({"minute": minute.of(*window), "is": life.name(), "letters": count}))
            .collect();
        let left_out =
            self.left_out.iter().map(|(why, (count, first))| json!({"why": why, "count": count, "first": first}));
        let by_life: BTreeMap<&str, u64> =
            self.by_life().into_iter().map(|(life, count)| (life.name(), count)).collect();
        let report = json!({
            "letters": self.letters,
            "other_letters": self.others,
            "can_be_read": self.read_now(),
            "would_count": self.by_life().iter().filter(|(life, _)| life.counts()).map(|(_, count)| count).sum::<u64>(),
            "by_minute": by_life,
            "minutes": minutes,
            "first": self.first,
            "still_not": left_out.collect::<Vec<_>>(),
            "redriven_before": self.done_before,
            "amended_before": self.amended_before,
            "written": self.written,
            "amended": amended,
        });
        Ok(format!("{}\n", escaped_json(&serde_json::to_string_pretty(&report)?)))
    }

    /// # Errors
    /// Some letters still do not count.
    pub(super) fn verdict(&self) -> Result<(), RedriveError> {
        let left_out: u64 = self.left_out.values().map(|(count, _)| count).sum();
        if left_out == 0 {
            return Ok(());
        }
        Err(RedriveError::LeftOut(format!("{} cannot be redriven, as printed above", number_of(left_out, "letter"))))
    }
}

/// An event, field by field.
fn shown(fields: &FieldNames, scales: Scales, letter: &CorrectedLetter) -> String {
    let event = &letter.event;
    let weight = match (&event.weight, &fields.weight) {
        (Some(weight), Some(field)) => format!(" · {field} = {} (weight)", weight.with_decimals(scales.weight)),
        (None, Some(field)) if event.weight_beyond => format!(" · {field} is beyond the range (weight)"),
        _ => String::new(),
    };
    format!(
        "{} = {} (symbol) · {} = {} (value) · {} = {} (time){weight}",
        fields.symbol.join("/"),
        event.symbol,
        fields.value,
        event.value.with_decimals(scales.value),
        fields.time.join(" "),
        rfc3339(event.time, 9),
    )
}
