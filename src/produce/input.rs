//! Where records come from: what every kind of input gives. A log that is replayed is one (`replay.rs`), a live feed
//! another (`feeds/`).

use minutely_dataflows::edge::{Halt, ReadProgress};
use minutely_dataflows::time::EventTime;
use std::ops::ControlFlow;

/// Name and value of a record's header.
pub(super) type RecordHeader<'a> = (&'a str, &'a [u8]);

/// A record as its input lends it, for the length of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InputRecord<'a> {
    /// The input's partition that it is of, from 0.
    pub(super) partition: i32,
    pub(super) key: Option<&'a [u8]>,
    /// None is a tombstone.
    pub(super) payload: Option<&'a [u8]>,
    /// In the order in which they are written.
    pub(super) headers: &'a [RecordHeader<'a>],
    /// Its event time; none where it has none, or cannot be decoded.
    pub(super) time: Option<EventTime>,
    /// The stamp that the input gave it.
    pub(super) stamp: Option<EventTime>,
}

/// What one turn brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InputTurn {
    /// Records that were read, those that were left out among them. 0: nothing is there at present.
    pub(super) read: usize,
    /// Records that were left out, by conditions or as headers.
    pub(super) skipped: u64,
}

/// How far an input was read, and in what that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputProgress {
    Bytes(ReadProgress),
    Records(ReadProgress),
}

/// Gives records, each partition's in their order.
pub(super) trait RecordInput {
    /// Partitions that a target needs, so that each of the input's has one of its own.
    fn partitions(&self) -> i32;

    /// Hands over at most `max` records of each partition in turn, as far as they are there; never waits for more. Ends at once
    /// where `each` says `Break`: what was read and not handed over then is lost to this input.
    ///
    /// # Errors
    /// When the input cannot be read on.
    fn turn(
        &mut self,
        max: usize,
        each: &mut dyn FnMut(&InputRecord<'_>) -> ControlFlow<()>,
    ) -> Result<InputTurn, Halt>;

    /// Was all handed over that this input will ever give?
    fn ended(&self) -> bool;

    /// None where its end is not known.
    fn progress(&self) -> Option<InputProgress>;

    /// Ends what it has open; what is to be said of it then.
    fn finish(&mut self) -> Option<String> {
        None
    }
}
