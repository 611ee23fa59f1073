//! `minutely state show|check|rebuild`: shows a state to people on stdout, verifies it, and moves it aside.

use crate::clock::SystemClock;
use crate::console::say;
use crate::fmt::{became, duration, file_stamp, first_equation, number_of, rounded, utc};
use crate::semantics::{ISOLATION, SOURCE, absent};
use crate::store::{self, StoreUri};
use minutely_dataflows::checkpoint::{Manifest, PartitionSnapshot, SinkState, TrailStart, WorkerObjects};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind};
use minutely_dataflows::escape::{escaped, escaped_json};
use minutely_dataflows::explain;
use minutely_dataflows::partition::{Counts, UNKNOWN};
use minutely_dataflows::time::{EventTime, SECOND, WindowStart};
use std::fmt::Write as _;
use std::io::Write as _;

/// One line of output, with foreign text in it escaped.
macro_rules! line {
    ($out:expr, $($words:tt)*) => { writeln!($out, "{}", escaped(&format!($($words)*))) };
}

/// Why a state cannot be shown, or is not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error("--state none keeps no state: there is none to look at")]
    NoneKept,
    /// `looked`: the folder as an absolute path.
    #[error(
        "state {place}: there is none (looked at {looked}); name it by --state, or give the run's own options in the folder that \
         the run was started in: a relative --data or --source is below the current folder"
    )]
    Missing { place: String, looked: String },
    #[error("{0}")]
    NotWritten(#[from] std::fmt::Error),
    #[error("{0}")]
    NotJson(#[from] serde_json::Error),
    #[error(
        "state {place}: {files} of its files are damaged: restore them from a whole copy, or start over from the log (minutely \
         state rebuild)"
    )]
    Damaged { place: String, files: usize },
    #[error(
        "state {place}: every file is as it was written, and the ledger does not balance: {ledger}; please report it, and \
         start over from the log (minutely state rebuild)"
    )]
    Unbalanced { place: String, ledger: String },
}

impl From<InspectError> for Halt {
    fn from(e: InspectError) -> Self {
        let kind = match e {
            InspectError::NoneKept | InspectError::Missing { .. } => HaltKind::Usage,
            InspectError::NotWritten(_) | InspectError::NotJson(_) => HaltKind::Internal,
            InspectError::Damaged { .. } | InspectError::Unbalanced { .. } => HaltKind::Data,
        };
        Halt::new(kind, e.to_string())
    }
}

/// A sink's position in the state, in words, by the sink's name.
pub(crate) type PositionText = fn(&str, u64) -> String;

fn place(state: Option<&StoreUri>) -> Result<&StoreUri, InspectError> {
    state.ok_or(InspectError::NoneKept)
}

fn nothing(place: &StoreUri) -> InspectError {
    let looked = place.folder().and_then(|folder| std::path::absolute(folder).ok());
    let looked = looked.map_or_else(|| place.to_string(), |folder| folder.display().to_string());
    InspectError::Missing { place: place.to_string(), looked }
}

/// A closed pipe is no error.
fn print(text: &str) {
    let _closed = std::io::stdout().write_all(text.as_bytes());
}

/// Shows the newest manifest: for a person, or as JSON.
///
/// # Errors
/// 64: there is none. 65: it is damaged. 69: the store does not answer.
pub(crate) fn show(
    state: Option<&StoreUri>,
    json: bool,
    clock: SystemClock,
    position_text: PositionText,
) -> Result<(), Halt> {
    let place = place(state)?;
    let (manifest, written_at) = store::head_with_time(place)?.ok_or_else(|| nothing(place))?;
    if json {
        let text = serde_json::to_string_pretty(&manifest).map_err(InspectError::from)?;
        print(&format!("{}\n", escaped_json(&text)));
    } else {
        let age = written_at.map(|seconds| clock.wall().0 - seconds.saturating_mul(SECOND));
        print(&text(place, &manifest, age, position_text).map_err(InspectError::from)?);
    }
    Ok(())
}

/// Reads and verifies every manifest and object of the state.
///
/// # Errors
/// As [`show`], and 65: files are damaged, each of which is printed, or the ledger does not balance.
pub(crate) fn check(state: Option<&StoreUri>) -> Result<(), Halt> {
    let place = place(state)?;
    let checked = store::check(place)?.ok_or_else(|| nothing(place))?;
    for (file, what) in &checked.damages {
        print(&format!("{}\n", escaped(&format!("damaged: {file}: {what}"))));
    }
    if !checked.damages.is_empty() {
        return Err(InspectError::Damaged { place: place.to_string(), files: checked.damages.len() }.into());
    }
    let (all, held, retired) = (checked.head.counted(), checked.held, checked.head.retired);
    let ledger = format!("{all} counted = {} in windows held + {retired} in windows forgotten", held.records);
    if !checked.balances() {
        return Err(InspectError::Unbalanced { place: place.to_string(), ledger }.into());
    }
    print(&format!(
        "ok: {} up to {}; {}, {}, {} of symbols; {ledger}\n",
        number_of(checked.manifests, "manifest"),
        checked.head.seq,
        number_of(checked.objects, "object"),
        number_of(checked.bytes, "byte"),
        number_of(held.keys, "window")
    ));
    Ok(())
}

/// Moves the state aside, so that the next run starts over from the log.
///
/// # Errors
/// 64: there is none. 78: a run owns it.
pub(crate) fn rebuild(state: Option<&StoreUri>, clock: SystemClock) -> Result<(), Halt> {
    let place = place(state)?;
    let aside = store::rebuild(place, &file_stamp(clock.wall()))?;
    say(&format!(
        "the state {place} was moved to {aside}, which may be deleted; the next run begins a new chain: it reads the log from \
         --start and sends every row again (sqlite: switches to the new chain, influxdb: gets the same final rows); move the \
         file of a csv: sink away before that"
    ));
    Ok(())
}

fn text(
    place: &StoreUri,
    manifest: &Manifest,
    age: Option<i64>,
    position_text: PositionText,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    line!(out, "state {place}")?;
    let age = age.map_or(String::new(), |age| format!(", published {} ago", duration(age.max(0))));
    line!(out, "manifest {}{age}, by run {} of generation {}", manifest.seq, manifest.run, manifest.generation)?;
    let end = if manifest.finished { "; all ends were reached" } else { "" };
    let instant = manifest.instant.map_or(String::new(), |at| format!("; as of {}", utc(Some(at))));
    line!(out, "cut at epoch {}: W {}{instant}{end}", manifest.epoch, utc(manifest.marks.w))?;
    let mut sum = Counts::default();
    manifest.partitions.iter().filter_map(|p| p.state.as_ref()).for_each(|state| sum.add(&state.counts));
    let held = sum.counted - manifest.retired;
    line!(out, "ledger: {} = {held} in windows held + {} in windows forgotten", counts(&sum), manifest.retired)?;
    line!(out, "options:")?;
    manifest.semantics.iter().try_for_each(|(name, value)| line!(out, "  {name} {value}"))?;
    let kafka = manifest.semantics.get(SOURCE).is_some_and(|source| source.starts_with("kafka:"));
    if kafka && !manifest.semantics.contains_key(ISOLATION) {
        line!(out, "  {ISOLATION} {}", absent(ISOLATION))?;
    }
    line!(out, "partitions: {}", manifest.partitions.len())?;
    manifest.partitions.iter().try_for_each(|snapshot| partition(out, snapshot))?;
    line!(out, "parts: {}", manifest.parts.len())?;
    manifest.parts.iter().enumerate().try_for_each(|(number, of)| part(out, number, of))?;
    audit_trail(out, manifest)?;
    line!(out, "sinks: {}", manifest.sinks.len())?;
    manifest.sinks.iter().try_for_each(|of| sink(out, of, position_text))?;
    let SinkState { name, position, .. } = &manifest.dead_letters;
    let unstored: u64 = manifest.unstored.iter().map(|(_, object)| object.entries).sum();
    line!(
        out,
        "dead letters: {name}, {} bytes in it and the files after it; {unstored} committed and not stored yet",
        position.unwrap_or(0)
    )?;
    Ok(text)
}

fn counts(counts: &Counts) -> String {
    let (equation, gaps) = (first_equation(counts), number_of(counts.gaps, "gap"));
    format!("{equation}{}, {gaps}; {} counted", others(counts), counts.counted)
}

/// Counts that are part of others: rounded ones of those that count, of the quarantined those in the past, and the cleaned by
/// reason.
fn others(counts: &Counts) -> String {
    let past = if counts.past == 0 { String::new() } else { format!(", {} past", counts.past) };
    let cleaned = explain::cleaned(counts).into_iter().filter(|(_, count)| *count > 0);
    let cleaned: String = cleaned.map(|(reason, count)| format!(", {count} {}", reason.name())).collect();
    format!("{}{past}{cleaned}", rounded(counts))
}

fn partition(out: &mut String, snapshot: &PartitionSnapshot) -> std::fmt::Result {
    let Some(state) = &snapshot.state else {
        let Discovered { name, start, .. } = &snapshot.found;
        return line!(out, "  {name}: from {}, nothing reported yet", start.0);
    };
    let end = snapshot.found.end.map_or(String::new(), |end| format!(" (recorded end {end})"));
    let known = |mark: &EventTime| *mark != UNKNOWN;
    let (h, floor) = (utc(state.h.filter(known)), utc(state.floor.filter(known)));
    let name = &snapshot.found.name;
    line!(out, "  {name}: from {} to {}{end}, H {h}, floor {floor}", state.start.0, state.next.0)?;
    let (counts, gaps) = (&state.counts, number_of(state.counts.gaps, "gap"));
    line!(out, "    {} read{}{}; {gaps}", counts.read, became(counts), others(counts))
}

fn part(out: &mut String, number: usize, part: &WorkerObjects) -> std::fmt::Result {
    let (bytes, entries) = part.objects.iter().fold((0, 0), |sum, o| (sum.0 + o.bytes, sum.1 + o.entries));
    let objects = part.objects.len();
    line!(
        out,
        "  {number}: {}, {}, {}; holds windows {}",
        number_of(objects, "object"),
        number_of(bytes, "byte"),
        entries_of(entries),
        from(part.retired_before)
    )?;
    part.objects
        .iter()
        .try_for_each(|o| line!(out, "    {}: {}, {}", o.name, number_of(o.bytes, "byte"), entries_of(o.entries)))?;
    part.ids
        .iter()
        .try_for_each(|o| line!(out, "    {}: {}, {}", o.name, number_of(o.bytes, "byte"), number_of(o.entries, "id")))
}

fn audit_trail(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let Some(TrailStart { seq, at }) = manifest.trail_start() else { return line!(out, "audit trail: none is kept") };
    let objects = || manifest.parts.iter().filter_map(|part| part.trail.as_ref()).flat_map(|trail| &trail.objects);
    let (bytes, deltas) =
        (objects().map(|of| of.object.bytes).sum::<u64>(), manifest.trail().count() - objects().count());
    line!(
        out,
        "audit trail: from manifest {seq} of {} on, {}, {}, {} that it has yet to take over",
        utc(Some(at)),
        number_of(objects().count(), "object"),
        number_of(bytes, "byte"),
        number_of(deltas, "delta")
    )
}

fn sink(out: &mut String, sink: &SinkState, position_text: PositionText) -> std::fmt::Result {
    let at = |window: WindowStart| utc(Some(EventTime(window.0)));
    let since = sink.since.map_or(String::new(), |since| format!(" from {} on", at(since)));
    let line = match sink.stored_before {
        Some(line) if sink.since.is_none_or(|since| since < line) => {
            format!("has all windows{since}{} before {}", if since.is_empty() { "" } else { " and" }, at(line))
        }
        _ => format!(
            "is not known to have any window, and gets those{}",
            if since.is_empty() { " of any time" } else { &since }
        ),
    };
    let gaps = sink.missing.iter().map(|(from, to)| format!(", but lacks those from {} to {}", at(*from), at(*to)));
    let gaps: String = gaps.collect();
    let out_since = sink.left_out.map_or(String::new(), |from| match from {
        WindowStart::MIN => "; left out by the newest run: lacks all that it forgets".into(),
        from => format!("; left out by the newest run: lacks what it forgets from {} on", at(from)),
    });
    let position =
        sink.position.map(|position| format!(", {}", position_text(&sink.name, position))).unwrap_or_default();
    let chain = sink.chain.map_or(String::new(), |chain| format!(", chain {chain}"));
    line!(out, "  {}: {line}{gaps}{out_since}{position}{chain}", sink.name)
}

fn entries_of(entries: u64) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}

/// From which window on, for people.
fn from(line: Option<WindowStart>) -> String {
    line.map_or("of any time".into(), |line| format!("from {} on", utc(Some(EventTime(line.0)))))
}
