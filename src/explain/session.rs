//! One explanation, from the state to what is told.

use super::account::PartitionFindings;
use super::dead_letters::{self, MinuteLetters};
use super::error::ExplainError;
use super::explanation::{ExplainedPartition, Explanation};
use super::history;
use super::in_sinks::{self, MinuteFacts};
use super::passing::Passing;
use super::plan::{ExplainPlan, instant};
use super::reading::{MinuteReading, ReadWatch, WorkWatch};
use super::row;
use super::symbols::KnownSymbols;
use super::uncounted::{MOST_UNCOUNTED, UncountedRecord};
use super::wanted::WantedMinute;
use super::{json, text};
use crate::bar;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::print;
use crate::text::MinuteText;
use crate::verify::{OpenLog, VerifyError, open_sinks};
use minutely_dataflows::edge::{Halt, ReadProgress};
use minutely_dataflows::partition::{BUCKET, PartitionState};
use minutely_dataflows::row::RowKind;
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeMap;

/// Explains a minute, and prints it.
///
/// # Errors
/// 64: the options are not those of a state, or the symbol is not known. 65: a sink does not have the log's row, or the minute cannot be
/// verified. 69: log, state or a sink cannot be reached.
pub(crate) fn explain(mut config: Config, plan: &ExplainPlan, clock: SystemClock) -> Result<(), Halt> {
    let mut show = |now| {
        bar::show_records(now);
        Ok(())
    };
    let explained = answer(&mut config, plan, clock, &mut show);
    bar::remove();
    let explained = explained?;
    let text = if plan.json { json::of(&explained) } else { text::of(&explained) };
    print(&text).map_err(VerifyError::Unwritten)?;
    explained.fault().map_or(Ok(()), |why| Err(ExplainError::NotWell(why).into()))
}

/// Explains a minute. `watch` is told how much of the log was read, and may end all of it.
///
/// # Errors
/// As [`explain`], and what `watch` says; a sink that differs is none.
pub(crate) fn answer(
    config: &mut Config,
    plan: &ExplainPlan,
    clock: SystemClock,
    watch: &mut ReadWatch<'_>,
) -> Result<Explanation, ExplainError> {
    let before = ReadProgress { done: 0, total: 0 };
    let log = OpenLog::open_watched(config, clock, &mut || watch(before))?;
    let (mut sinks, unreadable) = open_sinks(config, &log, clock)?;
    sinks.retain(|sink| sink.kind == RowKind::Minute);
    let windowing = log.facts.rule.windowing;
    let readers = log.head.partitions.iter().filter_map(|partition| partition.state.as_ref());
    let newest = readers.clone().filter_map(|reader| reader.h).max();
    let time = instant(plan.time, newest).ok_or_else(|| ExplainError::NoDay { text: plan.time.to_string() })?;
    let window = windowing.window_of(time);
    let back_to = WindowStart(window.0.saturating_sub(config.settings.look_back()));
    let wanted = WantedMinute { symbol: &plan.symbol, window, back_to, windowing, records: plan.records };
    let state = log.head.marks.state(&log.facts.rule, window);
    let unverifiable = log.facts.unverifiable(window.0.div_euclid(BUCKET));
    let mut reading = MinuteReading::of(&log, &config.decoder, &wanted, watch)?;
    let (scales, read) = (config.decoder.scales(), ReadProgress { done: reading.records, total: reading.records });
    let watch: &mut WorkWatch<'_> = &mut || watch(read);
    let row = row::of_minute(&log, &wanted, &reading, (state, scales));
    let letters = dead_letters::of_minute(&log, &config.folder, (&wanted, scales.value), watch)?;
    let (expected, final_before) = (row.as_ref(), log.facts.final_before);
    let facts = MinuteFacts { wanted: &wanted, expected, state, unverifiable, final_before };
    let views = sinks.iter_mut().map(|sink| in_sinks::look(sink, &facts, watch)).collect::<Result<Vec<_>, _>>()?;
    let is_known = row.is_some() || !letters.kept.is_empty() || views.iter().any(|view| !view.cells.is_empty());
    let minute = MinuteText::new(windowing).of(window).to_owned();
    if !is_known && !reading.symbols.is_there() {
        let known = &mut reading.symbols;
        sinks.iter_mut().try_for_each(|sink| in_sinks::add_symbols(sink, window, known, watch))?;
        unless_unknown(&reading.symbols, &plan.symbol, &minute)?;
    }
    let missing_letters = letters.missing.as_ref().map(ToString::to_string);
    let (uncounted, more_uncounted) = uncounted(&mut reading.partitions, letters);
    let partitions = log.facts.partitions.iter().zip(readers).zip(reading.partitions);
    let partitions = partitions.map(|((partition, reader), found)| {
        let passing = |nth: usize| Passing::of(wanted.ends()[nth], partition, reader, found.passed[nth]);
        let passed = [passing(0), passing(1)];
        let (name, next, is_idle) = (partition.name.to_string(), partition.next, is_idle(reader));
        ExplainedPartition { name, next, passed, is_idle, found }
    });
    Ok(Explanation {
        symbol: plan.symbol.clone(),
        ends: wanted.ends(),
        state: log.head.marks.w.map(|_| state),
        is_final: window < final_before,
        manifest: log.head.seq,
        w: log.head.marks.w,
        unverifiable,
        derived: config.settings.derive.columns().collect(),
        sinks: views,
        unreadable,
        partitions: partitions.collect(),
        uncounted,
        more_uncounted,
        missing_letters,
        history: history::of_minute(config.state.as_ref(), (&wanted, scales.value), watch)?,
        records: plan.records,
        read: reading.records,
        minute,
        row,
    })
}

/// It is silent and at its end, and its floor is what its watermark is.
fn is_idle(reader: &PartitionState) -> bool {
    reader.caught_up && reader.floor > reader.h
}

fn unless_unknown(known: &KnownSymbols, symbol: &str, minute: &str) -> Result<(), ExplainError> {
    if known.is_there() {
        return Ok(());
    }
    let near = known.nearest();
    let near = if near.is_empty() { String::new() } else { format!("; there are {}", near.join(", ")) };
    Err(ExplainError::UnknownSymbol { symbol: symbol.to_owned(), minute: minute.to_owned(), near })
}

/// The records that do not count: those that were found in the log, and those of the dead letters which were not. And how many more there
/// are, at least: most are in both.
fn uncounted(partitions: &mut [PartitionFindings], letters: MinuteLetters) -> (Vec<UncountedRecord>, u64) {
    let kept: usize = partitions.iter().map(|found| found.uncounted.len()).sum();
    let in_log = kept as u64 + partitions.iter().map(|found| found.more_uncounted).sum::<u64>();
    let in_letters = letters.kept.len() as u64 + letters.more;
    let of_log = partitions.iter_mut().flat_map(|found| std::mem::take(&mut found.uncounted));
    let mut all = BTreeMap::new();
    for one in of_log.chain(letters.kept) {
        let (partition, offset, element) = one.place();
        all.entry((partition.to_owned(), offset, element)).or_insert(one);
    }
    let all_of_them = in_log.max(in_letters).max(all.len() as u64);
    let told: Vec<_> = all.into_values().take(MOST_UNCOUNTED).collect();
    let more = all_of_them - told.len() as u64;
    (told, more)
}
