//! What is amended, for a person and for a program.

use super::error::AmendError;
use super::place::LetterPlace;
use super::rows::BuiltRow;
use crate::fmt::number_of;
use crate::text::{MinuteText, decimal_text};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::escape::{escaped, escaped_json, shortened};
use minutely_dataflows::time::Windowing;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows that are shown to a person, and to a program.
const MOST_SHOWN: usize = 20;
const MOST_LISTED: usize = 1000;
/// Kinds of letters that are left out which are told apart.
const MOST_KINDS: usize = 100;

/// Letters that are left out for one reason.
#[derive(Clone, Debug, Default)]
struct LeftOut {
    count: u64,
    first: String,
    is_trouble: bool,
}

/// What came of one sink.
#[derive(Clone, Debug, Default)]
pub(super) struct SinkChanges {
    pub(super) name: String,
    pub(super) new: u64,
    pub(super) changed: u64,
    pub(super) same: u64,
    /// Rows of symbols that it cannot hold.
    pub(super) unfit: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct AmendReport {
    /// Late letters that were given, each once, and those of them that are in rows.
    pub(super) letters: u64,
    amending: u64,
    /// Letters that these rows have beside those that were given.
    beside: u64,
    /// Of those in rows: letters of minutes that are no longer verifiable, which every sink's row names already.
    listed: u64,
    /// Other dead letters, and late ones of minutes that were not asked for.
    pub(super) others: u64,
    pub(super) unasked: u64,
    rows: Vec<BuiltRow>,
    pub(super) sinks: Vec<SinkChanges>,
    /// Sinks that have no amended rows.
    pub(super) without: Vec<String>,
    left_out: BTreeMap<String, LeftOut>,
    /// The run's own letters were read, and not all are there.
    pub(super) lacks_letters: bool,
    /// Which dead letters are not there, and what that means for sums that are counted again.
    pub(super) doubt: Option<String>,
    pub(super) written: bool,
    /// Columns of --derive that amended rows do not have.
    lacks_derived: bool,
}

impl AmendReport {
    /// Of nothing yet. `lacks_derived`: final rows have columns of --derive.
    pub(super) fn new(lacks_derived: bool) -> Self {
        AmendReport { lacks_derived, ..AmendReport::default() }
    }

    /// A letter, by where it stands, is in no row. `is_trouble`: somebody is to look at it.
    pub(super) fn leave_out(&mut self, first: &str, why: &str, is_trouble: bool) {
        let known = self.left_out.contains_key(why) || self.left_out.len() < MOST_KINDS;
        let kind = if known { why } else { "for other reasons" };
        let of = self
            .left_out
            .entry(kind.to_owned())
            .or_insert_with(|| LeftOut { first: first.to_owned(), ..LeftOut::default() });
        (of.count, of.is_trouble) = (of.count + 1, of.is_trouble | is_trouble);
    }

    /// The same of one that has a place.
    pub(super) fn leave_out_at(&mut self, place: &LetterPlace, why: &str, is_trouble: bool) {
        self.leave_out(&place.to_string(), why, is_trouble);
    }

    /// A row. `beside`: how many of its letters were not given now.
    pub(super) fn add_row(&mut self, built: BuiltRow, beside: u64) {
        self.amending += built.amended.letter_count.unsigned_abs() - beside;
        self.beside += beside;
        self.rows.push(built);
    }

    /// So many letters are in rows that are left as they are.
    pub(super) fn add_listed(&mut self, letters: u64) {
        (self.amending, self.listed) = (self.amending + letters, self.listed + letters);
    }

    /// What is done, behind a semicolon, where nobody can read the report.
    pub(crate) fn done(&self) -> &'static str {
        let due = self.sinks.iter().any(|sink| sink.new + sink.changed > 0);
        if due && self.written { "; the amended rows are written" } else { "; no amended row was written" }
    }

    /// For a person.
    pub(crate) fn text(&self, windowing: Windowing) -> String {
        let mut out = String::new();
        let mut line = |text: &str| writeln!(out, "{}", escaped(text)).expect("a string takes it");
        let read = number_of(self.letters, "late letter");
        let (amending, rows) = (self.amending - self.listed, number_of(self.rows.len() as u64, "row"));
        let beside =
            if self.beside > 0 { format!(", beside {} that they have already", self.beside) } else { String::new() };
        let more =
            if self.others > 0 { format!("; {} of other reasons are passed over", self.others) } else { String::new() };
        line(&format!("{read}: {amending} of them in {rows}{beside}{more}"));
        if self.listed > 0 {
            line(&format!("{} are in rows already whose minutes are no longer verifiable", self.listed));
        }
        if self.unasked > 0 {
            line(&format!("{} are of minutes that were not asked for", self.unasked));
        }
        for sink in &self.sinks {
            let verb = if self.written { "were written" } else { "are to be written" };
            let SinkChanges { name, new, changed, same, unfit } = sink;
            let unfit = if *unfit > 0 { format!(", {unfit} of symbols that it cannot hold") } else { String::new() };
            line(&format!(
                "{name}: {} {verb} ({new} new, {changed} changed), {same} are there as they should be{unfit}",
                new + changed
            ));
        }
        self.without.iter().for_each(|name| line(&format!("{name}: has no amended rows")));
        let mut minute = MinuteText::new(windowing);
        for BuiltRow { amended, before } in self.rows.iter().take(MOST_SHOWN) {
            let (row, letters) = (&amended.row, shortened(&amended.letters));
            line(&format!(
                "  {} {} count {before} -> {}, sum {}, avg {} with {letters}",
                minute.of(row.minute),
                row.symbol,
                row.count,
                decimal_text(&row.sum),
                decimal_text(&row.avg),
            ));
        }
        if self.rows.len() > MOST_SHOWN {
            line(&format!("  and {} more rows", self.rows.len() - MOST_SHOWN));
        }
        for (why, LeftOut { count, first, .. }) in &self.left_out {
            line(&format!("left out: {}, first {first}: {why}", number_of(*count, "letter")));
        }
        self.doubt.iter().for_each(|doubt| line(doubt));
        if self.lacks_letters {
            line("late letters in them are not amended here: name their files by --from-dead-letters");
        }
        if self.lacks_derived && !self.rows.is_empty() {
            line("amended rows have no columns of --derive");
        }
        let due = self.sinks.iter().any(|sink| sink.new + sink.changed > 0);
        if due && !self.written {
            line("nothing is written yet: add --yes");
        }
        out
    }

    /// For a program: one object.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn json(&self, windowing: Windowing) -> Result<String, Halt> {
        let text = serde_json::to_string_pretty(&self.object(windowing)).map_err(AmendError::NotJson)?;
        Ok(format!("{}\n", escaped_json(&text)))
    }

    /// The same, to stand in another.
    pub(crate) fn object(&self, windowing: Windowing) -> Value {
        let mut minute = MinuteText::new(windowing);
        let rows = self.rows.iter().take(MOST_LISTED).map(|BuiltRow { amended, before }| {
            let row = &amended.row;
            json!({
                "minute": minute.of(row.minute), "symbol": row.symbol, "count_before": before, "count": row.count,
                "sum": row.sum.to_string(), "avg": row.avg, "letter_count": amended.letter_count, "letters": amended.letters,
            })
        });
        let rows: Vec<Value> = rows.collect();
        let sink = |sink: &SinkChanges| json!({"sink": sink.name, "new": sink.new, "changed": sink.changed, "same": sink.same, "cannot_hold": sink.unfit});
        let left_out = self.left_out.iter().map(
            |(why, of)| json!({"why": why, "count": of.count, "first": of.first, "to_be_looked_at": of.is_trouble}),
        );
        json!({
            "written": self.written,
            "letters": self.letters,
            "amending": self.amending,
            "in_rows_beside": self.beside,
            "other_letters": self.others,
            "letters_not_asked_for": self.unasked,
            "row_count": self.rows.len(),
            "rows": rows,
            "sinks": self.sinks.iter().map(sink).collect::<Vec<_>>(),
            "sinks_without_amended_rows": self.without,
            "left_out": left_out.collect::<Vec<_>>(),
            "dead_letters_not_there": self.doubt,
        })
    }

    /// # Errors
    /// Letters are left out that somebody is to look at.
    pub(crate) fn verdict(&self) -> Result<(), Halt> {
        let left_out: u64 = self.left_out.values().filter(|of| of.is_trouble).map(|of| of.count).sum();
        if left_out == 0 {
            return Ok(());
        }
        let why = format!("{} cannot be amended, as printed above", number_of(left_out, "letter"));
        Err(AmendError::LeftOut(why).into())
    }
}
