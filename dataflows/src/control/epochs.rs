//! Epochs: when one ends, and whether it is a cut.
//!
//! An epoch ends a twentieth of a second after its first record, at once when a reader is full, and after a second without
//! records. A cut is due once the checkpoint interval is over, earlier where the run is about to end, dead letters take too
//! much memory, or windows do. An epoch that is due for a cut does not end while too many cuts are under way: so their memory has a bound.

use super::cuts::MAX_CUTS_IN_FLIGHT;
use crate::frontier::Frontier;
use crate::time::{Epoch, Monotonic, SECOND};

/// An epoch lasts at most that long once something was read, in nanoseconds.
const EPOCH: i64 = SECOND / 20;
/// An epoch in which nothing was read lasts that long, in nanoseconds.
const IDLE_EPOCH: i64 = SECOND;
/// Epochs past the probe on Windows: the batcher rescans what it may not seal yet, so a run ahead would be quadratic.
const MAX_EPOCHS_IN_FLIGHT: u64 = 4;
/// A cut is due when dead letters that are not committed have that many bytes. So their memory has a bound: with two cuts
/// in flight no epoch ends, and readers stop when they are full.
const MAX_DEAD_LETTER_BYTES: usize = 16 << 20;

/// The epoch in progress.
#[derive(Debug)]
pub(super) struct Epochs {
    current: Epoch,
    began: Monotonic,
    /// When its first record was read.
    first: Option<Monotonic>,
    /// A reader has a full table.
    full: bool,
    /// When the last epoch ended that was a cut.
    cut_at: Monotonic,
    /// Nanoseconds between cuts.
    checkpoint_interval: i64,
}

/// What decides whether an epoch ends, beside time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pressure {
    /// Its end is waited for: the run is about to end, say, or a partition was admitted.
    pub(super) urgent: bool,
    /// Epochs that the arrangement of windows holds whole.
    pub(super) sealed: Frontier,
    /// Bytes of dead letters that are not committed yet.
    pub(super) dead_letter_bytes: usize,
    /// Workers hold as much as they may: final windows are to be forgotten soon, or that there are too many told.
    pub(super) memory_is_full: bool,
    /// Cuts that are not committed yet.
    pub(super) cuts_in_flight: usize,
}

/// An epoch that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpochEnd {
    pub(super) epoch: Epoch,
    pub(super) is_cut: bool,
}

impl Epochs {
    pub(super) fn new(first: Epoch, checkpoint_interval: i64, now: Monotonic) -> Self {
        Epochs { current: first, began: now, first: None, full: false, cut_at: now, checkpoint_interval }
    }

    /// The epoch in progress: those before it have ended.
    pub(super) fn current(&self) -> Epoch {
        self.current
    }

    /// What readers say of the epoch in progress.
    pub(super) fn note(&mut self, first: bool, full: bool, now: Monotonic) {
        if first {
            self.first.get_or_insert(now);
        }
        self.full |= full;
    }

    /// How long an epoch lasts once something was read, in nanoseconds.
    fn length(&self) -> i64 {
        EPOCH.min(self.checkpoint_interval)
    }

    /// Ends the epoch in progress, if it is over and there is room for another.
    pub(super) fn end(&mut self, pressure: Pressure, now: Monotonic) -> Option<EpochEnd> {
        let Pressure { urgent, sealed, dead_letter_bytes, memory_is_full, cuts_in_flight } = pressure;
        let length = self.length();
        let old = now.0 - self.began.0;
        let over = self.full
            || self.first.is_some_and(|first| now.0 - first.0 >= length)
            || old >= IDLE_EPOCH
            || (urgent && old >= length / 10);
        if !over || sealed.open_before(self.current) > MAX_EPOCHS_IN_FLIGHT {
            return None;
        }
        let heavy = dead_letter_bytes >= MAX_DEAD_LETTER_BYTES || memory_is_full;
        let is_cut = now.0 - self.cut_at.0 >= self.checkpoint_interval || urgent || heavy;
        if is_cut && cuts_in_flight >= MAX_CUTS_IN_FLIGHT {
            return None;
        }
        if is_cut {
            self.cut_at = now;
        }
        let ended = EpochEnd { epoch: self.current, is_cut };
        self.current += 1;
        (self.began, self.first, self.full) = (now, None, false);
        Some(ended)
    }

    /// When the epoch in progress ends by time alone.
    pub(super) fn deadline(&self, is_finishing: bool) -> Monotonic {
        let idle = if is_finishing { self.length() / 10 } else { IDLE_EPOCH };
        let by_age = Monotonic(self.began.0 + idle);
        self.first.map_or(by_age, |first| by_age.min(Monotonic(first.0 + self.length())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_REST: Pressure = Pressure {
        urgent: false,
        sealed: Frontier::Done,
        dead_letter_bytes: 0,
        memory_is_full: false,
        cuts_in_flight: 0,
    };

    fn epochs() -> Epochs {
        Epochs::new(7, 60 * SECOND, Monotonic(0))
    }

    #[test]
    fn an_epoch_ends_a_while_after_its_first_record_or_when_a_reader_is_full() {
        let mut epochs = epochs();
        assert_eq!(epochs.end(AT_REST, Monotonic(SECOND - 1)), None);
        epochs.note(true, false, Monotonic(SECOND - 1));
        assert_eq!(epochs.deadline(false), Monotonic(SECOND));
        assert_eq!(epochs.end(AT_REST, Monotonic(SECOND)), Some(EpochEnd { epoch: 7, is_cut: false }));
        epochs.note(true, false, Monotonic(SECOND));
        assert_eq!(epochs.deadline(false), Monotonic(SECOND + EPOCH));
        assert_eq!(epochs.end(AT_REST, Monotonic(SECOND + EPOCH - 1)), None);
        epochs.note(false, true, Monotonic(SECOND + EPOCH - 1));
        assert_eq!(epochs.end(AT_REST, Monotonic(SECOND + EPOCH - 1)), Some(EpochEnd { epoch: 8, is_cut: false }));
        assert_eq!(epochs.current(), 9);
    }

    #[test]
    fn no_epoch_ends_too_far_ahead_of_what_is_sealed() {
        let sealed = |epoch| Pressure { sealed: Frontier::At(epoch), ..AT_REST };
        assert_eq!(epochs().end(sealed(7 - 5), Monotonic(SECOND)), None);
        assert_eq!(epochs().end(Pressure { sealed: Frontier::default(), ..AT_REST }, Monotonic(SECOND)), None);
        assert!(epochs().end(sealed(7 - 4), Monotonic(SECOND)).is_some());
    }

    #[test]
    fn a_cut_that_is_due_waits_for_those_in_flight() {
        for due in [
            Pressure { urgent: true, ..AT_REST },
            Pressure { dead_letter_bytes: MAX_DEAD_LETTER_BYTES, ..AT_REST },
            Pressure { memory_is_full: true, ..AT_REST },
        ] {
            let full = Pressure { cuts_in_flight: MAX_CUTS_IN_FLIGHT, ..due };
            assert_eq!(epochs().end(full, Monotonic(SECOND)), None);
            assert_eq!(epochs().end(due, Monotonic(SECOND)), Some(EpochEnd { epoch: 7, is_cut: true }));
        }
        assert_eq!(epochs().end(AT_REST, Monotonic(60 * SECOND)), Some(EpochEnd { epoch: 7, is_cut: true }));
    }
}
