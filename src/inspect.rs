//! `minutely state show|check|rebuild`: what a person learns of a state, on stdout, and how it is begun anew.

use crate::clock::SystemClock;
use crate::config::absent;
use crate::console::say;
use crate::fmt::{duration, file_stamp, utc};
use crate::sinks;
use crate::sources::ISOLATION;
use crate::store::{self, StoreUri};
use minutely_dataflows::checkpoint::{Manifest, PartitionSnapshot, SinkState, WorkerObjects};
use minutely_dataflows::edge::{Discovered, Halt, HaltKind};
use minutely_dataflows::escape::{escaped, escaped_json};
use minutely_dataflows::partition::{Counts, UNKNOWN};
use minutely_dataflows::time::{EventTime, SECOND, WindowStart};
use std::fmt::Write as _;
use std::io::Write as _;

/// A line of what is shown, whatever names are in it.
macro_rules! line {
    ($out:expr, $($words:tt)*) => { writeln!($out, "{}", escaped(&format!($($words)*))) };
}

fn place(state: Option<&StoreUri>) -> Result<&StoreUri, Halt> {
    state.ok_or_else(|| Halt::new(HaltKind::Usage, "--state none: keeps nothing that could be looked at"))
}

fn nothing(place: &StoreUri) -> Halt {
    let looked = place.folder().and_then(|folder| std::path::absolute(folder).ok());
    let looked = looked.map_or_else(|| place.to_string(), |folder| folder.display().to_string());
    let why = format!(
        "state {place}: there is none (looked at {looked}); name the one that is meant by --state, or give the run's own options \
         in the folder that it was started in: a relative --data and --source are below the current one"
    );
    Halt::new(HaltKind::Usage, why)
}

/// A closed pipe is nobody's trouble.
fn print(text: &str) {
    let _nobody_listens = std::io::stdout().write_all(text.as_bytes());
}

/// Shows the newest manifest: for a person, or as JSON.
///
/// # Errors
/// 64: there is none. 65: it is damaged. 69: the store does not answer.
pub(crate) fn show(state: Option<&StoreUri>, json: bool, clock: SystemClock) -> Result<(), Halt> {
    let place = place(state)?;
    let (manifest, written_at) = store::head_with_time(place)?.ok_or_else(|| nothing(place))?;
    if json {
        let text = serde_json::to_string_pretty(&manifest);
        let text = text.map_err(|e| Halt::new(HaltKind::Internal, e.to_string()))?;
        print(&format!("{}\n", escaped_json(&text)));
    } else {
        let age = written_at.map(|seconds| clock.wall().0 - seconds.saturating_mul(SECOND));
        print(&text(place, &manifest, age).map_err(|e| Halt::new(HaltKind::Internal, e.to_string()))?);
    }
    Ok(())
}

/// Reads all of it again, and says what is wrong.
///
/// # Errors
/// As [`show`], and 65 with each damaged file.
pub(crate) fn check(state: Option<&StoreUri>) -> Result<(), Halt> {
    let place = place(state)?;
    let checked = store::check(place)?.ok_or_else(|| nothing(place))?;
    for (file, what) in &checked.damages {
        print(&format!("{}\n", escaped(&format!("damaged: {file}: {what}"))));
    }
    if !checked.damages.is_empty() {
        let why = format!(
            "state {place}: {} of its files are damaged: restore them from a whole copy, or begin anew from the log \
             (minutely state rebuild)",
            checked.damages.len()
        );
        return Err(Halt::new(HaltKind::Data, why));
    }
    let (counted, held, retired) = (checked.head.counted(), checked.held, checked.head.retired);
    let ledger = format!("{counted} counted = {} in windows held + {retired} in windows forgotten", held.records);
    if !checked.balances() {
        let why = format!(
            "state {place}: every file is as it was written, and the ledger does not balance: {ledger}; please report it, \
             and begin anew from the log (minutely state rebuild)"
        );
        return Err(Halt::new(HaltKind::Data, why));
    }
    print(&format!(
        "ok: {} manifests up to {}; {} objects, {} bytes, {} windows of symbols; {ledger}\n",
        checked.manifests, checked.head.seq, checked.objects, checked.bytes, held.keys
    ));
    Ok(())
}

/// Moves the state aside, so that the next run begins anew.
///
/// # Errors
/// 64: there is none. 78: a run owns it.
pub(crate) fn rebuild(state: Option<&StoreUri>, clock: SystemClock) -> Result<(), Halt> {
    let place = place(state)?;
    let aside = store::rebuild(place, &file_stamp(clock.wall()))?;
    say(&format!(
        "the state {place} is now {}, and may be deleted; the next run begins a new chain: it reads the log anew from \
         --start on, sends every row again (sqlite: goes over to the new chain, influxdb: gets the same final rows), and \
         wants the file of a csv: sink moved away first",
        aside.display()
    ));
    Ok(())
}

fn text(place: &StoreUri, manifest: &Manifest, age: Option<i64>) -> Result<String, std::fmt::Error> {
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
    let kafka = manifest.semantics.get("--source").is_some_and(|source| source.starts_with("kafka:"));
    if kafka && !manifest.semantics.contains_key(ISOLATION) {
        line!(out, "  {ISOLATION} {}", absent(ISOLATION))?;
    }
    line!(out, "partitions: {}", manifest.partitions.len())?;
    manifest.partitions.iter().try_for_each(|taken| partition(out, taken))?;
    line!(out, "parts: {}", manifest.parts.len())?;
    manifest.parts.iter().enumerate().try_for_each(|(number, of)| part(out, number, of))?;
    line!(out, "sinks: {}", manifest.sinks.len())?;
    manifest.sinks.iter().try_for_each(|of| sink(out, of))?;
    let SinkState { name, position, .. } = &manifest.dead_letters;
    let letters: u64 = manifest.unstored.iter().map(|(_, object)| object.entries).sum();
    line!(out, "dead letters: {name}, {} bytes; {letters} committed and not stored yet", position.unwrap_or(0))?;
    Ok(text)
}

fn counts(counts: &Counts) -> String {
    let Counts { read, counted, late, rejected, quarantined, gaps } = counts;
    format!(
        "{read} records read = {counted} counted + {late} late + {rejected} rejected + {quarantined} quarantined, {gaps} gaps; \
         {counted} counted"
    )
}

fn partition(out: &mut String, taken: &PartitionSnapshot) -> std::fmt::Result {
    let Some(state) = &taken.state else {
        let Discovered { name, start, .. } = &taken.found;
        return line!(out, "  {name}: from {}, nothing reported yet", start.0);
    };
    let end = taken.found.end.map_or(String::new(), |end| format!(" (recorded end {end})"));
    let known = |mark: &EventTime| *mark != UNKNOWN;
    let (h, floor) = (utc(state.h.filter(known)), utc(state.floor.filter(known)));
    let name = &taken.found.name;
    line!(out, "  {name}: from {} to {}{end}, H {h}, floor {floor}", state.start.0, state.next.0)?;
    let Counts { read, counted, late, rejected, quarantined, gaps } = &state.counts;
    line!(
        out,
        "    {read} read = {counted} counted + {late} late + {rejected} rejected + {quarantined} quarantined; {gaps} gaps"
    )
}

fn part(out: &mut String, number: usize, part: &WorkerObjects) -> std::fmt::Result {
    let (bytes, entries) = part.objects.iter().fold((0, 0), |sum, o| (sum.0 + o.bytes, sum.1 + o.entries));
    let objects = part.objects.len();
    line!(
        out,
        "  {number}: {objects} objects, {bytes} bytes, {entries} entries; holds windows {}",
        from(part.retired_before)
    )?;
    part.objects.iter().try_for_each(|o| line!(out, "    {}: {} bytes, {} entries", o.name, o.bytes, o.entries))
}

fn sink(out: &mut String, sink: &SinkState) -> std::fmt::Result {
    let at = |window: WindowStart| utc(Some(EventTime(window.0)));
    let since = sink.since.map_or(String::new(), |since| format!(" from {} on", at(since)));
    let line = match sink.stored_before {
        Some(line) if sink.since.is_none_or(|since| since < line) => {
            format!("has all windows{since}{} before {}", if since.is_empty() { "" } else { " and" }, at(line))
        }
        _ => format!(
            "has no window for sure, and is to get those{}",
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
        sink.position.map(|position| format!(", {}", sinks::shown_position(&sink.name, position))).unwrap_or_default();
    let chain = sink.chain.map_or(String::new(), |chain| format!(", chain {chain}"));
    line!(out, "  {}: {line}{gaps}{out_since}{position}{chain}", sink.name)
}

/// From which window on.
fn from(line: Option<WindowStart>) -> String {
    line.map_or("of any time".into(), |line| format!("from {} on", utc(Some(EventTime(line.0)))))
}
