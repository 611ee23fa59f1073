//! The dead letters of one minute of one symbol: those in the run's file, as far as they are committed, and those in the state that are
//! not in the file yet. With them records are found that came long after the minute was final.

use super::uncounted::{UncountedOrigin, UncountedRecord};
use super::wanted::WantedMinute;
use crate::dead_letter_line::DeadLetterLine;
use crate::verify::{OpenLog, VerifyError};
use minutely_dataflows::record::DeadLetter;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// See the module. `folder`: the job's.
///
/// # Errors
/// The file cannot be read, or a line of it is no dead letter.
pub(super) fn of_minute(
    log: &OpenLog,
    folder: &Path,
    wanted: &WantedMinute<'_>,
    decimals: u8,
) -> Result<Vec<UncountedRecord>, VerifyError> {
    let is_wanted = |letter: &&DeadLetter| {
        let judged = letter.judged.as_ref();
        judged.is_some_and(|judged| judged.symbol == wanted.symbol && wanted.holds(judged.time))
    };
    let unstored = log.unstored.iter().filter(is_wanted);
    let of_letter = |letter| UncountedRecord::of(&DeadLetterLine::of(letter, decimals), UncountedOrigin::DeadLetters);
    let mut all: Vec<_> = unstored.map(of_letter).collect();
    let committed = log.head.dead_letters.position.unwrap_or(0);
    if let Some(name) = Path::new(&log.head.dead_letters.name).file_name().filter(|_| committed > 0) {
        in_file(folder.join(name), committed, wanted, &mut all)?;
    }
    Ok(all)
}

/// Those among the first bytes of a file.
fn in_file(
    path: PathBuf,
    committed: u64,
    wanted: &WantedMinute<'_>,
    all: &mut Vec<UncountedRecord>,
) -> Result<(), VerifyError> {
    let unreadable = |source| VerifyError::NoDeadLetters { path: path.clone(), source };
    let file = File::open(&path).map_err(unreadable)?;
    let mut reader = BufReader::with_capacity(1 << 20, file.take(committed));
    // As it was written: by the same library.
    let symbol = format!("\"symbol\":{}", serde_json::Value::from(wanted.symbol));
    let finder = memchr::memmem::Finder::new(&symbol);
    let (mut line, mut number) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        number += 1;
        if finder.find(&line).is_some() {
            let broken = |_| VerifyError::NoDeadLetter { path: path.clone(), line: number };
            let letter: DeadLetterLine<'_> = serde_json::from_slice(&line).map_err(broken)?;
            let record = UncountedRecord::of(&letter, UncountedOrigin::DeadLetters);
            let is_symbol = letter.why.symbol.as_deref() == Some(wanted.symbol);
            if is_symbol && record.time.is_some_and(|time| wanted.holds(time)) {
                all.push(record);
            }
        }
        line.clear();
    }
    Ok(())
}
