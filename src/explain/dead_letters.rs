//! The dead letters of one minute of one symbol: those in the run's files, as far as they are committed, and those in the state that are
//! not in a file yet. With them records are found that came long after the minute was final.

use super::reading::WorkWatch;
use super::uncounted::{MOST_UNCOUNTED, UncountedOrigin, UncountedRecord};
use super::wanted::WantedMinute;
use crate::dead_letter_files::{DeadLetterFiles, KnownLetters, MissingLetters};
use crate::dead_letter_line::DeadLetterLine;
use crate::verify::{OpenLog, VerifyError};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::DeadLetter;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Lines between two looks whether the reading is to go on.
const LINES: u64 = 10_000;

/// Those that are kept, and how many others there are.
#[derive(Debug, Default)]
pub(super) struct MinuteLetters {
    pub(super) kept: Vec<UncountedRecord>,
    pub(super) more: u64,
    /// What is not there: others may be in it.
    pub(super) missing: Option<MissingLetters>,
}

impl MinuteLetters {
    fn add(&mut self, record: UncountedRecord) {
        if self.kept.len() < MOST_UNCOUNTED {
            self.kept.push(record);
        } else {
            self.more += 1;
        }
    }
}

/// See the module. `folder`: the job's.
///
/// # Errors
/// A file cannot be read, or a line of it is no dead letter; what `watch` says.
pub(super) fn of_minute(
    log: &OpenLog,
    folder: &Path,
    (wanted, decimals): (&WantedMinute<'_>, u8),
    watch: &mut WorkWatch<'_>,
) -> Result<MinuteLetters, Halt> {
    let is_wanted = |letter: &&DeadLetter| {
        let judged = letter.judged.as_ref();
        judged.is_some_and(|judged| judged.symbol == wanted.symbol && wanted.holds(judged.time))
    };
    let unstored = log.unstored.iter().filter(is_wanted);
    let of_letter = |letter| UncountedRecord::of(&DeadLetterLine::of(letter, decimals), UncountedOrigin::DeadLetters);
    let mut all = MinuteLetters::default();
    unstored.for_each(|letter| all.add(of_letter(letter)));
    if let Some(files) = DeadLetterFiles::of(&log.head, folder) {
        let committed = files.committed(log.head.dead_letters.position.unwrap_or(0)).map_err(VerifyError::from)?;
        committed.files.iter().try_for_each(|file| in_file(file, wanted, &mut all, watch))?;
        all.missing = committed.missing;
    }
    Ok(all)
}

/// Those among the first bytes of a file.
fn in_file(
    KnownLetters { path, bytes }: &KnownLetters,
    wanted: &WantedMinute<'_>,
    all: &mut MinuteLetters,
    watch: &mut WorkWatch<'_>,
) -> Result<(), Halt> {
    let unreadable = |source| VerifyError::NoDeadLetters { path: path.clone(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(1 << 20, file.take(*bytes));
    // As it was written: by the same library.
    let symbol = format!("\"symbol\":{}", serde_json::Value::from(wanted.symbol));
    let finder = memchr::memmem::Finder::new(&symbol);
    let (mut line, mut number) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        number += 1;
        if number % LINES == 0 {
            watch()?;
        }
        if finder.find(&line).is_some() {
            let broken = |_| VerifyError::NoDeadLetter { path: path.clone(), line: number };
            let letter: DeadLetterLine<'_> = serde_json::from_slice(&line).map_err(broken)?;
            let record = UncountedRecord::of(&letter, UncountedOrigin::DeadLetters);
            let is_symbol = letter.why.symbol.as_deref() == Some(wanted.symbol);
            if is_symbol && record.time.is_some_and(|time| wanted.holds(time)) {
                all.add(record);
            }
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::edge::HaltKind;
    use minutely_dataflows::time::{WindowStart, Windowing};
    use std::fmt::Write as _;

    #[test]
    fn a_million_letters_of_a_minute_are_counted_some_are_kept_and_the_reading_can_be_ended() {
        let (dir, mut text) = (tempfile::tempdir().unwrap(), String::new());
        for offset in 0..100_000 {
            let symbol = ["A", "B"][offset % 2];
            writeln!(
                text,
                r#"{{"path":"a","offset":{offset},"reason":"late","raw":null,"symbol":"{symbol}","value":"1","event_time":"1970-01-01T00:00:59Z","evidence":{{"watermark":"1970-01-01T00:20:00Z"}}}}"#
            )
            .unwrap();
        }
        let path = dir.path().join("letters.jsonl");
        std::fs::write(&path, &text).unwrap();
        let (windowing, window) = (Windowing::default(), WindowStart(0));
        let wanted = WantedMinute { symbol: "A", window, back_to: window, windowing, records: false };
        let read = |most: u32| {
            let (mut all, mut looks) = (MinuteLetters::default(), 0);
            let mut watch = || {
                looks += 1;
                if looks < most { Ok(()) } else { Err(Halt::new(HaltKind::Unreachable, "not waited for")) }
            };
            let file = KnownLetters { path: path.clone(), bytes: text.len() as u64 };
            let read = in_file(&file, &wanted, &mut all, &mut watch);
            (all.kept.len(), all.more, read.is_ok())
        };
        assert_eq!(read(u32::MAX), (MOST_UNCOUNTED, 50_000 - MOST_UNCOUNTED as u64, true));
        let (_, more, is_whole) = read(3);
        assert!(!is_whole && more < 15_000, "{more}");
    }
}
