//! From an input to a target: paced, stamped, counted, as far as the limit.

use super::input::{InputProgress, InputRecord, InputTurn, RecordInput};
use super::pace::Pace;
use super::stamps::{Guard, Said};
use super::target::{OutputRecord, RecordTarget};
use crate::bar;
use crate::cli::Stamp;
use crate::clock::SystemClock;
use crate::console::{say, warn};
use crate::fmt::utc;
use crate::messages;
use minutely_dataflows::edge::{Halt, HaltKind, ReadProgress};
use minutely_dataflows::time::EventTime;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Records of one partition before it is the next one's turn: small, so that partitions stay abreast of one another.
const TURN: usize = 256;
/// How long an input that has nothing at present is left alone.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two status lines.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at how far the input was read.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// How many records.
    pub(super) produced: u64,
    /// The greatest event time among them.
    pub(super) newest: Option<EventTime>,
    /// How many have neither an event time nor a stamp of the input.
    pub(super) untimed: u64,
    /// How many were left out.
    pub(super) skipped: u64,
}

/// What is to be written of an input, and how.
pub(super) struct CopyOptions {
    /// Records to write at most.
    pub(super) limit: Option<u64>,
    pub(super) pace: Pace,
    pub(super) stamp: Stamp,
    pub(super) clock: SystemClock,
    /// Set by a signal.
    pub(super) stop: Arc<AtomicBool>,
}

/// Copies until the input ends, the limit is reached, or `stop` is set.
///
/// # Errors
/// When the input cannot be read on, or the target does not take a record.
pub(super) fn copy(
    options: CopyOptions,
    input: &mut dyn RecordInput,
    target: &dyn RecordTarget,
) -> Result<Copied, Halt> {
    let mut copier = Copier::new(options, target);
    let mut view = CopyView::new(Instant::now());
    while !copier.is_done() {
        let max = TURN.min(copier.options.pace.most_in_a_row());
        let mut halted = None;
        let turn = input.turn(max, &mut |record| match copier.take(record) {
            Ok(flow) => flow,
            Err(halt) => {
                halted = Some(halt);
                ControlFlow::Break(())
            }
        });
        halted.map_or(Ok(()), Err)?;
        let InputTurn { read, skipped } = turn?;
        copier.copied.skipped += skipped;
        target.check()?;
        if read == 0 {
            if input.ended() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        view.show(&copier.copied, copier.options.limit, input);
    }
    Ok(copier.copied)
}

/// What copies records, one at a time.
struct Copier<'t> {
    options: CopyOptions,
    target: &'t dyn RecordTarget,
    guard: Guard,
    began: Instant,
    copied: Copied,
}

impl<'t> Copier<'t> {
    fn new(options: CopyOptions, target: &'t dyn RecordTarget) -> Self {
        let guard = Guard::new(target.topic().to_owned(), options.stamp, target.retention());
        Copier { options, target, guard, began: Instant::now(), copied: Copied::default() }
    }

    fn is_stopped(&self) -> bool {
        self.options.stop.load(Ordering::Acquire)
    }

    fn is_done(&self) -> bool {
        self.is_stopped() || self.options.limit.is_some_and(|limit| self.copied.produced >= limit)
    }

    /// Writes a record when it is due.
    ///
    /// # Errors
    /// When the target does not take it, or would not keep it.
    fn take(&mut self, record: &InputRecord<'_>) -> Result<ControlFlow<()>, Halt> {
        if self.is_done() {
            return Ok(ControlFlow::Break(()));
        }
        let stop = Arc::clone(&self.options.stop);
        self.options.pace.wait(record.time, self.began, || !stop.load(Ordering::Acquire));
        let now = self.options.clock.wall();
        let given = record.stamp.or(record.time);
        let stamp = match self.options.stamp {
            Stamp::Broker => None,
            Stamp::Now => Some(now),
            Stamp::Safe | Stamp::Event => Some(given.unwrap_or(now)),
        };
        match stamp.map_or(Said::Fine, |stamp| self.guard.judge(stamp, now)) {
            Said::Fine => {}
            Said::Warning(why) => warn(&why),
            Said::Refusal(why) => return Err(Halt::new(HaltKind::Usage, why)),
        }
        let InputRecord { partition, key, payload, headers, .. } = *record;
        self.target.send(&OutputRecord { partition, key, payload, headers, stamp }, &stop)?;
        self.copied.newest = self.copied.newest.max(record.time);
        self.copied.untimed += u64::from(given.is_none());
        self.copied.produced += 1;
        Ok(ControlFlow::Continue(()))
    }
}

/// What a person sees meanwhile: a status line a second, and a bar on a terminal where the end is known.
struct CopyView {
    shows_bar: bool,
    /// When the last line was printed, and how many records had been written.
    printed: (Instant, u64),
    drawn: Instant,
}

impl CopyView {
    fn new(now: Instant) -> Self {
        CopyView { shows_bar: messages::shows_bar(), printed: (now, 0), drawn: now }
    }

    fn show(&mut self, copied: &Copied, limit: Option<u64>, input: &dyn RecordInput) {
        let now = Instant::now();
        if self.shows_bar && now - self.drawn >= BAR_EVERY {
            self.drawn = now;
            match progress(copied.produced, limit, input.progress()) {
                Some(InputProgress::Bytes(bytes)) => bar::show_bytes(bytes),
                Some(InputProgress::Records(records)) => bar::show_records(records),
                None => {}
            }
        }
        let (last, before) = self.printed;
        if now - last < LINE_EVERY {
            return;
        }
        self.printed = (now, copied.produced);
        let millis = (now - last).as_millis().max(1);
        let rate = u128::from(copied.produced - before) * 1000 / millis;
        bar::show_rate(i128::try_from(rate).unwrap_or(i128::MAX));
        if messages::shows_progress() {
            say(&format!("{} records produced, {rate}/s, up to {}", copied.produced, utc(copied.newest)));
        }
    }
}

impl Drop for CopyView {
    fn drop(&mut self) {
        bar::remove();
    }
}

/// How far the copy is: by the limit where there is one, as the input is not read to its end then.
fn progress(produced: u64, limit: Option<u64>, of_input: Option<InputProgress>) -> Option<InputProgress> {
    match limit {
        Some(total) => Some(InputProgress::Records(ReadProgress { done: produced, total })),
        None => of_input,
    }
}

#[cfg(test)]
mod tests;
