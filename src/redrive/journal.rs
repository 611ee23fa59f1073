//! What was written of one file of dead letters, in a file `FILE.redriven` beside it: one JSON line each.
//!
//! ```json
//! {"begin":{"ticks/0":4711,"ticks/1":4602}}
//! {"written":"ticks/0@17"}
//! {"end":true}
//! ```
//!
//! `begin` has where each partition ended before anything was sent. Where the `end` of a beginning lacks, the topic from there on says what was
//! written.

use super::error::RedriveError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Begin(BTreeMap<String, i64>),
    Written(String),
    End(bool),
}

/// See the module. Locked while it is open.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Places whose records were written.
    pub(super) written: BTreeSet<String>,
    /// Of a beginning without an end, by partition.
    pub(super) begun: Option<BTreeMap<String, i64>>,
}

/// The journal's path.
pub(super) fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".redriven");
    file.with_file_name(name)
}

/// The places of a journal, where there is one, and whether a beginning of it has an end; it is not locked.
pub(super) fn written(file: &Path) -> Result<(BTreeSet<String>, bool), RedriveError> {
    let path = beside(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let (written, begun) = read(&text);
            Ok((written, begun.is_none()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((BTreeSet::new(), true)),
        Err(source) => Err(RedriveError::Journal { path, source }),
    }
}

/// What was written, and where the last beginning without an end was. (A line that does not end was written as this was killed.)
fn read(text: &str) -> (BTreeSet<String>, Option<BTreeMap<String, i64>>) {
    let (mut written, mut begun) = (BTreeSet::new(), None);
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        match serde_json::from_str(line) {
            // (The first that has no end: what came behind it was never looked for.)
            Ok(Entry::Begin(at)) => drop(begun.get_or_insert(at)),
            Ok(Entry::Written(place)) => drop(written.insert(place)),
            Ok(Entry::End(_)) => begun = None,
            Err(_) => {}
        }
    }
    (written, begun)
}

/// A new file's name is durable once its folder is.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl Journal {
    /// Opens it, made if need be.
    ///
    /// # Errors
    /// 69: it cannot be written, or another redrive has it.
    pub(super) fn open(file: &Path) -> Result<Self, RedriveError> {
        let path = beside(file);
        let failed = |source| RedriveError::Journal { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let is_new = !path.exists();
        let mut file = options.open(&path).map_err(failed)?;
        if is_new {
            sync_folder_of(&path).map_err(failed)?;
        }
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(RedriveError::UnderWay { path }),
            Err(TryLockError::Error(e)) => tracing::warn!("{}: cannot be locked: {e}", path.display()),
            Ok(()) => {}
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(failed)?;
        }
        let (written, begun) = read(&text);
        Ok(Journal { path, file, written, begun })
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), RedriveError> {
        let mut text = String::new();
        for entry in entries {
            text += &format!("{}\n", serde_json::to_string(entry)?);
        }
        let done = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        done.map_err(|source| RedriveError::Journal { path: self.path.clone(), source })
    }

    /// From here on records may be written; partitions end there.
    pub(super) fn begin(&mut self, ends: BTreeMap<String, i64>) -> Result<(), RedriveError> {
        self.append(&[Entry::Begin(ends)])
    }

    /// The records of these places are written.
    pub(super) fn add(&mut self, places: impl IntoIterator<Item = String>) -> Result<(), RedriveError> {
        let new: Vec<String> = places.into_iter().filter(|place| self.written.insert(place.clone())).collect();
        let entries: Vec<Entry> = new.into_iter().map(Entry::Written).collect();
        if entries.is_empty() { Ok(()) } else { self.append(&entries) }
    }

    /// All that was begun is written.
    pub(super) fn end(&mut self) -> Result<(), RedriveError> {
        self.append(&[Entry::End(true)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_beginning_without_an_end_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("d.jsonl");
        let at = |offset: i64| BTreeMap::from([("t/0".to_owned(), offset)]);
        let mut journal = Journal::open(&file).unwrap();
        journal.begin(at(1)).unwrap();
        journal.add(["t/0@5".to_owned()]).unwrap();
        journal.end().unwrap();
        assert!(matches!(Journal::open(&file), Err(RedriveError::UnderWay { .. })));
        journal.begin(at(7)).unwrap();
        journal.add(["t/0@6".to_owned(), "t/0@5".to_owned()]).unwrap();
        drop(journal);
        assert!(!written(&file).unwrap().1, "the topic may have more");
        let mut journal = Journal::open(&file).unwrap();
        assert_eq!((journal.begun.clone(), journal.written.len()), (Some(at(7)), 2));
        journal.begin(at(9)).unwrap();
        journal.file.write_all(br#"{"written":"t/0@7"#).unwrap();
        drop(journal);
        let mut journal = Journal::open(&file).unwrap();
        assert_eq!((journal.begun.clone(), journal.written.len()), (Some(at(7)), 2));
        journal.end().unwrap();
        drop(journal);
        let journal = Journal::open(&file).unwrap();
        assert_eq!((journal.begun.clone(), journal.written.len()), (None, 2));
        let (written, is_ended) = written(&file).unwrap();
        assert!(written.len() == 2 && is_ended);
    }
}
