//! `--sink-from earliest`: before the run goes on with them, sinks that lack windows which the state has forgotten are given what the log
//! still has of them, counted again as `minutely verify` does.
//!
//! ```text
//!   state ── since, missing ──> windows that a sink lacks ──> verify: rows by the log ──> the sink's own port ──> manifest: filled
//! ```
//!
//! A run that is killed meanwhile begins again: the state says what is lacking until all of it is stored. While it fills, it publishes the
//! same manifest again now and then where there is no lock, so that others see that the state has an owner.

use super::check::window_text;
use super::context::RunContext;
use super::error::StartError;
use super::own::OwnedState;
use crate::bar;
use crate::config::Config;
use crate::console::say;
use crate::sinks::{self, OpenSink};
use crate::verify::{AskedMinutes, LogRows, LogSlice, LogStep, OpenLog};
use minutely_dataflows::checkpoint::SinkState;
use minutely_dataflows::edge::{Halt, HaltKind, RowBatch};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{State, WindowStart};
use std::time::{Duration, Instant};

/// Rows of a batch, at most.
const BATCH: usize = 5_000;
/// Between two offers to a sink whose queue is full.
const PAUSE: Duration = Duration::from_millis(2);

/// Lets others see that the state has an owner.
type Stays<'a> = &'a mut dyn FnMut() -> Result<(), Halt>;

/// A sink that is filled.
struct FilledSink<'a> {
    name: String,
    sink: &'a mut OpenSink,
    /// Windows that it lacks, from and to.
    lacks: Vec<(WindowStart, WindowStart)>,
    rows: u64,
    /// Of these: without some columns of `--derive`, which the log does not give.
    without: u64,
    /// The first and the last window that it was given.
    given: Option<(WindowStart, WindowStart)>,
    /// How long it may take nothing.
    timeout: Duration,
}

impl RunContext {
    /// Can a sink be given what it lacks? What was printed is not printed again.
    pub(super) fn can_fill(&self, name: &str) -> bool {
        let config = &self.config;
        let uri = config.sinks.iter().find(|uri| config.names_of(uri).iter().any(|one| one == name));
        uri.is_some_and(|uri| matches!(sinks::ability(uri), Ok(Some(_))))
    }
}

/// Fills the sinks of a run, which are in the order of [`RunContext::sink_names`], and publishes what they lack by then.
///
/// # Errors
/// 65: the log is not the state's, or its index does not reach back. 69: log or sink cannot be reached.
pub(super) fn fill_sinks(context: &mut RunContext, state: &mut OwnedState, sinks: &mut [OpenSink]) -> Result<(), Halt> {
    let timeout = Duration::from_nanos(context.config.settings.sink_timeout.unsigned_abs());
    let mut filled = Vec::new();
    for (name, sink) in context.sink_names.iter().zip(sinks) {
        let lacks = state.head.sink(name).map(SinkState::lacks).unwrap_or_default();
        if !lacks.is_empty() && context.can_fill(name) {
            let name = name.clone();
            filled.push(FilledSink { name, sink, lacks, rows: 0, without: 0, given: None, timeout });
        }
    }
    if filled.is_empty() {
        return Ok(());
    }
    let (seq, mut published) = (state.head.seq, Instant::now());
    let mut stays = || state.store.stays(&mut state.head, &mut published);
    let bounded = context.config.settings.bounded;
    let log = OpenLog::open_watched(&mut context.config, context.clock, &mut stays);
    context.config.settings.bounded = bounded;
    let log = log?;
    log.doubt().iter().for_each(|doubt| tracing::warn!("{doubt}"));
    is_indexed(&log, &filled)?;
    let outcome = fill_from((&context.config, &log), (&mut filled, seq), &mut stays);
    bar::remove();
    outcome?;
    let mut stored = Vec::new();
    for sink in &mut filled {
        stored.push((sink.name.clone(), sink.stored(&mut stays)?, sink.sink.chain));
    }
    let from = log.verifiable_from();
    state.head = state.store.publish(&state.head, |next| {
        for (name, position, chain) in stored {
            for sink in next.sinks.iter_mut().filter(|sink| sink.name == name) {
                (sink.position, sink.chain) = (position.or(sink.position), chain);
                sink.filled_from(from);
            }
        }
    })?;
    filled.iter().for_each(FilledSink::tell);
    for FilledSink { name, .. } in &filled {
        for (from, to) in state.head.sink(name).map(SinkState::lacks).unwrap_or_default() {
            let begin = if from == WindowStart::MIN { String::new() } else { format!("from {} ", window_text(from)) };
            let (to, why) = (window_text(to), "which the log does not have whole any more");
            tracing::warn!("sink {name}: lacks windows {begin}before {to}, {why}");
        }
    }
    Ok(())
}

/// Refuses a sink that lacks windows of which the index knows nothing, so that none of them can be found in the log.
fn is_indexed(log: &OpenLog, filled: &[FilledSink<'_>]) -> Result<(), StartError> {
    let Some(indexed) = log.indexed_from() else { return Ok(()) };
    let unknown = |sink: &&FilledSink<'_>| sink.lacks.iter().all(|(_, to)| *to < indexed);
    let refused = filled.iter().find(unknown);
    let from = window_text(indexed);
    refused.map_or(Ok(()), |sink| Err(StartError::NotIndexed { sink: sink.name.clone(), from }))
}

/// Hands over all rows that are lacking. `stays`: lets others see that the state has an owner.
fn fill_from(
    (config, log): (&Config, &OpenLog),
    (sinks, seq): (&mut [FilledSink<'_>], u64),
    stays: Stays<'_>,
) -> Result<(), Halt> {
    // (Nothing that is final may be in the log any more.)
    let mut range = log.minutes(AskedMinutes::default(), None).unwrap_or(WindowStart(0)..WindowStart(0));
    let last = sinks.iter().flat_map(|sink| &sink.lacks).map(|(_, to)| *to).max();
    range.end = last.map_or(range.end, |last| last.min(range.end));
    if range.start < range.end {
        LogRows::each_slice((config, log), range, |step| {
            stays()?;
            let LogStep::Slice(slice) = step else { return Ok(()) };
            let (_, wrong) = slice.digests((config, log), slice.minutes.clone());
            if let Some(minute) = wrong.first().map(|digest| window_text(digest.minute)) {
                return Err(StartError::AnotherLog { minute }.into());
            }
            sinks.iter_mut().try_for_each(|sink| sink.slice(log, &slice, (seq, &mut *stays)))
        })?;
    }
    let last = || RowBatch { round: 0, seq, rows: Vec::new(), last: true };
    sinks.iter_mut().try_for_each(|sink| sink.offer(last(), stays))
}

impl FilledSink<'_> {
    fn slice(&mut self, log: &OpenLog, slice: &LogSlice<'_>, (seq, stays): (u64, Stays<'_>)) -> Result<(), Halt> {
        let mut rows: Vec<Row> = Vec::new();
        let all = slice.rows.iter().flat_map(|of| of.rows.iter().map(|((start, _), row)| (of.kind, start, row)));
        for (kind, window, expected) in all {
            // (What a sink has of a coarser window goes by its last minute.)
            let last = WindowStart(log.window(kind, *window).end.0 - 1);
            let is_lacking = self.lacks.iter().any(|(from, to)| *from <= last && last < *to);
            if !is_lacking || (expected.row.state == State::Partial && !self.sink.takes.partial) {
                continue;
            }
            self.rows += 1;
            self.without += u64::from(expected.known.contains(&false));
            self.given = Some((self.given.map_or(*window, |(first, _)| first), *window));
            rows.push(expected.row.clone());
            if rows.len() >= BATCH {
                self.offer(RowBatch { round: 0, seq, rows: std::mem::take(&mut rows), last: false }, stays)?;
            }
        }
        if rows.is_empty() { Ok(()) } else { self.offer(RowBatch { round: 0, seq, rows, last: false }, stays) }
    }

    /// Hands a batch over once the sink has room.
    fn offer(&mut self, mut batch: RowBatch, stays: Stays<'_>) -> Result<(), Halt> {
        let began = Instant::now();
        while let Err(back) = self.sink.port.offer(batch) {
            self.sink.port.stored()?;
            self.wait(began, stays)?;
            batch = back;
        }
        Ok(())
    }

    /// Returns once all is stored. The position, if the place has one.
    fn stored(&mut self, stays: Stays<'_>) -> Result<Option<u64>, Halt> {
        let began = Instant::now();
        loop {
            if let Some(stored) = self.sink.port.stored()? {
                return Ok(stored.position);
            }
            self.wait(began, stays)?;
        }
    }

    fn wait(&self, began: Instant, stays: Stays<'_>) -> Result<(), Halt> {
        stays()?;
        if began.elapsed() > self.timeout {
            let why = self.sink.health.complaint().unwrap_or_else(|| format!("sink {}: takes nothing", self.name));
            let (seconds, again) = (self.timeout.as_secs(), "it is filled again by the next run");
            return Err(Halt::new(HaltKind::Unreachable, format!("{why}; given up after {seconds} s, {again}")));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }

    fn tell(&self) {
        let FilledSink { name, rows, without, given, .. } = self;
        let of = given.map(|(first, last)| format!(" of {} to {}", window_text(first), window_text(last)));
        let without = match without {
            0 => String::new(),
            count => format!(
                ", {count} of them without columns that are made of minutes which the log does not have any more"
            ),
        };
        say(&format!("sink {name}: filled with {rows} rows{} from the log{without}", of.unwrap_or_default()));
    }
}
