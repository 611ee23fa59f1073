//! The files of a run's dead letters: their names, and which bytes of all dead letters each has.
//!
//! ```text
//!   dead-letters-20260105T081503Z.jsonl                                bytes 0 to 1073742011
//!   dead-letters-20260105T081503Z.segment-00000000001073742011.jsonl   bytes 1073742011 to 2147483999
//!   dead-letters-20260105T081503Z.segment-00000000002147483999.jsonl   the newest: the run writes it
//! ```
//!
//! One after the other they are what one file would be. A segment's name has its base: how many bytes stand in all files before it. A state
//! names the first file, and its position is how many bytes it knows of all of them. Files but the newest may be compressed, moved or
//! deleted: what is not there is told (`MissingLetters`), and is never taken for nothing.

use minutely_dataflows::checkpoint::Manifest;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Digits of a base in a name: as many as the greatest has, so that names sort as bases do.
const DIGITS: usize = 20;
/// What stands before them. Its first letter is behind that of `jsonl`, so the first file is the first by name, whatever the locale.
const SEGMENT: &str = ".segment-";

/// One file of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterSegment {
    pub(crate) path: PathBuf,
    /// How many bytes stand in all files before it.
    pub(crate) base: u64,
}

/// A file, and how much of it a state knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownLetters {
    pub(crate) path: PathBuf,
    /// Its first bytes, as many as these.
    pub(crate) bytes: u64,
}

/// What a state knows: files, oldest first, and what is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedLetters {
    pub(crate) files: Vec<KnownLetters>,
    /// None: all is there.
    pub(crate) missing: Option<MissingLetters>,
}

/// Dead letters that a state knows and that are in no file of the job's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingLetters {
    /// The name of the first file.
    name: String,
    /// Bytes of all dead letters; ascending, none empty.
    pub(crate) ranges: Vec<Range<u64>>,
}

impl fmt::Display for MissingLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dead letters ")?;
        for (number, Range { start, end }) in self.ranges.iter().enumerate() {
            let and = if number > 0 { ", " } else { "" };
            match start {
                0 => write!(f, "{and}before byte {end}")?,
                _ => write!(f, "{and}from byte {start} to {end}")?,
            }
        }
        write!(f, " of {} are not there: their files were moved, compressed or deleted", self.name)
    }
}

/// Why the files of a state cannot be read.
#[derive(Debug)]
pub(crate) enum DeadLettersProblem {
    /// None is there, or one cannot be looked at.
    Unreadable { path: PathBuf, source: io::Error },
    /// The newest has less than the state knows of it.
    Cut { path: PathBuf, bytes: u64, committed: u64 },
}

/// The files of one run's dead letters, by the path of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterFiles {
    first: PathBuf,
}

impl DeadLetterFiles {
    /// Those of which this is the first.
    pub(crate) fn new(first: &Path) -> Self {
        DeadLetterFiles { first: first.to_owned() }
    }

    /// Those that a state names, in the job's folder wherever that is now; none where it names none.
    pub(crate) fn of(head: &Manifest, folder: &Path) -> Option<Self> {
        let name = Path::new(&head.dead_letters.name).file_name()?;
        Some(DeadLetterFiles { first: folder.join(name) })
    }

    /// The first file.
    pub(crate) fn first(&self) -> &Path {
        &self.first
    }

    /// The file that begins behind so many bytes.
    pub(crate) fn begun_at(&self, base: u64) -> DeadLetterSegment {
        let path = match base {
            0 => self.first.clone(),
            _ => {
                let (stem, extension) = self.parts();
                self.first.with_file_name(format!("{stem}{SEGMENT}{base:0DIGITS$}{extension}"))
            }
        };
        DeadLetterSegment { path, base }
    }

    /// The file that begins where this one of the series ends, if it has `len` bytes.
    pub(crate) fn after(path: &Path, len: u64) -> PathBuf {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let parsed = name.split_once(SEGMENT).and_then(|(stem, rest)| {
            let (digits, extension) = rest.split_at_checked(DIGITS)?;
            Some((format!("{stem}{extension}"), base(digits)?))
        });
        let (first, base) = parsed.unwrap_or_else(|| (name.to_owned(), 0));
        DeadLetterFiles::new(&path.with_file_name(first)).begun_at(base.saturating_add(len)).path
    }

    fn parts(&self) -> (String, String) {
        let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = self.first.extension().map_or(String::new(), |e| format!(".{}", e.to_string_lossy()));
        (text(self.first.file_stem()), extension)
    }

    /// Those that there are, by base. None where there is no folder.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(crate) fn segments(&self) -> io::Result<Vec<DeadLetterSegment>> {
        let (stem, extension) = self.parts();
        let base_of = |name: &OsStr| {
            if Some(name) == self.first.file_name() {
                return Some(0);
            }
            base(name.to_str()?.strip_prefix(&stem)?.strip_prefix(SEGMENT)?.strip_suffix(extension.as_str())?)
        };
        let folder = self.first.parent().filter(|folder| !folder.as_os_str().is_empty());
        let entries = match std::fs::read_dir(folder.unwrap_or(Path::new("."))) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(base) = base_of(&name) {
                found.push(DeadLetterSegment { path: self.first.with_file_name(name), base });
            }
        }
        found.sort_by_key(|segment| segment.base);
        Ok(found)
    }

    /// Where a run goes on of which the state knows so many bytes: the newest file that begins at or before them, or the first. And files
    /// that begin behind them, which the state does not know.
    ///
    /// # Errors
    /// As [`DeadLetterFiles::segments`].
    pub(crate) fn resume(&self, position: u64) -> io::Result<(DeadLetterSegment, Vec<DeadLetterSegment>)> {
        let (mut known, unknown): (Vec<_>, Vec<_>) =
            self.segments()?.into_iter().partition(|segment| segment.base <= position);
        Ok((known.pop().unwrap_or_else(|| self.begun_at(0)), unknown))
    }

    /// What is there of the first `position` bytes.
    ///
    /// # Errors
    /// The file that a run would go on with is not there, or has less than the state knows of it; or files cannot be looked at.
    pub(crate) fn committed(&self, position: u64) -> Result<CommittedLetters, DeadLettersProblem> {
        if position == 0 {
            return Ok(CommittedLetters::default());
        }
        let unreadable = |path: &Path, source| DeadLettersProblem::Unreadable { path: path.to_owned(), source };
        let segments = self.segments().map_err(|source| unreadable(&self.first, source))?;
        let mut known: Vec<_> = segments.into_iter().filter(|segment| segment.base <= position).collect();
        if known.is_empty() {
            return Err(unreadable(&self.first, ErrorKind::NotFound.into()));
        }
        let (mut files, mut ranges, mut end) = (Vec::new(), Vec::new(), position);
        // From the newest on: each ends where the next one begins.
        while let Some(DeadLetterSegment { path, base }) = known.pop() {
            let len = std::fs::metadata(&path).map_err(|source| unreadable(&path, source))?.len();
            let bytes = (end - base).min(len);
            if base + bytes < end {
                if end == position && files.is_empty() {
                    return Err(DeadLettersProblem::Cut { path, bytes, committed: end - base });
                }
                ranges.push(base + bytes..end);
            }
            files.push(KnownLetters { path, bytes });
            end = base;
        }
        if end > 0 {
            ranges.push(0..end);
        }
        files.reverse();
        ranges.reverse();
        files.retain(|file| file.bytes > 0);
        let name = self.first.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let missing = (!ranges.is_empty()).then_some(MissingLetters { name, ranges });
        Ok(CommittedLetters { files, missing })
    }

    /// Where dead letters are, for people: the newest file, and how many there are before it.
    pub(crate) fn described(&self) -> String {
        let mut segments = self.segments().unwrap_or_default();
        let newest = segments.pop().map_or_else(|| self.first.clone(), |segment| segment.path);
        match segments.len() {
            0 => newest.display().to_string(),
            1 => format!("{} and a file before it", newest.display()),
            before => format!("{} and {before} files before it", newest.display()),
        }
    }
}

/// A base as it stands in a name. (That of the first file stands in none.)
fn base(digits: &str) -> Option<u64> {
    let is_one = digits.len() == DIGITS && digits.bytes().all(|c| c.is_ascii_digit());
    digits.parse().ok().filter(|base| is_one && *base > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> DeadLetterFiles {
        DeadLetterFiles::new(&folder.join("dead-letters-1.jsonl"))
    }

    fn write(path: &Path, bytes: usize) {
        std::fs::write(path, "x".repeat(bytes)).unwrap();
    }

    #[test]
    fn names_sort_as_bases_do_and_files_of_others_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        assert_eq!(files.segments().unwrap(), []);
        assert_eq!(DeadLetterFiles::new(&dir.path().join("no/folder")).segments().unwrap(), []);
        let bases = [0, 9, 10, 1 << 30, u64::MAX];
        let segments = bases.map(|base| files.begun_at(base));
        for name in [
            "dead-letters-1-2.jsonl",
            "dead-letters-1-2.segment-00000000000000000009.jsonl",
            "dead-letters-1.segment-00000000000000000008.jsonl.gz",
            "dead-letters-1.segment-0000000000000000008.jsonl",
            "dead-letters-1.segment-00000000000000000000.jsonl",
            "dead-letters-1.segment-99999999999999999999.jsonl",
            "dead-letters-1.segment-+0000000000000000008.jsonl",
            "dead-letters-1.jsonl.redriven",
            "dead-letters-10.jsonl",
        ] {
            write(&dir.path().join(name), 1);
        }
        segments.iter().rev().for_each(|segment| write(&segment.path, 1));
        assert_eq!(files.segments().unwrap(), segments);
        let names = segments.clone().map(|segment| segment.path);
        assert!(names.is_sorted());
        // Where a locale compares letters and digits alone, too.
        let plain = |path: &PathBuf| path.to_str().unwrap().replace(|c: char| !c.is_alphanumeric(), "");
        assert!(names.each_ref().map(plain).is_sorted());
        for (base, path) in bases.into_iter().zip(&names) {
            assert_eq!(DeadLetterFiles::after(path, 7), files.begun_at(base.saturating_add(7)).path);
        }
        assert_eq!(files.described(), format!("{} and 4 files before it", names[4].display()));
    }

    #[test]
    fn a_name_without_an_ending_has_segments_too() {
        let dir = tempfile::tempdir().unwrap();
        let files = DeadLetterFiles::new(&dir.path().join("dead"));
        let second = files.begun_at(7);
        assert_eq!(second.path, dir.path().join("dead.segment-00000000000000000007"));
        write(&second.path, 1);
        assert_eq!(files.segments().unwrap(), [second]);
    }

    #[test]
    fn a_run_goes_on_in_the_newest_file_that_the_state_knows() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        let at = |base: u64| files.begun_at(base);
        assert_eq!(files.resume(5).unwrap(), (at(0), vec![]));
        for base in [0, 10, 20, 30] {
            write(&at(base).path, 10);
        }
        assert_eq!(files.resume(9).unwrap(), (at(0), vec![at(10), at(20), at(30)]));
        assert_eq!(files.resume(10).unwrap(), (at(10), vec![at(20), at(30)]));
        assert_eq!(files.resume(25).unwrap(), (at(20), vec![at(30)]));
        assert_eq!(files.resume(99).unwrap(), (at(30), vec![]));
    }

    #[test]
    fn what_is_not_there_is_told_and_the_newest_file_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path());
        assert_eq!(files.committed(0).unwrap(), CommittedLetters::default());
        assert!(matches!(files.committed(5), Err(DeadLettersProblem::Unreadable { .. })));
        for base in [0, 10, 20, 30] {
            write(&files.begun_at(base).path, 10);
        }
        let known = |position: u64| {
            let CommittedLetters { files: all, missing } = files.committed(position).unwrap();
            let bases = files.segments().unwrap().into_iter();
            let base = |path: &Path| bases.clone().find(|segment| segment.path == path).unwrap().base;
            let all: Vec<_> = all.iter().map(|file| (base(&file.path), file.bytes)).collect();
            let ranges = missing.map(|missing| missing.ranges).unwrap_or_default();
            (all, ranges.into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>())
        };
        assert_eq!(known(7), (vec![(0, 7)], vec![]));
        assert_eq!(known(20), (vec![(0, 10), (10, 10)], vec![]));
        assert_eq!(known(33), (vec![(0, 10), (10, 10), (20, 10), (30, 3)], vec![]));
        std::fs::remove_file(files.begun_at(10).path).unwrap();
        assert_eq!(known(33), (vec![(0, 10), (20, 10), (30, 3)], vec![(10, 20)]));
        assert!(matches!(files.committed(15), Err(DeadLettersProblem::Cut { bytes: 10, committed: 15, .. })));
        std::fs::remove_file(files.begun_at(0).path).unwrap();
        assert_eq!(known(33), (vec![(20, 10), (30, 3)], vec![(0, 20)]));
        assert_eq!(known(20), (vec![], vec![(0, 20)]), "the newest is begun, and nothing in it is committed");
        write(&files.begun_at(20).path, 4);
        assert_eq!(known(33), (vec![(20, 4), (30, 3)], vec![(0, 20), (24, 30)]));
        let told = files.committed(33).unwrap().missing.unwrap().to_string();
        assert_eq!(
            told,
            "dead letters before byte 20, from byte 24 to 30 of dead-letters-1.jsonl are not there: their files were moved, compressed or \
             deleted"
        );
        assert!(matches!(files.committed(41), Err(DeadLettersProblem::Cut { bytes: 10, committed: 11, .. })));
        assert!(matches!(files.committed(19), Err(DeadLettersProblem::Unreadable { .. })));
    }
}
