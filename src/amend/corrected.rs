//! Records that `minutely redrive --amend` has corrected, in a file of the job's folder: an amended row names their places, and what stands
//! there in the log does not decode. One line each, and the newest of a place counts.

use super::error::AmendError;
use super::place::LetterPlace;
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::time::EventTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file's name.
const NAME: &str = "corrected.jsonl";

/// A record as it should have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CorrectedRecord {
    place: String,
    pub(crate) payload: String,
    /// Where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Its stamp, in nanoseconds since 1970, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<i64>,
}

impl CorrectedRecord {
    /// In place of the one that stands there.
    pub(crate) fn new(place: &LetterPlace, payload: String) -> Self {
        CorrectedRecord { place: place.to_string(), payload, key: None, timestamp: None }
    }

    /// Lent.
    pub(crate) fn record(&self, offset: i64) -> Record<'_> {
        Record {
            offset,
            timestamp: self.timestamp.map(EventTime),
            key: self.key.as_deref().map(str::as_bytes),
            payload: Some(self.payload.as_bytes()),
            ..Record::default()
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CorrectedRecords {
    path: PathBuf,
    by_place: BTreeMap<LetterPlace, CorrectedRecord>,
}

impl CorrectedRecords {
    /// Those of a job.
    ///
    /// # Errors
    /// 65: a line is none.
    pub(crate) fn read<'p>(
        folder: &Path,
        partitions: impl IntoIterator<Item = &'p PartitionName> + Clone,
    ) -> Result<Self, AmendError> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(CorrectedRecords { path, ..Self::default() }),
            read => read.map_err(|source| AmendError::Unwritable { path: path.clone(), source })?,
        };
        let mut by_place = BTreeMap::new();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            // The last line may lack its end: nothing was amended by it yet.
            if !line.ends_with('\n') || line.trim().is_empty() {
                continue;
            }
            let broken = || AmendError::NotCorrected { path: path.clone(), line: number };
            let one: CorrectedRecord = serde_json::from_str(line).map_err(|_| broken())?;
            // (Of a partition that the state does not have any more no row can be amended.)
            if let Some(place) = LetterPlace::parse(&one.place, partitions.clone()) {
                by_place.insert(place, one);
            }
        }
        Ok(CorrectedRecords { path, by_place })
    }

    /// The one of this place.
    pub(crate) fn get(&self, place: &LetterPlace) -> Option<&CorrectedRecord> {
        self.by_place.get(place)
    }

    /// Adds these, durably; those that are there already are not written again.
    ///
    /// # Errors
    /// 69: they cannot be written.
    pub(crate) fn add(&mut self, all: Vec<(LetterPlace, CorrectedRecord)>) -> Result<(), AmendError> {
        let new: Vec<_> = all.into_iter().filter(|(place, one)| self.by_place.get(place) != Some(one)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for (place, one) in new {
            text += &format!("{}\n", serde_json::to_string(&one)?);
            self.by_place.insert(place, one);
        }
        append(&self.path, &text).map_err(|source| AmendError::Unwritable { path: self.path.clone(), source })
    }
}

/// Payloads are for the owner alone.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let is_new = !path.exists();
    let mut file = options.open(path)?;
    // (A line without its end is of one that was killed: nothing was amended by it.)
    let there = std::fs::read(path)?;
    let whole = memchr::memrchr(b'\n', &there).map_or(0, |at| at + 1);
    if whole < there.len() {
        file.set_len(whole as u64)?;
    }
    if is_new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
