//! Files of dead letters, a line at a time: the run's own up to where the state knows it, or copies of any.

use super::error::AmendError;
use crate::dead_letter_files::{CommittedLetters, DeadLetterFiles, KnownLetters};
use crate::dead_letter_line::DeadLetterLine;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::edge::Halt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest line that is taken, in bytes: a payload of 64 MiB, written as base64, with its reason.
const MOST_LINE: u64 = 96 << 20;

/// A file, and how much of it is read.
#[derive(Clone, Debug)]
pub(crate) struct LetterFile {
    pub(crate) path: PathBuf,
    /// Of one of the run's own: bytes that the state knows of; none: all of it is read.
    pub(crate) committed: Option<u64>,
}

/// The run's own that are there, oldest first.
///
/// # Errors
/// 64: it has none. 65: the newest is cut. 69: it is not there.
pub(crate) fn own_files(head: &Manifest, folder: &Path) -> Result<Vec<LetterFile>, AmendError> {
    let files = DeadLetterFiles::of(head, folder).ok_or(AmendError::NoLetters)?;
    let CommittedLetters { files, missing: _ } = files.committed(head.dead_letters.position.unwrap_or(0))?;
    let own = |file: KnownLetters| LetterFile { path: file.path, committed: Some(file.bytes) };
    Ok(files.into_iter().map(own).collect())
}

impl LetterFile {
    /// Hands each line to `each`, with its number: its letter, or why it is none, in words.
    ///
    /// # Errors
    /// It cannot be read; what `each` says.
    pub(crate) fn each(
        &self,
        mut each: impl FnMut(u64, Result<DeadLetterLine<'static>, String>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let path = &self.path;
        let unreadable = |source| match self.committed {
            None => AmendError::Unreadable { path: path.clone(), source },
            Some(_) => AmendError::NoOwn { path: path.clone(), source },
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut reader = BufReader::with_capacity(1 << 20, file.take(self.committed.unwrap_or(u64::MAX)));
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if reader.by_ref().take(MOST_LINE).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            let whole = line.ends_with(b"\n");
            // Lines that are empty take the place of letters that were given up.
            let text = line.trim_ascii();
            if !text.is_empty() {
                let letter = serde_json::from_slice::<DeadLetterLine<'static>>(text).map_err(|error| match whole {
                    true => format!("is no dead letter: {error}"),
                    false => "does not end: a run may be writing it, or was killed".into(),
                });
                each(number, letter)?;
            }
        }
        Ok(())
    }
}
