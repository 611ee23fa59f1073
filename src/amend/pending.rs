//! Late letters that wait for a look at the log: what stands at a letter's place must be what the letter has. One of another log, under the same
//! name, would count what never was.

use super::events::{LateEvent, LetterDecoders};
use super::log_records::{is_gone, records_at};
use super::place::LetterPlace;
use crate::dead_letter_line::DeadLetterCause;
use crate::verify::OpenLog;
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::WindowStart;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_128;

/// What is known of a letter by itself.
pub(super) enum OfLetter {
    Event(DecodedEvent<'static>),
    /// Its event is made of more than its element: what it says of itself.
    Says(Box<DeadLetterCause<'static>>),
}

/// A letter, but for its place.
struct PendingLetter {
    window: WindowStart,
    /// Of its payload; none where it is an element, which is a part of one.
    payload: Option<u128>,
    of: OfLetter,
}

/// See the module.
#[derive(Default)]
pub(super) struct PendingLetters {
    /// By offset and element, and by hash: letters of one place that differ are of different logs.
    by_partition: BTreeMap<PartitionName, BTreeMap<i64, BTreeMap<(Option<u32>, u128), PendingLetter>>>,
}

impl PendingLetters {
    /// Adds a letter with the hash of its payload; the same one again changes nothing.
    pub(super) fn add(&mut self, place: LetterPlace, window: WindowStart, hash: u128, of: OfLetter) {
        let letter = PendingLetter { window, payload: place.element.is_none().then_some(hash), of };
        let at = self.by_partition.entry(place.partition).or_default().entry(place.offset).or_default();
        at.entry((place.element, hash)).or_insert(letter);
    }

    /// Looks at the log. `each` gets every letter's place, with its event, or with why there is none.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn settle(
        self,
        log: &OpenLog,
        decoders: &mut LetterDecoders<'_>,
        each: &mut dyn FnMut(&LetterPlace, Result<LateEvent, String>),
    ) -> Result<(), Halt> {
        for (partition, mut by_offset) in self.by_partition {
            // (Its header is read before its records are.)
            decoders.of(&partition)?;
            let offsets: BTreeSet<i64> = by_offset.keys().copied().collect();
            let place = |offset, element| LetterPlace { partition: partition.clone(), offset, element };
            records_at(log, &partition, &offsets, &mut |record| {
                for ((element, _), letter) in by_offset.remove(&record.offset).unwrap_or_default() {
                    let place = place(record.offset, element);
                    let event = letter.of_record(decoders, &place, record)?;
                    each(&place, event);
                }
                Ok(())
            })?;
            for (offset, letters) in by_offset {
                for ((element, _), letter) in letters {
                    let place = place(offset, element);
                    let event = letter.of_nothing(&place, is_gone(log, &partition, offset));
                    each(&place, event);
                }
            }
        }
        Ok(())
    }
}

impl PendingLetter {
    /// Where the log has this at its place.
    fn of_record(
        self,
        decoders: &mut LetterDecoders<'_>,
        place: &LetterPlace,
        record: &Record<'_>,
    ) -> Result<Result<LateEvent, String>, Halt> {
        let PendingLetter { window, payload, of } = self;
        let other = || "is of another log: what this one has at its place is not what it says".to_owned();
        let event = match (of, payload) {
            (OfLetter::Event(event), Some(hash)) => {
                (xxh3_128(record.payload.unwrap_or_default()) == hash).then_some(event).ok_or_else(other)
            }
            (OfLetter::Event(event), None) => match decoders.record(place, record)? {
                Ok(stands) if stands == event => Ok(event),
                _ => Err(other()),
            },
            (OfLetter::Says(says), _) => decoders.element((place, &says), record)?,
        };
        Ok(event.map(|event| LateEvent { place: place.clone(), window, event }))
    }

    /// Where the log has nothing there.
    fn of_nothing(self, place: &LetterPlace, is_gone: bool) -> Result<LateEvent, String> {
        match self.of {
            _ if !is_gone => Err("is of another log: this one has nothing at its place".into()),
            OfLetter::Event(event) => Ok(LateEvent { place: place.clone(), window: self.window, event }),
            OfLetter::Says(_) => Err("needs its whole record, which is not in the log any more".into()),
        }
    }
}
