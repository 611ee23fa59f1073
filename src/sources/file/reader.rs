//! Reads one file, record by record, up to the end it had when the run started.

use super::buffer::{Filled, TextBuffer};
use super::datums;
use super::error::FileError;
use super::framing::{self, FramedBy};
use super::lines::Lines;
use super::output::{Place, RecordOutput};
use super::values::Values;
use crate::sources::PayloadKind;
use minutely_dataflows::edge::{EndAnswer, Halt, PartitionReader};
use minutely_dataflows::record::{LastRecord, Record};
use minutely_dataflows::time::NextOffset;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Pieces that one call reads at most while it has no record to hand out.
const PIECES: usize = 4;

/// Records of one file before another's turn comes: few enough that an epoch has some of each of several files, for those of the same
/// minutes make fewer sums. There is a buffer a file, whatever is read of it.
const TURN_RECORDS: usize = 8 << 10;

/// What an operator should know of the files that were read, one paragraph each.
pub(super) type Concerns = Arc<Mutex<Vec<String>>>;

/// How a text is taken apart.
enum Framing {
    /// As JSON: by its first bytes, which are not there yet.
    Undecided,
    Lines(Lines),
    Values(Values),
    Lengths,
}

/// Reads one text, record by record.
pub(super) struct RecordReader {
    path: PathBuf,
    buffer: TextBuffer,
    framing: Framing,
    place: Place,
    concerns: Concerns,
    /// Nothing is there at present; the worker is woken when there is.
    waits: bool,
    /// All was handed out.
    ended: bool,
}

impl RecordReader {
    /// A reader of the records from `start` on.
    pub(super) fn new(
        path: PathBuf,
        buffer: TextBuffer,
        start: NextOffset,
        payloads: PayloadKind,
        concerns: Concerns,
    ) -> Self {
        let framing = match payloads {
            PayloadKind::Json => Framing::Undecided,
            PayloadKind::Text => Framing::Lines(Lines::new(true)),
            PayloadKind::Avro => Framing::Lengths,
        };
        let place = Place { skip: start.0, next: start, last: None, leaves_unended: false, left_one: false };
        RecordReader { path, buffer, framing, place, concerns, waits: false, ended: false }
    }

    /// The same, which may leave a record without an end to a later run.
    pub(super) fn leaving_unended(mut self, leaves_unended: bool) -> Self {
        self.place.leaves_unended = leaves_unended;
        self
    }

    /// A reader that begins at the record `start`, which is framed so. It passes none.
    pub(super) fn within(
        path: PathBuf,
        buffer: TextBuffer,
        start: NextOffset,
        framed_by: FramedBy,
        payloads: PayloadKind,
    ) -> Self {
        let framing = match framed_by {
            FramedBy::Lines => Framing::Lines(Lines::new(payloads != PayloadKind::Json)),
            FramedBy::Values => Framing::Values(Values::at_record()),
            FramedBy::Lengths => Framing::Lengths,
        };
        let place = Place { skip: 0, next: start, last: None, leaves_unended: false, left_one: false };
        let concerns = Concerns::default();
        RecordReader { path, buffer, framing, place, concerns, waits: false, ended: false }
    }

    /// Hands out what is in the buffer.
    fn hand_out(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> usize {
        if let Framing::Undecided = self.framing {
            self.framing = match framing::decide(self.buffer.text(), self.buffer.ended()) {
                None => return 0,
                Some(FramedBy::Lines) => Framing::Lines(Lines::new(false)),
                Some(FramedBy::Values) => Framing::Values(Values::new()),
                Some(FramedBy::Lengths) => Framing::Lengths,
            };
        }
        let mut out = RecordOutput::new(&mut self.place, max, each);
        match &mut self.framing {
            Framing::Undecided => {}
            Framing::Lines(lines) => lines.hand_out(&mut self.buffer, &mut out),
            Framing::Values(values) => values.hand_out(&mut self.buffer, &mut out),
            Framing::Lengths => datums::hand_out(&mut self.buffer, &mut out),
        }
        out.read
    }

    /// Bytes of memory for text.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.buffer.room()
    }

    /// Is all handed out?
    fn is_at_end(&self) -> bool {
        let within = match &self.framing {
            Framing::Undecided | Framing::Lengths => false,
            Framing::Lines(lines) => lines.is_within_record(),
            Framing::Values(values) => values.is_within_record(),
        };
        self.buffer.ended() && self.buffer.text().is_empty() && !within
    }

    /// The text was read to its end.
    fn end(&mut self) -> Result<(), FileError> {
        if self.place.skip > 0 {
            return Err(FileError::FewerRecords { path: self.path.clone(), records: self.place.next.0 });
        }
        self.ended = true;
        if let Framing::Values(values) = &self.framing
            && values.lacks_its_end()
        {
            self.tell("its array has no end (]): the file may have been cut off between two records");
        }
        if self.place.left_one {
            self.tell(
                "its last record has no end: it may be half written, and is left to a later run (without --keep-open \
                 it is read as it stands)",
            );
        }
        Ok(())
    }

    fn tell(&self, concern: &str) {
        crate::threads::lock(&self.concerns).push(format!("{}: {concern}", self.path.display()));
    }
}

impl PartitionReader for RecordReader {
    fn read(&mut self, max: usize, each: &mut dyn FnMut(Record<'_>)) -> Result<usize, Halt> {
        if max == 0 || self.ended {
            return Ok(0);
        }
        self.waits = false;
        let mut read = self.hand_out(max, each);
        for _ in 0..PIECES {
            if read > 0 || self.is_at_end() {
                break;
            }
            let filled = self.buffer.fill();
            match filled.map_err(|error| FileError::reading(&self.path, self.place.next.0, error))? {
                Filled::Nothing => {
                    self.waits = true;
                    break;
                }
                Filled::More | Filled::End => read = self.hand_out(max, each),
            }
        }
        if self.is_at_end() {
            self.end()?;
        }
        Ok(read)
    }

    fn next(&self) -> NextOffset {
        self.place.next
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn last(&self) -> Option<LastRecord> {
        self.place.last
    }

    /// A file has its recorded end, so the question is never answered.
    fn ask_end(&mut self, _urgent: bool) {}

    fn answer(&mut self) -> Option<EndAnswer> {
        None
    }

    fn turn_records(&self) -> usize {
        TURN_RECORDS
    }

    fn idle_wait(&self) -> Duration {
        if self.ended || self.waits { Duration::from_secs(1) } else { Duration::ZERO }
    }
}
