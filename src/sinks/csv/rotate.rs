//! `csv:PATH?rotate=1d`, `?rotate=100MB`: a series of files instead of one, `STEM-20260105T000000Z-000001.csv` and so on,
//! each named by when it was begun (UTC) and by its number.
//!
//! One after the other they have the rows that one file would have. The state's position says which file of the series is the
//! newest that it knows, and how many bytes of it. A run that resumes cuts that file back and removes the files after it,
//! which an earlier run began and the state does not know. Files before it are not opened again, and may be moved away.

use super::error::{CsvError, SeriesProblem};
use crate::sinks::append;
use minutely_dataflows::time::{EventTime, SECOND};
use rustix::fs::{FlockOperation, flock};
use std::io;
use std::path::{Path, PathBuf};

/// Bits of a position that hold a file's length; those above hold its number.
const LEN_BITS: u32 = 40;
/// Digits of a number in a name, at least.
const DIGITS: usize = 6;
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// When a file is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sinks) enum RotationRule {
    /// Nanoseconds: when the clock (UTC) passes a multiple of this.
    Every(i64),
    /// This many bytes, or a little more: rows are written whole.
    Bytes(u64),
}

impl RotationRule {
    /// `1d`, `6h`, `10m`; `100MB`, `1GB`.
    ///
    /// # Errors
    /// What is accepted instead.
    pub(in crate::sinks) fn parse(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let parsed = number.parse::<u32>().ok().filter(|number| *number > 0).and_then(|number| match unit {
            "m" => Some(RotationRule::Every(i64::from(number) * 60 * SECOND)),
            "h" => i64::from(number).checked_mul(3600 * SECOND).map(RotationRule::Every),
            "d" => i64::from(number).checked_mul(86_400 * SECOND).map(RotationRule::Every),
            "KB" => Some(RotationRule::Bytes(u64::from(number) * 1_000)),
            "MB" => Some(RotationRule::Bytes(u64::from(number) * 1_000_000)),
            "GB" => Some(RotationRule::Bytes(u64::from(number) * 1_000_000_000)),
            _ => None,
        });
        let fits =
            |rotate: &RotationRule| !matches!(rotate, RotationRule::Bytes(bytes) if *bytes >= 1 << (LEN_BITS - 1));
        parsed
            .filter(fits)
            .ok_or_else(|| format!("rotate={text}: takes a time such as 1d, 6h or 10m, or a size such as 100MB or 1GB"))
    }

    /// Is a file full that was begun at `begun` and has `len` bytes?
    pub(in crate::sinks) fn is_due(self, begun: EventTime, len: u64, now: EventTime) -> bool {
        match self {
            RotationRule::Every(every) => now.0.div_euclid(every) > begun.0.div_euclid(every),
            RotationRule::Bytes(bytes) => len >= bytes,
        }
    }
}

/// A file of a series and its length: what a state keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sinks) struct SeriesPosition {
    /// From 1.
    pub(in crate::sinks) number: u64,
    pub(in crate::sinks) len: u64,
}

impl SeriesPosition {
    /// In one number.
    pub(in crate::sinks) fn pack(self) -> u64 {
        self.number << LEN_BITS | self.len
    }

    /// From that number.
    pub(in crate::sinks) fn unpack(packed: u64) -> Self {
        SeriesPosition { number: packed >> LEN_BITS, len: packed & ((1 << LEN_BITS) - 1) }
    }

    /// May there be a file after this one? Numbers would last for centuries, but must not wrap.
    pub(in crate::sinks) fn has_next(self) -> bool {
        self.number < (1 << (u64::BITS - LEN_BITS)) - 1
    }
}

/// A file, and how many bytes of it a state knows; none: all.
pub(super) type KnownBytes = (PathBuf, Option<u64>);

/// The files of one path.
#[derive(Clone, Debug)]
pub(super) struct FileSeries {
    path: PathBuf,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeriesFile {
    pub(super) number: u64,
    pub(super) begun: EventTime,
    pub(super) path: PathBuf,
}

impl FileSeries {
    /// For the path in the URI.
    pub(super) fn new(path: &Path) -> Self {
        FileSeries { path: path.to_owned() }
    }

    fn parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = self.path.extension().map_or(String::new(), |e| format!(".{}", e.to_string_lossy()));
        (text(self.path.file_stem()), extension)
    }

    /// The file of this number, begun now.
    pub(super) fn member(&self, number: u64, now: EventTime) -> SeriesFile {
        let (stem, extension) = self.parts();
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(now.0)).unwrap_or_default().strftime(STAMP);
        let path = self.path.with_file_name(format!("{stem}-{stamp}-{number:0DIGITS$}{extension}"));
        SeriesFile { number, begun: now, path }
    }

    /// The paths of those that there are, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.members()?.into_iter().map(|member| member.path).collect())
    }

    /// The paths of those that a state knows, oldest first, each with how many bytes of it; none: all. And of those that it does not
    /// know. Empty where the folder is not there.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(super) fn known_files(&self, position: SeriesPosition) -> io::Result<(Vec<KnownBytes>, Vec<PathBuf>)> {
        let members = self.members_if_any()?.into_iter();
        let (known, unknown): (Vec<_>, Vec<_>) = members.partition(|member| member.number <= position.number);
        let most = |number: u64| (number == position.number).then_some(position.len);
        let known = known.into_iter().map(|member| (member.path, most(member.number))).collect();
        Ok((known, unknown.into_iter().map(|member| member.path).collect()))
    }

    /// The file of this number; none where there is none.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(super) fn numbered(&self, number: u64) -> io::Result<Option<PathBuf>> {
        let mut members = self.members_if_any()?.into_iter();
        Ok(members.find(|member| member.number == number).map(|member| member.path))
    }

    fn members_if_any(&self) -> io::Result<Vec<SeriesFile>> {
        match self.members() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            members => members,
        }
    }

    /// Those that there are, by number.
    fn members(&self) -> io::Result<Vec<SeriesFile>> {
        let (stem, extension) = self.parts();
        let member = |name: &str| {
            let name = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(extension.as_str())?;
            let (stamp, number) = name.split_once('-')?;
            let number = Some(number).filter(|n| n.len() >= DIGITS && n.bytes().all(|c| c.is_ascii_digit()))?;
            let begun = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
            let begun = jiff::tz::Offset::UTC.to_timestamp(begun).ok()?;
            let begun = EventTime(i64::try_from(begun.as_nanosecond()).ok()?);
            Some((number.parse().ok()?, begun))
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(append::folder_of(&self.path))? {
            let entry = entry?;
            if let Some((number, begun)) = entry.file_name().to_str().and_then(member) {
                found.push(SeriesFile { number, begun, path: self.path.with_file_name(entry.file_name()) });
            }
        }
        found.sort_by_key(|member| member.number);
        Ok(found)
    }

    /// The file that a run resumes in, or the first; and the files after it, which the state does not know.
    ///
    /// # Errors
    /// 64: there are files of another run; 65: the one that the state knows is not there.
    pub(super) fn begin(
        &self,
        position: Option<u64>,
        now: EventTime,
    ) -> Result<(SeriesFile, Vec<SeriesFile>), CsvError> {
        let members = match self.members() {
            Ok(members) => members,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(SeriesProblem::Unlisted(e).at(&self.path)),
        };
        let Some(position) = position.map(SeriesPosition::unpack) else {
            return match members.first() {
                None => Ok((self.member(1, now), Vec::new())),
                Some(other) => Err(SeriesProblem::OfAnotherRun(other.path.clone()).at(&self.path)),
            };
        };
        if position.number == 0 {
            // The state has this sink, and no round is known to be stored: whatever there is was begun for it.
            let (first, after): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.number <= 1);
            return Ok((first.into_iter().next().unwrap_or_else(|| self.member(1, now)), after));
        }
        let (known, after): (Vec<_>, Vec<_>) =
            members.into_iter().filter(|m| m.number >= position.number).partition(|m| m.number == position.number);
        match <[SeriesFile; 1]>::try_from(known) {
            Ok([member]) => Ok((member, after)),
            Err(known) => {
                let what = if known.is_empty() { "is not there" } else { "is there more than once" };
                let SeriesPosition { number, len } = position;
                Err(SeriesProblem::NotOne { number: format!("{number:0DIGITS$}"), len, what }.at(&self.path))
            }
        }
    }

    /// Removes files that the state does not know. None may be open in another run, unless that is to be taken over.
    ///
    /// # Errors
    /// 64, with what to do.
    pub(super) fn remove(&self, members: &[SeriesFile], take_over: bool) -> Result<(), CsvError> {
        for member in members {
            let removed = append::growing(false).open(&member.path).and_then(|file| {
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Err(rustix::io::Errno::WOULDBLOCK) if !take_over => Err(io::ErrorKind::ResourceBusy.into()),
                    _ => std::fs::remove_file(&member.path),
                }
            });
            let file = || member.path.clone();
            removed.map_err(|source| SeriesProblem::NotRemoved { file: file(), source }.at(&self.path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::temp;
    use minutely_dataflows::edge::{Halt, HaltKind};

    #[test]
    fn times_and_sizes() {
        let days = |n: i64| RotationRule::Every(n * 86_400 * SECOND);
        for (text, want) in [
            ("1d", days(1)),
            ("24h", days(1)),
            ("10m", RotationRule::Every(600 * SECOND)),
            ("100MB", RotationRule::Bytes(100_000_000)),
            ("500GB", RotationRule::Bytes(500_000_000_000)),
        ] {
            assert_eq!(RotationRule::parse(text), Ok(want));
        }
        for bad in ["", "d", "0d", "1", "1w", "-1d", "1.5h", "100mb", "600GB", "9999999999d"] {
            assert!(RotationRule::parse(bad).is_err(), "{bad}");
        }
        let at = |hours: i64| EventTime(hours * 3600 * SECOND);
        assert!(!days(1).is_due(at(1), 9, at(23)) && days(1).is_due(at(23), 9, at(24)));
        assert!(!days(1).is_due(at(24), 9, at(23)), "a clock that goes back rotates nothing");
        assert!(!RotationRule::Bytes(10).is_due(at(0), 9, at(99)) && RotationRule::Bytes(10).is_due(at(0), 10, at(0)));
    }

    #[test]
    fn a_run_goes_on_in_the_file_that_the_state_knows() {
        let dir = temp();
        let series = FileSeries::new(&dir.path().join("ticks.csv"));
        let now = EventTime(1_767_572_103 * SECOND);
        let (first, after) = series.begin(None, now).unwrap();
        assert_eq!(first.path, dir.path().join("ticks-20260105T001503Z-000001.csv"));
        assert_eq!(after, []);
        let all: Vec<_> = (1..4).map(|number| series.member(number, now)).collect();
        for name in
            all.iter().map(|m| m.path.as_path()).chain([Path::new("ticks-x-000009.csv"), Path::new("ticks.csv")])
        {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(series.begin(None, now).unwrap_err().kind(), HaltKind::Usage);
        let position = |number| Some(SeriesPosition { number, len: 7 }.pack());
        assert_eq!(series.begin(Some(0), EventTime(0)).unwrap(), (all[0].clone(), all[1..].to_vec()));
        let (known, after) = series.begin(position(2), EventTime(0)).unwrap();
        assert_eq!((&known, after.as_slice()), (&all[1], &all[2..]));
        let held = std::fs::File::open(&all[2].path).unwrap();
        held.lock().unwrap();
        assert!(series.remove(&after, false).unwrap_err().to_string().contains("end the run"));
        series.remove(&after, true).unwrap();
        assert!(!all[2].path.exists() && all[1].path.exists());
        let halt = Halt::from(series.begin(position(4), now).unwrap_err());
        assert!(halt.kind == HaltKind::Data && halt.why.contains("000004 is not there, and had 7 bytes"), "{halt}");
        assert_eq!(SeriesPosition::unpack(position(2).unwrap()), SeriesPosition { number: 2, len: 7 });
    }
}
