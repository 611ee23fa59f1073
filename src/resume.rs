//! What a run goes on from: may it, with these options, and what its first manifest says.

use crate::clock::SystemClock;
use crate::config::{Config, absent};
use crate::console::say;
use crate::fmt::{file_stamp, utc};
use crate::sources::Start;
use crate::store;
use minutely_dataflows::checkpoint::{self, Manifest, PartitionSnapshot, Resumed};
use minutely_dataflows::edge::{Halt, HaltKind, LogSource};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A state belongs to what verdicts and sums depend on.
pub(crate) fn same_semantics(left: &Manifest, config: &Config) -> Result<(), Halt> {
    let names: BTreeSet<_> = left.semantics.keys().chain(config.semantics.keys()).collect();
    fn value<'a>(of: &'a BTreeMap<String, String>, name: &str) -> &'a str {
        of.get(name).map_or(absent(name), String::as_str)
    }
    let differs = |name: &String| {
        let (is, was) = (value(&config.semantics, name), value(&left.semantics, name));
        (is != was).then(|| format!("{name} {is} (it was {was})"))
    };
    let differences: Vec<_> = names.into_iter().filter_map(differs).collect();
    if differences.is_empty() {
        return Ok(());
    }
    let path = config.state.as_ref().map(ToString::to_string).unwrap_or_default();
    let why = format!(
        "the state in {path} was written with other options: {}; what they change would be two answers in one: give the \
         old ones, or begin anew (--job NAME)",
        differences.join(", ")
    );
    Err(Halt::new(HaltKind::Usage, why))
}

/// A window, for people.
pub(crate) fn window(window: WindowStart) -> String {
    utc(Some(EventTime(window.0)))
}

/// A state goes on where it is, whatever `--start` says: said where that is not what the chain began with. Of a state
/// that does not tell, `earliest` is nothing that was asked for.
fn unused_start(head: &Manifest, start: Start) -> Option<String> {
    let (start, began) = (start.to_string(), head.start.clone());
    let unused = match &began {
        Some(began) => *began != start,
        None => start != Start::Earliest.to_string(),
    };
    if !unused || head.partitions.is_empty() {
        return None;
    }
    let began = began.map(|began| format!(", which began with --start {began},")).unwrap_or_default();
    let next = |taken: &PartitionSnapshot| {
        let next = taken.state.as_ref().map_or(taken.found.start, |state| state.next);
        format!("{} at offset {}", taken.found.name, next.0)
    };
    let mut places: Vec<_> = head.partitions.iter().take(3).map(next).collect();
    if head.partitions.len() > places.len() {
        places.push(format!("{} more", head.partitions.len() - places.len()));
    }
    Some(format!(
        "--start {start} is not used: the state{began} goes on where it was read to ({}); to begin there, begin anew \
         (--job NAME)",
        places.join(", ")
    ))
}

/// Publishes the manifest that this run goes on from. `run_start`: the instant of a bounded run.
pub(crate) fn begin(
    opened: &store::OwnedStore,
    config: &Config,
    source: &dyn LogSource,
    names: &[String],
    letters: &Path,
    run_start: EventTime,
    clock: SystemClock,
) -> Result<Manifest, Halt> {
    let head = match &opened.head {
        Some(head) => {
            same_semantics(head, config)?;
            head.clone()
        }
        None => Manifest::fresh(config.semantics.clone()),
    };
    let recalled = source.probe(&checkpoint::probe_targets(&head))?;
    let Resumed { head: changed, warnings } = checkpoint::resume(head.clone(), &recalled, config.accept_changed_log)?;
    if head.seq > 0 {
        say(&format!("goes on where manifest {} left: {} records read before", head.seq, read(&head)));
    }
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(warning) = unused_start(&head, config.start) {
        tracing::warn!("{warning}");
    }
    let run = format!("{}-{}", std::process::id(), clock.wall().0);
    let of_run = head.sinks_of_run(names, &config.forget_sinks, window)?;
    of_run.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut next = opened.restarted(|| Manifest::fresh(config.semantics.clone()), &run);
    (next.partitions, next.overrides, next.sinks) = (changed.partitions, changed.overrides, of_run.sinks);
    next.start.get_or_insert_with(|| config.start.to_string());
    if next.partitions.is_empty() && config.start != Start::Earliest {
        // What this run begins with is where the next goes on, however early this one ends.
        let taken = |found| PartitionSnapshot { found, state: None, floor: None, complete_from: None };
        next.partitions = source.initial_partitions().into_iter().map(taken).collect();
        next.instant = config.settings.bounded.then_some(run_start);
    }
    if next.dead_letters.name.is_empty() {
        let whole = std::path::absolute(letters).unwrap_or_else(|_| letters.to_owned());
        next.dead_letters.name = whole.to_string_lossy().into_owned();
    }
    opened.begin(&next)?;
    Ok(next)
}

/// How many records were read, as of a manifest.
pub(crate) fn read(manifest: &Manifest) -> i64 {
    manifest.partitions.iter().filter_map(|p| Some(p.state.as_ref()?.counts.read)).sum()
}

/// Where a state's dead letters are: in the job's folder, whatever folder the program was started in then, and wherever the
/// job's folder is now. A name of a state leads nowhere else.
///
/// # Errors
/// 64: they were written into another folder.
pub(crate) fn letters_of(folder: &Path, left: &checkpoint::SinkState, now: EventTime) -> Result<PathBuf, Halt> {
    let recorded = Path::new(&left.name);
    let Some(name) = recorded.file_name() else { return Ok(fresh_letters(folder, now)) };
    let ours = folder.join(name);
    if ours.exists() || left.position.unwrap_or(0) == 0 {
        return Ok(ours);
    }
    let why = format!(
        "dead letters of this state are in {}, and this run's folder is {}: give --data and --job as before, or move the file \
         there",
        recorded.display(),
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display()
    );
    Err(Halt::new(HaltKind::Usage, why))
}

/// A path for this run's dead letters that nothing has yet.
pub(crate) fn fresh_letters(folder: &Path, now: EventTime) -> PathBuf {
    let stamp = file_stamp(now);
    let path = |n: u32| match n {
        1 => folder.join(format!("dead-letters-{stamp}.jsonl")),
        n => folder.join(format!("dead-letters-{stamp}-{n}.jsonl")),
    };
    (1..).map(path).find(|path| !path.exists()).expect("one of so many is free")
}
