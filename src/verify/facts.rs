//! What the state says of the minutes that are to be verified: where each partition is to be read from, what is final, which records
//! are exceptions (R10), and what cannot be verified any more.

use super::error::VerifyError;
use crate::config::Config;
use crate::dead_letter_files::{DeadLetterFiles, KnownLetters, MissingLetters};
use crate::dead_letter_line::{DeadLetterLine, EvidenceLine};
use crate::store::{self, IndexedState};
use crate::text::event_time;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::digest::MinuteDigest;
use minutely_dataflows::edge::{Halt, LogProbe};
use minutely_dataflows::oracle::{Exceptions, OraclePartition};
use minutely_dataflows::partition::{BUCKET, IndexEntry, Rule};
use minutely_dataflows::record::{Evidence, PartitionName, Reason};
use minutely_dataflows::time::{EventTime, NextOffset, WindowStart};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::{Range, RangeInclusive};
use std::path::Path;

/// A partition of the state.
pub(crate) struct IndexedPartition {
    pub(crate) name: PartitionName,
    /// Where it was read from first, and up to where.
    pub(crate) start: NextOffset,
    pub(crate) next: NextOffset,
    /// By bucket.
    pub(crate) entries: BTreeMap<i64, IndexEntry>,
    /// Buckets before this have no entries.
    pub(crate) since: Option<i64>,
    /// The first offset that the log still has.
    pub(crate) first: NextOffset,
    pub(crate) exceptions: Exceptions,
}

/// Lines of dead letters between two looks whether the reading is to go on.
const LINES: u64 = 10_000;

/// See the module.
pub(crate) struct StateFacts {
    pub(crate) rule: Rule,
    pub(crate) partitions: Vec<IndexedPartition>,
    /// Windows from here on are not final.
    pub(crate) final_before: WindowStart,
    /// Events that an id or a filter may keep from counting: a partition can be judged from its beginning alone.
    pub(crate) needs_beginning: bool,
}

impl StateFacts {
    /// Of a state and of what the log says of its partitions. `exceptions`: those in the files of dead letters.
    pub(super) fn of(
        state: &IndexedState,
        probes: &[Option<LogProbe>],
        rule: Rule,
        has_ids: bool,
        mut exceptions: NamedExceptions,
    ) -> Self {
        for (name, more) in OraclePartition::exceptions(&state.unstored) {
            exceptions.entry(name).or_default().extend(more);
        }
        let mut partitions = Vec::new();
        for ((index, snapshot), probe) in state.head.partitions.iter().enumerate().zip(probes) {
            let Some(of_reader) = &snapshot.state else { continue };
            let entries = state.index.entries.iter().filter(|entry| entry.partition == index);
            let noted = of_reader.noted.as_ref();
            // (A state of an earlier version has noted nothing.)
            let all = of_reader.h.map(|h| h.0.div_euclid(BUCKET) + 1);
            partitions.push(IndexedPartition {
                name: snapshot.found.name.clone(),
                start: of_reader.start,
                next: of_reader.next,
                entries: entries.map(|entry| (entry.bucket, *entry)).collect(),
                since: noted.map_or(all, |noted| noted.since),
                // (Of a log whose beginning cannot change nothing is said.)
                first: probe.as_ref().and_then(|probe| probe.first).unwrap_or(NextOffset(0)),
                exceptions: exceptions.remove(&snapshot.found.name).unwrap_or_default(),
            });
        }
        let final_before = state.head.marks.w.map_or(WindowStart::MIN, |w| rule.windowing.first_not_final(Some(w)));
        let needs_beginning = has_ids || rule.cleaning.is_some_and(|cleaning| cleaning.outlier.is_some());
        StateFacts { rule, partitions, final_before, needs_beginning }
    }

    /// The buckets in which a record counted, as far as the index knows.
    pub(super) fn buckets(&self) -> BTreeSet<i64> {
        self.partitions.iter().flat_map(|partition| partition.entries.keys().copied()).collect()
    }

    /// Is there nothing before these minutes that counted, and is all that is there verifiable?
    pub(super) fn begins_with(&self, window: WindowStart) -> bool {
        let buckets = self.buckets();
        // (Windows need not begin where buckets do.)
        let length = self.rule.windowing.length;
        let first = |bucket: &i64| (bucket * BUCKET + length - 1).div_euclid(length) * length;
        let is_first = buckets.first().is_none_or(|bucket| window.0 <= first(bucket));
        let is_known = self.partitions.iter().all(|partition| partition.since.is_none());
        is_first && is_known && buckets.iter().all(|bucket| self.unverifiable(*bucket).is_none())
    }

    /// The first bucket of which the index knows all; none where that is the first of all.
    pub(super) fn since(&self) -> Option<i64> {
        self.partitions.iter().filter_map(|partition| partition.since).max()
    }

    /// Those of these buckets in which a record counted that the log does not have any more.
    pub(super) fn deleted(&self, buckets: RangeInclusive<i64>) -> BTreeSet<i64> {
        let entries = self.partitions.iter().flat_map(|partition| partition.entries.range(buckets.clone()));
        let buckets = entries.map(|(bucket, _)| *bucket);
        buckets.filter(|bucket| self.unverifiable(*bucket) == Some(Unverifiable::Deleted)).collect()
    }

    /// Can the minutes of this bucket be counted again? Else why not.
    pub(crate) fn unverifiable(&self, bucket: i64) -> Option<Unverifiable> {
        let mut why = None;
        for partition in &self.partitions {
            if Some(bucket) < partition.since {
                return Some(Unverifiable::NotIndexed);
            }
            let from = match partition.entries.get(&bucket) {
                Some(_) if self.needs_beginning => partition.start,
                Some(entry) => NextOffset(entry.offset),
                None => continue,
            };
            if from < partition.first {
                why = Some(Unverifiable::Deleted);
            }
        }
        why
    }

    /// Where a partition is to be read from so that all that counts for these buckets is read, and what H is there. None: nothing
    /// counts for them.
    pub(crate) fn begin(
        &self,
        partition: &IndexedPartition,
        buckets: Range<i64>,
    ) -> Option<(NextOffset, Option<EventTime>)> {
        let there = partition.entries.range(buckets).map(|(_, entry)| entry);
        let there = there.filter(|entry| self.unverifiable(entry.bucket).is_none());
        let first = there.min_by_key(|entry| entry.offset)?;
        Some(if self.needs_beginning { (partition.start, None) } else { (NextOffset(first.offset), first.h) })
    }
}

/// Why the minutes of a bucket cannot be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unverifiable {
    /// An earlier version read them, or a log that has changed since.
    NotIndexed,
    /// The log does not have all of their records any more.
    Deleted,
}

impl Unverifiable {
    /// For people.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Unverifiable::NotIndexed => {
                "not in the index of the state: an earlier version read them, or a log that has changed since"
            }
            Unverifiable::Deleted => "no longer verifiable: the log does not have their records any more",
        }
    }
}

/// By partition.
pub(super) type NamedExceptions = BTreeMap<PartitionName, Exceptions>;

/// The exceptions in the dead letters of a state, and what is not there of these. `watch` is asked now and then.
///
/// # Errors
/// 65: the newest file is cut, or one is broken. 69: it cannot be read. What `watch` says.
pub(super) fn exceptions(
    head: &Manifest,
    folder: &Path,
    watch: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<(NamedExceptions, Option<MissingLetters>), Halt> {
    let mut all = NamedExceptions::new();
    let Some(files) = DeadLetterFiles::of(head, folder) else { return Ok((all, None)) };
    // Committed so far; what a run that goes on writes behind it is of no record that is looked at.
    let committed = files.committed(head.dead_letters.position.unwrap_or(0)).map_err(VerifyError::from)?;
    committed.files.iter().try_for_each(|file| add_exceptions(file, &mut all, watch))?;
    Ok((all, committed.missing))
}

/// Those of one file.
fn add_exceptions(
    KnownLetters { path, bytes }: &KnownLetters,
    all: &mut NamedExceptions,
    watch: &mut dyn FnMut() -> Result<(), Halt>,
) -> Result<(), Halt> {
    let unreadable = |source| VerifyError::NoDeadLetters { path: path.clone(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(1 << 20, file.take(*bytes));
    let (mut line, mut number) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        number += 1;
        if number % LINES == 0 {
            watch()?;
        }
        // (Lines without anything in them may stand for what was lost: an earlier version told how to put them there.)
        let broken = || VerifyError::NoDeadLetter { path: path.clone(), line: number };
        let text = line.trim_ascii();
        let is_object = text.starts_with(b"{") && text.ends_with(b"}");
        if !text.is_empty() && !is_object {
            return Err(broken().into());
        }
        let may_be =
            ["\"floor\"", "\"clock\""].iter().any(|word| memchr::memmem::find(&line, word.as_bytes()).is_some());
        if may_be {
            let letter: DeadLetterLine<'_> = serde_json::from_slice(&line).map_err(|_| broken())?;
            if let Some(evidence) = evidence(&letter) {
                let (name, at, reason) = place(&letter).ok_or_else(broken)?;
                let evidence = evidence.ok_or_else(broken)?;
                all.entry(name).or_default().insert(at, (reason, evidence));
            }
        }
        line.clear();
    }
    Ok(())
}

/// What a record was judged by, if that is a floor or a clock; none within where it is no time.
fn evidence(letter: &DeadLetterLine<'_>) -> Option<Option<Evidence>> {
    match letter.evidence.as_ref()? {
        EvidenceLine::Floor(at) => Some(event_time(at).map(Evidence::Floor)),
        EvidenceLine::Clock(at) => Some(event_time(at).map(Evidence::Clock)),
        _ => None,
    }
}

/// Its partition, its place in it, and why it does not count.
fn place(letter: &DeadLetterLine<'_>) -> Option<(PartitionName, (i64, Option<u32>), Reason)> {
    let place = &letter.place;
    let reasons = [Reason::Late, Reason::Future, Reason::Past];
    let reason = reasons.into_iter().find(|reason| reason.name() == place.reason)?;
    let log = place.topic.as_ref().or(place.path.as_ref())?.to_string();
    Some((PartitionName { log, number: place.partition }, (place.offset, place.element), reason))
}

/// Reads the state of these options. `held`: with what it still holds of final minutes.
///
/// # Errors
/// 64: there is none, or it is of other options.
pub(super) fn state(config: &Config, held: bool) -> Result<IndexedState, Halt> {
    let place = config.state.as_ref().ok_or(VerifyError::NoneKept)?;
    let held = held.then(|| (config.settings.rule.windowing, config.decoder.scales()));
    let state = store::indexed(place, held)?.ok_or_else(|| VerifyError::Missing { place: place.to_string() })?;
    let differences = config.semantics.differences(&state.head.semantics);
    if !differences.is_empty() {
        let differences = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(VerifyError::OtherOptions { place: place.to_string(), differences }.into());
    }
    Ok(state)
}

/// Is there a state of these options?
///
/// # Errors
/// As [`state`].
pub(crate) fn has_state(config: &Config) -> Result<(), Halt> {
    state(config, false).map(drop)
}

/// Windows before this are forgotten by every worker; none where there are none.
pub(super) fn forgotten_before(state: &IndexedState) -> Option<WindowStart> {
    state.head.parts.iter().map(|part| part.retired_before).min().flatten()
}

/// The digests of minutes that every worker has forgotten: of others, rows may be lacking.
pub(super) fn digests(state: &IndexedState) -> BTreeMap<WindowStart, MinuteDigest> {
    let retired_before = forgotten_before(state);
    let whole = state.index.digests.iter().filter(|(window, _)| Some(**window) < retired_before);
    whole.map(|(window, digest)| (*window, *digest)).collect()
}

/// The same, and what the other final minutes come to: what some workers have forgotten of them, and what is held.
pub(super) fn digests_of_final(state: &IndexedState, before: WindowStart) -> BTreeMap<WindowStart, MinuteDigest> {
    let mut all = state.index.digests.clone();
    let _later = all.split_off(&before);
    for (window, digest) in &state.held {
        all.entry(*window).or_default().add(*digest);
    }
    all
}
